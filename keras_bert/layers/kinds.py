"""The kinds of attention by name: which tokens see which. A further kind is a subclass of SelfAttention and a row here.

B batch, S sequence, Q queries, H hidden, A heads, D head size.
"""

import keras
from keras import ops

from keras_bert.errors import UserError
from keras_bert.layers.attention import PROJECTIONS, SelfAttention, attention_weights, mixed_values, products
from keras_bert.layers.block_sparse import block_sparse_attention, counted_attention, longest_full, random_plans
from keras_bert.layers.dropout import dropout_key
from keras_bert.layers.global_tokens import (
    banded_global_attention,
    global_local_attention,
    global_slots,
    in_slots,
)
from keras_bert.layers.patterns import banded_attention, local_attention


@keras.saving.register_keras_serializable(package="keras_bert")
class LocalAttention(SelfAttention):
    """Each token sees those near it (Beltagy et al. 2020, section 3.1; ModernBERT's local layers).

    Args:
        num_heads, others: as in SelfAttention.
        window: tokens that each one sees on each side.
    """

    FIELDS = (*SelfAttention.FIELDS, "window")

    def __init__(self, num_heads, *, window, **kwargs):
        super().__init__(num_heads, **kwargs)
        self.set_fields(window=window)

    def mix(self, query, key, value, places, *, training, fuse):
        """Returns float (B, Q, A, D) from query (B, Q, A, D), key and value (B, S, A, D)."""
        if places.positions is not None:
            return super().mix(query, key, value, places, training=training, fuse=fuse)
        return local_attention(
            query,
            key,
            value,
            places.mask,
            window=self.window,
            scale=self.scale,
            rate=self.dropout,
            dropout_key=dropout_key(self.dropout_layer, training),
            sequence_ids=places.sequence_ids,
            training=bool(training),
            fuse=fuse,
        )

    def weights_of(self, query, key, places, dropout, *, fuse):
        """Returns (B, A, Q, S), the probabilities after dropout."""
        settings = {"scale": self.scale, "rate": self.dropout, "window": self.window, "fuse": fuse}
        texts = places.texts()
        return attention_weights(self.scores(query, key), places.mask, dropout, *texts, places.positions, **settings)


@keras.saving.register_keras_serializable(package="keras_bert")
class GlobalLocalAttention(LocalAttention):
    """Longformer's: global tokens see all and are seen by all, the others see those near them (Beltagy et al. 2020).

    Global tokens see by projections of their own, and are seen by those of all tokens.

    Args:
        num_heads, window, others: as in LocalAttention.
        slots: how many tokens of a text may be global; a text with more becomes NaN.
    """

    FIELDS = (*LocalAttention.FIELDS, "slots")

    def __init__(self, num_heads, *, window, slots=64, **kwargs):
        super().__init__(num_heads, window=window, **kwargs)
        self.set_fields(slots=slots)

    def build(self, input_shape):
        """Makes the projections query, key, value and those of global tokens, (H, A * D)."""
        super().build(input_shape)
        for name in PROJECTIONS:
            self.add_projection(f"{name}_global", input_shape[-1], use_bias=name in self.biases)

    def call(self, inputs, places, queries=None, values=None, training=None, return_scores=False):
        """Mixes the positions of each sequence, see SelfAttention."""
        hidden = (inputs if queries is None else queries, inputs)
        settings = {"training": training, "return_scores": return_scores, "hidden": hidden}
        return super().call(inputs, places, queries, values, **settings)

    def mix(self, query, key, value, places, *, hidden, training, fuse):
        """Returns float (B, Q, A, D).

        Args:
            query, key, value, places, training, fuse: as in SelfAttention.
            hidden: the queries' hidden states, float (B, Q, H), and all tokens', (B, S, H).
        """
        if places.global_mask is None:
            context = super().mix(query, key, value, places, training=training, fuse=fuse)
            return without_padding(context, places)
        queries, inputs = hidden
        dropout = dropout_key(self.dropout_layer, training)
        settings = {"window": self.window, "scale": self.scale, "rate": self.dropout, "dropout_key": dropout}
        others = [self.heads(layer, inputs) for layer in (self.key_global, self.value_global)]
        if places.positions is not None or places.sequence_ids is not None:
            asking = self.heads(self.query_global, queries)
            context = self.dense(query, key, value, asking, *others, places, **settings, fuse=fuse)
            return without_padding(context, places)
        length = ops.shape(inputs)[1]
        slots = min(self.slots, length) if isinstance(length, int) else self.slots
        hot = global_slots(places.global_mask, places.mask, slots)
        asking = self.heads(self.query_global, in_slots(hot, inputs))
        tensors = (query, key, value, asking, *others, places.mask, hot)
        context = global_local_attention(*tensors, **settings, training=bool(training), fuse=fuse)
        return without_padding(context, places)

    def dense(self, query, key, value, asking, global_key, global_value, places, *, return_scores=False, **settings):
        """Does it with one score for each query and key: for chosen queries, and for packed rows."""
        if places.sequence_ids is None:
            tensors = (query, key, value, asking, global_key, global_value, places.mask, places.global_mask)
            positions = places.positions
            return banded_global_attention(*tensors, positions=positions, return_scores=return_scores, **settings)
        chosen = {"positions": places.positions, "sequence_ids": places.sequence_ids}
        seen = ops.cast(places.global_mask, "int32")
        local = banded_attention(
            query, key, value, places.mask, always=seen, return_scores=return_scores, **chosen, **settings
        )
        scale, rate, dropout, fuse = (settings[name] for name in ("scale", "rate", "dropout_key", "fuse"))
        scores = products(asking, global_key)
        weights = attention_weights(scores, places.mask, dropout, *places.texts(), scale=scale, rate=rate, fuse=fuse)
        is_global = seen if places.positions is None else ops.take_along_axis(seen, places.positions, axis=1)
        is_global = ops.expand_dims(ops.expand_dims(is_global > 0, 2), 3)  # (B, Q, 1, 1)
        context, probabilities = local if return_scores else (local, None)
        context = ops.where(is_global, mixed_values(weights, global_value), context)
        if not return_scores:
            return context
        return context, ops.where(ops.transpose(is_global, (0, 2, 1, 3)), weights, probabilities)

    def probabilities(self, query, key, places, *, hidden):
        """Returns the attention probabilities, float32 (B, A, Q, S)."""
        if places.global_mask is None:
            return super().probabilities(query, key, places)
        asking, global_key = (
            ops.cast(self.heads(layer, x), "float32")
            for layer, x in zip((self.query_global, self.key_global), hidden, strict=True)
        )
        query, key = (ops.cast(x, "float32") for x in (query, key))
        settings = {"window": self.window, "scale": self.scale, "rate": self.dropout, "dropout_key": None}
        return self.dense(
            query, key, key, asking, global_key, global_key, places, return_scores=True, fuse=False, **settings
        )[1]


@keras.saving.register_keras_serializable(package="keras_bert")
class BlockSparseAttention(SelfAttention):
    """BigBird's: blocks of tokens see their neighbours, the first and the last block and some others.

    Texts of up to (5 + 2 * random_blocks) * block_size tokens, padding included, attend in full. In longer ones the
    last block is that of the padded text, so that the numbers depend on how far a text is padded, as transformers' do.

    Args:
        num_heads, others: as in SelfAttention.
        block_size, random_blocks, drawn: as in `keras_bert.config.parts.BlockSparse`.
        number: the block's number, by which random blocks are drawn.
        longest: the model's longest text, in tokens.
    """

    FIELDS = (*SelfAttention.FIELDS, "block_size", "random_blocks", "drawn", "number", "longest")

    def __init__(self, num_heads, *, block_size=64, random_blocks=3, drawn=False, number=0, longest=4096, **kwargs):
        super().__init__(num_heads, **kwargs)
        self.set_fields(block_size=block_size, random_blocks=random_blocks, drawn=drawn, number=number, longest=longest)

    def settings(self, training):
        """Returns what the functions of layers/block_sparse.py take besides tensors."""
        shape = (self.num_heads, self.longest, self.block_size, self.random_blocks)
        return {
            "block_size": self.block_size,
            "plan": random_plans(*shape, self.number, self.drawn),
            "scale": self.scale,
            "rate": self.dropout,
            "dropout_key": dropout_key(self.dropout_layer, training),
        }

    def mix(self, query, key, value, places, *, training, fuse):
        """Returns float (B, Q, A, D) from query (B, Q, A, D), key and value (B, S, A, D)."""
        if places.sequence_ids is not None:  # each text attends in full, which it does as long as none is longer
            self.check_packed(ops.shape(key)[1])
            return super().mix(query, key, value, places, training=training, fuse=fuse)
        tensors, settings = (query, key, value, places.mask), self.settings(training)
        if places.positions is None:
            context = block_sparse_attention(*tensors, **settings, fuse=fuse)
        else:
            context = counted_attention(*tensors, positions=places.positions, **settings, fuse=fuse)
        full = ops.shape(key)[1] <= longest_full(self.block_size, self.random_blocks)
        return context if full is True else without_padding(context, places, unless=full)

    def check_packed(self, length):
        """Refuses packed rows in which a text may be too long to attend in full."""
        most = longest_full(self.block_size, self.random_blocks)
        if isinstance(length, int) and length > most:
            raise UserError(
                f"Rows of {length} tokens are packed, but texts of over {most} tokens, (5 + 2 * random_blocks) * "
                f"block_size, attend by blocks, which begin with a row; pack rows of up to {most} tokens."
            )

    def probabilities(self, query, key, places):
        """Returns the attention probabilities, float32 (B, A, Q, S)."""
        if places.sequence_ids is not None:
            return super().probabilities(query, key, places)
        query, key = (ops.cast(x, "float32") for x in (query, key))
        tensors, positions = (query, key, key, places.mask), places.positions
        settings = self.settings(training=False)
        return counted_attention(*tensors, positions=positions, return_scores=True, fuse=False, **settings)[1]


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


KINDS = {
    "full": SelfAttention,
    "local": LocalAttention,
    "global_local": GlobalLocalAttention,
    "block_sparse": BlockSparseAttention,
}


def attention_layer(kind, num_heads, **settings):
    """Returns the layer of a kind of attention.

    Raises:
        ValueError: a kind that is not known.
    """
    if kind not in KINDS:
        raise ValueError(f"attention_kind must be one of {', '.join(KINDS)}. Received: {kind!r}.")
    return KINDS[kind](num_heads, **settings)
