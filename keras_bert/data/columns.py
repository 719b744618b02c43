"""The records of a TFRecord file as arrays, many at a time, without TensorFlow: for looking at all of a file.

A record in the form that every protocol buffer library gives these Examples is cut into its lists by comparing it
with the one before, and the lists of many are decoded at once; that takes a sixth of the time of `reading.parse`,
which reads the others.

Legend: B records of a batch, K values of a list.
"""

import itertools
import re

import numpy as np

from keras_bert.data.reading import parse, read_records
from keras_bert.data.records import ALIASES, KINDS, layout_of
from keras_bert.errors import UserError

LONGEST_NUMBER = 9  # bytes, of 63 bits

# The beginnings of an Example and of an entry of its map, up to the packed numbers: tags and sizes, one in another.
_SIZE = rb"([\x80-\xff]*[\x00-\x7f])"
_LIST_TAGS = {"float": b"\x12", "int64": b"\x1a"}  # float_list and int64_list of a Feature
_TAGS = {name.encode(): _LIST_TAGS[kind] for name, kind in KINDS.items()}
_TAGS |= {alias.encode(): _TAGS[name.encode()] for name, alias in ALIASES.items()}
_EXAMPLE = re.compile(b"\n" + _SIZE)
_ENTRY = re.compile(
    b"\n" + _SIZE + b"\n(.)(" + b"|".join(_TAGS) + b")\x12" + _SIZE + b"([\x12\x1a])" + _SIZE + b"\n" + _SIZE, re.DOTALL
)


def read_columns(path, *, first=0, batch_size=1024):
    """Yields the records of a TFRecord file, plain or gzip, as batches.

    Args:
        path: the file.
        first: how many records to pass over.
        batch_size: the most records of a batch.

    Yields:
        dicts from the names of the features of such records (`records.features_of`) to arrays (B, K): int64, float32
        for weights. tensorflow/models' names are translated.

    Raises:
        UserError: the file cannot be read, is damaged or empty, or holds other records; the record is named,
            counting from 1.
    """
    records = read_records(path)
    layout, number = None, 0
    for number, record in enumerate(records, 1):
        if number > first:
            layout = layout_of(parse(record, source=f"Record {number} of {path}"), f"{path}: record {number}")
            records = itertools.chain([record], records)
            break
    if not number:
        raise UserError(f"{path} is empty: it holds no record; make it again with create_pretraining_data.")
    while layout and (batch := list(itertools.islice(records, batch_size))):
        yield _parse_alike(batch, layout) or _parse_each(batch, layout, path, number)
        number += len(batch)


def _parse_each(records, layout, path, number):
    """Returns a batch by parsing each record, or raises a UserError for one that is not of the layout."""
    rows = []
    for number, record in enumerate(records, number):  # noqa: B020  # counts on
        rows.append(parse(record, source=f"Record {number} of {path}"))
        own = layout_of(rows[-1], f"{path}: record {number}")
        if own != layout:
            raise UserError(f"{path}: record {number} has {own}, those before have {layout}; make the file again.")
    return {name: np.stack([row[stored] for row in rows]) for name, stored in layout.names.items()}


def _parse_alike(records, layout):
    """Returns a batch, or None if a record is not of the layout or written in an unusual form."""
    known = []
    lists = [_packed_lists(record, known) for record in records]
    if None in lists:
        return None
    columns = {}
    for name, stored in layout.names.items():
        packed = [own.get(stored.encode(), b"") for own in lists]
        columns[name] = _UNPACK[KINDS[name]](packed, layout.length(name))
        if columns[name] is None:
            return None
    return columns


def _packed_lists(record, known):
    """Returns {name of a feature, as bytes: its packed numbers}, or None if the record is of an unusual form.

    Args:
        record: a serialised Example.
        known: list of (beginning of an entry, name, bytes of its numbers), one an entry of the last record; changed
            in place to this record's. What begins as the last one did needs no second look.
    """
    example = _EXAMPLE.match(record)
    if not example or example.end() + _number(example[1]) != len(record):
        return None
    lists, at, place = {}, example.end(), 0
    while at < len(record):
        if place == len(known) or not record.startswith(known[place][0], at):
            entry = _entry(record, at)
            if entry is None:
                return None
            known[place : place + 1] = [entry]
        head, name, size = known[place]
        begin = at + len(head)
        at, place = begin + size, place + 1
        lists[name] = record[begin:at]
    return lists if at == len(record) else None


def _entry(record, at):
    """Returns the beginning of the map entry at record[at], its name and the bytes of its numbers; None if unusual."""
    match = _ENTRY.match(record, at)
    if match is None:
        return None
    entry, name_size, name, feature, tag, values, size = match.groups()
    end = match.end() + _number(size)
    ends = {match.end(group) + _number(inner) for group, inner in ((1, entry), (4, feature), (6, values))}
    if ends != {end} or name_size[0] != len(name) or tag != _TAGS[name]:
        return None
    return match[0], name, _number(size)


def _number(varint):
    """Returns the number that the bytes of a varint say.

    >>> _number(bytes([0xAC, 0x02]))
    300
    """
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(varint))


def _floats(packed, length):
    """Returns the numbers of packed lists, float32 (B, K), or None unless each has K."""
    if {len(one) for one in packed} != {4 * length}:
        return None
    return np.frombuffer(b"".join(packed), "<f4").astype(np.float32).reshape(-1, length)


def _ints(packed, length):
    """Returns the numbers of packed lists of varints, int64 (B, K), or None unless each has K.

    >>> _ints([bytes([5, 0xAC, 0x02]), bytes([0, 7])], 2).tolist()
    [[5, 300], [0, 7]]
    """
    data = np.frombuffer(b"".join(packed), np.uint8)
    ends = np.flatnonzero(data < 0x80) + 1  # of the numbers, and of the lists if each K-th ends with one
    if len(ends) != len(packed) * length or not np.array_equal(
        ends[length - 1 :: length], np.cumsum([len(one) for one in packed])
    ):
        return None
    starts = np.concatenate([[0], ends[:-1]])
    longest = int((ends - starts).max())
    if longest > LONGEST_NUMBER:
        return None
    values = (data[starts] & 0x7F).astype(np.int64)
    for place in range(1, longest):
        which = np.flatnonzero(ends - starts > place)
        values[which] |= (data[starts[which] + place] & 0x7F).astype(np.int64) << (7 * place)
    return values.reshape(-1, length)


_UNPACK = {"int64": _ints, "float": _floats}  # by the kind of a feature
