"""Which texts share a row: all of them once, within the row's length, and rows about as few as can be."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bert.data.packing import Packing, choose_most, lay_out, pack, pack_in_order
from keras_bert.errors import UserError


def lengths_like(count, *, mean=40, longest=128, seed=0):
    lengths = np.random.default_rng(seed).lognormal(np.log(mean), 0.5, count)
    return np.clip(lengths.astype(int), 4, longest)


def rows_of(packing):
    """The texts of each row."""
    return [packing.order[a:b].tolist() for a, b in itertools.pairwise(packing.bounds)]


def check(lengths, capacity, packing, most=None):
    assert sorted(packing.order) == list(range(len(lengths)))
    assert packing.bounds[0] == 0
    assert packing.bounds[-1] == len(lengths)
    assert (packing.counts > 0).all()
    assert all(sum(lengths[text] for text in row) <= capacity for row in rows_of(packing))
    assert most is None or packing.counts.max(initial=0) <= most


@given(st.lists(st.integers(1, 30), max_size=60), st.none() | st.integers(1, 6))
def test_every_text_once_in_rows_that_hold_it(lengths, most):
    for packing in (pack(lengths, 30, most=most), pack_in_order(lengths, 30, most=most)):
        check(lengths, 30, packing, most)
    assert pack_in_order(lengths, 30).order.tolist() == list(range(len(lengths)))


def best_fit_decreasing(lengths, capacity, most):
    """The number of rows by the textbook: the longest first, each into the fullest row that has room for it."""
    rows = []
    for length in sorted(lengths, reverse=True):
        fitting = [row for row in rows if sum(row) + length <= capacity and len(row) < most]
        if fitting:
            max(fitting, key=sum).append(length)
        else:
            rows.append([length])
    return len(rows)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=50))
def test_as_few_rows_as_best_fit_decreasing(lengths):
    assert len(pack(lengths, 40)) == best_fit_decreasing(lengths, 40, most=len(lengths))


@given(st.lists(st.integers(1, 10), min_size=1, max_size=50))
def test_in_order_each_row_takes_all_that_fit(lengths):
    packing = pack_in_order(lengths, 10)
    for row in range(len(packing) - 1):
        a, b = packing.bounds[row : row + 2]
        assert sum(lengths[a:b]) + lengths[b] > 10


@pytest.mark.parametrize(("mean", "capacity"), [(14, 128), (48, 128), (59, 128), (59, 512)])
def test_rows_are_full(mean, capacity):
    lengths = lengths_like(20_000, mean=mean, longest=capacity)
    most = choose_most(lengths, capacity)
    packing = pack(lengths, capacity, most=most)
    check(lengths, capacity, packing, most)
    assert lengths.sum() > 0.97 * capacity * len(packing)
    assert len(packing) <= 1.006 * len(pack(lengths, capacity))
    assert most < 4 * capacity / lengths.mean()


def test_the_fewest_texts_a_row_that_lose_no_room():
    assert choose_most([5, 5, 5, 5], 10) == 2
    assert choose_most([10, 10], 10) == 1
    assert choose_most([1] * 30, 10) == 10
    assert choose_most([7, 1, 1, 1, 8, 2], 10) == 4


def test_rows_in_another_order_are_the_same_rows():
    lengths = lengths_like(500)
    packing = pack(lengths, 128)
    shuffled = packing.shuffled(np.random.default_rng(1))
    check(lengths, 128, shuffled)
    assert sorted(rows_of(packing)) == sorted(rows_of(shuffled))
    assert packing.order.tolist() != shuffled.order.tolist()


def test_texts_laid_out_by_hand():
    packing = Packing(np.arange(3), np.array([0, 2, 3]))
    rows, starts = lay_out({"input_ids": np.arange(1, 10)}, np.array([3, 2, 4]), packing, capacity=6)
    assert rows["input_ids"].tolist() == [[1, 2, 3, 4, 5, 0], [6, 7, 8, 9, 0, 0]]
    assert rows["sequence_ids"].tolist() == [[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 0, 0]]
    assert starts.tolist() == [0, 3, 0]
    assert packing.table(3).tolist() == [[0, 1, -1], [2, -1, -1]]


def test_no_texts_make_no_rows():
    for packing in (pack([], 10), pack_in_order([], 10)):
        assert len(packing) == 0
        assert packing.shuffled(np.random.default_rng(0)).table(2).shape == (0, 2)


@pytest.mark.parametrize("length", [0, 11])
def test_a_text_that_no_row_can_hold_is_named(length):
    for function in (pack, pack_in_order, choose_most):
        with pytest.raises(UserError, match=f"Text 1 has {length} tokens, which no row of 10 can hold"):
            function([3, length], 10)
