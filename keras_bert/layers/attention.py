"""Multi-head self-attention (Vaswani et al. 2017, section 3.2; modeling.py, attention_layer).

B batch, S sequence, Q queries, H hidden, A heads, D head size (H = A * D).
"""

import keras
from keras import ops

from keras_bert.layers.common import ConfigLayer, dense, dropout_layer, wide, worth_fusing
from keras_bert.layers.dropout import drop, dropout_key
from keras_bert.layers.fusion import fusible

MASKED = -10000.0  # what modeling.py adds to the score of a masked position


@fusible
def attention_weights(scores, input_mask, key, *, scale, rate):
    """Scales scores, masks them, and takes their softmax and its dropout, in float32.

    Args:
        scores: (B, A, Q, S), products of queries and keys.
        input_mask: int (B, S).
        key: see `drop`.
        scale: factor of the scores.
        rate: of the dropout.

    Returns:
        (B, A, Q, S) of the scores' dtype.
    """
    scores, dtype = wide(scores) * scale, scores.dtype
    bias = (1.0 - ops.cast(input_mask, scores.dtype)) * MASKED
    bias = ops.expand_dims(ops.expand_dims(bias, 1), 1)  # (B, 1, 1, S), not by slices, which LiteRT does not have
    return ops.cast(drop(ops.softmax(scores + bias, axis=-1), key, rate), dtype)


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
        self.dropout_layer = dropout_layer(dropout, dtype=self.dtype_policy)

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

    def call(self, inputs, input_mask, queries=None, training=None, return_scores=False):
        """Mixes the positions of each sequence.

        Args:
            inputs: float (B, S, H).
            input_mask: int (B, S), 1 for real tokens and 0 for padding.
            queries: float (B, Q, H), the positions that are to attend; all of `inputs` if None.
            training: whether dropout is on.
            return_scores: whether to return the attention probabilities too.

        Returns:
            float (B, Q, H); with `return_scores` also float32 (B, A, Q, S), before dropout.
        """
        hidden_size = inputs.shape[-1]
        queries = inputs if queries is None else queries

        def heads(layer, x, axes):  # (B, S, H) -> (B, S, A, D) -> as the axes say
            shape = (*ops.shape(x)[:2], self.num_heads, hidden_size // self.num_heads)
            return ops.transpose(ops.reshape(layer(ops.reshape(x, (-1, hidden_size))), shape), axes)

        scores = ops.matmul(heads(self.query, queries, (0, 2, 1, 3)), heads(self.key, inputs, (0, 2, 3, 1)))
        settings = {"scale": (hidden_size // self.num_heads) ** -0.5, "rate": self.dropout}
        key = dropout_key(self.dropout_layer, training)
        weights = attention_weights(scores, input_mask, key, fuse=worth_fusing(inputs, training), **settings)
        context = ops.matmul(weights, heads(self.value, inputs, (0, 2, 1, 3)))  # (B, A, Q, D)
        context = ops.reshape(ops.transpose(context, (0, 2, 1, 3)), ops.shape(queries))
        if not return_scores:
            return context
        return context, attention_weights(wide(scores), input_mask, None, fuse=False, **settings)
