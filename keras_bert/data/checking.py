"""What can be wrong with files of pre-training records, found before training where it can be."""

import contextlib
import os
from pathlib import Path

from keras_bert.data.reading import first_layout
from keras_bert.data.records import (
    SHARD,
    compression_of,
    count_records,
    feature_spec,
    plain_message,
    read_manifest,
)
from keras_bert.errors import UserError
from keras_bert.files import expand_inputs

COMPANIONS = (".manifest.json", ".vocab.txt")  # what the data tool lays beside its shards
CHECKED_RECORDS = 64  # of a file without a manifest


def record_files(file_pattern):
    """Returns the TFRecord files that `file_pattern` names, manifest and vocabulary left out.

    Args:
        file_pattern: path, glob or directory, a list of them, or one string with commas between them.

    Raises:
        UserError: no such file, or a glob or directory that finds some shards of a set of which others are missing.
    """
    found = expand_inputs(file_pattern, what="file_pattern", directories=True)
    files = [path for path in found if not path.name.endswith(COMPANIONS)]
    if not files:
        raise UserError(f"file_pattern: {file_pattern} names no TFRecord file, only what lies beside one.")
    entries = [file_pattern] if isinstance(file_pattern, (str, os.PathLike)) else file_pattern
    by_name = {Path(part) for entry in map(os.fspath, entries) for part in (entry, *entry.split(","))}
    _require_whole_sets([path for path in files if path not in by_name])
    return files


def _require_whole_sets(files):
    """Raises a UserError if one of the shards NAME-00000-of-00004 and so on of these files is not on the disk."""
    sets = {(path.with_name(SHARD.sub("", path.name)), path.name[-5:]) for path in files if SHARD.search(path.name)}
    for base, count in sorted(sets):
        shards = [base.with_name(f"{base.name}-{number:05d}-of-{count}") for number in range(int(count))]
        missing = [path for path in shards if not path.is_file()]
        if missing:
            raise UserError(
                f"{missing[0]} is missing: {len(shards) - len(missing)} of the {len(shards)} shards of {base.name} are "
                "there; make or fetch the rest, or name the files to read one by one."
            )


def common_layout(files, max_seq_length, max_predictions):
    """Returns the RecordLayout that all files share, by their first records.

    Args:
        files: paths of TFRecord files.
        max_seq_length, max_predictions: the lengths to insist on, or None.

    Raises:
        UserError: a file whose records differ, or that is empty or damaged.
    """
    first = first_layout(files[0])
    for what, wanted, found in (
        ("max_seq_length", max_seq_length, first.max_seq_length),
        ("max_predictions", max_predictions, first.max_predictions),
    ):
        if None not in (wanted, found) and wanted != found:  # unmasked records have no number of predictions yet
            raise UserError(f"{files[0]} has records of {what} {found} where {wanted} was expected; make them again.")
    for path in files[1:]:
        layout = first_layout(path)
        if layout != first:
            raise UserError(
                f"{path} has records of {layout}, {files[0]} of {first}; train on files of one kind at a time."
            )
    return first


def check_ids(path, layout, vocab_size):
    """Raises a UserError if the manifest, or where there is none the first records, show ids past vocab_size."""
    import tensorflow as tf

    manifest = read_manifest(path)
    needed = manifest.get("vocab_size") if manifest else None
    if not isinstance(needed, int):
        spec = feature_spec(layout)
        with damaged_records_named([path]):
            records = next(iter(tf.data.TFRecordDataset(str(path), compression_of(path)).batch(CHECKED_RECORDS)))
            stored = tf.io.parse_example(records, spec)
        ids = [stored[in_file] for name, in_file in layout.names.items() if name in ("input_ids", "masked_lm_ids")]
        needed = 1 + max(int(tf.reduce_max(each)) for each in ids)
    if needed > vocab_size:
        raise UserError(
            f"{path} was made with a vocabulary of at least {needed} tokens, but the model has {vocab_size}; "
            "take the vocab_size of the records' vocabulary, or make the records with the model's."
        )


def require_one_batch(files, batch_size):
    """Raises a UserError if the files together hold fewer records than a batch, which would yield nothing."""
    count = 0
    for path in files:
        count += count_records(path, limit=batch_size - count)
        if count >= batch_size:
            return
    raise UserError(
        f"{files[0]}{' and the rest' if len(files) > 1 else ''}: {count} records do not fill a batch of {batch_size}; "
        "choose a smaller batch size, or make more records (more text, a higher dupe_factor)."
    )


@contextlib.contextmanager
def damaged_records_named(file_pattern):
    """Turns TensorFlow's error about a damaged record, which names no file, into a UserError that does.

    Put it around whatever consumes a `pretraining_dataset`: a training loop, or `model.fit`.

    Args:
        file_pattern: as given to `pretraining_dataset`.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        for path in record_files(file_pattern):
            message = _damage(path)
            if message:
                raise UserError(f"{path} is damaged: {message}; make it again, or fetch it again.") from error
        raise


def _damage(path):
    """Returns what TensorFlow says about the first damaged record of a file, or None."""
    import tensorflow as tf

    spec = feature_spec(first_layout(path))
    try:
        for records in tf.data.TFRecordDataset(str(path), compression_of(path)).batch(256):
            tf.io.parse_example(records, spec)
    except tf.errors.OpError as error:
        return plain_message(error)
    return None
