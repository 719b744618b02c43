"""Parts of records -> record files, their manifest and their vocabulary, all of them or none."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from keras_bert.data.framing import frame
from keras_bert.data.masking import ACTIONS, mask_tokens
from keras_bert.data.packing import lay_out
from keras_bert.data.records import SHARD, manifest_path, tokenizer_path, vocab_path
from keras_bert.data.wire import serialize
from keras_bert.errors import UserError
from keras_bert.outputs import atomic_path
from tfrecords.instances import SENTENCE_TASKS, assemble
from tfrecords.workplace import write_json

FINISHING = "finishing"  # in the run's folder: from now on outputs of its own stand under their final names


@dataclasses.dataclass
class Statistics:
    """Counts over the records written.

    Attributes:
        instances: how many.
        texts: how many texts, or pairs of such, they hold: of packed records more.
        label_1: texts whose label is 1: a random next sentence, or swapped segments.
        real_tokens: tokens that are not padding, [CLS] and [SEP] included.
        slots: places in all, padding included.
        predictions: tokens chosen for the masked-LM task.
        actions: how many of those were masked, kept and replaced at random.
    """

    instances: int = 0
    texts: int = 0
    label_1: int = 0
    real_tokens: int = 0
    slots: int = 0
    predictions: int = 0
    actions: list = dataclasses.field(default_factory=lambda: [0] * len(ACTIONS))

    def add(self, features, actions):
        """Counts a batch: its features (as `make_features` returns them) and its masking actions (B, P), if any."""
        self.instances += len(features["input_ids"])
        weights = features.get("next_sentence_weights")
        self.texts += len(features["input_ids"]) if weights is None else int(np.count_nonzero(weights))
        self.label_1 += int(features["next_sentence_labels"].sum())
        self.real_tokens += int(features["input_mask"].sum())
        self.slots += features["input_mask"].size
        if actions is not None:
            counts = np.bincount(actions[actions >= 0], minlength=len(ACTIONS)).tolist()
            self.predictions += sum(counts)
            self.actions = [a + b for a, b in zip(self.actions, counts, strict=True)]

    def merge(self, other):
        """Adds another's counts, a dict as `dataclasses.asdict` gives it."""
        for name, value in other.items():
            mine = getattr(self, name)
            setattr(
                self, name, [a + b for a, b in zip(mine, value, strict=True)] if name == "actions" else mine + value
            )

    def as_dict(self, *, sentence_task="nsp", dynamic=False, packed=False):
        """Returns the counts and the shares that follow from them, ready for JSON; what was not asked is left out."""
        label = SENTENCE_TASKS[sentence_task].label
        figures = {
            "instances": self.instances,
            **({"texts": self.texts} if packed else {}),
            "real_tokens": self.real_tokens,
            "padding_share": round(1 - self.real_tokens / max(1, self.slots), 6),
        }
        if label:
            figures[f"{label}_share"] = round(self.label_1 / max(1, self.texts), 6)
        if not dynamic:
            figures["predictions"] = self.predictions
            figures["masked_share"] = round(self.predictions / max(1, self.real_tokens), 6)
            figures["actions"] = dict(zip(ACTIONS, self.actions, strict=True))
        return figures


def make_features(segments, plan, vocabulary, options, *, packing=None, max_texts=None, rng):
    """Turns planned instances into the features of their records.

    Args:
        segments: their tokens, from `tfrecords.instances.segment_tokens`.
        plan: `tfrecords.instances.INSTANCE` (I,).
        vocabulary: a keras_bert.text.vocabulary.Vocabulary.
        options: the Options.
        packing: a Packing of the instances, in their order; None for an instance a record.
        max_texts: N, the most instances of a packed record.
        rng: a numpy Generator.

    Returns:
        A dict of the features as arrays (B, length), see `keras_bert.data.records.features_of`: without the masked_lm_
        ones where masking is dynamic; and the masking actions (B, P), or None then.
    """
    input_ids, input_mask, segment_ids = assemble(segments, plan, vocabulary)
    features = {
        "input_ids": input_ids,
        "input_mask": input_mask,
        "segment_ids": segment_ids,
        "next_sentence_labels": plan["label"][:, None].astype(np.int32),
    }
    if packing is not None:
        features = _packed(features, packing, max_texts, pad_id=vocabulary.pad_id)
    if options.dynamic:
        return features, None
    masked = mask_tokens(
        features["input_ids"],
        vocabulary,
        rate=options.masked_lm_prob,
        max_predictions=options.max_predictions_per_seq,
        masking=options.masking,
        rng=rng,
    )
    features |= {
        "input_ids": masked.input_ids,
        "masked_lm_positions": masked.positions,
        "masked_lm_ids": masked.ids,
        "masked_lm_weights": masked.weights,
    }
    return features, masked.actions


def _packed(features, packing, max_texts, *, pad_id):
    """Returns the features of packed rows.

    Args:
        features: those of their instances, in the packing's order.
        packing: the Packing.
        max_texts: N.
        pad_id: the id of padding.
    """
    real = features["input_mask"] > 0
    flat = {name: features[name][real] for name in ("input_ids", "input_mask", "segment_ids")}
    rows, starts = lay_out(flat, np.count_nonzero(real, axis=1), packing, capacity=real.shape[1])
    rows["input_ids"][rows["input_mask"] == 0] = pad_id
    table = packing.table(max_texts)  # (B, N)
    labels, is_text = features["next_sentence_labels"][:, 0], table >= 0
    return {
        **rows,
        "sequence_starts": np.where(is_text, starts[table], 0).astype(np.int32),
        "next_sentence_labels": np.where(is_text, labels[table], 0),
        "next_sentence_weights": is_text.astype(np.float32),
    }


def serialize_features(features):
    """Returns the bytes of the TFRecords of a batch."""
    return frame(*serialize(features))


class ShardWriter:
    """Puts parts together to one record file, so that it can go on where it was killed.

    Each part is appended, then noted with the size that the file has now, then removed. What stands in the file past
    the noted size is of a part that was not noted, and is cut off.

    Args:
        path: where the file grows.
    """

    def __init__(self, path):
        self._path, self._note = Path(path), Path(f"{path}.json")
        noted = json.loads(self._note.read_text(encoding="utf-8")) if self._note.exists() else {"parts": 0, "bytes": 0}
        self.parts, self._bytes = noted["parts"], noted["bytes"]

    def append(self, part):
        """Appends the file `part` and removes it."""
        part = Path(part)
        if self.parts == 0:
            with contextlib.suppress(FileNotFoundError):  # renamed already, but not noted
                os.replace(part, self._path)
        else:
            with open(self._path, "r+b") as stream, open(part, "rb") as source:
                stream.truncate(self._bytes)
                stream.seek(self._bytes)
                shutil.copyfileobj(source, stream, 1 << 20)
        self.parts, self._bytes = self.parts + 1, self._path.stat().st_size
        write_json(self._note, {"parts": self.parts, "bytes": self._bytes})
        part.unlink(missing_ok=True)


def finish(workplace, shards, tokenizer, manifest):
    """Gives the outputs their final names: the record files, the vocabulary or tokenizer, and last the manifest.

    Args:
        workplace: the run's folder, in which the record files lie under the names of `shards`.
        shards: the final paths of the record files.
        tokenizer: the Tokenizer to write beside them, of WordPiece's its vocabulary.
        manifest: the dict to write beside them.
    """
    Path(workplace, FINISHING).touch()
    for path in shards:
        with contextlib.suppress(FileNotFoundError):  # renamed by a run that was killed just here
            os.replace(Path(workplace, path.name), path)
    if tokenizer.kind == "wordpiece":
        tokenizer.vocabulary.save(vocab_path(shards[0]))
    else:
        with atomic_path(tokenizer_path(shards[0])) as temporary:
            temporary.mkdir()
            tokenizer.save_pretrained(temporary)
    with atomic_path(manifest_path(shards[0])) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def check_places(shards):
    """Makes the folders of the outputs, and raises a UserError where nothing can be written."""
    for folder in {path.parent for path in shards}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UserError(
                f"--output_file: cannot write to {folder} ({error.strerror or error}); choose another place."
            ) from error


def claim_outputs(shards, *, vocab_file, force):
    """Checks, before any work, that the outputs may be written. Their folders exist.

    Args:
        shards: the paths of the TFRecord files to come.
        vocab_file: the vocabulary or tokenizer to use, which may lie beside the shards already.
        force: whether existing files may be replaced.

    Returns:
        Shards of an earlier run under the same name that the new ones do not replace
        (wiki.tfrecord-00003-of-00004 when only two are to be written); a glob would mix them in.

    Raises:
        UserError: an output exists and `force` is off, or is a directory.
    """
    outputs = [*shards, manifest_path(shards[0])]
    stale = sorted(_earlier_shards(shards) - set(outputs))
    vocabulary, tokenizer = vocab_path(shards[0]), tokenizer_path(shards[0])
    own = [path for path in (vocabulary, tokenizer) if not (path.exists() and path.samefile(vocab_file))]
    for path in [*outputs, *own, *stale]:
        if path.is_dir() and path != tokenizer:
            raise UserError(f"--output_file: {path} is a directory where a file was expected; choose another name.")
        if path.exists() and not force:
            raise UserError(
                f"--output_file: {path} exists already; pass --force to replace it, or choose another name."
            )
    return stale


def _earlier_shards(shards):
    """Returns the existing files that are the named ones, sharded or not, in any number."""
    names = {(path.parent, SHARD.sub("", path.name)) for path in shards}
    return {
        Path(entry)
        for folder, name in names
        for entry in folder.iterdir()
        if re.fullmatch(re.escape(name) + f"({SHARD.pattern.removesuffix('$')})?", entry.name)
    }
