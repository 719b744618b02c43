"""Token, position and segment embeddings (Devlin et al. 2018, section 3.2; modeling.py, embedding_*).

B batch, S sequence, H hidden, V vocabulary.
"""

import keras
import numpy as np
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
        tokens: (B, S, H).
        segments: (B, S, H), or (1, H) where there is one segment, or None.
        positions: (S, H), or (B, S, H).
        gamma, beta, key, rate, epsilon: as in `residual_norm`, but for dropout coming last.
    """
    x = wide(tokens) if segments is None else wide(tokens) + wide(segments)
    x = normalized(x + wide(positions), gamma, beta, epsilon)
    return ops.cast(drop(x, key, rate), tokens.dtype)


def positions_of(input_ids, pad_token_id):
    """Returns int32 (B, S): pad_token_id + how many real ids there are up to each place; padding gets pad_token_id.

    Source: fairseq's make_positions, as in transformers' create_position_ids_from_input_ids.
    """
    real = ops.cast(ops.not_equal(input_ids, pad_token_id), "int32")
    return ops.cumsum(real, axis=1) * real + pad_token_id


def sinusoids(positions, width):
    """Returns float32 (positions, width): sines at even places, cosines at odd ones (Vaswani et al. 2017, 3.5)."""
    places = np.arange(width)
    angles = np.arange(positions)[:, None] / np.power(10000, 2 * (places // 2) / width)
    return np.where(places % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)


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
        max_position_embeddings: rows of the position table.
        type_vocab_size: segments; with 1 every token gets the same row, with 0 none.
        dropout: rate on the result.
        initializer_range: standard deviation of the truncated normal.
        layer_norm_eps: epsilon of the LayerNorm.
        position_embedding: "learned", or "sinusoidal", which does not train.
        pad_token_id: the id of padding.
        positions_from_ids: whether positions are those of `positions_of`, not 0, 1, 2, ...
        trains_padding: whether embeddings of padding learn from being looked up.
    """

    FIELDS = (
        *("max_position_embeddings", "type_vocab_size", "dropout", "initializer_range", "layer_norm_eps"),
        *("position_embedding", "pad_token_id", "positions_from_ids", "trains_padding"),
    )

    def __init__(
        self,
        max_position_embeddings,
        type_vocab_size,
        *,
        dropout=0.1,
        initializer_range=0.02,
        layer_norm_eps=1e-12,
        position_embedding="learned",
        pad_token_id=0,
        positions_from_ids=False,
        trains_padding=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_fields(
            max_position_embeddings=max_position_embeddings,
            type_vocab_size=type_vocab_size,
            dropout=dropout,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            position_embedding=position_embedding,
            pad_token_id=pad_token_id,
            positions_from_ids=positions_from_ids,
            trains_padding=trains_padding,
        )
        self.layer_norm = layer_norm(layer_norm_eps, name="LayerNorm", dtype=self.dtype_policy)
        self.dropout_layer = dropout_layer(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the position table (max_position_embeddings, H) and the segment table (type_vocab_size, H)."""
        width, fixed = input_shape[-1], self.position_embedding == "sinusoidal"
        self.position_embeddings = self.add_weight(
            name="position_embeddings",
            shape=(self.max_position_embeddings, width),
            initializer=_given(sinusoids) if fixed else truncated_normal(self.initializer_range),
            trainable=not fixed,
        )
        self.token_type_embeddings = None
        if self.type_vocab_size:
            self.token_type_embeddings = self.add_weight(
                name="token_type_embeddings",
                shape=(self.type_vocab_size, width),
                initializer=truncated_normal(self.initializer_range),
            )
        self.layer_norm.build(input_shape)
        self.built = True

    def call(self, inputs, segment_ids=None, input_ids=None, training=None):
        """Embeds a batch.

        Args:
            inputs: float (B, S, H), token embeddings.
            segment_ids: int (B, S); needed with more than one segment.
            input_ids: int (B, S); needed with `positions_from_ids`, or without `trains_padding`.
            training: whether dropout is on.

        Returns:
            float (B, S, H).

        Raises:
            ValueError: a sequence longer than the position table.
        """
        length = inputs.shape[1]
        if length is not None and length > self.max_position_embeddings:
            raise ValueError(
                f"The sequence has {length} tokens, but the model has max_position_embeddings="
                f"{self.max_position_embeddings}. Truncate the input or load a model with more positions."
            )
        table = ops.cast(self.position_embeddings, self.compute_dtype)
        if self.positions_from_ids:
            positions = ops.take(table, positions_of(input_ids, self.pad_token_id), axis=0)  # (B, S, H)
        else:
            positions = table[: ops.shape(inputs)[1]]  # (S, H)
        if not self.trains_padding:
            is_pad = ops.equal(input_ids, self.pad_token_id)[..., None]  # (B, S, 1)
            inputs = ops.where(is_pad, ops.stop_gradient(inputs), inputs)
            if self.positions_from_ids:
                positions = ops.where(is_pad, ops.stop_gradient(positions), positions)
        return summed_norm(
            inputs,
            self._segments(segment_ids),
            positions,
            self.layer_norm.gamma,
            self.layer_norm.beta,
            dropout_key(self.dropout_layer, training),
            rate=self.dropout,
            epsilon=self.layer_norm.epsilon,
            fuse=worth_fusing(inputs, training),
        )

    def _segments(self, segment_ids):
        """Returns the segments' embeddings, (B, S, H), or (1, H) for all tokens alike, or None."""
        if self.token_type_embeddings is None:
            return None
        table = ops.cast(self.token_type_embeddings, self.compute_dtype)
        if self.type_vocab_size == 1:
            return table
        # A product with one-hot rows, as in Google's code: for two segments it is faster than a gather.
        segments = ops.one_hot(ops.cast(segment_ids, "int32"), self.type_vocab_size, dtype=self.compute_dtype)
        return ops.matmul(segments, table)

    def compute_output_spec(self, inputs, segment_ids=None, input_ids=None, training=None):
        """Gives the shape without running `call`: JAX cannot slice the position table by an unknown length."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


def _given(make):
    """Returns an initializer that makes an array of the shape by a function of ours."""
    return lambda shape, dtype=None: ops.convert_to_tensor(make(*shape), dtype=dtype)
