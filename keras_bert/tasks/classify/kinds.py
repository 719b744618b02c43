"""What a label can be: one class, any number of them, or a number. A kind is one row. Imports no TensorFlow.

W windows, N examples, C classes (1 for a number).
"""

import dataclasses
import difflib
from collections.abc import Callable

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from keras_bert.errors import UserError
from keras_bert.tasks.classify.labels import as_flags, as_indices, class_names, read_labels, read_number
from keras_bert.tasks.metrics import classification_metrics, multi_label_metrics, regression_metrics
from keras_bert.tasks.plots import draw_confusion, draw_label_scores, draw_scatter
from keras_bert.tasks.table import read_class


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """One row.

    Attributes:
        what: a model of it, in words.
        metrics: the figures that may choose the best of several runs; the first does unless another is named.
        read: a cell of the label column -> a label: a str, a tuple of str or a float; or a ValueError.
        classes: a list of labels -> the classes' names in order, [] where there are none.
        numbers: (labels, names) -> int32 (N,), or float32 (N, C) or (N,).
        measure: (numbers, logits (N, C)) -> {name: figure}.
        join: (logits (W, C), where each example's windows start (N,), how many they are (N,)) -> logits (N, C).
        answers: (logits, names) -> {column: list of N}, as `write_table` takes them.
        draw: (numbers, logits, names, path, title), writes a picture.
        picture: the picture's file name.
        baseline: (figure of the labels alone, the figure of an answer to hold it against, what that answer is).
    """

    what: str
    metrics: tuple[str, ...]
    read: Callable
    classes: Callable
    numbers: Callable
    measure: Callable
    join: Callable
    answers: Callable
    draw: Callable
    picture: str
    baseline: tuple[str, str, str]

    def describe(self, results):
        """Writes figures in words: those that may choose the best run, and what an answer without a model reaches."""
        figures = ", ".join(f"{name} {results[name]:.4f}" for name in self.metrics)
        figure, metric, answer = self.baseline
        return f"{figures} ({answer}: {metric} {results[figure]:.4f})"

    def choose_metric(self, name=None):
        """Returns the figure that chooses the best run: `name`, or the kind's own.

        Raises:
            UserError: there is no such figure; the nearest name is given.
        """
        if name is None:
            return self.metrics[0]
        if name not in self.metrics:
            near = difflib.get_close_matches(name, self.metrics, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(self.metrics)}."
            raise UserError(f"metric: {name!r} is not one of the figures of these labels; {hint}")
        return name


def kind_of(labels):
    """Returns the name of the kind that labels are as numbers: int (N,), float (N, C) or float (N,).

    >>> kind_of(np.array([0, 1])), kind_of(np.zeros((2, 3))), kind_of(np.array([0.5, 1.0]))
    ('classes', 'multi_label', 'regression')
    """
    if labels.ndim == 2:
        return "multi_label"
    return "classes" if labels.dtype.kind in "iu" else "regression"


def _mean(values, starts, counts):
    """Returns the mean of each run of rows."""
    return np.add.reduceat(values, starts, axis=0) / counts[:, None]


def _log_mean(values, starts, counts):
    """Returns the logarithm of the mean of each run of rows, whose logarithms are given."""
    return np.logaddexp.reduceat(values, starts, axis=0) - np.log(counts)[:, None]


def _join_classes(logits, starts, counts):
    """Returns the logarithms of the mean probabilities, which are logits too."""
    return _log_mean(log_softmax(logits, axis=1), starts, counts)


def _join_labels(logits, starts, counts):
    """Returns the logits of the mean probabilities."""
    return _log_mean(log_expit(logits), starts, counts) - _log_mean(log_expit(-logits), starts, counts)


def _answer_class(logits, names):
    probabilities = softmax(np.asarray(logits, np.float64), axis=1)
    best = probabilities.argmax(axis=1)
    return {
        "label": [names[i] for i in best],
        "probability": _rounded(probabilities.max(axis=1)),
        "probabilities": _by_name(probabilities, names),
    }


def _answer_labels(logits, names):
    logits = np.asarray(logits, np.float64)
    chosen = [[name for name, logit in zip(names, row, strict=True) if logit >= 0] for row in logits]
    return {"labels": chosen, "probabilities": _by_name(expit(logits), names)}


def _answer_number(logits, names):
    return {"score": _rounded(logits[:, 0])}


def _by_name(probabilities, names):
    return [dict(zip(names, _rounded(row), strict=True)) for row in probabilities]


def _rounded(numbers):
    return [round(float(number), 6) for number in numbers]


KINDS = {
    "classes": Kind(
        what="classifier",
        metrics=("accuracy", "f1_macro", "f1_weighted", "matthews_correlation", "loss"),
        read=read_class,
        classes=class_names,
        numbers=as_indices,
        measure=classification_metrics,
        join=_join_classes,
        answers=_answer_class,
        draw=lambda labels, logits, names, path, title: draw_confusion(
            labels, logits.argmax(axis=1), names, path, title=title
        ),
        picture="confusion.png",
        baseline=("majority_share", "accuracy", "always the most frequent class"),
    ),
    "multi_label": Kind(
        what="classifier",
        metrics=("f1_micro", "f1_macro", "accuracy", "loss"),
        read=read_labels,
        classes=lambda labels: class_names(name for several in labels for name in several),
        numbers=as_flags,
        measure=multi_label_metrics,
        join=_join_labels,
        answers=_answer_labels,
        draw=lambda labels, logits, names, path, title: draw_label_scores(
            labels, logits >= 0, names, path, title=title
        ),
        picture="labels.png",
        baseline=("majority_share", "accuracy", "always the most frequent set of labels"),
    ),
    "regression": Kind(
        what="regression",
        metrics=("pearson", "spearman", "mean_squared_error", "mean_absolute_error"),
        read=read_number,
        classes=lambda labels: [],
        numbers=lambda labels, names: np.array(labels, np.float32),
        measure=lambda labels, logits: regression_metrics(labels, logits[:, 0]),
        join=_mean,
        answers=_answer_number,
        draw=lambda labels, logits, names, path, title: draw_scatter(labels, logits[:, 0], path, title=title),
        picture="scatter.png",
        baseline=("label_variance", "mean_squared_error", "always the mean"),
    ),
}
