"""The trainer on JAX: TensorFlow's figures on one device and several, whole or in micro-batches, and exact resume."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.models import BertPretrainer
from keras_bert.models.weights import collect_arrays
from keras_bert.training.optimizers import adamw
from keras_bert.training.sums import columns
from keras_bert.training.tensorflow_trainer import TensorFlowTrainer
from tests.models.conftest import as_batch

SCHEDULE = {"learning_rate": 5e-3, "num_train_steps": 20, "num_warmup_steps": 3}
ROOT = Path(__file__).resolve().parents[2]
CASES = {"whole": (1, 1), "four parts": (1, 4), "two devices, two parts": (2, 2), "four devices": (4, 1)}

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (extra jax)"),
]

# Trains in all ways in one process, which has four virtual devices, and writes what came out to found.npz.
SCRIPT = """
import json, sys
import numpy as np
import jax, keras
import tensorflow as tf
from keras_bert.errors import UserError
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.models.weights import collect_arrays
from keras_bert.training.jax_trainer import JaxDevices, JaxTrainer, step_arguments
from keras_bert.training.optimizers import adamw
from tests.training.test_jax_trainer import CASES, padded_batch

folder, schedule, found = sys.argv[1], json.loads(sys.argv[2]), {}
batch = padded_batch(folder + "/golden.npz")
devices = {n: JaxDevices(devices=jax.devices()[:n]) for n in (1, 2, 4)}

def make_dataset(num_shards, shard_index):
    assert (num_shards, shard_index) == (1, 0)
    return tf.data.Dataset.from_tensors(batch).repeat()

def make(n=1, accumulation=1, rate=schedule, dtype="float32", dropout=0.0, objectives=None):
    model = BertPretrainer.from_pretrained(folder, dtype=dtype, objectives=objectives)
    if dropout:
        model = BertPretrainer(BertEncoder(model.bert_config.replace(hidden_dropout_prob=dropout), dtype=dtype))
    optimizer = adamw(**rate)
    optimizer.build(model.trainable_variables)
    trainer = JaxTrainer(model, optimizer, devices[n], accumulation=accumulation)
    return model, optimizer, trainer, trainer.batches(make_dataset)

for case, (n, accumulation) in CASES.items():
    model, optimizer, trainer, batches = make(n, accumulation)
    if n == accumulation:
        found[case + "/evaluated"] = trainer.evaluate(make_dataset, max_batches=3)
    found[case] = np.concatenate([trainer.train(batches, 7), trainer.train(batches, 13), trainer.train(batches, 0)])
    found |= {f"{case}/{name}": array for name, array in collect_arrays(model).items()}

# A model for one task.
_, _, alone, batches = make(2, objectives=["masked_lm"])
found |= {"alone/evaluated": alone.evaluate(make_dataset, max_batches=3), "alone": alone.train(batches, 1)}

# The step compiled ahead, for shapes: the devices talk to add up, and for nothing else.
text = trainer.step.lower(*step_arguments(model, optimizer, trainer.devices, batch)).compile().as_text()
found |= {kind: text.count(f" {kind}(") for kind in ("all-gather", "all-to-all", "collective-permute", "all-reduce")}

# What was saved half-way goes on in fresh objects as if nothing had happened, dropout's masks included.
for dtype, n, accumulation in (("float32", 2, 1), ("mixed_bfloat16", 1, 2)):
    options = {"rate": {"learning_rate": 1e-3}, "dtype": dtype, "dropout": 0.5}
    weights, rows = [], []
    for part in ("first", "second"):
        model, optimizer, trainer, batches = make(n, accumulation, **options)
        variables = [*model.variables, *optimizer.variables]
        if part == "first":
            trainer.train(batches, 2)
            trainer.pull()
            saved = [variable.numpy() for variable in variables]
        else:
            for variable, array in zip(variables, saved):
                variable.assign(array)
            trainer.push()
        rows.append(trainer.train(batches, 4))
        weights.append([variable.numpy() for variable in variables])
    found |= {f"{dtype}/rows": rows, f"{dtype}/same": [np.array_equal(a, b) for a, b in zip(*weights)]}
    found[f"{dtype}/moved"] = sum(not np.array_equal(a, b) for a, b in zip(saved, weights[0])) / len(saved)

# A plain rate counts from the next call on; and an array that somebody gave and holds stays what it is.
variable = model.trainable_variables[0]
given = jax.numpy.ones(variable.shape)
variable.assign(given)
trainer.train(batches, 1)
trainer.set_learning_rate(0.0)
moved = variable.numpy()
found |= {"still": trainer.train(batches, 2), "given": np.array(given), "moved": moved, "stood": variable.numpy()}

messages = []
for name in ("tpu", "multi_worker", "gpus"):
    try:
        JaxDevices(name)
    except UserError as error:
        messages.append(str(error))
found["messages"] = messages
found["devices"] = [JaxDevices(name).num_replicas_in_sync for name in ("auto", "one_device", "mirrored")]
np.savez("found.npz", **found)
"""


def padded_batch(path):
    """Returns (x, y, sample_weight) of the golden instances and one that weighs nothing, to make four."""
    batch = as_batch(dict(np.load(path)))
    return tf.nest.map_structure(lambda x: np.concatenate([x, np.zeros_like(x[:1])]), batch)


@pytest.fixture(scope="module")
def found(golden, tmp_path_factory):
    """What a process with four virtual devices found."""
    folder = tmp_path_factory.mktemp("jax")
    settings = {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(golden / "model"), json.dumps(SCHEDULE)],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(folder / "found.npz"))


@pytest.fixture(scope="module")
def tensorflows(golden):
    """What TensorFlow's trainer gives, which test_steps.py holds against the reference: rows (20, 8), and weights."""
    model = BertPretrainer.from_pretrained(golden / "model")
    optimizer = adamw(**SCHEDULE)
    optimizer.build(model.trainable_variables)
    trainer = TensorFlowTrainer(model, optimizer, tf.distribute.get_strategy())
    batch = padded_batch(golden / "model" / "golden.npz")
    rows = trainer.train(trainer.batches(lambda *_: tf.data.Dataset.from_tensors(batch).repeat()), 20)
    assert rows[-1, 0] < 0.8 * rows[0, 0]
    return rows, collect_arrays(model)


@pytest.mark.parametrize("case", CASES)
def test_twenty_steps_are_those_of_tensorflow(found, tensorflows, case):
    expected, arrays = tensorflows
    rows = found[case]
    assert rows.dtype == np.float32
    assert rows.shape == (20, len(columns()))
    np.testing.assert_allclose(rows, expected, rtol=1e-4)
    for name, array in arrays.items():
        np.testing.assert_allclose(found[f"{case}/{name}"], array, atol=1e-3 * np.abs(array).max(), err_msg=name)


@pytest.mark.parametrize("case", [case for case, (n, accumulation) in CASES.items() if n == accumulation])
def test_an_evaluation_adds_batches_up_and_trains_nothing(found, case):
    assert found[f"{case}/evaluated"].dtype == np.float64
    np.testing.assert_allclose(found[f"{case}/evaluated"], 3 * found[case][0, :6], rtol=1e-5)


def test_a_model_for_one_task_has_its_sums_alone(found):
    ((*sums, tokens, norm),) = found["alone"]
    np.testing.assert_allclose([*sums, tokens], found["whole"][0, [0, 1, 2, 6]], rtol=1e-5)
    assert norm > 0
    np.testing.assert_allclose(found["alone/evaluated"], found["whole/evaluated"][:3], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_resumed_run_is_the_uninterrupted_one(found, dtype):
    one, two = found[f"{dtype}/rows"]
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(two, one)
    assert found[f"{dtype}/same"].all()
    assert found[f"{dtype}/moved"] > 0.9  # all but the rate


def test_a_new_rate_counts_from_the_next_call_on_and_dropout_draws_anew_each_step(found):
    assert np.abs(found["moved"] - 1.0).max() > 1e-4
    np.testing.assert_array_equal(found["stood"], found["moved"])
    assert found["still"][0, 0] != found["still"][1, 0]


def test_an_array_that_was_given_to_a_variable_stays_what_it_is(found):
    np.testing.assert_array_equal(found["given"], 1.0)


def test_devices_exchange_nothing_but_sums(found):
    assert [found[kind].item() for kind in ("all-gather", "all-to-all", "collective-permute")] == [0, 0, 0]
    assert found["all-reduce"] >= 1


def test_devices_by_name(found):
    assert found["devices"].tolist() == [4, 1, 4]
    tpu, workers, unknown = found["messages"]
    assert "no TPU, but cpu" in tpu
    assert "--strategy auto" in tpu
    assert "one process" in workers
    assert "No strategy is called 'gpus'" in unknown
