"""Rows of ids in memory: checked, as ragged tensors, and in another order each pass.

Legend: C choices, N examples, R rows (N, or N * C).
"""

import itertools

import numpy as np

from keras_bert.errors import UserError

IGNORED_LABEL = -100  # of a token that has no label; as in PyTorch and Hugging Face's data


def check_rows(rows, max_seq_length, num_choices, batch_size, pad_to_multiple=1):
    """Returns the rows' lengths, int64 (R,), or raises a UserError."""
    for name, number in (("batch_size", batch_size), ("pad_to_multiple", pad_to_multiple)):
        if number < 1:
            raise UserError(f"{name} must be at least 1. Received: {number}.")
    lengths, segments = (np.array([len(row) for row in rows[name]]) for name in ("input_ids", "segment_ids"))
    if not lengths.size:
        raise UserError("There are no rows to make batches of; give at least one.")
    if not np.array_equal(lengths, segments):
        raise UserError(
            "Each row of segment_ids must be as long as its input_ids. "
            f"Received: {len(lengths)} rows of {lengths.sum()} ids and {len(segments)} of {segments.sum()} segments."
        )
    if lengths.max() > max_seq_length:
        raise UserError(
            f"Row {lengths.argmax()} has {lengths.max()} ids, but max_seq_length is {max_seq_length}; "
            "cut it, or raise max_seq_length."
        )
    if len(lengths) % (num_choices or 1):
        raise UserError(f"{len(lengths)} rows do not make examples of {num_choices} choices; give each all of them.")
    return lengths


def check_counts(labels, sample_weights, count, least):
    """Raises a UserError where labels or weights are not as many as the examples, or these fewer than a batch."""
    arrays = {f"labels of {name}": array for name, array in labels.items()} if isinstance(labels, dict) else {}
    arrays |= {} if labels is None or arrays else {"labels": labels}
    arrays |= {} if sample_weights is None else {"sample_weights": sample_weights}
    for name, array in arrays.items():
        if len(array) != count:
            raise UserError(f"{name} must be as many as the examples. Received: {len(array)} for {count} examples.")
    if labels is None and sample_weights is not None:
        raise UserError("sample_weights without labels weigh nothing; give labels, or leave them out.")
    if count < least:
        raise UserError(f"{count} examples do not fill a batch of {least}; take a smaller batch_size.")


def label_tensor(array):
    """Returns labels as a tensor, floats as float32."""
    import tensorflow as tf

    array = np.asarray(array)
    return tf.constant(array.astype(np.float32) if array.dtype.kind == "f" else array)


def ragged(sequences):
    """Returns a list of int sequences as an int32 tf.RaggedTensor (R, None)."""
    import tensorflow as tf

    values = np.concatenate([np.asarray(sequence, np.int32) for sequence in sequences])
    return tf.RaggedTensor.from_row_lengths(values, [len(sequence) for sequence in sequences], validate=False)


def random_order(size, *key):
    """Returns the numbers below `size` in an order that two ints or tensors decide, int32 (size,)."""
    import tensorflow as tf

    bits = tf.random.stateless_uniform([size], tf.stack(key), minval=None, maxval=None, dtype=tf.int64)
    return tf.argsort(bits)


def each_pass(one_pass, batches):
    """Returns a dataset that is another one each time it is iterated.

    Args:
        one_pass: function from the number of the pass, int64 (), to its dataset.
        batches: how many elements each has.
    """
    import tensorflow as tf

    passes = itertools.count()

    def next_pass(_):
        # Not from_generator, which sets the C library to give every larger freed block back to the system.
        number = tf.numpy_function(lambda: np.int64(next(passes)), [], tf.int64)
        return tf.ensure_shape(number, ())

    numbers = tf.data.Dataset.from_tensors(0).map(next_pass).flat_map(one_pass)
    return numbers.apply(tf.data.experimental.assert_cardinality(batches))
