"""tf.data input for pre-training: batches from TFRecords, masked already or masked as they are read.

Legend: B batch, S sequence, P predictions.
"""

import numpy as np

from keras_bert.data.checking import check_ids, common_layout, record_files, require_one_batch
from keras_bert.data.dynamic import dynamic_masking
from keras_bert.data.manifests import SENTENCE_TASKS, records_vocabulary, sentence_task
from keras_bert.data.records import compression_of, feature_spec
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
    vocabulary=None,
    masking=None,
    masked_lm_prob=None,
    remask=True,
):
    """Reads pre-training TFRecords, plain or gzip, ours, google-research/bert's or tensorflow/models'.

    Unmasked records (`create_pretraining_data --dynamic`) are masked as they are read, by the settings of the
    manifest and with the vocabulary that lie beside them unless these are given here.

    Args:
        file_pattern: path, glob or directory, a list of them, or one string with commas between them.
        batch_size: B.
        shuffle: files and records in an order of their own each time round; False keeps the order.
        seed: int; with the same seed and files the batches are the same, in the same order.
        repeat: go on for ever.
        drop_remainder: leave out a last, smaller batch.
        max_seq_length: S to insist on; None takes the files'.
        max_predictions: P to insist on, or of unmasked records P itself; None takes the files' or the manifest's.
        vocab_size: V of the model to train; refuses records that were made with a larger vocabulary.
        vocabulary: that of the model, as a Vocabulary, a Tokenizer or the path of a vocab.txt; refuses records
            that were made with another one. None takes the one beside unmasked records.
        masking: for unmasked records, "token", "whole_word" or "ngram"; None takes the manifest's.
        masked_lm_prob: for unmasked records, the share of the tokens to predict; None takes the manifest's.
        remask: draw fresh masks each time the dataset is iterated. False gives the same batches the same masks
            whenever it is iterated, which makes figures on held-out records comparable.

    Returns:
        A tf.data.Dataset of (x, y, sample_weight):

        x: {"input_ids", "input_mask", "segment_ids": int32 (B, S), "masked_lm_positions": int32 (B, P)}.
        y: {"masked_lm": int32 (B, P), "next_sentence": int32 (B,)}.
        sample_weight: {"masked_lm": float32 (B, P), 0 on padding slots; "next_sentence": float32 (B,), ones, or
            zeros where the manifest says that the records have no sentence task}.

    Raises:
        UserError: no files, an empty or damaged one, a set of shards that is not whole, records of other lengths or
            of another vocabulary, fewer records than a batch, or settings that do not go with the records.
    """
    import tensorflow as tf

    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1. Received: {batch_size}.")
    files = record_files(file_pattern)
    layout = common_layout(files, max_seq_length, max_predictions)
    sentence_weight = 0.0 if SENTENCE_TASKS[sentence_task(files)] is None else 1.0
    if layout.dynamic:
        masks = dynamic_masking(
            files,
            vocabulary=vocabulary,
            masking=masking,
            masked_lm_prob=masked_lm_prob,
            max_predictions=max_predictions,
        )
        vocabulary = masks.vocabulary
    else:
        masks = None
        _refuse_masking(files[0], masking=masking, masked_lm_prob=masked_lm_prob)
        vocabulary = None if vocabulary is None else records_vocabulary(files, vocabulary)
    _check_sizes(files, layout, vocab_size, vocabulary)
    if drop_remainder:
        require_one_batch(files, batch_size)

    paths = tf.data.Dataset.from_tensor_slices((list(map(str, files)), list(map(compression_of, files))))
    if shuffle:
        paths = paths.shuffle(len(files), seed=seed, reshuffle_each_iteration=True)
    if repeat:
        paths = paths.repeat()
    # Parallel and yet in a fixed order: the files take turns, whichever is read first.
    dataset = tf.data.Dataset.zip(paths, _visits(seed, remask=remask)).interleave(
        _read_numbered,
        cycle_length=min(PARALLEL_FILES, len(files)),
        block_length=16,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    if shuffle:
        dataset = dataset.shuffle(SHUFFLE_BUFFER, seed=seed + 1, reshuffle_each_iteration=True)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    parse = _parser(layout, masks, sentence_weight)
    return dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _refuse_masking(path, **settings):
    """Raises a UserError if anything is asked of the masking of records that are masked already."""
    asked = [f"{name}={value!r}" for name, value in settings.items() if value is not None]
    if asked:
        raise UserError(
            f"{path} holds records that are masked already, so {' and '.join(asked)} cannot be had from them; "
            "leave that out, or make unmasked records with create_pretraining_data --dynamic."
        )


def _check_sizes(files, layout, vocab_size, vocabulary):
    """Raises a UserError unless ids of the records <= those of the vocabulary <= those of the model, None being any."""
    if vocabulary is not None and vocab_size is not None and len(vocabulary) > vocab_size:
        raise UserError(
            f"The vocabulary of {files[0]} has {len(vocabulary)} tokens, but the model has {vocab_size}; "
            "take the vocab_size of the records' vocabulary, or make the records with the model's."
        )
    limit = vocab_size if vocabulary is None else len(vocabulary)
    for path in files if limit is not None else ():
        check_ids(path, layout, limit)


def _visits(seed, *, remask):
    """Returns a dataset without end: an int64 number for each time that a file is read."""
    import tensorflow as tf

    if remask:
        return tf.data.Dataset.random(seed=seed + 2, rerandomize_each_iteration=True)
    # Not from TensorFlow's generator, which depends on tf.random.set_seed as well: runs that differ in that compare.
    first = int(np.random.default_rng(abs(seed)).integers(1 << 30))
    return tf.data.Dataset.range(first, np.iinfo(np.int64).max)


def _read_numbered(file, visit):
    """Returns the records of a file, each with an int64 number that no other record or visit of the file has.

    The number comes with the record from here on, since a dataset that is zipped to the batches instead cannot be
    sharded among workers (TensorFlow 2.21 then drops half of the records without a word).
    """
    import tensorflow as tf

    path, compression = file
    first = visit % (1 << 31) * (1 << 32)
    records = tf.data.TFRecordDataset(path, compression_type=compression, buffer_size=1 << 20)
    return tf.data.Dataset.zip(records, tf.data.Dataset.range(first, first + (1 << 32)))


def _parser(layout, masks, sentence_weight):
    """Returns the function from serialised records (B,) and their numbers (B,) to (x, y, sample_weight).

    Args:
        layout: the RecordLayout.
        masks: the DynamicMasking of unmasked records, or None.
        sentence_weight: the weight of each record in the loss of the sentence task.
    """
    import tensorflow as tf

    spec = feature_spec(layout)

    def parse(records, numbers):
        stored = tf.io.parse_example(records, spec)
        features = {name: stored[in_file] for name, in_file in layout.names.items()}
        features = {n: tf.cast(v, tf.int32) if v.dtype == tf.int64 else v for n, v in features.items()}
        if masks is not None:
            features |= masks.features(features["input_ids"], numbers)
        next_sentence = features["next_sentence_labels"][:, 0]
        inputs = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")
        return (
            {name: features[name] for name in inputs},
            {"masked_lm": features["masked_lm_ids"], "next_sentence": next_sentence},
            {
                "masked_lm": features["masked_lm_weights"],
                "next_sentence": sentence_weight * tf.ones_like(next_sentence, tf.float32),
            },
        )

    return parse
