"""Arrays in a .safetensors file, read and written one at a time.

Source: the format's description in Hugging Face's safetensors. A uint64 gives the length of a header in JSON,
{name: {"dtype", "shape", "data_offsets": [begin, end]}} with offsets that count from the header's end; then the data.
"""

import json
import math

import numpy as np

from keras_bert.checkpoints.base import MAX_NUMBER, Span, check_apart, check_size
from keras_bert.errors import UserError
from keras_bert.files import parse_json

MAX_HEADER = 1 << 24  # bytes; BERT's has under 100 kB, and the safetensors library reads up to 100 MB
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
ITEM_SIZES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
ITEM_SIZES |= dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1)
INTEGERS = {"I64": "int64", "U64": "uint64", "I32": "int32", "U32": "uint32", "I16": "int16", "U16": "uint16"}
INTEGERS |= {"I8": "int8", "U8": "uint8", "BOOL": "bool"}
CODES = {name: code for code, name in (FLOATS | INTEGERS).items()}  # of what can be written


def open_arrays(path):
    """Returns {name: Span} of a .safetensors file.

    Raises:
        UserError: the file is damaged, or its header says what cannot be.
        PermissionError: it may not be read.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(MAX_HEADER, size - 8):
                raise UserError(
                    f"{path} is damaged: its header would take {length} bytes after the first 8, and the file has "
                    f"{size}; fetch or write it again."
                )
            header = parse_json(file.read(length), unique=True)
        if not isinstance(header, dict):
            raise ValueError(f"its header is a {type(header).__name__}, and an object was expected")
        fields = {name: entry for name, entry in header.items() if name != "__metadata__"}
        spans = {name: _span(path, name, entry, 8 + length, size) for name, entry in fields.items()}
    except (UserError, PermissionError):
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}); fetch or write it again.") from error
    check_apart(spans.values())
    return spans


def _span(path, name, entry, start, file_size):
    """Returns the Span of one entry of the header, after checking what it says."""
    entry = entry if isinstance(entry, dict) else {}
    shape, offsets, dtype = entry.get("shape"), entry.get("data_offsets"), entry.get("dtype")
    if not (_are_counts(shape) and _are_counts(offsets) and len(offsets) == 2 and isinstance(dtype, str)):
        raise ValueError(
            f"{name:.80} must have a dtype, a shape of whole numbers and two data_offsets, and has {entry!s:.120}"
        )
    begin, end = offsets
    if not 0 <= begin <= end <= file_size - start:
        raise UserError(
            f"{path} is damaged: {name:.80} would take the bytes from {start + begin} to {start + end}, and the file "
            f"has {file_size}; fetch or write it again."
        )
    span = Span(name, path, start + begin, end - begin, FLOATS.get(dtype, dtype), tuple(shape))
    if dtype in ITEM_SIZES:
        check_size(span, ITEM_SIZES[dtype])
    return span


def _are_counts(numbers):
    """Says whether something is a list of whole numbers of at least 0; JSON has true and 1.0 as well."""
    return isinstance(numbers, list) and all(type(number) is int and 0 <= number <= MAX_NUMBER for number in numbers)


def write_arrays(path, shapes, read, *, made_for):
    """Writes a .safetensors file of float32.

    Args:
        path: the file.
        shapes: {name: shape}.
        read: name -> float32 array of that shape; asked for one at a time.
        made_for: "pt" or "np", the library whose layout it is.

    Raises:
        OSError: the disk is full, or no file can be made there.
    """
    with open(path, "wb") as file:
        file.writelines(file_pieces(shapes, read, made_for=made_for))


def file_pieces(shapes, read, *, made_for, dtypes=None):
    """Yields the bytes of a .safetensors file: its header, then one array after the other.

    Args:
        shapes: {name: shape}.
        read: name -> array of that shape; asked for one at a time.
        made_for: "pt" or "np", the library whose layout it is.
        dtypes: {name: name of its numbers' type}, one of CODES; float32 for all if None. They are stored bit by bit.

    Example:
        >>> pieces = file_pieces({"n": ()}, {"n": np.int64(7)}.get, made_for="np", dtypes={"n": "int64"})
        >>> [len(piece) for piece in pieces]
        [96, 8]
    """
    dtypes = dict.fromkeys(shapes, "float32") if dtypes is None else dtypes
    header, end = {"__metadata__": {"format": made_for}}, 0
    for name, shape in shapes.items():
        code = CODES[dtypes[name]]
        begin, end = end, end + ITEM_SIZES[code] * math.prod(shape)
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned
    yield len(text).to_bytes(8, "little") + text
    for name in shapes:
        yield np.ascontiguousarray(read(name), np.dtype(dtypes[name]).newbyteorder("<")).reshape(-1).view("u1")
