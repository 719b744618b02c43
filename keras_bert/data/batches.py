"""tf.data input for fine-tuning, evaluation and prediction: padded batches from rows of ids in memory.

Examples of like length share a batch, so that little of it is padding: each pass shuffles all of them, sorts pools of
some batches by length, cuts them into batches and shuffles these (as Hugging Face's `group_by_length` does).

Legend: B batch, C choices, S sequence, N examples, R rows (N, or N * C).
"""

from keras_bert.data.packed_batches import packed_batches
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

POOL_BATCHES = 50  # sorted together: like lengths in a batch, while who shares one still changes from pass to pass


def padded_batches(
    rows,
    labels=None,
    *,
    batch_size,
    max_seq_length,
    pad_id=0,
    num_choices=None,
    sample_weights=None,
    shuffle=None,
    seed=0,
    by_length=None,
    pad_to_multiple=8,
    drop_remainder=False,
    pack=False,
    max_texts_per_row=None,
    labels_are_places=False,
):
    """Makes batches of rows of ids.

    Args:
        rows: {"input_ids": list of R int sequences, "segment_ids": list of R, each as long as its ids}.
        labels: None, which gives x alone; an array (N, ...); a dict of arrays (N, ...) by output; or a list of N int
            sequences, a label a token, which are padded with -100 as the losses ignore it.
        batch_size: B.
        max_seq_length: no row may be longer.
        pad_id: the id of padding.
        num_choices: C; then C rows that follow one another are one example, and x is (B, C, S).
        sample_weights: float (N, ...), what each example, or each of its labels, counts in the loss; or None.
        shuffle: a new order each pass, which depends on `seed` and the pass alone. None shuffles where there are
            labels: predictions keep the order.
        seed: int.
        by_length: makes batches of like length. None does so where it shuffles and batches differ in length.
        pad_to_multiple: S is the longest of the batch, rounded up to a multiple of this, and at most
            max_seq_length; with max_seq_length itself all batches have one shape, as TPUs want it.
        drop_remainder: leave out a last, smaller batch.
        pack: put several rows into one of max_seq_length, see `packed_batches`.
        max_texts_per_row: with `pack`, the most texts a row; None takes the fewest with which hardly any room is lost.
        labels_are_places: whether labels count places in their row, as those of spans do, which packing moves.

    Returns:
        A tf.data.Dataset that knows its length, of x, (x, y) or (x, y, weights): x is {"input_ids", "input_mask",
        "segment_ids": int32 (B, S)}, y has the labels' structure. With `pack` it is that of `packed_batches`.

    Raises:
        UserError: no rows, rows, labels and weights that do not fit one another, a row that is too long, or a number
            out of range.

    Example:
        >>> rows = {"input_ids": [[2, 7, 3], [2, 3]], "segment_ids": [[0, 0, 0], [0, 0]]}
        >>> dataset = padded_batches(rows, batch_size=2, max_seq_length=4)
        >>> x = next(dataset.as_numpy_iterator())
        >>> x["input_ids"].tolist(), x["input_mask"].tolist()
        ([[2, 7, 3, 0], [2, 3, 0, 0]], [[1, 1, 1, 0], [1, 1, 0, 0]])
    """
    import tensorflow as tf

    shuffle = labels is not None if shuffle is None else shuffle
    if by_length and not shuffle:
        raise UserError("by_length makes an order of its own, which shuffle=False rules out; leave one of them out.")
    if pack:
        if by_length or num_choices is not None:
            what = "by_length" if by_length else "num_choices"
            raise UserError(
                f"pack=True fills rows with texts of any example, so that {what} cannot be had; leave it out."
            )
        return packed_batches(
            rows,
            labels,
            batch_size=batch_size,
            max_seq_length=max_seq_length,
            pad_id=pad_id,
            sample_weights=sample_weights,
            shuffle=shuffle,
            seed=seed,
            drop_remainder=drop_remainder,
            max_texts_per_row=max_texts_per_row,
            labels_are_places=labels_are_places,
        )
    if max_texts_per_row is not None:
        raise UserError("max_texts_per_row is about packed rows; add pack=True, or leave it out.")
    if by_length is None:
        by_length = shuffle and pad_to_multiple < max_seq_length
    lengths = check_rows(rows, max_seq_length, num_choices, batch_size, pad_to_multiple)  # (R,)
    longest = lengths.reshape(-1, num_choices or 1).max(axis=1)  # (N,)
    check_counts(labels, sample_weights, len(longest), batch_size if drop_remainder else 1)
    sizes = {"batch_size": batch_size, "drop_remainder": drop_remainder}
    if shuffle:
        numbers = _shuffled_numbers(len(longest), longest if by_length else None, seed=seed, **sizes)
    else:
        numbers = tf.data.Dataset.range(len(longest)).batch(**sizes)
    pad = _padder(rows, lengths, num_choices, pad_id, max_seq_length, pad_to_multiple)
    take = _taker(labels)
    weights = None if sample_weights is None else tf.constant(sample_weights, tf.float32)

    def gather(chosen):
        x = pad(chosen)
        if labels is None:
            return x
        y = take(chosen, x["input_ids"].shape[-1] or tf.shape(x["input_ids"])[-1])
        return (x, y) if weights is None else (x, y, tf.gather(weights, chosen))

    return numbers.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _padder(rows, lengths, num_choices, pad_id, max_seq_length, multiple):
    """Returns a function from examples' numbers, int64 (B,), to x, int32 (B, S) or (B, C, S)."""
    import tensorflow as tf

    ids, segments = (ragged(rows[name]) for name in ("input_ids", "segment_ids"))
    lengths = tf.constant(lengths)
    one_length = max_seq_length if multiple >= max_seq_length else None

    def pad(chosen):
        if num_choices is None:
            picked, shape = chosen, (chosen.shape[0], one_length)
        else:
            picked = tf.reshape(chosen[:, None] * num_choices + tf.range(num_choices, dtype=tf.int64), [-1])
            shape = (chosen.shape[0], num_choices, one_length)
        row_lengths = tf.gather(lengths, picked)
        length = one_length or tf.minimum(-(-tf.reduce_max(row_lengths) // multiple) * multiple, max_seq_length)
        x = {
            "input_ids": _dense(ids, picked, length, pad_id),
            "input_mask": tf.sequence_mask(row_lengths, length, tf.int32),
            "segment_ids": _dense(segments, picked, length, 0),
        }
        if num_choices is not None:
            x = {name: tf.reshape(values, (-1, num_choices, length)) for name, values in x.items()}
        return {name: tf.ensure_shape(values, shape) for name, values in x.items()}

    return pad


def _taker(labels):
    """Returns a function from examples' numbers, int64 (B,), and S to their labels."""
    import tensorflow as tf

    if isinstance(labels, list) and labels and hasattr(labels[0], "__len__"):
        by_token = ragged(labels)
        return lambda chosen, length: _dense(by_token, chosen, length, IGNORED_LABEL)
    if isinstance(labels, dict):
        arrays = {name: label_tensor(array) for name, array in labels.items()}
        return lambda chosen, _: {name: tf.gather(array, chosen) for name, array in arrays.items()}
    array = None if labels is None else label_tensor(labels)
    return lambda chosen, _: tf.gather(array, chosen)


def _dense(sequences, chosen, length, value):
    """Returns the chosen rows, int32 (B, S), filled up with `value`."""
    import tensorflow as tf

    rows = tf.gather(sequences, chosen).to_tensor(value, shape=tf.stack([-1, length]))
    return tf.ensure_shape(rows, (chosen.shape[0], length if isinstance(length, int) else None))


def _shuffled_numbers(count, lengths, *, batch_size, seed, drop_remainder):
    """Returns a dataset of the examples' numbers, int64 (B,), in another order each pass.

    Args:
        count: N.
        lengths: int (N,), to make batches of like length; or None.
        batch_size, seed, drop_remainder: see `padded_batches`.
    """
    import tensorflow as tf

    whole = count // batch_size  # batches; what is left over makes the last one, of any lengths
    batches = whole + (not drop_remainder and count % batch_size > 0)
    longest, lengths = (0, None) if lengths is None else (int(lengths.max()), tf.constant(lengths))

    def one_pass(number):
        order, places = random_order(count, seed, 2 * number), tf.range(batches)
        if lengths is not None:
            full, rest = order[: whole * batch_size], order[whole * batch_size :]
            pools = tf.range(whole * batch_size, dtype=tf.int64) // (POOL_BATCHES * batch_size)
            keys = pools * (longest + 1) + tf.gather(lengths, full)
            order = tf.concat([tf.gather(full, tf.argsort(keys, stable=True)), rest], 0)
            places = tf.concat([random_order(whole, seed, 2 * number + 1), tf.range(whole, batches)], 0)
        order = tf.cast(order, tf.int64)

        def batch(place):
            chosen = order[place * batch_size : (place + 1) * batch_size]
            return tf.ensure_shape(chosen, (batch_size if drop_remainder else None,))

        return tf.data.Dataset.from_tensor_slices(places).map(batch)

    return each_pass(one_pass, batches)
