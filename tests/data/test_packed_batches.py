"""Batches of packed rows: every text once a pass, whole, with its label and weight beside it."""

import keras
import numpy as np
import pytest

from keras_bert.data.batches import padded_batches
from keras_bert.data.texts import text_dataset
from keras_bert.data.values import check_values
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


def rows_of(lengths):
    """Text number n of the given length: n + 1 again and again, the second half of it segment 1."""
    return {
        "input_ids": [[number + 1] * length for number, length in enumerate(lengths)],
        "segment_ids": [[0] * (length - length // 2) + [1] * (length // 2) for length in lengths],
    }


def many(count=1000, longest=60, seed=0):
    return np.random.default_rng(seed).integers(1, longest + 1, count).tolist()


def collect(rows, labels=None, **options):
    return list(padded_batches(rows, labels, pack=True, **options).as_numpy_iterator())


def texts_of(x):
    """Yields (number, length, segments) of each text of a batch, having checked where it lies."""
    check_values({name: values.astype(np.int64) for name, values in x.items()}, path="a batch", number=1)
    for row in range(len(x["input_ids"])):
        for place in range(x["sequence_ids"][row].max()):
            own = x["sequence_ids"][row] == place + 1
            (first, *others) = x["input_ids"][row][own]
            assert set(others) <= {first}
            assert x["input_ids"][row, x["sequence_starts"][row, place]] == first
            yield first - 1, own.sum(), x["segment_ids"][row][own].sum()


def test_texts_by_hand_in_their_order():
    rows = {"input_ids": [[2, 7, 3], [2, 3], [2, 8, 9, 3]], "segment_ids": [[0, 0, 0], [0, 1], [0, 0, 1, 1]]}
    options = {"batch_size": 2, "max_seq_length": 6, "pad_id": 4, "shuffle": False, "sample_weights": [0.5, 2, 1]}
    ((x, y, weights),) = collect(rows, [1, 0, 1], **options)
    assert x["input_ids"].tolist() == [[2, 7, 3, 2, 3, 4], [2, 8, 9, 3, 4, 4]]
    assert x["input_mask"].tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]]
    assert x["segment_ids"].tolist() == [[0, 0, 0, 0, 1, 0], [0, 0, 1, 1, 0, 0]]
    assert x["sequence_ids"].tolist() == [[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 0, 0]]
    assert x["sequence_starts"].tolist() == [[0, 3], [0, 0]]
    assert {array.dtype for array in x.values()} == {np.dtype(np.int32)}
    assert (y.tolist(), weights.tolist()) == ([[1, 0], [1, 0]], [[0.5, 2.0], [1.0, 0.0]])


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_text_comes_once_a_pass(shuffle):
    lengths = many()
    dataset = padded_batches(
        rows_of(lengths), np.arange(1000), batch_size=8, max_seq_length=64, pack=True, shuffle=shuffle
    )
    for _ in range(2):
        batches = list(dataset.as_numpy_iterator())
        assert len(dataset) == len(batches)
        seen = []
        for x, y, weights in batches:
            assert x["input_ids"].shape[1] == 64
            found = list(texts_of(x))
            seen += [number for number, _, _ in found]
            assert [number for number, _, _ in found] == y[weights > 0].tolist()
            assert not y[weights == 0].any()
            assert all(lengths[n] == length and segments == length // 2 for n, length, segments in found)
        assert sorted(seen) == list(range(1000))
        assert shuffle or seen == list(range(1000))
        real = sum(x["input_mask"].sum() for x, _, _ in batches) / sum(x["input_mask"].size for x, _, _ in batches)
        assert real > (0.95 if shuffle else 0.7)


@pytest.mark.slow
def test_the_seed_and_the_pass_decide_the_order_and_nothing_else():
    def passes(seed, count=3):
        dataset = padded_batches(
            rows_of(many(200)), np.arange(200), batch_size=8, max_seq_length=64, pack=True, seed=seed
        )
        return [[x["input_ids"].tolist() for x, _, _ in dataset.as_numpy_iterator()] for _ in range(count)]

    keras.utils.set_random_seed(1)
    first = passes(5)
    keras.utils.set_random_seed(2)
    assert passes(5) == first
    assert first[0] != first[1] != first[2] != first[0]
    assert passes(6)[0] != first[0]


@pytest.mark.slow
def test_who_shares_a_row_changes_from_pass_to_pass():
    rows = rows_of(many(800))
    dataset = padded_batches(rows, np.arange(800), batch_size=8, max_seq_length=64, pack=True)
    first, second = (
        {frozenset(row[row > 0]) for x, _, _ in dataset.as_numpy_iterator() for row in x["input_ids"]} for _ in range(2)
    )
    alone = {row for row in first & second if len(row) == 1}
    assert len((first & second) - alone) < len(first) / 6


def test_a_smaller_last_batch_may_be_left_out():
    options = {"batch_size": 8, "max_seq_length": 64, "pack": True, "drop_remainder": True}
    dataset = padded_batches(rows_of([40] * 21), np.arange(21), **options)
    assert len(dataset) == len(list(dataset)) == 2
    x, y, weights = dataset.element_spec
    assert {name: tuple(spec.shape) for name, spec in x.items()} == {
        **dict.fromkeys(("input_ids", "input_mask", "segment_ids", "sequence_ids"), (8, 64)),
        "sequence_starts": (8, 1),
    }
    assert tuple(y.shape) == tuple(weights.shape) == (8, 1)


@pytest.mark.slow
def test_labels_of_several_numbers_and_of_tokens():
    rows, options = rows_of([3, 2, 5]), {"batch_size": 2, "max_seq_length": 6, "shuffle": False}
    ((_, y, weights),) = collect(rows, np.array([[0.5, 1], [2, 3], [4, 5]]), **options)
    assert y.tolist() == [[[0.5, 1], [2, 3]], [[4, 5], [0, 0]]]
    assert weights.tolist() == [[1, 1], [1, 0]]
    labels = [[5, 6, 7], [8, -100], [1, 2, 3, 4, 5]]
    ((_, y),) = collect(rows, labels, **options)
    assert y.tolist() == [[5, 6, 7, 8, -100, -100], [1, 2, 3, 4, 5, -100]]
    ((_, y, weights),) = collect(rows, labels, **options, sample_weights=[1, 2, 0.5])
    assert weights.tolist() == [[1, 1, 1, 2, 2, 0], [0.5] * 5 + [0]]


def test_places_move_with_their_texts():
    labels = {"start_logits": np.array([1, 0, 2]), "end_logits": np.array([2, 1, 4])}
    options = {"batch_size": 2, "max_seq_length": 6, "shuffle": False, "labels_are_places": True}
    ((_, y, weights),) = collect(rows_of([3, 2, 5]), labels, **options)
    assert {name: places.tolist() for name, places in y.items()} == {
        "start_logits": [[1, 3], [2, 0]],
        "end_logits": [[2, 4], [4, 0]],
    }
    assert {name: values.tolist() for name, values in weights.items()} == {
        name: [[1, 1], [1, 0]] for name in ("start_logits", "end_logits")
    }


@pytest.mark.slow
def test_texts_of_strings():
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
    texts = ["good", ("good", "bad"), "bad bad"]
    options = {"batch_size": 2, "max_seq_length": 8, "pack": True}
    x = next(text_dataset(texts, None, tokenizer, **options).as_numpy_iterator())
    assert x["input_ids"].tolist() == [[2, 5, 3, 2, 5, 3, 6, 3], [2, 6, 6, 3, 0, 0, 0, 0]]
    assert x["segment_ids"].tolist() == [[0, 0, 0, 0, 0, 0, 1, 1], [0] * 8]
    ((_, y, _),) = text_dataset(texts, [[0, 1], [1, 0], [1, 1]], tokenizer, **options).as_numpy_iterator()
    assert sorted(map(tuple, y.reshape(-1, 2).tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    bound = text_dataset(texts, None, tokenizer, **options, max_texts_per_row=1)
    assert [len(x["input_ids"]) for x in bound.as_numpy_iterator()] == [2, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {"input_ids": [], "segment_ids": []}}, "no rows"),
        ({"rows": rows_of([3, 9])}, "Row 1 has 9 ids, but max_seq_length is 8"),
        ({"labels": [0, 1, 2]}, "labels must be as many as the examples. Received: 3 for 2"),
        ({"labels": [0, 1], "sample_weights": [1.0]}, "sample_weights must be as many"),
        ({"sample_weights": [1.0, 1.0]}, "without labels"),
        ({"num_choices": 2}, "pack=True fills rows with texts of any example, so that num_choices cannot be had"),
        ({"by_length": True, "shuffle": True}, "so that by_length cannot be had"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"max_texts_per_row": 0}, "max_texts_per_row must be at least 1"),
        ({"max_texts_per_row": 2, "pack": False}, "max_texts_per_row is about packed rows; add pack=True"),
        ({"drop_remainder": True}, "2 texts make 1 packed rows, which do not fill a batch of 2"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    options = {"rows": rows_of([3, 5]), "batch_size": 2, "max_seq_length": 8, "pack": True} | changes
    with pytest.raises(UserError, match=message):
        padded_batches(options.pop("rows"), options.pop("labels", None), **options)
