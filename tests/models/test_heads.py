"""The heads on the encoder: what they compute, their own losses by hand, and what task.json says of them."""

import keras
import numpy as np
import pytest

from keras_bert.data.batches import IGNORED_LABEL
from keras_bert.errors import UserError
from keras_bert.models import (
    BertClassifier,
    BertEncoder,
    BertMultipleChoice,
    BertPretrainer,
    BertSpanLabeler,
    BertTokenClassifier,
    SparseCrossEntropy,
)
from keras_bert.models.walk import walk
from tests.models.conftest import inputs_of, labels_of, make, randomise
from tests.reference_bert import log_softmax
from tests.small import batch_loss


def head_of(model):
    return np.asarray(model.head.kernel), np.asarray(model.head.bias)


@pytest.fixture(scope="module")
def encoder(config):
    return randomise(BertEncoder(config))


def test_a_span_labeler_scores_every_token_as_start_and_as_end(encoder, tokens):
    model = randomise(BertSpanLabeler(encoder))
    kernel, bias = head_of(model)
    outputs = model(tokens)
    logits = np.asarray(encoder(tokens)["sequence_output"]) @ kernel + bias  # (B, S, 2)
    np.testing.assert_allclose(outputs["start_logits"], logits[..., 0], atol=1e-5)
    np.testing.assert_allclose(outputs["end_logits"], logits[..., 1], atol=1e-5)


def test_the_span_loss_is_the_mean_of_both_ends(encoder, tokens):
    model = BertSpanLabeler(encoder)
    model.compile("sgd", run_eagerly=True)
    labels = labels_of("span_labeler")
    outputs = {name: log_softmax(np.asarray(array)) for name, array in model(tokens).items()}
    start, end = (-outputs[name][np.arange(4), labels[name]].mean() for name in ("start_logits", "end_logits"))
    metrics = model.evaluate(tokens, labels, return_dict=True, verbose=0)
    assert metrics["loss"] == pytest.approx((start + end) / 2, rel=1e-5)
    model.compile("sgd", loss_weights={"start_logits": 1.0, "end_logits": 3.0}, run_eagerly=True)
    assert model.evaluate(tokens, labels, return_dict=True, verbose=0)["loss"] == pytest.approx(
        start + 3 * end, rel=1e-5
    )


def test_a_token_classifier_reads_every_token(encoder, tokens):
    model = randomise(BertTokenClassifier(encoder, 4))
    kernel, bias = head_of(model)
    expected = np.asarray(encoder(tokens)["sequence_output"]) @ kernel + bias
    np.testing.assert_allclose(model(tokens), expected, atol=1e-5)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.0, 0.5, 2.0], np.float32)])
def test_the_token_loss_leaves_out_what_has_no_label(encoder, tokens, weights):
    model = BertTokenClassifier(encoder, 4)
    model.compile("sgd", run_eagerly=True)
    labels = labels_of("token_classifier")
    log_probs = log_softmax(np.asarray(model(tokens)))
    losses = -np.take_along_axis(log_probs, np.maximum(labels, 0)[..., None], -1)[..., 0]
    counts = (labels != IGNORED_LABEL) * (1.0 if weights is None else weights[:, None])
    loss = model.evaluate(tokens, labels, sample_weight=weights, verbose=0)
    assert loss == pytest.approx((losses * counts).sum() / counts.sum(), rel=1e-5)
    by_token = model.evaluate(tokens, labels, sample_weight=counts.astype(np.float32), verbose=0)
    assert by_token == pytest.approx(loss if weights is None else (losses * counts).sum() / counts.sum(), rel=1e-5)


def test_labels_that_weigh_nothing_give_no_gradient_and_no_nan():
    logits = np.array([[[3.0, 1.0], [0.0, 9.0]]], np.float32)
    loss = SparseCrossEntropy(ignored_label=IGNORED_LABEL)
    assert float(loss(np.array([[-100, -100]]), logits)) == 0.0
    alone = float(loss(np.array([[0, -100]]), logits))
    assert alone == pytest.approx(np.log1p(np.exp(-2.0)), rel=1e-5)
    again = type(loss).from_config(loss.get_config())
    assert float(again(np.array([[0, -100]]), logits)) == alone


def test_multiple_choice_reads_every_choice_for_itself(encoder, batch):
    model = randomise(BertMultipleChoice(encoder))
    kernel, bias = head_of(model)
    x = inputs_of(model, batch)
    one_by_one = {name: array.reshape(4, 10) for name, array in x.items()}
    scores = np.asarray(encoder(one_by_one)["pooled_output"]) @ kernel + bias  # (4, 1)
    np.testing.assert_allclose(model(x), scores.reshape(2, 2), atol=1e-5)
    np.testing.assert_allclose(model.predict(x, verbose=0), scores.reshape(2, 2), atol=1e-5)
    assert model.output.shape == (None, None)
    model.compile("sgd", run_eagerly=True)
    expected = -log_softmax(scores.reshape(2, 2))[[0, 1], [1, 0]].mean()
    assert model.evaluate(x, labels_of("multiple_choice"), verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("way", ["evaluate", "train_on_batch", "dataset"])
def test_a_regressor_s_loss_pairs_every_number_with_its_own(encoder, tokens, shape, way):
    model = randomise(BertClassifier(encoder, 1))
    model.head.kernel.assign(10 * model.head.kernel)  # so that the four numbers differ
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    numbers = np.asarray(model(tokens))[:, 0]
    targets = numbers + 0.01 * labels_of("regressor")
    expected = ((numbers - targets) ** 2).mean()
    assert expected != pytest.approx(((numbers[:, None] - targets) ** 2).mean(), rel=1e-2)  # what broadcasting gives
    y = targets.reshape(shape)
    if way == "evaluate":
        loss = model.evaluate(tokens, y, verbose=0)
    elif way == "train_on_batch":
        loss = batch_loss(model, tokens, y)
    else:
        tf = pytest.importorskip("tensorflow")
        loss = model.evaluate(tf.data.Dataset.from_tensors((tokens, y)), verbose=0)
    assert float(np.ravel(loss)[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["classifier", "regressor", "span_labeler", "token_classifier", "multiple_choice"])
def test_every_head_learns_its_labels(config, batch, kind):
    keras.utils.set_random_seed(1)
    model = make(kind, config)
    x, y = inputs_of(model, batch), labels_of(kind)
    model.compile(keras.optimizers.Adam(2e-2), jit_compile=False)
    first = batch_loss(model, x, y)
    for _ in range(25):
        last = batch_loss(model, x, y)
    assert last < first / 2


TASKS = {
    "pretrainer": {"task": "fill_mask"},
    "classifier": {"task": "classify", "num_classes": 3, "labels": ["a", "b", "c"]},
    "regressor": {"task": "classify", "num_classes": 1, "labels": ["0"], "pair": True},
    "span_labeler": {"task": "answer"},
    "token_classifier": {"task": "tag", "num_classes": 4, "labels": ["O", "B", "I", "E"]},
    "multiple_choice": {"task": "choose"},
}


@pytest.mark.parametrize("kind", TASKS)
def test_task_json_is_enough_to_build_the_head_again(config, kind):
    model = make(kind, config)
    assert model.task() == TASKS[kind]
    again = type(model).build_from(config, model.task(), return_all_layers=True)
    assert again.task() == model.task()
    assert again.encoder.return_all_layers


def test_head_arrays_have_google_s_names_and_shapes(config):
    def shapes(kind):
        return {
            found.weight.name: found.stored_shape
            for found in walk(make(kind, config))
            if not found.weight.name.startswith("bert/")
        }

    assert shapes("span_labeler") == {"cls/squad/output_weights": (2, 8), "cls/squad/output_bias": (2,)}
    for kind, classes in {"classifier": 3, "token_classifier": 4, "multiple_choice": 1}.items():
        assert shapes(kind) == {"output_weights": (classes, 8), "output_bias": (classes,)}


def test_another_task_s_settings_are_not_taken(config):
    with pytest.raises(UserError, match=r"no head for a Classifier; say num_classes"):
        BertClassifier.build_from(config, TASKS["token_classifier"])
    with pytest.raises(UserError, match=r"no head for a TokenClassifier"):
        BertTokenClassifier.build_from(config, {})
    assert BertTokenClassifier.build_from(config, TASKS["classifier"], num_classes=3).labels == ["0", "1", "2"]
    assert BertTokenClassifier.build_from(config, {}, labels=["x", "y"]).num_classes == 2
    assert type(BertPretrainer.build_from(config, TASKS["classifier"])) is BertPretrainer
    with pytest.raises(ValueError, match=r"one name a class\. Received: 1 for 2 classes"):
        BertTokenClassifier(BertEncoder(config), 2, labels=["x"])
