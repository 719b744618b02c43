"""Google's TF1 checkpoints: finding them, reading them, and what is refused."""

import json
import os
import shutil

import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.checkpoints.google import find_prefix
from keras_bert.errors import UserError
from tests import reference_bert


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], None),
        (["bert_model.ckpt.data-00000-of-00001"], None),
        (["bert_model.ckpt.index"], "bert_model.ckpt"),
        (["model.ckpt-900.index", "model.ckpt-1000.index", "model.ckpt-20.index"], "model.ckpt-1000"),
        (["model.ckpt-900.index", "model.ckpt.index"], "model.ckpt-900"),
        (["model.ckpt-900.index", "bert_model.ckpt.index"], "bert_model.ckpt"),
    ],
)
def test_a_folder_gives_its_checkpoint(tmp_path, files, expected):
    touch(tmp_path, *files)
    assert find_prefix(tmp_path) == (tmp_path / expected if expected else None)


def test_a_prefix_is_itself(tmp_path):
    touch(tmp_path, "model.ckpt-20.index", "model.ckpt-30.index")
    assert find_prefix(tmp_path / "model.ckpt-20") == tmp_path / "model.ckpt-20"
    assert find_prefix(tmp_path / "model.ckpt-40") is None


def test_the_folder_we_stand_in_has_no_name_and_is_found(tmp_path, monkeypatch):
    touch(tmp_path, "bert_model.ckpt.index")
    monkeypatch.chdir(tmp_path)
    assert find_prefix(".") == find_prefix("") == find_prefix("bert_model.ckpt")
    assert find_prefix("/") is None or os.path.exists(f"{find_prefix('/')}.index")


@pytest.mark.parametrize("what", ["", "bert_model.ckpt"])
def test_folder_and_prefix_open_the_same_arrays(google_folder, arrays, what):
    checkpoint = open_checkpoint(google_folder / what)
    assert checkpoint.shapes == reference_bert.shapes(reference_bert.CONFIG)
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.read(name), array)
    assert checkpoint.config.hidden_act == "gelu_tanh"
    assert (checkpoint.config.vocab_size, checkpoint.task) == (24, {})


def test_what_the_optimizer_left_is_no_weight(tmp_path, arrays):
    slots = {f"{name}/{slot}": array for name, array in arrays.items() for slot in ("adam_m", "adam_v")}
    reference_bert.write_google(
        tmp_path, reference_bert.CONFIG, {**arrays, **slots, "global_step": np.array(20, np.int64)}
    )
    assert open_checkpoint(tmp_path).shapes.keys() == arrays.keys()


def test_a_classifier_s_checkpoint_tells_its_number_of_classes(tmp_path, arrays):
    head = {"output_weights": np.zeros((5, 8), np.float32), "output_bias": np.zeros(5, np.float32)}
    reference_bert.write_google(tmp_path, reference_bert.CONFIG, {**arrays, **head})
    assert open_checkpoint(tmp_path).task == {"num_classes": 5}


def test_the_config_must_stand_beside_it(google_folder):
    (google_folder / "bert_config.json").unlink()
    with pytest.raises(UserError, match=r"bert_config\.json does not exist"):
        open_checkpoint(google_folder)


def test_a_damaged_index_is_a_user_error(google_folder):
    index = google_folder / "bert_model.ckpt.index"
    data = index.read_bytes()
    for damaged in (b"", data[: len(data) // 2], b"no index at all" * 20):
        index.write_bytes(damaged)
        with pytest.raises(UserError, match=r"bert_model\.ckpt cannot be read as a TensorFlow checkpoint"):
            open_checkpoint(google_folder)


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_damaged_data_are_a_user_error(google_folder, damage):
    path = google_folder / "bert_model.ckpt.data-00000-of-00001"
    data = path.read_bytes()
    path.write_bytes(data[:100] if damage == "cut" else bytes(255 - byte for byte in data))
    if damage == "gone":
        path.unlink()
    checkpoint = open_checkpoint(google_folder)
    with pytest.raises(UserError, match=r"bert/pooler/dense/kernel cannot be read \(.+\); fetch the checkpoint again"):
        checkpoint.read("bert/pooler/dense/kernel")


@pytest.mark.parametrize(
    "name",
    [
        "uncased_L-8_H-512_A-8.index_only",
        "chinese_L-12_H-768_A-12.index_only",
        "keras_bert_test_checkpoint",
    ],
)
def test_real_index_files_hold_the_names_and_shapes_we_expect(shared, name):
    folder = shared / "data" / "checkpoints" / name
    fields = json.loads((folder / "bert_config.json").read_text())
    checkpoint = open_checkpoint(folder)
    assert checkpoint.shapes == reference_bert.shapes(fields)
    assert checkpoint.config.to_dict().items() >= {**fields, "hidden_act": "gelu_tanh"}.items()


def test_an_index_without_its_data_says_which_file_is_missing(shared, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(shared / "data" / "checkpoints" / "uncased_L-8_H-512_A-8.index_only", folder)
    with pytest.raises(UserError, match=r"bert/pooler/dense/bias cannot be read .*data-00000-of-00001"):
        open_checkpoint(folder).read("bert/pooler/dense/bias")
