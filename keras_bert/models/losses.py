"""BERT's pre-training loss (run_pretraining.py, get_masked_lm_output and get_next_sentence_output).

B batch, P predictions, V vocabulary.
"""

import keras
from keras import ops


def masked_lm_sums(labels, logits, weights):
    """Sums what the masked-LM loss and accuracy are made of, so that devices and steps can be added up.

    Args:
        labels: int (B, P) ids that stood at the masked positions.
        logits: float32 (B, P, V).
        weights: float32 (B, P), 1 for a masked slot and 0 for padding.

    Returns:
        float32 scalars: summed cross-entropy, number of right guesses, number of slots.
    """
    losses = ops.sparse_categorical_crossentropy(labels, ops.cast(logits, "float32"), from_logits=True)  # (B, P)
    right = ops.cast(ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), ops.cast(labels, "int32")), "float32")
    return ops.sum(losses * weights), ops.sum(right * weights), ops.sum(weights)


@keras.saving.register_keras_serializable(package="keras_bert")
class SparseCrossEntropy(keras.losses.Loss):
    """Cross-entropy of int labels and logits, in float32: weighted sum / sum of weights.

    With `sample_weight` = masked_lm_weights it is the masked-LM loss: padding slots weigh nothing.

    Example:
        >>> logits = ops.convert_to_tensor([[[0.0, 0.0], [9.0, 0.0]]])
        >>> float(SparseCrossEntropy()(ops.array([[1, 1]]), logits, sample_weight=ops.array([[1.0, 0.0]])))
        0.6931471824645996
    """

    def __init__(self, name="sparse_cross_entropy", reduction="mean_with_sample_weight", dtype="float32"):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        """Returns one loss a label, float32, from int labels (...) and logits (..., C)."""
        return ops.sparse_categorical_crossentropy(
            ops.cast(y_true, "int32"), ops.cast(y_pred, "float32"), from_logits=True
        )
