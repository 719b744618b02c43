"""Labels as they stand in the cells of a table, and as the numbers that a model is trained on.

A reader turns a cell (a str, or a list in JSONL) into a label, or raises a ValueError that says what is wrong with it.
N examples, C classes.
"""

import json
import math

import numpy as np

from keras_bert.errors import UserError
from keras_bert.tasks.spellings import by_value, value_of
from keras_bert.tasks.table import is_json, shorten
from keras_bert.training.class_weights import balanced_class_weights


def read_labels(cell, separator=","):
    """Returns the labels of a cell, with a separator between them or as a JSON list; an empty cell has none.

    >>> read_labels("sad, calm,sad"), read_labels('["a, b", 2]'), read_labels(["x"]), read_labels("")
    (('calm', 'sad'), ('2', 'a, b'), ('x',), ())
    """
    if isinstance(cell, str) and cell.startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError) as error:
            remedy = 'write it as JSON does, such as ["a", "b"]'
            raise ValueError(f"the label {cell!r:.60} is not a JSON list ({error}); {remedy}.") from error
    if isinstance(cell, str) and cell.startswith("{") and is_json(cell):
        raise ValueError(f'the label is the JSON object {cell!r:.60}; write its list alone, such as ["a", "b"].')
    names = cell.split(separator) if isinstance(cell, str) else cell
    if not all(isinstance(name, (str, int)) or (isinstance(name, float) and math.isfinite(name)) for name in names):
        raise ValueError(f"the label {names!r:.60} is not a list of strings or numbers.")
    names = (name if isinstance(name, str) else json.dumps(name) for name in names)
    return tuple(sorted({name.strip() for name in names} - {""}))


def read_number(cell):
    """Returns the number that a cell holds.

    >>> read_number("-2.5")
    -2.5
    """
    try:
        number = float(cell)
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) <= float(np.finfo(np.float32).max):  # nor for NaN
        raise ValueError(f"the label {cell!r:.60} is not a number, which a regression needs.")
    return number


def class_names(labels):
    """Returns the distinct labels in order: by value where all are whole numbers, else by letter.

    >>> class_names(["b", "a", "b"]), class_names(["10", "9", "10"])
    (['a', 'b'], ['9', '10'])
    """
    names = set(labels)
    try:
        return sorted(names, key=lambda name: (int(name), name))
    except ValueError:
        return sorted(names)


def as_indices(labels, names):
    """Returns each label's place in `names`, int32 (N,)."""
    index = {name: number for number, name in enumerate(names)}
    return np.array([index[label] for label in labels], np.int32)


def as_flags(labels, names):
    """Returns 1 for each label that is there and else 0, float32 (N, C).

    >>> as_flags([("b",), ("a", "b"), ()], ["a", "b"]).tolist()
    [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    """
    flags = np.zeros((len(labels), len(names)), np.float32)
    index = {name: number for number, name in enumerate(names)}
    for row, several in enumerate(labels):
        flags[row, [index[name] for name in several]] = 1.0
    return flags


def example_weights(labels, names, class_weights):
    """Returns what each example counts in the loss by its class.

    Args:
        labels: int (N,), classes; or 0 and 1, (N, C), where an example may have several.
        names: the C classes' names.
        class_weights: {name: weight}, 1 for those left out; or "balanced", with which each class of the labels counts
            as much as any other, N / (C * its examples), and of several labels each one where it is there as much as
            where it is not.

    Returns:
        float32 (N,); of several labels (N, C), the weight of a label where it is there and 1 where it is not.

    Raises:
        UserError: a name that is not a class, or a weight that is not over 0.

    Example:
        >>> example_weights(np.array([0, 0, 1, 0]), ["a", "b"], "balanced").round(2).tolist()[2]
        2.0
        >>> example_weights(np.array([0, 1]), ["a", "b"], {"b": 3.0}).tolist()
        [1.0, 3.0]
    """
    several = labels.ndim == 2
    if class_weights == "balanced" and several:
        counts = labels.sum(axis=0)
        weights = np.where((counts > 0) & (counts < len(labels)), (len(labels) - counts) / np.maximum(counts, 1), 1.0)
    elif class_weights == "balanced":
        weights = balanced_class_weights(labels, len(names))
    else:
        known = by_value(names)
        class_weights = {
            name if name in names else known.get(value_of(name), name): weight for name, weight in class_weights.items()
        }
        _check_weights(class_weights, names)
        weights = np.array([class_weights.get(name, 1.0) for name in names])
    return (np.where(labels > 0, weights, 1.0) if several else weights[labels]).astype(np.float32)


def _check_weights(class_weights, names):
    for name, weight in class_weights.items():
        if name not in names:
            raise UserError(f"class_weights: {name!r} is not one of the classes: {shorten(names)}; correct the name.")
        if not 0 < weight < math.inf:
            raise UserError(f"class_weights: the weight of {name!r} must be greater than 0. Received: {weight}.")
