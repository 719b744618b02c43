"""The table of keys that is looked up with two gathers."""

import numpy as np
import pytest

from keras_bert.text.bpe.perfect_hash import PerfectHash


@pytest.mark.parametrize("size", [0, 1, 2, 63, 64, 1000, 30_000])
def test_every_key_is_found(size):
    rng = np.random.default_rng(size)
    keys = np.unique(rng.integers(-(1 << 63), (1 << 63) - 1, size=(size, 2)), axis=0)
    table = PerfectHash(keys)
    assert table.find(keys).tolist() == list(range(len(keys)))


def test_keys_that_differ_little():
    keys = np.array([(low, high) for low in range(-60, 60) for high in range(60)])
    assert PerfectHash(keys).find(keys).tolist() == list(range(len(keys)))


def test_other_keys_get_the_number_of_some_key():
    keys = np.arange(20).reshape(-1, 2)
    found = PerfectHash(keys).find(keys + 100)
    assert found.min() >= 0 and found.max() < len(keys)
