"""GLUE's figures, by hand and by their definitions."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from keras_bert.errors import UserError
from keras_bert.tasks import glue


def logits_of(answers, classes=2):
    return np.log(np.eye(classes)[answers] * 0.8 + 0.1)


def test_f1_and_accuracy_by_hand():
    # of label 1: two right, one wrongly said, one missed; precision = recall = 2 / 3
    figures = glue.metrics("mrpc", [1, 1, 1, 0, 0], logits_of([1, 1, 0, 1, 0]))
    assert figures["accuracy"] == pytest.approx(0.6)
    assert figures["f1"] == pytest.approx(2 / 3)
    assert set(figures) == {"accuracy", "f1", "loss"}
    assert set(glue.metrics("qqp", [1], logits_of([1]))) == {"accuracy", "f1", "loss"}
    assert glue.metrics("mrpc", [0, 0], logits_of([0, 0]))["f1"] == 0.0


def test_matthews_by_hand():
    # tp 2, tn 1, fp 1, fn 1: (2 * 1 - 1 * 1) / sqrt(3 * 3 * 2 * 2)
    figures = glue.metrics("CoLA", [1, 1, 1, 0, 0], logits_of([1, 1, 0, 1, 0]))
    assert figures["matthews_correlation"] == pytest.approx(1 / 6)
    assert set(figures) == {"matthews_correlation", "loss"}
    assert glue.metrics("CoLA", [1, 0], logits_of([1, 1]))["matthews_correlation"] == 0.0
    labels, answers = [0, 1, 2, 2], [0, 1, 2, 1]
    figures = glue.metrics("ax", labels, logits_of(answers, 3))
    assert figures["matthews_correlation"] == pytest.approx(sk.matthews_corrcoef(labels, answers))


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_correlations_are_scipys(shape):
    rng = np.random.default_rng(0)
    labels = rng.uniform(0, 5, 30).astype(np.float32)
    scores = labels + rng.normal(size=30)
    figures = glue.metrics("sts-b", labels, scores.reshape(shape))
    assert figures["pearson"] == pytest.approx(stats.pearsonr(labels, scores).statistic)
    assert figures["spearman"] == pytest.approx(stats.spearmanr(labels, scores).statistic)
    assert figures["loss"] == pytest.approx(np.mean((labels - scores) ** 2))
    constant = glue.metrics("sts-b", labels, np.ones(30))
    assert (constant["pearson"], constant["spearman"]) == (0.0, 0.0)
    assert all(type(value) is float for value in figures.values())


def test_the_others_are_accuracy():
    for name in ("sst-2", "qnli", "rte", "wnli"):
        assert set(glue.metrics(name, [0, 1], logits_of([0, 0]))) == {"accuracy", "loss"}
    for name in ("mnli", "xnli"):
        assert glue.metrics(name, [0, 1, 2, 2], logits_of([0, 1, 2, 1], 3))["accuracy"] == 0.75


def test_what_cannot_be_measured():
    with pytest.raises(UserError, match="There are no labels, so nothing can be measured; RTE"):
        glue.metrics("rte", None, logits_of([0]))
    with pytest.raises(UserError, match=r"MNLI needs logits of 3 columns .*Received: \(2, 2\) for 2 labels"):
        glue.metrics("mnli", [0, 1], logits_of([0, 1]))
    with pytest.raises(UserError, match=r"Received: \(2, 2\) for 1 labels"):
        glue.metrics("rte", [0], logits_of([0, 1]))
    with pytest.raises(UserError, match="no examples of RTE"):
        glue.metrics("rte", [], np.zeros((0, 2)))
