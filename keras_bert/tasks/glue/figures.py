"""GLUE's official figures (Wang et al. 2018, section 3): of those in metrics.py the ones that a task asks for, and F1.

N examples, C classes.
"""

import numpy as np

from keras_bert.errors import UserError
from keras_bert.tasks.glue.rows import find_task
from keras_bert.tasks.metrics import classification_metrics, regression_metrics


def metrics(task, labels, logits):
    """Measures a model's outputs.

    Args:
        task: a task's name, or its GlueTask.
        labels: int (N,), the labels' places; float (N,) for STS-B.
        logits: float (N, C); (N, 1) or (N,) for STS-B.

    Returns:
        {name: float}: the task's figures ("accuracy", "f1", "matthews_correlation", "pearson", "spearman"), and
        "loss", the mean cross-entropy in nats or for STS-B the mean squared error. F1 is that of label "1".
        Correlations of what is constant are 0.

    Raises:
        UserError: no labels, as in a test set, no examples, or other shapes.

    Example:
        >>> figures = metrics("mrpc", [1, 0, 1, 1], np.log([[0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [0.9, 0.1]]))
        >>> figures["accuracy"], round(figures["f1"], 4)
        (0.5, 0.6667)
        >>> round(metrics("sts-b", [0.0, 2.5, 5.0], [1.0, 2.0, 3.0])["pearson"], 6)
        1.0
    """
    task = find_task(task)
    if labels is None:
        raise UserError(f"There are no labels, so nothing can be measured; {task.name} is measured on its dev set.")
    labels, logits = np.asarray(labels), np.asarray(logits, np.float64)
    width = logits.shape[-1] if logits.ndim == 2 else 1
    if logits.ndim not in (1, 2) or len(labels) != len(logits) or width != task.num_classes:
        raise UserError(
            f"{task.name} needs logits of {task.num_classes} columns and as many rows as labels. Received: "
            f"{logits.shape} for {len(labels)} labels."
        )
    if not len(labels):
        raise UserError(f"There are no examples of {task.name} to measure; give at least one.")
    if task.regression:
        figures = regression_metrics(labels, as_scores(logits))
        figures["loss"] = figures["mean_squared_error"]
    else:
        figures = classification_metrics(labels, logits)
        if "f1" in task.metrics:
            figures["f1"] = _f1(labels, answers(logits))
    return {name: figures[name] for name in (*task.metrics, "loss")}


def answers(logits):
    """Returns the place of each row's best label, int (N,)."""
    return np.asarray(logits).argmax(axis=1)


def as_scores(logits):
    """Returns the numbers of a regression, float64 (N,), from (N, 1) or (N,)."""
    return np.asarray(logits, np.float64).reshape(-1)


def _f1(labels, given):
    from sklearn.metrics import f1_score

    return float(f1_score(labels, given, zero_division=0))
