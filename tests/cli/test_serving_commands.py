"""`keras-bert export`, on small models in directories of their own."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.checkpoints import save_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import BertConfig
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.models.weights import collect_arrays
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.embed.embedding import embed
from keras_bert.tasks.fill_mask.filling import fill_mask
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

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


@pytest.mark.slow
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
    expected = embed(models["pretrained"].encoder, tokenizer, [text], normalize=False, max_seq_length=8)
    np.testing.assert_allclose(serve(tmp_path / "1", text=[text])["embedding"], expected, atol=1e-5)
    run("export", "--model_dir", directories / "encoder", "--output_dir", tmp_path / "1", "--force")
    assert np.linalg.norm(serve(tmp_path / "1", text=[text])["embedding"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--model_dir {models}/nowhere --output_dir {new}", "nowhere does not exist"),
        (
            "--model_dir {models}/encoder --output_dir {models}",
            "{models} exists and is not an exported model",
        ),
        ("--model_dir {models}/encoder --output_dir {models} --force", "is not an exported model"),
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
