"""The records of a TFRecord file, and tf.train.Example messages as arrays, without TensorFlow.

The inverse of wire.py, but for any file and any Example, whoever wrote it. Sources: the protocol buffer encoding
guide and tensorflow/core/example/{example,feature}.proto.
"""

import numpy as np

from keras_bert.data.damage import Record, walk
from keras_bert.data.records import layout_of
from keras_bert.errors import UserError

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5  # protobuf's wire types
LONGEST_VARINT = 10  # bytes, of 64 bits


def read_records(path, *, skip_damaged=False):
    """Yields the records of a TFRecord file, plain or gzip, as bytes.

    Args:
        path: the file.
        skip_damaged: leave out what is damaged, as `keras_bert.data.damage.damaged_records` tells it.

    Raises:
        UserError: the file cannot be read, or is damaged; the record is named by its number, counting from 1, and
            the place where it begins.
    """
    for found in walk(path, skip_damaged=skip_damaged):
        if isinstance(found, Record):
            yield found.data


def first_layout(path, *, skip_damaged=False):
    """Returns the RecordLayout of the first record of a TFRecord file (the first intact one with `skip_damaged`).

    Raises:
        UserError: the file is empty, damaged or holds other records.
    """
    for record in read_records(path, skip_damaged=skip_damaged):
        return layout_of(parse(record, source=f"Record 1 of {path}"), f"{path}: record 1")
    raise UserError(f"{path} is empty: it holds no record; make it again with create_pretraining_data.")


def parse(record, *, source="The record"):
    """Returns the features of a serialised tf.train.Example.

    As in TensorFlow a name that stands there twice has its last value, a feature of no kind is not there, and
    what the message has beyond the three kinds of lists is passed over.

    Args:
        record: bytes.
        source: how an error names the record.

    Returns:
        A dict from each feature's name to an array (K,): int64, float32, or object (of bytes).

    Raises:
        UserError: the bytes are no such message.

    Example:
        >>> parse(bytes.fromhex("0a100a0e 0a0269641208 1a060a04 05ac0207"))
        {'id': array([  5, 300,   7])}
    """
    features = {}
    try:
        for message in _submessages(record, 1):  # Example.features
            for entry in _submessages(message, 1):  # Features.feature, a map
                name = [b"", *_submessages(entry, 1)][-1].decode()
                values = _values(b"".join(_submessages(entry, 2)))  # joined: protobuf merges what stands there twice
                if values is not None:
                    features[name] = values
    except ValueError as error:  # UnicodeDecodeError among them
        raise UserError(f"{source} is not a tf.train.Example ({error}); expected a record of training data.") from error
    return features


def _values(feature):
    """Returns the array of a serialised tensorflow.Feature, or None if it is of no kind."""
    kind, values = None, []
    for field, wire, message in _fields(feature):
        if wire == DELIMITED and field in KINDS:
            values = [*(values if field == kind else []), message]  # of several kinds the last counts
            kind = field
    return None if kind is None else KINDS[kind](b"".join(values))


def _byte_strings(message):
    """Returns the values of a BytesList."""
    values = list(_submessages(message, 1))
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _floats(message):
    """Returns the values of a FloatList, packed or not."""
    parts = [v for field, wire, v in _fields(message) if field == 1 and wire in (DELIMITED, FIXED32)]
    if any(len(part) % 4 for part in parts):
        raise ValueError("a list ends within a float")
    return np.frombuffer(b"".join(parts), "<f4").astype(np.float32)


def _ints(message):
    """Returns the values of an Int64List, packed or not."""
    parts = [
        np.array([value], np.uint64) if wire == VARINT else _varints(value)
        for field, wire, value in _fields(message)
        if field == 1 and wire in (DELIMITED, VARINT)
    ]
    return np.concatenate([np.empty(0, np.uint64), *parts]).astype(np.int64)


KINDS = {1: _byte_strings, 2: _floats, 3: _ints}  # by the field of tensorflow.Feature


def _varints(packed):
    """Returns uint64 (K,) of the varints that stand one after the other in `packed`."""
    data = np.frombuffer(packed, np.uint8)
    if data.max(initial=0) < 0x80:
        return data.astype(np.uint64)
    ends = np.flatnonzero(data < 0x80) + 1
    starts = np.concatenate([[0], ends])[:-1]
    sizes = ends - starts
    if not len(ends) or ends[-1] < len(data) or sizes.max() > LONGEST_VARINT:
        raise ValueError("a number does not end")
    shifts = 7 * (np.arange(len(data)) - np.repeat(starts, sizes))
    return np.bitwise_or.reduceat((data & 0x7F).astype(np.uint64) << shifts.astype(np.uint64), starts)


def _submessages(message, field):
    """Yields the bytes of each occurrence of a delimited field."""
    return (value for number, wire, value in _fields(message) if (number, wire) == (field, DELIMITED))


def _fields(message):
    """Yields (field number, wire type, value) of a message: the value an int for varints, bytes otherwise."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if field == 0 or wire not in (VARINT, FIXED64, DELIMITED, FIXED32):
            raise ValueError(f"byte {at - 1} begins no field")
        if wire == VARINT:
            value, at = _varint(message, at)
        else:
            size, at = _varint(message, at) if wire == DELIMITED else (8 if wire == FIXED64 else 4, at)
            value = message[at : at + size]
            if len(value) < size:
                raise ValueError("it ends within a field")
            at += size
        yield field, wire, value


def _varint(message, at):
    """Returns the varint that begins at message[at], modulo 2**64, and where it ends."""
    value = 0
    for i, byte in enumerate(message[at : at + LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + i + 1
    raise ValueError("a number does not end")
