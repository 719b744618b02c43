"""Scores between a token's content and another token's relative place (He et al. 2021, "DeBERTa", section 3.1).

B batch, S sequence, Q queries, P positions, A heads, D head size, R rows (2 * S), one for each distance i - j from a
query at i to a key at j: S - 1, S - 2, ..., -(S - 1), and -S, which is there for an even number. In this order row
S - 1 - i + j is that of i and j.
"""

import math

import numpy as np
from keras import ops

from keras_bert.layers.attention import UNSEEN
from keras_bert.layers.common import wide
from keras_bert.layers.dropout import drop
from keras_bert.layers.fusion import fusible

BLOCK_SIZE = 64  # tokens; half as many or twice as many take about as long


def relative_rows(length, *, buckets, max_distance):
    """Returns which rows of the table of relative embeddings are those of the distances S - 1, S - 2, ..., -S.

    Up to half the buckets each distance has a row of its own; the other half widens with the logarithm. That DeBERTa
    v1 cuts its table down to min(S, max_distance) changes nothing here: shorter sequences have no longer distances.

    Args:
        length: S, an int or a scalar tensor.
        buckets: rows of the table on each side, an even number; None or 0 for max_distance rows, one a distance.
        max_distance: the distance from which on all share a row.

    Returns:
        int32 (2 * S,): an array, or a tensor for a tensor.

    Example:
        >>> relative_rows(4, buckets=None, max_distance=2)
        array([3, 3, 3, 2, 1, 0, 0, 0], dtype=int32)
    """
    if isinstance(length, int):
        return _rows(np.arange(length - 1, -length - 1, -1), buckets, max_distance)
    reach = _reach(buckets, max_distance)
    distances = (length - 1) - ops.arange(2 * length, dtype="int32")
    table = ops.convert_to_tensor(_rows(np.arange(-reach, reach + 1), buckets, max_distance))
    return ops.take(table, ops.clip(distances, -reach, reach) + reach)


def _rows(distances, buckets, max_distance):
    """Returns int32 rows of the table for an array of distances, which are looked at in float64."""
    span = buckets or max_distance
    if buckets:
        middle = buckets // 2
        far = np.maximum(np.abs(distances), middle) / middle
        steps = np.ceil(np.log(far) / math.log((max_distance - 1) / middle) * (middle - 1))
        distances = np.where(np.abs(distances) <= middle, distances, np.sign(distances) * (middle + steps))
    return np.clip(distances + span, 0, 2 * span - 1).astype(np.int32)


def _reach(buckets, max_distance):
    """Returns a distance from which on every distance has the same row."""
    if not buckets:
        return max_distance
    middle = buckets // 2  # of an odd number of buckets the last one begins behind max_distance
    last = (buckets - middle) / max(middle - 1, 1)
    return max(max_distance, 1 + math.ceil(middle * ((max_distance - 1) / middle) ** last))


def content_to_position(query, rows, positions=None):
    """Scores each query against the relative places of all keys.

    Args:
        query: (B, Q, A, D).
        rows: (2 * S, A, D), keys made of the table's rows in the order of `relative_rows`.
        positions: int (B, P), where the queries are; None if they are all S tokens.

    Returns:
        (B, A, Q, S), not yet scaled.
    """
    query, rows = ops.transpose(query, (0, 2, 1, 3)), ops.transpose(rows, (1, 0, 2))
    if positions is None:
        return _to_places(query, rows)
    products = ops.matmul(query, ops.expand_dims(ops.swapaxes(rows, -1, -2), 0))  # (B, A, P, R)
    return _taken(products, ops.expand_dims(_rows_of(positions, ops.shape(rows)[1] // 2), 1))


def position_to_content(key, rows, positions=None):
    """Scores the relative place of each query against all keys.

    Args:
        key: (B, S, A, D).
        rows: (2 * S, A, D), queries made of the table's rows in the order of `relative_rows`.
        positions: int (B, P), where the queries are; None if they are all S tokens.

    Returns:
        (B, A, Q, S), not yet scaled.
    """
    key, rows = ops.transpose(key, (0, 2, 1, 3)), ops.transpose(rows, (1, 0, 2))
    if positions is None:  # seen from the keys distances run the other way
        return ops.swapaxes(_to_places(key, ops.flip(rows, axis=1), ascending=True), -1, -2)
    products = ops.matmul(key, ops.expand_dims(ops.swapaxes(rows, -1, -2), 0))  # (B, A, S, R)
    index = ops.swapaxes(_rows_of(positions, ops.shape(key)[2]), -1, -2)  # (B, S, P)
    return ops.swapaxes(_taken(products, ops.expand_dims(index, 1)), -1, -2)


def _to_places(x, rows, ascending=False):
    """Scores each token against its places as seen from all others.

    Of the products of all tokens with all rows half would be cut off. So the sequence is taken in blocks, each with
    the rows of its own distances alone, and what of these is not needed is cut off as `_skewed` says.

    Args:
        x: (B, A, S, D).
        rows: (A, 2 * S, D), of distances from S - 1 down to -S, or up from there with `ascending`.

    Returns:
        (B, A, S, S).
    """
    batch, heads, length, head_size = ops.shape(x)
    block = _block_size(length)
    count = length // block if isinstance(length, int) else 1
    width, first = length + block, block if ascending else block - 1
    starts = [length - block * number for number in range(1, count + 1)]  # of each block's rows

    def blocks(x):  # (B, A, S, ...) -> (B, A, blocks, block, ...)
        return ops.reshape(x, (batch, heads, count, block, ops.shape(x)[-1]))

    @ops.custom_gradient
    def scores(x, rows):
        own_rows = ops.stack([rows[:, start : start + width] for start in starts], axis=1)  # (A, blocks, width, D)
        own_rows = ops.expand_dims(own_rows, 0)

        def gradients(upstream):
            products = _unskewed(blocks(upstream), first, width)
            of_x = ops.reshape(ops.matmul(products, own_rows), (batch, heads, length, head_size))
            of_rows = ops.sum(ops.matmul(ops.swapaxes(products, -1, -2), blocks(x)), axis=0)
            padded = [
                ops.pad(of_rows[:, number], [[0, 0], [start, 2 * length - width - start], [0, 0]])
                for number, start in enumerate(starts)
            ]
            return of_x, sum(padded[1:], padded[0])

        products = ops.matmul(blocks(x), ops.swapaxes(own_rows, -1, -2))  # (B, A, blocks, block, width)
        return ops.reshape(_skewed(products, first, length), (batch, heads, length, length)), gradients

    return scores(x, rows)


def _block_size(length):
    """Returns how many tokens make up a block: a divisor of S near BLOCK_SIZE; S if it has none or is unknown."""
    if not isinstance(length, int):
        return length
    sizes = [size for size in range(BLOCK_SIZE // 2, 2 * BLOCK_SIZE + 1) if length % size == 0]
    return min(sizes, key=lambda size: abs(size - BLOCK_SIZE), default=length)


def _skewed(x, first, length):
    """Moves each row on by one more place than the next, without a gather: a cut, another width, and a cut.

    Args:
        x: (..., T, W).
        first: where the first row begins.
        length: S.

    Returns:
        (..., T, S); element (i, j) is (i, first - i + j) of x.
    """
    *batch, count, width = ops.shape(x)
    flat = ops.reshape(x, (*batch, count * width))[..., first : first + count * (width - 1)]
    return ops.reshape(flat, (*batch, count, width - 1))[..., :length]


def _unskewed(x, first, width):
    """Undoes `_skewed`, with zeros where it cut. TensorFlow's gradient of the cuts takes several times as long."""
    *batch, count, length = ops.shape(x)
    unmoved = [[0, 0]] * len(batch)
    flat = ops.reshape(ops.pad(x, [*unmoved, [0, 0], [0, width - 1 - length]]), (*batch, count * (width - 1)))
    return ops.reshape(ops.pad(flat, [*unmoved, [first, count - first]]), (*batch, count, width))


def _rows_of(positions, length):
    """Returns int32 (B, P, S): which of the 2 * S rows is that of a position and each key."""
    return (length - 1) - ops.expand_dims(ops.cast(positions, "int32"), -1) + ops.arange(length, dtype="int32")


def _taken(x, index):
    """Takes elements along the last axis of x (B, A, ...) by an index (B, 1, ...), the same for all heads."""
    shape = (*ops.shape(x)[:-1], ops.shape(index)[-1])
    return ops.take_along_axis(x, ops.broadcast_to(index, shape), axis=-1)


@fusible
def disentangled_weights(
    content, to_position, to_content, input_mask, query_mask, sequence_ids, query_ids, key, *, scale, rate
):
    """Adds the scores up, scales and masks them, and takes their softmax and its dropout, in float32.

    Args:
        content: (B, A, Q, S), products of queries and keys.
        to_position: (B, A, Q, S) of `content_to_position`, or None.
        to_content: (B, A, Q, S) of `position_to_content`, or None.
        input_mask: int (B, S).
        query_mask: int (B, Q), that of the queries: padding sees all tokens alike.
        sequence_ids: int (B, S), the number of each token's text in a packed row, or None.
        query_ids: int (B, Q), those of the queries; needed with sequence_ids.
        key: see `drop`.
        scale: factor of the sum.
        rate: of the dropout.

    Returns:
        (B, A, Q, S) of the scores' dtype.
    """
    scores = wide(content)
    for more in (to_position, to_content):
        scores = scores if more is None else scores + wide(more)
    asks = ops.expand_dims(ops.not_equal(query_mask, 0), 2)  # (B, Q, 1)
    seen = ops.expand_dims(ops.not_equal(input_mask, 0), 1) & asks
    if sequence_ids is not None:
        seen = seen & ops.equal(ops.expand_dims(query_ids, 2), ops.expand_dims(sequence_ids, 1))  # (B, Q, S)
    # Not ops.where on the scores, which takes longer. Scores of padding have no gradient, hence the factor of 0.
    factor = ops.expand_dims(ops.cast(asks, scores.dtype) * scale, 1)
    scores = scores * factor + ops.expand_dims(ops.where(seen, 0.0, UNSEEN), 1)
    return ops.cast(drop(ops.softmax(scores, axis=-1), key, rate), content.dtype)
