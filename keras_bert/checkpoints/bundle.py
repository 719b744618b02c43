"""TensorFlow's tensor bundle: PREFIX.index, a sorted table of names, and PREFIX.data-00000-of-00001, the arrays.

Read and written without TensorFlow, whose reader and saver hold every array twice. Sources: tensorflow/core/
util/tensor_bundle/tensor_bundle.cc and protobuf/tensor_bundle.proto.
What is written is, byte for byte, what tf.compat.v1.train.Saver writes.
"""

from pathlib import Path

import numpy as np

from keras_bert.checkpoints.base import MAX_NUMBER, Span, check_apart, check_size
from keras_bert.checkpoints.table import read_table, read_varint, varint, write_table
from keras_bert.data.framing import masked_crc32c
from keras_bert.errors import UserError

HEADER = bytes([8, 1, 26, 2, 8, 1])  # BundleHeaderProto: num_shards 1, version {producer 1}
FLOAT32 = 1
MAX_INDEX = 1 << 26  # bytes; that of BERT-large with its optimizer has under 100 kB
# tensorflow/core/framework/types.proto: number, name, bytes of one (None where they are not of one size)
TYPES = {
    **{1: ("float32", 4), 2: ("float64", 8), 14: ("bfloat16", 2), 19: ("float16", 2)},
    **{3: ("int32", 4), 9: ("int64", 8), 4: ("uint8", 1), 6: ("int8", 1), 10: ("bool", 1), 7: ("string", None)},
}


def open_bundle(prefix):
    """Returns {name: Span} of a bundle by its prefix.

    Raises:
        UserError: the index is damaged, or the data are of another size than it says. Data that are not there at
            all are an error only when they are read.
        PermissionError: the index may not be read.
    """
    index = Path(f"{prefix}.index")
    try:
        if index.stat().st_size > MAX_INDEX:
            raise ValueError(f"its index has more than {MAX_INDEX >> 20} MiB")
        table = dict(read_table(index.read_bytes()))
        num_shards = _number_in(_fields(table.pop(b"")), 1, default=1)
        entries = {name.decode(errors="replace"): _fields(value) for name, value in table.items()}
        spans = {name: _span(prefix, name, entry, num_shards) for name, entry in entries.items()}
    except (UserError, PermissionError):
        raise
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise UserError(f"{prefix} cannot be read as a TensorFlow checkpoint ({error}); fetch it again.") from error
    ends = {}
    for span in spans.values():
        ends[span.path] = max(ends.get(span.path, 0), span.offset + span.size)
    for path, end in ends.items():
        if path.is_file() and path.stat().st_size < end:
            raise UserError(
                f"{path} is cut off: its index says {end} bytes, and it has {path.stat().st_size}; fetch it again."
            )
    check_apart(spans.values())
    return spans


def _span(prefix, name, entry, num_shards):
    """Returns the Span that a BundleEntryProto describes."""
    number, shard, offset, size = (_number_in(entry, field) for field in (1, 3, 4, 5))
    if 7 in entry:
        raise UserError(f"{prefix}: {name:.80} is stored in slices, which are not read; save it as one variable.")
    dims = [_fields(dim) for shape in entry.get(2, []) for dim in _fields(shape).get(2, [])]
    shape = tuple(_number_in(dim, 1) for dim in dims)
    dtype, itemsize = TYPES.get(number, (f"TensorFlow's type {number}", None))
    path = Path(f"{prefix}.data-{shard:05d}-of-{num_shards:05d}")
    span = Span(name, path, offset, size, dtype, shape, _number_in(entry, 6))
    if itemsize:
        check_size(span, itemsize)
    return span


def write_bundle(prefix, shapes, read):
    """Writes a bundle of float32, in one file of data.

    Args:
        prefix: path without ".index" and ".data-...".
        shapes: {name: shape}.
        read: name -> float32 array of that shape; asked for one at a time.

    Raises:
        OSError: the disk is full, or no file can be made there.
    """
    entries, offset = [(b"", HEADER)], 0
    with open(f"{prefix}.data-00000-of-00001", "wb") as file:
        for name in sorted(shapes, key=str.encode):
            data = np.ascontiguousarray(read(name), "<f4").reshape(-1).view("u1")
            file.write(data)
            crc = masked_crc32c(data).to_bytes(4, "little")
            dims = b"".join(_message(2, _number(1, size)) for size in shapes[name])
            where = _number(4, offset) + _number(5, data.nbytes)
            entries.append((name.encode(), _number(1, FLOAT32) + _message(2, dims) + where + b"\x35" + crc))
            offset += data.nbytes
    Path(f"{prefix}.index").write_bytes(write_table(entries))


def _number(field, value):
    """Writes a field that holds a number; 0 is left out, as protocol buffers do."""
    return varint(field << 3) + varint(value) if value else b""


def _message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def _number_in(fields, field, default=0):
    """Returns a field's number; others than those of an int64 that is not negative cannot be."""
    [number, *_] = fields.get(field, [default])
    if type(number) is not int or number > MAX_NUMBER:
        raise ValueError(f"field {field} is {number!r:.40}, and a number was expected")
    return number


def _fields(data):
    """Returns {field: list of numbers or bytes} of a message."""
    if not isinstance(data, bytes):
        raise ValueError(f"{data!r:.40} where a message was expected")
    found, position = {}, 0
    while position < len(data):
        key, position = read_varint(data, position)
        kind = key & 7
        if kind == 0:
            value, position = read_varint(data, position)
        elif kind == 2:
            length, position = read_varint(data, position)
            value, position = data[position : position + length], position + length
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
            value, position = int.from_bytes(data[position : position + length], "little"), position + length
        else:
            raise ValueError(f"a field of kind {kind}")
        if position > len(data):
            raise ValueError("a field that is cut off")
        found.setdefault(key >> 3, []).append(value)
    return found
