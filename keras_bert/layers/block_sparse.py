"""BigBird's attention by blocks: neighbours, the first and the last block, and random ones (Zaheer et al. 2020).

The tokens of the first and of the last block see all. A row is a block of queries; row i of the others sees the blocks
0, i - 1, i, i + 1, n - 1 once each, and its random blocks besides, even those that it has seen already.

B batch, S sequence, Q queries, A heads, D head size, n blocks, b tokens in a block, r random blocks of a row.
"""

import functools
import math

import numpy as np
from keras import ops

from keras_bert.config.reach import longest_full
from keras_bert.layers.attention import MASKED, attention_weights
from keras_bert.layers.common import wide
from keras_bert.layers.dropout import drop
from keras_bert.layers.fusion import fusible
from keras_bert.layers.patterns import (
    banded_attention,
    count_blocks,
    filled,
    first_tokens,
    framed_attention,
    heads_first,
)

PAPER_LENGTHS = (1024, 3072, 4096)  # for which transformers draws as the paper's experiments did
PAPER_REACH = 1024  # up to where those drew


def random_plan(num_heads, length, block_size, random_blocks, layer, drawn, longest=None):
    """Chooses the random blocks of a layer for texts of one length.

    Args:
        num_heads: A.
        length: S.
        block_size: b.
        random_blocks: r.
        layer: its number, the seed.
        drawn: whether they are drawn, as transformers does in training; else all are block 0, as in its inference.
        longest: the model's longest text, on which the plan for 1024, 3072 and 4096 tokens depends; None for `length`.

    Returns:
        int32 (A, n - 2, r): the random blocks of rows 1 to n - 2.
    """
    longest = max(longest or 0, length)
    usual, paper = random_plans(num_heads, longest, block_size, random_blocks, layer, drawn)
    blocks = count_blocks(length, block_size)
    return (paper if blocks * block_size in PAPER_LENGTHS else usual)[:, : blocks - 2]


@functools.cache
def random_plans(num_heads, longest, block_size, random_blocks, layer, drawn):
    """Chooses the random blocks of a layer for all lengths up to the longest: a shorter text's plan begins a longer's.

    Args:
        num_heads, block_size, random_blocks, layer, drawn: as in `random_plan`.
        longest: the model's longest text.

    Returns:
        int32 (2, A, n - 2, r): the usual plan, and the one for `PAPER_LENGTHS`. Where transformers refuses to draw,
        as there are fewer than r blocks to choose from, those repeat.
    """
    blocks = count_blocks(longest, block_size)
    plans = np.zeros((2, num_heads, max(blocks - 2, 0), random_blocks), np.int32)
    if drawn and random_blocks and longest > longest_full(block_size, random_blocks):
        draws = np.random.RandomState(layer)
        for row in range(1, blocks - 1):
            for head in range(num_heads):
                plans[0, head, row - 1] = _usual_row(row, random_blocks, draws)
        draws = np.random.RandomState(layer)
        whole = blocks if blocks * block_size in PAPER_LENGTHS else longest // block_size
        for head in range(num_heads):
            for row in range(1, whole - 1):
                plans[1, head, row - 1] = _paper_row(row, whole, block_size, random_blocks, draws)
    plans.setflags(write=False)
    return plans


def _usual_row(row, random_blocks, draws):
    """Draws from the first 5 + 2 r blocks, however long the text is: neither neighbours nor the first or the last."""
    reach = 5 + 2 * random_blocks
    order = draws.permutation(np.arange(reach, dtype=np.int32))
    hidden = {row - 1, row, row + 1, 0, reach - 1}
    hidden |= {reach - 2} if row == 1 else {1} if row == reach - 2 else set()
    return [block for block in order if block not in hidden][:random_blocks]


def _paper_row(row, blocks, block_size, random_blocks, draws):
    """Draws from the first `PAPER_REACH` tokens' blocks; near the end of the text from neighbours too."""
    middle = np.arange(1, blocks - 1, dtype=np.int32)
    last = blocks - 1 if 2 * block_size >= PAPER_REACH else PAPER_REACH // block_size - 1
    if row in (1, 2):
        choices = middle[row + 1 : last]
    elif row >= blocks - 3 or row - 2 > last:
        choices = middle[:last]
    elif row + 1 == last:
        choices = middle[: row - 2]
    else:
        choices = np.concatenate([middle[: row - 2], middle[row + 1 : last]])
    return np.resize(draws.permutation(choices)[:random_blocks], random_blocks)


def block_sparse_attention(query, key, value, input_mask, *, block_size, plan, scale, rate, dropout_key, fuse):
    """Lets each token attend to the blocks that its row lists.

    A length that is unknown as the graph is made is as good as a known one: n, and which rows of the plan are the
    length's, are then computed in the graph. There, a text that attends in full is one block, whose other keys and rows
    are computed in vain: 3 + r blocks' at most, against conditional graphs, whose gradients TensorFlow fails to make.

    Args:
        query, key, value: float (B, S, A, D).
        input_mask: int (B, S), 1 for real tokens and 0 for padding.
        block_size: b. The last block is filled up with padding inside.
        plan: NumPy int (2, A, n - 2, r) from `random_plans`, for at least n blocks, or (A, n - 2, r) from
            `random_plan`, for texts of its length. All 0 holds for any length.
        scale, rate, dropout_key, fuse: as in `local_attention`.

    Returns:
        (B, S, A, D) of the value's dtype. Texts of up to (5 + 2 r) * b tokens attend in full. Rows of padding hold
        anything finite.
    """
    length = ops.shape(query)[1]
    settings = {"scale": scale, "rate": rate, "dropout_key": dropout_key, "fuse": fuse}
    full = length <= longest_full(block_size, plan.shape[-1])
    if isinstance(length, int) and full:
        return banded_attention(query, key, value, input_mask, window=None, **settings)
    blocks = count_blocks(length, block_size)
    padded = blocks * block_size
    query, key, value = (filled(heads_first(x), padded - length) for x in (query, key, value))
    mask = filled(ops.expand_dims(ops.cast(input_mask, "int32"), 2), padded - length)  # (B, n * b, 1)
    edge_mask = ops.squeeze(_edges(mask, block_size), 2)  # (B, 2 * b)
    # Block 0 as every row's only random block makes the first block count 1 + r times, which takes no further keys.
    drawn = plan.any()
    edge_mask = edge_mask * np.repeat(np.array([1 if drawn else 2, 1], np.int32), block_size)
    extra = [ops.expand_dims(edges(x, block_size), 2) for x in (key, value)]  # (B, A, 1, 2 * b, D)
    extra.append(ops.expand_dims(ops.expand_dims(edge_mask, 1), 1))  # (B, 1, 1, 2 * b)
    block = halo = width = block_size
    rows = random_rows(plan, blocks, block_size, length) if drawn else None
    if not isinstance(length, int):
        block, halo = ops.where(full, padded, block), ops.where(full, 0, halo)
        width = halo
        rows = rows[:, : padded // block] if drawn else None
    if drawn:
        extra = [with_random(x, each, rows, block_size) for x, each in zip((key, value, mask), extra, strict=True)]
    if not isinstance(length, int):
        extra[2] = ops.where(full, 0, extra[2])
    place = ops.arange(padded, dtype="int32")
    inner = ops.cast(ops.logical_and(place >= width, place < padded - width), "int32")
    inner = ops.expand_dims(ops.squeeze(mask, 2) * inner, 1)  # (B, 1, n * b): the edges are among the extra keys
    frames = {"block": block, "halo": halo, "window": None, "extra": extra, "bonus": math.log(1 + plan.shape[-1])}
    context = framed_attention(query, key, value, inner, **frames, **settings)
    scores = ops.matmul(edges(query, block_size), ops.swapaxes(key, -1, -2))  # (B, A, 2 * b, n * b)
    weights = attention_weights(scores, ops.squeeze(mask, 2), dropout_key, scale=scale, rate=rate, fuse=fuse)
    context = with_edges(context, ops.matmul(weights, value), width)
    return heads_first(first_tokens(context, length))


def edges(x, block_size):
    """Returns the first and the last block of (..., S, D), (..., 2 * b, D), with a gradient that copies little."""

    @ops.custom_gradient
    def taken(x):
        others = ops.shape(x)[-2] - block_size

        def gradients(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            first, last = upstream[..., :block_size, :], upstream[..., block_size:, :]
            return filled(first, others) + filled(last, 0, before=others)

        return _edges(x, block_size), gradients

    return taken(x)


def _edges(x, block_size):
    return ops.concatenate([x[..., :block_size, :], x[..., ops.shape(x)[-2] - block_size :, :]], axis=-2)


def with_edges(x, ends, width):
    """Puts the first and the last tokens of (..., 2 * b, D), `width` each, in the place of those of (..., S, D)."""

    def between(first, middle, last):
        length, others = ops.shape(middle)[-2], ops.shape(last)[-2] - width
        parts = [first[..., :width, :], middle[..., width : length - width, :], last[..., others:, :]]
        return ops.concatenate(parts, axis=-2)

    @ops.custom_gradient
    def replaced(x, ends):
        def gradients(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            none = ops.zeros_like(ends)
            return between(none, upstream, none), between(upstream, none, upstream)

        return between(ends, x, ends), gradients

    return replaced(x, ends)


def with_random(x, extra, rows, block_size):
    """Appends each row's random blocks to the extra keys that all rows share.

    Args:
        x: float (B, A, n * b, D), keys or values; or their mask, int (B, n * b, 1).
        extra: (B, A, 1, E, D); or (B, 1, 1, E).
        rows: int (A, rows, r).
        block_size: b.

    Returns:
        (B, A, rows, E + r * b, D); or (B, A, rows, E + r * b).
    """
    num_heads, count, random_blocks = ops.shape(rows)
    batch, *_, size = ops.shape(x)
    if len(x.shape) == 3:
        taken = ops.take(ops.reshape(x, (batch, -1, block_size)), ops.reshape(rows, (-1,)), axis=1)
        taken = ops.reshape(taken, (batch, num_heads, count, random_blocks * block_size))
    else:
        taken = taken_blocks(ops.reshape(x, (batch, num_heads, -1, block_size * size)), rows)
        taken = ops.reshape(taken, (batch, num_heads, count, random_blocks * block_size, size))
    extra = ops.broadcast_to(extra, (batch, num_heads, count, *ops.shape(extra)[3:]))
    return ops.concatenate([extra, taken], axis=3)


def taken_blocks(x, rows):
    """Returns the blocks that each head's rows list, (B, A, rows * r, C) from float (B, A, n, C) and int (A, rows, r).

    Its gradient adds by a product with a one-hot matrix, which on CPUs is faster than adding one by one, and sums
    16-bit numbers in 32 bits.
    """
    num_heads, count, random_blocks = ops.shape(rows)

    @ops.custom_gradient
    def taken(x):
        batch, _, blocks, size = ops.shape(x)
        first = ops.reshape(ops.arange(num_heads, dtype="int32") * blocks, (-1, 1, 1))
        flat = ops.take(ops.reshape(x, (batch, -1, size)), ops.reshape(rows + first, (-1,)), axis=1)

        def gradients(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            block = ops.reshape(ops.arange(blocks, dtype="int32"), (-1, 1))
            hot = ops.equal(block, ops.reshape(rows, (num_heads, 1, count * random_blocks)))  # (A, n, rows * r)
            return ops.matmul(ops.cast(hot, upstream.dtype), upstream)

        return ops.reshape(flat, (batch, num_heads, count * random_blocks, size)), gradients

    return taken(x)


def random_rows(plan, blocks, block_size, length):
    """Returns the random blocks of n rows, int32 (A, n, r); those of the first and the last row mean nothing.

    Args:
        plan: see `block_sparse_attention`.
        blocks: n, an int or an int tensor.
        block_size: b.
        length: S, for the error.
    """
    plan = np.stack([plan, plan]) if plan.ndim == 3 else plan
    plan = np.pad(plan.astype(np.int32), ((0, 0), (0, 0), (1, 1), (0, 0)))
    if not isinstance(blocks, int):
        is_paper = ops.any(ops.equal(blocks * block_size, ops.convert_to_tensor(PAPER_LENGTHS, "int32")))
        return ops.where(is_paper, plan[1], plan[0])[:, :blocks]
    if blocks > plan.shape[2] and plan.any():
        raise ValueError(
            f"The plan of random blocks must be for a text of {length} tokens. "
            f"Received: one for up to {plan.shape[2] * block_size}."
        )
    return plan[int(blocks * block_size in PAPER_LENGTHS)][:, :blocks]


def counted_attention(
    query,
    key,
    value,
    input_mask,
    *,
    block_size,
    plan,
    scale,
    rate,
    dropout_key,
    positions=None,
    fuse,
    return_scores=False,
):
    """Does what `block_sparse_attention` does with one score for each query and key, also for chosen queries.

    A key that a row lists c times has a weight c times as large: its score is higher by log(c).

    Args:
        query: float (B, Q, A, D).
        key, value: float (B, S, A, D).
        input_mask, block_size, plan, scale, rate, dropout_key, fuse: as in `block_sparse_attention`.
        positions: int (B, Q), the places of the queries; None if Q is S and they are all there in order.
        return_scores: whether to return the attention probabilities too.

    Returns:
        (B, Q, A, D) of the value's dtype; with `return_scores` also float32 (B, A, Q, S), before dropout.
    """
    counts = block_counts(ops.shape(key)[1], block_size, plan)  # (A or 1, n, n)
    places = ops.arange(ops.shape(query)[1], dtype="int32") if positions is None else positions
    counts = ops.take(counts, ops.cast(places, "int32") // block_size, axis=1)  # (A or 1, Q, n) or (A or 1, B, Q, n)
    counts = ops.expand_dims(counts, 0) if positions is None else ops.transpose(counts, (1, 0, 2, 3))
    query, key, value = (heads_first(x) for x in (query, key, value))
    scores = ops.matmul(query, ops.swapaxes(key, -1, -2))
    settings = {"block_size": block_size, "scale": scale, "rate": rate}
    weights = counted_weights(scores, input_mask, counts, dropout_key, fuse=fuse, **settings)
    context = heads_first(ops.matmul(weights, value))
    if not return_scores:
        return context
    return context, counted_weights(wide(scores), input_mask, counts, None, fuse=False, **settings)


def block_counts(length, block_size, plan):
    """Returns how often each row lists each block, int32 (A, n, n), or (1, n, n) where all heads' are alike.

    A text that attends in full lists each block once.
    """
    blocks, random_blocks = count_blocks(length, block_size), plan.shape[-1]
    block = ops.arange(blocks, dtype="int32")
    row, column = ops.expand_dims(block, 1), ops.expand_dims(block, 0)

    def at_end(x):
        return ops.logical_or(x == 0, x == blocks - 1)

    counts = ops.cast(ops.logical_or(ops.abs(row - column) <= 1, at_end(column)), "int32")
    if plan.any():
        rows = ops.expand_dims(random_rows(plan, blocks, block_size, length), -1)  # (A, n, r, 1)
        counts = counts + ops.sum(ops.cast(ops.equal(rows, block), "int32"), axis=2)
    else:
        counts = ops.expand_dims(counts + random_blocks * ops.cast(column == 0, "int32"), 0)
    full = ops.logical_or(at_end(row), length <= longest_full(block_size, random_blocks))
    return ops.where(full, 1, counts)


@fusible
def counted_weights(scores, input_mask, counts, key, *, block_size, scale, rate):
    """Does what `attention_weights` does, with each key counted as often as its block is.

    Args:
        scores: (B, A, Q, S), products of queries and keys.
        input_mask: int (B, S).
        counts: int (B or 1, A or 1, Q, n).
        key, scale, rate: as in `attention_weights`.
        block_size: b.

    Returns:
        (B, A, Q, S) of the scores' dtype.
    """
    scores, dtype = wide(scores) * scale, scores.dtype
    counts = ops.cast(counts, scores.dtype)
    bias = ops.where(counts > 0, ops.log(ops.maximum(counts, 1.0)), MASKED)
    *dims, blocks = ops.shape(bias)
    bias = ops.broadcast_to(ops.expand_dims(bias, -1), (*dims, blocks, block_size))
    bias = ops.reshape(bias, (*dims, blocks * block_size))[..., : ops.shape(scores)[-1]]
    mask = (1.0 - ops.cast(input_mask, scores.dtype)) * MASKED
    scores = scores + bias + ops.expand_dims(ops.expand_dims(mask, 1), 1)
    return ops.cast(drop(ops.softmax(scores, axis=-1), key, rate), dtype)
