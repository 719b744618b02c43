"""BERT's losses (run_pretraining.py, get_masked_lm_output and get_next_sentence_output).

B batch, P predictions, V vocabulary.
"""

import keras
from keras import ops

from keras_bert.layers.common import worth_fusing
from keras_bert.layers.fusion import fusible

FUSED_CLASSES = 4096  # with so many a pass over the logits takes longer than calling a compiled chain


def cross_entropy(labels, logits):
    """Returns one loss a label, float32 (...), from int labels (...) and logits (..., C).

    A label that is not one of 0 ... C - 1 gives NaN with many classes and on GPUs; on a CPU TensorFlow names it.
    """
    classes = logits.shape[-1]  # None where they are the positions of sequences of any length
    if classes is None or classes < FUSED_CLASSES:
        return ops.sparse_categorical_crossentropy(labels, ops.cast(logits, "float32"), from_logits=True)
    return _many_class_cross_entropy(logits, ops.cast(labels, "uint32"), fuse=worth_fusing(logits))


@fusible
def _many_class_cross_entropy(logits, labels):
    logits, classes = ops.cast(logits, "float32"), logits.shape[-1]
    numbers = ops.cast(ops.arange(classes, dtype="int32"), "uint32")  # unsigned as in layers/dropout.py
    is_label = ops.equal(numbers, labels[..., None])  # (..., C)
    losses = ops.logsumexp(logits, axis=-1) - ops.sum(ops.where(is_label, logits, 0.0), axis=-1)
    return ops.where(labels < classes, losses, float("nan"))


def binary_cross_entropy(labels, logits):
    """Returns one loss a label, float32 (...), from labels (...) that are 0 or 1 and logits (...)."""
    logits = ops.cast(logits, "float32")
    return ops.softplus(logits) - logits * ops.cast(labels, "float32")


def masked_lm_sums(labels, logits, weights):
    """Sums what the masked-LM loss and accuracy are made of, so that devices and steps can be added up.

    Args:
        labels: int (B, P) ids that stood at the masked positions.
        logits: float32 (B, P, V).
        weights: float32 (B, P), 1 for a masked slot and 0 for padding.

    Returns:
        float32 scalars: summed cross-entropy, number of right guesses, number of slots.
    """
    losses = cross_entropy(labels, logits)  # (B, P)
    right = ops.cast(ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), ops.cast(labels, "int32")), "float32")
    return ops.sum(losses * weights), ops.sum(right * weights), ops.sum(weights)


def binary_sums(labels, logits, weights):
    """Sums the same of yes-or-no questions, such as who was replaced.

    Args:
        labels: int (B, S), 0 or 1.
        logits: float32 (B, S).
        weights: float32 (B, S).
    """
    losses = binary_cross_entropy(labels, logits)
    right = ops.cast(ops.equal(ops.cast(logits > 0, "int32"), ops.cast(labels, "int32")), "float32")
    return ops.sum(losses * weights), ops.sum(right * weights), ops.sum(weights)


@keras.saving.register_keras_serializable(package="keras_bert")
class SparseCrossEntropy(keras.losses.Loss):
    """Cross-entropy of int labels and logits, in float32: weighted sum / sum of weights.

    With `sample_weight` = masked_lm_weights it is the masked-LM loss: padding slots weigh nothing.

    Args:
        ignored_label: the label of what has none, and weighs nothing; None for no such label.

    Example:
        >>> logits = ops.convert_to_tensor([[[0.0, 0.0], [9.0, 0.0]]])
        >>> float(SparseCrossEntropy()(ops.array([[1, 1]]), logits, sample_weight=ops.array([[1.0, 0.0]])))
        0.6931471824645996
    """

    def __init__(
        self,
        name="sparse_cross_entropy",
        reduction="mean_with_sample_weight",
        dtype="float32",
        *,
        ignored_label=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.ignored_label = ignored_label

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the loss; with an `ignored_label` a row's weight, (B,), weighs all its labels (B, S) alike."""
        if self.ignored_label is not None:
            y_true = ops.cast(y_true, "int32")
            weights = ops.cast(ops.not_equal(y_true, self.ignored_label), "float32")
            sample_weight = weights if sample_weight is None else weights * _aligned(sample_weight, weights)
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        """Returns one loss a label, float32, from int labels (...) and logits (..., C)."""
        labels = ops.cast(y_true, "int32")
        if self.ignored_label is not None:
            labels = ops.where(ops.equal(labels, self.ignored_label), 0, labels)
        return cross_entropy(labels, y_pred)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "ignored_label": self.ignored_label}


@keras.saving.register_keras_serializable(package="keras_bert")
class SigmoidCrossEntropy(keras.losses.Loss):
    """Cross-entropy of each label by itself, in float32: weighted sum over texts and labels / sum of weights.

    A `sample_weight` weighs a text with all its labels, (B,), or each label of each text, (B, C).

    Example:
        >>> logits = ops.convert_to_tensor([[0.0, 9.0], [0.0, 0.0]])
        >>> float(SigmoidCrossEntropy()(ops.array([[1, 1], [0, 0]]), logits, sample_weight=ops.array([0.0, 1.0])))
        0.6931471824645996
    """

    def __init__(self, name="sigmoid_cross_entropy", reduction="mean_with_sample_weight", dtype="float32"):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the loss."""
        if sample_weight is not None:
            sample_weight = ops.ones_like(y_pred, dtype="float32") * _aligned(sample_weight, y_pred)
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        """Returns one loss a label, float32 (B, C), from labels (B, C) that are 0 or 1 and logits (B, C)."""
        return binary_cross_entropy(y_true, y_pred)


@keras.saving.register_keras_serializable(package="keras_bert")
class SquaredError(keras.losses.Loss):
    """Squared error of each number by itself, in float32: weighted sum / sum of weights.

    Keras' own is a mean over the last axis first, which in packed rows is that of the texts.

    Example:
        >>> predicted = ops.convert_to_tensor([[[1.0], [5.0]]])
        >>> float(SquaredError()(ops.array([[3.0, 0.0]]), predicted, sample_weight=ops.array([[1.0, 0.0]])))
        4.0
    """

    def __init__(self, name="squared_error", reduction="mean_with_sample_weight", dtype="float32"):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        """Returns one loss a number, float32 (...), from numbers (...) or (..., 1), and (..., 1) predicted."""
        predicted = ops.cast(y_pred, "float32")
        return ops.square(predicted - ops.reshape(ops.cast(y_true, "float32"), ops.shape(predicted)))[..., 0]


def _aligned(weights, values):
    """Returns weights, float32 (B, ...), with axes of one at their end, as many as `values` has."""
    missing = len(values.shape) - len(weights.shape)
    return ops.reshape(ops.cast(weights, "float32"), (*ops.shape(weights), *[1] * missing))
