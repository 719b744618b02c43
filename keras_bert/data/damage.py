"""The records of a TFRecord file and what in it is damaged, without TensorFlow.

Framing: tensorflow/core/lib/io/record_reader.h, as in wire.py. Both the length of a record and its bytes have a
checksum, so that after a damaged length the file can be read on from the next place where a length's checksum fits.
"""

import functools
import gzip
import itertools
import os
import re
import zlib
from typing import NamedTuple

from keras_bert.data.framing import frame_head, masked_crc32c
from keras_bert.data.records import FRAME_BYTES, HEAD_BYTES, LONGEST_RECORD, compression_of, damaged_file
from keras_bert.errors import UserError

READ_BYTES = 1 << 22  # at a time
# Where a length may begin: below 2**32, and its checksum is not 0 (which would fit every place of a zeroed block).
_HEAD = re.compile(rb"(?=.{4}\0{4}(?!\0{4}).{4})", re.DOTALL)


class Record(NamedTuple):
    """An intact record: its number in the file, counting from 1, where its frame begins, and its bytes."""

    number: int
    offset: int
    data: bytes


class Damage(NamedTuple):
    """A damaged stretch of a file.

    Attributes:
        number: the record's in the file, counting from 1; a stretch without readable lengths counts as one record.
        offset: where it begins, in bytes; of a gzip file, unpacked.
        lost: how many bytes it has; None for the rest of a gzip file, as nobody knows how many those were.
        reason: what is wrong, such as "the checksum of record 7 does not fit".
    """

    number: int
    offset: int
    lost: int | None
    reason: str


def walk(path, *, skip_damaged=False):
    """Yields a Record for each record of a TFRecord file, plain or gzip, and if asked a Damage for what is damaged.

    Args:
        path: the file.
        skip_damaged: go on behind what is damaged, at the next place where a record begins.

    Raises:
        UserError: the file cannot be read, or without `skip_damaged` a damaged record, by number and offset.
    """
    with (gzip.open if compression_of(path) else open)(path, "rb") as stream:
        window = _Window(stream)
        for number in itertools.count(1):
            if not window.has(1) and window.error is None:
                return
            offset = window.offset
            data, reason = _take(window, number)
            if reason is None:
                yield Record(number, offset, data)
                continue
            if not skip_damaged:
                raise damaged_file(path, number, reason, offset)
            _pass_over(window)
            rest = window.error is not None and not window.has(1)
            yield Damage(number, offset, None if rest else window.offset - offset, reason)
            if rest:
                return


def damaged_records(path):
    """Returns what `skip_damaged` leaves out of a TFRecord file.

    The whole file is read and each checksum worked out: a core does about 0.2 GB/s of records of a kilobyte, and of a
    gzip file a third of that, unpacked. What was found is remembered until the file changes.

    Args:
        path: a TFRecord file, plain or gzip.

    Returns:
        A list of Damage: tuples (record number, offset, bytes lost, reason); empty for a sound file.
    """
    return list(scan(path).damaged)


class Scan(NamedTuple):
    """What is in a file: the number of its intact records, and a tuple of Damage."""

    intact: int
    damaged: tuple


def scan(path):
    """Returns the Scan of a TFRecord file; see `damaged_records` for what it costs.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        facts = os.stat(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    return _scan(os.fspath(path), facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=1 << 14)
def _scan(path, _size, _changed):
    intact, damaged = 0, []
    for found in walk(path, skip_damaged=True):
        if isinstance(found, Damage):
            damaged.append(found)
        else:
            intact += 1
    return Scan(intact, tuple(damaged))


class _Window:
    """The part of a file that is in memory.

    Attributes:
        data, at: the bytes, and the place among them that is to be read next.
        error: why a gzip file cannot be unpacked any further; None as long as it can.
    """

    def __init__(self, stream):
        self.data, self.at, self.error = b"", 0, None
        self._stream, self._begin = stream, 0

    @property
    def offset(self):
        """How many bytes of the file stand before the place to be read next."""
        return self._begin + self.at

    def has(self, size):
        """Says whether `size` bytes are there from `at` on; reads them if need be."""
        there = len(self.data) - self.at
        if there >= size:
            return True
        pieces = [self.data[self.at :]]
        while there < size and (piece := self._read()):
            pieces.append(piece)
            there += len(piece)
        self.data = b"".join(pieces)
        self._begin, self.at = self._begin + self.at, 0
        return there >= size

    def _read(self):
        try:
            return b"" if self.error else self._stream.read1(READ_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.error = error
            return b""


def _take(window, number):
    """Returns (the next record's bytes, None), or (None, what is wrong with it) without moving on."""
    if not window.has(HEAD_BYTES):
        return None, _torn(window, number)
    data, at = window.data, window.at
    size = int.from_bytes(data[at : at + 8], "little")
    if size > LONGEST_RECORD or data[at : at + HEAD_BYTES] != frame_head(size):
        return None, f"the checksum of record {number} does not fit"
    end = size + FRAME_BYTES
    if not window.has(end):
        return None, _torn(window, number)
    data, at = window.data, window.at
    record = data[at + HEAD_BYTES : at + end - 4]
    if data[at + end - 4 : at + end] != masked_crc32c(record).to_bytes(4, "little"):
        return None, f"the checksum of record {number} does not fit"
    window.at += end
    return record, None


def _torn(window, number):
    """Returns why a record is not all there."""
    if window.error is None:
        return f"it ends within record {number}"
    return f"record {number} cannot be unpacked ({window.error})"


def _pass_over(window):
    """Moves from a damaged record to the next place where a record begins, or to the end."""
    if window.has(HEAD_BYTES) and _length_fits(window.data, window.at):
        end = int.from_bytes(window.data[window.at : window.at + 8], "little") + FRAME_BYTES
        followed = window.has(end + HEAD_BYTES) and _length_fits(window.data, window.at + end)
        if followed or (window.has(end) and not window.has(end + 1)):
            window.at += end
            return
    window.at += 1
    while True:
        for match in _HEAD.finditer(window.data, window.at):
            if _length_fits(window.data, match.start()):
                window.at = match.start()
                return
        window.at = max(window.at, len(window.data) - HEAD_BYTES + 1)
        if not window.has(HEAD_BYTES):
            window.at = len(window.data)
            return


def _length_fits(data, at):
    """Says whether at data[at] there is the length of a record with its checksum."""
    head = data[at : at + 8]
    fits = data[at + 8 : at + HEAD_BYTES] == masked_crc32c(head).to_bytes(4, "little")
    return fits and int.from_bytes(head, "little") <= LONGEST_RECORD
