"""Weights of the loss by class, for sets in which some classes are rare.

Legend: B batch, C classes, N examples, S sequence.
"""

import numpy as np

from keras_bert.errors import UserError


def balanced_class_weights(labels, num_classes):
    """Returns the weights with which each class counts alike in sum, float32 (C,): N / (C * count), as scikit-learn's.

    A class that does not occur weighs 1.

    >>> balanced_class_weights([0, 0, 0, 1], 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = np.bincount(np.asarray(labels).ravel(), minlength=num_classes)
    weights = len(labels) / (num_classes * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 1.0).astype(np.float32)


def weigh_classes(dataset, class_weights, num_classes):
    """Returns a dataset whose sample weights are those of the labels' classes, times what they were.

    Args:
        dataset: batches (x, y) or (x, y, weights) with int labels y, (B,) or (B, S); negative ones stay unweighted,
            the loss ignores them.
        class_weights: {class number: weight}, where a class that is missing weighs 1, or C weights.
        num_classes: C, or None where it is not known.

    Raises:
        UserError: weights that fit no class or are no numbers of at least 0, or labels that are no classes.
    """
    import tensorflow as tf

    spec = dataset.element_spec
    labels = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
    if not isinstance(labels, tf.TensorSpec) or not labels.dtype.is_integer:
        raise UserError(
            f"class_weights need one whole-numbered class a label. Received: {_described(labels)}; leave them out."
        )
    weights = tf.constant(_as_array(class_weights, num_classes))

    def weigh(x, y, given=None):
        by_class = tf.gather(weights, tf.maximum(tf.cast(y, tf.int32), 0))  # of y's shape
        if given is None:
            return x, y, by_class
        given = tf.cast(given, tf.float32)
        missing = len(by_class.shape) - len(given.shape)
        return x, y, by_class * tf.reshape(given, tf.concat([tf.shape(given), [1] * missing], 0))

    return dataset.map(weigh)


def _as_array(class_weights, num_classes):
    """Returns the weights as float32 (C,)."""
    if isinstance(class_weights, dict):
        classes = 1 + max(class_weights, default=0) if num_classes is None else num_classes
        unknown = [number for number in class_weights if number not in range(classes)]
        if unknown:
            raise UserError(f"class_weights has a class {unknown[0]!r}, but the classes are 0 to {classes - 1}.")
        class_weights = [class_weights.get(number, 1.0) for number in range(classes)]
    weights = np.asarray(class_weights, np.float32)
    if weights.ndim != 1 or (num_classes is not None and len(weights) != num_classes):
        raise UserError(
            f"class_weights must be one number a class. Received: shape {weights.shape} for {num_classes} classes."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.max() > 0):
        raise UserError(f"class_weights must be numbers of at least 0, and not all 0. Received: {weights.tolist()}.")
    return weights


def _described(labels):
    if labels is None:
        return "no labels"
    return f"{labels.dtype.name} labels" if hasattr(labels, "dtype") else "labels of several outputs"
