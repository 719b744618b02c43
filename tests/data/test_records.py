"""The schema of the records, and what a file shows of its own."""

import json

import pytest
import tensorflow as tf

from keras_bert.data.records import (
    FEATURES,
    count_records,
    feature_spec,
    first_layout,
    manifest_path,
    read_manifest,
    shard_paths,
    stem_of,
    vocab_path,
)
from keras_bert.errors import UserError


def test_feature_names_are_googles():
    assert list(FEATURES) == [
        "input_ids",
        "input_mask",
        "segment_ids",
        "masked_lm_positions",
        "masked_lm_ids",
        "masked_lm_weights",
        "next_sentence_labels",
    ]


@pytest.mark.parametrize("aliases", [False, True])
def test_lengths_and_names_come_from_the_first_record(instances, write_google_file, tmp_path, aliases):
    path = write_google_file(tmp_path / "a.tfrecord", instances(seq_length=24, predictions=5), aliases=aliases)
    layout = first_layout(path)
    assert (layout.max_seq_length, layout.max_predictions) == (24, 5)
    spec = feature_spec(layout)
    stored = {"input_word_ids", "input_type_ids"} if aliases else {"input_ids", "segment_ids"}
    assert stored < set(spec)
    assert spec["masked_lm_weights"] == tf.io.FixedLenFeature([5], tf.float32)


def test_count_walks_the_lengths(instances, write_google_file, tmp_path):
    path = write_google_file(tmp_path / "a.tfrecord", instances(7))
    assert count_records(path) == 7
    assert count_records(path, limit=3) == 3
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(UserError, match=r"a\.tfrecord.*record 7"):
        count_records(path)


def test_empty_file(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.touch()
    assert count_records(path) == 0
    with pytest.raises(UserError, match="empty"):
        first_layout(path)


def test_other_files_are_named(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Not a record at all, only prose of some length.")
    with pytest.raises(UserError, match=r"notes\.txt.*TFRecord"):
        first_layout(path)


@pytest.mark.parametrize(
    ("feature", "message"),
    [({}, "no feature 'input_ids'"), ({"input_ids": [1, 2], "input_mask": [1]}, "1 values of 'input_mask'")],
)
def test_records_of_another_kind(tmp_path, feature, message):
    example = tf.train.Example()
    for name, values in feature.items():
        example.features.feature[name].int64_list.value.extend(values)
    with tf.io.TFRecordWriter(str(tmp_path / "a")) as writer:
        writer.write(example.SerializeToString())
    with pytest.raises(UserError, match=message):
        first_layout(tmp_path / "a")


def test_bytes_that_are_no_example(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "a")) as writer:
        writer.write(b"\xff\xff\xff")
    with pytest.raises(UserError, match=r"does not hold tf\.train\.Example"):
        first_layout(tmp_path / "a")


@pytest.mark.parametrize("name", ["wiki.tfrecord", "wiki.tf_record", "wiki", "wiki.tfrecord-00001-of-00004"])
def test_what_lies_beside_has_the_stem(tmp_path, name):
    assert stem_of(tmp_path / name) == tmp_path / "wiki"
    assert manifest_path(tmp_path / name) == tmp_path / "wiki.manifest.json"
    assert vocab_path(tmp_path / name) == tmp_path / "wiki.vocab.txt"


def test_other_dots_stay_in_the_stem():
    assert stem_of("wiki.v1.tfrecord").name == "wiki.v1"
    assert stem_of("wiki.v2").name == "wiki.v2"


def test_shard_names():
    assert [path.name for path in shard_paths("a/x.tfrecord", 1)] == ["x.tfrecord"]
    assert [path.name for path in shard_paths("a/x", 12)][10:] == ["x-00010-of-00012", "x-00011-of-00012"]


def test_manifest_of_a_shard(tmp_path):
    shard = tmp_path / "wiki.tfrecord-00000-of-00002"
    assert read_manifest(shard) is None
    (tmp_path / "wiki.manifest.json").write_text(json.dumps({"instances": 3}))
    assert read_manifest(shard) == {"instances": 3}
    for text in ("{", "[]"):
        (tmp_path / "wiki.manifest.json").write_text(text)
        with pytest.raises(UserError, match=r"wiki\.manifest\.json"):
            read_manifest(shard)
