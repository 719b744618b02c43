"""Token, position and segment embeddings (Devlin et al. 2018, section 3.2; modeling.py, embedding_*).

B batch, S sequence, H hidden, V vocabulary.
"""

import keras
from keras import ops

from keras_bert.layers.common import (
    ConfigLayer,
    dropout_layer,
    layer_norm,
    normalized,
    truncated_normal,
    wide,
    worth_fusing,
)
from keras_bert.layers.dropout import drop, dropout_key
from keras_bert.layers.fusion import fusible


@ops.custom_gradient
def scores_against(x, table):
    """Returns x (N, H) times the transposed table (V, H), as (N, V).

    Left to itself, TensorFlow computes the table's gradient as (H, V) and transposes it.
    """

    def gradients(upstream):
        return ops.matmul(upstream, table), ops.matmul(ops.transpose(upstream), x)

    return ops.matmul(x, ops.transpose(table)), gradients


@fusible
def summed_norm(tokens, segments, positions, gamma, beta, key, *, rate, epsilon):
    """Returns dropout of the LayerNorm of a sum, computed in float32: (B, S, H) of the tokens' dtype.

    Args:
        tokens, segments: (B, S, H).
        positions: (S, H).
        gamma, beta, key, rate, epsilon: as in `residual_norm`, but for dropout coming last.
    """
    x = normalized(wide(tokens) + wide(segments) + wide(positions), gamma, beta, epsilon)
    return ops.cast(drop(x, key, rate), tokens.dtype)


@keras.saving.register_keras_serializable(package="keras_bert")
class TokenEmbedding(ConfigLayer):
    """The word embedding table, which also gives the output weights of the masked-LM head.

    Args:
        vocab_size: rows of the table.
        hidden_size: width of the table.
        initializer_range: standard deviation of the truncated normal it starts from.
    """

    FIELDS = ("vocab_size", "hidden_size", "initializer_range")

    def __init__(self, vocab_size, hidden_size, *, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.set_fields(vocab_size=vocab_size, hidden_size=hidden_size, initializer_range=initializer_range)

    def build(self, _):
        """Makes the table (V, H)."""
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.vocab_size, self.hidden_size),
            initializer=truncated_normal(self.initializer_range),
            autocast=False,
        )
        self.built = True

    def call(self, inputs, reverse=False):
        """Looks ids up; with `reverse`, scores hidden states against every row of the table.

        Args:
            inputs: int (B, S) ids, or with `reverse` float (..., H) hidden states.
            reverse: which of the two.

        Returns:
            float (B, S, H) embeddings, or float (..., V) logits.
        """
        table = ops.convert_to_tensor(self.embeddings)  # (V, H)
        if not reverse:  # rows first: to cast the whole table takes longer than to look some up
            return ops.cast(ops.take(table, ops.cast(inputs, "int32"), axis=0), self.compute_dtype)
        rows = ops.reshape(inputs, (-1, self.hidden_size))
        scores = scores_against(rows, ops.cast(table, self.compute_dtype))
        return ops.reshape(scores, (*ops.shape(inputs)[:-1], self.vocab_size))

    def compute_output_spec(self, inputs, reverse=False):
        """Gives the shape without running `call`, whose two directions differ in dtype."""
        shape = (*inputs.shape[:-1], self.vocab_size) if reverse else (*inputs.shape, self.hidden_size)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_bert")
class EmbeddingPostprocessor(ConfigLayer):
    """Adds segment and position embeddings to the tokens', then LayerNorm and dropout.

    Args:
        max_position_embeddings: the longest sequence.
        type_vocab_size: segments.
        dropout: rate on the result.
        initializer_range: standard deviation of the truncated normal.
        layer_norm_eps: epsilon of the LayerNorm.
    """

    FIELDS = ("max_position_embeddings", "type_vocab_size", "dropout", "initializer_range", "layer_norm_eps")

    def __init__(
        self,
        max_position_embeddings,
        type_vocab_size,
        *,
        dropout=0.1,
        initializer_range=0.02,
        layer_norm_eps=1e-12,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_fields(
            max_position_embeddings=max_position_embeddings,
            type_vocab_size=type_vocab_size,
            dropout=dropout,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
        )
        self.layer_norm = layer_norm(layer_norm_eps, name="LayerNorm", dtype=self.dtype_policy)
        self.dropout_layer = dropout_layer(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the position table (max_position_embeddings, H) and the segment table (type_vocab_size, H)."""
        hidden_size = input_shape[-1]
        self.position_embeddings = self.add_weight(
            name="position_embeddings",
            shape=(self.max_position_embeddings, hidden_size),
            initializer=truncated_normal(self.initializer_range),
        )
        self.token_type_embeddings = self.add_weight(
            name="token_type_embeddings",
            shape=(self.type_vocab_size, hidden_size),
            initializer=truncated_normal(self.initializer_range),
        )
        self.layer_norm.build(input_shape)
        self.built = True

    def call(self, inputs, segment_ids, training=None):
        """Returns float (B, S, H) from token embeddings (B, S, H) and int segment_ids (B, S).

        Raises:
            ValueError: a sequence longer than max_position_embeddings.
        """
        length = inputs.shape[1]
        if length is not None and length > self.max_position_embeddings:
            raise ValueError(
                f"The sequence has {length} tokens, but the model has max_position_embeddings="
                f"{self.max_position_embeddings}. Truncate the input or load a model with more positions."
            )
        positions = ops.cast(self.position_embeddings, self.compute_dtype)[: ops.shape(inputs)[1]]  # (S, H)
        # A product with one-hot rows, as in Google's code: for two segments it is faster than a gather.
        segments = ops.one_hot(ops.cast(segment_ids, "int32"), self.type_vocab_size, dtype=self.compute_dtype)
        segments = ops.matmul(segments, ops.cast(self.token_type_embeddings, self.compute_dtype))  # (B, S, H)
        return summed_norm(
            inputs,
            segments,
            positions,
            self.layer_norm.gamma,
            self.layer_norm.beta,
            dropout_key(self.dropout_layer, training),
            rate=self.dropout,
            epsilon=self.layer_norm.epsilon,
            fuse=worth_fusing(inputs, training),
        )

    def compute_output_spec(self, inputs, segment_ids, training=None):
        """Gives the shape without running `call`: JAX cannot slice the position table by an unknown length."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
