"""Checkpoint: a config, a task, and arrays that are read by name when they are asked for."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_bert.config import Config
from keras_bert.data.framing import masked_crc32c
from keras_bert.errors import UserError
from keras_bert.families import Place
from keras_bert.files import no_permission


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One opened checkpoint, whatever its format.

    Attributes:
        path: where it lies.
        config: its Config.
        task: the contents of task.json, or {}.
        shapes: {name: shape}, by the neutral names, google-research/bert's (checkpoints/parts.py), and in that layout.
        read: name -> float32 array, the caller's own; one is read at a time, so that a large model is never held twice.
        new_entries: tokens for which it has grown, see growing.py.
        notes: what else is to be told of it, in words.
        missing: files of arrays that are not there, though its index names them.
    """

    path: Path
    config: Config
    task: dict
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]
    new_entries: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[Path, ...] = ()

    @property
    def folder(self):
        """The directory in which it and its vocabulary lie."""
        return self.path if self.path.is_dir() else self.path.parent


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the files of one format would hold of a Checkpoint.

    Attributes:
        files: {file name: what goes into it as JSON}.
        arrays: {name in the file: Places of the weights that it holds}.
        write: writes the arrays, as write(folder, shapes, read) with their names in the file.
        tokenizer_fields: what else stands in tokenizer_config.json.
        notes: what the format cannot hold, in words.
    """

    files: dict[str, dict]
    arrays: dict[str, tuple[Place, ...]]
    write: Callable
    tokenizer_fields: dict = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


# Floats as numpy reads their bytes; it knows no bfloat16, which is the upper half of a float32.
FLOATS = {"float32": "<f4", "float64": "<f8", "float16": "<f2", "bfloat16": "<u2"}
ALIGNMENT = 64  # bytes; Eigen's EIGEN_MAX_ALIGN_BYTES
PIECE = 1 << 20  # bytes of an array that are compared at a time
MAX_AXES = 32  # NumPy 1's
MAX_NUMBER = 2**63 - 1  # an int64, in which every format keeps sizes and offsets


@dataclasses.dataclass(frozen=True)
class Span:
    """One array in a file. It is read as plain bytes: the pages of a mapped file would count as memory twice.

    Attributes:
        name: the array's name in the file.
        path: the file.
        offset: the array's first byte.
        size: its bytes.
        dtype: the name of its numbers' type.
        shape: its shape.
        crc: the masked CRC-32C of its bytes, or None.
    """

    name: str
    path: Path
    offset: int
    size: int
    dtype: str
    shape: tuple[int, ...]
    crc: int | None = None

    def read(self):
        """Returns the array as float32.

        Raises:
            UserError: the file cannot be read, ends too early, or holds other bytes than were written.
        """
        try:
            data = _aligned(self.size)
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                size = file.readinto(data)
        except MemoryError as error:
            raise UserError(
                f"{self.path}: {self.name} takes {self.size / 1e9:.3g} GB, more than this machine has free; take a "
                "machine with more memory."
            ) from error
        except PermissionError as error:
            raise no_permission(self.path) from error
        except OSError as error:
            raise UserError(f"{self.path}: {self.name} cannot be read ({error.strerror}); fetch it again.") from error
        if size != self.size:
            raise UserError(
                f"{self.path} is cut off: {self.name} ends at {self.offset + self.size} bytes, and the file has "
                f"{self.path.stat().st_size}; fetch it again."
            )
        if self.crc is not None and masked_crc32c(data) != self.crc:
            raise UserError(f"{self.path}: {self.name} is damaged, as its checksum is another; fetch it again.")
        array = data.view(FLOATS[self.dtype])
        if self.dtype == "bfloat16":
            array = (array.astype("<u4") << 16).view("<f4")
        with np.errstate(over="ignore"):  # a float64 that no float32 can hold is infinite, and refused as such
            return array.astype(np.float32, copy=False).reshape(self.shape)

    def holds_same_as(self, other):
        """Says whether another Span has the same numbers; they are compared a piece at a time."""
        if self.shape != other.shape:
            return False
        if self.dtype != other.dtype:
            return np.array_equal(self.read(), other.read())
        try:
            with open(self.path, "rb") as mine, open(other.path, "rb") as theirs:
                mine.seek(self.offset)
                theirs.seek(other.offset)
                sizes = (min(PIECE, self.size - start) for start in range(0, self.size, PIECE))
                return all(mine.read(size) == theirs.read(size) for size in sizes)
        except OSError as error:
            raise UserError(f"{self.path} cannot be read ({error.strerror}); fetch it again.") from error


def _aligned(size):
    """Returns uint8 (size,) that begins where TensorFlow takes an array as it is; others it copies once more."""
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


def check_size(span, itemsize):
    """Raises a UserError if an array's shape and the bytes that the file gives it do not fit."""
    if len(span.shape) > MAX_AXES or math.prod(filter(None, span.shape)) > MAX_NUMBER:
        raise UserError(
            f"{span.path} is damaged: {span.name:.80} has the shape {span.shape!s:.80}, which no array can have; "
            "fetch it again."
        )
    needed = math.prod(span.shape) * itemsize
    if needed != span.size:
        raise UserError(
            f"{span.path} is damaged: {span.name:.80} of shape {span.shape} takes {needed} bytes, and the file gives "
            f"it {span.size}; fetch it again."
        )


def check_apart(spans):
    """Raises a UserError if two arrays of a file share bytes.

    Args:
        spans: the Spans of one or more files.
    """
    last = None
    for span in sorted((span for span in spans if span.size), key=lambda span: (str(span.path), span.offset)):
        if last is not None and last.path == span.path and last.offset + last.size > span.offset:
            raise UserError(
                f"{span.path} is damaged: {last.name:.80} and {span.name:.80} share bytes, the former up to "
                f"{last.offset + last.size} and the latter from {span.offset}; fetch it again."
            )
        last = span


def only_floats(spans, is_weight):
    """Returns the spans that hold floats, and a note on the others, or none.

    Args:
        spans: {name: Span}.
        is_weight: name -> whether a model has a weight of that name.

    Raises:
        UserError: such a weight holds no floats.
    """
    others = [name for name, span in spans.items() if span.dtype not in FLOATS]
    for name in filter(is_weight, others):
        raise UserError(
            f"{spans[name].path}: {name} holds {spans[name].dtype} where {', '.join(FLOATS)} can be read; "
            "quantized weights are to be turned into floats first."
        )
    note = f"left out, as it holds no floats: {', '.join(others)}"
    return {name: span for name, span in spans.items() if span.dtype in FLOATS}, (note,) if others else ()
