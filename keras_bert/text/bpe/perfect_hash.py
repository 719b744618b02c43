"""A table from 128-bit keys to ids that is looked up with two gathers and no search (hash and displace, CHD 2009).

Shapes: M keys; B buckets; S slots.
"""

import numpy as np

SLOT_SHIFT = 20


class PerfectHash:
    """Where to find each of a fixed set of keys.

    A key (low, high) has the hash h = low * multipliers[0] + high * multipliers[1], of 64 bits; its slot is
    (h >> 20) + displacements[h >> bucket_shift], both cut to their tables' sizes by `&`.

    Args:
        keys: int64 (M, 2), all different.

    Attributes:
        multipliers: two int64.
        displacements: int64 (B,).
        slots: int32 (S,), the number of the key that belongs there; 0 where none does.

    >>> table = PerfectHash(np.array([[5, 0], [6, 0], [5, 1]]))
    >>> table.find(np.array([[5, 1], [6, 0]])).tolist()
    [2, 1]
    """

    def __init__(self, keys):
        bits = max(6, len(keys).bit_length() + 1)
        self.bucket_shift = 64 - (bits - 3)
        self.last_slot, self.last_bucket = (1 << bits) - 1, (1 << bits - 3) - 1  # to cut by
        rng = np.random.default_rng(0)
        while True:  # about every other time two keys have one bucket and one slot
            self.multipliers = rng.integers(1 << 62, size=2) * 2 + 1
            if self._fill(keys):
                break

    def _fill(self, keys):
        """Gives each key a slot of its own, bucket by bucket, the fullest first. Returns whether that is possible."""
        self.slots = np.zeros(self.last_slot + 1, np.int32)
        self.displacements = np.zeros(self.last_bucket + 1, np.int64)
        hashes = self._hashes(keys)
        firsts = ((hashes >> SLOT_SHIFT) & self.last_slot).tolist()
        buckets = {}
        for number, bucket in enumerate(((hashes >> self.bucket_shift) & self.last_bucket).tolist()):
            buckets.setdefault(bucket, []).append(number)
        taken = set()
        for bucket, numbers in sorted(buckets.items(), key=lambda item: -len(item[1])):
            of_bucket = [firsts[number] for number in numbers]
            if len(set(of_bucket)) < len(of_bucket):
                return False
            displacement = self._free(of_bucket, taken)
            slots = [(first + displacement) & self.last_slot for first in of_bucket]
            taken.update(slots)
            self.displacements[bucket], self.slots[slots] = displacement, numbers
        return True

    def _free(self, firsts, taken):
        """Returns the least displacement that moves slots to where nothing is; half of all are free."""
        displacement = 0
        while not taken.isdisjoint([(first + displacement) & self.last_slot for first in firsts]):
            displacement += 1
        return displacement

    def find(self, keys):
        """Returns the number of each key of the set, int32; for another key that of some key."""
        hashes = self._hashes(keys)
        displacements = self.displacements[(hashes >> self.bucket_shift) & self.last_bucket]
        return self.slots[((hashes >> SLOT_SHIFT) + displacements) & self.last_slot]

    def _hashes(self, keys):
        with np.errstate(over="ignore"):
            return keys[:, 0] * self.multipliers[0] + keys[:, 1] * self.multipliers[1]
