"""The table of words: what was put in is found, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bert.text.wordtable import KEY_BYTES, WordTable, word_keys


def keys_of(words):
    data = b" ".join(words) + bytes(KEY_BYTES)
    lengths = np.array([len(word) for word in words], np.int64)
    return word_keys(data, np.cumsum(lengths + 1) - lengths - 1, lengths)


def test_keys_by_hand():
    low, high = keys_of([b"a", b"ba", b"12345678", b"123456789", b"x" * 16, b"x" * 17])
    assert low[:2].tolist() == [0x61, 0x6162] and high[:3].tolist() == [0, 0, 0]
    assert low[2] == low[3] == int.from_bytes(b"12345678", "little") and high[3] == ord("9")
    assert low[4] == high[4] == int.from_bytes(b"x" * 8, "little")
    assert low[5] == high[5] == 0  # too long for a key


def test_words_that_begin_alike():
    low, high = keys_of([b"12345678%d" % number for number in range(200)])
    table = WordTable(100)
    table.add(low[:100], high[:100], np.arange(100, dtype=np.int32))
    assert table.find(low, high).tolist() == [*range(100), *[-1] * 100]
    with pytest.raises(AssertionError):
        table.add(low[100:101], high[100:101], np.array([100], np.int32))  # full: a search would not end


WORDS = st.lists(st.binary(min_size=1, max_size=16).filter(lambda word: b"\0" not in word), min_size=1, unique=True)


@given(WORDS, st.integers(0, 10**6))
def test_what_was_added_is_found_and_nothing_else(words, where):
    where %= len(words) + 1
    low, high = keys_of(words)
    table = WordTable(len(words))
    numbers = np.arange(len(words))[::-1].astype(np.int32)
    table.add(low[: where // 2], high[: where // 2], numbers[: where // 2])
    table.add(low[where // 2 : where], high[where // 2 : where], numbers[where // 2 : where])
    assert table.find(low, high).tolist() == [*numbers[:where], *[-1] * (len(words) - where)]


def test_a_table_as_full_as_it_should_get():
    words = [f"{number:x}".encode() for number in range(20_000)]
    low, high = keys_of(words)
    table, numbers = WordTable(20_000), np.arange(20_000, dtype=np.int32)
    table.add(low, high, numbers)
    np.testing.assert_array_equal(table.find(low, high), numbers)
    assert (table.find(*keys_of([word + b"!" for word in words])) == -1).all()
    assert table.find(np.zeros(1, np.uint64), np.zeros(1, np.uint64)).tolist() == [-1]
    table.clear()
    assert (table.find(low, high) == -1).all()
