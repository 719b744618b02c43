"""A hash table from short words to numbers that is asked for many words at once: open addressing in numpy arrays.

Shapes: W words.
"""

import numpy as np

KEY_BYTES = 16  # longer words have no key; one in 300 of Wikipedia's is longer
_MASKS = np.array([(1 << 8 * min(size, 8)) - 1 for size in range(9)], np.uint64)
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)  # odd, the bits well mixed


def word_keys(data, starts, lengths):
    """Reads the keys of words: their bytes as two numbers.

    Args:
        data: bytes, KEY_BYTES more of them than the words take.
        starts, lengths: int64 (W,), where each word begins in it, and how many bytes it has.

    Returns:
        low, high: uint64 (W,), two words have the same if they are the same; 0, 0 for those over KEY_BYTES.
    """
    lengths = np.where(lengths > KEY_BYTES, 0, lengths)
    keys = []
    for first in (0, 8):
        eights = np.ndarray(len(data) - first - 7, "<u8", data, first, strides=(1,))  # the eight bytes from each place
        keys.append(eights[starts] & _MASKS[np.clip(lengths - first, 0, 8)])
    return keys


class WordTable:
    """Keys of words and their numbers.

    Args:
        capacity: how many words it can hold; 40 to 80 bytes are taken for each at once, and half of it stays empty.

    >>> low, high = word_keys(b"to be or to" + bytes(KEY_BYTES), np.array([0, 3, 6, 9]), np.array([2, 2, 2, 2]))
    >>> table = WordTable(10)
    >>> table.add(low[:2], high[:2], np.array([7, 8]))
    >>> table.find(low, high)
    array([ 7,  8, -1,  7], dtype=int32)
    """

    def __init__(self, capacity):
        bits = max(4, (2 * capacity - 1).bit_length())
        self._capacity, self._size = capacity, 0
        self._shift, self._last = np.uint64(64 - bits), (1 << bits) - 1
        self._low, self._high = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.uint64)
        self._numbers = np.full(1 << bits, -1, np.int32)

    def clear(self):
        """Forgets all keys."""
        self._size = 0
        self._low.fill(0)
        self._high.fill(0)
        self._numbers.fill(-1)

    def find(self, low, high):
        """Returns the number of each key, int32 (W,), or -1."""
        slots = self._slots(low, high)
        numbers = self._numbers[slots]
        rest = np.flatnonzero(self._are_taken_by_others(slots, low, high))
        while len(rest):
            slots[rest] = (slots[rest] + 1) & self._last
            numbers[rest] = self._numbers[slots[rest]]
            rest = rest[self._are_taken_by_others(slots[rest], low[rest], high[rest])]
        return numbers

    def add(self, low, high, numbers):
        """Adds keys that are not in the table, all different, with numbers that are all different."""
        self._size += len(low)
        assert self._size <= self._capacity
        slots, rest = self._slots(low, high), np.arange(len(low))
        while len(rest):
            free = rest[self._numbers[slots[rest]] < 0]
            at = slots[free]  # one slot may come twice: the last to take it keeps it
            self._low[at], self._high[at], self._numbers[at] = low[free], high[free], numbers[free]
            rest = rest[self._numbers[slots[rest]] != numbers[rest]]
            slots[rest] = (slots[rest] + 1) & self._last

    def _slots(self, low, high):
        return ((low * _MULTIPLIERS[0] + high * _MULTIPLIERS[1]) >> self._shift).view(np.int64)

    def _are_taken_by_others(self, slots, low, high):
        taken = self._low[slots]
        return (taken != 0) & ((taken != low) | (self._high[slots] != high))
