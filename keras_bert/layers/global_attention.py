"""Longformer's layer: windows, and a few tokens that see all and are seen by all (Beltagy et al. 2020).

B batch, S sequence, Q queries, H hidden, A heads, D head size.
"""

import keras
from keras import ops

from keras_bert.layers.attention import PROJECTIONS, attention_weights, mixed_values, products, without_padding
from keras_bert.layers.dropout import dropout_key
from keras_bert.layers.global_tokens import (
    banded_global_attention,
    global_local_attention,
    global_slots,
    in_slots,
)
from keras_bert.layers.local_attention import LocalAttention
from keras_bert.layers.patterns import banded_attention


@keras.saving.register_keras_serializable(package="keras_bert")
class GlobalLocalAttention(LocalAttention):
    """Longformer's: global tokens see all and are seen by all, the others see those near them (Beltagy et al. 2020).

    Global tokens see by projections of their own, and are seen by those of all tokens.

    Args:
        num_heads, window, others: as in LocalAttention.
        slots: how many tokens of a text may be global; a text with more becomes NaN.
    """

    FIELDS = (*LocalAttention.FIELDS, "slots")

    def __init__(self, num_heads, *, window, slots=128, **kwargs):
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
        context = global_local_attention(*tensors, **settings, fuse=fuse)
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
