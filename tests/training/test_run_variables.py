"""The variables of a run by name: all of them, and the same names in every process, on every backend."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_bert.config import BertConfig
from keras_bert.models import BertEncoder, BertPretrainer, Encoder, MultipleChoice, Pretrainer
from keras_bert.models.walk import walk
from keras_bert.training.optimizers import adamw
from keras_bert.training.run_checkpoints import RunCheckpoints, run_variables


def values(variables):
    return {name: np.asarray(variable).tobytes() for name, variable in variables.items()}


CONFIG = BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=16,
)


def pretrainer(**options):
    model = BertPretrainer(BertEncoder(CONFIG))
    optimizer = adamw(1e-3, **options)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def test_names_are_unique_and_the_same_for_a_second_model_in_the_process():
    first, second = (run_variables(*pretrainer()) for _ in range(2))
    assert list(first) == list(second)
    kinds = [{name: (v.dtype, tuple(v.shape)) for name, v in variables.items()} for variables in (first, second)]
    assert kinds[0] == kinds[1]
    assert [v.path for v in first.values()] != [v.path for v in second.values()]  # Keras' own are numbered
    for name in (
        "model/bert/embeddings/word_embeddings",
        "optimizer/m/bert/embeddings/word_embeddings",
        "optimizer/v/cls/seq_relationship/output_weights",
        "optimizer/iteration",
        "optimizer/learning_rate",
        "model/seed_generator_state",
        "model/seed_generator_state/4",
    ):
        assert name in first
    assert {name.split("/")[0] for name in first} == {"model", "optimizer"}


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (Pretrainer, {"family": "albert", "num_hidden_groups": 1, "embedding_size": 4}),
        (Pretrainer, {"family": "roberta", "pooler": None, "tie_word_embeddings": False}),
        (MultipleChoice, {"family": "roberta", "pooler": None}),
        (Pretrainer, {"family": "electra", "pooler": None, "embedding_size": 4}),
    ],
)
def test_every_family_s_weights_have_names_of_their_own(make, fields):
    model = make(Encoder(CONFIG.replace(**fields)))
    optimizer = adamw(1e-3)
    optimizer.build(model.trainable_variables)
    names = {name for name in run_variables(model, optimizer) if "seed_generator" not in name}
    weights = {found.weight.name for found in walk(model)}
    assert {name.removeprefix("model/") for name in names if name.startswith("model/")} == weights
    assert {name.removeprefix("optimizer/m/") for name in names if name.startswith("optimizer/m/")} == weights


def test_nothing_that_a_run_changes_is_left_out():
    model, optimizer = pretrainer(num_train_steps=10)
    variables = run_variables(model, optimizer)
    assert {id(v) for v in variables.values()} == {id(v) for v in (*model.variables, *optimizer.variables)}
    generators = [g for layer in model._flatten_layers() for g in getattr(layer, "_seed_generators", [])]
    assert len(generators) == 5  # of the embeddings' dropout, and of two in each of the two blocks
    assert {id(g.state) for g in generators} <= {id(v) for v in variables.values()}
    for i, weight in enumerate(model.trainable_variables):
        name = next(name for name, v in variables.items() if v is weight).removeprefix("model/")
        assert variables[f"optimizer/m/{name}"] is optimizer.momentums[i]
        assert variables[f"optimizer/v/{name}"] is optimizer.velocities[i]


def test_names_of_any_other_model_do_not_hang_on_how_many_were_made_before():
    def made():
        layers = [keras.layers.Dense(3), keras.layers.Dense(3), keras.layers.Dense(4, name="own")]
        layers.append(keras.layers.Dense(5, name="own_kernel"))  # what Keras joins by "_" begins like the one before
        model = keras.Sequential([keras.Input((2,)), *layers])
        optimizer = keras.optimizers.Adam()
        optimizer.build(model.trainable_variables)
        return run_variables(model, optimizer)

    first, second = made(), made()
    assert list(first) == list(second)
    assert list(first)[:4] == ["model/kernel", "model/bias", "model/kernel/1", "model/bias/1"]
    shapes = {"kernel/1": (3, 3), "kernel/2": (3, 4), "kernel/3": (4, 5), "bias/3": (5,)}
    assert {name: first[f"optimizer/momentum/{name}"].shape for name in shapes} == shapes


def test_a_model_goes_on_where_it_was(tmp_path):
    def updated(model, optimizer, times):
        for _ in range(times):
            model.encoder.blocks[0].dropout_layer.seed_generator.next()
            optimizer.apply([keras.ops.ones_like(v) * 0.01 for v in model.trainable_variables])

    model, optimizer = pretrainer(num_train_steps=10)
    updated(model, optimizer, 2)
    RunCheckpoints(tmp_path).save(2, run_variables(model, optimizer), {})
    updated(model, optimizer, 2)
    other, its = pretrainer(num_train_steps=10)
    RunCheckpoints(tmp_path).newest().load_into(run_variables(other, its))
    assert int(its.iterations) == 2
    updated(other, its, 2)
    assert values(run_variables(other, its)) == values(run_variables(model, optimizer))


ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
{before}
import test_run_variables as test
{scope}
    model, optimizer = test.pretrainer(num_train_steps=10)
variables = test.run_variables(model, optimizer)
checkpoints = test.RunCheckpoints(sys.argv[2])
checkpoints.save(7, variables, {{}})
stored = test.values(variables)
for variable in variables.values():
    variable.assign(0 * variable)
checkpoints.newest().load_into(variables)
assert test.values(variables) == stored
{after}
print(test.json.dumps([[name, list(variable.shape)] for name, variable in variables.items()]))
"""
DEVICES = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
"""
ALL_REPLICAS = """
for variable in variables.values():
    first, second = strategy.experimental_local_results(variable.value)
    assert first.numpy().tobytes() == second.numpy().tobytes()
"""
PLACES = {
    "jax": ("jax", {"before": "", "scope": "if True:", "after": ""}),
    "mirrored": (
        "tensorflow",
        {
            "before": DEVICES,
            "scope": "strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])\nwith strategy.scope():",
            "after": ALL_REPLICAS,
        },
    ),
}


@pytest.mark.nightly
@pytest.mark.parametrize(("backend", "parts"), PLACES.values(), ids=PLACES)
def test_names_and_bits_are_the_same_elsewhere(tmp_path, backend, parts):
    pytest.importorskip(backend)
    script = ELSEWHERE.format(**parts)
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": backend})
    assert done.returncode == 0, done.stderr[-3000:]
    here = [[name, list(variable.shape)] for name, variable in run_variables(*pretrainer(num_train_steps=10)).items()]
    assert json.loads(done.stdout.splitlines()[-1]) == here
