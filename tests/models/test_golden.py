"""Outputs, losses and training against what other code computed.

"ours" is tests/golden/model, made by plain NumPy (tests/reference_bert.py); "google" was made by
google-research/bert itself, "huggingface" by transformers.
"""

import json

import keras
import numpy as np
import pytest

from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer, BertSpanLabeler, BertTokenClassifier
from keras_bert.models.weights import collect_arrays
from keras_bert.training.optimizers import adamw
from tests import reference_bert
from tests.models.conftest import INPUTS, as_batch
from tests.small import batch_loss, batch_losses

TOLERANCE = 1e-4
SCHEDULES = {"ours": reference_bert.TRAINING}
SCHEDULES["google"] = {"learning_rate": 1e-3, "num_train_steps": 20, "num_warmup_steps": 5}
FINAL = {
    "final_word_embeddings": "bert/embeddings/word_embeddings",
    "final_pooler_kernel": "bert/pooler/dense/kernel",
    "final_layer0_query_kernel": "bert/encoder/layer_0/attention/self/query/kernel",
    "final_layer0_gamma": "bert/encoder/layer_0/attention/output/LayerNorm/gamma",
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


@pytest.mark.usefixtures("eagerly")
def test_attention_scores(reference):
    _, folder, expected = reference
    encoder = BertEncoder.from_pretrained(folder, return_all_layers=True, return_attention_scores=True)
    outputs = encoder.predict({name: expected[name] for name in INPUTS}, verbose=0)
    np.testing.assert_allclose(outputs["sequence_output"], expected["sequence_output"], atol=TOLERANCE)
    scores = reference_bert.encode(collect_arrays(encoder), encoder.bert_config.to_dict(), expected)["attention_scores"]
    assert len(outputs["attention_scores"]) == len(scores) == encoder.bert_config.num_hidden_layers
    for ours, theirs in zip(outputs["attention_scores"], scores, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)
        np.testing.assert_allclose(ours.sum(-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("reference", ["ours", pytest.param("google", marks=pytest.mark.slow)], indirect=True)
def test_losses_from_user_code(reference):
    _, folder, expected = reference
    x, y, weights = as_batch(expected)
    masked_lm, next_sentence = (expected.get(f"{name}_loss") for name in ("masked_lm", "next_sentence"))
    if masked_lm is None:
        arrays = collect_arrays(BertPretrainer.from_pretrained(folder))
        masked_lm, next_sentence = reference_bert.pretrain_losses(arrays, reference_bert.CONFIG, expected)
    model = BertPretrainer.from_pretrained(folder)
    model.compile(keras.optimizers.SGD(0.0))
    losses = {
        "evaluate": model.evaluate(x, y, sample_weight=weights, return_dict=True, verbose=0),
        "train_on_batch": batch_losses(model, x, y, weights),
    }
    history = model.fit(x, y, sample_weight=weights, verbose=0).history
    losses["fit"] = {name: values[0] for name, values in history.items()}
    for way, found in losses.items():
        assert found["loss"] == pytest.approx(masked_lm + next_sentence, abs=TOLERANCE), way
        assert found["masked_lm_loss"] == pytest.approx(masked_lm, abs=TOLERANCE), way
        assert found["next_sentence_loss"] == pytest.approx(next_sentence, abs=TOLERANCE), way
    assert np.isclose(expected["train_losses"][0], losses["fit"]["loss"], atol=TOLERANCE)


def test_training_takes_the_same_way(reference):
    which, folder, expected = reference
    model = BertPretrainer.from_pretrained(folder)
    model.compile(adamw(**SCHEDULES[which]), run_eagerly=which == "ours")  # both ways, and few steps go faster so
    x, y, weights = as_batch(expected)
    losses = [batch_loss(model, x, y, weights) for _ in expected["train_losses"]]
    np.testing.assert_allclose(losses, expected["train_losses"], rtol=1e-3)
    assert losses[0] == losses[1]  # the first step's rate is 0
    arrays = collect_arrays(model)
    final = {name.removeprefix("final/"): array for name, array in expected.items() if name.startswith("final/")}
    final |= {name: expected[key] for key, name in FINAL.items() if key in expected}
    assert len(final) == (len(arrays) if which == "ours" else 4)
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


@pytest.fixture(params=["ours", "theirs"])
def huggingface(request, golden):
    """(folder, arrays by name) of four heads with an erf gelu."""
    folder = golden / "huggingface"
    if request.param == "theirs":
        folder = request.getfixturevalue("shared") / "golden" / "huggingface"
    elif not folder.is_dir():
        pytest.skip("there are no small golden files of transformers'")
    with np.load(folder / "golden.npz") as arrays:
        return folder, dict(arrays)


HEADS = {
    "pretraining": (BertPretrainer, {"masked_lm": "prediction_logits", "next_sentence": "seq_relationship_logits"}),
    "sequence_classification": (BertClassifier, {"logits": "logits"}),
    "question_answering": (BertSpanLabeler, {"start_logits": "start_logits", "end_logits": "end_logits"}),
    "token_classification": (BertTokenClassifier, {"logits": "logits"}),
}


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("head", HEADS)
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


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("head", HEADS)
def test_hugging_face_s_heads(huggingface, head):
    folder, expected = huggingface
    kind, names = HEADS[head]
    model = kind.from_pretrained(folder / head)
    assert model.load_report.unused == []
    assert {name.split("/")[1] for name in model.load_report.new} <= {"pooler"}
    x = {name: expected[name] for name in INPUTS}
    if head == "pretraining":
        x["masked_lm_positions"] = np.tile(np.arange(x["input_ids"].shape[1]), (len(x["input_ids"]), 1))
    outputs = model.predict(x, verbose=0)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    for ours, theirs in names.items():
        np.testing.assert_allclose(outputs[ours], expected[f"{head}/{theirs}"], atol=TOLERANCE)


def test_hugging_face_s_classes(huggingface):
    folder, expected = huggingface
    for head in ("sequence_classification", "token_classification"):
        model = HEADS[head][0].from_pretrained(folder / head)
        classes = expected[f"{head}/logits"].shape[-1]
        assert (model.num_classes, model.labels) == (classes, [f"LABEL_{i}" for i in range(classes)])
