"""Our record bytes against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bert.data.records import FEATURES
from keras_bert.data.wire import frame, masked_crc32c, serialize


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


def test_messages_are_the_examples_that_tensorflow_would_make(instances):
    batch = instances(20, seq_length=300, predictions=45)
    for row, message in enumerate(split(*serialize(batch))):
        expected = as_example(batch, row)
        assert tf.train.Example.FromString(message) == expected
        assert len(message) == expected.ByteSize()  # no longer than the canonical encoding


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(1, 40), st.integers(1, 20))
def test_any_ids_survive(data, count, seq_length, predictions):
    lengths = {"S": seq_length, "P": predictions, 1: 1}
    edges = st.sampled_from([0, 1, 127, 128, 16383, 16384, 2**21 - 1, 2**21, 2**31 - 1]) | st.integers(0, 2**31 - 1)
    batch = {}
    for name, feature in FEATURES.items():
        numbers = st.floats(width=32, allow_nan=False) if feature.kind == "float" else edges
        size = count * lengths[feature.length]
        flat = data.draw(st.lists(numbers, min_size=size, max_size=size))
        batch[name] = np.array(flat, np.float32 if feature.kind == "float" else np.int64).reshape(count, -1)
    for row, message in enumerate(split(*serialize(batch))):
        assert tf.train.Example.FromString(message) == as_example(batch, row)


def test_file_is_byte_for_byte_what_tensorflow_writes(instances, tmp_path):
    data, sizes = serialize(instances(50))
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for message in split(data, sizes):
            writer.write(message)
    assert frame(data, sizes) == (tmp_path / "theirs").read_bytes()


def test_checksum_of_a_known_string():
    crc = 0xE3069283  # CRC-32C of "123456789", the polynomial's published check value
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    message = np.frombuffer(b"123456789", np.uint8)
    assert masked_crc32c(message, np.array([9])).tolist() == [masked]


def test_shapes_that_disagree_are_refused(instances):
    batch = instances()
    batch["masked_lm_ids"] = batch["masked_lm_ids"][:, :-1]
    with pytest.raises(ValueError, match="masked_lm_ids"):
        serialize(batch)
