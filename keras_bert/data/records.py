"""The TFRecord schema of pre-training instances, written down once (google-research/bert, create_pretraining_data.py).

One record is one tf.train.Example of the seven features below, each a list of fixed length; one that is to be
masked while training has four of them. A packed one, a row of several texts, has three more, and a label for each text.
Files are plain or gzip, which their first bytes tell and not their names.
Legend: B batch, S sequence (max_seq_length), P predictions (max_predictions_per_seq), N texts (max_texts_per_row).
"""

import codecs
import dataclasses
import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from keras_bert.data.framing import frame_head, masked_crc32c
from keras_bert.errors import UserError
from keras_bert.files import read_json


@dataclasses.dataclass(frozen=True)
class Feature:
    """One list of a record: its kind ("int64" or "float") and its length ("S", "P", "N" or 1)."""

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

# What a record holds that is to be masked anew whenever it is read.
UNMASKED_FEATURES = ("input_ids", "input_mask", "segment_ids", "next_sentence_labels")

# What a row of several texts has beyond these or otherwise.
PACKED_FEATURES = {
    "sequence_ids": Feature("int64", "S"),  # the number of the text in its row, from 1; 0 for padding
    "sequence_starts": Feature("int64", "N"),  # where each text begins; 0 past them
    "next_sentence_labels": Feature("int64", "N"),
    "next_sentence_weights": Feature("float", "N"),  # 1 for a text, 0 past them
}
KINDS = {name: feature.kind for name, feature in {**FEATURES, **PACKED_FEATURES}.items()}

# What tensorflow/models' create_pretraining_data.py calls the same lists.
ALIASES = {"input_ids": "input_word_ids", "segment_ids": "input_type_ids"}

HEAD_BYTES = 12  # before each record: its length and the checksum of that
FRAME_BYTES = 16  # around each record: uint64 length, uint32 checksum, the record, uint32 checksum
LONGEST_RECORD = 1 << 31  # bytes; no protocol buffer is longer
GZIP_MAGIC = b"\x1f\x8b"
DTYPES = {"int64": np.int64, "float": np.float32}  # by the kind of a feature
RECORD_SUFFIXES = (".tfrecord", ".tfrecords", ".tf_record", ".tf_records")
TEXT_BYTES = 4096  # looked at to tell text from records
CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f]")  # characters that text does not have
SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclasses.dataclass(frozen=True)
class RecordLayout:
    """The lengths of a file's lists and the names under which it keeps them.

    Attributes:
        max_seq_length: S.
        max_predictions: P; None where the records are unmasked.
        names: our name of each feature that is there -> the name in the file.
        max_texts: N; None where a record is one text or pair.
    """

    max_seq_length: int
    max_predictions: int | None
    names: dict
    max_texts: int | None = None

    @property
    def dynamic(self):
        """Whether the records are unmasked, so that they are masked while training."""
        return self.max_predictions is None

    def __str__(self):
        renamed = "" if all(ours == stored for ours, stored in self.names.items()) else ", tensorflow/models' names"
        masks = "unmasked" if self.dynamic else f"{self.max_predictions} predictions"
        packed = f", up to {self.max_texts} texts a row" if self.packed else ""
        return f"max_seq_length {self.max_seq_length}, {masks}{packed}{renamed}"

    @property
    def packed(self):
        """Whether a record is a row of several texts."""
        return self.max_texts is not None

    def length(self, name):
        """Returns the number of values of the feature `name`."""
        lengths = {"S": self.max_seq_length, "P": self.max_predictions, "N": self.max_texts}
        length = features_of(masked=not self.dynamic, packed=self.packed)[name].length
        return lengths.get(length, length)


def features_of(*, masked, packed):
    """Returns {name: Feature} of the records of a kind, in their order.

    >>> list(features_of(masked=False, packed=False)) == list(UNMASKED_FEATURES)
    True
    """
    features = {name: feature for name, feature in FEATURES.items() if masked or name in UNMASKED_FEATURES}
    return {**features, **PACKED_FEATURES} if packed else features


def layout_of(features, where):
    """Returns the RecordLayout that one record's features show.

    Args:
        features: dict from names to arrays, as `keras_bert.data.reading.parse` returns it.
        where: how an error begins, such as "wiki.tfrecord: record 1".

    Raises:
        UserError: a feature is missing, or lists have lengths that contradict each other.
    """
    masked = any(name in features for name in FEATURES if name not in UNMASKED_FEATURES)
    packed = any(name in features for name in PACKED_FEATURES if name not in FEATURES)
    names, lengths = {}, {1: 1}
    for name, feature in features_of(masked=masked, packed=packed).items():
        kind, length = feature.kind, feature.length
        stored = next((n for n in (name, ALIASES.get(name)) if n in features), None)
        if stored is None:
            raise UserError(
                f"{where} has no feature {name!r} (it has {', '.join(sorted(features)) or 'none'}); expected records "
                "as create_pretraining_data writes them."
            )
        names[name] = stored
        if (
            features[stored].dtype != DTYPES[kind]
            or not len(features[stored])
            or len(features[stored]) != lengths.setdefault(length, len(features[stored]))
        ):
            raise UserError(
                f"{where} has {len(features[stored])} values ({features[stored].dtype}) of {stored!r} where "
                f"{lengths.get(length) or 'some'} ({kind}) were expected; make the file again."
            )
    return RecordLayout(lengths["S"], lengths.get("P"), names, lengths.get("N"))


def feature_spec(layout):
    """Returns the dict that tf.io.parse_example wants for records of this layout, keyed by the file's names."""
    import tensorflow as tf

    kinds = {"int64": tf.int64, "float": tf.float32}
    return {
        stored: tf.io.FixedLenFeature([layout.length(name)], kinds[KINDS[name]])
        for name, stored in layout.names.items()
    }


def compression_of(path):
    """Returns "GZIP" for a compressed TFRecord file and "" for a plain one, TensorFlow's names, by its first bytes.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if head[8:] == masked_crc32c(head[:8]).to_bytes(4, "little"):
        return ""  # also where the first record's length happens to look like gzip's mark
    return "GZIP" if head.startswith(GZIP_MAGIC) else ""


def damaged_file(path, number, reason, offset):
    """Returns the UserError about a file of which a record cannot be read.

    Args:
        path: the file.
        number: the record's in the file, counting from 1.
        reason: what is wrong with it.
        offset: where it begins, in bytes.
    """
    if number == 1 and is_text(path):
        return no_records(path)
    what = "damaged" if number > 1 else "damaged, or no TFRecord file"
    return UserError(f"{path} is {what}: {reason} (at byte {offset}); make it again, or fetch it again.")


def no_records(path):
    """Returns the UserError about text where records were expected."""
    return UserError(
        f"{path} is text, not a TFRecord file; make records of it first, with keras-bert create_pretraining_data "
        f"--input_file={path}."
    )


def is_text(path):
    """Says whether a file, plain or gzip, begins with UTF-8 text; the length of a record always has zero bytes."""
    try:
        with (gzip.open if compression_of(path) else open)(path, "rb") as stream:
            text = codecs.getincrementaldecoder("utf-8")().decode(stream.read(TEXT_BYTES))
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError):
        return False
    return bool(text) and not CONTROL.search(text)


def count_records(path, *, limit=None):
    """Returns how many records a TFRecord file holds, by walking from one length to the next.

    The checksum of each length is verified; those of the records themselves are not, which would take reading them.

    Args:
        path: a TFRecord file, plain or gzip.
        limit: stop counting there; None counts all.

    Raises:
        UserError: no TFRecord file, one with a damaged length or that ends within a record, or is no longer gzip.
    """
    count = end = 0
    opened = gzip.open if compression_of(path) else open
    try:
        with opened(path, "rb") as stream:
            while (limit is None or count < limit) and (head := stream.read(HEAD_BYTES)):
                size = int.from_bytes(head[:8], "little")
                begin, end = end, end + FRAME_BYTES + size
                if len(head) == HEAD_BYTES and (size > LONGEST_RECORD or head != frame_head(size)):
                    raise damaged_file(path, count + 1, f"the checksum of record {count + 1} does not fit", begin)
                if len(head) < HEAD_BYTES or stream.seek(end - 1) < end - 1 or not stream.read(1):
                    raise damaged_file(path, count + 1, f"it ends within record {count + 1}", begin)
                count += 1
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is damaged after record {count} ({error}); make it again.") from error
    return count


def check_shapes(instances):
    """Raises ValueError unless `instances` has the features of a kind of record, as (B, length) arrays that agree."""
    kinds = [features_of(masked=masked, packed=packed) for masked in (True, False) for packed in (False, True)]
    features = next((kind for kind in kinds if set(kind) == set(instances)), None)
    if features is None:
        raise ValueError(
            f"instances must have the features {', '.join(FEATURES)}, or of them {', '.join(UNMASKED_FEATURES)} alone; "
            f"of packed rows {', '.join(name for name in PACKED_FEATURES if name not in FEATURES)} as well. "
            f"Received: {', '.join(instances)}."
        )
    sizes = {}
    for name, feature in features.items():
        shape = np.shape(instances[name])
        if len(shape) != 2 or shape != (sizes.setdefault("B", shape[0]), sizes.setdefault(feature.length, shape[1])):
            raise ValueError(f"{name} must be of shape (B, {feature.length}) like the rest. Received: {shape}.")
    if sizes.get(1, 1) != 1:
        raise ValueError(f"next_sentence_labels must be of shape (B, 1). Received: (B, {sizes[1]}).")


def stem_of(path):
    """Returns the name that a set of shards shares, as a path without shard number and record suffix.

    >>> stem_of("data/wiki.tfrecord-00002-of-00004").as_posix(), stem_of("data/wiki.tfrecord").as_posix()
    ('data/wiki', 'data/wiki')
    """
    path = Path(path)
    name = SHARD.sub("", path.name.removesuffix(".gz"))  # as somebody's gzip may have named it
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


def tokenizer_path(path):
    """Returns where the tokenizer of a record file lies that has no vocab.txt, a directory: wiki.tokenizer."""
    stem = stem_of(path)
    return stem.with_name(stem.name + ".tokenizer")


def tokenizer_beside(files):
    """Returns the path of the vocabulary or of the tokenizer that lies beside one of the record files, or None."""
    for path in files:
        if vocab_path(path).is_file():
            return vocab_path(path)
        if tokenizer_path(path).is_dir():
            return tokenizer_path(path)
    return None


def read_manifest(path):
    """Returns the manifest beside a record file as a dict, or None if there is no manifest (Google's files).

    Raises:
        UserError: the manifest is not a JSON object.
    """
    path = manifest_path(path)
    return read_json(path, what="The manifest") if path.is_file() else None
