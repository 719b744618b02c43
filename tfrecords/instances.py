"""Documents -> instances: which sentences go together, for each sentence task (create_instances_from_document).

An instance is planned as one span or two of the corpus' one long array of tokens, so that planning looks at the
sentences' lengths alone, and all copies of all documents advance together, an instance each a round.
Differences from google-research/bert's on purpose: the random half of a pair never comes from the instance's own
document, documents never run on from one file into the next, and documents past 32,768 tokens are cut into stretches
that are planned side by side.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from keras_bert.errors import UserError
from keras_bert.text.layout import BERT

# Spans of TokenCorpus.tokens; without a second segment b_length is 0. 25 bytes.
INSTANCE = np.dtype(
    [("a_start", np.int64), ("b_start", np.int64), ("a_length", np.int32), ("b_length", np.int32), ("label", np.int8)]
)
STRETCH_TOKENS = 1 << 15
INSTANCES_PER_BLOCK = 1 << 18  # planned together with one generator, more or less; part of the output's definition


def plan_block(
    corpus,
    block,
    *,
    sentence_task,
    max_seq_length,
    short_seq_prob,
    dupe_factor,
    rng,
    layout=BERT,
    separator=None,
):
    """Plans all instances that begin in a block of sentences.

    A lane is one copy of one stretch of a document, or of several that follow one another. In each round every lane
    that has text left gives an instance.

    Args:
        corpus: a TokenCorpus.
        block: (first sentence, last sentence + 1), from `blocks_of`.
        sentence_task: a key of SENTENCE_TASKS.
        max_seq_length: S, special tokens included.
        short_seq_prob: how often a lane is cut into pieces of a random, shorter length.
        dupe_factor: how many copies to make, each with cuts of its own.
        rng: a numpy Generator.
        layout: the Layout of the instances.
        separator: the id that ends each document of a corpus `with_separators`, whose instances go on from one document
            to the next; None where each is of one document.

    Yields:
        Arrays of INSTANCE, one a round.
    """
    task = SENTENCE_TASKS[sentence_task]
    plan_round = task.plan_round if separator is None else functools.partial(_across_documents, separator=separator)
    max_tokens = layout.room(max_seq_length, texts=task.texts)
    bounds = _stretches(corpus, *block, across=separator is not None)
    begin, end = np.tile(bounds[:-1], dupe_factor), np.tile(bounds[1:], dupe_factor)
    own = np.searchsorted(corpus.documents, begin, side="right") - 1
    target = np.full(len(own), max_tokens)
    short = rng.random(len(own)) < short_seq_prob
    target[short] = rng.integers(2, max_tokens, short.sum(), endpoint=True)
    if task.by_token:
        begin, end = corpus.sentences[begin], corpus.sentences[end]
    while len(own):
        instances, begin = plan_round(corpus, own, begin, end, target, max_tokens, rng)
        yield instances
        left = begin < end
        own, target, begin, end = own[left], target[left], begin[left], end[left]


def blocks_of(corpus, *, max_seq_length, dupe_factor):
    """Yields the blocks to plan, (first sentence, last sentence + 1): whole documents where they are not too long.

    Args:
        corpus: a TokenCorpus.
        max_seq_length, dupe_factor: what decides how many instances a sentence gives.
    """
    tokens = max(STRETCH_TOKENS, INSTANCES_PER_BLOCK * max_seq_length // (2 * dupe_factor))
    most_sentences = max(1, 4 * INSTANCES_PER_BLOCK // dupe_factor)  # each may be a document, and an instance
    first, last = 0, len(corpus.sentences) - 1
    while first < last:
        stop = np.searchsorted(corpus.sentences, corpus.sentences[first] + tokens)
        stop = min(stop, first + most_sentences, last)
        document = corpus.documents[np.searchsorted(corpus.documents, stop, side="right") - 1]
        stop = int(document if document > first else stop)
        yield first, stop
        first = stop


def expected_instances(corpus, *, max_seq_length, dupe_factor):
    """Returns about how many instances a corpus gives; part of the output's definition, so a plain formula."""
    return 2 * dupe_factor * len(corpus.tokens) // max_seq_length


def _stretches(corpus, first, last, *, across=False):
    """Returns where the stretches of the sentences first ... last - 1 begin, and last: int64 (stretches + 1,).

    A new one begins with each document, unless they go `across`.
    """
    inside = slice(*np.searchsorted(corpus.documents, [first, last], side="right"))
    documents = corpus.documents[:0] if across else corpus.documents[inside]
    bounds = np.unique(np.concatenate([[first], documents, [last]]))
    starts = corpus.sentences[bounds]
    long = np.flatnonzero(np.diff(starts) > STRETCH_TOKENS)
    cuts = [np.searchsorted(corpus.sentences, np.arange(starts[i], starts[i + 1], STRETCH_TOKENS)) for i in long]
    return np.unique(np.concatenate([bounds, *cuts]))


def _next_sentence(corpus, own, begin, end, target, max_tokens, rng):
    """Pairs a chunk's first sentences with its last ones (label 0) or with those of another document (label 1).

    Returns:
        INSTANCE (lanes,), and where each lane goes on: what a random half pushed out is put back.
    """
    sentences, documents = corpus.sentences, corpus.documents
    stop, split = _split_chunks(sentences, begin, end, target, rng, least=1)
    is_random = (rng.random(len(own)) < 0.5) | (stop - begin == 1)

    other = rng.integers(len(corpus) - 1, size=len(own))
    other += other >= own
    other_begin = rng.integers(documents[other], documents[other + 1])
    missing = np.maximum(target - (sentences[split] - sentences[begin]), 1)  # at least one sentence
    other_stop = np.minimum(np.searchsorted(sentences, sentences[other_begin] + missing), documents[other + 1])

    first, last = np.where(is_random, other_begin, split), np.where(is_random, other_stop, stop)
    spans = sentences[begin], sentences[split], sentences[first], sentences[last]
    return _fill(*_truncate(*spans, max_tokens, rng), is_random), np.where(is_random, split, stop)


def _sentence_order(corpus, own, begin, end, target, max_tokens, rng):
    """Pairs a chunk's two halves, in their order (label 0) or swapped (label 1) (ALBERT, Lan et al. 2019, 3.1).

    A single sentence that is left over at a document's end has no order and is dropped.
    """
    sentences = corpus.sentences
    stop, split = _split_chunks(sentences, begin, end, target, rng, least=2)
    swapped = rng.random(len(own)) < 0.5
    spans = sentences[begin], sentences[split], sentences[split], sentences[stop]
    a_start, a_length, b_start, b_length = _truncate(*spans, max_tokens, rng)
    first, second = (a_start, a_length), (b_start, b_length)
    both = [np.where(swapped, *pair) for pair in zip((*second, *first), (*first, *second), strict=True)]
    return _fill(*both, swapped)[stop - begin > 1], stop


def _full_sentences(corpus, own, begin, end, target, max_tokens, rng):
    """Packs whole sentences, at least one, up to the length (RoBERTa's DOC-SENTENCES, Liu et al. 2019, 4.2); label 0.

    Lanes advance by tokens here: of a sentence that is too long by itself nothing is lost, the next instance goes on.
    """
    sentences = corpus.sentences
    stop = sentences[np.searchsorted(sentences, np.minimum(begin + target, end), side="right") - 1]
    one = np.minimum(sentences[np.searchsorted(sentences, begin, side="right")], begin + max_tokens)
    stop = np.where(stop > begin, stop, one)
    return _fill(begin, stop - begin, begin, 0, 0), stop


def _across_documents(corpus, own, begin, end, target, max_tokens, rng, *, separator):
    """Packs whole sentences, of one document and of those after it (FULL-SENTENCES, Liu et al. 2019, 4.2); label 0.

    Between two documents stands their separator; at the end of an instance it is left out.
    """
    sentences, tokens = corpus.sentences, corpus.tokens

    def whole(limit):
        return sentences[np.searchsorted(sentences, np.minimum(limit, end), side="right") - 1]

    def is_separator(place):
        return tokens[np.minimum(place, len(tokens) - 1)] == separator

    more = whole(begin + target + 1)  # of which the last may be a separator
    stop = np.where(more - begin - is_separator(more - 1) <= target, more, whole(begin + target))
    one = np.minimum(sentences[np.searchsorted(sentences, begin, side="right")], begin + max_tokens)
    stop = np.where(stop > begin, stop, one)
    stop = stop + ((stop < end) & is_separator(stop))  # what is left of a long sentence may be nothing else
    return _fill(begin, stop - begin - is_separator(stop - 1), begin, 0, 0), stop


def _split_chunks(sentences, begin, end, target, rng, *, least):
    """Takes a chunk of each lane, sentences until `target` tokens are reached or the lane ends, and splits it.

    Returns:
        stop and split: where the chunk ends and where its second part begins. A chunk of one sentence has none.
    """
    stop = np.searchsorted(sentences, sentences[begin] + target)
    stop = np.minimum(np.maximum(stop, begin + least), end)
    size = stop - begin
    return stop, begin + np.where(size > 1, rng.integers(1, np.maximum(size, 2)), 1)


def _truncate(a_start, a_stop, b_start, b_stop, max_tokens, rng):
    """Cuts pairs to max_tokens (Google's truncate_seq_pair): token by token from the longer, from front or back.

    The lengths at which that ends need no loop: the longer one loses what is too much, down to the
    length of the other, and what is still too much goes in turns, b first. How many of a segment's
    cuts hit its front is binomial.

    Returns:
        a_start, a_length, b_start, b_length.
    """
    a_length, b_length = a_stop - a_start, b_stop - b_start
    excess = np.maximum(a_length + b_length - max_tokens, 0)
    half = max_tokens // 2
    new_a = np.where(b_length <= half, max_tokens - b_length, np.minimum(a_length, max_tokens - half))
    new_a = np.where(excess > 0, new_a, a_length)
    new_b = np.where(excess > 0, max_tokens - new_a, b_length)
    a_start = a_start + rng.binomial(a_length - new_a, 0.5)
    b_start = b_start + rng.binomial(b_length - new_b, 0.5)
    return a_start, new_a, b_start, new_b


def _fill(a_start, a_length, b_start, b_length, label):
    instances = np.empty(len(a_start), INSTANCE)
    instances["a_start"], instances["a_length"] = a_start, a_length
    instances["b_start"], instances["b_length"] = b_start, b_length
    instances["label"] = label
    return instances


@dataclasses.dataclass(frozen=True)
class SentenceTask:
    """What is asked about an instance's segments.

    Attributes:
        plan_round: function that gives each lane's next instance, and where the lane goes on.
        texts: how many segments an instance has, 1 or 2.
        least_documents: how many documents a corpus must have.
        label: what label 1 means; None if nothing is asked.
        by_token: whether lanes advance by tokens and not by sentences.
    """

    plan_round: Callable
    texts: int
    least_documents: int
    label: str | None
    by_token: bool = False

    def least_length(self, layout=BERT):
        """Returns the smallest max_seq_length: two tokens beside the special ones."""
        return layout.num_special(self.texts) + 2


SENTENCE_TASKS = {
    "nsp": SentenceTask(_next_sentence, texts=2, least_documents=2, label="random_next"),
    "sop": SentenceTask(_sentence_order, texts=2, least_documents=1, label="swapped"),
    "none": SentenceTask(_full_sentences, texts=1, least_documents=1, label=None, by_token=True),
}


def check_corpus(corpus, sentence_task):
    """Raises a UserError unless the corpus has the documents that the sentence task needs."""
    if len(corpus) == 0:
        raise UserError("The input has no text: every line is empty; give files with one sentence or paragraph a line.")
    if len(corpus) < SENTENCE_TASKS[sentence_task].least_documents:
        raise UserError(
            "The input is a single document, but the next-sentence task takes random sentences from another one: "
            "separate documents by blank lines, put them in files of their own, say --input_format=lines if each line "
            "is a document, or choose --sentence_task=sop or none."
        )


def lengths_of(plan, layout=BERT):
    """Returns how many tokens planned instances have, special ones among them: int64 (B,)."""
    special = np.where(plan["b_length"] > 0, layout.num_special(2), layout.num_special(1))
    return plan["a_length"].astype(np.int64) + plan["b_length"] + special


def segment_tokens(corpus, plan, size, *, layout=BERT):
    """Reads the tokens of planned instances, in the corpus' order, so that this is quick wherever they lie.

    Args:
        corpus: the TokenCorpus of the plan.
        plan: INSTANCE (B,).
        size: S.
        layout: the Layout of the instances.

    Returns:
        Two arrays (B, S): the tokens of a and of b, each at the places that they have in their instances. What else is
        in them is anything.
    """
    a_place, b_place = layout.starts(plan["a_length"])
    return corpus.windows(plan["a_start"] - a_place, size), corpus.windows(plan["b_start"] - b_place, size)


def assemble(segments, plan, vocabulary):
    """Lays out planned instances, such as [CLS] a [SEP] b [SEP] [PAD] ..., or [CLS] a [SEP] [PAD] ... without a b.

    Args:
        segments: what `segment_tokens` returned, arrays (B, S).
        plan: INSTANCE (B,).
        vocabulary: a keras_bert.text.vocabulary.Vocabulary, whose layout was planned with.

    Returns:
        input_ids, input_mask, segment_ids: int32 (B, S) each.
    """
    layout, (a_tokens, b_tokens) = vocabulary.layout, segments
    size = a_tokens.shape[1]
    place = np.arange(size, dtype=np.int32)
    has_b = plan["b_length"] > 0
    special = np.where(has_b, layout.num_special(2), layout.num_special(1)).astype(np.int32)
    input_mask = place < (plan["a_length"] + plan["b_length"] + special)[:, None]
    in_b = place >= np.where(has_b, layout.starts(plan["a_length"])[1], np.int32(size))[:, None]  # (B, S), padding too
    input_ids = np.where(in_b, b_tokens, a_tokens).astype(np.int32)
    for rows, names in ((has_b, ("a_length", "b_length")), (~has_b, ("a_length",))):
        rows = np.flatnonzero(rows)
        for token, places in layout.special_places(vocabulary, *(plan[name][rows] for name in names)):
            input_ids[rows, places] = token
    input_ids[~input_mask] = vocabulary.pad_id
    segment_ids = (in_b & input_mask).astype(np.int32) if layout.segments else np.zeros_like(input_ids)
    return input_ids, input_mask.astype(np.int32), segment_ids
