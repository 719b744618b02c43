"""Packing: which texts share a row, so that little of it is padding (best fit decreasing; Krell et al. 2021).

The longest texts come first, each into the row that it fills best. Rows that have as much room left are one group, so
that a million texts take a second.

Legend: N texts, R rows.
"""

import dataclasses

import numpy as np

from keras_bert.errors import UserError

SAMPLE = 1 << 16  # texts by which the number of places is chosen
SPARE_ROWS = 0.005  # more rows than without a limit of texts a row are no harm


@dataclasses.dataclass(frozen=True)
class Packing:
    """Texts in rows: row r holds the texts order[bounds[r]:bounds[r + 1]], one after the other.

    Attributes:
        order: int64 (N,), the texts' numbers, row by row.
        bounds: int64 (R + 1,).
    """

    order: np.ndarray
    bounds: np.ndarray

    def __len__(self):
        return len(self.bounds) - 1

    @property
    def counts(self):
        """How many texts each row has, int64 (R,)."""
        return np.diff(self.bounds)

    def shuffled(self, rng):
        """Returns the same rows in a random order."""
        places = rng.permutation(len(self))
        counts = self.counts[places]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(bounds[-1]) - np.repeat(bounds[:-1], counts)
        return Packing(self.order[np.repeat(self.bounds[places], counts) + within], bounds)

    def table(self, places):
        """Returns int64 (R, places): where in `order` the texts of each row stand, -1 past them."""
        columns = np.arange(places)
        return np.where(columns < self.counts[:, None], self.bounds[:-1, None] + columns, -1)


def pack(lengths, capacity, *, most=None):
    """Packs texts into few rows, by their lengths.

    Args:
        lengths: int (N,), each from 1 to `capacity`.
        capacity: tokens a row.
        most: the most texts a row; None for any number.

    Returns:
        A Packing of all texts. The same lengths give the same rows.

    Raises:
        UserError: a text that is empty or does not fit.

    Example:
        >>> packing = pack([3, 8, 5, 2, 2], capacity=10)
        >>> packing.order.tolist(), packing.bounds.tolist()
        ([1, 3, 2, 0, 4], [0, 2, 5])
    """
    lengths = checked_lengths(lengths, capacity)
    rows, order = _Rows(len(lengths), capacity, most), np.argsort(-lengths, kind="stable")
    row_of = np.empty(len(lengths), np.int64)
    ends = np.flatnonzero(np.diff(lengths[order], append=0)) + 1
    begin = 0
    for end in ends:  # the texts of one length
        row_of[order[begin:end]] = rows.place(int(lengths[order[begin]]), end - begin)
        begin = end
    in_rows = order[np.argsort(row_of[order], kind="stable")]
    return Packing(in_rows, np.concatenate([[0], np.cumsum(np.bincount(row_of))]))


class _Rows:
    """Rows on their way to being full."""

    def __init__(self, texts, capacity, most):
        self._capacity, self._most = capacity, texts if most is None else most
        self._counts = np.zeros(texts, np.int64)  # of the texts of each row
        self._groups = [[] for _ in range(capacity + 1)]  # by the room left: arrays of rows
        self._opened = 0

    def place(self, length, count):
        """Places so many texts of one length, and returns the row of each, int64 (count,)."""
        found = []
        while count:
            room = next((r for r in range(length, self._capacity + 1) if self._groups[r]), None)
            if room is None:
                room, each = self._capacity, min(self._capacity // length, self._most)
                rows = np.arange(self._opened, self._opened - (-count // each))
                self._opened += len(rows)
            else:
                rows = self._groups[room].pop(0)
            found.append(self._fill(rows, room, length, count))
            count -= len(found[-1])
        return np.concatenate(found)

    def _fill(self, rows, room, length, count):
        """Puts up to `count` texts into rows of one room, as many into each as fit. Returns the row of each text."""
        fitting = np.minimum(room // length, self._most - self._counts[rows])
        ends = np.cumsum(fitting)
        used = int(np.searchsorted(ends, count)) + 1  # rows
        if used < len(rows):
            self._groups[room].insert(0, rows[used:])
        rows, fitting = rows[:used], fitting[:used]
        fitting[-1] -= max(0, int(ends[len(rows) - 1]) - count)
        self._counts[rows] += fitting
        for number in np.unique(fitting):
            rest = rows[(fitting == number) & (self._counts[rows] < self._most)]
            if len(rest):
                self._groups[room - number * length].append(rest)
        return np.repeat(rows, fitting)


def pack_in_order(lengths, capacity, *, most=None):
    """Packs texts into rows and keeps their order: each row takes the next ones, as many as fit.

    Args, returns and raises: as `pack`.

    Example:
        >>> pack_in_order([3, 8, 5, 2, 2], capacity=10).bounds.tolist()
        [0, 1, 2, 5]
    """
    lengths = checked_lengths(lengths, capacity)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    following = np.searchsorted(ends, ends[:-1] + capacity, side="right") - 1  # of each text, if a row began with it
    if most is not None:
        following = np.minimum(following, np.arange(len(lengths)) + most)
    following, bounds = following.tolist(), [0]
    while bounds[-1] < len(lengths):
        bounds.append(following[bounds[-1]])
    return Packing(np.arange(len(lengths)), np.array(bounds))


def choose_most(lengths, capacity):
    """Returns the fewest texts a row with which hardly more rows are needed than without a limit.

    Args:
        lengths: int (N,), each from 1 to `capacity`.
        capacity: tokens a row.

    Example:
        >>> choose_most([100, 28, 60, 60, 8, 128], capacity=128)
        3
    """
    lengths = checked_lengths(lengths, capacity)
    if len(lengths) > SAMPLE:
        lengths = lengths[np.linspace(0, len(lengths) - 1, SAMPLE).astype(np.int64)]
    free = pack(lengths, capacity)
    enough = int(len(free) * (1 + SPARE_ROWS))
    low, high = -(-len(lengths) // len(free)), int(free.counts.max())
    while low < high:
        middle = (low + high) // 2
        if len(pack(lengths, capacity, most=middle)) <= enough:
            high = middle
        else:
            low = middle + 1
    return high


def checked_lengths(lengths, capacity):
    """Returns lengths as int64 (N,), or raises a UserError for a text that no row can hold."""
    lengths = np.asarray(lengths, np.int64)
    wrong = np.flatnonzero((lengths < 1) | (lengths > capacity))
    if len(wrong):
        raise UserError(
            f"Text {wrong[0]} has {lengths[wrong[0]]} tokens, which no row of {capacity} can hold; 1 to {capacity} "
            "were expected."
        )
    return lengths


def expected_rows(sequence_ids, most, *, is_real=None, numpy=np):
    """Returns what packed rows' numbers of texts, and their places, must be.

    Args:
        sequence_ids: int (R, S), the numbers that rows have: an array or tensor.
        most: N, the most texts a row.
        is_real: bool (R, S), False for padding; None where sequence_ids is 0.
        numpy: the module for them, NumPy or TensorFlow's.

    Returns:
        (R, S): each text has a number of its own, 1, 2, 3 ... up to N, in one stretch, and padding 0; and (R, N): where
        each number stands first, 0 for those that are not there.

    Example:
        >>> [each.tolist() for each in expected_rows(np.array([[1, 1, 2, 1, 0]]), 3)]  # the last 1 should be 3
        [[[1, 1, 2, 3, 0]], [[0, 2, 0]]]
    """
    is_real = sequence_ids != 0 if is_real is None else is_real
    before = numpy.concatenate([numpy.zeros_like(sequence_ids[:, :1]), sequence_ids[:, :-1]], axis=1)
    begins = (sequence_ids > 0) & (sequence_ids != before)
    begun = numpy.cumsum(numpy.where(begins, 1, 0), axis=1)  # texts up to each place
    numbers = numpy.where(is_real, numpy.minimum(numpy.maximum(begun, 1), most), 0)
    is_own = sequence_ids[:, None, :] == numpy.arange(1, most + 1)[:, None]  # (R, N, S)
    return numbers, numpy.argmax(numpy.where(is_own, 1, 0), axis=-1)


def lay_out(flat, lengths, packing, *, capacity):
    """Lays texts out in their rows.

    Args:
        flat: {name: int (tokens,)}, the texts' tokens one after the other, in the packing's order.
        lengths: int (N,), of the texts in the packing's order.
        packing: the Packing.
        capacity: S, tokens a row.

    Returns:
        {name: int32 (R, S)}, 0 past a row's texts, and with them "sequence_ids", int32 (R, S): the number of the text
        in its row from 1, 0 past them; and where each text begins in its row, int64 (N,).
    """
    counts = packing.counts
    before = np.cumsum(lengths) - lengths  # (N,)
    starts = before - np.repeat(before[packing.bounds[:-1]], counts)
    number = 1 + np.arange(len(lengths)) - np.repeat(packing.bounds[:-1], counts)
    places = np.repeat(np.repeat(np.arange(len(packing)), counts) * capacity + starts - before, lengths)
    places += np.arange(len(places))
    rows = {}
    for name, values in {**flat, "sequence_ids": np.repeat(number, lengths)}.items():
        row = np.zeros((len(packing), capacity), np.int32)
        row.reshape(-1)[places] = values
        rows[name] = row
    return rows, starts
