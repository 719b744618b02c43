"""Multi-head self-attention (Vaswani et al. 2017, section 3.2; modeling.py, attention_layer), of every token by all.

Other kinds are subclasses: what a token sees, and how a score comes about (layers/local.py and the like).
B batch, S sequence, Q queries, H hidden, A heads, D head size (H = A * D).
"""

import typing

import keras
import numpy as np
from keras import ops

from keras_bert.config import reach
from keras_bert.layers.common import ConfigLayer, dense, dropout_layer, wide, worth_fusing
from keras_bert.layers.dropout import drop, dropout_key
from keras_bert.layers.fusion import fusible
from keras_bert.layers.rotary import rotated, rotation

MASKED = -10000.0  # what modeling.py adds to the score of a masked position
# The score of what is out of a token's sight: one that sees nothing, as padding may, then takes of all places alike,
# as in transformers.
UNSEEN = float(np.finfo(np.float32).min)
PROJECTIONS = ("query", "key", "value")
LONG = 1024  # tokens, past which a text's scores are not held all at once in inference
PAIRS = 2**22  # of a query and a key, of which the scores are held at once then: of 12 heads 200 MB


class Places(typing.NamedTuple):
    """What attention knows of a batch's places.

    Attributes:
        mask: int (B, S), 1 for real tokens and 0 for padding.
        sequence_ids: int (B, S), the number of the text of a packed row that each token belongs to; None for one text.
        global_mask: int (B, S), 1 for tokens that see all and are seen by all; None for none.
        positions: int (B, Q), the places of the queries; None for all.
    """

    mask: object
    sequence_ids: object = None
    global_mask: object = None
    positions: object = None

    def texts(self):
        """Returns the texts of the queries and of all tokens, int (B, Q) and (B, S), or (None, None) for one text."""
        ids = self.sequence_ids
        return (None, None) if ids is None else (self.of_queries(ids), ids)

    def of_queries(self, values):
        """Returns int (B, Q) of int (B, S)."""
        if self.positions is None:
            return values
        return ops.take_along_axis(values, ops.cast(self.positions, "int32"), axis=1)


@fusible
def attention_weights(
    scores, input_mask, key, query_ids=None, key_ids=None, positions=None, *, scale, rate, window=None
):
    """Scales scores, masks them, and takes their softmax and its dropout, in float32.

    Args:
        scores: (B, A, Q, S), products of queries and keys.
        input_mask: int (B, S).
        key: see `drop`.
        query_ids, key_ids: int (B, Q) and (B, S), the texts of a packed row: each sees its own; None for one text.
        positions: int (B, Q), the places of the queries; None for all.
        scale: factor of the scores.
        rate: of the dropout.
        window: tokens that each one sees on each side; None for all.

    Returns:
        (B, A, Q, S) of the scores' dtype.
    """
    scores, dtype = wide(scores) * scale, scores.dtype
    if query_ids is None and window is None:
        bias = (1.0 - ops.cast(input_mask, scores.dtype)) * MASKED
        scores += ops.expand_dims(ops.expand_dims(bias, 1), 1)  # (B, 1, 1, S), not by slices, which LiteRT lacks
    else:
        seen = ops.expand_dims(ops.not_equal(input_mask, 0), 1)  # (B, 1, S)
        if query_ids is not None:
            seen = seen & ops.equal(ops.expand_dims(query_ids, 2), ops.expand_dims(key_ids, 1))
        if window is not None:
            places = ops.arange(ops.shape(scores)[-1], dtype="int32")
            queries = places[None] if positions is None else ops.cast(positions, "int32")
            seen = seen & (ops.abs(ops.expand_dims(queries, 2) - places) <= window)
        scores += ops.expand_dims(ops.where(seen, 0.0, UNSEEN), 1)  # (B, 1, Q, S)
    return ops.cast(drop(ops.softmax(scores, axis=-1), key, rate), dtype)


@keras.saving.register_keras_serializable(package="keras_bert")
class SelfAttention(ConfigLayer):
    """Every position attends to every unmasked one; scores and softmax are float32.

    Args:
        num_heads: attention heads A.
        dropout: rate on the attention probabilities.
        initializer_range: standard deviation of the truncated normal.
        units: width of all heads together; None for the input's.
        biases: which of the projections "query", "key" and "value" have one.
        value_width: width of what values are made of; None for the input's.
        rope_theta: base of the rotary positions; None for none.
        may_be_long: whether texts may have more than LONG tokens where their length is not known beforehand.
    """

    FIELDS = (
        *("num_heads", "dropout", "initializer_range", "units", "biases", "value_width", "rope_theta"),
        "may_be_long",
    )

    def __init__(
        self,
        num_heads,
        *,
        dropout=0.1,
        initializer_range=0.02,
        units=None,
        biases=PROJECTIONS,
        value_width=None,
        rope_theta=None,
        may_be_long=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_fields(
            num_heads=num_heads,
            dropout=dropout,
            initializer_range=initializer_range,
            units=units,
            biases=tuple(biases),
            value_width=value_width,
            rope_theta=rope_theta,
            may_be_long=may_be_long,
        )
        self.dropout_layer = dropout_layer(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the projections query, key, value (H, A * D)."""
        units = input_shape[-1] if self.units is None else self.units
        if units % self.num_heads:
            raise ValueError(f"hidden_size must be a multiple of num_heads. Received: {units} and {self.num_heads}.")
        self.head_size = units // self.num_heads
        widths = {"value": self.value_width or input_shape[-1]}
        for name in PROJECTIONS:
            self.add_projection(name, widths.get(name, input_shape[-1]), use_bias=name in self.biases)
        self.built = True

    def add_projection(self, name, width, *, use_bias=True):
        """Makes a Dense layer (H, A * D) and keeps it as an attribute."""
        units = self.num_heads * self.head_size
        layer = dense(units, self.initializer_range, name=name, use_bias=use_bias, dtype=self.dtype_policy)
        layer.build((None, None, width))
        setattr(self, name, layer)

    def call(self, inputs, places, queries=None, values=None, training=None, return_scores=False, **others):
        """Mixes the positions of each sequence.

        Args:
            inputs: float (B, S, H).
            places: a Places, or the mask alone.
            queries: float (B, Q, H), the positions that are to attend; all of `inputs` if None.
            values: float (B, S, H), what is mixed; `inputs` if None.
            training: whether dropout is on.
            return_scores: whether to return the attention probabilities too.
            **others: what a subclass takes besides.

        Returns:
            float (B, Q, A * D); with `return_scores` also float32 (B, A, Q, S), before dropout.
        """
        places = places if isinstance(places, Places) else Places(places)
        queries = inputs if queries is None else queries
        key = self.heads(self.key, inputs)
        query = self.heads(self.query, queries)
        if self.rope_theta is not None:
            query, key = self.rotated(query, key, places, fuse=worth_fusing(inputs, training))
        value = self.heads(self.value, inputs if values is None else values)
        settings = {"training": training, "fuse": worth_fusing(inputs, training)}
        context = self.mix(query, key, value, places, **settings, **others)
        context = ops.reshape(context, (*ops.shape(queries)[:2], self.num_heads * self.head_size))
        if not return_scores:
            return context
        return context, self.probabilities(query, key, places, **others)

    def heads(self, layer, x):
        """Returns a projection of (B, S, H) as (B, S, A, D)."""
        projected = layer(ops.reshape(x, (-1, x.shape[-1])))
        return ops.reshape(projected, (*ops.shape(x)[:2], self.num_heads, self.head_size))

    def rotated(self, query, key, places, *, fuse):
        """Returns query and key turned by their places."""
        everywhere = rotation(ops.arange(ops.shape(key)[1], dtype="int32"), self.head_size, self.rope_theta)
        asking = everywhere
        if places.positions is not None:
            asking = rotation(places.positions, self.head_size, self.rope_theta)
        return rotated(query, *asking, fuse=fuse), rotated(key, *everywhere, fuse=fuse)

    @property
    def scale(self):
        """The factor of the scores."""
        return self.head_size**-0.5

    def mix(self, query, key, value, places, *, training, fuse):
        """Returns float (B, Q, A, D) from query (B, Q, A, D), key and value (B, S, A, D)."""
        length = query.shape[1]  # of JAX's exports a symbol, which is neither known nor None
        is_long = self.may_be_long if length is None else isinstance(length, int) and length > LONG
        if is_long and places.positions is None and not training:
            return self.mix_by_blocks(query, key, value, places)
        weights = self.weights_of(query, key, places, dropout_key(self.dropout_layer, training), fuse=fuse)
        return mixed_values(weights, value)

    def mix_by_blocks(self, query, key, value, places):
        """Does what `mix` does in inference, for one block of queries after the other: scores take as much each."""
        batch, length = ops.shape(query)[:2]
        blocks = query_blocks(query)
        _, _, block, *_ = ops.shape(blocks)

        def mixed(before, queries):
            start = before[1]
            positions = ops.minimum(start + ops.arange(block, dtype="int32"), length - 1)
            positions = ops.broadcast_to(ops.expand_dims(positions, 0), (batch, block))
            at = Places(places.mask, places.sequence_ids, places.global_mask, positions)
            context = self.mix(queries, key, value, at, training=False, fuse=False)
            return (context, start + block), (context, start)  # Keras wants results like what goes from block to block

        begin = (ops.zeros_like(blocks[0]), ops.zeros((), "int32"))
        _, (context, _) = ops.scan(mixed, begin, blocks)  # (n, B, b, A, D)
        context = ops.transpose(context, (1, 0, 2, 3, 4))
        return ops.reshape(context, (batch, -1, *query.shape[2:]))[:, :length]

    def probabilities(self, query, key, places, **others):
        """Returns the attention probabilities, float32 (B, A, Q, S)."""
        query, key = ops.cast(query, "float32"), ops.cast(key, "float32")
        return self.weights_of(query, key, places, None, fuse=False, **others)

    def weights_of(self, query, key, places, dropout, *, fuse):
        """Returns (B, A, Q, S), the probabilities after dropout."""
        settings = {"scale": self.scale, "rate": self.dropout, "fuse": fuse}
        return attention_weights(self.scores(query, key), places.mask, dropout, *places.texts(), **settings)

    def scores(self, query, key):
        """Returns (B, A, Q, S) of query (B, Q, A, D) and key (B, S, A, D)."""
        return products(query, key)


def query_blocks(query):
    """Cuts queries (B, S, A, D) into (n, B, b, A, D), zeros past the last; one block if PAIRS allow it.

    >>> [tuple(query_blocks(ops.zeros((1, length, 1, 1))).shape) for length in (2048, 8192)]
    [(1, 1, 2048, 1, 1), (16, 1, 512, 1, 1)]
    """
    batch, length, *sizes = ops.shape(query)
    most = _at_least(PAIRS // _at_least(batch * length, 1), reach.SMALLEST_BLOCK)
    count = _at_least(-(-length // most), 1)
    block = -(-length // count)
    blocks = ops.pad(query, [[0, 0], [0, count * block - length], [0, 0], [0, 0]])
    return ops.transpose(ops.reshape(blocks, (batch, count, block, *sizes)), (1, 0, 2, 3, 4))


def _at_least(number, least):
    return max(number, least) if isinstance(number, int) else ops.maximum(number, least)


def products(query, key):
    """Returns (B, A, Q, S) of (B, Q, A, D) and (B, S, A, D)."""
    return ops.matmul(ops.transpose(query, (0, 2, 1, 3)), ops.transpose(key, (0, 2, 3, 1)))


def mixed_values(weights, value):
    """Returns (B, Q, A, D) of weights (B, A, Q, S) and (B, S, A, D)."""
    return ops.transpose(ops.matmul(weights, ops.transpose(value, (0, 2, 1, 3))), (0, 2, 1, 3))


def without_padding(context, places, unless=False):
    """Returns (B, Q, A, D) with 0 for queries that are padding, as transformers has it: losses over places see them.

    Args:
        context: float (B, Q, A, D).
        places: the Places.
        unless: bool, or a bool tensor (), whether to leave it as it is.
    """
    mask = places.mask
    if places.positions is not None:
        mask = ops.take_along_axis(mask, ops.cast(places.positions, "int32"), axis=1)
    kept = ops.not_equal(mask, 0) if unless is False else ops.logical_or(ops.not_equal(mask, 0), unless)
    return ops.where(ops.expand_dims(ops.expand_dims(kept, 2), 3), context, 0.0)
