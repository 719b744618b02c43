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


def place_products(x, rows):
    """Returns the products of tokens with the vectors of all distances.

    Args:
        x: (B, S, A, D), queries or keys.
        rows: (R, A, D), the projected table.

    Returns:
        (B, A, S, R) of x's dtype.
    """
    x = ops.transpose(x, (0, 2, 1, 3))
    return ops.matmul(x, ops.expand_dims(ops.transpose(rows, (1, 2, 0)), 0))


def skewed(products, *, ascending=False):
    """Moves each row on by one more place than the next: from distances to keys, without a gather.

    Args:
        products: (..., S, R); element (i, t) is that of query i and distance S - 1 - t.
        ascending: whether it is that of key i and distance t - S, from a query.

    Returns:
        (..., S, S); element (i, j) is that of query i and key j, or with `ascending` of key i and query j.
    """
    *batch, length, rows = ops.shape(products)
    unmoved, first = [[0, 0]] * len(batch), length if ascending else length - 1

    @ops.custom_gradient
    def skew(products):
        flat = ops.reshape(products, (*batch, length * rows))[..., first : first + length * (rows - 1)]
        return ops.reshape(flat, (*batch, length, rows - 1))[..., :length], gradients

    def gradients(upstream):  # TensorFlow's own, of slices along the last axis, takes three times as long
        padded = ops.pad(upstream, [*unmoved, [0, 0], [0, rows - 1 - length]])  # (..., S, R - 1)
        flat = ops.reshape(padded, (*batch, length * (rows - 1)))
        return ops.reshape(ops.pad(flat, [*unmoved, [first, length - first]]), (*batch, length, rows))

    return skew(products)


def content_to_position(query, rows, positions=None):
    """Scores each query against the relative places of all keys.

    Args:
        query: (B, Q, A, D).
        rows: (2 * S, A, D), keys made of the table's rows in the order of `relative_rows`.
        positions: int (B, P), where the queries are; None if they are all S tokens.

    Returns:
        (B, A, Q, S), not yet scaled.
    """
    products = place_products(query, rows)  # (B, A, Q, R)
    if positions is None:
        return skewed(products)
    index = ops.expand_dims(_places(positions, ops.shape(rows)[0] // 2), 1)  # (B, 1, P, S)
    shape = (*ops.shape(products)[:3], ops.shape(index)[-1])
    return ops.take_along_axis(products, ops.broadcast_to(index, shape), axis=-1)


def position_to_content(key, rows, positions=None):
    """Scores the relative place of each query against all keys.

    Args:
        key: (B, S, A, D).
        rows: (2 * S, A, D), queries made of the table's rows in the order of `relative_rows`.
        positions: int (B, P), where the queries are; None if they are all S tokens.

    Returns:
        (B, A, Q, S), not yet scaled.
    """
    if positions is None:  # seen from the keys distances run the other way
        return ops.swapaxes(skewed(place_products(key, ops.flip(rows, axis=0)), ascending=True), -1, -2)
    products = place_products(key, rows)  # (B, A, S, R)
    index = ops.expand_dims(ops.swapaxes(_places(positions, ops.shape(key)[1]), -1, -2), 1)  # (B, 1, S, P)
    shape = (*ops.shape(products)[:3], ops.shape(index)[-1])
    return ops.swapaxes(ops.take_along_axis(products, ops.broadcast_to(index, shape), axis=-1), -1, -2)


def _places(positions, length):
    """Returns int32 (B, P, S): which of the 2 * S rows is that of a position and each key."""
    keys = ops.arange(length, dtype="int32")
    return (length - 1) - ops.expand_dims(ops.cast(positions, "int32"), -1) + keys


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
    seen = ops.expand_dims(ops.not_equal(input_mask, 0), 1) & ops.expand_dims(ops.not_equal(query_mask, 0), 2)
    if sequence_ids is not None:
        seen = seen & ops.equal(ops.expand_dims(query_ids, 2), ops.expand_dims(sequence_ids, 1))  # (B, Q, S)
    scores = ops.where(ops.expand_dims(seen, 1), scores * scale, UNSEEN)
    return ops.cast(drop(ops.softmax(scores, axis=-1), key, rate), content.dtype)
