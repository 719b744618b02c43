"""Which values a pre-training record may hold: one table, checked by numpy and inside tf.data.

A wrong id does not stop a training step that XLA compiles: it reads another row of the table, or none. So each record
is checked as it is read, at about a microsecond of one core for 128 tokens, a quarter of what parsing them takes.

Legend: B records of a batch, K values of a list, S sequence, N texts of a packed row.
"""

import re

import numpy as np

from keras_bert.data.packing import expected_rows
from keras_bert.errors import UserError

WEIGHTS = ("masked_lm_weights", "next_sentence_weights")
MOST_IDS = 1 << 21  # no vocabulary is larger: what is above is not a token
LARGEST = (1 << 63) - 1
INFINITE = "finite numbers of at least 0 were expected"
OF_ROWS = {
    "sequence_ids": "each text was expected to have a number of its own, 1, 2, 3 ..., and padding 0",
    "sequence_starts": "the first place of each text was expected, and 0 past them",
}


def value_limits(seq_length, *, vocab_size=None, type_vocab_size=None):
    """Returns {feature: limit} of the integers of a record: they are at least 0 and below the limit.

    Those of a packed row depend on one another: see `_expected_of_rows`.

    Args:
        seq_length: S of the records.
        vocab_size: the number of tokens; None where it is not known.
        type_vocab_size: the number of segments; None where it is not known.
    """
    return {
        "input_ids": vocab_size or MOST_IDS,
        "input_mask": 2,
        "segment_ids": type_vocab_size or LARGEST,
        "masked_lm_positions": seq_length,
        "masked_lm_ids": vocab_size or MOST_IDS,
        "next_sentence_labels": 2,
    }


def _expected_of_rows(batch, numpy):
    """Returns {"sequence_ids": (B, S), "sequence_starts": (B, N)} as packed rows must have them; {} of other records.

    Args:
        batch: dict of arrays or tensors (B, K).
        numpy: the module for them, NumPy or TensorFlow's.
    """
    if "sequence_ids" not in batch:
        return {}
    most, is_real = batch["sequence_starts"].shape[1], batch["input_mask"] > 0
    rows = expected_rows(batch["sequence_ids"], most, is_real=is_real, numpy=numpy)
    return dict(zip(OF_ROWS, rows, strict=True))


def check_values(batch, vocab_size=None, *, type_vocab_size=None, path, number):
    """Raises a UserError for the first record of a batch with a value that none can have.

    Args:
        batch: dict of arrays (B, K), as `read_columns` yields them.
        vocab_size, type_vocab_size: see `value_limits`.
        path: the file, for the error.
        number: which of its records the first is, counting from 1.
    """
    limits = value_limits(batch["input_ids"].shape[1], vocab_size=vocab_size, type_vocab_size=type_vocab_size)
    wrong = []
    rows = _expected_of_rows(batch, np)
    for name, values in batch.items():
        places = np.argwhere(_is_wrong(name, values, limits, rows))
        if len(places):
            wrong.append((places[0][0], name, values[tuple(places[0])]))
    if wrong:
        row, name, value = min(wrong, key=lambda each: each[0])
        expected = _expected(name, limits, vocab_size)
        raise UserError(f"{path}: record {number + row} has {value} among its {name}, where {expected}")


def _expected(name, limits, vocab_size):
    """Returns the end of an error's sentence: what was expected, and the remedy."""
    if name in WEIGHTS:
        return f"{INFINITE}; make the file again."
    if name in OF_ROWS:
        return f"{OF_ROWS[name]}; make the file again."
    if name in ("input_ids", "masked_lm_ids") and vocab_size:
        return (
            f"0 to {limits[name] - 1:,} were expected, the ids of {limits[name]:,} tokens; take the vocabulary that "
            "the records were made with, or make the file again."
        )
    if limits[name] == LARGEST:
        return "numbers of at least 0 were expected; make the file again."
    return f"0 to {limits[name] - 1:,} were expected; make the file again."


def checked_values(features, numbers, files, *, vocab_size=None, type_vocab_size=None):
    """Checks a batch inside tf.data: an operation that fails, naming the first wrong record's file, number and value.

    Args:
        features: {feature: int64 (B, K), float32 of masked_lm_weights}.
        numbers: int64 (B,), the records' own, as `stream.RecordStream` gives them.
        files: how to name the files that it counts through.
        vocab_size, type_vocab_size: see `value_limits`.
    """
    import tensorflow as tf

    limits = value_limits(features["input_ids"].shape[1], vocab_size=vocab_size, type_vocab_size=type_vocab_size)

    right = _expected_of_rows(features, tf.experimental.numpy)

    def fail():
        rows, messages = [], []  # of each feature's first wrong value, if it has one
        for name, values in features.items():
            place = tf.where(_is_wrong(name, values, limits, right))[:1]  # (0 or 1, 2)
            path, number = _file_and_number(tf.gather(numbers, place[:, 0]), files)
            value = tf.strings.as_string(tf.gather_nd(values, place))
            expected = f" among its {name}, where {_expected(name, limits, vocab_size)}"
            rows.append(place[:, 0])
            messages.append(tf.strings.join([path, ": record ", number, " has ", value, expected]))
        first = tf.argmin(tf.concat(rows, 0))
        with tf.control_dependencies([tf.debugging.Assert(False, [tf.concat(messages, 0)[first]])]):
            return tf.constant(False)

    sound = [_are_sound(name, values, limits, right) for name, values in features.items()]
    tf.cond(tf.reduce_all(tf.stack(sound)), lambda: tf.constant(True), fail)


def _is_wrong(name, values, limits, rows):
    """Returns which values of a feature are wrong, bool (B, K), for numpy and for TensorFlow."""
    if name in WEIGHTS:
        return ~((values >= 0) & (values < np.inf))  # NaN is wrong too
    if name in rows:
        return values != rows[name]
    return (values < 0) | (values >= limits[name])


def _are_sound(name, values, limits, rows):
    """Returns whether all values of a feature are right, bool (); the extremes cost a third of the comparisons."""
    import tensorflow as tf

    if name in WEIGHTS or name in rows:
        return tf.reduce_all(~_is_wrong(name, values, limits, rows))
    return (tf.reduce_min(values) >= 0) & (tf.reduce_max(values) < limits[name])


def _file_and_number(numbers, files):
    """Returns the files of records by their numbers in the stream, and their numbers there, string tensors (N,)."""
    import tensorflow as tf

    from keras_bert.data.stream import PLACE_BITS

    paths = tf.gather(tf.constant([str(path) for path in files]), numbers // (1 << PLACE_BITS) % len(files))
    return paths, tf.strings.as_string(numbers % (1 << PLACE_BITS) + 1)


def wrong_value(error):
    """Returns the sentence about a wrong value that an error of TensorFlow carries, or None."""
    sentence = r"assertion failed: \[(.*?: record \d+ has \S+ among its \w+, where .*?\.)\]"
    match = re.search(sentence, str(error), re.DOTALL)
    return match and match[1]
