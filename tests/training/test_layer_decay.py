"""Every variable of every model: does it decay, and at what rate does it learn."""

import json

import keras
import numpy as np
import pytest

from keras_bert import models
from keras_bert.config import BertConfig, Config
from keras_bert.errors import UserError
from keras_bert.models import BertEncoder
from keras_bert.models.base import PretrainedModel
from keras_bert.models.weights import model_variables
from keras_bert.training.layer_decay import layer_rates
from keras_bert.training.optimizers import BertAdamW, Lamb, adamw
from tests import reference_bert

CONFIG = BertConfig.from_dict(reference_bert.CONFIG)
MODELS = {
    "BertEncoder": lambda encoder: encoder,
    "BertPretrainer": models.BertPretrainer,
    "BertClassifier": lambda encoder: models.BertClassifier(encoder, 3),
    "BertSpanLabeler": models.BertSpanLabeler,
    "BertTokenClassifier": lambda encoder: models.BertTokenClassifier(encoder, 3),
    "BertMultipleChoice": models.BertMultipleChoice,
}


@pytest.fixture(params=MODELS)
def model(request):
    """A model of two blocks whose weights are all different from 0."""
    model = MODELS[request.param](BertEncoder(CONFIG))
    rng = np.random.default_rng(0)
    for v in model.trainable_variables:
        v.assign(rng.normal(size=v.shape))
    return model


def google_names(model):
    """Returns {path: Google's name} of a model's variables, of which each must have one."""
    names = {variable.path: name for name, (variable, _) in model_variables(model).items()}
    assert set(names) == {v.path for v in model.variables if "seed" not in v.path}
    return names


def step(model, optimizer, gradient):
    """Returns {path: (before, after)} of one step with the same gradient everywhere."""
    before = {v.path: v.numpy().copy() for v in model.trainable_variables}
    gradients = [keras.ops.full(v.shape, gradient) for v in model.trainable_variables]
    optimizer.apply(gradients, model.trainable_variables)
    return {v.path: (before[v.path], v.numpy()) for v in model.trainable_variables}


def test_all_models_are_here():
    heads = {getattr(models, name) for name in models.__all__ if issubclass(getattr(models, name), PretrainedModel)}
    assert heads == {getattr(models, name) for name in MODELS}


def test_every_variable_decays_or_not_as_in_google_s_code(model):
    names, kinds = google_names(model), set()
    for path, (before, after) in step(model, BertAdamW(1.0, weight_decay=0.01), 0.0).items():
        decays = reference_bert.decays(names[path])
        kinds.add(decays)
        np.testing.assert_allclose(after, before * (0.99 if decays else 1.0), rtol=1e-6, err_msg=path)
    assert kinds == {True, False}


def test_lamb_adapts_the_variables_that_decay(model):
    names = google_names(model)
    for path, (before, after) in step(model, Lamb(0.1, weight_decay=0.0, global_clipnorm=None), 0.5).items():
        size = np.sqrt(np.mean(before**2)) if reference_bert.decays(names[path]) else 0.1 / 0.001**0.5
        np.testing.assert_allclose(before - after, 0.1 * size, rtol=1e-3, err_msg=path)


def expected_factor(name, decay, layers=2):
    """ELECTRA's: embeddings decay^(L + 2), block i decay^(L + 1 - i), heads 1; BERT's pooler stands between."""
    if name.startswith("bert/embeddings/"):
        return decay ** (layers + 2)
    if name.startswith("bert/encoder/layer_"):
        return decay ** (layers + 1 - int(name.split("/")[2].removeprefix("layer_")))
    return decay if name.startswith("bert/pooler/") else 1.0


@pytest.mark.parametrize("make", [BertAdamW, Lamb])
def test_every_variable_learns_at_its_layer_s_rate(model, make):
    names = google_names(model)
    start = model.get_weights()
    plain = step(model, make(0.1, weight_decay=0.01), 0.5)
    model.set_weights(start)
    factors = set()
    for path, (before, after) in step(model, make(0.1, weight_decay=0.01, layer_decay=0.5), 0.5).items():
        factor = expected_factor(names[path], 0.5)
        factors.add(factor)
        change = (plain[path][1] - plain[path][0]) * factor  # the decay of the weights shrinks as well
        np.testing.assert_allclose(after - before, change, rtol=1e-3, atol=1e-6, err_msg=path)
    assert factors >= {1 / 16, 1 / 8, 1 / 4, 1 / 2}


def by_neutral_name(model, decay):
    """Returns {Google's name: factor} of a model's variables that train."""
    names, variables = google_names(model), model.trainable_variables
    return {names[v.path]: rate for v, rate in zip(variables, layer_rates(variables, decay), strict=True)}


@pytest.mark.parametrize("row", ["layers_3_decay_0.8", "layers_12_decay_0.8"])
def test_electra_s_rates_are_those_of_its_code(shared, row):
    """Of its own table: embeddings and their projection decay^(L + 2), the top block decay^2, the task's layers 1."""
    files = shared / "golden" / "google" / "electra" / "layer_learning_rates.json"
    expected = json.loads(files.read_text())[row]["by_key"]
    sizes = {"vocab_size": 9, "embedding_size": 2, "num_attention_heads": 1, "intermediate_size": 4, "pooler": None}
    layers = sum("layer_" in key for key in expected)
    config = Config(family="electra", hidden_size=4, num_hidden_layers=layers, classifier_act="gelu_erf", **sizes)
    found = by_neutral_name(models.Classifier(models.Encoder(config), 2), 0.8)
    keys = {name: next((key for key in expected if key in name), "task_specific/") for name in found}
    assert set(keys.values()) == set(expected)
    for name, rate in found.items():
        assert rate == pytest.approx(expected[keys[name]]), name


def test_a_shared_block_learns_at_the_rate_of_its_last_run_and_a_head_s_own_pooler_at_the_pooler_s():
    sizes = {"num_hidden_layers": 4, "num_hidden_groups": 2, "embedding_size": 4}
    found = by_neutral_name(models.Pretrainer(BertEncoder(CONFIG.replace(family="albert", **sizes))), 0.5)
    rates = {name.split("/")[2]: rate for name, rate in found.items() if name.startswith("bert/encoder/")}
    assert rates == {"layer_0": 0.5**4, "layer_1": 0.5**2}
    assert found["bert/embeddings_project/kernel"] == 0.5**6
    choice = models.MultipleChoice(BertEncoder(CONFIG.replace(family="roberta", pooler=None)))
    assert by_neutral_name(choice, 0.5)["bert/pooler/dense/kernel"] == 0.5


def test_rates_do_not_depend_on_what_is_frozen():
    model = models.Classifier(BertEncoder(CONFIG), 2)
    before = by_neutral_name(model, 0.5)
    model.encoder.blocks[1].trainable = False
    names = google_names(model)
    rates = layer_rates(model.trainable_variables, 0.5)
    assert [before[names[v.path]] for v in model.trainable_variables] == list(rates)


def test_lora_alone_in_a_model_of_somebody_else_s():
    encoder = BertEncoder(CONFIG)
    outer = keras.Sequential([keras.layers.Dense(2)])
    model = keras.Model(encoder.input, outer(encoder(encoder.input)["pooled_output"]))
    assert len(model.trainable_variables) == len(encoder.weights) + 2
    encoder.blocks[0].intermediate.enable_lora(2)
    for v in encoder.trainable_variables:
        v.trainable = "lora" in v.path
    assert layer_rates(model.trainable_variables, 0.5) == (0.125, 0.125, 1.0, 1.0)


def test_a_model_without_our_encoder_is_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.LayerNormalization()])
    with pytest.raises(UserError, match=r"layer_decay needs a model with an Encoder that trains\. Received: 4 var"):
        adamw(1e-3, layer_decay=0.9).build(model.trainable_variables)
    adamw(1e-3).build(model.trainable_variables)


@pytest.mark.parametrize("layer_decay", [0.0, -1.0, 1.5])
def test_a_factor_out_of_range_is_refused(layer_decay):
    with pytest.raises(UserError, match="layer_decay must be over 0 and at most 1"):
        BertAdamW(1e-3, layer_decay=layer_decay)


def test_keras_own_exclusions_hold_too():
    model = models.BertClassifier(BertEncoder(CONFIG), 3)
    encoder, optimizer = model.encoder, BertAdamW(1.0, weight_decay=0.01)
    optimizer.exclude_from_weight_decay(var_list=[encoder.pooler.dense.kernel], var_names=["position_embeddings"])
    changed = {path for path, (before, after) in step(model, optimizer, 0.0).items() if (before != after).any()}
    excluded = {encoder.pooler.dense.kernel.path, encoder.embeddings.position_embeddings.path}
    assert changed == {v.path for v in model.trainable_variables if len(v.shape) > 1} - excluded


def test_lora_s_matrices_decay_and_learn_at_their_layer_s_rate():
    encoder = BertEncoder(CONFIG)
    encoder.blocks[1].intermediate.enable_lora(2)
    paths = [v.path for v in encoder.trainable_variables if "lora" in v.path]
    assert len(paths) == 2
    encoder.blocks[1].intermediate.lora_kernel_b.assign(np.ones((2, 16)))
    changes = step(encoder, BertAdamW(1.0, weight_decay=0.1, layer_decay=0.5), 0.0)
    for path in paths:
        before, after = changes[path]
        np.testing.assert_allclose(after, before * (1 - 0.1 * 0.5**2), rtol=1e-6)
