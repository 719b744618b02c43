"""Hugging Face directories: names, transposition, gelu, and never a pickle."""

import json
import pickle

import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.checkpoints.huggingface import google_name
from keras_bert.errors import UserError
from tests import reference_bert
from tests.checkpoints.conftest import huggingface_name, write_huggingface


def test_every_name_of_a_pretraining_model_is_known(arrays):
    for name in arrays:
        there = huggingface_name(name)
        assert google_name(there) == google_name(there.removeprefix("bert.")) == (name, name.endswith("kernel"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bert.embeddings.LayerNorm.gamma", ("bert/embeddings/LayerNorm/gamma", False)),
        ("bert.encoder.layer.11.output.LayerNorm.beta", ("bert/encoder/layer_11/output/LayerNorm/beta", False)),
        ("classifier.weight", ("output_weights", False)),
        ("qa_outputs.bias", ("cls/squad/output_bias", False)),
        ("bert.embeddings.position_ids", None),
        ("cls.predictions.decoder.weight", None),
        ("encoder.layer.0.attention.self.query.weight.more", None),
    ],
)
def test_other_spellings(name, expected):
    assert google_name(name) == expected


def test_arrays_come_in_google_s_names_and_layout(huggingface_folder, arrays):
    checkpoint = open_checkpoint(huggingface_folder)
    assert checkpoint.shapes == reference_bert.shapes(reference_bert.CONFIG)
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.read(name), array)
    assert checkpoint.config.hidden_act == "gelu_erf"
    assert checkpoint.config.extra["model_type"] == "bert"
    assert checkpoint.task == {}


def test_a_bare_encoder_without_the_prefix_reads_the_same(tmp_path, arrays):
    encoder = {name: array for name, array in arrays.items() if name.startswith("bert/")}
    plain = open_checkpoint(write_huggingface(tmp_path / "plain", encoder))
    bare = {name.removeprefix("bert/"): array for name, array in encoder.items()}
    bare = open_checkpoint(write_huggingface(tmp_path / "bare", bare))
    assert bare.shapes == plain.shapes
    np.testing.assert_array_equal(bare.read("bert/pooler/dense/kernel"), arrays["bert/pooler/dense/kernel"])


def test_parameters_that_we_do_not_know_keep_their_names(tmp_path, arrays):
    folder = write_huggingface(tmp_path / "more", {**arrays, "bert/embeddings/position_ids": np.arange(12)})
    assert open_checkpoint(folder).shapes["bert.embeddings.position_ids"] == (12,)


def test_a_classifier_tells_its_classes(tmp_path, arrays):
    head = {"classifier/output_weights": np.zeros((3, 8), np.float32), "classifier/bias": np.zeros(3, np.float32)}
    names = {"0": "no", "1": "maybe", "2": "yes"}
    folder = write_huggingface(tmp_path / "head", {**arrays, **head}, id2label=names)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.shapes["output_weights"] == (3, 8)
    assert checkpoint.task == {"num_classes": 3, "labels": ["no", "maybe", "yes"]}
    write_huggingface(folder, {**arrays, **head})
    assert open_checkpoint(folder).task == {"num_classes": 3}


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pkl"])
def test_a_pickle_is_never_loaded(tmp_path, arrays, name):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "it ran"), "w"))

    folder = write_huggingface(tmp_path / "pickled", arrays)
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(
        UserError, match=r"no model\.safetensors; .*safe_serialization=True \(pickled weights are never"
    ):
        open_checkpoint(folder)
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("model_type", "roberta"), ("position_embedding_type", "relative_key"), ("is_decoder", True)],
)
def test_what_is_no_bert_is_refused_by_name(tmp_path, arrays, field, value):
    folder = write_huggingface(tmp_path / "other", arrays, **{field: value})
    with pytest.raises(UserError, match=f"is no BERT: its {field} is {value!r}"):
        open_checkpoint(folder)


def test_a_damaged_config_is_a_user_error(huggingface_folder):
    for text in ("{", "[]", json.dumps({"hidden_size": 770, "num_attention_heads": 12})):
        (huggingface_folder / "config.json").write_text(text)
        with pytest.raises(UserError):
            open_checkpoint(huggingface_folder)
