"""Records and Examples read without TensorFlow, against what TensorFlow writes and reads."""

import gzip

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bert.data.framing import frame
from keras_bert.data.reading import parse, read_records
from keras_bert.data.records import ALIASES
from keras_bert.data.wire import serialize
from keras_bert.errors import UserError


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_records_are_what_tensorflow_wrote(tmp_path, compression):
    messages = [b"", b"a", bytes(range(256)) * 300]
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord"), compression) as writer:
        for message in messages:
            writer.write(message)
    assert list(read_records(tmp_path / "a.tfrecord")) == messages


def test_our_own_records(instances, tmp_path):
    batch = instances(5, seq_length=200)
    (tmp_path / "plain").write_bytes(frame(*serialize(batch)))
    (tmp_path / "packed").write_bytes(gzip.compress(frame(*serialize(batch))))
    for name in ("plain", "packed"):
        for row, record in enumerate(read_records(tmp_path / name)):
            features = parse(record)
            assert list(features) == sorted(batch)
            for feature, values in features.items():
                np.testing.assert_array_equal(values, batch[feature][row])
        assert row == 4


@pytest.mark.parametrize("aliases", [False, True])
def test_records_of_google_and_of_tensorflow_models(instances, write_google_file, tmp_path, aliases):
    batch = instances(3, seq_length=140)
    path = write_google_file(tmp_path / "a.tfrecord", batch, aliases=aliases)
    for row, record in enumerate(read_records(path)):
        features = parse(record)
        assert len(features) == 7
        for name, values in batch.items():
            stored = features[ALIASES.get(name, name) if aliases else name]
            np.testing.assert_array_equal(stored, values[row])
            assert stored.dtype == (np.float32 if name == "masked_lm_weights" else np.int64)


def test_no_record(tmp_path):
    (tmp_path / "a").touch()
    assert list(read_records(tmp_path / "a")) == []


def damaged(path, data):
    """Returns how many records can be read before the error, and the error's message."""
    path.write_bytes(data)
    count = 0
    with pytest.raises(UserError) as caught:
        for _ in read_records(path):
            count += 1
    assert str(path) in str(caught.value)
    return count, str(caught.value)


@pytest.fixture
def three_records(instances):
    data, sizes = serialize(instances(3))
    return frame(data, sizes), (16 + sizes).tolist()


def test_truncated_files(three_records, tmp_path):
    whole, (first, second, _) = three_records
    for cut in (1, 4, 11, 12, 40, second - 1):  # within the length, its checksum, the record, its checksum
        count, message = damaged(tmp_path / "a", whole[: first + cut])
        assert count == 1
        assert "ends within record 2" in message


@pytest.mark.parametrize("at", [0, 9, 12, 60, -1], ids=["length", "its checksum", "first", "inner", "checksum"])
def test_corrupted_files(three_records, tmp_path, at):
    whole, (first, second, _) = three_records
    data = bytearray(whole)
    data[first + at % second] ^= 4
    count, message = damaged(tmp_path / "a", data)
    assert count == 1
    assert "checksum of record 2" in message


def test_damaged_gzip(three_records, tmp_path):
    packed = gzip.compress(three_records[0])
    assert "cannot be unpacked" in damaged(tmp_path / "a", packed[:-20])[1]
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    assert "record" in damaged(tmp_path / "a", broken)[1]


def test_other_files(tmp_path):
    assert "no TFRecord file" in damaged(tmp_path / "a.txt", b"\xffNot a record at all, only rubbish.")[1]
    with pytest.raises(UserError, match="cannot be read"):
        list(read_records(tmp_path / "missing"))


def delimited(field, data):
    """A protobuf field of fewer than 128 bytes."""
    return bytes([field << 3 | 2, len(data)]) + data


def example(*features):
    """An Example of (name, serialised Feature) entries."""
    entries = [delimited(1, delimited(1, name) + delimited(2, feature)) for name, feature in features]
    return delimited(1, b"".join(entries))


def as_tensorflow_reads(record):
    features = tf.train.Example.FromString(record).features.feature
    return {n: list(getattr(f, f.WhichOneof("kind")).value) for n, f in features.items() if f.WhichOneof("kind")}


INTS = delimited(3, delimited(1, b"\x05\xac\x02"))  # 5, 300 packed
UNUSUAL = {
    "unpacked ints": example((b"x", delimited(3, b"\x08\x05\x08\xac\x02"))),
    "packed, then not": example((b"x", delimited(3, delimited(1, b"\x05\xac\x02") + b"\x08\x07"))),
    "unpacked floats": example((b"x", delimited(2, b"\x0d\x00\x00\x80\x3f\x0d\x00\x00\x00\x40"))),
    "value before key": delimited(1, delimited(1, delimited(2, INTS) + delimited(1, b"x"))),
    "no key": delimited(1, delimited(1, delimited(2, INTS))),
    "no value": delimited(1, delimited(1, delimited(1, b"x"))),
    "no kind": example((b"x", b""), (b"y", INTS)),
    "an empty list": example((b"x", delimited(3, b""))),
    "an empty packed list": example((b"x", delimited(2, delimited(1, b"")))),
    "a name twice": example((b"x", INTS), (b"y", INTS), (b"x", delimited(3, delimited(1, b"\x01")))),
    "a value twice": delimited(1, delimited(1, delimited(1, b"x") + delimited(2, INTS) * 2)),
    "one kind twice": example((b"x", INTS + INTS)),
    "two kinds": example((b"x", INTS + delimited(1, delimited(1, b"ab")))),
    "three kinds": example((b"x", INTS + delimited(1, delimited(1, b"ab")) + INTS)),
    "features twice": example((b"x", INTS)) + example((b"y", INTS)),
    "unknown fields": b"\x38\x96\x01"
    + delimited(9, b"abc")
    + example((b"x", delimited(9, b"") + INTS + b"\x21" + b"8" * 8)),
    "a negative number": example((b"x", delimited(3, delimited(1, b"\xff" * 9 + b"\x01\x05")))),
    "a negative number unpacked": example((b"x", delimited(3, b"\x08" + b"\xff" * 9 + b"\x01"))),
    "longer than needed": example((b"x", delimited(3, delimited(1, b"\x85\x80\x00\x07")))),
    "nothing": b"",
}


@pytest.mark.parametrize("record", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_messages_are_read_as_by_tensorflow(record):
    ours = {name: values.tolist() for name, values in parse(record).items()}
    assert ours == as_tensorflow_reads(record)


KIND_VALUES = {
    "int64_list": (tf.train.Int64List, st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300), np.int64),
    "float_list": (tf.train.FloatList, st.floats(width=32, allow_nan=False), np.float32),
    "bytes_list": (tf.train.BytesList, st.binary(max_size=300), object),
}


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.sampled_from(sorted(KIND_VALUES)), max_size=5), st.data())
def test_any_example(kinds, data):
    expected, feature = {}, {}
    for name, kind in kinds.items():
        message, numbers, _ = KIND_VALUES[kind]
        expected[name] = data.draw(st.lists(numbers, max_size=150))
        feature[name] = tf.train.Feature(**{kind: message(value=expected[name])})
    found = parse(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    assert {name: values.tolist() for name, values in found.items()} == expected
    assert all(values.dtype == KIND_VALUES[kinds[name]][2] for name, values in found.items())


@pytest.mark.parametrize(
    "record",
    [
        b"\xff\xff\xff",
        b"Only prose.",
        example((b"x", INTS))[:-1],
        example((b"x", delimited(3, delimited(1, b"\x05\x06"))))[:-1],
        example((b"\xff", INTS)),  # a name that is not UTF-8
        example((b"x", delimited(3, delimited(1, b"\x05\xac")))),  # a number that goes on past its list
        example((b"x", delimited(3, delimited(1, b"\xff" * 10 + b"\x01")))),  # of more than 64 bits
        example((b"x", delimited(2, delimited(1, b"\x00\x00\x80")))),  # three quarters of a float
        example((b"x", delimited(2, delimited(1, b"\x00\x00\x80") + delimited(1, b"\x3f")))),  # one in two parts
        example((b"x", b"\x07")),  # a wire type that is none
        example((b"x", b"\x02\x00")),  # field 0
    ],
)
def test_what_tensorflow_refuses_is_refused(record):
    with pytest.raises(Exception, match="Error parsing"):
        tf.train.Example.FromString(record)
    with pytest.raises(UserError, match=r"record 7 is not a tf\.train\.Example"):
        parse(record, source="record 7")
