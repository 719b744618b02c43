"""Multi-head self-attention (Vaswani et al. 2017, section 3.2; modeling.py, attention_layer).

B batch, S sequence, H hidden, A heads, D head size (H = A * D).
"""

import math

import keras
from keras import ops

from keras_bert.layers.common import ConfigLayer, dense

MASKED = -10000.0  # what modeling.py adds to the score of a masked position


@keras.saving.register_keras_serializable(package="keras_bert")
class SelfAttention(ConfigLayer):
    """Every position attends to every unmasked one; scores and softmax are float32.

    Args:
        num_heads: attention heads A.
        dropout: rate on the attention probabilities.
        initializer_range: standard deviation of the truncated normal.
    """

    FIELDS = ("num_heads", "dropout", "initializer_range")

    def __init__(self, num_heads, *, dropout=0.1, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.set_fields(num_heads=num_heads, dropout=dropout, initializer_range=initializer_range)
        self.dropout_layer = keras.layers.Dropout(dropout, name="dropout", dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the projections query, key, value (H, H)."""
        hidden_size = input_shape[-1]
        if hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size must be a multiple of num_heads. Received: {hidden_size} and {self.num_heads}."
            )
        for name in ("query", "key", "value"):
            layer = dense(hidden_size, self.initializer_range, name=name, dtype=self.dtype_policy)
            layer.build(input_shape)
            setattr(self, name, layer)
        self.built = True

    def call(self, inputs, input_mask, training=None, return_scores=False):
        """Mixes the positions of each sequence.

        Args:
            inputs: float (B, S, H).
            input_mask: int (B, S), 1 for real tokens and 0 for padding.
            training: whether dropout is on.
            return_scores: whether to return the attention probabilities too.

        Returns:
            float (B, S, H); with `return_scores` also float32 (B, A, S, S), before dropout.
        """
        hidden_size = inputs.shape[-1]
        batch, length = ops.shape(inputs)[0], ops.shape(inputs)[1]

        def split_heads(x):  # (B, S, H) -> (B, A, S, D)
            x = ops.reshape(x, (batch, length, self.num_heads, hidden_size // self.num_heads))
            return ops.transpose(x, (0, 2, 1, 3))

        query = split_heads(self.query(inputs)) / math.sqrt(hidden_size // self.num_heads)
        key, value = split_heads(self.key(inputs)), split_heads(self.value(inputs))
        scores = ops.cast(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))), "float32")  # (B, A, S, S)
        bias = (1.0 - ops.cast(input_mask, "float32")) * MASKED
        probabilities = ops.softmax(scores + bias[:, None, None, :], axis=-1)
        weights = self.dropout_layer(ops.cast(probabilities, self.compute_dtype), training=training)
        context = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))  # (B, S, A, D)
        context = ops.reshape(context, (batch, length, hidden_size))
        return (context, probabilities) if return_scores else context
