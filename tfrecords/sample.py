"""What a sample of the planned instances shows before all are written: an example, their size, and what looks wrong."""

import functools

import numpy as np

from keras_bert.data.packing import Packing
from tfrecords import stages
from tfrecords.instances import SENTENCE_TASKS, segment_tokens
from tfrecords.show_records import record_text
from tfrecords.writer import make_features

ROWS = 1 << 10
MANY_UNKNOWN = 0.05  # of the tokens; English and Korean with a vocabulary of their own have fewer than one in a hundred
MANY_RANDOM = 0.9  # of the pairs; documents of many sentences give a little over a half


class Sample:
    """The first part of a run's instances, which are dealt out to the parts at random.

    Args:
        job: a tfrecords.stages.Job whose instances are planned.
        vocabulary: its Vocabulary.
    """

    def __init__(self, job, vocabulary):
        self._job, self._vocabulary = job, vocabulary
        self._plan = next(plan for part in range(stages.num_parts(job)) if len(plan := stages.read_plan(job, part)))

    @functools.cached_property
    def _some(self):
        order = np.random.default_rng(self._job.options.random_seed).permutation(len(self._plan))
        return self._plan[order[:ROWS]]

    @functools.cached_property
    def _features(self):
        return self._make_features(self._some)

    def _make_features(self, plan):
        options, packing = self._job.options, stages.pack_instances(self._job, plan)
        if packing is not None:
            plan, packing = plan[packing.order], Packing(np.arange(len(plan)), packing.bounds)
        corpus, layout = stages.open_corpus(self._job), self._vocabulary.layout
        segments = segment_tokens(corpus, plan, options.max_seq_length, layout=layout)
        rng = np.random.default_rng(options.random_seed)
        rows = {"packing": packing, "max_texts": self._job.max_texts}
        return make_features(segments, plan, self._vocabulary, options, **rows, rng=rng)[0]

    def example(self):
        """Returns one record as text."""
        features = self._make_features(self._plan[:1]) if self._job.max_texts is None else self._features
        row = {name: values[0] for name, values in features.items()}
        return record_text(row, self._vocabulary, sentence_task=self._job.options.sentence_task)

    def bytes_each(self):
        """Returns about how many bytes an instance takes in the file."""
        return len(stages.record_bytes(self._features, self._job.options)) / len(self._some)

    def warnings(self):
        """Yields what would make the training worse, with a remedy each."""
        ids, real = self._features["input_ids"], self._features["input_mask"] > 0
        text = real & ~np.isin(ids, self._vocabulary.layout.special_ids(self._vocabulary))
        unknown = np.count_nonzero(text & (ids == self._vocabulary.unk_id)) / max(1, np.count_nonzero(text))
        if unknown > MANY_UNKNOWN:
            yield (
                f"{unknown:.0%} of the tokens are [UNK], since the vocabulary lacks characters of this text; learn a "
                "vocabulary from the text itself (keras-bert train_vocab), or check --vocab_file and --do_lower_case"
            )
        if SENTENCE_TASKS[self._job.options.sentence_task].label != "random_next":
            return
        random = self._plan["label"].mean()
        if random > MANY_RANDOM:
            yield (
                f"{random:.0%} of the next sentences are random, since nearly every document or chunk is a single "
                "sentence and has no next one, so the next-sentence task teaches nothing; choose --sentence_task=none, "
                "or give documents of several sentences, with blank lines only between documents"
            )
