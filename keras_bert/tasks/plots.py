"""A picture of what a classifier takes for what: the confusion matrix.

N examples, C classes.
"""

import numpy as np

from keras_bert.files import atomic_path

MOST_NUMBERS = 20  # with more classes the cells are too small to write into


def draw_confusion(labels, answers, names, path, *, title):
    """Draws a confusion matrix as a PNG: a row a true class, shaded by its share, the count in each cell.

    Args:
        labels, answers: int (N,), what is true and what the model said.
        names: the C classes' names.
        path: the PNG.
        title: the heading.
    """
    from matplotlib.figure import Figure  # not pyplot, whose backend a notebook has chosen
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, answers, labels=range(len(names)))  # (C, C)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(14.0, 3.5 + 0.55 * len(names))
    figure = Figure(figsize=(side + 1, side), layout="tight")
    axis = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, label="share of the true class", fraction=0.046)
    axis.set_xticks(range(len(names)), names, rotation=90)
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("answer")
    axis.set_ylabel("true class")
    axis.set_title(title)
    if len(names) <= MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, str(count), ha="center", va="center", color=color)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
