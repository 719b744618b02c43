"""Labels as numbers, and what they weigh, worked by hand."""

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.tasks.classify.labels import (
    as_flags,
    as_indices,
    class_names,
    example_weights,
    read_labels,
    read_number,
)


def test_classes_stand_in_order():
    assert class_names(["neutral", "bad", "good", "bad"]) == ["bad", "good", "neutral"]
    assert class_names([str(i) for i in range(11)]) == [str(i) for i in range(11)]
    assert class_names(["1", "a", "10", "2"]) == ["1", "10", "2", "a"]


def test_labels_as_numbers():
    indices = as_indices(["b", "a", "b"], ["a", "b"])
    assert (indices.tolist(), indices.dtype) == ([1, 0, 1], np.int32)
    flags = as_flags([("c", "a"), ()], ["a", "b", "c"])
    assert (flags.tolist(), flags.dtype) == ([[1, 0, 1], [0, 0, 0]], np.float32)


def test_balanced_classes_count_alike():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = example_weights(labels, ["a", "b", "c", "never"], "balanced")
    assert weights[[0, 6, 9]] == pytest.approx([10 / (4 * 6), 10 / (4 * 3), 10 / 4])  # scikit-learn's N / (C * count)
    sums = [weights[labels == label].sum() for label in range(3)]
    assert sums == pytest.approx([2.5, 2.5, 2.5])


def test_balanced_labels_count_as_much_where_they_are_as_where_they_are_not():
    labels = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]], np.float32)
    weights = example_weights(labels, ["rare", "never", "always"], "balanced")
    assert weights.tolist() == [[3, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]]


def test_weights_by_name():
    assert example_weights(np.array([0, 1]), ["a", "b"], {"b": 3.0}).tolist() == [1, 3]
    flags = np.array([[1, 0], [1, 1]], np.float32)
    assert example_weights(flags, ["a", "b"], {"b": 3.0}).tolist() == [[1, 1], [1, 3]]
    with pytest.raises(UserError, match="class_weights: 'c' is not one of the classes: a, b"):
        example_weights(np.array([0, 1]), ["a", "b"], {"c": 3.0})
    with pytest.raises(UserError, match="the weight of 'a' must be greater than 0"):
        example_weights(np.array([0, 1]), ["a", "b"], {"a": 0.0})


def test_what_is_no_number_or_name():
    for cell in ("nan", "inf", "1e39"):  # the last is inf in float32
        with pytest.raises(ValueError, match="is not a number"):
            read_number(cell)
    with pytest.raises(ValueError, match="not a list of strings or numbers"):
        read_labels('["a", NaN]')


def test_a_weight_s_class_may_be_written_in_another_way():
    assert example_weights(np.array([0, 1]), ["0", "1"], {"1.0": 3.0}).tolist() == [1, 3]
