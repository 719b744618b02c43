"""Longformer's global tokens, which see all tokens and are seen by all (Beltagy et al. 2020, section 3.1).

They are collected in a fixed number of slots by a product with a one-hot matrix, so that shapes stay static.

B batch, S sequence, G slots, A heads, D head size, H hidden (A * D).
"""

from keras import ops

from keras_bert.layers.attention import attention_weights
from keras_bert.layers.common import wide
from keras_bert.layers.patterns import banded_attention, block_and_halo, framed_attention, heads_first


def global_slots(global_mask, input_mask, slots):
    """Gives each global token a slot, in their order.

    Args:
        global_mask: int (B, S), 1 for global tokens; those that `input_mask` hides are not global.
        input_mask: int (B, S), 1 for real tokens and 0 for padding.
        slots: G. A text with more global tokens becomes NaN as a whole, since it would be wrong without a word.

    Returns:
        float32 (B, G, S), one-hot in S; rows of unused slots are 0.

    >>> import numpy as np
    >>> np.asarray(global_slots(np.array([[1, 0, 1]]), np.array([[1, 1, 1]]), 3)).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]]
    """
    chosen = ops.cast(global_mask, "int32") * ops.cast(input_mask, "int32")
    number = ops.cumsum(chosen, axis=1) * chosen  # 1 for the first global token, 0 for the others
    slot = ops.arange(1, slots + 1, dtype="int32")
    hot = ops.cast(ops.equal(ops.expand_dims(number, 1), ops.expand_dims(slot, 1)), "float32")
    too_many = ops.sum(chosen, axis=1) > slots
    return ops.where(ops.reshape(too_many, (-1, 1, 1)), float("nan"), hot)


def in_slots(hot, x):
    """Returns what `global_slots` gave a slot of float (B, S, ...), as (B, G, ...)."""
    batch, length, *rest = ops.shape(x)
    size = 1
    for dimension in rest:
        size *= dimension
    taken = ops.matmul(ops.cast(hot, x.dtype), ops.reshape(x, (batch, length, size)))
    return ops.reshape(taken, (batch, hot.shape[1], *rest))


def global_local_attention(
    query,
    key,
    value,
    global_query,
    global_key,
    global_value,
    input_mask,
    hot,
    *,
    window,
    scale,
    rate,
    dropout_key,
    fuse,
):
    """Lets each token attend to its window and to the global tokens, and each global token to all.

    Args:
        query, key, value: float (B, S, A, D).
        global_query: float (B, G, A, D), the slots' queries: a projection of `in_slots(hot, inputs)`.
        global_key, global_value: float (B, S, A, D), what global tokens look at.
        input_mask: int (B, S), 1 for real tokens and 0 for padding.
        hot: (B, G, S) from `global_slots`.
        window: tokens seen on each side.
        scale, rate, dropout_key, fuse: as in `local_attention`.

    Returns:
        (B, S, A, D) of the value's dtype. Rows of padding hold anything finite.
    """
    block, halo = block_and_halo(ops.shape(query)[1], window)
    is_global = ops.sum(hot, axis=1) > 0  # (B, S)
    used = ops.expand_dims(ops.expand_dims(ops.cast(ops.sum(hot, axis=2) > 0, "int32"), 1), 1)  # (B, 1, 1, G)
    slot_key, slot_value = (ops.expand_dims(heads_first(in_slots(hot, x)), 2) for x in (key, value))
    settings = {"scale": scale, "rate": rate, "fuse": fuse}
    local = framed_attention(
        *(heads_first(x) for x in (query, key, value)),
        ops.expand_dims(ops.where(is_global, 0, ops.cast(input_mask, "int32")), 1),
        block=block,
        halo=halo,
        window=window,
        extra=(slot_key, slot_value, used),
        dropout_key=dropout_key,
        **settings,
    )
    rows, _ = _from_all(global_query, global_key, global_value, input_mask, dropout_key, **settings)  # (B, G, A, D)
    batch, length, num_heads, size = ops.shape(query)
    back = ops.matmul(ops.cast(ops.swapaxes(hot, 1, 2), rows.dtype), ops.reshape(rows, (batch, -1, num_heads * size)))
    back = ops.reshape(back, (batch, length, num_heads, size))
    return ops.where(ops.expand_dims(ops.expand_dims(is_global, 2), 3), back, heads_first(local))


def banded_global_attention(
    query,
    key,
    value,
    global_query,
    global_key,
    global_value,
    input_mask,
    global_mask,
    *,
    window,
    scale,
    rate,
    dropout_key,
    positions=None,
    fuse,
    return_scores=False,
):
    """Does the same with one score for each query and key, also for chosen queries, and without slots.

    Args:
        query, global_query: float (B, Q, A, D), both of the same tokens.
        key, value, global_key, global_value: float (B, S, A, D).
        input_mask, global_mask: int (B, S).
        positions: int (B, Q), the places of the queries; None if Q is S and they are all there in order.
        window, scale, rate, dropout_key, fuse: as in `local_attention`.
        return_scores: whether to return the attention probabilities too.

    Returns:
        (B, Q, A, D) of the value's dtype; with `return_scores` also float32 (B, A, Q, S), before dropout.
    """
    global_mask = ops.cast(global_mask, "int32")
    settings = {"scale": scale, "rate": rate, "fuse": fuse, "return_scores": return_scores}
    local = banded_attention(
        query,
        key,
        value,
        input_mask,
        window=window,
        dropout_key=dropout_key,
        positions=positions,
        always=global_mask,
        **settings,
    )
    rows, row_weights = _from_all(global_query, global_key, global_value, input_mask, dropout_key, **settings)
    is_global = global_mask if positions is None else ops.take_along_axis(global_mask, positions, axis=1)
    is_global = is_global > 0  # (B, Q)
    context, weights = local if return_scores else (local, None)
    context = ops.where(ops.expand_dims(ops.expand_dims(is_global, 2), 3), rows, context)
    if not return_scores:
        return context
    return context, ops.where(ops.expand_dims(ops.expand_dims(is_global, 1), 3), row_weights, weights)


def _from_all(query, key, value, input_mask, dropout_key, *, scale, rate, fuse, return_scores=False):
    """Returns queries' attention to all tokens, (B, Q, A, D), and its probabilities, float32 (B, A, Q, S), or None."""
    query, key, value = (heads_first(x) for x in (query, key, value))
    scores = ops.matmul(query, ops.swapaxes(key, -1, -2))
    settings = {"scale": scale, "rate": rate}
    weights = attention_weights(scores, input_mask, dropout_key, fuse=fuse, **settings)
    context = heads_first(ops.matmul(weights, value))
    if not return_scores:
        return context, None
    return context, attention_weights(wide(scores), input_mask, None, fuse=False, **settings)
