"""Masked-LM corruption: what may be chosen, how much of it, and what becomes of it."""

import numpy as np
import pytest
from scipy.stats import chisquare

from keras_bert.data.masking import ACTIONS, choose_words, mask_tokens, word_starts


def sequences(vocabulary, *, count=2000, seq_length=64, seed=0):
    """[CLS] a ... [SEP] b ... [SEP] [PAD] ... of random words, [UNK] among them."""
    rng = np.random.default_rng(seed)
    tokens = rng.choice([vocabulary.unk_id, *range(7, len(vocabulary))], (count, seq_length))
    tokens[:, 0] = vocabulary.cls_id
    ends = rng.integers(5, seq_length + 1, count)
    for row, end in zip(tokens, ends, strict=True):
        row[rng.integers(2, end - 2)] = row[end - 1] = vocabulary.sep_id
        row[end:] = vocabulary.pad_id
    return tokens


@pytest.fixture(params=[False, True], ids=["token", "whole_word"])
def whole_word(request):
    return request.param


@pytest.fixture
def masked(vocabulary, whole_word):
    tokens = sequences(vocabulary)
    options = {"max_predictions": 8, "whole_word": whole_word, "rng": np.random.default_rng(1)}
    return tokens, mask_tokens(tokens, vocabulary, **options)


def test_unmasking_gives_the_original(masked):
    tokens, batch = masked
    restored = batch.input_ids.copy()
    rows, slots = np.nonzero(batch.weights)
    restored[rows, batch.positions[rows, slots]] = batch.ids[rows, slots]
    np.testing.assert_array_equal(restored, tokens)
    assert (batch.input_ids != tokens).any()


def test_slots_are_ascending_and_padded_with_zeros(masked):
    _, batch = masked
    count = batch.weights.sum(axis=1).astype(int)
    for positions, ids, weights, n in zip(batch.positions, batch.ids, batch.weights, count, strict=True):
        assert (np.diff(positions[:n]) > 0).all()
        assert weights.tolist() == [1.0] * n + [0.0] * (8 - n)
        assert not positions[n:].any()
        assert not ids[n:].any()
    assert (batch.positions.dtype, batch.ids.dtype, batch.weights.dtype) == (np.int32, np.int32, np.float32)


def test_special_tokens_are_never_chosen_and_unknown_ones_are(masked, vocabulary):
    _, batch = masked
    chosen = set(batch.ids[batch.weights > 0].tolist())
    assert not chosen & {vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id}
    assert vocabulary.unk_id in chosen


def test_number_of_predictions_is_googles(vocabulary):
    tokens = sequences(vocabulary)
    batch = mask_tokens(tokens, vocabulary, max_predictions=8, rng=np.random.default_rng(1))
    real = (tokens != vocabulary.pad_id).sum(axis=1)
    expected = [min(8, max(1, round(int(n) * 0.15))) for n in real]
    assert batch.weights.sum(axis=1).tolist() == expected
    assert {1, 8} < set(expected)  # both bounds were met


def test_more_predictions_than_tokens(vocabulary, whole_word):
    tokens = [[2, 7, 8, 3, 9, 3, 0, 0]]
    rng = np.random.default_rng(0)
    batch = mask_tokens(tokens, vocabulary, rate=1.0, max_predictions=12, whole_word=whole_word, rng=rng)
    assert batch.positions[0, :3].tolist() == [1, 2, 4]
    assert batch.weights[0].tolist() == [1.0] * 3 + [0.0] * 9


def test_eighty_ten_ten(vocabulary):
    tokens = sequences(vocabulary, count=4000)
    batch = mask_tokens(tokens, vocabulary, rng=np.random.default_rng(3))
    counts = np.bincount(batch.actions[batch.weights > 0], minlength=3)
    assert chisquare(counts, counts.sum() * np.array([0.8, 0.1, 0.1])).pvalue > 1e-3
    new = np.take_along_axis(batch.input_ids, batch.positions, axis=1)
    for action, holds in (
        ("masked", new == vocabulary.mask_id),
        ("kept", new == batch.ids),
        ("random", np.isin(new, vocabulary.replacement_ids)),
    ):
        assert holds[batch.actions == ACTIONS.index(action)].all()


def test_replacements_are_all_ordinary_tokens_alike(vocabulary):
    batch = mask_tokens(sequences(vocabulary, count=8000), vocabulary, rng=np.random.default_rng(4))
    new = np.take_along_axis(batch.input_ids, batch.positions, axis=1)[batch.actions == ACTIONS.index("random")]
    counts = np.bincount(new, minlength=len(vocabulary))
    assert not counts[:7].any()  # specials and [unused]
    assert chisquare(counts[7:]).pvalue > 1e-3


def test_every_place_is_chosen_alike(vocabulary):
    tokens = np.full((20000, 22), 7)
    tokens[:, 0], tokens[:, [10, 21]] = vocabulary.cls_id, vocabulary.sep_id
    batch = mask_tokens(tokens, vocabulary, rng=np.random.default_rng(5))
    counts = np.bincount(batch.positions[batch.weights > 0], minlength=22)
    assert counts[[0, 10, 21]].tolist() == [0, 0, 0]
    assert chisquare(np.delete(counts, [0, 10, 21])).pvalue > 1e-3


def test_whole_words_are_chosen_whole(vocabulary):
    tokens = sequences(vocabulary)
    batch = mask_tokens(tokens, vocabulary, max_predictions=8, whole_word=True, rng=np.random.default_rng(6))
    fixed = np.isin(tokens, [vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id])
    word = np.cumsum(word_starts(tokens, fixed, vocabulary) | fixed, axis=1)  # number of the word at each place
    chosen = np.zeros(tokens.shape, bool)
    rows, slots = np.nonzero(batch.weights)
    chosen[rows, batch.positions[rows, slots]] = True
    partly = 0
    for row in range(len(tokens)):
        hit = set(word[row][chosen[row]].tolist())
        members = np.isin(word[row], list(hit)) & ~fixed[row]
        np.testing.assert_array_equal(chosen[row], members)
        partly += len(hit) < chosen[row].sum()
    assert partly > 100  # words of several pieces did occur


def test_a_word_does_not_reach_across_a_separator(vocabulary):
    piece = vocabulary.id("##b0")
    tokens = np.array([[vocabulary.cls_id, 7, piece, vocabulary.sep_id, piece, piece, 8, vocabulary.sep_id]])
    fixed = np.isin(tokens, [vocabulary.cls_id, vocabulary.sep_id])
    starts = word_starts(tokens, fixed, vocabulary)
    assert np.flatnonzero(starts[0]).tolist() == [1, 4, 6]


def test_words_that_do_not_fit_are_passed_over():
    starts = np.array([[True, False, False, True]] * 50)
    positions, count = choose_words(starts, np.ones_like(starts), np.full(50, 2), 2, rng=np.random.default_rng(0))
    assert count.tolist() == [1] * 50  # the word of three pieces never fits into two
    assert positions[:, 0].tolist() == [3] * 50


def test_same_generator_same_masks(vocabulary, whole_word):
    tokens = sequences(vocabulary, count=50)

    def ids(seed):
        rng = np.random.default_rng(seed)
        return mask_tokens(tokens, vocabulary, whole_word=whole_word, rng=rng).input_ids

    np.testing.assert_array_equal(ids(1), ids(1))
    assert (ids(1) != ids(2)).any()
