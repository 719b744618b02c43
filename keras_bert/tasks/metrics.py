"""Figures on held-out examples, by scikit-learn's and scipy's definitions: of classes, of several labels, of numbers.

N examples, C classes.
"""

import numpy as np
from scipy.special import log_softmax

SMALLER_IS_BETTER = frozenset(("loss", "mean_squared_error", "mean_absolute_error"))


def classification_metrics(labels, logits):
    """Measures logits against labels.

    Args:
        labels: int (N,), from 0 to C - 1.
        logits: float (N, C).

    Returns:
        {"accuracy", "f1_macro", "f1_weighted", "matthews_correlation", "majority_share", "loss"}: the share of right
        answers; the mean of the F1 of each class that occurs in the labels or the answers, plain and weighted by how
        often it occurs in the labels; Matthews' correlation; the share of the most frequent label, which is the
        accuracy of always guessing it; the mean cross-entropy in nats.

    Example:
        >>> figures = classification_metrics([0, 0, 1, 1], np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]))
        >>> figures["accuracy"], round(figures["f1_macro"], 4), figures["majority_share"]
        (0.75, 0.7333, 0.5)
    """
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    labels = np.asarray(labels)
    logits = np.asarray(logits, np.float64)
    answers = logits.argmax(axis=1)
    log_probabilities = log_softmax(logits, axis=1)
    # Of a single class, which a small set may have, sklearn warns; hiding that would change the process's filters.
    matthews = matthews_corrcoef(labels, answers) if len({*labels.tolist(), *answers.tolist()}) > 1 else 0.0
    return {
        "accuracy": float(accuracy_score(labels, answers)),
        "f1_macro": float(f1_score(labels, answers, average="macro", zero_division=0)),
        "f1_weighted": float(f1_score(labels, answers, average="weighted", zero_division=0)),
        "matthews_correlation": float(matthews),
        "majority_share": float(np.bincount(labels).max() / len(labels)),
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
    }


def multi_label_metrics(labels, logits):
    """Measures the logits of examples that may have several labels; a logit of 0 or more says that one is there.

    Args:
        labels: 0 or 1, (N, C).
        logits: float (N, C).

    Returns:
        {"f1_micro", "f1_macro", "accuracy", "majority_share", "loss"}: the F1 of all labels of all examples; the mean
        of each label's F1, which is 0 for one that is neither there nor said; the share of examples whose labels
        are all right; the accuracy of always guessing the most frequent set of labels; the mean binary cross-entropy
        in nats.

    Example:
        >>> figures = multi_label_metrics([[1, 0], [1, 1]], [[4.0, -4.0], [4.0, -4.0]])
        >>> round(figures["f1_micro"], 4), figures["f1_macro"], figures["accuracy"]
        (0.8, 0.5, 0.5)
    """
    from sklearn.metrics import f1_score

    labels = np.asarray(labels, np.int32)
    logits = np.asarray(logits, np.float64)
    answers = (logits >= 0).astype(np.int32)
    counts = np.unique(labels, axis=0, return_counts=True)[1]
    return {
        # scikit-learn takes a single column for classes 0 and 1; micro F1 is that of all cells as one column.
        "f1_micro": float(f1_score(labels.ravel(), answers.ravel(), zero_division=0)),
        "f1_macro": float(
            np.mean([f1_score(*both, zero_division=0) for both in zip(labels.T, answers.T, strict=True)])
        ),
        "accuracy": float((labels == answers).all(axis=1).mean()),
        "majority_share": float(counts.max() / len(labels)),
        "loss": float((np.logaddexp(0, logits) - logits * labels).mean()),
    }


def regression_metrics(labels, numbers):
    """Measures numbers against those that were meant.

    Args:
        labels, numbers: float (N,).

    Returns:
        {"pearson", "spearman", "mean_squared_error", "mean_absolute_error", "label_variance"}: the last is the mean
        squared error of always guessing the labels' mean. A correlation with what is constant is 0.

    Example:
        >>> figures = regression_metrics([1.0, 2.0, 3.0], [1.0, 2.0, 9.0])
        >>> figures["spearman"], figures["mean_squared_error"], figures["mean_absolute_error"]
        (1.0, 12.0, 2.0)
    """
    labels, numbers = np.asarray(labels, np.float64), np.asarray(numbers, np.float64)
    return {
        "pearson": correlation("pearsonr", labels, numbers),
        "spearman": correlation("spearmanr", labels, numbers),
        "mean_squared_error": float(np.mean((labels - numbers) ** 2)),
        "mean_absolute_error": float(np.mean(np.abs(labels - numbers))),
        "label_variance": float(np.var(labels)),
    }


def correlation(name, labels, numbers):
    """Returns one of scipy.stats' correlations, "pearsonr" or "spearmanr", of two arrays (N,); 0 where one is constant.

    >>> round(correlation("pearsonr", [1, 2, 4], [2, 4, 8]), 6), correlation("spearmanr", [1, 2], [3, 3])
    (1.0, 0.0)
    """
    from scipy import stats

    if np.ptp(labels) == 0 or np.ptp(numbers) == 0:
        return 0.0  # undefined: NaN in scipy, which JSON does not know
    return float(getattr(stats, name)(labels, numbers).statistic)


def mean_and_sd(values):
    """Returns the mean and the standard deviation (of a sample, n - 1) of runs; the latter is None for one run.

    >>> mean_and_sd([0.5, 1.0, 1.5]), mean_and_sd([0.5])
    ((1.0, 0.5), (0.5, None))
    """
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
