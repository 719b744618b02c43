"""Our model directories, current and older: round trips, invalid contents, and no half-written files."""

import os

import numpy as np
import pytest

from keras_bert.checkpoints import huggingface, open_checkpoint, save_checkpoint
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests import reference_bert
from tests.checkpoints.conftest import CONFIG

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
    files = {"config.json", "model.safetensors", "task.json", "vocab.txt", "tokenizer_config.json"}
    assert files | {"task.safetensors"} == set(written)  # of the masked-LM head, which transformers' class has not
    assert os.listdir(tmp_path / "deep") == ["model"]
    again = Tokenizer.from_pretrained(tmp_path / "deep" / "model")
    assert again.tokenize("word3 Word5") == tokenizer.tokenize("word3 Word5") == ["word3", "[UNK]"]


def test_without_a_task_or_a_tokenizer_their_files_are_not_written(tmp_path, arrays):
    save_checkpoint(tmp_path / "model", BERT_CONFIG, arrays)
    assert sorted(os.listdir(tmp_path / "model")) == ["config.json", "model.safetensors"]
    assert open_checkpoint(tmp_path / "model").task == {"task": "fill_mask"}  # the architecture in config.json


def test_a_folder_that_stands_there_keeps_what_else_it_holds(tmp_path, arrays, tokenizer):
    folder = tmp_path / "model"
    save_checkpoint(folder, BERT_CONFIG, arrays, task={"task": "classify"}, tokenizer=tokenizer)
    (folder / "train_log.jsonl").write_text("{}")
    other = {name: array + 1 for name, array in arrays.items()}
    save_checkpoint(folder, BERT_CONFIG, other)
    assert sorted(os.listdir(folder)) == [
        *("config.json", "model.safetensors", "tokenizer_config.json", "train_log.jsonl", "vocab.txt")
    ]
    assert open_checkpoint(folder).task == {"task": "fill_mask"}  # task.json was the earlier model's
    np.testing.assert_array_equal(
        open_checkpoint(folder).read("cls/predictions/output_bias"), other["cls/predictions/output_bias"]
    )


@pytest.mark.parametrize("there", [True, False])
def test_a_save_that_fails_leaves_what_was_there(tmp_path, arrays, monkeypatch, there):
    folder = tmp_path / "model"
    if there:
        save_checkpoint(folder, BERT_CONFIG, arrays)

    def interrupted(path, *_, **__):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(huggingface, "write_arrays", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, BERT_CONFIG.replace(hidden_dropout_prob=0.5), arrays)
    assert os.listdir(tmp_path) == (["model"] if there else [])
    if there:
        assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
        assert open_checkpoint(folder).config == BERT_CONFIG


def test_a_disk_error_is_a_user_error(tmp_path, arrays, monkeypatch):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/deep/model"):
        with pytest.raises(UserError, match=r"Cannot write .*: .*/file is a file where a directory was expected"):
            save_checkpoint(tmp_path / place, BERT_CONFIG, arrays)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface, "write_arrays", full)
    with pytest.raises(UserError, match=r"Cannot write .*model \(.*No space left"):
        save_checkpoint(tmp_path / "model", BERT_CONFIG, arrays)
    assert os.listdir(tmp_path) == ["file"]


def test_a_vocabulary_larger_than_the_model_is_refused_with_both_numbers(tmp_path, arrays, tokenizer):
    with pytest.raises(UserError, match="tokenizer has 24 entries, but the model's vocab_size is 23"):
        save_checkpoint(tmp_path / "model", BERT_CONFIG.replace(vocab_size=23), arrays, tokenizer=tokenizer)
    assert os.listdir(tmp_path) == []


def test_a_damaged_task_is_a_user_error(tmp_path, arrays):
    save_checkpoint(tmp_path / "model", BERT_CONFIG, arrays)
    (tmp_path / "model" / "task.json").write_text("{")
    with pytest.raises(UserError, match=r"task\.json is not JSON"):
        open_checkpoint(tmp_path / "model")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"task": 3}, r"task must be a name such as 'classify'\. Received: 3\."),
        ({"num_classes": "3"}, r"num_classes must be a whole number of at least 1\. Received: '3'\."),
        ({"num_classes": True}, r"num_classes must be a whole number of at least 1\. Received: True\."),
        ({"labels": "abc"}, r"labels must be a list of names\. Received: 'abc'\."),
        ({"labels": ["a", 2.5, "c"]}, r"labels must have a string for each class\. Received: 2\.5\."),
        ({"labels": ["a", "b", "a"]}, r"labels has 'a' twice; give each class a name of its own\."),
        ({"pair": "false"}, r"pair must be true or false\. Received: 'false'\."),
        ({"null_score_diff_threshold": float("nan")}, r"null_score_diff_threshold must be a number\. Received: nan\."),
        ({"reading": 5}, r"reading must be an object of settings\. Received: 5\."),
        ({"reading": {"doc_stride": "9"}}, r"doc_stride must be a whole number of at least 1\. Received: '9'\."),
        ({"num_classes": 3, "labels": []}, r"differ in the number of classes: 3 by num_classes, 0 by labels"),
        ({"num_classes": 3, "labels": ["a", "b"]}, r"differ in the number of classes: 3 by num_classes, 2 by labels"),
        ({"num_classes": 4, "labels": list("abcd")}, r"4 by num_classes, 4 by labels, 3 by output_weights; save"),
    ],
)
def test_a_task_that_cannot_be_is_refused_with_its_numbers(tmp_path, arrays, task, message):
    head = {"output_weights": np.zeros((3, 8), np.float32), "output_bias": np.zeros(3, np.float32)}
    save_checkpoint(tmp_path / "model", BERT_CONFIG, {**arrays, **head}, task=task)
    with pytest.raises(UserError, match=message):
        open_checkpoint(tmp_path / "model")


def test_weights_of_any_type_are_kept_as_float32(tmp_path, arrays):
    few = {name: array.astype(np.float16) for name, array in arrays.items()}
    save_checkpoint(tmp_path / "model", BERT_CONFIG, few)
    checkpoint = open_checkpoint(tmp_path / "model")
    for name, array in few.items():
        assert checkpoint.read(name).dtype == np.float32
        np.testing.assert_array_equal(checkpoint.read(name), array)
