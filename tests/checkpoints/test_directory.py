"""Our model directory: round trip, telling formats apart, and nothing half-written."""

import json
import os

import numpy as np
import pytest

from keras_bert.checkpoints import directory, open_checkpoint, save_checkpoint
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests import reference_bert
from tests.checkpoints.conftest import CONFIG, write_huggingface

BERT_CONFIG = BertConfig.from_dict({**CONFIG, "note": "kept"})


@pytest.fixture
def tokenizer():
    """Of 24 tokens, as many as the model's."""
    words = [f"word{i}" for i in range(CONFIG["vocab_size"] - len(SPECIAL_TOKENS))]
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *words]), do_lower_case=False)


def test_what_was_saved_is_opened(tmp_path, arrays, tokenizer):
    task = {"task": "classify", "labels": ["nein", "vielleicht", "schön"]}
    save_checkpoint(tmp_path / "deep" / "model", BERT_CONFIG, arrays, task=task, tokenizer=tokenizer)
    checkpoint = open_checkpoint(tmp_path / "deep" / "model")
    assert checkpoint.config == BERT_CONFIG
    assert checkpoint.task == task
    assert checkpoint.shapes == reference_bert.shapes(CONFIG)
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.read(name), array)
    written = os.listdir(tmp_path / "deep" / "model")
    assert {"bert_config.json", "model.safetensors", "task.json", "vocab.txt", "tokenizer_config.json"} == set(written)
    assert os.listdir(tmp_path / "deep") == ["model"]
    again = Tokenizer.from_pretrained(tmp_path / "deep" / "model")
    assert again.tokenize("word3 Word5") == tokenizer.tokenize("word3 Word5") == ["word3", "[UNK]"]


def test_without_a_task_or_a_tokenizer_their_files_are_not_written(tmp_path, arrays):
    save_checkpoint(tmp_path / "model", BERT_CONFIG, arrays)
    assert sorted(os.listdir(tmp_path / "model")) == ["bert_config.json", "model.safetensors"]
    assert open_checkpoint(tmp_path / "model").task == {}


def test_a_folder_that_stands_there_keeps_what_else_it_holds(tmp_path, arrays, tokenizer):
    folder = tmp_path / "model"
    save_checkpoint(folder, BERT_CONFIG, arrays, task={"task": "classify"}, tokenizer=tokenizer)
    (folder / "train_log.jsonl").write_text("{}")
    other = {name: array + 1 for name, array in arrays.items()}
    save_checkpoint(folder, BERT_CONFIG, other)
    assert sorted(os.listdir(folder)) == [
        *("bert_config.json", "model.safetensors", "tokenizer_config.json", "train_log.jsonl", "vocab.txt")
    ]
    assert open_checkpoint(folder).task == {}  # the earlier model's
    np.testing.assert_array_equal(
        open_checkpoint(folder).read("cls/predictions/output_bias"), other["cls/predictions/output_bias"]
    )


@pytest.mark.parametrize("there", [True, False])
def test_a_save_that_fails_leaves_what_was_there(tmp_path, arrays, monkeypatch, there):
    folder = tmp_path / "model"
    if there:
        save_checkpoint(folder, BERT_CONFIG, arrays)

    def interrupted(path, _):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(directory, "write_arrays", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, BERT_CONFIG.replace(hidden_dropout_prob=0.5), arrays)
    assert os.listdir(tmp_path) == (["model"] if there else [])
    if there:
        assert sorted(os.listdir(folder)) == ["bert_config.json", "model.safetensors"]
        assert open_checkpoint(folder).config == BERT_CONFIG


def test_a_disk_error_is_a_user_error(tmp_path, arrays, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot write .*file"):
        save_checkpoint(tmp_path / "file", BERT_CONFIG, arrays)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(directory, "write_arrays", full)
    with pytest.raises(UserError, match=r"Cannot write .*model \(.*No space left"):
        save_checkpoint(tmp_path / "model", BERT_CONFIG, arrays)
    assert os.listdir(tmp_path) == ["file"]


def test_a_vocabulary_of_another_size_is_refused_with_both_numbers(tmp_path, arrays, tokenizer):
    with pytest.raises(UserError, match="tokenizer has 24 entries, but the model's vocab_size is 25"):
        save_checkpoint(tmp_path / "model", BERT_CONFIG.replace(vocab_size=25), arrays, tokenizer=tokenizer)
    assert os.listdir(tmp_path) == []


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
    assert json.loads((tmp_path / "ours" / "bert_config.json").read_text())["hidden_act"] == "gelu_erf"


@pytest.mark.parametrize(
    ("name", "state"), [("empty", "holds no model"), ("none", "does not exist"), ("half", "holds no model")]
)
def test_what_is_no_model_is_refused_with_what_was_expected(tmp_path, name, state):
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "bert_config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(UserError, match=rf"{name} {state}; expected a model directory .* Google .* Hugging Face"):
        open_checkpoint(tmp_path / name)


def test_a_damaged_task_is_a_user_error(tmp_path, arrays):
    save_checkpoint(tmp_path / "model", BERT_CONFIG, arrays)
    (tmp_path / "model" / "task.json").write_text("{")
    with pytest.raises(UserError, match=r"task\.json is not JSON"):
        open_checkpoint(tmp_path / "model")
