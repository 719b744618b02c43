"""`keras-bert export` and `keras-bert fill_mask`, on small models in directories of their own."""

import io
import json
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.checkpoints import save_checkpoint
from keras_bert.config import BertConfig
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.models.weights import collect_arrays
from keras_bert.serving.predict import embed, fill_mask, predict
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert_cli.main import main

WORDS = ("paris", "is", "the", "capital", "of", "france", "a", "text", "to", "answer", "second", ".", "é")


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))


@pytest.fixture(scope="module")
def models(tokenizer):
    keras.utils.set_random_seed(3)
    config = BertConfig.from_name(
        "L-1_H-16", vocab_size=tokenizer.vocab_size, max_position_embeddings=48, initializer_range=0.3
    )
    return {
        "encoder": BertEncoder(config),
        "pairs": BertClassifier(BertEncoder(config), 2, labels=["same", "other"]),
        "pretrained": BertPretrainer(BertEncoder(config)),
    }


@pytest.fixture(scope="module")
def directories(models, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, model in models.items():
        task = {**model.task(), "pair": True} if name == "pairs" else model.task()
        save_checkpoint(folder / name, model.bert_config, collect_arrays(model), task=task, tokenizer=tokenizer)
    return folder


def run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def serve(path, **inputs):
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    return {name: value.numpy() for name, value in signature(**{k: tf.constant(v) for k, v in inputs.items()}).items()}


def test_export_takes_the_task_from_the_model(directories, models, tokenizer, tmp_path, capsys):
    run("export", "--model_dir", directories / "pairs", "--output_dir", tmp_path / "same" / "1")
    output = capsys.readouterr().out
    assert "task: classify, 2 classes: same, other; pairs of texts of up to 48 tokens" in output
    for line in ("  input   pair           string (batch)", "  output  probabilities  float32 (batch, 2)"):
        assert line in output.splitlines()
    answer = serve(tmp_path / "same" / "1", text=["paris is", ""], pair=["the capital", "of france"])
    expected = predict(models["pairs"], tokenizer, ["paris is", ""], ["the capital", "of france"], max_seq_length=48)
    np.testing.assert_allclose(answer["probabilities"], expected["probabilities"], atol=1e-5)
    assert [label.decode() for label in answer["label"]] == expected["label"]


def test_the_printed_snippet_runs_as_it_stands(directories, models, tokenizer, tmp_path, capsys):
    run("export", "--model_dir", directories / "pretrained", "--output_dir", tmp_path / "1", "--top_k", 2)
    snippet = capsys.readouterr().out.partition("query it from Python:\n")[2]
    done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    [[guesses]] = fill_mask(models["pretrained"], tokenizer, ["Paris is the [MASK] of France."], top_k=2)
    for guess in guesses:
        assert f"b'{guess['token']}'" in done.stdout


def test_export_of_another_task_and_length(directories, models, tokenizer, tmp_path, capsys):
    text = "the capital of france " * 5
    flags = ("--task", "embed", "--max_seq_length", 8, "--normalize=false", "--output_dir", tmp_path / "1")
    run("export", "--model_dir", directories / "pretrained", *flags)
    assert "task: embed; texts of up to 8 tokens" in capsys.readouterr().out
    expected = embed(models["pretrained"].encoder, tokenizer, [text], normalize=False, max_seq_length=8)["embedding"]
    np.testing.assert_allclose(serve(tmp_path / "1", text=[text])["embedding"], expected, atol=1e-5)
    run("export", "--model_dir", directories / "encoder", "--output_dir", tmp_path / "1", "--force")
    assert np.linalg.norm(serve(tmp_path / "1", text=[text])["embedding"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--model_dir {models}/nowhere --output_dir {new}", "nowhere does not exist"),
        ("--model_dir {models}/encoder --output_dir {models}", "--output_dir: {models} exists already"),
        ("--model_dir {models}/encoder --output_dir {models} --force", "is no SavedModel"),
        ("--model_dir {models}/encoder --output_dir {new} --task translate", "Unknown task 'translate'"),
        ("--model_dir {models}/encoder --output_dir {new} --task classify", "cannot do classify"),
        ("--model_dir {models}/encoder --output_dir {new} --max_seq_length 49", "Received: 49"),
        ("--model_dir {models}/encoder --output_dir {models}/encoder/vocab.txt/1", "Cannot write"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(directories, tmp_path, capsys, flags, sentence):
    places = {"models": directories, "new": tmp_path / "new"}
    assert main(["export", *flags.format(**places).split()]) == 2
    error = capsys.readouterr().err
    assert sentence.format(**places) in error
    assert error.startswith("keras-bert export: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_fill_mask_writes_json_lines_where_nobody_reads_along(directories, models, tokenizer, capsys):
    texts = ["Paris is the [MASK] of France.", "[MASK] [MASK] é"]
    run("fill_mask", "--model_dir", directories / "pretrained", "--top_k", 3, *texts)
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    expected = fill_mask(models["pretrained"], tokenizer, texts, top_k=3)
    assert [line["text"] for line in lines] == texts
    for line, answer in zip(lines, expected, strict=True):
        for ours, theirs in zip(line["masks"], answer, strict=True):
            assert [guess["token"] for guess in ours] == [guess["token"] for guess in theirs]
            assert [g["probability"] for g in ours] == pytest.approx([g["probability"] for g in theirs], abs=1e-6)
    assert "é" in captured.out  # not é
    assert "vocabulary 18" in captured.err


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def stdin(data, *, isatty=False):
    return types.SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: isatty)


def test_fill_mask_reads_any_number_of_lines_with_one_load(directories, monkeypatch, capsys):
    loads = []
    load = BertPretrainer.from_pretrained
    monkeypatch.setattr(BertPretrainer, "from_pretrained", lambda path: loads.append(path) or load(path))
    monkeypatch.setattr(
        sys, "stdin", stdin(b"\xef\xbb\xbfthe [MASK]\r\n\n  \n" + b"a [MASK] of [MASK]\n" * 6 + b"[MASK]")
    )
    run("fill_mask", "--model_dir", directories / "pretrained", "--batch_size", 4)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == ["the [MASK]", *["a [MASK] of [MASK]"] * 6, "[MASK]"]
    assert [len(line["masks"]) for line in lines] == [1, *[2] * 6, 1]
    assert len(loads) == 1


def test_fill_mask_on_a_terminal_is_read_by_people(directories, models, tokenizer, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    run("fill_mask", "--model_dir", directories / "pretrained", "--top_k", 1, "the [MASK]", "[MASK] [MASK]")
    answers = fill_mask(models["pretrained"], tokenizer, ["the [MASK]", "[MASK] [MASK]"], top_k=1)
    best = [guesses[0] for answer in answers for guesses in answer]
    one, two, three = (f"{guess['token']} {100 * guess['probability']:.1f} %" for guess in best)
    assert screen.getvalue().splitlines() == [
        "the [MASK]",
        f"  {one}",
        "[MASK] [MASK]",
        f"  [MASK] 1: {two}",
        f"  [MASK] 2: {three}",
    ]
    run("fill_mask", "--model_dir", directories / "pretrained", "--format=json", "the [MASK]")
    assert json.loads(screen.getvalue().splitlines()[-1])["text"] == "the [MASK]"


def test_a_slip_while_typing_does_not_end_the_conversation(directories, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", stdin(b"the [mask]\nthe [MASK]\n", isatty=True))
    run("fill_mask", "--model_dir", directories / "pretrained")
    captured = capsys.readouterr()
    assert [json.loads(line)["text"] for line in captured.out.splitlines()] == ["the [MASK]"]
    assert "Ctrl-D ends" in captured.err
    assert "No [MASK] in 'the [mask]'" in captured.err


@pytest.mark.parametrize(
    ("model", "texts", "data", "sentence"),
    [
        ("nowhere", ["[MASK]"], b"", "nowhere does not exist"),
        ("encoder", ["[MASK]"], b"", "cannot do fill_mask: it lacks the weights cls/predictions/*"),
        ("pretrained", ["[MASK]", "no mask"], b"", "No [MASK] in 'no mask'"),
        ("pretrained", [], b"the capital\n", "No [MASK] in 'the capital'"),
        ("pretrained", [], b"[MASK]\n\xff\n", "Line 2 of standard input is not UTF-8"),
    ],
)
def test_what_cannot_be_filled_is_one_sentence(directories, monkeypatch, capsys, model, texts, data, sentence):
    monkeypatch.setattr(sys, "stdin", stdin(data))
    assert main(["fill_mask", "--model_dir", str(directories / model), *texts]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err.splitlines()[-1]
    assert captured.err.splitlines()[-1].startswith("keras-bert fill_mask: ")
