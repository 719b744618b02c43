"""Outputs, losses and training against what other code computed.

"ours" is tests/golden/model, made by plain NumPy (tests/reference_bert.py); "google" was made by
google-research/bert itself, "huggingface" by transformers.
"""

import json

import keras
import numpy as np
import pytest

from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.models.weights import collect_arrays
from keras_bert.training.optimizers import adamw
from tests import reference_bert
from tests.models.conftest import INPUTS, as_batch

TOLERANCE = 1e-4
SCHEDULES = {"ours": reference_bert.TRAINING}
SCHEDULES["google"] = {"learning_rate": 1e-3, "num_train_steps": 20, "num_warmup_steps": 5}
FINAL = {
    "final_word_embeddings": "bert/embeddings/word_embeddings",
    "final_pooler_kernel": "bert/pooler/dense/kernel",
    "final_layer0_query_kernel": "bert/encoder/layer_0/attention/self/query/kernel",
}


@pytest.fixture(params=["ours", "google"])
def reference(request, golden):
    """(which, folder, arrays by name)."""
    folder = golden / "model"
    if request.param == "google":
        folder = request.getfixturevalue("shared") / "golden" / "model"
    with np.load(folder / "golden.npz") as arrays:
        return request.param, folder, dict(arrays)


def test_the_encoder_s_outputs(reference):
    _, folder, expected = reference
    encoder = BertEncoder.from_pretrained(folder, return_all_layers=True)
    outputs = encoder.predict({name: expected[name] for name in INPUTS}, verbose=0)
    layers = expected["encoder_outputs" if "encoder_outputs" in expected else "encoder_layers"]
    for name in ("embedding_output", "sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=TOLERANCE)
    assert len(outputs["encoder_outputs"]) == len(layers) == encoder.bert_config.num_hidden_layers
    for ours, theirs in zip(outputs["encoder_outputs"], layers, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def test_the_heads_log_probabilities(reference):
    _, folder, expected = reference
    model = BertPretrainer.from_pretrained(folder)
    assert model.load_report.new == model.load_report.unused == []
    outputs = model.predict(as_batch(expected)[0], verbose=0)
    for name in ("masked_lm", "next_sentence"):
        log_probs = keras.ops.log_softmax(outputs[name])
        np.testing.assert_allclose(log_probs, expected[f"{name}_log_probs"], atol=TOLERANCE)


def test_bfloat16_stays_within_two_percent(reference):
    _, folder, expected = reference
    encoder = BertEncoder.from_pretrained(folder, dtype="mixed_bfloat16")
    outputs = encoder.predict({name: expected[name] for name in INPUTS}, verbose=0)
    for name in ("sequence_output", "pooled_output"):
        apart = np.abs(np.asarray(outputs[name], np.float32) - expected[name])
        assert apart.mean() < 2e-2 * np.abs(expected[name]).max()


def test_training_takes_the_same_way(reference):
    which, folder, expected = reference
    model = BertPretrainer.from_pretrained(folder)
    model.compile(adamw(**SCHEDULES[which]), run_eagerly=which == "ours")  # both ways, and few steps go faster so
    x, y, weights = as_batch(expected)
    losses = [model.train_on_batch(x, y, sample_weight=weights)[0] for _ in expected["train_losses"]]
    np.testing.assert_allclose(losses, expected["train_losses"], rtol=1e-3)
    assert losses[0] == losses[1]  # the first step's rate is 0
    arrays = collect_arrays(model)
    final = {name.removeprefix("final/"): array for name, array in expected.items() if name.startswith("final/")}
    final |= {name: expected[key] for key, name in FINAL.items() if key in expected}
    assert len(final) == (len(arrays) if which == "ours" else 3)
    for name, array in final.items():
        np.testing.assert_allclose(arrays[name], array, atol=2e-3 * np.abs(array).max(), err_msg=name)


def test_the_numpy_reference_agrees_with_google_s_code(shared):
    from keras_bert.checkpoints import open_checkpoint

    folder = shared / "golden" / "model"
    expected = dict(np.load(folder / "golden.npz"))
    config = json.loads((folder / "bert_config.json").read_text())
    checkpoint = open_checkpoint(folder)
    arrays = {name: checkpoint.read(name) for name in checkpoint.shapes}
    outputs = reference_bert.encode(arrays, config, expected)
    np.testing.assert_allclose(outputs["sequence_output"], expected["sequence_output"], atol=TOLERANCE)
    np.testing.assert_allclose(outputs["pooled_output"], expected["pooled_output"], atol=TOLERANCE)
    masked_lm, next_sentence = reference_bert.pretrain_log_probs(arrays, config, expected)
    np.testing.assert_allclose(masked_lm, expected["masked_lm_log_probs"], atol=TOLERANCE)
    np.testing.assert_allclose(next_sentence, expected["next_sentence_log_probs"], atol=TOLERANCE)
    losses = reference_bert.pretrain_losses(arrays, config, expected)
    np.testing.assert_allclose(losses, [expected["masked_lm_loss"], expected["next_sentence_loss"]], atol=TOLERANCE)


@pytest.fixture
def huggingface(shared):
    """(folder, arrays by name) of four heads with an erf gelu."""
    return shared / "golden" / "huggingface", dict(np.load(shared / "golden" / "huggingface" / "golden.npz"))


@pytest.mark.parametrize(
    "head", ["pretraining", "sequence_classification", "question_answering", "token_classification"]
)
def test_hugging_face_s_encoders(huggingface, head):
    folder, expected = huggingface
    encoder = BertEncoder.from_pretrained(folder / head)
    outputs = encoder.predict({name: expected[name] for name in INPUTS}, verbose=0)
    np.testing.assert_allclose(outputs["sequence_output"], expected[f"{head}/sequence_output"], atol=TOLERANCE)
    pooler = ["bert/pooler/dense/kernel", "bert/pooler/dense/bias"]
    has_pooler = f"{head}/pooled_output" in expected
    assert encoder.load_report.new == ([] if has_pooler else pooler)
    if has_pooler:
        np.testing.assert_allclose(outputs["pooled_output"], expected[f"{head}/pooled_output"], atol=TOLERANCE)


def test_hugging_face_s_pretraining_heads(huggingface):
    folder, expected = huggingface
    model = BertPretrainer.from_pretrained(folder / "pretraining")
    assert model.load_report.new == model.load_report.unused == []
    x = {name: expected[name] for name in INPUTS}
    x["masked_lm_positions"] = np.tile(np.arange(x["input_ids"].shape[1]), (len(x["input_ids"]), 1))
    outputs = model.predict(x, verbose=0)
    np.testing.assert_allclose(outputs["masked_lm"], expected["pretraining/prediction_logits"], atol=TOLERANCE)
    np.testing.assert_allclose(
        outputs["next_sentence"], expected["pretraining/seq_relationship_logits"], atol=TOLERANCE
    )


def test_hugging_face_s_classifier(huggingface):
    folder, expected = huggingface
    model = BertClassifier.from_pretrained(folder / "sequence_classification")
    assert (model.num_classes, model.labels) == (3, ["LABEL_0", "LABEL_1", "LABEL_2"])
    outputs = model.predict({name: expected[name] for name in INPUTS}, verbose=0)
    np.testing.assert_allclose(outputs, expected["sequence_classification/logits"], atol=TOLERANCE)
