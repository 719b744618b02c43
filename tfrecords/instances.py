"""Documents -> pairs of segments for the next-sentence task (create_instances_from_document in google-research/bert).

An instance is planned as two spans of the corpus' one long array of tokens, so that planning looks at
the sentences' lengths alone and all copies of all documents advance together, one instance a round.
Three things differ from Google's on purpose: the random half of a pair never comes from the
instance's own document, documents never run on from one file into the next, and a word piece is never
masked with a word on the other side of [SEP].
"""

import dataclasses
from array import array

import numpy as np

from keras_bert.errors import UserError

DOCUMENTS_PER_BLOCK = 4096  # planned together with one generator; part of the output's definition
SPECIAL_TOKENS = 3  # [CLS] a [SEP] b [SEP]


@dataclasses.dataclass(frozen=True)
class TokenCorpus:
    """A tokenised corpus in three flat arrays.

    Attributes:
        tokens: uint16 or int32 (T,), the ids of all sentences one after the other.
        sentences: int64 (number of sentences + 1,), where each begins in `tokens`.
        documents: int64 (number of documents + 1,), where each begins in `sentences`.
    """

    tokens: np.ndarray
    sentences: np.ndarray
    documents: np.ndarray

    def __len__(self):
        return len(self.documents) - 1

    @classmethod
    def from_documents(cls, documents, *, vocab_size):
        """Builds a corpus.

        Args:
            documents: an iterable of documents, each a list of sentences, each a list of ids. Empty
                sentences and documents are left out.
            vocab_size: V, which decides the integers' width.

        Example:
            >>> corpus = TokenCorpus.from_documents([[[7, 8], [9]], [], [[], [5]]], vocab_size=10)
            >>> corpus.tokens.tolist(), corpus.sentences.tolist(), corpus.documents.tolist()
            ([7, 8, 9, 5], [0, 2, 3, 4], [0, 2, 3])
        """
        code = "H" if vocab_size <= 1 << 16 else "i"  # arrays that grow in place: ids of 2 or 4 bytes
        tokens, lengths, counts = array(code), array("i"), array("i")
        for document in documents:
            before = len(lengths)
            for sentence in document:
                if sentence:
                    tokens.extend(sentence)
                    lengths.append(len(sentence))
            if len(lengths) > before:
                counts.append(len(lengths) - before)
        return cls(np.frombuffer(tokens, {"H": np.uint16, "i": np.int32}[code]), _offsets(lengths), _offsets(counts))


def _offsets(lengths):
    """Returns where each part begins and the last one ends: [2, 1] -> [0, 2, 3]."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Instances as spans of the corpus' tokens, one entry each, after truncation.

    Attributes:
        a_start, b_start: int64, where the segments begin in `TokenCorpus.tokens`.
        a_length, b_length: int32, how many tokens they have.
        is_random: bool, whether b is from another document.
    """

    a_start: np.ndarray
    a_length: np.ndarray
    b_start: np.ndarray
    b_length: np.ndarray
    is_random: np.ndarray

    def __len__(self):
        return len(self.a_start)

    def take(self, rows):
        """Returns the plan of some of the instances, by index or slice."""
        return Plan(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))


def plan_instances(corpus, *, max_seq_length=128, short_seq_prob=0.1, dupe_factor=10, seed=12345, progress=None):
    """Plans all instances of a corpus, in random order.

    Args:
        corpus: a TokenCorpus of at least two documents.
        max_seq_length: S, at least 5.
        short_seq_prob: how often a copy of a document is cut into pieces of a random, shorter length.
        dupe_factor: how many copies of each document to make, each with splits of its own.
        seed: int; the same seed gives the same plan.
        progress: called as progress(documents done, documents).

    Returns:
        A Plan.

    Raises:
        UserError: fewer than two documents, or a max_seq_length that holds no pair.
    """
    check_corpus(corpus)
    max_tokens = max_seq_length - SPECIAL_TOKENS
    if max_tokens < 2:
        raise UserError(
            f"max_seq_length must be at least 5: [CLS] a [SEP] b [SEP] with one token each. Received: {max_seq_length}."
        )
    parts = []
    for first in range(0, len(corpus), DOCUMENTS_PER_BLOCK):
        last = min(first + DOCUMENTS_PER_BLOCK, len(corpus))
        rng = np.random.default_rng([seed, 0, first // DOCUMENTS_PER_BLOCK])
        parts += _plan_block(corpus, first, last, dupe_factor, max_tokens, short_seq_prob, rng)
        if progress:
            progress(last, len(corpus))
    plan = Plan(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Plan)))
    return plan.take(np.random.default_rng([seed, 1]).permutation(len(plan)))


def check_corpus(corpus):
    """Raises a UserError unless the corpus has the two documents that the next-sentence task needs."""
    if len(corpus) == 0:
        raise UserError("The input has no text: every line is empty; give files with one sentence or paragraph a line.")
    if len(corpus) == 1:
        raise UserError(
            "The input is a single document, but the next-sentence task takes random sentences from another one: "
            "separate documents by blank lines, or put them in files of their own."
        )


def _plan_block(corpus, first, last, dupe_factor, max_tokens, short_seq_prob, rng):
    """Plans the documents first ... last - 1: a list of Plans, one a round.

    A lane is one copy of one document. In each round every lane that has sentences left takes a chunk
    of them, splits it, and gives one instance.
    """
    sentences, documents = corpus.sentences, corpus.documents
    own = np.tile(np.arange(first, last), dupe_factor)  # (lanes,) the document
    target = np.full(len(own), max_tokens)
    short = rng.random(len(own)) < short_seq_prob
    target[short] = rng.integers(2, max_tokens, short.sum(), endpoint=True)
    begin, end = documents[own], documents[own + 1]  # the sentences that are left
    plans = []
    while len(own):
        # The chunk: sentences until the target is reached or the document ends; at least one.
        stop = np.minimum(np.searchsorted(sentences, sentences[begin] + target), end)
        size = stop - begin
        split = begin + np.where(size > 1, rng.integers(1, np.maximum(size, 2)), 1)
        is_random = (rng.random(len(own)) < 0.5) | (size == 1)
        a_start, a_length = sentences[begin], sentences[split] - sentences[begin]

        # Either the rest of the chunk follows, or sentences of another document that fill the target.
        other = rng.integers(len(corpus) - 1, size=len(own))
        other += other >= own
        other_begin = rng.integers(documents[other], documents[other + 1])
        missing = np.maximum(target - a_length, 1)  # at least one sentence, even if a alone fills the target
        other_stop = np.minimum(np.searchsorted(sentences, sentences[other_begin] + missing), documents[other + 1])
        b_begin, b_stop = np.where(is_random, other_begin, split), np.where(is_random, other_stop, stop)
        b_start, b_length = sentences[b_begin], sentences[b_stop] - sentences[b_begin]

        a_start, a_length, b_start, b_length = _truncate(a_start, a_length, b_start, b_length, max_tokens, rng)
        plans.append(Plan(a_start, a_length.astype(np.int32), b_start, b_length.astype(np.int32), is_random))

        begin = np.where(is_random, split, stop)  # what a random b pushed out is put back
        left = begin < end
        own, target, begin, end = own[left], target[left], begin[left], end[left]
    return plans


def _truncate(a_start, a_length, b_start, b_length, max_tokens, rng):
    """Cuts pairs to max_tokens (Google's truncate_seq_pair): token by token from the longer, from front or back.

    The lengths at which that ends need no loop: the longer one loses what is too much, down to the
    length of the other, and what is still too much goes in turns, b first. How many of a segment's
    cuts hit its front is binomial.
    """
    excess = np.maximum(a_length + b_length - max_tokens, 0)
    half = max_tokens // 2
    new_a = np.where(b_length <= half, max_tokens - b_length, np.minimum(a_length, max_tokens - half))
    new_a = np.where(excess > 0, new_a, a_length)
    new_b = np.where(excess > 0, max_tokens - new_a, b_length)
    a_start = a_start + rng.binomial(a_length - new_a, 0.5)
    b_start = b_start + rng.binomial(b_length - new_b, 0.5)
    return a_start, new_a, b_start, new_b


def assemble(corpus, plan, vocabulary, *, max_seq_length):
    """Lays out planned instances as [CLS] a [SEP] b [SEP] [PAD] ...

    Args:
        corpus: the TokenCorpus of the plan.
        plan: a Plan of B instances.
        vocabulary: a keras_bert.text.vocabulary.Vocabulary.
        max_seq_length: S.

    Returns:
        input_ids, input_mask, segment_ids: int32 (B, S) each.
    """
    place = np.arange(max_seq_length)
    a_end = plan.a_length[:, None] + 1  # where the first [SEP] stands
    b_end = a_end + plan.b_length[:, None] + 1  # where the second stands
    in_b = place > a_end  # (B, S), padding included
    source = np.where(in_b, (plan.b_start[:, None] - a_end - 1), (plan.a_start[:, None] - 1)) + place
    input_mask = place <= b_end
    input_ids = corpus.tokens[np.clip(source, 0, len(corpus.tokens) - 1)].astype(np.int32)
    input_ids[:, 0] = vocabulary.cls_id
    input_ids[(place == a_end) | (place == b_end)] = vocabulary.sep_id
    input_ids[~input_mask] = vocabulary.pad_id
    return input_ids, input_mask.astype(np.int32), (in_b & input_mask).astype(np.int32)
