"""tf.data input for fine-tuning and embedding: batches of packed rows, several texts in each, from ids in memory.

Which lengths share a row is decided once, over all texts, so that each pass has as many rows. Each pass deals the texts
of a length anew to the places of that length, and shuffles the rows.

Legend: B batch, S sequence, N texts of a row, T texts, K texts of a batch, R rows.
"""

import numpy as np

from keras_bert.data.packing import choose_most, pack, pack_in_order
from keras_bert.data.row_tensors import (
    IGNORED_LABEL,
    check_counts,
    check_rows,
    each_pass,
    label_tensor,
    ragged,
    random_order,
)
from keras_bert.errors import UserError


def packed_batches(
    rows,
    labels=None,
    *,
    batch_size,
    max_seq_length,
    pad_id=0,
    sample_weights=None,
    shuffle=None,
    seed=0,
    drop_remainder=False,
    max_texts_per_row=None,
    labels_are_places=False,
):
    """Makes batches of packed rows, each of several texts. No text is cut, and none is left out.

    Args:
        rows: {"input_ids": list of T int sequences, "segment_ids": list of T, each as long as its ids}.
        labels: None, which gives x alone; an array (T, ...); a dict of arrays (T, ...) by output; or a list of T int
            sequences, a label a token.
        batch_size: B, rows.
        max_seq_length: S of all batches.
        pad_id: the id of padding.
        sample_weights: float (T,), what each text counts in the loss; or None.
        shuffle: a new order each pass, which depends on `seed` and the pass alone. None shuffles where there are
            labels. Without, the texts keep their order, row after row, which fills them less.
        seed: int.
        drop_remainder: leave out a last, smaller batch.
        max_texts_per_row: N; None takes the fewest with which hardly any room is lost.
        labels_are_places: whether labels count places in their text from 0; they then count them in the row.

    Returns:
        A tf.data.Dataset that knows its length, of x, (x, y) or (x, y, weights):

        x: {"input_ids", "input_mask", "segment_ids", "sequence_ids": int32 (B, S), "sequence_starts": int32 (B, N)}.
            sequence_ids is the number of the text in its row, from 1, 0 for padding; sequence_starts is where each
            text begins, 0 past them.
        y: labels (B, N, ...), 0 past a row's texts; of tokens int32 (B, S), -100 for padding.
        weights: float32 (B, N), 0 past a row's texts; by output where labels are; of tokens (B, S), and only with
            sample_weights.

    Raises:
        UserError: see `padded_batches`.

    Example:
        >>> rows = {"input_ids": [[2, 7, 3], [2, 3]], "segment_ids": [[0, 0, 0], [0, 0]]}
        >>> x, y, weights = next(packed_batches(rows, [1, 1], batch_size=1, max_seq_length=6).as_numpy_iterator())
        >>> [x[name].tolist() for name in ("input_ids", "sequence_ids", "sequence_starts")], y.tolist()
        ([[[2, 7, 3, 2, 3, 0]], [[1, 1, 1, 2, 2, 0]], [[0, 3]]], [[1, 1]])
    """
    import tensorflow as tf

    if max_texts_per_row is not None and max_texts_per_row < 1:
        raise UserError(f"max_texts_per_row must be at least 1. Received: {max_texts_per_row}.")
    shuffle = labels is not None if shuffle is None else shuffle
    lengths = check_rows(rows, max_seq_length, None, batch_size)  # (T,)
    check_counts(labels, sample_weights, len(lengths), 1)
    most = choose_most(lengths, max_seq_length) if max_texts_per_row is None else max_texts_per_row
    packing = (pack if shuffle else pack_in_order)(lengths, max_seq_length, most=most)
    if drop_remainder and len(packing) < batch_size:
        raise UserError(
            f"{len(lengths)} texts make {len(packing)} packed rows, which do not fill a batch of {batch_size}; take a "
            "smaller batch_size."
        )
    chosen = _texts(packing, lengths, most, shuffle=shuffle, seed=seed, batch_size=batch_size, drop=drop_remainder)
    lay_out = _layout(rows, pad_id)
    take = None if labels is None else _taker(labels, sample_weights, labels_are_places)

    lengths = tf.constant(lengths)

    def gather(texts):
        batch = Batch(texts, tf.gather(lengths, tf.maximum(texts, 0)), max_seq_length)
        x = lay_out(batch)
        return x if take is None else (x, *take(batch))

    return chosen.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _texts(packing, lengths, most, *, shuffle, seed, batch_size, drop):
    """Returns a dataset of the texts' numbers in their rows, int64 (B, N), -1 past them, in another order each pass."""
    import tensorflow as tf

    count, rows = len(lengths), len(packing)
    table = tf.constant(packing.table(most))  # (R, N), places in the packing's order
    by_length = np.argsort(lengths[packing.order], kind="stable")  # (T,), places
    rank = tf.constant(np.argsort(by_length))  # of each place, among all by length
    in_order, lengths = tf.constant(packing.order), tf.constant(lengths)
    batches = rows // batch_size if drop else -(-rows // batch_size)

    def one_pass(number):
        if shuffle:
            texts = tf.cast(random_order(count, seed, 2 * number), tf.int64)
            texts = tf.gather(texts, tf.argsort(tf.gather(lengths, texts), stable=True))  # of a length in random order
            texts, order = tf.gather(texts, rank), random_order(rows, seed, 2 * number + 1)
        else:
            texts, order = in_order, tf.range(rows)

        def batch(first):
            places = tf.gather(table, order[first : first + batch_size])
            numbers = tf.where(places < 0, places, tf.gather(texts, tf.maximum(places, 0)))
            return tf.ensure_shape(numbers, (batch_size if drop else None, most))

        return tf.data.Dataset.range(0, batches * batch_size, batch_size).map(batch)

    return each_pass(one_pass, batches)


class Batch:
    """Where the texts of a batch of rows lie.

    Args:
        texts: int64 (B, N), the texts' numbers, -1 past a row's texts.
        lengths: int64 (B, N), of the texts; past them anything.
        seq_length: S.
    """

    def __init__(self, texts, lengths, seq_length):
        import tensorflow as tf

        self.is_text = texts >= 0
        self.texts = tf.maximum(texts, 0)
        self.chosen = tf.boolean_mask(texts, self.is_text)  # (K,)
        self.lengths = tf.where(self.is_text, lengths, 0)
        self.row_lengths = tf.reduce_sum(self.lengths, axis=1)  # (B,)
        starts = tf.cumsum(self.lengths, axis=1, exclusive=True)
        self.starts = tf.where(self.is_text, starts, 0)  # (B, N)
        self._shape = (texts.shape[0], seq_length)

    def rows(self, flat, value):
        """Returns the values of the texts' tokens, (tokens,), as rows (B, S), filled up with `value`."""
        import tensorflow as tf

        rows = tf.RaggedTensor.from_row_lengths(flat, self.row_lengths, validate=False)
        return tf.ensure_shape(rows.to_tensor(value, shape=(None, self._shape[1])), self._shape)

    def by_token(self, of_text):
        """Returns what each text has, (B, N), for each of its tokens: (B, S), 0 for padding."""
        import tensorflow as tf

        flat = tf.repeat(tf.boolean_mask(of_text, self.is_text), tf.boolean_mask(self.lengths, self.is_text))
        return self.rows(flat, tf.zeros((), of_text.dtype))

    def by_text(self, values):
        """Returns what is known of all texts, (T, ...), for those of the batch: (B, N, ...), 0 past a row's texts."""
        import tensorflow as tf

        found = tf.gather(values, self.texts)
        is_text = tf.reshape(self.is_text, (*tf.unstack(tf.shape(self.is_text)), *[1] * (found.shape.rank - 2)))
        return tf.where(is_text, found, tf.zeros((), found.dtype))


def _layout(rows, pad_id):
    """Returns a function from a Batch to x."""
    import tensorflow as tf

    ids, segments = (ragged(rows[name]) for name in ("input_ids", "segment_ids"))

    def lay_out(batch):
        numbers = tf.cumsum(tf.cast(batch.is_text, tf.int32), axis=1)  # (B, N)
        sequence_ids = batch.by_token(numbers)
        return {
            "input_ids": batch.rows(tf.gather(ids, batch.chosen).values, pad_id),
            "input_mask": tf.cast(sequence_ids > 0, tf.int32),
            "segment_ids": batch.rows(tf.gather(segments, batch.chosen).values, 0),
            "sequence_ids": sequence_ids,
            "sequence_starts": tf.cast(batch.starts, tf.int32),
        }

    return lay_out


def _taker(labels, sample_weights, labels_are_places):
    """Returns a function from a Batch to its labels, and weights if there are any."""
    import tensorflow as tf

    given = None if sample_weights is None else tf.constant(sample_weights, tf.float32)

    def weights(batch):
        return tf.cast(batch.is_text, tf.float32) if given is None else batch.by_text(given)

    if isinstance(labels, list) and labels and hasattr(labels[0], "__len__"):
        by_token = ragged(labels)

        def of_tokens(batch):
            y = batch.rows(tf.gather(by_token, batch.chosen).values, IGNORED_LABEL)
            return (y,) if given is None else (y, batch.by_token(weights(batch)))

        return of_tokens

    several = isinstance(labels, dict)
    tensors = {name: label_tensor(array) for name, array in (labels if several else {"": labels}).items()}

    def of_texts(batch):
        y = {name: batch.by_text(tensor) for name, tensor in tensors.items()}
        if labels_are_places:
            y = {name: places + tf.cast(batch.starts, places.dtype) for name, places in y.items()}
        by_output = {name: weights(batch) for name in y}
        return (y, by_output) if several else (y[""], by_output[""])

    return of_texts
