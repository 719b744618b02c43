"""Labels as people give them, as the numbers that a model is trained on; a wrong one is named with its place.

N texts, C classes.
"""

from collections.abc import Mapping, Set
from numbers import Integral, Real

import numpy as np

from keras_bert.errors import UserError, shorten

_LARGEST = np.iinfo(np.int32).max
_FARTHEST = float(np.finfo(np.float32).max)


def as_labels(labels, count, names=None):
    """Returns labels as an array.

    Args:
        labels: N numbers, or arrays of numbers; with `names` also N names, or lists of names.
        count: N.
        names: the classes' names in the model's order, or a model that has `labels`; None takes numbers as they are.

    Returns:
        int32 or float32 (N, ...): with `names` classes, int32 (N,), or of lists of names 1 for each that is there and
        else 0, float32 (N, C).

    Raises:
        UserError: the numbers of labels and texts differ, or a label is neither a number, a class nor a name.

    >>> as_labels(["good", "bad", 1], 3, ["bad", "good"]).tolist()
    [1, 0, 1]
    >>> as_labels([["a", "b"], []], 2, ["a", "b"]).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    if isinstance(labels, (str, bytes, Mapping, Set)):
        raise UserError(f"labels must be a list, a label for each text. Received: {labels!r:.80}.")
    array = _as_array(labels)
    if names is not None and array.ndim and (array.ndim == 1 or array.dtype.kind not in "biuf"):
        return _as_classes(array.tolist(), count, _names(names))
    if array.dtype.kind not in "biuf":
        _refuse_first(array)
    if array.ndim == 0 or len(array) != count:
        raise UserError(f"labels must be as many as texts. Received: {array.shape} for {count} texts.")
    largest = _FARTHEST if array.dtype.kind == "f" else _LARGEST
    wrong = ~(np.abs(array.astype(np.float64)) <= largest)  # NaN too
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        raise UserError(
            f"labels[{', '.join(map(str, place))}] is {array[place]}, which is not a number that a model can learn; "
            "correct it, or leave its text out."
        )
    if names is not None and array.shape[1:] != (len(_names(names)),):
        raise UserError(
            f"labels must have a number for each of the {len(_names(names))} names. Received: shape {array.shape}."
        )
    return array.astype(np.float32 if array.dtype.kind == "f" or names is not None else np.int32)


def _as_array(labels):
    """Returns labels as an array, of objects where they are of several kinds."""
    if not hasattr(labels, "__array__"):
        labels = list(labels)
        if any(isinstance(label, str) or (isinstance(label, (list, tuple, set)) and not label) for label in labels):
            return _of_objects(labels)
        if any(isinstance(name, str) for label in labels if isinstance(label, (list, tuple, set)) for name in label):
            return _of_objects(labels)
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise UserError(f"labels must be an array of numbers ({error}).") from error
    if array.dtype.kind == "O" and array.ndim:
        numbers = np.array(array.tolist(), dtype=object if any(map(_is_no_number, array.flat)) else None)
        return numbers if numbers.dtype.kind in "biuf" else array
    return array


def _of_objects(labels):
    array = np.empty(len(labels), object)
    array[:] = labels
    return array


def _is_no_number(value):
    return not isinstance(value, Real)


def _refuse_first(array):
    """Raises a UserError that names the first label that is not a number."""
    values = array.ravel().tolist()
    number = next((number for number, value in enumerate(values) if _is_no_number(value) or abs(value) > _LARGEST), 0)
    value = values[number] if values else None
    if isinstance(value, (str, bytes, list, tuple, set)):
        raise UserError(
            f"labels must be numbers, of a class its index, or names. Received: labels[{number}] is {value!r:.60}; "
            "give label_names=[...], the classes' names in the model's order."
        )
    raise UserError(f"labels must be numbers. Received: labels[{number}] is {value!r:.60}.")


def _names(given):
    """Returns the classes' names, of a model its own."""
    names = getattr(given, "labels", given)
    if isinstance(names, (str, bytes)) or not all(isinstance(name, (str, Integral)) for name in names):
        raise UserError(f"label_names must be a list of names, or a model with classes. Received: {given!r:.80}.")
    names = [str(name) for name in names]
    if len(set(names)) < len(names):
        double = next(name for place, name in enumerate(names) if name in names[:place])
        raise UserError(f"label_names has {double!r} twice; give each class a name of its own.")
    return names


def _as_classes(labels, count, names):
    """Returns names or numbers as classes, int32 (N,), or lists of them as float32 (N, C)."""
    if len(labels) != count:
        raise UserError(f"labels must be as many as texts. Received: {len(labels)} for {count} texts.")
    index = {name: number for number, name in enumerate(names)}
    if not any(isinstance(label, (list, tuple, set)) for label in labels):
        places = [_class(label, index, f"labels[{number}]") for number, label in enumerate(labels)]
        return np.array(places, np.int32)
    flags = np.zeros((count, len(names)), np.float32)
    for number, several in enumerate(labels):
        if not isinstance(several, (list, tuple, set)):
            raise UserError(f"labels[{number}] is {several!r:.60}, where others are lists; give a list for each text.")
        flags[number, [_class(name, index, f"labels[{number}]") for name in several]] = 1.0
    return flags


def _class(label, index, place):
    """Returns the place of a name among the classes; a number is that place already."""
    if isinstance(label, bytes):  # a string of TensorFlow's or of a NumPy array
        label = label.decode("utf-8", "replace")
    if isinstance(label, str) and label in index:
        return index[label]
    if isinstance(label, Real) and label in range(len(index)):  # 1.0 is
        return int(label)
    raise UserError(
        f"{place} is {label!r:.60}, which is not one of the {len(index)} classes: {shorten(index)}; give a name, or a "
        "number from 0."
    )
