"""Padded batches: every example once a pass, like lengths together, an order that the seed and the pass decide."""

import keras
import numpy as np
import pytest

from keras_bert.data.batches import IGNORED_LABEL, POOL_BATCHES, padded_batches
from keras_bert.errors import UserError


def rows_of(lengths):
    """Row number n of the given length: n + 1 again and again, the second half of it segment 1."""
    return {
        "input_ids": [[number + 1] * length for number, length in enumerate(lengths)],
        "segment_ids": [[0] * (length - length // 2) + [1] * (length // 2) for length in lengths],
    }


def collect(dataset):
    return list(dataset.as_numpy_iterator())


def numbers(batches):
    """The rows' numbers, a list of arrays."""
    return [x["input_ids"][:, 0] - 1 for x, *_ in batches]


def many(count=1000, longest=60, seed=0):
    return rows_of(np.random.default_rng(seed).integers(1, longest + 1, count))


def test_two_rows_by_hand():
    rows = {"input_ids": [[2, 7, 3], np.array([2, 8, 9, 3, 5])], "segment_ids": [[0, 0, 0], [0, 0, 0, 1, 1]]}
    ((x, y, weights),) = collect(
        padded_batches(
            rows,
            [1, 0],
            batch_size=2,
            max_seq_length=9,
            pad_id=4,
            pad_to_multiple=3,
            shuffle=False,
            sample_weights=[0.5, 2],
        )
    )
    assert x["input_ids"].tolist() == [[2, 7, 3, 4, 4, 4], [2, 8, 9, 3, 5, 4]]
    assert x["input_mask"].tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]]
    assert x["segment_ids"].tolist() == [[0] * 6, [0, 0, 0, 1, 1, 0]]
    assert {array.dtype for array in x.values()} == {np.dtype(np.int32)}
    assert (y.tolist(), weights.tolist()) == ([1, 0], [0.5, 2.0])


@pytest.mark.parametrize("by_length", [None, False, True])
@pytest.mark.parametrize(("count", "batch_size"), [(1000, 8), (7, 8), (16, 8), (17, 16)])
def test_every_example_comes_once_a_pass(by_length, count, batch_size):
    rows = many(count)
    dataset = padded_batches(rows, np.arange(count), batch_size=batch_size, max_seq_length=64, by_length=by_length)
    for _ in range(2):
        batches = collect(dataset)
        assert len(dataset) == len(batches) == -(-count // batch_size)
        assert [len(y) for _, y in batches[:-1]] == [batch_size] * (len(batches) - 1)
        assert sorted(np.concatenate([y for _, y in batches])) == list(range(count))
        for x, y in batches:
            lengths = np.array([len(rows["input_ids"][number]) for number in y])
            assert (x["input_ids"].sum(axis=1) == lengths * (y + 1)).all()
            assert (x["input_mask"].sum(axis=1) == lengths).all()
            assert (x["segment_ids"].sum(axis=1) == lengths // 2).all()
            assert x["input_ids"].shape[1] == -(-lengths.max() // 8) * 8


def test_like_lengths_share_a_batch_and_the_order_does_not_follow_them():
    rows = many(POOL_BATCHES * 8 * 2 + 5)
    by_length, mixed = (
        collect(padded_batches(rows, np.arange(805), batch_size=8, max_seq_length=64, by_length=by_length))
        for by_length in (None, False)
    )
    tokens, room, plain = (
        sum(x[name].size if name == "input_ids" else x[name].sum() for x, _ in batches)
        for batches, name in ((by_length, "input_mask"), (by_length, "input_ids"), (mixed, "input_ids"))
    )
    assert tokens < room < 1.2 * tokens < plain
    widths = [x["input_ids"].shape[1] for x, _ in by_length]
    assert abs(np.corrcoef(np.arange(len(widths)), widths)[0, 1]) < 0.4


def test_the_seed_and_the_pass_decide_the_order_and_nothing_else():
    def passes(seed, count=3):
        dataset = padded_batches(many(200), np.arange(200), batch_size=8, max_seq_length=64, seed=seed)
        return [np.concatenate(numbers(collect(dataset))).tolist() for _ in range(count)]

    keras.utils.set_random_seed(1)
    first = passes(5)
    keras.utils.set_random_seed(2)
    assert passes(5) == first
    assert first[0] != first[1] != first[2] != first[0]
    assert passes(6)[0] != first[0]


def test_repeating_goes_on_to_the_next_pass():
    def make():
        return padded_batches(many(100), np.arange(100), batch_size=10, max_seq_length=64, seed=3)

    dataset = make()
    apart = [y for _ in range(2) for _, y in collect(dataset)]
    together = [y for _, y in make().repeat(2).as_numpy_iterator()]
    np.testing.assert_array_equal(apart, together)


def test_who_shares_a_batch_changes_from_pass_to_pass():
    dataset = padded_batches(many(800), np.arange(800), batch_size=8, max_seq_length=64)
    first, second = ({frozenset(y.tolist()) for _, y in collect(dataset)} for _ in range(2))
    assert len(first & second) < 3


def test_without_labels_the_order_stays():
    batches = collect(padded_batches(many(20), batch_size=8, max_seq_length=64))
    assert np.concatenate([x["input_ids"][:, 0] - 1 for x in batches]).tolist() == list(range(20))
    assert [x["input_ids"].shape[0] for x in batches] == [8, 8, 4]


def test_a_smaller_last_batch_is_left_out_at_random():
    dataset = padded_batches(many(20), np.arange(20), batch_size=8, max_seq_length=64, drop_remainder=True)
    assert len(dataset) == 2
    assert dataset.element_spec[0]["input_ids"].shape.as_list() == [8, None]
    left_out = [frozenset(range(20)) - set(np.concatenate(numbers(collect(dataset))).tolist()) for _ in range(3)]
    assert [len(numbers) for numbers in left_out] == [4, 4, 4]
    assert len(set(left_out)) > 1


def test_one_shape_where_the_multiple_is_the_length():
    options = {"batch_size": 4, "max_seq_length": 12, "pad_to_multiple": 12, "drop_remainder": True}
    labels = [[7] * length for length in range(1, 11)]
    x, y = padded_batches(rows_of(range(1, 11)), labels, **options).element_spec
    assert {tuple(spec.shape) for spec in (*x.values(), y)} == {(4, 12)}
    assert padded_batches(rows_of([2] * 12), **options, num_choices=3, shuffle=True).element_spec[
        "input_ids"
    ].shape.as_list() == [4, 3, 12]


def test_labels_of_tokens_are_padded_with_what_the_losses_ignore():
    labels = [[5, 6, 7], [8]]
    ((_, y),) = collect(padded_batches(rows_of([3, 1]), labels, batch_size=2, max_seq_length=4, shuffle=False))
    assert y.tolist() == [[5, 6, 7, -100], [8, -100, -100, -100]]
    assert IGNORED_LABEL == -100


def test_labels_of_several_outputs_and_of_several_numbers():
    labels = {"start": np.array([1, 2, 3]), "end": np.array([[1.5, 2], [3, 4], [5, 6]])}
    batches = collect(padded_batches(rows_of([2, 3, 4]), labels, batch_size=2, max_seq_length=4, shuffle=False))
    assert [y["start"].tolist() for _, y in batches] == [[1, 2], [3]]
    assert [y["end"].tolist() for _, y in batches] == [[[1.5, 2], [3, 4]], [[5, 6]]]
    assert batches[0][1]["end"].dtype == np.float32


def test_choices_stay_together():
    rows = rows_of([2, 9, 4, 3, 1, 1, 20, 5])  # four examples of two choices
    dataset = padded_batches(rows, np.arange(4), batch_size=2, max_seq_length=20, num_choices=2)
    seen = []
    for x, y in collect(dataset):
        assert x["input_ids"].shape[:2] == x["input_mask"].shape[:2] == (2, 2)
        assert x["input_ids"][:, :, 0].tolist() == [[2 * number + 1, 2 * number + 2] for number in y]
        assert x["input_mask"].sum(axis=2).tolist() == [
            [len(rows["input_ids"][2 * number]), len(rows["input_ids"][2 * number + 1])] for number in y
        ]
        seen += y.tolist()
    assert sorted(seen) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {"input_ids": [], "segment_ids": []}}, "no rows"),
        ({"rows": {"input_ids": [[1, 2]], "segment_ids": [[0]]}}, "1 rows of 2 ids and 1 of 1 segments"),
        ({"rows": rows_of([3, 9])}, "Row 1 has 9 ids, but max_seq_length is 8"),
        ({"labels": [0, 1, 2]}, "labels must be as many as the examples. Received: 3 for 2"),
        ({"labels": {"start": [0]}}, "labels of start must be as many"),
        ({"labels": [0, 1], "sample_weights": [1.0]}, "sample_weights must be as many"),
        ({"sample_weights": [1.0, 1.0]}, "without labels"),
        ({"num_choices": 3}, "2 rows do not make examples of 3 choices"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"pad_to_multiple": 0}, "pad_to_multiple must be at least 1"),
        ({"by_length": True}, "by_length makes an order of its own"),
        ({"batch_size": 4, "drop_remainder": True}, "2 examples do not fill a batch of 4"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    options = {"rows": rows_of([3, 5]), "batch_size": 2, "max_seq_length": 8} | changes
    with pytest.raises(UserError, match=message):
        padded_batches(options.pop("rows"), options.pop("labels", None), **options)
