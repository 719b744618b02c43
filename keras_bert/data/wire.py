"""Pre-training instances -> bytes of a TFRecord file, many at a time, by numpy alone.

tf.train.Example costs about 60 microseconds an instance and TensorFlow's start-up seconds; laying out
a batch's bytes as columns of a matrix costs a few. Sources: the protocol buffer encoding guide,
tensorflow/core/example/{example,feature}.proto, and the framing in tensorflow/core/lib/io/record_writer.h:

    uint64 length, uint32 masked_crc32c(length), length bytes, uint32 masked_crc32c(bytes)
"""

import functools

import numpy as np

from keras_bert.data.records import FEATURES, check_shapes

LENGTH_DELIMITED = 2  # protobuf's wire type for messages, strings and packed lists
LIST_FIELD = {"float": 2, "int64": 3}  # numbers of float_list and int64_list in tensorflow.Feature
MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h
CASTAGNOLI = 0x82F63B78  # CRC-32C's polynomial, bits reversed


def _tag(field):
    return bytes([field << 3 | LENGTH_DELIMITED])


def _varint_size(values):
    """Returns the number of bytes of each value's varint: one for every 7 bits begun."""
    values = np.asarray(values)
    return 1 + sum((values >= 1 << bits).astype(np.int64) for bits in range(7, 63, 7) if values.max(initial=0) >> bits)


def _varints(values):
    """Lays out integers as varints in columns.

    Args:
        values: non-negative int (B, K).

    Returns:
        bytes: uint8 (B, K * width), where width is the number of bytes of the largest value.
        keep: bool, likewise: which of them belong to the minimal encoding. None means all.
    """
    top = int(values.max(initial=0))
    width = max(1, -(-top.bit_length() // 7))
    if width == 1:
        return values.astype(np.uint8), None
    values = values.astype(np.uint32 if top < 1 << 32 else np.uint64)
    groups = np.empty((*values.shape, width), np.uint8)
    keep = np.empty(groups.shape, bool)
    for i in range(width):
        rest = values >> (7 * i)
        groups[..., i] = rest & 0x7F
        groups[..., i] |= (rest > 0x7F).astype(np.uint8) << 7
        keep[..., i] = rest > 0
    keep[..., 0] = True
    return groups.reshape(len(values), -1), keep.reshape(len(values), -1)


def _list_columns(name, values):
    """Returns one feature as columns: [(bytes (B, width), keep or None), ...] and its size in bytes (B,)."""
    kind = FEATURES[name].kind
    if kind == "float":
        data, keep = np.ascontiguousarray(values, "<f4").view(np.uint8), None
    else:
        data, keep = _varints(np.asarray(values))
    packed = np.full(len(values), data.shape[1]) if keep is None else keep.sum(axis=1)  # bytes of the numbers
    in_list = 1 + _varint_size(packed) + packed  # tag, size, numbers
    in_feature = 1 + _varint_size(in_list) + in_list
    key = _tag(1) + bytes([len(name)]) + name.encode() + _tag(2)
    in_entry = len(key) + _varint_size(in_feature) + in_feature
    columns = [_tag(1), in_entry, key, in_feature, _tag(LIST_FIELD[kind]), in_list, _tag(1), packed, (data, keep)]
    return columns, 1 + _varint_size(in_entry) + in_entry


def serialize(instances):
    """Serialises a batch of instances as tf.train.Example messages.

    Args:
        instances: dict of the seven features of `records.FEATURES`, arrays (B, length) of non-negative
            ints, or floats for masked_lm_weights.

    Returns:
        data: uint8 (N,), the messages one after the other.
        sizes: int64 (B,), the number of bytes of each.

    Example:
        >>> data, sizes = serialize({name: np.ones((2, 1), int) for name in FEATURES})
        >>> sizes.tolist(), len(data)
        ([182, 182], 364)
    """
    check_shapes(instances)
    count = len(instances["input_ids"])
    columns, total = [], np.zeros(count, np.int64)
    for name in FEATURES:
        feature, size = _list_columns(name, instances[name])
        columns += feature
        total += size
    columns = [_tag(1), total, *columns]
    blocks, keeps = [], []
    for column in columns:
        if isinstance(column, bytes):
            column = (np.broadcast_to(np.frombuffer(column, np.uint8), (count, len(column))), None)
        elif not isinstance(column, tuple):  # a size
            column = _varints(column[:, None])
        block, keep = column
        blocks.append(block)
        keeps.append(np.broadcast_to(True, block.shape) if keep is None else keep)
    keep = np.concatenate(keeps, axis=1)
    return np.concatenate(blocks, axis=1)[keep], keep.sum(axis=1)


@functools.cache
def _crc_table():
    """Returns uint32 (256,): the CRC-32C register after one byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(CASTAGNOLI), table >> 1)
    return table


@functools.lru_cache(maxsize=8)
def _crc_by_distance(length):
    """Returns tables for messages of up to `length` bytes, by the distance of a byte from the end.

    A CRC is linear: the register at the end is the exclusive or of what each byte alone would leave
    there, so that no byte needs to wait for the one before it.

    Returns:
        byte: uint32 (length * 256,), entry d * 256 + b is what the byte b leaves, d bytes before the last.
        start: uint32 (length + 1,), what the initial register of ones leaves after so many bytes.
    """
    table = _crc_table()
    byte = np.empty((length, 256), np.uint32)
    start = np.empty(length + 1, np.uint32)
    current, register = table, np.uint32(0xFFFFFFFF)
    start[0] = register
    for distance in range(length):
        byte[distance] = current
        current = table[current & 0xFF] ^ current >> 8
        register = table[register & 0xFF] ^ register >> 8
        start[distance + 1] = register
    return byte.reshape(-1), start


def masked_crc32c(data, sizes):
    """Returns TFRecord's masked CRC-32C of messages that lie one after the other.

    Args:
        data: uint8 (N,).
        sizes: int (B,), at least 1 each, N in all.

    Returns:
        uint32 (B,).
    """
    width = int(-(-sizes.max() // 64) * 64)  # few widths, so that the tables' cache serves
    byte, start = _crc_by_distance(width)
    rows = np.zeros((len(sizes), width), np.int32)
    rows[np.arange(width) >= width - sizes[:, None]] = data  # flush right: column c is width - 1 - c from the end
    rows += np.arange(width - 1, -1, -1, dtype=np.int32) * 256
    crc = np.bitwise_xor.reduce(byte[rows], axis=1)  # the zeros on the left leave nothing behind
    crc ^= start[sizes] ^ np.uint32(0xFFFFFFFF)
    return (crc >> 15 | crc << 17) + np.uint32(MASK_DELTA)


def frame(data, sizes):
    """Returns the bytes of a TFRecord file (or a piece of one) that holds these messages.

    Args:
        data: uint8 (N,), the messages one after the other.
        sizes: int64 (B,), the size of each.

    Example:
        >>> frame(np.frombuffer(b"ab", np.uint8), np.array([2])).hex()
        '020000000000000078270b3461621cb0f0f4'
    """
    lengths = np.ascontiguousarray(sizes, "<u8")[:, None].view(np.uint8)  # (B, 8)
    length_crcs = masked_crc32c(lengths.reshape(-1), np.full(len(sizes), 8))
    heads = np.concatenate([lengths, _bytes(length_crcs)], axis=1).tobytes()  # 12 bytes each
    feet = _bytes(masked_crc32c(data, sizes)).tobytes()  # 4 bytes each
    body, parts, end = data.tobytes(), [], 0
    for i, size in enumerate(sizes.tolist()):
        begin, end = end, end + size
        parts += (heads[12 * i : 12 * i + 12], body[begin:end], feet[4 * i : 4 * i + 4])
    return b"".join(parts)


def _bytes(values):
    """Returns uint32 (B,) as uint8 (B, 4), lowest byte first."""
    return np.ascontiguousarray(values, "<u4")[:, None].view(np.uint8)
