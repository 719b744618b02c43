"""Our record bytes against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bert.data import wire
from keras_bert.data.framing import frame, masked_crc32c
from keras_bert.data.records import FEATURES, UNMASKED_FEATURES
from keras_bert.data.wire import serialize


def split(data, sizes):
    ends = np.cumsum(sizes)
    return [data[end - size : end].tobytes() for end, size in zip(ends, sizes, strict=True)]


def as_example(instances, row):
    feature = {}
    for name, values in instances.items():
        if FEATURES[name].kind == "float":
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values[row]))
        else:
            feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values[row]))
    return tf.train.Example(features=tf.train.Features(feature=feature))


def assert_same_bytes(instances):
    data, sizes = serialize(instances)
    assert data.dtype == np.uint8
    assert len(data) == sizes.sum()
    for row, message in enumerate(split(data, sizes)):
        assert message == as_example(instances, row).SerializeToString(deterministic=True)


@pytest.mark.parametrize("names", [tuple(FEATURES), UNMASKED_FEATURES], ids=["masked", "unmasked"])
@pytest.mark.parametrize(("seq_length", "predictions"), [(16, 4), (128, 20), (300, 45)])
def test_messages_are_byte_for_byte_tensorflows(instances, names, seq_length, predictions):
    batch = instances(20, seq_length=seq_length, predictions=predictions)
    assert_same_bytes({name: batch[name] for name in names})


def test_lists_whose_sizes_need_other_numbers_of_bytes(instances):
    """The sizes that stand before a list of 60 numbers take one byte or two, in one and the same batch."""
    batch = instances(60, seq_length=60, predictions=50)
    for row in range(60):
        batch["input_ids"][row, row:] = 0  # 1 byte each, the others 2 or 3
        batch["masked_lm_ids"][row, : row // 2] = 5
    _, sizes = serialize(batch)
    assert len(set(sizes.tolist())) > 20
    assert_same_bytes(batch)


def test_more_instances_than_are_laid_out_at_once(instances, monkeypatch):
    monkeypatch.setattr(wire, "VALUES_AT_ONCE", 50)
    assert_same_bytes(instances(11, seq_length=16))  # three at a time
    assert_same_bytes(instances(3, seq_length=60))  # fewer than one


def test_no_instances(instances):
    data, sizes = serialize(instances(0))
    assert (data.shape, sizes.shape) == ((0,), (0,))
    assert frame(data, sizes) == b""


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(1, 40), st.integers(1, 20))
def test_any_ids_survive(data, count, seq_length, predictions):
    lengths = {"S": seq_length, "P": predictions, 1: 1}
    edges = st.sampled_from([0, 1, 127, 128, 16383, 16384, 2**21 - 1, 2**21, 2**31 - 1, 2**31, 2**63 - 1])
    ids = edges | st.integers(0, 2**31 - 1) | st.integers(0, 200)
    batch = {}
    for name, feature in FEATURES.items():
        numbers = st.floats(width=32, allow_nan=False) if feature.kind == "float" else ids
        size = count * lengths[feature.length]
        flat = data.draw(st.lists(numbers, min_size=size, max_size=size))
        batch[name] = np.array(flat, np.float32 if feature.kind == "float" else np.int64).reshape(count, -1)
    assert_same_bytes(batch)


def test_file_is_byte_for_byte_what_tensorflow_writes(instances, tmp_path):
    batch = instances(50, seq_length=128, predictions=20)
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for row in range(50):
            writer.write(as_example(batch, row).SerializeToString(deterministic=True))
    assert frame(*serialize(batch)) == (tmp_path / "theirs").read_bytes()


def test_checksum_of_a_known_string():
    crc = 0xE3069283  # CRC-32C of "123456789", the polynomial's published check value
    assert masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_shapes_that_disagree_are_refused(instances):
    batch = instances()
    batch["masked_lm_ids"] = batch["masked_lm_ids"][:, :-1]
    with pytest.raises(ValueError, match="masked_lm_ids"):
        serialize(batch)


def test_neither_all_features_nor_the_unmasked_ones_are_refused(instances):
    batch = instances()
    del batch["masked_lm_weights"]
    with pytest.raises(ValueError, match=r"Received: .*masked_lm_ids, next_sentence_labels\."):
        serialize(batch)
