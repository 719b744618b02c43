"""Sliding-window attention (Beltagy et al. 2020, section 3): each token sees those at most `window` places away.

Long texts are cut into blocks of queries; each block meets its frame, which is the block itself and a halo of keys on
each side. A short text is one block without a halo, so that one formulation serves every length, known or not.

B batch, S sequence, Q queries, A heads, D head size, n blocks, b tokens in a block, K in a frame, E extra keys.
"""

from keras import ops

from keras_bert.config import reach
from keras_bert.layers.attention import UNSEEN
from keras_bert.layers.common import wide
from keras_bert.layers.dropout import drop
from keras_bert.layers.fusion import fusible


def local_attention(query, key, value, input_mask, *, window, scale, rate, dropout_key, sequence_ids=None, fuse):
    """Lets each token attend to the unmasked ones in its window.

    Args:
        query, key, value: float (B, S, A, D).
        input_mask: int (B, S), 1 for real tokens and 0 for padding.
        window: tokens seen on each side.
        scale: factor of the scores.
        rate: of the dropout of the attention probabilities.
        dropout_key: see `drop`.
        sequence_ids: int (B, S), the number of each token's text in a packed row; a token sees its own text alone.
        fuse: see `fusible`.

    Returns:
        (B, S, A, D) of the value's dtype. Rows of padding hold anything finite. Memory grows with S, not with S * S.
    """
    block, halo = block_and_halo(ops.shape(query)[1], window)
    context = framed_attention(
        *(heads_first(x) for x in (query, key, value)),
        ops.expand_dims(input_mask, 1),
        block=block,
        halo=halo,
        window=window,
        sequence_ids=sequence_ids,
        scale=scale,
        rate=rate,
        dropout_key=dropout_key,
        fuse=fuse,
    )
    return heads_first(context)


def banded_attention(
    query,
    key,
    value,
    input_mask,
    *,
    window,
    scale,
    rate,
    dropout_key,
    positions=None,
    always=None,
    sequence_ids=None,
    fuse,
    return_scores=False,
):
    """Does what `local_attention` does with one score for each query and key, also for chosen queries.

    Args:
        query: float (B, Q, A, D).
        key, value: float (B, S, A, D).
        input_mask, scale, rate, dropout_key, sequence_ids, fuse: as in `local_attention`.
        window: tokens seen on each side; None for all.
        positions: int (B, Q), the places of the queries; None if Q is S and they are all there in order.
        always: int (B, S), 1 for keys that are seen from everywhere.
        return_scores: whether to return the attention probabilities too.

    Returns:
        (B, Q, A, D) of the value's dtype; with `return_scores` also float32 (B, A, Q, S), before dropout.
    """
    query, key, value = (heads_first(x) for x in (query, key, value))
    scores = ops.expand_dims(ops.matmul(query, ops.swapaxes(key, -1, -2)), 2)  # (B, A, 1, Q, S)
    ids = None if sequence_ids is None else visible_ids(sequence_ids, input_mask)
    tensors = [
        ops.expand_dims(ops.expand_dims(input_mask, 1), 1),
        None if positions is None else ops.expand_dims(positions, 1),
        None if always is None else ops.expand_dims(always, 1),
        _query_ids(sequence_ids, positions),
        None if ids is None else ops.expand_dims(ids, 1),
    ]
    settings = {"window": window, "extra": 0, "bonus": 0.0, "scale": scale, "rate": rate}
    weights = framed_weights(scores, *tensors, dropout_key, fuse=fuse, **settings)
    context = heads_first(ops.matmul(ops.squeeze(weights, 2), value))
    if not return_scores:
        return context
    return context, ops.squeeze(framed_weights(wide(scores), *tensors, None, fuse=False, **settings), 2)


def _query_ids(sequence_ids, positions):
    """Returns the texts' numbers of the queries, (B, 1, Q), or None."""
    if sequence_ids is None:
        return None
    ids = sequence_ids if positions is None else ops.take_along_axis(sequence_ids, positions, axis=1)
    return ops.expand_dims(ids, 1)


def visible_ids(sequence_ids, input_mask):
    """Returns the numbers of the keys' texts, (B, S): -1, which is no query's, where the mask is 0."""
    return ops.where(ops.cast(input_mask, "bool"), sequence_ids, -1)


def block_and_halo(length, window):
    """Returns how many queries a block has, and how many keys its frame has on each side of it.

    A text that is not worth blocking is one block. Ints, or int tensors where the length is one.
    """
    if isinstance(length, int):
        return reach.block_and_halo(length, window)
    worth = reach.worth_blocking(length, window)
    return ops.where(worth, max(window, reach.SMALLEST_BLOCK), length), ops.where(worth, window, 0)


def framed_attention(
    query,
    key,
    value,
    visible,
    *,
    block,
    halo,
    window,
    extra=None,
    bonus=0.0,
    sequence_ids=None,
    scale,
    rate,
    dropout_key,
    fuse,
):
    """Lets each block of queries attend to its frame and to extra keys.

    Args:
        query, key, value: float (B, A, S, D).
        visible: int (B, 1, S), 0 for keys that are not seen, 1 for others, 2 for those whose score gets a bonus.
        block: b, tokens in a block.
        halo: tokens of the frame on each side of its block, at most b.
        window: tokens seen on each side; None for the whole frame.
        extra: (key and value, float (B, A, n or 1, E, D), visible, int (B, A or 1, n or 1, E)), keys that every query
            sees, or every query of a block.
        bonus: what the score of a key gets whose `visible` is 2.
        sequence_ids: see `local_attention`; not together with `extra`.
        scale, rate, dropout_key, fuse: see `local_attention`.

    Returns:
        (B, A, S, D) of the value's dtype.
    """
    batch, num_heads, length, size = ops.shape(query)
    blocks = count_blocks(length, block)
    frame = block + 2 * halo
    extra_key, extra_value, extra_visible = extra or (None, None, None)
    extras = 0 if extra is None else ops.shape(extra_key)[3]

    def frames(x, extra):  # (B, A, S, D) -> (B, A, n, K + E, D)
        if extra is not None:
            extra = ops.broadcast_to(extra, (batch, num_heads, blocks, extras, size))
            extra = ops.reshape(extra, (batch * num_heads, blocks, extras, size))
        x = neighbours(ops.reshape(x, (batch * num_heads, length, size)), extra, block=block, halo=halo)
        return ops.reshape(x, (batch, num_heads, blocks, frame + extras, size))

    def small_frames(x):  # int (B, S) -> (B, n, K)
        return ops.squeeze(_frames(ops.expand_dims(x, 2), None, block, halo), 3)

    scores = ops.matmul(in_blocks(query, block), ops.swapaxes(frames(key, extra_key), -1, -2))
    key_ids = None
    if sequence_ids is not None:
        key_ids = small_frames(visible_ids(sequence_ids, ops.squeeze(visible, 1)))
        sequence_ids = ops.squeeze(in_blocks(ops.expand_dims(sequence_ids, 2), block), 3)
    visible = ops.expand_dims(small_frames(ops.squeeze(visible, 1)), 1)  # (B, 1, n, K)
    if extra is not None:
        heads = ops.shape(extra_visible)[1]
        visible = ops.broadcast_to(visible, (batch, heads, blocks, frame))
        extra_visible = ops.broadcast_to(ops.cast(extra_visible, visible.dtype), (batch, heads, blocks, extras))
        visible = ops.concatenate([visible, extra_visible], axis=-1)
    settings = {"window": window, "extra": 0 if window is None else extras, "bonus": bonus}
    settings |= {"scale": scale, "rate": rate}
    weights = framed_weights(scores, visible, None, None, sequence_ids, key_ids, dropout_key, fuse=fuse, **settings)
    context = ops.matmul(weights, frames(value, extra_value))  # (B, A, n, b, D)
    return first_tokens(ops.reshape(context, (batch, num_heads, blocks * block, size)), length)


@fusible
def framed_weights(scores, visible, places, always, query_ids, key_ids, key, *, window, extra, bonus, scale, rate):
    """Scales scores, masks them, and takes their softmax and its dropout, in float32.

    Args:
        scores: (B, A, n, b, K + E), products of each block's queries with its frame's keys and with extra keys.
        visible: int (B, A or 1, n, K + E), 0 for keys that are not seen, 1 for others, 2 for those with a bonus.
        places: int (B, n, b), where in its frame each query is; None if in its middle, in order.
        always: int (B, n, K), 1 for keys that are seen from everywhere, or None.
        query_ids: int (B, n, b), each query's text, or None.
        key_ids: int (B, n, K), each key's, or None.
        key: see `drop`.
        window: how far a query sees in its frame; None for all of it.
        extra: E, if there is a window.
        bonus: what the scores of keys get whose `visible` is 2.
        scale: factor of the scores.
        rate: of the dropout.

    Returns:
        (B, A, n, b, K + E) of the scores' dtype.
    """
    scores, dtype = wide(scores) * scale, scores.dtype
    visible = ops.expand_dims(visible, 3)  # (B, A or 1, n, 1, K + E)
    seen = visible > 0
    if window is not None:
        near = within(window, *ops.shape(scores)[-2:], places, extra)  # (b, K + E) or (B, n, b, K)
        if always is not None:
            near = ops.logical_or(near, ops.expand_dims(always, 2) > 0)
        seen = ops.logical_and(seen, near if len(near.shape) == 2 else ops.expand_dims(near, 1))
    if query_ids is not None:
        same = ops.equal(ops.expand_dims(query_ids, 3), ops.expand_dims(key_ids, 2))  # (B, n, b, K)
        seen = ops.logical_and(seen, ops.expand_dims(same, 1))
    # Not a logarithm of how often a key counts: XLA would compute it anew for each query.
    bias = ops.where(seen, ops.cast(visible > 1, scores.dtype) * bonus if bonus else 0.0, UNSEEN)
    scores += ops.cast(bias, scores.dtype)
    return ops.cast(drop(ops.softmax(scores, axis=-1), key, rate), dtype)


def within(window, rows, columns, places, extra):
    """Says which of a frame's keys the queries of its block see: bool (b, K + E), or (B, n, b, K) by their places."""
    frame = columns - extra
    column = ops.arange(columns, dtype="int32")
    if places is None:
        places = ops.arange(rows, dtype="int32") + (frame - rows) // 2
    seen = ops.abs(ops.expand_dims(ops.cast(places, "int32"), -1) - column) <= window
    return ops.logical_or(seen, column >= frame) if extra else seen


def heads_first(x):
    """Returns (B, A, S, D) of (B, S, A, D), and the other way round."""
    return ops.transpose(x, (0, 2, 1, 3))


def count_blocks(length, block):
    """Returns n, of ints or int tensors; without negative numbers, whose quotients ONNX rounds the other way."""
    return (length + block - 1) // block


def in_blocks(x, block):
    """Cuts (..., S, D) into (..., n, b, D), the last block filled up with zeros."""
    *batch, length, size = ops.shape(x)
    blocks = count_blocks(length, block)
    return ops.reshape(filled(x, blocks * block - length), (*batch, blocks, block, size))


def first_tokens(x, length):
    """Returns the first tokens of (..., S, D), without a copy if those are all."""
    return x if isinstance(length, int) and x.shape[-2] == length else x[..., :length, :]


def filled(x, count, before=0):
    """Returns (..., S, D) with zeros for further tokens at the end, and before the first."""
    *batch, _, size = ops.shape(x)
    parts = [x]
    if not (isinstance(count, int) and count == 0):
        parts = [*parts, ops.zeros((*batch, count, size), x.dtype)]
    if not (isinstance(before, int) and before == 0):
        parts = [ops.zeros((*batch, before, size), x.dtype), *parts]
    return ops.concatenate(parts, axis=-2) if len(parts) > 1 else x


def neighbours(x, extra, *, block, halo):
    """Gives each block its frame, with a gradient that adds the frames up again.

    Left to itself, TensorFlow makes a padded tensor of the whole size for each slice's gradient.

    Args:
        x: float (N, S, D).
        extra: float (N, n, E, D), what follows each frame, or None.
        block: b.
        halo: at most b.

    Returns:
        (N, n, K + E, D) with K = halo + b + halo; zeros before the first token and after the last.
    """

    def frames(x, *extra):
        count, length, size = ops.shape(x)
        blocks = count_blocks(length, block)

        def gradients(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream

            def part(begin, width):  # (N, n * b, D): what a part of each frame gave, at the place of its block
                piece = filled(upstream[:, :, begin : begin + width], block - width)
                return ops.reshape(piece, (count, blocks * block, size))

            total = part(halo, block)
            if not (isinstance(halo, int) and halo == 0):
                left, right = part(0, halo)[:, halo:], part(halo + block, halo)[:, : (blocks - 1) * block]
                total = total + filled(left, halo) + filled(right, 0, before=block)
            return (first_tokens(total, length), *(upstream[:, :, block + 2 * halo :] for _ in extra))

        return _frames(x, extra[0] if extra else None, block, halo), gradients

    framed = ops.custom_gradient(frames)
    return framed(x) if extra is None else framed(x, extra)


def _frames(x, extra, block, halo):
    count, length, size = ops.shape(x)
    blocks = count_blocks(length, block)
    if isinstance(halo, int) and halo == 0:
        parts = [in_blocks(x, block)]
    else:
        x = filled(x, blocks * block - length + block, before=halo)

        def part(begin, width):  # of each frame: from `begin` on, so many tokens
            return ops.reshape(x[:, begin : begin + blocks * block], (count, blocks, block, size))[:, :, :width]

        parts = [part(0, halo), part(halo, block), part(halo + block, halo)]
    parts = parts if extra is None else [*parts, extra]
    return ops.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]
