"""keras.models.clone_model: a model of the same class with fresh weights, or what the caller made of it."""

import inspect

import keras
import numpy as np
import pytest

from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer, SparseCrossEntropy
from keras_bert.training.optimizers import adamw
from tests.models.conftest import KINDS, flat_outputs, inputs_of, make, randomise

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.mark.parametrize("recursive", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_clone_is_the_same_model_with_weights_of_its_own(config, batch, kind, recursive):
    model = randomise(make(kind, config.replace(extra={"note": "kept"})))
    model.compile(adamw(1e-3, num_train_steps=9))
    clone = keras.models.clone_model(model, recursive=recursive)
    assert type(clone) is type(model)
    assert clone.get_config() == model.get_config()
    assert clone.bert_config.extra == {"note": "kept"}
    assert [tuple(v.shape) for v in clone.weights] == [tuple(v.shape) for v in model.weights]
    assert not {id(v) for v in clone.weights} & {id(v) for v in model.weights}
    if kind != "encoder":
        assert keras.saving.serialize_keras_object(clone.loss) == keras.saving.serialize_keras_object(model.loss)
    assert clone.optimizer.get_config() == model.optimizer.get_config()
    x = inputs_of(model, batch)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(flat_outputs(clone, x), flat_outputs(model, x), strict=True))
    clone.set_weights(model.get_weights())
    for ours, theirs in zip(flat_outputs(clone, x), flat_outputs(model, x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_clone_knows_its_own_loss(config):
    clone = keras.models.clone_model(make("pretrainer", config))
    clone.compile("sgd")
    assert {type(loss) for loss in clone.loss.values()} == {SparseCrossEntropy}


def test_the_clone_s_embeddings_are_tied_as_the_model_s(config, batch):
    clone = keras.models.clone_model(make("pretrainer", config))
    x = inputs_of(clone, batch)
    before = clone.predict(x, verbose=0)["masked_lm"]
    table = clone.encoder.token_embedding.embeddings
    change = np.zeros((24, 8), np.float32)
    change[1, 0] = 1.0  # a word that stands in no input
    table.assign(table + change)
    moved = np.abs(clone.predict(x, verbose=0)["masked_lm"] - before).max(axis=(0, 1))
    assert moved[1] > 1e-3
    assert not np.delete(moved, 1).any()


def test_frozen_layers_are_frozen_in_the_clone(config):
    model = make("classifier", config)
    model.encoder.blocks[0].trainable = False
    clone = keras.models.clone_model(model)
    assert [b.trainable for b in clone.encoder.blocks] == [False, True]


def test_models_share_an_encoder_and_a_clone_has_its_own(config):
    encoder = BertEncoder(config)
    pretrainer, classifier = BertPretrainer(encoder), BertClassifier(encoder, 2)
    clone = keras.models.clone_model(classifier)
    assert pretrainer.encoder is classifier.encoder is encoder
    assert clone.encoder is not encoder


def test_what_the_caller_changes_is_a_plain_functional_model(config, tokens):
    model = randomise(make("classifier", config.replace(hidden_dropout_prob=0.1)))

    def without_dropout(layer):
        return type(layer).from_config({**layer.get_config(), **({"rate": 0.0} if hasattr(layer, "rate") else {})})

    changed = keras.models.clone_model(model, clone_function=without_dropout)
    assert not isinstance(changed, BertClassifier)
    assert changed.get_layer("classifier_dropout").rate == 0.0
    shared = keras.models.clone_model(model, clone_function=lambda layer: layer)
    assert shared.get_layer("mine") is model.encoder
    np.testing.assert_array_equal(shared(tokens), model(tokens))
    fixed = {name: keras.Input((10,), batch_size=4, dtype="int32", name=name) for name in tokens}
    assert keras.models.clone_model(model, input_tensors=fixed).output_shape == (4, 3)


def test_the_constructors_still_show_their_arguments():
    assert list(inspect.signature(BertClassifier).parameters)[:3] == ["encoder", "num_classes", "labels"]
    assert next(iter(inspect.signature(BertEncoder).parameters)) == "config"
    with pytest.raises(TypeError, match="num_classes"):
        BertClassifier(object())
