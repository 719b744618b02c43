"""The figures, against examples worked by hand and against scikit-learn's and scipy's on random ones."""

import math

import numpy as np
import pytest

from keras_bert.tasks.metrics import classification_metrics, mean_and_sd, multi_label_metrics, regression_metrics


def test_an_example_by_hand():
    # True 0 0 0 1 2, said 0 0 1 1 1. Class 0: precision 1, recall 2/3, F1 0.8; class 1: 1/3, 1, F1 0.5; class 2: 0.
    labels = [0, 0, 0, 1, 2]
    logits = np.log([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.1, 0.7, 0.2]])
    figures = classification_metrics(labels, logits)
    assert figures["accuracy"] == pytest.approx(3 / 5)
    assert figures["f1_macro"] == pytest.approx((0.8 + 0.5 + 0.0) / 3)
    assert figures["f1_weighted"] == pytest.approx((3 * 0.8 + 0.5 + 0.0) / 5)
    assert figures["majority_share"] == pytest.approx(3 / 5)
    right = [0.8, 0.6, 0.2, 0.8, 0.2]
    assert figures["loss"] == pytest.approx(-sum(map(math.log, right)) / 5)


def test_large_logits_do_not_overflow():
    figures = classification_metrics([0, 1], np.array([[1e4, 0.0], [1e4, 0.0]], np.float32))
    assert figures["loss"] == pytest.approx(5e3)
    assert figures["accuracy"] == 0.5


def test_a_single_answer_is_no_warning(recwarn):
    figures = classification_metrics([0, 0], np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert figures["matthews_correlation"] == 0.0
    assert not recwarn.list


def test_matthews_by_hand():
    # True 1 1 1 0 0 0, said 1 1 0 0 0 1: (2 * 2 - 1 * 1) / sqrt(3 * 3 * 3 * 3)
    logits = np.eye(2)[[1, 1, 0, 0, 0, 1]]
    assert classification_metrics([1, 1, 1, 0, 0, 0], logits)["matthews_correlation"] == pytest.approx(3 / 9)


def test_several_labels_by_hand():
    labels = [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    logits = [[2.0, -1.0, -1.0], [1.0, -1.0, 1.0], [-1.0, -1.0, 0.0]]  # said: a; a c; c
    figures = multi_label_metrics(labels, logits)
    assert figures["f1_micro"] == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))  # 2 right, 2 too many, 1 missing
    assert figures["f1_macro"] == pytest.approx((1 + 0 + 0) / 3)
    assert figures["accuracy"] == pytest.approx(1 / 3)
    assert figures["majority_share"] == pytest.approx(1 / 3)
    said = [x if y else -x for ys, xs in zip(labels, logits, strict=True) for y, x in zip(ys, xs, strict=True)]
    assert figures["loss"] == pytest.approx(sum(math.log1p(math.exp(-x)) for x in said) / 9)


def test_several_labels_as_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score

    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 2, (40, 5)), rng.normal(size=(40, 5))
    figures = multi_label_metrics(labels, logits)
    for average in ("micro", "macro"):
        assert figures[f"f1_{average}"] == pytest.approx(f1_score(labels, logits >= 0, average=average))
    assert figures["accuracy"] == pytest.approx(accuracy_score(labels, logits >= 0))
    one = multi_label_metrics(labels[:, :1], logits[:, :1])
    assert one["f1_micro"] == one["f1_macro"] == pytest.approx(f1_score(labels[:, 0], logits[:, 0] >= 0))


def test_numbers_by_hand():
    # Deviations -1.5 -0.5 0.5 1.5 and -2 -1 0 3: (3 + 0.5 + 0 + 4.5) over sqrt(5 * 14); ranks 1 2 3 4 both.
    figures = regression_metrics([1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 5.0])
    assert figures["pearson"] == pytest.approx(8 / math.sqrt(70))
    assert figures["spearman"] == pytest.approx(1.0)
    assert figures["mean_squared_error"] == pytest.approx(1.0)
    assert figures["mean_absolute_error"] == pytest.approx(1.0)
    assert figures["label_variance"] == pytest.approx(1.25)


@pytest.mark.parametrize(("labels", "numbers"), [([1.0], [2.0]), ([1.0, 2.0], [3.0, 3.0]), ([1.0, 1.0], [2.0, 3.0])])
def test_what_has_no_correlation_has_none(labels, numbers, recwarn):
    figures = regression_metrics(labels, numbers)
    assert figures["pearson"] == figures["spearman"] == 0.0
    assert not recwarn.list


def test_mean_and_sd_of_runs():
    assert mean_and_sd([0.7, 0.8, 0.9]) == (pytest.approx(0.8), pytest.approx(0.1))
    assert mean_and_sd([0.7]) == (0.7, None)
