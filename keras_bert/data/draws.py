"""Random numbers for masking: of one generator for a whole batch, or of each record's own.

A record's own make its masks independent of what else is in the batch, so that they are the same for any batch size
and any number of workers. SplitMix64 (Steele, Lea and Flood 2014) gives them for all records of a batch at once.
Legend: B records, S sequence, N places.
"""

import numpy as np

GAMMA = 0x9E3779B97F4A7C15  # the golden ratio's odd 64 bits
# What a number is for; each use has a range of the generator's counter, a place of the record being a step in it.
ORDER, TURN, ACTION, REPLACEMENT = range(4)
USE_BITS = 32


class BatchDraws:
    """Draws one number after the other, whichever record it is for.

    Args:
        rng: a numpy Generator.
    """

    def __init__(self, rng):
        self._rng = rng

    def __getitem__(self, rows):
        return self

    def bits(self, shape):
        """Returns uint32 (B, S)."""
        return self._rng.integers(1 << 32, size=shape, dtype=np.uint32)

    def uniform(self, use, rows, places):
        """Returns float64 (N,) in [0, 1)."""
        return self._rng.random(len(rows))

    def choice(self, options, rows, places):
        """Returns one of the options (K,) for each of N places."""
        return self._rng.choice(options, len(rows))


class RecordDraws:
    """Draws numbers that depend on the record, on what they are for and on the place in the record, and on no more.

    Args:
        numbers: int64 (B,), one for each record.
        seed: int; another seed gives all records other numbers.

    Example:
        >>> draws = RecordDraws(np.array([7, 8, 9]), seed=1)
        >>> bool((draws.bits((3, 4))[1:] == draws[1:].bits((2, 4))).all())
        True
    """

    def __init__(self, numbers, *, seed):
        seed = _mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64))
        self._keys = _mixed(seed + np.asarray(numbers).astype(np.uint64) * np.uint64(GAMMA))

    def __getitem__(self, rows):
        part = object.__new__(RecordDraws)
        part._keys = self._keys[rows]
        return part

    def _draw(self, use, rows, places):
        """Returns uint64 (N,), or of the shape to which rows and places broadcast."""
        counters = np.asarray(places).astype(np.uint64) + np.uint64((use << USE_BITS) + 1)
        return _mixed(self._keys[rows] + counters * np.uint64(GAMMA))

    def bits(self, shape):
        """Returns uint32 (B, S)."""
        pairs = np.arange((shape[1] + 1) // 2)
        return self._draw(ORDER, np.arange(shape[0])[:, None], pairs).view(np.uint32)[:, : shape[1]]

    def uniform(self, use, rows, places):
        """Returns float64 (N,) in [0, 1) for N places: the row of each, and its place there."""
        return (self._draw(use, rows, places) >> np.uint64(11)) * 2.0**-53

    def choice(self, options, rows, places):
        """Returns one of the options (K,) for each of N places."""
        return options[(self.uniform(REPLACEMENT, rows, places) * len(options)).astype(np.int64)]


def _mixed(values):
    """Returns uint64 values put through SplitMix64's finalizer."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
