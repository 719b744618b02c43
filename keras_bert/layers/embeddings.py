"""Token, position and segment embeddings (Devlin et al. 2018, section 3.2; modeling.py, embedding_*).

B batch, S sequence, H hidden, V vocabulary.
"""

import keras
import numpy as np
from keras import ops

from keras_bert.layers.common import (
    ConfigLayer,
    dense,
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
def summed_norm(
    tokens, segments, positions, gamma, beta, key, mask=None, *, rate, epsilon, scale=1.0, drops_first=False
):
    """Returns dropout of the LayerNorm of a sum, computed in float32: (B, S, H) of the tokens' dtype.

    Args:
        tokens: (B, S, H).
        segments: (B, S, H), or (1, H) where there is one segment, or None.
        positions: (S, H), or (B, S, H), or None.
        gamma, beta, key, rate, epsilon: as in `residual_norm`, but for dropout coming last.
        mask: int (B, S), 0 where the result is to be 0; None for nowhere.
        scale: factor of the tokens.
        drops_first: whether dropout comes before the LayerNorm.
    """
    x = wide(tokens) if scale == 1.0 else wide(tokens) * scale
    for each in (segments, positions):
        x = x if each is None else x + wide(each)
    if drops_first:
        return ops.cast(normalized(drop(x, key, rate), gamma, beta, epsilon), tokens.dtype)
    x = normalized(x, gamma, beta, epsilon)
    x = x if mask is None else x * ops.expand_dims(ops.cast(mask, x.dtype), -1)
    return ops.cast(drop(x, key, rate), tokens.dtype)


def positions_of(input_ids, pad_token_id, sequence_ids=None):
    """Returns int32 (B, S): pad_token_id + how many real ids there are up to each place; padding gets pad_token_id.

    Source: fairseq's make_positions, as in transformers' create_position_ids_from_input_ids.

    Args:
        input_ids: int (B, S).
        pad_token_id: the id of padding.
        sequence_ids: int (B, S), the texts of a packed row, each of which is counted on its own.
    """
    real = ops.cast(ops.not_equal(input_ids, pad_token_id), "int32")
    counted = ops.cumsum(real, axis=1) if sequence_ids is None else counted_before(real, sequence_ids) + real
    return counted * real + pad_token_id


def places_in_texts(sequence_ids):
    """Returns int32 (B, S), the place of each token in its own text, of rows that hold several.

    >>> ops.convert_to_numpy(places_in_texts(ops.convert_to_tensor([[1, 1, 2, 2, 2, 0]]))).tolist()
    [[0, 1, 0, 1, 2, 0]]
    """
    return counted_before(ops.ones_like(sequence_ids, dtype="int32"), sequence_ids)


def counted_before(x, sequence_ids):
    """Returns int32 (B, S), the sum of x over the tokens of the same text that come before."""
    ids = ops.cast(sequence_ids, "int32")
    places = ops.cumsum(ops.ones_like(ids), axis=1)  # not arange, for which the length has to be known
    is_before = ops.equal(ids[:, :, None], ids[:, None, :]) & (places[:, :, None] > places[:, None, :])  # (B, S, S)
    return ops.sum(ops.where(is_before, x[:, None, :], 0), axis=-1)


def trigrams(x, padding, sequence_ids=None):
    """Returns (B, S, 3 * E) of (B, S, E): of each token the next one, the token itself and the one before.

    Source: transformers, MobileBertEmbeddings. Before the first token and after the last there are zeros.

    Args:
        x: (B, S, E).
        padding: (B, 1, E), what follows a text of a packed row, as it would in a row of its own.
        sequence_ids: int (B, S), the texts of a packed row.
    """
    none = ops.zeros_like(x[:, :1])
    after, before = ops.concatenate([x[:, 1:], none], axis=1), ops.concatenate([none, x[:, :-1]], axis=1)
    if sequence_ids is not None:
        ids = ops.cast(sequence_ids, "int32")
        edge = ops.zeros_like(ids[:, :1]) - 1
        goes_on = ops.expand_dims(ops.equal(ids, ops.concatenate([ids[:, 1:], edge], axis=1)), -1)
        went_on = ops.expand_dims(ops.equal(ids, ops.concatenate([edge, ids[:, :-1]], axis=1)), -1)
        after = ops.where(goes_on, after, padding)
        before = ops.where(went_on, before, 0.0)
    return ops.concatenate([after, x, before], axis=-1)


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
    _beneath = None

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

    def add_to(self, other):
        """Makes what the layer looks up the sum of its own table and another TokenEmbedding's, which it does not train.

        Source: He et al. 2021, "DeBERTaV3", section 3.3, gradient-disentangled embedding sharing.
        """
        object.__setattr__(self, "_beneath", other)  # not one of the layer's own: its table is the other model's

    def call(self, inputs, reverse=False):
        """Looks ids up; with `reverse`, scores hidden states against every row of the table.

        Args:
            inputs: int (B, S) ids, or with `reverse` float (..., H) hidden states.
            reverse: which of the two.

        Returns:
            float (B, S, H) embeddings, or float (..., V) logits.
        """
        table = ops.convert_to_tensor(self.embeddings)  # (V, H)
        below = None if self._beneath is None else ops.stop_gradient(ops.convert_to_tensor(self._beneath.embeddings))
        if not reverse:  # rows first: to cast the whole table takes longer than to look some up
            ids = ops.cast(inputs, "int32")
            rows = ops.take(table, ids, axis=0)
            return ops.cast(rows if below is None else rows + ops.take(below, ids, axis=0), self.compute_dtype)
        table = table if below is None else table + below
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
        position_embedding: "learned"; "sinusoidal", which does not train; "none".
        pad_token_id: the id of padding.
        positions_from_ids: whether positions are those of `positions_of`, not 0, 1, 2, ...
        trains_padding: whether embeddings of padding learn from being looked up.
        units: width of a projection without bias between the sum and the LayerNorm; None for none.
        scale: factor of the tokens' embeddings.
        drops_first: whether dropout comes before the LayerNorm.
        masks: whether the embeddings of padding are 0.
        norm_kind, norm_bias: see `layer_norm` in common.py.
    """

    FIELDS = (
        *("max_position_embeddings", "type_vocab_size", "dropout", "initializer_range", "layer_norm_eps"),
        *("position_embedding", "pad_token_id", "positions_from_ids", "trains_padding"),
        *("units", "scale", "drops_first", "masks", "norm_kind", "norm_bias"),
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
        units=None,
        scale=1.0,
        drops_first=False,
        masks=False,
        norm_kind="layer",
        norm_bias=True,
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
            units=units,
            scale=scale,
            drops_first=drops_first,
            masks=masks,
            norm_kind=norm_kind,
            norm_bias=norm_bias,
        )
        self.layer_norm = layer_norm(
            layer_norm_eps, name="LayerNorm", kind=norm_kind, use_bias=norm_bias, dtype=self.dtype_policy
        )
        self.dropout_layer = dropout_layer(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the position table (max_position_embeddings, H) and the segment table (type_vocab_size, H)."""
        width, fixed = input_shape[-1], self.position_embedding == "sinusoidal"
        self.position_embeddings = self.token_type_embeddings = self.projection = None
        if self.position_embedding != "none":
            self.position_embeddings = self.add_weight(
                name="position_embeddings",
                shape=(self.max_position_embeddings, width),
                initializer=_given(sinusoids) if fixed else truncated_normal(self.initializer_range),
                trainable=not fixed,
            )
        if self.type_vocab_size:
            self.token_type_embeddings = self.add_weight(
                name="token_type_embeddings",
                shape=(self.type_vocab_size, width),
                initializer=truncated_normal(self.initializer_range),
            )
        if self.units is not None:
            self.projection = dense(
                self.units, self.initializer_range, name="projection", use_bias=False, dtype=self.dtype_policy
            )
            self.projection.build(input_shape)
        self.layer_norm.build((*input_shape[:-1], self.units or width))
        self.built = True

    @property
    def reads_ids(self):
        """Whether `call` needs the ids."""
        return self.positions_from_ids or not self.trains_padding

    def call(self, inputs, segment_ids=None, input_ids=None, input_mask=None, sequence_ids=None, training=None):
        """Embeds a batch.

        Args:
            inputs: float (B, S, H), token embeddings.
            segment_ids: int (B, S); needed with more than one segment.
            input_ids: int (B, S); needed with `positions_from_ids`, or without `trains_padding`.
            input_mask: int (B, S); needed with `masks`.
            sequence_ids: int (B, S), the texts of a packed row, each with positions of its own; None for one text.
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
        # (B, S, 1). Not by a slice: LiteRT has none of booleans.
        is_pad = None if self.trains_padding else ops.expand_dims(ops.equal(input_ids, self.pad_token_id), -1)
        inputs = inputs if is_pad is None else ops.where(is_pad, ops.stop_gradient(inputs), inputs)
        segments, positions = self._segments(segment_ids), self._positions(inputs, input_ids, sequence_ids, is_pad)
        if self.projection is not None:
            summed = sum(each for each in (segments, positions) if each is not None) + inputs
            inputs, segments, positions = self.projection(summed), None, None
        return summed_norm(
            inputs,
            segments,
            positions,
            self.layer_norm.gamma,
            self.layer_norm.beta,
            dropout_key(self.dropout_layer, training),
            input_mask if self.masks else None,
            rate=self.dropout,
            epsilon=self.layer_norm.epsilon,
            scale=self.scale,
            drops_first=self.drops_first,
            fuse=worth_fusing(inputs, training),
        )

    def _positions(self, inputs, input_ids, sequence_ids, is_pad):
        """Returns the positions' embeddings, (B, S, H), or (S, H) for all rows alike, or None."""
        if self.position_embeddings is None:
            return None
        table = ops.cast(self.position_embeddings, self.compute_dtype)
        if not self.positions_from_ids:
            if sequence_ids is not None:
                return ops.take(table, places_in_texts(sequence_ids), axis=0)
            return table[: ops.shape(inputs)[1]]  # (S, H)
        positions = ops.take(table, positions_of(input_ids, self.pad_token_id, sequence_ids), axis=0)
        return positions if is_pad is None else ops.where(is_pad, ops.stop_gradient(positions), positions)

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

    def compute_output_spec(self, inputs, *args, **kwargs):
        """Gives the shape without running `call`: JAX cannot slice the position table by an unknown length."""
        return keras.KerasTensor((*inputs.shape[:-1], self.units or inputs.shape[-1]), dtype=self.compute_dtype)


def _given(make):
    """Returns an initializer that makes an array of the shape by a function of ours."""
    return lambda shape, dtype=None: ops.convert_to_tensor(make(*shape), dtype=dtype)
