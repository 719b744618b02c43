"""The kinds of labels: which one numbers are, what windows together say, and answers as columns."""

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.tasks.classify.kinds import KINDS, kind_of
from keras_bert.tasks.classify.labels import as_flags, as_indices

STARTS, COUNTS = np.array([0, 3]), np.array([3, 1])  # four windows: three of the first text, one of the second


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_numbers_tell_their_kind():
    assert kind_of(as_indices(["b"], ["a", "b"])) == "classes"
    assert kind_of(as_flags([("a",)], ["a"])) == "multi_label"
    assert kind_of(KINDS["regression"].numbers([1.0], [])) == "regression"


def test_windows_of_classes_have_the_mean_probability():
    logits = np.array([[3.0, 0.0, -1.0], [-2.0, 1.0, 0.0], [0.0, 0.0, 5.0], [1.0, 2.0, 3.0]])
    exponentials = np.exp(KINDS["classes"].join(logits, STARTS, COUNTS))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = [probabilities[:3].mean(axis=0), probabilities[3]]
    np.testing.assert_allclose(exponentials / exponentials.sum(axis=1, keepdims=True), expected, rtol=1e-6)


def test_windows_of_several_labels_have_the_mean_probability_of_each():
    logits = np.array([[3.0, 0.0], [-2.0, 1.0], [0.0, -50.0], [700.0, -700.0]])
    joined = KINDS["multi_label"].join(logits, STARTS, COUNTS)
    np.testing.assert_allclose(sigmoid(joined[0]), sigmoid(logits[:3]).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(joined[1], logits[3], rtol=1e-6)


def test_windows_of_numbers_have_the_mean():
    joined = KINDS["regression"].join(np.array([[1.0], [2.0], [6.0], [-5.0]]), STARTS, COUNTS)
    assert joined.tolist() == [[3.0], [-5.0]]


def test_answers():
    names = ["no", "yes"]
    assert KINDS["classes"].answers(np.log([[0.25, 0.75], [0.5, 0.5]]), names) == {
        "label": ["yes", "no"],
        "probability": [0.75, 0.5],
        "probabilities": [{"no": 0.25, "yes": 0.75}, {"no": 0.5, "yes": 0.5}],
    }
    assert KINDS["multi_label"].answers(np.array([[0.0, 3.0], [-1.0, -1.0]]), names) == {
        "labels": [["no", "yes"], []],
        "probabilities": [{"no": 0.5, "yes": 0.952574}, {"no": 0.268941, "yes": 0.268941}],
    }
    assert KINDS["regression"].answers(np.array([[1.5], [-2.0]]), []) == {"score": [1.5, -2.0]}


@pytest.mark.parametrize("name", KINDS)
def test_every_figure_that_may_choose_is_measured(name):
    kind = KINDS[name]
    labels = {"classes": [0, 1, 1], "multi_label": [[0, 1], [1, 1], [0, 0]], "regression": [0.5, 1.0, 3.0]}[name]
    logits = np.array([[1.0, 0.0], [0.0, 2.0], [0.5, 0.0]])[:, : 1 if name == "regression" else 2]
    figures = kind.measure(np.array(labels), logits)
    assert set(kind.metrics) | set(kind.baseline[:2]) <= set(figures)
    assert kind.choose_metric() == kind.metrics[0]
    assert [kind.choose_metric(metric) for metric in kind.metrics] == list(kind.metrics)


def test_a_misspelt_metric():
    with pytest.raises(UserError, match=r"metric: 'f1_makro' is not one .*; did you mean f1_macro\?"):
        KINDS["classes"].choose_metric("f1_makro")
    with pytest.raises(UserError, match=r"'bleu' is not one .*; choose one of pearson, spearman"):
        KINDS["regression"].choose_metric("bleu")
