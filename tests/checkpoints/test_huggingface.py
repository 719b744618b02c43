"""Hugging Face directories: layout, gelu, heads in and out, shards, and never a pickle."""

import dataclasses
import json
import pickle
import re

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_bert.checkpoints import open_checkpoint, write_checkpoint
from keras_bert.checkpoints.directory import OLDER_WORDS
from keras_bert.checkpoints.huggingface import MULTI_LABEL
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.models import BertClassifier
from tests import reference_bert
from tests.reference_huggingface import HEADS, LABELLED, write_huggingface


def test_arrays_come_in_google_s_names_and_layout(huggingface_folder, arrays):
    checkpoint = open_checkpoint(huggingface_folder)
    assert checkpoint.shapes == reference_bert.shapes(reference_bert.CONFIG)
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.read(name), array)
    assert checkpoint.config.hidden_act == "gelu_erf"
    assert checkpoint.config.extra == {}
    assert checkpoint.task == {}


def test_a_bare_encoder_without_the_prefix_reads_the_same(tmp_path, arrays):
    encoder = {name: array for name, array in arrays.items() if name.startswith("bert/")}
    plain = open_checkpoint(write_huggingface(tmp_path / "plain", encoder))
    bare = {name.removeprefix("bert/"): array for name, array in encoder.items()}
    bare = open_checkpoint(write_huggingface(tmp_path / "bare", bare))
    assert bare.shapes == plain.shapes
    np.testing.assert_array_equal(bare.read("bert/pooler/dense/kernel"), arrays["bert/pooler/dense/kernel"])


def test_parameters_that_we_do_not_know_keep_their_names(tmp_path, arrays):
    more = {"bert/projection": np.zeros((3, 2), np.float32), "bert/projection_ids": np.arange(12)}
    checkpoint = open_checkpoint(write_huggingface(tmp_path / "more", {**arrays, **more}))
    assert checkpoint.shapes["bert.projection"] == (3, 2)
    assert checkpoint.shapes.keys() == {*arrays, "bert.projection"}
    assert checkpoint.notes == ("left out, as it holds no floats: bert.projection_ids",)


def test_copies_that_older_files_hold_are_passed_over(tmp_path, arrays):
    more = {"bert/embeddings/position_ids": np.arange(12)[None]}
    more["cls/predictions/decoder/weight"] = arrays["bert/embeddings/word_embeddings"]
    more["cls/predictions/decoder/bias"] = arrays["cls/predictions/output_bias"]
    checkpoint = open_checkpoint(write_huggingface(tmp_path / "old", {**arrays, **more}))
    assert checkpoint.shapes == reference_bert.shapes(reference_bert.CONFIG)
    assert checkpoint.notes == ()


def test_a_head_with_output_weights_of_its_own_is_not_taken_for_a_tied_one(tmp_path, arrays):
    more = {"cls/predictions/decoder/weight": arrays["bert/embeddings/word_embeddings"] + 1}
    folder = write_huggingface(tmp_path / "untied", {**arrays, **more}, tie_word_embeddings=False)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.shapes.keys() - arrays.keys() == {"cls/predictions/output_weights"}
    np.testing.assert_array_equal(
        checkpoint.read("cls/predictions/output_weights"), more["cls/predictions/decoder/weight"]
    )
    assert not checkpoint.config.tie_word_embeddings
    assert checkpoint.notes == ()


def test_a_classifier_tells_its_classes(tmp_path, arrays):
    head = {"classifier/output_weights": np.zeros((3, 8), np.float32), "classifier/bias": np.zeros(3, np.float32)}
    names = {"0": "no", "1": "maybe", "2": "yes"}
    folder = write_huggingface(tmp_path / "head", {**arrays, **head}, id2label=names)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.shapes["output_weights"] == (3, 8)
    assert checkpoint.task == {"num_classes": 3, "labels": ["no", "maybe", "yes"]}
    write_huggingface(folder, {**arrays, **head}, architectures=["BertForTokenClassification"])
    assert open_checkpoint(folder).task == {"task": "tag", "num_classes": 3}


@pytest.mark.parametrize(
    ("fields", "note", "task"),
    [
        ({"problem_type": "regression"}, "a regression to 3 numbers, which no model here is", {}),
        ({"id2label": {"0": "no", "1": "yes"}}, "names 2 classes, but its head has 3", {"num_classes": 3}),
    ],
)
def test_what_the_configuration_says_of_the_head_and_is_not_used_is_noted(tmp_path, arrays, fields, note, task):
    head = {"classifier/output_weights": np.zeros((3, 8), np.float32), "classifier/bias": np.zeros(3, np.float32)}
    fields = {"architectures": ["BertForSequenceClassification"], **fields}
    checkpoint = open_checkpoint(write_huggingface(tmp_path, {**arrays, **head}, **fields))
    assert note in "; ".join(checkpoint.notes)
    assert checkpoint.task == ({"task": "classify", **task} if task else {})


@pytest.mark.parametrize(
    ("classes", "fields", "kind"),
    [
        (3, {"problem_type": MULTI_LABEL}, "multi_label"),
        (3, {"problem_type": MULTI_LABEL, "architectures": ["BertForSequenceClassification"]}, "multi_label"),
        (3, {"problem_type": MULTI_LABEL, "architectures": ["BertForTokenClassification"]}, None),
        (3, {"problem_type": "single_label_classification"}, "classes"),
        (0, {"problem_type": MULTI_LABEL}, None),
    ],
)
def test_classes_that_do_not_exclude_each_other(tmp_path, arrays, classes, fields, kind):
    head = {"classifier/output_weights": np.ones((classes, 8), "f4"), "classifier/bias": np.ones(classes, "f4")}
    checkpoint = open_checkpoint(write_huggingface(tmp_path, {**arrays, **(head if classes else {})}, **fields))
    assert checkpoint.task.get("multi_label", False) == (kind == "multi_label")
    if kind:
        model = BertClassifier.from_pretrained(tmp_path)
        assert model.kind == kind
        model.save_pretrained(tmp_path / "back", format="huggingface")
        problem = json.loads((tmp_path / "back" / "config.json").read_text())
        assert problem.get("problem_type") == (MULTI_LABEL if kind == "multi_label" else None)
        assert open_checkpoint(tmp_path / "back").task.get("multi_label", False) == (kind == "multi_label")


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
    ("field", "value", "rest"),
    [
        ("model_type", "gpt2", "a known family of encoders; the known ones are bert, roberta, "),
        ("model_type", ["bert"], "a known family of encoders; the known ones are bert, roberta, "),
        ("position_embedding_type", "relative_key", "implemented for BERT; 'absolute' is"),
        ("is_decoder", True, "implemented for BERT; False is"),
    ],
)
def test_what_is_not_known_is_refused_by_name(tmp_path, arrays, field, value, rest):
    folder = write_huggingface(tmp_path / "other", arrays, **{field: value})
    with pytest.raises(UserError, match=rf"config\.json: {field} is {re.escape(repr(value))}, which is not {rest}"):
        open_checkpoint(folder)


def test_a_damaged_config_is_a_user_error(huggingface_folder):
    for text in ("{", "[]", json.dumps({"hidden_size": 770, "num_attention_heads": 12})):
        (huggingface_folder / "config.json").write_text(text)
        with pytest.raises(UserError):
            open_checkpoint(huggingface_folder)


def shard(folder, arrays):
    """Puts every other array of a Hugging Face directory into a second file, with an index."""
    stored = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shard_of = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(sorted(stored))}
    for file in set(shard_of.values()):
        save_file({name: array for name, array in stored.items() if shard_of[name] == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": shard_of}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return shard_of


def test_shards_are_read_as_one(huggingface_folder, arrays):
    shard(huggingface_folder, arrays)
    checkpoint = open_checkpoint(huggingface_folder)
    assert checkpoint.shapes == reference_bert.shapes(reference_bert.CONFIG)
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.read(name), array)


def test_shards_that_do_not_fit_their_index_are_refused_by_name(huggingface_folder, arrays):
    shard_of = shard(huggingface_folder, arrays)
    index = huggingface_folder / "model.safetensors.index.json"
    for weight_map, message in (
        (None, "has no weight_map"),
        ({**shard_of, "more": shard_of["bert.pooler.dense.bias"]}, "lacks more, which .* says it has"),
        ({**shard_of, "more": "../model.safetensors"}, r"names the shard \.\./model\.safetensors, which is not in"),
        ({**shard_of, "more": "gone.safetensors"}, r"names the shard gone\.safetensors, which is not in"),
    ):
        index.write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(UserError, match=message):
            open_checkpoint(huggingface_folder)


@pytest.mark.parametrize("head", HEADS)
def test_our_golden_directories_are_written_as_they_were_made(golden, tmp_path, head):
    theirs = golden / "huggingface" / head
    write_checkpoint(open_checkpoint(theirs), tmp_path / "new", format="huggingface")
    stored, expected = (load_file(folder / "model.safetensors") for folder in (tmp_path / "new", theirs))
    assert stored.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(stored[name], array)
    fields, expected = (json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "new", theirs))
    del expected["transformers_version"]
    more = {"layer_norm_eps": 1e-12, "pad_token_id": 0, "tie_word_embeddings": True, "classifier_dropout": None}
    assert fields == {**expected, **more}
    assert ("id2label" in fields) == (head in LABELLED)


@pytest.mark.parametrize("head", HEADS)
def test_heads_and_their_tasks_travel_through_every_format(golden, tmp_path, head):
    source = open_checkpoint(golden / "huggingface" / head)
    assert source.task["task"] == OLDER_WORDS[head.replace("sequence_", "")]
    assert source.task.get("labels") == ([f"LABEL_{i}" for i in range(len(source.task.get("labels", ())))] or None)
    write_checkpoint(source, tmp_path / "ours")
    write_checkpoint(open_checkpoint(tmp_path / "ours"), tmp_path / "google", format="google", log=lambda _: None)
    for folder in ("ours", "google"):
        found = open_checkpoint(tmp_path / folder)
        assert found.shapes == source.shapes
        for name in source.shapes:
            np.testing.assert_array_equal(found.read(name), source.read(name))
    assert open_checkpoint(tmp_path / "ours").task == source.task
    assert open_checkpoint(tmp_path / "ours").config == source.config


@pytest.mark.parametrize(
    ("task", "heads", "architecture", "lost"),
    [
        ({}, ("cls/predictions/", "cls/seq_relationship/"), "BertForPreTraining", None),
        ({"task": "fill_mask"}, ("cls/predictions/",), "BertForMaskedLM", "bert/pooler/dense/bias, "),
        ({}, (), "BertModel", None),
        ({"task": "classify"}, ("cls/predictions/",), "BertModel", "the task's task=classify, cls/pred"),
    ],
)
def test_the_architecture_is_what_task_and_weights_make_it(tmp_path, google_folder, task, heads, architecture, lost):
    checkpoint = open_checkpoint(google_folder)
    shapes = {name: shape for name, shape in checkpoint.shapes.items() if name.startswith(("bert/", *heads))}
    said = []
    checkpoint = dataclasses.replace(checkpoint, shapes=shapes, task=task)
    write_checkpoint(checkpoint, tmp_path / "new", format="huggingface", log=said.append)
    assert json.loads((tmp_path / "new" / "config.json").read_text())["architectures"] == [architecture]
    names = load_file(tmp_path / "new" / "model.safetensors").keys()
    assert ("embeddings.word_embeddings.weight" in names) == (architecture == "BertModel")
    assert ("bert.embeddings.word_embeddings.weight" in names) == (architecture != "BertModel")
    assert [f"transformers' {architecture} has no place for {lost}" in note for note in said] == [True] * bool(lost)


def test_what_has_no_place_is_said_by_name(tmp_path, golden):
    source = open_checkpoint(golden / "huggingface" / "sequence_classification")
    task = {**source.task, "labels": ["a", "b", "ü"], "pair": True}
    checkpoint = dataclasses.replace(source, task=task, shapes={**source.shapes, "mine/kernel": (2, 2)})
    with pytest.warns(UserWarning, match="Classification has no place for the task's pair=True, mine/kernel"):
        write_checkpoint(checkpoint, tmp_path / "new", format="huggingface")
    assert open_checkpoint(tmp_path / "new").task == {**source.task, "labels": ["a", "b", "ü"]}


@pytest.mark.parametrize(("ours", "theirs"), [("gelu_tanh", "gelu_new"), ("gelu_erf", "gelu"), ("relu", "relu")])
def test_the_activation_and_other_fields_come_back(tmp_path, google_folder, ours, theirs):
    checkpoint = open_checkpoint(google_folder)
    config = checkpoint.config.replace(hidden_act=ours, layer_norm_eps=1e-5, extra={"directionality": "bidi"})
    checkpoint = dataclasses.replace(checkpoint, config=config)
    write_checkpoint(checkpoint, tmp_path / "new", format="huggingface")
    fields = json.loads((tmp_path / "new" / "config.json").read_text())
    assert (fields["hidden_act"], fields["directionality"]) == (theirs, "bidi")
    assert open_checkpoint(tmp_path / "new").config == config
    assert BertConfig.from_file(tmp_path / "new" / "config.json") == config
