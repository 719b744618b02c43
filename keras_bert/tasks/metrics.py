"""Figures of a classifier on held-out examples, by scikit-learn's definitions.

N examples, C classes.
"""

import numpy as np
from scipy.special import log_softmax


def classification_metrics(labels, logits):
    """Measures logits against labels.

    Args:
        labels: int (N,), from 0 to C - 1.
        logits: float (N, C).

    Returns:
        {"accuracy", "f1_macro", "majority_share", "loss"}: the share of right answers; the mean of the F1 of each
        class that occurs in the labels or the answers; the share of the most frequent label, which is the
        accuracy of always guessing it; the mean cross-entropy in nats.

    Example:
        >>> figures = classification_metrics([0, 0, 1, 1], np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]))
        >>> figures["accuracy"], round(figures["f1_macro"], 4), figures["majority_share"]
        (0.75, 0.7333, 0.5)
    """
    from sklearn.metrics import accuracy_score, f1_score

    labels = np.asarray(labels)
    logits = np.asarray(logits, np.float64)
    answers = logits.argmax(axis=1)
    log_probabilities = log_softmax(logits, axis=1)
    return {
        "accuracy": float(accuracy_score(labels, answers)),
        "f1_macro": float(f1_score(labels, answers, average="macro", zero_division=0)),
        "majority_share": float(np.bincount(labels).max() / len(labels)),
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
    }


def mean_and_sd(values):
    """Returns the mean and the standard deviation (of a sample, n - 1) of runs; the latter is None for one run.

    >>> mean_and_sd([0.5, 1.0, 1.5]), mean_and_sd([0.5])
    ((1.0, 0.5), (0.5, None))
    """
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
