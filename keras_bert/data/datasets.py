"""tf.data input: pre-training batches from TFRecords, and fine-tuning batches from strings in memory.

Legend: B batch, S sequence, P predictions.
"""

import numpy as np

from keras_bert.data.checking import check_ids, common_layout, record_files, require_one_batch
from keras_bert.data.records import FEATURES, feature_spec
from keras_bert.errors import UserError

SHUFFLE_BUFFER = 10_000  # records; the data tool has shuffled them once already
PARALLEL_FILES = 4


def pretraining_dataset(
    file_pattern,
    *,
    batch_size,
    shuffle=True,
    seed=0,
    repeat=True,
    drop_remainder=True,
    max_seq_length=None,
    max_predictions=None,
    vocab_size=None,
):
    """Reads pre-training TFRecords, ours, google-research/bert's or tensorflow/models'.

    Args:
        file_pattern: path or glob, a list of them, or one string with commas between them.
        batch_size: B.
        shuffle: files and records in an order of their own each time round; False keeps the order.
        seed: int; with the same seed and files the batches are the same, in the same order.
        repeat: go on for ever.
        drop_remainder: leave out a last, smaller batch.
        max_seq_length, max_predictions: S and P to insist on; None takes the files'.
        vocab_size: V of the model to train; refuses records that were made with a larger vocabulary.

    Returns:
        A tf.data.Dataset of (x, y, sample_weight):

        x: {"input_ids", "input_mask", "segment_ids": int32 (B, S), "masked_lm_positions": int32 (B, P)}.
        y: {"masked_lm": int32 (B, P), "next_sentence": int32 (B,)}.
        sample_weight: {"masked_lm": float32 (B, P), 0 on padding slots; "next_sentence": float32 (B,), ones}.

    Raises:
        UserError: no files, an empty or damaged one, records of other lengths or of another vocabulary, fewer
            records than a batch.
    """
    import tensorflow as tf

    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1. Received: {batch_size}.")
    files = record_files(file_pattern)
    layout = common_layout(files, max_seq_length, max_predictions)
    if vocab_size is not None:
        for path in files:
            check_ids(path, layout, vocab_size)
    if drop_remainder:
        require_one_batch(files, batch_size)

    dataset = tf.data.Dataset.from_tensor_slices([str(path) for path in files])
    if shuffle:
        dataset = dataset.shuffle(len(files), seed=seed, reshuffle_each_iteration=True)
    if repeat:
        dataset = dataset.repeat()
    # Parallel and yet in a fixed order: the files take turns, whichever is read first.
    dataset = dataset.interleave(
        lambda path: tf.data.TFRecordDataset(path, buffer_size=1 << 20),
        cycle_length=min(PARALLEL_FILES, len(files)),
        block_length=16,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    if shuffle:
        dataset = dataset.shuffle(SHUFFLE_BUFFER, seed=seed + 1, reshuffle_each_iteration=True)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    dataset = dataset.map(_parser(layout), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _parser(layout):
    """Returns the function from serialised records (B,) to (x, y, sample_weight)."""
    import tensorflow as tf

    spec = feature_spec(layout)

    def parse(records):
        stored = tf.io.parse_example(records, spec)
        features = {name: stored[layout.names[name]] for name in FEATURES}
        features = {n: tf.cast(v, tf.int32) if v.dtype == tf.int64 else v for n, v in features.items()}
        next_sentence = features["next_sentence_labels"][:, 0]
        inputs = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")
        return (
            {name: features[name] for name in inputs},
            {"masked_lm": features["masked_lm_ids"], "next_sentence": next_sentence},
            {"masked_lm": features["masked_lm_weights"], "next_sentence": tf.ones_like(next_sentence, tf.float32)},
        )

    return parse


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
