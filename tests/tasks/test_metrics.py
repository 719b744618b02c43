"""The figures, against examples worked by hand."""

import math

import numpy as np
import pytest

from keras_bert.tasks.metrics import classification_metrics, mean_and_sd


def test_an_example_by_hand():
    # True 0 0 0 1 2, said 0 0 1 1 1. Class 0: precision 1, recall 2/3, F1 0.8; class 1: 1/3, 1, F1 0.5; class 2: 0.
    labels = [0, 0, 0, 1, 2]
    logits = np.log([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.1, 0.7, 0.2]])
    figures = classification_metrics(labels, logits)
    assert figures["accuracy"] == pytest.approx(3 / 5)
    assert figures["f1_macro"] == pytest.approx((0.8 + 0.5 + 0.0) / 3)
    assert figures["majority_share"] == pytest.approx(3 / 5)
    right = [0.8, 0.6, 0.2, 0.8, 0.2]
    assert figures["loss"] == pytest.approx(-sum(map(math.log, right)) / 5)


def test_large_logits_do_not_overflow():
    figures = classification_metrics([0, 1], np.array([[1e4, 0.0], [1e4, 0.0]], np.float32))
    assert figures["loss"] == pytest.approx(5e3)
    assert figures["accuracy"] == 0.5


def test_mean_and_sd_of_runs():
    assert mean_and_sd([0.7, 0.8, 0.9]) == (pytest.approx(0.8), pytest.approx(0.1))
    assert mean_and_sd([0.7]) == (0.7, None)
