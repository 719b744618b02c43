"""What can be wrong with files of pre-training records, found before training where it can be."""

import contextlib
import itertools
import os
from pathlib import Path

from keras_bert.data.damage import Record, damaged_records, scan, walk
from keras_bert.data.manifests import count_examples
from keras_bert.data.reading import first_layout, parse
from keras_bert.data.records import (
    SHARD,
    count_records,
    feature_spec,
    is_text,
    layout_of,
    no_records,
    read_manifest,
)
from keras_bert.data.values import check_values, wrong_value
from keras_bert.errors import UserError
from keras_bert.files import expand_inputs

COMPANIONS = (".manifest.json", ".vocab.txt")  # what the data tool lays beside its shards
CHECKED_RECORDS = 64  # of a file without a manifest
RECORDS_AT_ONCE = 256
IDS = ("input_ids", "masked_lm_ids")


def record_files(file_pattern, *, what="file_pattern"):
    """Returns the TFRecord files that `file_pattern` names, manifest and vocabulary left out.

    Args:
        file_pattern: path, glob or directory, a list of them, or one string with commas between them.
        what: the flag or argument to name in an error.

    Raises:
        UserError: no such file, one of text, or a glob or directory that finds some shards of a set of which others
            are missing.
    """
    found = expand_inputs(file_pattern, what=what, directories=True)
    files = [path for path in found if not path.name.endswith(COMPANIONS)]
    if not files:
        raise UserError(f"{what}: {file_pattern} names no TFRecord file, only what lies beside one.")
    entries = [file_pattern] if isinstance(file_pattern, (str, os.PathLike)) else file_pattern
    by_name = {Path(part) for entry in map(os.fspath, entries) for part in (entry, *entry.split(","))}
    _require_whole_sets([path for path in files if path not in by_name])
    for path in files:
        if is_text(path):
            raise no_records(path)
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


def readable_files(files, *, skip_damaged):
    """Returns the files to read, and a frozenset of those that are to be read past what is damaged in them.

    Args:
        files: paths of TFRecord files.
        skip_damaged: look for damaged records in all files, and leave out those files that have no other. False takes
            all files for sound.

    Raises:
        UserError: no file holds an intact record.
    """
    if not skip_damaged:
        return files, frozenset()
    damaged = {path: scan(path).intact for path in files if scan(path).damaged}
    readable = [path for path in files if damaged.get(path) != 0]
    if not readable:
        raise UserError(
            f"{files[0]}{' and the rest' if len(files) > 1 else ''} hold no intact record; make them again."
        )
    return readable, frozenset(damaged)


def common_layout(files, max_seq_length, max_predictions, *, skip_damaged=False):
    """Returns the RecordLayout that all files share, by their first records.

    Args:
        files: paths of TFRecord files.
        max_seq_length, max_predictions: the lengths to insist on, or None.
        skip_damaged: whether damaged records are to be passed over.

    Raises:
        UserError: a file whose records differ, or that is empty or damaged.
    """
    first = first_layout(files[0], skip_damaged=skip_damaged)
    for what, wanted, found in (
        ("max_seq_length", max_seq_length, first.max_seq_length),
        ("max_predictions", max_predictions, first.max_predictions),
    ):
        if None not in (wanted, found) and wanted != found:  # unmasked records have no number of predictions yet
            raise UserError(f"{files[0]} has records of {what} {found} where {wanted} was expected; make them again.")
    for path in files[1:]:
        layout = first_layout(path, skip_damaged=skip_damaged)
        if layout != first:
            raise UserError(
                f"{path} has records of {layout}, {files[0]} of {first}; train on files of one kind at a time."
            )
    return first


def group_by_length(files, *, skip_damaged=False):
    """Returns {max_seq_length: [files]}, the shortest first: the phases of a run train on records of 128, then 512.

    Args:
        files: paths of TFRecord files.
        skip_damaged: pass over damaged records, and leave out files that have no other.

    Raises:
        UserError: a file that is empty or damaged, or holds other records.
    """
    groups = {}
    for path in readable_files(files, skip_damaged=skip_damaged)[0]:
        groups.setdefault(first_layout(path, skip_damaged=skip_damaged).max_seq_length, []).append(path)
    return dict(sorted(groups.items()))


def check_first_records(path, layout, *, vocab_size=None, type_vocab_size=None, skip_damaged=False):
    """Raises a UserError if the manifest, or without one any of the first records, does not fit the model.

    The rest is checked as it is read: see `keras_bert.data.values`.
    """
    manifest = read_manifest(path)
    needed = manifest.get("vocab_size") if manifest else None
    if not isinstance(needed, int):
        needed = 0
        for record in itertools.islice(_intact(path, skip_damaged), CHECKED_RECORDS):
            features = _parse_like(record, path, layout)
            columns = {name: features[stored][None] for name, stored in layout.names.items()}
            check_values(columns, type_vocab_size=type_vocab_size, path=path, number=record.number)
            needed = max(needed, *(1 + int(values.max()) for name, values in columns.items() if name in IDS))
    if vocab_size is not None and needed > vocab_size:
        raise UserError(
            f"{path} was made with a vocabulary of at least {needed} tokens, but the model has {vocab_size}; "
            "take the vocab_size of the records' vocabulary, or make the records with the model's."
        )


def _intact(path, skip_damaged):
    return (found for found in walk(path, skip_damaged=skip_damaged) if isinstance(found, Record))


def _parse_like(record, path, layout):
    """Returns the features of a Record, or raises a UserError unless it is of this layout."""
    where = f"{path} is damaged: record {record.number} (at byte {record.offset})"
    features = parse(record.data, source=where)
    own = layout_of(features, where)
    if own != layout:
        raise UserError(f"{where} has {own}, the first one {layout}; make the file again, or fetch it again.")
    return features


def require_one_batch(files, batch_size, *, skip_damaged=False):
    """Raises a UserError if the files together hold fewer records than a batch, which would yield nothing."""
    count = 0
    for path in files:
        count += scan(path).intact if skip_damaged else count_records(path, limit=batch_size - count)
        if count >= batch_size:
            return
    raise UserError(
        f"{files[0]}{' and the rest' if len(files) > 1 else ''}: {count} records do not fill a batch of {batch_size}; "
        "choose a smaller batch size, or make more records (more text, a higher dupe_factor)."
    )


@contextlib.contextmanager
def damaged_records_named(file_pattern, *, skip_damaged=False):
    """Turns TensorFlow's errors about records into a UserError: one that cannot be read, or that has a wrong value.

    Put it around whatever consumes a `pretraining_dataset`: a training loop, or `model.fit`. The files are then read
    through up to a record that cannot be read, since TensorFlow does not name it.

    Args:
        file_pattern, skip_damaged: as given to `pretraining_dataset`.

    Raises:
        UserError: with file, number of the record, counting from 1, and place of its first byte.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:  # of a quoted record
        if sentence := wrong_value(error):
            raise UserError(sentence) from error
        for path in readable_files(record_files(file_pattern), skip_damaged=skip_damaged)[0]:
            _refuse_misfits(path, skip_damaged)
        raise
    except tf.errors.FailedPreconditionError:  # of assert_cardinality
        check_counts(record_files(file_pattern))
        raise


def _refuse_misfits(path, skip_damaged):
    """Raises a UserError for the first record of a file that is damaged or not like the file's first one."""
    import tensorflow as tf

    if not skip_damaged and (damaged := damaged_records(path)):
        raise UserError(
            f"{path} is damaged: {damaged[0].reason} (at byte {damaged[0].offset}); make it again, fetch it again, or "
            f"leave {len(damaged)} damaged record(s) out by skip_damaged (--skip_damaged_records)."
        )
    layout = first_layout(path, skip_damaged=skip_damaged)
    records = _intact(path, skip_damaged)
    while batch := list(itertools.islice(records, RECORDS_AT_ONCE)):
        with contextlib.suppress(tf.errors.OpError, UnicodeDecodeError):
            tf.io.parse_example([record.data for record in batch], feature_spec(layout))
            continue
        for record in batch:
            _parse_like(record, path, layout)


def check_counts(files):
    """Raises a UserError if the files do not hold as many records as their manifests say."""
    told, found = count_examples(files), sum(map(count_records, files))
    if told != found:
        raise UserError(
            f"{files[0]}{' and the rest' if len(files) > 1 else ''}: {found} records where the manifest says {told}; "
            "make them again, or take the manifest away."
        )
