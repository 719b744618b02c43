"""tf.data input for fine-tuning, evaluation and prediction: batches from strings in memory.

Legend: B batch, S sequence, N texts.
"""

import numpy as np

from keras_bert.errors import UserError


def text_dataset(
    texts,
    labels,
    tokenizer,
    *,
    max_seq_length=128,
    batch_size=32,
    shuffle=None,
    seed=0,
    pairs=None,
    drop_remainder=False,
    pad_to_multiple=32,
):
    """Makes batches for fine-tuning, evaluation or prediction from strings. They are tokenised once, up front.

    Args:
        texts: list of str, or of (text, pair) tuples.
        labels: list or array of numbers, N in the first axis; None gives x alone.
        tokenizer: a keras_bert.text.tokenizer.Tokenizer.
        max_seq_length: longer texts are cut to it.
        batch_size: B.
        shuffle: a new order each time round. None shuffles where there are labels: predictions keep the order.
        seed: int; the same seed gives the same order.
        pairs: list of the second texts, instead of tuples.
        drop_remainder: leave out a last, smaller batch.
        pad_to_multiple: S is the longest of the batch, rounded up to a multiple of this, and at most
            max_seq_length; with max_seq_length itself all batches have one shape, as TPUs want it.

    Returns:
        A tf.data.Dataset of ({"input_ids", "input_mask", "segment_ids": int32 (B, S)}, labels (B, ...)):
        labels int32 or float32.

    Raises:
        UserError: no texts, other things than strings, or labels that do not fit them.

    Example:
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> dataset = text_dataset(["good", "bad"], [1, 0], tokenizer, batch_size=2, pad_to_multiple=4, shuffle=False)
        >>> x, y = next(dataset.as_numpy_iterator())
        >>> x["input_ids"].tolist(), y.tolist()
        ([[2, 5, 3, 0], [2, 6, 3, 0]], [1, 0])
    """
    import tensorflow as tf

    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1. Received: {batch_size}.")
    texts = _as_pairs(texts, pairs)
    labels = None if labels is None else _as_labels(labels, len(texts))
    encoded = [tokenizer.encode(text, pair, max_seq_length) for text, pair in texts]
    lengths = np.array([e["input_mask"].sum() for e in encoded])
    segment_starts = tf.constant([n - e["segment_ids"].sum() for n, e in zip(lengths, encoded, strict=True)], tf.int32)
    rows = np.concatenate([e["input_ids"][:n] for n, e in zip(lengths, encoded, strict=True)])
    ids = tf.RaggedTensor.from_row_lengths(rows, lengths)
    if labels is not None:
        labels = tf.constant(labels)

    def gather(chosen):
        batch = tf.gather(ids, chosen)
        longest = tf.cast(tf.reduce_max(batch.row_lengths()), tf.int32)
        seq_length = tf.minimum(max_seq_length, -(-longest // pad_to_multiple) * pad_to_multiple)
        padded = batch.to_tensor(tokenizer.pad_id)
        padded = tf.pad(padded, [[0, 0], [0, seq_length - tf.shape(padded)[1]]], constant_values=tokenizer.pad_id)
        if pad_to_multiple >= max_seq_length:
            padded.set_shape((None, max_seq_length))
        mask = tf.sequence_mask(batch.row_lengths(), seq_length)
        second = tf.range(seq_length) >= tf.gather(segment_starts, chosen)[:, None]
        x = {
            "input_ids": padded,
            "input_mask": tf.ensure_shape(tf.cast(mask, tf.int32), padded.shape),
            "segment_ids": tf.ensure_shape(tf.cast(mask & second, tf.int32), padded.shape),
        }
        return x if labels is None else (x, tf.gather(labels, chosen))

    dataset = tf.data.Dataset.range(len(texts))
    if (labels is not None) if shuffle is None else shuffle:
        dataset = dataset.shuffle(len(texts), seed=seed, reshuffle_each_iteration=True)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    return dataset.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _as_pairs(texts, pairs):
    """Returns [(text, pair or None), ...] or raises a UserError that names the first entry that is none."""
    if isinstance(texts, (str, bytes)):
        raise UserError(f"texts must be a list of strings. Received one: {texts!r:.80}.")
    texts = list(texts)
    if pairs is not None:
        pairs = list(pairs)
        if len(pairs) != len(texts):
            raise UserError(f"pairs must be as many as texts. Received: {len(pairs)} and {len(texts)}.")
        texts = list(zip(texts, pairs, strict=True))
    if not texts:
        raise UserError("texts is empty; give at least one string.")
    entries = [tuple(entry) if isinstance(entry, (tuple, list)) else (entry, None) for entry in texts]
    for number, entry in enumerate(entries):
        if len(entry) != 2 or not isinstance(entry[0], str) or not isinstance(entry[1], str | None):
            shown = str(texts[number])[:80]
            raise UserError(f"texts must hold strings or (text, pair) tuples of strings. Entry {number} is {shown!r}.")
    return entries


def _as_labels(labels, count):
    """Returns labels as an int32 or float32 array of `count` rows, or raises a UserError."""
    try:
        labels = np.asarray(labels)
    except ValueError as error:
        raise UserError(f"labels must be an array of numbers ({error}).") from error
    if labels.dtype.kind not in "biuf":
        raise UserError(f"labels must be numbers, such as the class's index. Received: {labels.dtype} values.")
    if labels.ndim == 0 or len(labels) != count:
        raise UserError(f"labels must be as many as texts. Received: {labels.shape} for {count} texts.")
    return labels.astype(np.float32 if labels.dtype.kind == "f" else np.int32)
