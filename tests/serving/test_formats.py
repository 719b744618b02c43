"""Exports for onnxruntime and LiteRT: the numbers of the model, and what is said where they cannot be had."""

import json
import subprocess
import sys

import numpy as np
import pytest

from keras_bert.cli.export import QUERIES, snippet
from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.serving.export import export
from keras_bert.serving.formats import FORMATS
from keras_bert.text.tokenizer import Tokenizer
from tests.serving.test_every_family import model_of

HEADS = ("embed", "classify", "score", "fill_mask")  # embeddings, probabilities, a number, logits at positions


@pytest.fixture(scope="module")
def inputs(tokenizer):
    """Rows of different lengths, padded, as a caller makes them."""
    rows = [tokenizer.encode(text, max_seq_length=11) for text in ("the capital of france", "paris", "")]
    rows = {name: np.stack([np.pad(row[name], (0, 11 - len(row[name]))) for row in rows]) for name in rows[0]}
    return {name: each.astype(np.int32) for name, each in rows.items()}


@pytest.fixture(scope="module")
def expected(models, inputs):
    """{head: {output: array}} by Keras."""

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)

    hidden = np.asarray(models["embed"](inputs)["sequence_output"])
    mask = inputs["input_mask"][..., None]
    mean = (hidden * mask).sum(axis=1) / mask.sum(axis=1)
    words = models["fill_mask"]({**inputs, "masked_lm_positions": POSITIONS})
    return {
        "embed": {"embedding": mean / np.linalg.norm(mean, axis=-1, keepdims=True)},
        "classify": {"probabilities": softmax(np.asarray(models["classify"](inputs)))},
        "score": {"score": np.asarray(models["score"](inputs))[:, 0]},
        "fill_mask": {name: np.asarray(each) for name, each in words.items()},
    }


POSITIONS = np.array([[1, 2], [1, 1], [0, 1]], np.int32)


def onnxruntime_answers(path, given):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime (the onnx extra) is not installed")
    session = onnxruntime.InferenceSession(str(path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert {each.name for each in session.get_inputs()} == set(given)
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def litert_answers(path, given):
    reason = "ai-edge-litert (the litert extra) is not installed"
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason=reason).Interpreter(
        str(path / "model.tflite")
    )
    return interpreter.get_signature_runner("serving_default")(**given)


RUNTIMES = {"onnx": onnxruntime_answers, "litert": litert_answers}


@pytest.fixture(scope="module")
def exports(models, tokenizer, tmp_path_factory):
    """Exports a head in a format, once: a function (format, head) -> Exported."""
    made = {}

    def of(format, head):
        if format == "onnx":
            pytest.importorskip("tf2onnx", reason="tf2onnx (the onnx extra) is not installed")
        if (format, head) not in made:
            folder = tmp_path_factory.mktemp(format) / head
            made[format, head] = export(models[head], tokenizer, folder, format=format)
        return made[format, head]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("format", RUNTIMES)
def test_the_runtime_gives_the_model_s_numbers(exports, inputs, expected, format, head):
    exported = exports(format, head)
    positions = {"masked_lm_positions": POSITIONS} if head == "fill_mask" else {}
    answers = RUNTIMES[format](exported.path, {**inputs, **positions})
    assert set(answers) == set(expected[head]) == set(exported.outputs)
    for name, array in expected[head].items():
        np.testing.assert_allclose(answers[name], array, atol=1e-4, err_msg=name)
    one = {name: array[1:2, :3] for name, array in inputs.items()}  # another batch, another length
    if not positions:
        [name] = answers
        np.testing.assert_allclose(RUNTIMES[format](exported.path, one)[name], answers[name][1:2], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("format", RUNTIMES)
def test_what_makes_the_ids_lies_beside_the_file(exports, models, tokenizer, format):
    path = exports(format, "classify").path
    assert sorted(file.name for file in path.iterdir()) == sorted(
        [FORMATS[format].file, "task.json", "tokenizer_config.json", "vocab.txt"]
    )
    assert json.loads((path / "task.json").read_text())["labels"] == models["classify"].labels
    assert Tokenizer.from_pretrained(path).token_ids("paris") == tokenizer.token_ids("paris")


@pytest.mark.slow
@pytest.mark.parametrize("format", RUNTIMES)
def test_the_printed_program_runs(exports, tmp_path, format):
    exported = exports(format, "classify")
    module = {"onnx": "onnxruntime", "litert": "ai_edge_litert"}[format]
    pytest.importorskip(module, reason=f"{module} is not installed")
    done = subprocess.run([sys.executable, "-c", snippet(exported)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "0." in done.stdout


def test_every_format_has_its_program():
    assert set(QUERIES) == set(FORMATS)


@pytest.mark.slow
def test_a_file_that_was_exported_may_be_replaced_and_nothing_else(exports, models, tokenizer):
    path = exports("litert", "score").path
    with pytest.raises(UserError, match="exists already"):
        export(models["score"], tokenizer, path, format="litert")
    export(models["score"], tokenizer, path, format="litert", force=True)
    (path / "model.tflite").unlink()
    with pytest.raises(UserError, match="is not an exported model"):
        export(models["score"], tokenizer, path, format="litert", force=True)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"format": "tflite"}, "format must be one of saved_model, onnx, litert. Received: 'tflite'"),
        ({"format": "onnx", "inputs": "text"}, "format onnx takes ids, since it has no operations for text"),
    ],
)
def test_what_no_format_can_be_is_one_sentence(models, tokenizer, tmp_path, options, match):
    with pytest.raises(UserError, match=match):
        export(models["embed"], tokenizer, tmp_path / "1", **options)


def test_onnx_without_its_extra_is_one_sentence(models, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(
        UserError, match=r"ONNX wants tf2onnx, which is not installed: pip install 'keras3-bert\[onnx\]'"
    ):
        export(models["embed"], tokenizer, tmp_path / "1", format="onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("format", RUNTIMES)
def test_hugging_face_s_gelu(config, tokenizer, inputs, tmp_path, format):
    if format == "onnx":
        pytest.importorskip("tf2onnx", reason="tf2onnx (the onnx extra) is not installed")
    model = BertClassifier(BertEncoder(config.replace(hidden_act="gelu_erf")), 1)
    path = export(model, tokenizer, tmp_path / "1", format=format).path
    np.testing.assert_allclose(RUNTIMES[format](path, inputs)["score"], np.asarray(model(inputs))[:, 0], atol=1e-4)


FAMILIES = ("roberta", "albert", "mobilebert", "deberta", "deberta-v2", "modernbert", "longformer", "big_bird")
OFTEN = {("modernbert", "litert"), ("roberta", "litert")}  # which have refused a slice of booleans


@pytest.mark.parametrize(
    ("family", "format"),
    [
        pytest.param(family, format, marks=pytest.mark.slow if (family, format) in OFTEN else pytest.mark.nightly)
        for family in FAMILIES
        for format in RUNTIMES
    ],
)
def test_other_families_have_the_model_s_numbers(tokenizer, tmp_path, family, format):
    if format == "onnx":
        pytest.importorskip("tf2onnx", reason="tf2onnx (the onnx extra) is not installed")
    model = model_of(family, "classify", tokenizer)
    path = export(model, tokenizer, tmp_path / "1", format=format).path
    mask = (np.arange(29) < np.array([[29], [20], [3]])).astype(np.int32)
    ids = np.where(mask, np.random.default_rng(0).integers(5, 60, mask.shape), tokenizer.pad_id).astype(np.int32)
    ids[0, 9] = tokenizer.sep_id
    every = {"input_ids": ids, "input_mask": mask, "segment_ids": (np.arange(29) > 9).astype(np.int32) * mask}
    every["global_attention_mask"] = (np.arange(29) < 1).astype(np.int32) * np.ones_like(mask)
    given = {name: every[name] for name in model.input}
    logits = np.asarray(model(given))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    assert np.abs(probabilities[0] - probabilities[1]).max() > 0.01
    np.testing.assert_allclose(RUNTIMES[format](path, given)["probabilities"], probabilities, atol=1e-4)
