"""Packed rows: what heads read of each text of a row that holds several.

B batch, S sequence, N texts of a row, H hidden.
"""

from keras import ops


def text_numbers(starts):
    """Returns int32 (B, N): 0, 1, 2 ..., for int (B, N) of any values.

    >>> ops.convert_to_numpy(text_numbers(ops.convert_to_tensor([[0, 7, 9]]))).tolist()
    [[0, 1, 2]]
    """
    return ops.cumsum(ops.ones_like(starts, dtype="int32"), axis=1) - 1


def is_text(sequence_ids, starts):
    """Returns bool (B, N): whether a row has as many texts, from int (B, S) and (B, N)."""
    return text_numbers(starts) < ops.cast(ops.max(sequence_ids, axis=1, keepdims=True), "int32")


def members(sequence_ids, starts):
    """Returns bool (B, N, S): whether a token belongs to a text.

    Args:
        sequence_ids: int (B, S), the number of each token's text, from 1; 0 for padding.
        starts: int (B, N).
    """
    numbers = ops.expand_dims(text_numbers(starts) + 1, 2)  # (B, N, 1)
    return ops.equal(ops.expand_dims(ops.cast(sequence_ids, "int32"), 1), numbers)


def text_means(hidden, sequence_ids, starts):
    """Returns float (B, N, H), the mean of each text's tokens, from float (B, S, H); 0 past a row's texts."""
    own = ops.cast(members(sequence_ids, starts), "float32")  # halves cannot count thousands
    total = ops.matmul(own, ops.cast(hidden, "float32"))
    return ops.cast(total / ops.maximum(ops.sum(own, axis=-1, keepdims=True), 1), hidden.dtype)


def text_logits(logits, sequence_ids, starts, *, masked):
    """Returns (B, N, S): each text's logits of its own tokens, and `masked` for all others, from (B, S)."""
    own = members(sequence_ids, starts)
    return ops.where(own, ops.expand_dims(logits, 1), ops.cast(masked, logits.dtype))
