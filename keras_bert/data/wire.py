"""Pre-training instances -> bytes of tf.train.Example messages, many at a time, by numpy.

tf.train.Example costs about 60 microseconds an instance and TensorFlow's start-up seconds; putting one field
of all instances at a time where it belongs costs a few. Sources: the protocol buffer encoding guide,
tensorflow/core/example/{example,feature}.proto.

Legend: B instances, K values of a list, N bytes in all.
"""

import functools

import numpy as np

from keras_bert.data.records import KINDS, check_shapes

LENGTH_DELIMITED = 2  # protobuf's wire type for messages, strings and packed lists
LIST_FIELD = {"float": 2, "int64": 3}  # numbers of float_list and int64_list in tensorflow.Feature
VALUES_AT_ONCE = 1 << 16  # varints that are put at a time, so that they stay in the processor's cache


def serialize(instances):
    """Serialises a batch of instances as tf.train.Example messages, with their keys in alphabetical order.

    These are the bytes of SerializeToString(deterministic=True).

    Args:
        instances: dict of the features of a kind of record (`records.features_of`): arrays (B, K), K at least 1, of
            non-negative ints, or of floats for weights.

    Returns:
        data: uint8 (N,), the messages one after the other.
        sizes: int64 (B,), the number of bytes of each.

    Example:
        >>> from keras_bert.data.records import FEATURES
        >>> data, sizes = serialize({name: np.ones((2, 1), int) for name in FEATURES})
        >>> sizes.tolist(), len(data)
        ([182, 182], 364)
    """
    check_shapes(instances)
    columns = []
    for name in sorted(instances):
        numbers = _numbers(np.asarray(instances[name]), KINDS[name])
        columns += [_Heads(functools.partial(_entry_head, name), numbers.sizes), numbers]
    total = sum(column.sizes for column in columns)
    head = _Heads(message_head, total)
    sizes = head.sizes + total
    starts = np.cumsum(sizes) - sizes
    data = np.empty(int(sizes.sum()) + 1, np.uint8)  # one more, for the last number's rubbish
    places = starts + head.sizes
    for column in columns:
        column.put(data, places)
        places += column.sizes
    head.put(data, starts)  # last: the numbers of the instance before may have left rubbish here
    return data[:-1], sizes


def _numbers(values, kind):
    """Returns the column that holds the numbers of a list, (B, K)."""
    if kind == "float":
        return _Rows(np.ascontiguousarray(values, "<f4").view(np.uint8))
    return _Varints(values) if values.max(initial=0) > 0x7F else _Rows(values.astype(np.uint8))


class _Rows:
    """A column of the same number of bytes in every instance.

    All columns have `sizes`, int64 (B,), how many bytes each instance has, and `put(data, starts)`, which
    writes those of instance i to data[starts[i]:].

    Args:
        rows: uint8 (B, W).
    """

    def __init__(self, rows):
        self._rows = np.ascontiguousarray(rows)
        self.sizes = np.full(len(rows), rows.shape[1])

    def put(self, data, starts):
        width = self._rows.shape[1]
        count = max(0, len(data) - width + 1)
        windows = np.ndarray(count, f"V{width}", data, strides=1)  # entry i is data[i : i + width]
        windows[starts] = self._rows.view(windows.dtype)[:, 0]


class _Heads:
    """A column of what stands before byte strings of given sizes.

    Args:
        head: function from the size of a byte string to what stands before it, bytes.
        sizes: int64 (B,).
    """

    def __init__(self, head, sizes):
        distinct, self._which = np.unique(sizes, return_inverse=True)  # few: most lists are of one size
        self._heads = list(map(head, distinct.tolist()))
        self.sizes = np.array([len(h) for h in self._heads], np.int64)[self._which]

    def put(self, data, starts):
        for width in {len(h) for h in self._heads}:
            table = np.frombuffer(b"".join(h[:width].ljust(width) for h in self._heads), np.uint8).reshape(-1, width)
            fitting = np.flatnonzero(self.sizes == width)
            _Rows(table[self._which[fitting]]).put(data, starts[fitting])


class _Varints:
    """A column of lists of varints: 7 bits a byte, lowest first, the top bit set while more follow.

    `put` may leave one byte of rubbish behind a list, for what follows to overwrite.

    Args:
        values: int (B, K), non-negative.
    """

    def __init__(self, values):
        top = int(values.max())
        self._values = values.astype(np.int32 if top < 1 << 31 else np.int64, copy=False)
        self._limits = [1 << bits for bits in range(7, 63, 7) if top >> bits]  # a number has a byte more from each on
        self.sizes = values.shape[1] + sum(np.count_nonzero(values >= limit, axis=1) for limit in self._limits)

    def put(self, data, starts):
        step = max(1, VALUES_AT_ONCE // self._values.shape[1])
        for first in range(0, len(starts), step):
            self._put(data, starts[first : first + step], self._values[first : first + step])

    def _put(self, data, starts, values):
        """Does the work of `put` for a few instances."""
        more = [values >= limit for limit in self._limits]  # (B, K) each: whether a number has a byte more
        sizes = np.ones(values.shape, np.int8)
        for longer in more:
            sizes += longer.view(np.int8)
        places = np.empty(values.shape, np.intp)  # of each number's first byte
        places[:, 0] = starts
        places[:, 1:] = sizes[:, :-1]
        places = np.cumsum(places, axis=1).reshape(-1)
        for i in range(len(more), -1, -1):
            byte = (values >> (7 * i)).astype(np.uint8).reshape(-1)
            byte &= 0x7F
            if i < len(more):
                byte |= more[i].view(np.uint8).reshape(-1) * np.uint8(0x80)
            if i <= 1:  # a second byte also where there is none: the next number's first overwrites it
                data[places + i] = byte
            else:
                which = np.flatnonzero(more[i - 1])
                data[places[which] + i] = byte[which]


@functools.cache
def _entry_head(name, size):
    """Returns what stands before a list of `size` bytes: its map entry's key, and three messages one in another."""
    head = message_head(size)  # the list's only field, its numbers
    head = message_head(size + len(head), LIST_FIELD[KINDS[name]]) + head  # in a Feature
    head = message_head(len(name)) + name.encode() + message_head(size + len(head), 2) + head  # in a map entry
    return message_head(size + len(head)) + head


@functools.cache
def message_head(size, field=1):
    """Returns the tag of a field of `size` bytes, and the size."""
    head = [field << 3 | LENGTH_DELIMITED]
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size])
