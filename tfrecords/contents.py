"""What pre-training records hold, counted, and whether their manifest says the same.

Legend: B records, S sequence (max_seq_length), P predictions (max_predictions_per_seq), V vocabulary.
"""

import numpy as np

from keras_bert.data.columns import read_columns
from keras_bert.data.manifests import count_examples
from keras_bert.data.masking import ACTIONS, KEPT, MASKED, RANDOM
from keras_bert.data.values import check_values
from tfrecords.instances import SENTENCE_TASKS
from tfrecords.writer import Statistics


class Contents:
    """What records hold, counted.

    Args:
        vocabulary: a Vocabulary; None where it is not known.

    Attributes:
        statistics: the tfrecords.writer.Statistics, as the data tool counts them.
        tokens: int64, how often each token stands in the text before masking, [CLS] and [SEP] included: (V,), or
            without a vocabulary as long as the ids go.
        lengths: int64, entry n says how many texts have n tokens: records, or parts of packed ones.
        layouts: the distinct (S, P) of the records; P is None where masking is left to the training.
        max_texts: the distinct N of the records; None where a record is one text.
        mask_id: the id of [MASK]; without a vocabulary the one that hides most tokens, None before any does.
    """

    def __init__(self, vocabulary=None):
        self._vocab_size = len(vocabulary) if vocabulary else None
        self.mask_id = vocabulary.mask_id if vocabulary else None
        self.statistics = Statistics()
        self.tokens = np.zeros(self._vocab_size or 0, np.int64)
        self.lengths = np.zeros(0, np.int64)
        self.layouts, self.max_texts = [], []

    @property
    def packed(self):
        """Whether records are rows of several texts."""
        return any(most is not None for most in self.max_texts)

    @property
    def dynamic(self):
        """Whether no record is masked."""
        return all(predictions is None for _, predictions in self.layouts)

    def add(self, batch, *, path, number):
        """Counts a batch of `read_columns`, whose first record is the file's `number`, counting from 1.

        Raises:
            UserError: ids outside of the vocabulary, or values that no such record has.
        """
        check_values(batch, self._vocab_size, path=path, number=number)
        masked = "masked_lm_ids" in batch
        layout = batch["input_ids"].shape[1], batch["masked_lm_ids"].shape[1] if masked else None
        if layout not in self.layouts:
            self.layouts.append(layout)
        most = batch["sequence_starts"].shape[1] if "sequence_starts" in batch else None
        if most not in self.max_texts:
            self.max_texts.append(most)
        self.statistics.add(batch, self._actions(batch) if masked else None)
        real = batch["input_mask"] > 0
        self.tokens = _sum(self.tokens, np.bincount(original_ids(batch)[real]))
        self.lengths = _sum(self.lengths, np.bincount(_text_lengths(batch)))

    def _actions(self, batch):
        """Returns the masking actions (B, P) as far as they show: what was replaced by itself counts as kept."""
        now = np.take_along_axis(batch["input_ids"], batch["masked_lm_positions"], axis=1)
        valid, kept = batch["masked_lm_weights"] > 0, now == batch["masked_lm_ids"]
        if self.mask_id is None and (valid & ~kept).any():
            self.mask_id = int(np.bincount(now[valid & ~kept]).argmax())
        cases = {-1: ~valid, ACTIONS.index(MASKED): now == self.mask_id, ACTIONS.index(KEPT): kept}
        return np.select(list(cases.values()), list(cases), default=ACTIONS.index(RANDOM))


def contents_of(files, vocabulary=None, *, limit=None, progress=None):
    """Returns the Contents of record files, read one after the other.

    Args:
        files: paths of TFRecord files.
        vocabulary: a Vocabulary, or None.
        limit: read no more records than that; None reads all.
        progress: called as progress(stage, done, total, unit), or None.

    Raises:
        UserError: a file cannot be read, is damaged or empty, or holds what is not a pre-training record.
    """
    report = progress or (lambda *_: None)
    total = count_examples(files) if limit is None else limit
    contents = Contents(vocabulary)
    for path, number, batch in _batches(files, limit):
        contents.add(batch, path=path, number=number)
        done = contents.statistics.instances
        report("reading", min(done, total - 1), total, "record")  # there may be more than the manifest says
    report("reading", done, done, "record")
    return contents


def _batches(files, limit):
    """Yields (path, number of the first record, batch) up to `limit` records."""
    left = limit
    for path in files:
        number = 1
        for batch in read_columns(path):
            yield path, number, {name: values[:left] for name, values in batch.items()}
            number += len(batch["input_ids"])
            if left is not None:
                left -= len(batch["input_ids"])
                if left <= 0:
                    return


def disagreements(manifest, contents, *, whole):
    """Yields (what, the manifest's, the records') for each point in which the two contradict each other.

    Args:
        manifest: the dict.
        contents: the Contents.
        whole: whether those are of all files of the manifest and of no other.
    """
    found = [("max_seq_length", length) for length, _ in contents.layouts]
    found += [("max_predictions_per_seq", most) for _, most in contents.layouts if most is not None]
    found += [("dynamic", most is None) for _, most in contents.layouts]
    found += [("max_texts_per_row", most) for most in contents.max_texts]
    for name, value in dict.fromkeys(found):  # what a manifest does not say contradicts nothing
        if manifest.get(name, value) != value:
            yield name, manifest[name], value
    task = manifest.get("sentence_task", "nsp")
    if SENTENCE_TASKS[task].label is None and contents.statistics.label_1:
        yield "records whose label is 1", 0, contents.statistics.label_1
    said = _comparable(manifest.get("statistics") or {})
    seen = _comparable(
        contents.statistics.as_dict(sentence_task=task, dynamic=contents.dynamic, packed=contents.packed)
    )
    for name in seen:
        differs = seen[name] != said.get(name, seen[name])
        if differs and (whole or (name == "instances" and seen[name] > said[name])):
            yield name.replace("_", " "), said[name], seen[name]


def _comparable(figures):
    """Returns the statistics that can be read off the records: whether a token was kept by chance cannot."""
    counts = {name: value for name, value in figures.items() if name != "actions"}
    if "actions" in figures:
        counts["tokens behind [MASK]"] = figures["actions"][MASKED]
    return counts


def original_ids(batch):
    """Returns the ids of a batch of records, (B, S), before masking."""
    ids = batch["input_ids"].copy()
    if "masked_lm_ids" in batch:
        rows, slots = np.nonzero(batch["masked_lm_weights"])
        ids[rows, batch["masked_lm_positions"][rows, slots]] = batch["masked_lm_ids"][rows, slots]
    return ids


def _text_lengths(batch):
    """Returns the number of tokens of each text of a batch of records, int64 (texts,)."""
    if "sequence_ids" not in batch:
        return np.count_nonzero(batch["input_mask"], axis=1)
    rows, _ = np.nonzero(batch["sequence_ids"])
    most = batch["sequence_starts"].shape[1]
    lengths = np.bincount(rows * most + batch["sequence_ids"][batch["sequence_ids"] > 0] - 1)
    return lengths[lengths > 0]


def _sum(counts, more):
    """Returns the sum of two arrays of counts, of which one may be longer.

    >>> _sum(np.array([1, 2]), np.array([10, 0, 5])).tolist()
    [11, 2, 5]
    """
    short, long = sorted((counts, more), key=len)
    long = long.copy()
    long[: len(short)] += short
    return long
