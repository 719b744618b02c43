"""The TFRecord schema of pre-training instances, written down once (google-research/bert, create_pretraining_data.py).

One record is one tf.train.Example of the seven features below, each a list of fixed length. Legend:
B batch, S sequence (max_seq_length), P predictions (max_predictions_per_seq).
"""

import dataclasses
import re
from pathlib import Path

import numpy as np

from keras_bert.errors import UserError
from keras_bert.files import read_json


@dataclasses.dataclass(frozen=True)
class Feature:
    """One list of a record: its kind ("int64" or "float") and its length ("S", "P" or 1)."""

    kind: str
    length: str | int


FEATURES = {
    "input_ids": Feature("int64", "S"),
    "input_mask": Feature("int64", "S"),
    "segment_ids": Feature("int64", "S"),
    "masked_lm_positions": Feature("int64", "P"),
    "masked_lm_ids": Feature("int64", "P"),
    "masked_lm_weights": Feature("float", "P"),
    "next_sentence_labels": Feature("int64", 1),
}

# What tensorflow/models' create_pretraining_data.py calls the same lists.
ALIASES = {"input_ids": "input_word_ids", "segment_ids": "input_type_ids"}

FRAME_BYTES = 16  # around each record: uint64 length, uint32 checksum, the record, uint32 checksum
RECORD_SUFFIXES = (".tfrecord", ".tfrecords", ".tf_record", ".tf_records")
SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclasses.dataclass(frozen=True)
class RecordLayout:
    """The lengths of a file's lists and the names under which it keeps them.

    Attributes:
        max_seq_length: S.
        max_predictions: P.
        names: our name of each feature -> the name in the file.
    """

    max_seq_length: int
    max_predictions: int
    names: dict

    def __str__(self):
        renamed = "" if all(ours == stored for ours, stored in self.names.items()) else ", tensorflow/models' names"
        return f"max_seq_length {self.max_seq_length}, {self.max_predictions} predictions{renamed}"

    def length(self, name):
        """Returns the number of values of the feature `name`."""
        lengths = {"S": self.max_seq_length, "P": self.max_predictions}
        return lengths.get(FEATURES[name].length, FEATURES[name].length)


def layout_of(record, *, path):
    """Returns the RecordLayout that one serialised tf.train.Example shows.

    Args:
        record: bytes of the Example.
        path: the file it came from, for the errors.

    Raises:
        UserError: it is no Example, lacks a feature, or has lists whose lengths contradict each other.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise UserError(
            f"{path} does not hold tf.train.Example records; make it with create_pretraining_data."
        ) from error
    names, lengths = {}, {}
    for name, feature in FEATURES.items():
        stored = next((n for n in (name, ALIASES.get(name)) if n in features), None)
        if stored is None:
            raise UserError(
                f"{path}: the first record has no feature {name!r} (it has {', '.join(sorted(features)) or 'none'}); "
                "expected records as create_pretraining_data writes them."
            )
        kind = "int64_list" if feature.kind == "int64" else "float_list"
        size = len(getattr(features[stored], kind).value)
        names[name] = stored
        if size != lengths.setdefault(feature.length, size) or size == 0 or (feature.length == 1 and size != 1):
            raise UserError(
                f"{path}: the first record has {size} values of {stored!r} as {feature.kind} where "
                f"{lengths[feature.length] if feature.length != 1 else 1} were expected; make the file again."
            )
    return RecordLayout(lengths["S"], lengths["P"], names)


def first_layout(path):
    """Returns the RecordLayout of the first record of the TFRecord file `path`.

    Raises:
        UserError: the file is empty, damaged, compressed or holds other records.
    """
    import tensorflow as tf

    path = Path(path)
    try:
        record = next(iter(tf.data.TFRecordDataset(str(path), num_parallel_reads=None).take(1).as_numpy_iterator()))
    except StopIteration:
        raise UserError(f"{path} is empty: it holds no record; make it again with create_pretraining_data.") from None
    except tf.errors.DataLossError as error:
        raise UserError(f"{path} is damaged or no TFRecord file ({plain_message(error)}); make it again.") from error
    except tf.errors.OpError as error:
        raise UserError(f"{path} cannot be read: {plain_message(error)}.") from error
    return layout_of(record, path=path)


def plain_message(error):
    """Returns what a TensorFlow error says, without the names of its graph's nodes."""
    return error.message.split("}} ")[-1].split(" [Op:")[0]


def feature_spec(layout):
    """Returns the dict that tf.io.parse_example wants for records of this layout, keyed by the file's names."""
    import tensorflow as tf

    kinds = {"int64": tf.int64, "float": tf.float32}
    return {
        stored: tf.io.FixedLenFeature([layout.length(name)], kinds[FEATURES[name].kind])
        for name, stored in layout.names.items()
    }


def count_records(path, *, limit=None):
    """Returns how many records a TFRecord file holds, by walking from one length to the next.

    Args:
        path: an uncompressed TFRecord file.
        limit: stop counting there; None counts all.

    Raises:
        UserError: the file ends within a record.
    """
    path = Path(path)
    size, position, count = path.stat().st_size, 0, 0
    with open(path, "rb") as stream:
        while position < size and (limit is None or count < limit):
            stream.seek(position)
            position += FRAME_BYTES + int.from_bytes(stream.read(8), "little")
            if position > size:
                raise UserError(f"{path} is damaged: it ends within record {count + 1}; make it again.")
            count += 1
    return count


def check_shapes(instances):
    """Raises ValueError unless `instances` has every feature as a (B, length) array with lengths that agree."""
    sizes = {}
    for name, feature in FEATURES.items():
        shape = np.shape(instances[name])
        if len(shape) != 2 or shape != (sizes.setdefault("B", shape[0]), sizes.setdefault(feature.length, shape[1])):
            raise ValueError(f"{name} must be of shape (B, {feature.length}) like the rest. Received: {shape}.")
    if sizes[1] != 1:
        raise ValueError(f"next_sentence_labels must be of shape (B, 1). Received: (B, {sizes[1]}).")


def stem_of(path):
    """Returns the name that a set of shards shares, as a path without shard number and record suffix.

    >>> stem_of("data/wiki.tfrecord-00002-of-00004").as_posix(), stem_of("data/wiki.tfrecord").as_posix()
    ('data/wiki', 'data/wiki')
    """
    path = Path(path)
    name = SHARD.sub("", path.name)
    suffix = next((s for s in RECORD_SUFFIXES if name.endswith(s) and name != s), "")
    return path.with_name(name.removesuffix(suffix))


def shard_paths(output_file, num_shards):
    """Returns where the shards of `output_file` go: itself, or NAME-00000-of-00004 and so on.

    >>> [p.as_posix() for p in shard_paths("wiki.tfrecord", 2)]
    ['wiki.tfrecord-00000-of-00002', 'wiki.tfrecord-00001-of-00002']
    """
    path = Path(output_file)
    if num_shards == 1:
        return [path]
    return [path.with_name(f"{path.name}-{shard:05d}-of-{num_shards:05d}") for shard in range(num_shards)]


def manifest_path(path):
    """Returns where the manifest of a record file (or one of its shards) lies: wiki.manifest.json."""
    stem = stem_of(path)
    return stem.with_name(stem.name + ".manifest.json")


def vocab_path(path):
    """Returns where the vocabulary of a record file (or one of its shards) lies: wiki.vocab.txt."""
    stem = stem_of(path)
    return stem.with_name(stem.name + ".vocab.txt")


def read_manifest(path):
    """Returns the manifest beside a record file as a dict, or None where there is none (Google's files).

    Raises:
        UserError: the manifest is no JSON object.
    """
    path = manifest_path(path)
    return read_json(path, what="The manifest") if path.is_file() else None
