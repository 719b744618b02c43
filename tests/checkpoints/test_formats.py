"""The formats by name: telling them apart, saving in each, and what stands in the way."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from keras_bert import files
from keras_bert.checkpoints import (
    FORMATS,
    base,
    check_vocabulary,
    find_format,
    open_checkpoint,
    safetensors,
    save_checkpoint,
    write_checkpoint,
)
from keras_bert.checkpoints.base import Checkpoint
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.checkpoints.conftest import CONFIG
from tests.reference_bert import write_older
from tests.reference_huggingface import write_huggingface, write_tokenizer
from tests.text.kinds import small_tokenizer

BIAS = "bert/pooler/dense/bias"
BERT_CONFIG = BertConfig.from_dict(CONFIG)
TOKENIZER = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *(f"word{i}" for i in range(19))]), do_lower_case=False)


def test_the_three_formats_are_told_apart(tmp_path, arrays, google_folder, huggingface_folder):
    save_checkpoint(tmp_path / "ours", BERT_CONFIG, arrays)
    for folder, activation in (
        (tmp_path / "ours", "gelu_tanh"),
        (google_folder, "gelu_tanh"),
        (huggingface_folder, "gelu_erf"),
    ):
        checkpoint = open_checkpoint(str(folder))
        assert checkpoint.config.hidden_act == activation
        np.testing.assert_array_equal(checkpoint.read("bert/pooler/dense/kernel"), arrays["bert/pooler/dense/kernel"])


def test_an_erf_model_stays_one_in_our_directory(tmp_path, arrays):
    config = open_checkpoint(write_huggingface(tmp_path / "theirs", arrays)).config
    save_checkpoint(tmp_path / "ours", config, arrays)
    assert open_checkpoint(tmp_path / "ours").config == config
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["hidden_act"] == "gelu"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("empty", "empty holds no model; expected a model directory, ours or Hugging Face's .* Google"),
        ("half", "half holds no model; expected a model directory, ours or Hugging Face's .* Google"),
        ("a" * 300, r"a cannot be read \(File name too long\); check the path\."),
        ("none", r"none does not exist; expected a model directory on this machine\. Check the path\."),
    ],
)
def test_what_is_no_model_is_refused_with_what_was_expected(tmp_path, name, expected):
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "bert_config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(UserError, match=expected):
        open_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["bert_config.json", "bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"])
def test_a_file_in_place_of_its_directory_is_told(google_folder, name):
    with pytest.raises(
        UserError, match=rf"{name} is a file where a model directory was expected; give {google_folder}\."
    ):
        open_checkpoint(google_folder / name)


def test_a_file_of_another_kind_is_told(tmp_path):
    for name, message in (
        ("notes.txt", "is a file where a model directory was expected; give that directory"),
        ("model.keras", "in Keras' own format, not a model directory; keras.saving.load_model loads it"),
    ):
        (tmp_path / name).write_text("")
        with pytest.raises(UserError, match=f"{name} .*{message}"):
            open_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json"])
def test_weights_without_a_configuration_say_which_file_is_missing(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=rf"has a {name}, but no config\.json \(nor a bert_config\.json"):
        open_checkpoint(tmp_path)


def denied(path, *_, **__):
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize("format", FORMATS)
def test_what_may_not_be_read_is_told_as_such(tmp_path, arrays, monkeypatch, format):
    save_checkpoint(tmp_path / "model", BERT_CONFIG, arrays, format=format)
    checkpoint = open_checkpoint(tmp_path / "model")
    message = rf"^{tmp_path}/model/.* may not be read by this user \(permission denied\); change its permissions"
    with monkeypatch.context() as context:
        context.setattr(base, "open", denied, raising=False)
        with pytest.raises(UserError, match=message):
            checkpoint.read("bert/pooler/dense/bias")
    with monkeypatch.context() as context:
        context.setattr(safetensors, "open", denied, raising=False)
        context.setattr(Path, "read_bytes", denied)
        with pytest.raises(UserError, match=message):
            open_checkpoint(tmp_path / "model")
    monkeypatch.setattr(files, "open", denied, raising=False)
    with pytest.raises(UserError, match=message):
        open_checkpoint(tmp_path / "model")


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_saved_in_a_format_is_opened_from_it(tmp_path, arrays, format):
    config = BERT_CONFIG.replace(extra={"directionality": "bidi"})
    checkpoint = Checkpoint(tmp_path, config, {}, {n: a.shape for n, a in arrays.items()}, arrays.__getitem__)
    written = write_checkpoint(checkpoint, tmp_path / "model", tokenizer=TOKENIZER, format=format)
    assert written == sorted(os.listdir(tmp_path / "model"))
    assert find_format(tmp_path / "model") == ("google" if format == "google" else "huggingface")
    checkpoint = open_checkpoint(tmp_path / "model")
    assert checkpoint.config == config
    assert checkpoint.shapes == {name: array.shape for name, array in arrays.items()}
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.read(name), array)
    again = Tokenizer.from_pretrained(tmp_path / "model")
    assert again.vocabulary.tokens == TOKENIZER.vocabulary.tokens
    assert not again.do_lower_case
    assert os.listdir(tmp_path) == ["model"]


def test_an_unknown_format_is_one_sentence(tmp_path, arrays):
    with pytest.raises(
        UserError, match=r"^format must be one of keras_bert, huggingface, google\. Received: 'onnx'\.$"
    ):
        save_checkpoint(tmp_path / "model", BERT_CONFIG, arrays, format="onnx")
    assert os.listdir(tmp_path) == []


def test_arrays_are_read_one_at_a_time_and_told(tmp_path, google_folder):
    checkpoint = open_checkpoint(google_folder)
    log, told = [], []

    def read(name):
        log.append(name)
        return checkpoint.read(name)

    for format in FORMATS:
        told.clear()
        log.clear()
        write_checkpoint(
            dataclasses.replace(checkpoint, read=read),
            tmp_path / format,
            format=format,
            progress=lambda *args: told.append((len(log), *args)),
        )
        total = 4 * sum(int(np.prod(shape)) for shape in checkpoint.shapes.values())
        assert sorted(log) == sorted(checkpoint.shapes)
        assert [number for number, *_ in told] == [*range(1, len(log) + 1)]
        assert told[-1][1:] == ("writing", total, total, "B")


@pytest.mark.parametrize("format", ["google", "huggingface"])
def test_a_format_does_not_go_over_another(tmp_path, arrays, google_folder, huggingface_folder, format):
    other = huggingface_folder if format == "google" else google_folder
    for folder in (write_older(tmp_path / "ours", CONFIG, arrays), other):
        before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
        with pytest.raises(UserError, match=f"{folder} holds .*; give another directory for the format '{format}'"):
            save_checkpoint(folder, BERT_CONFIG, arrays, format=format)
        assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before


@pytest.mark.parametrize("format", FORMATS)
def test_a_format_goes_over_itself(tmp_path, arrays, format):
    for add in (0, 1):
        changed = {name: array + add for name, array in arrays.items()}
        save_checkpoint(tmp_path / "model", BERT_CONFIG, changed, format=format)
    np.testing.assert_array_equal(
        open_checkpoint(tmp_path / "model").read("bert/pooler/dense/bias"), changed["bert/pooler/dense/bias"]
    )


@pytest.mark.parametrize("older", [False, True])
def test_our_format_goes_over_a_model_directory_and_leaves_no_half_of_it(huggingface_folder, arrays, older):
    if older:
        (huggingface_folder / "config.json").unlink()
        write_older(huggingface_folder, CONFIG, arrays, task={"task": "fill_mask"})
    (huggingface_folder / "tokenizer.json").write_text("{}")
    (huggingface_folder / "notes.txt").write_text("kept")
    save_checkpoint(huggingface_folder, BERT_CONFIG, arrays, tokenizer=TOKENIZER)
    ours = ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
    assert sorted(os.listdir(huggingface_folder)) == sorted([*ours, "notes.txt"])


@pytest.mark.parametrize("older", [False, True])
def test_our_format_goes_over_google_s_and_loses_nothing_of_it(google_folder, arrays, older):
    if older:
        write_older(google_folder, CONFIG, arrays)
    before = {path.name: path.read_bytes() for path in google_folder.glob("bert_*")}
    changed = {name: array + 1 for name, array in arrays.items()}
    save_checkpoint(google_folder, BERT_CONFIG, changed)
    assert find_format(google_folder) == "huggingface"
    np.testing.assert_array_equal(open_checkpoint(google_folder).read(BIAS), changed[BIAS])
    assert before.items() <= {name: (google_folder / name).read_bytes() for name in os.listdir(google_folder)}.items()


def test_a_config_json_beside_google_s_checkpoint_does_not_hide_it(google_folder):
    (google_folder / "config.json").write_text(json.dumps({**CONFIG, "model_type": "bert"}))
    assert find_format(google_folder) == "google"


def test_the_vocabulary_beside_the_weights_must_be_theirs(google_folder):
    checkpoint = open_checkpoint(google_folder)
    check_vocabulary(checkpoint)  # there is none
    TOKENIZER.vocabulary.save(google_folder / "vocab.txt")
    check_vocabulary(checkpoint)
    Vocabulary([*TOKENIZER.vocabulary.tokens[:-1], "word18", "", "\u3000"]).save(google_folder / "vocab.txt")
    check_vocabulary(checkpoint)  # blank rows at the end do not count
    Vocabulary(TOKENIZER.vocabulary.tokens[:-1]).save(google_folder / "vocab.txt")
    check_vocabulary(checkpoint)  # nor do rows of the model without an entry
    Vocabulary([*TOKENIZER.vocabulary.tokens, "more"]).save(google_folder / "vocab.txt")
    with pytest.raises(UserError, match=r"vocab\.txt has 25 entries, but the checkpoint's vocab_size is 24"):
        check_vocabulary(checkpoint)


def test_the_vocabulary_may_lie_in_a_tokenizer_json(huggingface_folder):
    checkpoint, tokens = open_checkpoint(huggingface_folder), TOKENIZER.vocabulary.tokens
    write_tokenizer(huggingface_folder, tokens, lowercase=False)
    check_vocabulary(checkpoint)
    path = write_tokenizer(huggingface_folder, [*tokens, "more"])
    with pytest.raises(UserError, match=r"tokenizer\.json has 25 entries, but the checkpoint's vocab_size is 24"):
        check_vocabulary(checkpoint)
    TOKENIZER.vocabulary.save(huggingface_folder / "vocab.txt")
    check_vocabulary(checkpoint)  # which goes before it
    (huggingface_folder / "vocab.txt").unlink()
    path.write_text(json.dumps({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}))
    check_vocabulary(checkpoint)  # the weights are read; the tokenizer is not ours


def test_a_config_whose_heads_do_not_divide_is_told_before_the_weights_are_read(google_folder):
    (google_folder / "bert_config.json").write_text(json.dumps({**CONFIG, "num_attention_heads": 3}))
    with pytest.raises(UserError, match=r"num_attention_heads\. Received: 8 and 3"):
        open_checkpoint(google_folder)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("wordpiece", "BertTokenizer"), ("roberta", "RobertaTokenizer"), ("albert", "AlbertTokenizer")],
)
def test_a_tokenizer_beside_a_model_keeps_its_class(tmp_path, arrays, kind, name):
    """Without it transformers takes a RoBERTa's byte-level BPE for WordPiece, and texts get other ids."""
    tokenizer = small_tokenizer(kind)
    config = BERT_CONFIG.replace(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_id)
    words = np.zeros((len(tokenizer), 8), np.float32)
    ours = {n: x for n, x in arrays.items() if n.startswith("bert/")} | {"bert/embeddings/word_embeddings": words}
    save_checkpoint(tmp_path / "model", config, ours, tokenizer=tokenizer)
    fields = json.loads((tmp_path / "model" / "tokenizer_config.json").read_text())
    assert fields["tokenizer_class"].removesuffix("Fast") == name
    assert fields["model_max_length"] == config.max_length
    assert Tokenizer.from_pretrained(tmp_path / "model").fingerprint == tokenizer.fingerprint
