"""tf.data input for pre-training: batches from TFRecords, masked already or masked as they are read.

Legend: B batch, S sequence, P predictions, N texts of a packed row.
"""

import functools

from keras_bert.data.checking import (
    check_first_records,
    common_layout,
    readable_files,
    record_files,
    require_one_batch,
)
from keras_bert.data.dynamic import Ramp, dynamic_masking
from keras_bert.data.manifests import (
    SENTENCE_TASKS,
    count_examples,
    records_vocabulary,
    sentence_task,
    told_vocab_size,
)
from keras_bert.data.records import feature_spec
from keras_bert.data.stream import RecordStream
from keras_bert.data.values import checked_values
from keras_bert.errors import UserError


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
    type_vocab_size=None,
    vocabulary=None,
    masking=None,
    masked_lm_prob=None,
    remask=True,
    start_batch=0,
    skip_batches=(),
    num_shards=1,
    shard_index=0,
    pad_remainder=False,
    skip_damaged=False,
):
    """Reads pre-training TFRecords, plain or gzip, ours, google-research/bert's or tensorflow/models'.

    Unmasked records (`create_pretraining_data --dynamic`) are masked as they are read, by the settings of the
    manifest and with the vocabulary that lie beside them unless these are given here.

    A batch is a function of the files, the seed, batch_size and its number: not of what was iterated before, of
    tf.random.set_seed or of the number of threads. The stream is one epoch after the other, each with every record
    once and in an order that seed and epoch decide; batches run on over the end of an epoch. With `repeat=False` there
    is one epoch: the first, or the next one whenever the dataset is iterated again.
    All values of each record are checked as it is read: ids, segments, masks, positions and labels in their range, and
    finite weights. A wrong one ends the iteration in TensorFlow's InvalidArgumentError, which names the file, the
    record and the value (`damaged_records_named` makes it a UserError).

    The masks of unmasked records depend on the seed, the epoch, the file's place among the files by name and the
    record's place in the file; whatever the batch size, the shuffling and the shares, they are the same.

    Args:
        file_pattern: path, glob or directory, a list of them, or one string with commas between them.
        batch_size: B, of all shards together.
        shuffle: files and records in an order of their own each time round; False keeps the order.
        seed: int; with the same seed and files the batches are the same, in the same order.
        repeat: go on for ever.
        drop_remainder: leave out a last, smaller batch.
        max_seq_length: S to insist on; None takes the files'.
        max_predictions: P to insist on, or of unmasked records P itself; None takes the files' or the manifest's.
        vocab_size: V of the model to train; refuses records that were made with a larger vocabulary. None takes the
            manifest's; without a manifest no id is too large.
        type_vocab_size: the number of segments of the model to train; None for any, as of a model that reads none.
        vocabulary: that of the model, as a Vocabulary, a Tokenizer or the path of a vocab.txt; refuses records
            that were made with another one. None takes the one beside unmasked records.
        masking: for unmasked records, "token", "whole_word" or "ngram"; None takes the manifest's.
        masked_lm_prob: for unmasked records, the share of the tokens to predict, or a `keras_bert.data.dynamic.Ramp`
            from one share to another by the number of the batch; None takes the manifest's.
        remask: draw fresh masks in each epoch. False gives a record the same masks whenever it is read, which makes
            figures on held-out records comparable.
        start_batch: the number of the first batch, counting from 0. Whole epochs before it are left out by arithmetic
            (the manifest's number of records, or counting them); the rest is read, some microseconds a record, but
            neither parsed nor masked.
        skip_batches: numbers of batches to leave out, counted like start_batch.
        num_shards, shard_index: give B / num_shards rows of each batch alone, from row shard_index * B / num_shards on
            (of a last, smaller batch those that are there, which may be none). All shares read all files.
        pad_remainder: fill a last, smaller batch up with examples of weight 0, whatever drop_remainder says, so that
            all batches are of one shape.
        skip_damaged: leave out damaged records, which `keras_bert.data.damage.damaged_records` tells. All files are
            read once before to find them, at about 0.2 GB/s.

    Returns:
        A tf.data.Dataset of (x, y, sample_weight), of known cardinality:

        x: {"input_ids", "input_mask", "segment_ids": int32 (B, S), "masked_lm_positions": int32 (B, P)}; of packed
            records (`create_pretraining_data --pack=isolated`) also "sequence_ids", int32 (B, S): the number of the
            text in its row, from 1, 0 for padding; and "sequence_starts", int32 (B, N): where each text begins, 0 past
            them.
        y: {"masked_lm": int32 (B, P), "next_sentence": int32 (B,), of packed records (B, N)}.
        sample_weight: {"masked_lm": float32 (B, P), 0 on padding slots; "next_sentence": float32 (B,), ones, or
            zeros where the manifest says that the records have no sentence task; of packed records (B, N), 0 past a
            row's texts}. A model takes of all three what it reads: one without segments or without `next_sentence`
            leaves these alone.

    Raises:
        UserError: no files, an empty or damaged one, a set of shards that is not whole, records of other lengths or
            of another vocabulary, wrong values in the first ones, fewer records than a batch, or settings that do not
            go with the records.
    """
    import tensorflow as tf

    _check_numbers(batch_size, start_batch, num_shards, shard_index)
    files, damaged = readable_files(record_files(file_pattern), skip_damaged=skip_damaged)
    layout = common_layout(files, max_seq_length, max_predictions, skip_damaged=skip_damaged)
    settings = {"masking": masking, "masked_lm_prob": masked_lm_prob}
    if layout.dynamic:
        masks = dynamic_masking(
            files,
            max_seq_length=layout.max_seq_length,
            vocabulary=vocabulary,
            max_predictions=max_predictions,
            **settings,
        )
        vocabulary = masks.vocabulary
    else:
        masks = None
        _refuse_masking(files[0], **settings)
        vocabulary = None if vocabulary is None else records_vocabulary(files, vocabulary)
    sizes = {"vocab_size": _vocab_size(files, vocab_size, vocabulary), "type_vocab_size": type_vocab_size}
    for path in files:
        check_first_records(path, layout, **sizes, skip_damaged=skip_damaged)
    drop_remainder = drop_remainder and not pad_remainder
    if drop_remainder:
        require_one_batch(files, batch_size, skip_damaged=skip_damaged)
    # Counting may take its time: an endless stream that is read from its beginning does without.
    count = count_examples(files, skip_damaged=skip_damaged) if start_batch or not repeat else None

    stream = RecordStream(
        files, damaged, shuffle=shuffle, remask=remask and masks is not None, repeat=repeat, seed=seed
    )
    dataset = stream.dataset(start=start_batch * batch_size, count=count)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder or repeat)
    if isinstance(masked_lm_prob, Ramp):  # else not: a strategy could not share out what is zipped, see stream.py
        dataset = dataset.enumerate(start_batch).map(lambda number, batch: (*batch, number))
    skipped = sorted({number for number in skip_batches if number >= start_batch})
    dataset = _without(dataset, skipped, first=start_batch)
    share = slice(shard_index * batch_size // num_shards, (shard_index + 1) * batch_size // num_shards)
    sentence_weight = 0.0 if SENTENCE_TASKS[sentence_task(files)] is None else 1.0
    names = [f"{path}, damaged records left out" if path in damaged else str(path) for path in files]
    check = functools.partial(checked_values, files=names, **sizes)
    parse = _parser(layout, check, masks, sentence_weight, seed=seed, share=share, pad=pad_remainder)
    dataset = dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = None
    if not repeat:
        batches = count // batch_size if drop_remainder else -(-count // batch_size)
        batches = max(0, batches - start_batch) - sum(number < batches for number in skipped)
    return _finished(dataset, batches)


def _check_numbers(batch_size, start_batch, num_shards, shard_index):
    """Raises a UserError for numbers with which there is no batch."""
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1. Received: {batch_size}.")
    if start_batch < 0:
        raise UserError(f"start_batch must be at least 0. Received: {start_batch}.")
    if num_shards < 1 or not 0 <= shard_index < num_shards:
        raise UserError(f"shard_index must lie below num_shards. Received: {shard_index} and {num_shards}.")
    if batch_size % num_shards:
        raise UserError(
            f"A batch of {batch_size} examples cannot be shared out among {num_shards} evenly; choose a batch_size "
            f"that is a multiple of {num_shards}."
        )


def _refuse_masking(path, **settings):
    """Raises a UserError if anything is asked of the masking of records that are masked already."""
    asked = [f"{name}={value!r}" for name, value in settings.items() if value is not None]
    if asked:
        raise UserError(
            f"{path} holds records that are masked already, so {' and '.join(asked)} cannot be had from them; "
            "leave that out, or make unmasked records with create_pretraining_data --dynamic."
        )


def _vocab_size(files, vocab_size, vocabulary):
    """Returns how many tokens the records may have, None where nothing says it.

    Raises:
        UserError: the model has fewer than the vocabulary.
    """
    if vocabulary is not None and vocab_size is not None and len(vocabulary) > vocab_size:
        raise UserError(
            f"The vocabulary of {files[0]} has {len(vocabulary)} tokens, but the model has {vocab_size}; "
            "take the vocab_size of the records' vocabulary, or make the records with the model's."
        )
    if vocabulary is not None:
        return len(vocabulary)
    return told_vocab_size(files) if vocab_size is None else vocab_size


def _without(dataset, numbers, *, first):
    """Leaves the elements of some numbers out of a dataset; its first one has the number `first`."""
    import tensorflow as tf

    if not numbers:
        return dataset
    wanted = dataset.enumerate(first).filter(lambda number, _: tf.reduce_all(number != tf.constant(numbers, tf.int64)))
    return wanted.map(lambda _, element: element)


def _finished(dataset, batches):
    """Returns the dataset with its number of batches, None for no end, prefetched and to be shared out by batches."""
    import tensorflow as tf

    cardinality = tf.data.INFINITE_CARDINALITY if batches is None else batches
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(cardinality)).prefetch(tf.data.AUTOTUNE)
    options = tf.data.Options()  # a strategy cannot share out the files: it sees but one source, the epochs
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


def _parser(layout, check, masks, sentence_weight, *, seed, share, pad):
    """Returns the function from serialised records (B,) and their numbers (B,) to (x, y, sample_weight).

    Where masks go by it, it takes the number of the batch, too.

    Args:
        layout: the RecordLayout.
        check: callable(features, numbers) that fails on wrong values.
        masks: the DynamicMasking of unmasked records, or None.
        sentence_weight: the weight of each record in the loss of the sentence task.
        seed: int, of the masks.
        share: slice, the rows to take.
        pad: whether rows of a batch that are not there become examples of weight 0.
    """
    import tensorflow as tf

    spec = feature_spec(layout)
    rows = share.stop - share.start

    def filled(values):
        missing = rows - tf.shape(values)[0]
        padded = tf.pad(values, [[0, missing]] + [[0, 0]] * (values.shape.rank - 1))
        return tf.ensure_shape(padded, (rows, *values.shape[1:]))

    def parse(records, numbers, batch=0):
        records, numbers = records[share], numbers[share]
        stored = tf.io.parse_example(records, spec)
        features = {name: stored[in_file] for name, in_file in layout.names.items()}
        check(features, numbers)  # as int64: a cast would make small numbers of large ones
        features = {n: tf.cast(v, tf.int32) if v.dtype == tf.int64 else v for n, v in features.items()}
        if masks is not None:
            features |= masks.features(features["input_ids"], numbers, batch, seed=seed)
        inputs = ["input_ids", "input_mask", "segment_ids", "masked_lm_positions"]
        if layout.packed:
            inputs += ["sequence_ids", "sequence_starts"]
            next_sentence, weights = features["next_sentence_labels"], features["next_sentence_weights"]
        else:
            next_sentence = features["next_sentence_labels"][:, 0]
            weights = tf.ones_like(next_sentence, tf.float32)
        batch = (
            {name: features[name] for name in inputs},
            {"masked_lm": features["masked_lm_ids"], "next_sentence": next_sentence},
            {"masked_lm": features["masked_lm_weights"], "next_sentence": sentence_weight * weights},
        )
        return tf.nest.map_structure(filled, batch) if pad else batch

    return parse
