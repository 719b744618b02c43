"""The schema of the records, and what a file shows of its own."""

import gzip
import json

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.data.framing import frame
from keras_bert.data.reading import first_layout
from keras_bert.data.records import (
    FEATURES,
    UNMASKED_FEATURES,
    compression_of,
    count_records,
    feature_spec,
    manifest_path,
    read_manifest,
    shard_paths,
    stem_of,
    vocab_path,
)
from keras_bert.data.wire import serialize
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


@pytest.mark.parametrize("compression", ["", "GZIP"])
@pytest.mark.parametrize("aliases", [False, True])
def test_unmasked_records_show_no_number_of_predictions(instances, write_google_file, tmp_path, compression, aliases):
    features = {name: values for name, values in instances(seq_length=24).items() if name in UNMASKED_FEATURES}
    path = write_google_file(tmp_path / "a.tfrecord", features, compression=compression, aliases=aliases)
    layout = first_layout(path)
    assert layout.dynamic
    assert (layout.max_seq_length, layout.max_predictions, set(layout.names)) == (24, None, set(UNMASKED_FEATURES))
    assert str(layout).startswith("max_seq_length 24, unmasked")
    assert not first_layout(write_google_file(tmp_path / "b.tfrecord", instances())).dynamic


def test_half_masked_records_are_refused(instances, write_google_file, tmp_path):
    features = {name: values for name, values in instances().items() if name != "masked_lm_weights"}
    with pytest.raises(UserError, match="no feature 'masked_lm_weights'"):
        first_layout(write_google_file(tmp_path / "a.tfrecord", features))


def test_our_bytes_are_read_by_google_s_input_function(instances, tmp_path):
    batch = instances(5, seq_length=16, predictions=4)
    (tmp_path / "a.tfrecord").write_bytes(frame(*serialize(batch)))
    name_to_features = {  # as in input_fn_builder of google-research/bert's run_pretraining.py
        "input_ids": tf.io.FixedLenFeature([16], tf.int64),
        "input_mask": tf.io.FixedLenFeature([16], tf.int64),
        "segment_ids": tf.io.FixedLenFeature([16], tf.int64),
        "masked_lm_positions": tf.io.FixedLenFeature([4], tf.int64),
        "masked_lm_ids": tf.io.FixedLenFeature([4], tf.int64),
        "masked_lm_weights": tf.io.FixedLenFeature([4], tf.float32),
        "next_sentence_labels": tf.io.FixedLenFeature([1], tf.int64),
    }
    records = list(tf.data.TFRecordDataset(str(tmp_path / "a.tfrecord")))
    parsed = [tf.io.parse_single_example(record, name_to_features) for record in records]
    assert len(parsed) == 5
    for name, values in batch.items():
        np.testing.assert_array_equal(np.stack([example[name] for example in parsed]), values)


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_count_walks_the_lengths(instances, write_google_file, tmp_path, compression):
    path = write_google_file(tmp_path / "a.tfrecord", instances(7), compression=compression)
    assert compression_of(path) == compression
    assert count_records(path) == 7
    assert count_records(path, limit=3) == 3
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(UserError, match=r"a\.tfrecord is damaged"):
        count_records(path)
    path.write_bytes(whole + whole[:3] if not compression else gzip.compress(gzip.decompress(whole) + b"abc"))
    with pytest.raises(UserError, match=r"a\.tfrecord is damaged: it ends within record 8"):
        count_records(path)


def test_a_count_is_not_led_astray_by_a_damaged_length(instances, write_google_file, tmp_path):
    path = write_google_file(tmp_path / "a.tfrecord", instances(2))
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    for length in (2**64 - 1, 2**40, size - 1):
        path.write_bytes(length.to_bytes(8, "little") + whole[8:])
        with pytest.raises(UserError, match="the checksum of record 1 does not fit"):
            count_records(path)
    path.write_bytes(whole[: size + 16] + bytes(size + 16))
    with pytest.raises(UserError, match=rf"is damaged: the checksum of record 2 .*\(at byte {size + 16}\)"):
        count_records(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(1 << 20), "is damaged, or no TFRecord file: the checksum of record 1"),
        (b"A first line.\nA second one, \xc3\xa9 and more.\n" * 9, "is text, not a TFRecord file; .*pretraining_data"),
        (gzip.compress(b"A packed line.\n" * 9), "is text, not a TFRecord file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "or no TFRecord file"),
        (b"\0" * 7, "ends within record 1"),
    ],
    ids=["zeros", "text", "packed text", "picture", "few zeros"],
)
def test_what_is_no_record_file_is_not_counted(tmp_path, content, message):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        count_records(path)
    with pytest.raises(UserError, match=message):
        first_layout(path)


def test_compression_is_told_by_the_content(tmp_path):
    # a first record of 0x8b1f = 35,615 bytes begins as a gzip file does
    message = np.zeros(35615, np.uint8)
    plain = frame(message, np.array([len(message)]))
    assert plain[:2] == b"\x1f\x8b"
    path = tmp_path / "a.gz"
    for content, expected in (
        (plain, ""),
        (gzip.compress(plain), "GZIP"),
        (b"", ""),
        (b"\x1f\x8b", "GZIP"),
        (b"ab", ""),
    ):
        path.write_bytes(content)
        assert compression_of(path) == expected
    with pytest.raises(UserError, match=r"none cannot be read: No such file"):
        compression_of(tmp_path / "none")


def test_a_damaged_gzip_file_is_named(instances, write_google_file, tmp_path):
    path = write_google_file(tmp_path / "a.tfrecord", instances(50), compression="GZIP")
    whole = bytearray(path.read_bytes())
    whole[40:60] = bytes(20)
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"a\.tfrecord is damaged"):
        first_layout(path)
    with pytest.raises(UserError, match=r"a\.tfrecord is damaged"):
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
    [({}, "no feature 'input_ids'"), ({"input_ids": [1, 2], "input_mask": [1]}, r"1 values .*of 'input_mask'")],
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
    with pytest.raises(UserError, match=r"is not a tf\.train\.Example"):
        first_layout(tmp_path / "a")


@pytest.mark.parametrize(
    "name", ["wiki.tfrecord", "wiki.tf_record", "wiki", "wiki.tfrecord-00001-of-00004", "wiki.tfrecord.gz"]
)
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
