"""Pictures of held-out examples: what a classifier takes for what, each label's scores, numbers against numbers.

N examples, C classes.
"""

import numpy as np

from keras_bert.outputs import atomic_path

MOST_NUMBERS = 20  # with more classes the cells are too small to write into
MOST_INCHES = 14.0


def draw_confusion(labels, answers, names, path, *, title):
    """Draws a confusion matrix as a PNG: a row a true class, shaded by its share, the count in each cell.

    Args:
        labels, answers: int (N,), what is true and what the model said.
        names: the C classes' names.
        path: the PNG.
        title: the heading.
    """
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, answers, labels=range(len(names)))  # (C, C)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(MOST_INCHES, 3.5 + 0.55 * len(names))
    figure, axis = _figure(side + 1, side)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, label="share of the true class", fraction=0.046)
    axis.set_xticks(range(len(names)), names, rotation=90)
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("answer")
    axis.set_ylabel("true class")
    if len(names) <= MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, str(count), ha="center", va="center", color=color)
    _save(figure, axis, path, title)


def draw_label_scores(labels, answers, names, path, *, title):
    """Draws the precision, recall and F1 of each label of examples that may have several, as a PNG.

    Args:
        labels, answers: 0 or 1, (N, C), what is there and what the model said.
        names: the C labels' names.
        path: the PNG.
        title: the heading.
    """
    from sklearn.metrics import precision_recall_fscore_support

    scores = [
        precision_recall_fscore_support(*both, average="binary", zero_division=0)[:3]
        for both in zip(np.asarray(labels, int).T, np.asarray(answers, int).T, strict=True)
    ]  # C times (precision, recall, F1)
    figure, axis = _figure(7, min(MOST_INCHES, 1.5 + 0.45 * len(names)))
    places = np.arange(len(names))
    for number, (legend, values) in enumerate(
        zip(("precision", "recall", "F1"), zip(*scores, strict=True), strict=True)
    ):
        axis.barh(places + 0.25 * (number - 1), values, height=0.25, label=legend)
    counts = np.asarray(labels).sum(axis=0).astype(int)
    axis.set_yticks(places, [f"{name} ({count})" for name, count in zip(names, counts, strict=True)])
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_ylabel("label (times)")
    axis.legend()
    _save(figure, axis, path, title)


def draw_scatter(labels, numbers, path, *, title):
    """Draws a model's numbers against those that were meant, as a PNG; what is right lies on the line.

    Args:
        labels, numbers: float (N,), what is true and what the model said.
        path: the PNG.
        title: the heading.
    """
    figure, axis = _figure(6, 6)
    axis.scatter(labels, numbers, s=12, alpha=min(1.0, 30 / len(labels) ** 0.5))
    low, high = min(np.min(labels), np.min(numbers)), max(np.max(labels), np.max(numbers))
    axis.plot([low, high], [low, high], color="gray", linestyle=":")
    axis.set_xlabel("label")
    axis.set_ylabel("answer")
    axis.grid(alpha=0.3)
    _save(figure, axis, path, title)


def _figure(width, height):
    """Returns a figure of that many inches and its only panel."""
    from matplotlib.figure import Figure  # not pyplot, whose backend a notebook has chosen

    figure = Figure(figsize=(width, height), layout="tight")
    return figure, figure.subplots()


def _save(figure, axis, path, title):
    axis.set_title(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
