"""A classifier of several labels a text: its loss by hand, weights, what it learns, and that it comes back."""

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.models.losses import SigmoidCrossEntropy
from tests.models.conftest import flat_outputs, randomise

LABELS = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]], np.float32)
LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -90.0], [90.0, 0.0, 0.0], [-2.0, 1.0, 0.0]], np.float32)


def losses():
    """Returns the loss of every label (B, C), as the textbook writes it."""
    right = np.where(LABELS == 1, LOGITS, -LOGITS).astype(np.float64)
    return np.log1p(np.exp(-right))


def make(config, **options):
    return BertClassifier(BertEncoder(config), 3, labels=["a", "b", "c"], multi_label=True, **options)


def test_the_loss_is_the_mean_over_texts_and_labels():
    assert float(SigmoidCrossEntropy()(LABELS, LOGITS)) == pytest.approx(losses().mean(), rel=1e-6)
    assert float(SigmoidCrossEntropy()(LABELS.astype(int), LOGITS)) == pytest.approx(losses().mean(), rel=1e-6)
    halves = keras.ops.cast(LOGITS, "bfloat16")  # which holds these numbers exactly
    assert float(SigmoidCrossEntropy()(LABELS, halves)) == pytest.approx(losses().mean(), rel=1e-6)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3)])
def test_weights_of_texts_and_of_labels(shape):
    weights = np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape)
    wide = np.broadcast_to(weights.reshape(4, -1), (4, 3))
    expected = (losses() * wide).sum() / wide.sum()
    assert float(SigmoidCrossEntropy()(LABELS, LOGITS, sample_weight=weights)) == pytest.approx(expected, rel=1e-6)
    assert float(SigmoidCrossEntropy()(LABELS, LOGITS, sample_weight=0 * weights)) == 0.0


def test_the_loss_comes_back_from_its_config():
    loss = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(SigmoidCrossEntropy()))
    assert type(loss) is SigmoidCrossEntropy
    assert loss.reduction == "mean_with_sample_weight"


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.0, 2.0, 0.5], np.float32)])
def test_it_is_the_model_s_own_loss(config, tokens, weights):
    model = randomise(make(config))
    model.compile("sgd", run_eagerly=True)
    right = np.where(LABELS == 1, 1, -1) * np.asarray(model(tokens), np.float64)
    wide = np.ones((4, 1)) if weights is None else weights[:, None]
    expected = (np.log1p(np.exp(-right)) * wide).sum() / (3 * wide.sum())
    assert model.evaluate(tokens, LABELS, sample_weight=weights, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_it_learns_several_labels(config, tokens):
    keras.utils.set_random_seed(1)
    model = make(config)
    model.compile(keras.optimizers.Adam(2e-2), jit_compile=False)
    often = {name: np.tile(ids, (100, 1)) for name, ids in tokens.items()}
    model.fit(often, np.tile(LABELS, (100, 1)), batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.predict(tokens, verbose=0) > 0, LABELS > 0)


def test_it_comes_back_from_every_file(config, tokens, tmp_path):
    model = randomise(make(config, pair=True))
    expected = flat_outputs(model, tokens)[0]
    assert model.kind == "multi_label"
    model.save(tmp_path / "model.keras")
    model.save_pretrained(tmp_path / "model")
    task = {"task": "classify", "num_classes": 3, "labels": ["a", "b", "c"], "pair": True, "multi_label": True}
    assert open_checkpoint(tmp_path / "model").task == task == model.task()
    for again in (
        keras.saving.load_model(tmp_path / "model.keras"),
        BertClassifier.from_pretrained(tmp_path / "model"),
        BertClassifier.from_config(model.get_config()),
    ):
        assert (again.kind, again.pair, again.labels) == ("multi_label", True, ["a", "b", "c"])
        assert type(again.default_loss()) is SigmoidCrossEntropy
    np.testing.assert_array_equal(flat_outputs(BertClassifier.from_pretrained(tmp_path / "model"), tokens)[0], expected)


def test_a_single_label_that_is_there_or_not_is_no_number(config):
    model = BertClassifier(BertEncoder(config), 1, labels=["spam"], multi_label=True)
    assert (model.kind, type(model.default_loss())) == ("multi_label", SigmoidCrossEntropy)
    assert BertClassifier.build_from(config, model.task()).kind == "multi_label"
    assert BertClassifier(BertEncoder(config), 1).kind == "regression"
    assert BertClassifier(BertEncoder(config), 2).kind == "classes"
    assert "multi_label" not in BertClassifier(BertEncoder(config), 2).task()
