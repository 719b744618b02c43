"""Planned instances -> masked TFRecord shards, their manifest and their vocabulary, all of them or none."""

import contextlib
import dataclasses
import json
import re
import tempfile
from pathlib import Path

import numpy as np

from keras_bert.data.masking import ACTIONS, mask_tokens
from keras_bert.data.records import SHARD, manifest_path, vocab_path
from keras_bert.data.wire import frame, serialize
from keras_bert.errors import UserError
from keras_bert.files import atomic_path
from tfrecords.instances import assemble

INSTANCES_PER_BATCH = 1024  # masked and serialised together; part of the output's definition, as the seeds are


@dataclasses.dataclass
class Statistics:
    """Counts over the instances written.

    Attributes:
        instances: how many.
        random_next: instances whose second segment is from another document.
        real_tokens: tokens that are not padding, [CLS] and [SEP] included.
        slots: places in all, padding included.
        predictions: tokens chosen for the masked-LM task.
        actions: how many of those were masked, kept and replaced at random.
    """

    instances: int = 0
    random_next: int = 0
    real_tokens: int = 0
    slots: int = 0
    predictions: int = 0
    actions: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(ACTIONS), np.int64))

    def add(self, features, actions):
        """Counts a batch: its features (as `make_features` returns them) and its masking actions (B, P)."""
        self.instances += len(features["input_ids"])
        self.random_next += int(features["next_sentence_labels"].sum())
        self.real_tokens += int(features["input_mask"].sum())
        self.slots += features["input_mask"].size
        counts = np.bincount(actions[actions >= 0], minlength=len(ACTIONS))
        self.predictions += int(counts.sum())
        self.actions += counts

    def as_dict(self):
        """Returns the counts and the shares that follow from them, ready for JSON."""
        return {
            "instances": self.instances,
            "real_tokens": self.real_tokens,
            "padding_share": round(1 - self.real_tokens / max(1, self.slots), 6),
            "random_next_share": round(self.random_next / max(1, self.instances), 6),
            "predictions": self.predictions,
            "masked_share": round(self.predictions / max(1, self.real_tokens), 6),
            "actions": dict(zip(ACTIONS, self.actions.tolist(), strict=True)),
        }


def make_features(corpus, plan, vocabulary, *, max_seq_length, rng, **masking):
    """Turns planned instances into the features of their records.

    Args:
        corpus: the TokenCorpus of the plan.
        plan: a Plan of B instances.
        vocabulary: a keras_bert.text.vocabulary.Vocabulary.
        max_seq_length: S.
        rng: a numpy Generator.
        **masking: options of `mask_tokens`: rate, max_predictions, whole_word.

    Returns:
        A dict of the seven features as arrays (B, length), and the MaskedBatch.
    """
    input_ids, input_mask, segment_ids = assemble(corpus, plan, vocabulary, max_seq_length=max_seq_length)
    masked = mask_tokens(input_ids, vocabulary, rng=rng, **masking)
    features = {
        "input_ids": masked.input_ids,
        "input_mask": input_mask,
        "segment_ids": segment_ids,
        "masked_lm_positions": masked.positions,
        "masked_lm_ids": masked.ids,
        "masked_lm_weights": masked.weights,
        "next_sentence_labels": plan.is_random[:, None].astype(np.int32),
    }
    return features, masked


def write_shard(path, corpus, plan, vocabulary, *, statistics, progress=None, **options):
    """Writes one TFRecord file of planned instances.

    Args:
        path: where to write; the caller makes it appear whole.
        corpus, plan, vocabulary: see `make_features`.
        statistics: a Statistics to add to.
        progress: called as progress(statistics.instances).
        **options: the rest of `make_features`'s.
    """
    with open(path, "wb") as stream:
        for first in range(0, len(plan), INSTANCES_PER_BATCH):
            batch = plan.take(slice(first, first + INSTANCES_PER_BATCH))
            features, masked = make_features(corpus, batch, vocabulary, **options)
            stream.write(frame(*serialize(features)))
            statistics.add(features, masked.actions)
            if progress:
                progress(statistics.instances)


def write_all(shards, corpus, plan, vocabulary, *, manifest, seed, progress=None, **options):
    """Writes the shards, the manifest and the vocabulary. What is there under a final name is whole.

    Args:
        shards: the paths of the TFRecord files; each takes an equal part of the plan.
        corpus, plan, vocabulary: see `make_features`.
        manifest: dict to write beside them; the counts and the statistics are added.
        seed: int.
        progress: called as progress(instances done, instances).
        **options: the rest of `make_features`'s.

    Returns:
        The manifest as written.

    Raises:
        UserError: more shards than instances, or a disk that does not take them.
    """
    if len(plan) < len(shards):
        raise UserError(f"--num_shards: {len(plan)} instances do not fill {len(shards)} files; ask for fewer.")
    statistics = Statistics()
    bounds = np.linspace(0, len(plan), len(shards) + 1).astype(int)
    with contextlib.ExitStack() as stack:  # renames in reverse order: the manifest comes last
        manifest_file = stack.enter_context(atomic_path(manifest_path(shards[0])))
        vocab_file = stack.enter_context(atomic_path(vocab_path(shards[0])))
        temporaries = [stack.enter_context(atomic_path(path)) for path in shards]
        for number, path in enumerate(temporaries):
            write_shard(
                path,
                corpus,
                plan.take(slice(bounds[number], bounds[number + 1])),
                vocabulary,
                statistics=statistics,
                progress=progress and (lambda done: progress(done, len(plan))),
                rng=np.random.default_rng([seed, 2, number]),
                **options,
            )
        manifest = manifest | {"files": [path.name for path in shards], "statistics": statistics.as_dict()}
        vocabulary.save(vocab_file)
        manifest_file.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return manifest


def claim_outputs(shards, *, vocab_file, force):
    """Checks, before any work, that the outputs may and can be written.

    Args:
        shards: the paths of the TFRecord files to come.
        vocab_file: the vocabulary to use, which may lie beside the shards already.
        force: whether existing files may be replaced.

    Returns:
        Shards of an earlier run under the same name that the new ones do not replace
        (wiki.tfrecord-00003-of-00004 when only two are to be written); a glob would mix them in.

    Raises:
        UserError: an output exists and `force` is off, is a directory, or cannot be written.
    """
    outputs = [*shards, manifest_path(shards[0]), vocab_path(shards[0])]
    folders = {path.parent for path in outputs}
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UserError(
                f"--output_file: cannot write to {folder} ({error.strerror or error}); choose another place."
            ) from error
    stale = sorted(_earlier_shards(shards) - set(outputs))
    if outputs[-1].is_file() and Path(vocab_file).is_file() and outputs[-1].samefile(vocab_file):
        outputs.pop()
    for path in [*outputs, *stale]:
        if path.is_dir():
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
