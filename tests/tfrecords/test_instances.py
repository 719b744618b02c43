"""Pairs of segments: where they come from, how they are cut, and that nothing is lost."""

import json
import random

import numpy as np
import pytest
from scipy.stats import chisquare

from keras_bert.errors import UserError
from tfrecords import instances
from tfrecords.corpus import CorpusWriter, TokenCorpus, with_separators
from tfrecords.instances import (
    INSTANCE,
    SENTENCE_TASKS,
    _truncate,
    assemble,
    blocks_of,
    check_corpus,
    lengths_of,
    plan_block,
    segment_tokens,
)

FIRST_ID, SEPARATOR = 7, 3


def make_corpus(sentence_lengths):
    """A corpus of documents given as lists of sentence lengths; token i of the corpus has the id FIRST_ID + i."""
    ids = iter(range(FIRST_ID, 1 << 20))
    documents = [[[next(ids) for _ in range(n)] for n in lengths] for lengths in sentence_lengths]
    return TokenCorpus.from_documents(documents, vocab_size=1 << 20)


def random_corpus(documents=40, *, sentences=60, seed=0):
    rng = np.random.default_rng(seed)
    return make_corpus([rng.integers(1, 40, rng.integers(1, sentences)).tolist() for _ in range(documents)])


def document_of(corpus, token):
    return np.searchsorted(corpus.sentences[corpus.documents], token, side="right") - 1


def plan_instances(
    corpus, *, sentence_task="nsp", max_seq_length=128, short_seq_prob=0.1, dupe_factor=10, seed=1, **more
):
    """All blocks' instances, with the fields as attributes."""
    options = {"sentence_task": sentence_task, "short_seq_prob": short_seq_prob, **more}
    lengths = {"max_seq_length": max_seq_length, "dupe_factor": dupe_factor}
    rng = np.random.default_rng(seed)
    rounds = [plan_block(corpus, block, rng=rng, **options, **lengths) for block in blocks_of(corpus, **lengths)]
    return np.concatenate([part for block in rounds for part in block]).view(np.recarray)


@pytest.fixture(scope="module")
def corpus():
    return random_corpus()


@pytest.fixture(scope="module")
def plan(corpus):
    return plan_instances(corpus, max_seq_length=64, dupe_factor=20, seed=3)


def test_segments_stay_within_a_document(corpus, plan):
    for start, length in ((plan.a_start, plan.a_length), (plan.b_start, plan.b_length)):
        assert (length >= 1).all()
        np.testing.assert_array_equal(document_of(corpus, start), document_of(corpus, start + length - 1))


def test_random_next_is_never_of_the_own_document_and_any_other_is_always(corpus, plan):
    same = document_of(corpus, plan.a_start) == document_of(corpus, plan.b_start)
    np.testing.assert_array_equal(same, plan.label == 0)
    follows = plan.label == 0
    assert (plan.b_start >= plan.a_start + plan.a_length)[follows].all()


def test_two_documents_always_lend_to_each_other():
    corpus = make_corpus([[3] * 50, [4] * 50])
    plan = plan_instances(corpus, max_seq_length=32, dupe_factor=10, seed=0)
    np.testing.assert_array_equal(document_of(corpus, plan.a_start) != document_of(corpus, plan.b_start), plan.label)


def test_lengths(plan):
    total = plan.a_length + plan.b_length
    assert total.max() == 61  # 64 less [CLS] and two [SEP]
    assert (total == 61).mean() > 0.5


def test_coin_of_the_next_sentence_is_fair():
    """Chunks of one sentence count as random and bypass the coin, so the corpus has none but at documents' ends."""
    corpus = make_corpus([[5] * 400] * 30)
    plan = plan_instances(corpus, max_seq_length=48, short_seq_prob=0.0, dupe_factor=10, seed=1)
    ends = corpus.sentences[corpus.documents[1:]]
    tossed = ~np.isin(plan.a_start + plan.a_length, ends)  # an `a` up to the end of its document was a chunk of one
    heads = plan.label[tossed].sum()
    assert tossed.sum() > 10_000
    assert chisquare([heads, tossed.sum() - heads]).pvalue > 1e-3


def test_a_single_sentence_has_no_next():
    plan = plan_instances(make_corpus([[4], [5], [6]]), max_seq_length=16, dupe_factor=4)
    assert len(plan) == 12
    assert plan.label.all()


def test_no_text_is_lost_or_used_twice():
    """Equal sentences that fill the target exactly need no cutting, so segments of own text tile the corpus."""
    corpus = make_corpus([[5] * n for n in (1, 2, 3, 30, 77)])
    plan = plan_instances(corpus, max_seq_length=43, short_seq_prob=0.0, dupe_factor=1, seed=8)
    own = np.zeros(len(corpus.tokens), int)
    for i in range(len(plan)):
        own[plan.a_start[i] : plan.a_start[i] + plan.a_length[i]] += 1
        if not plan.label[i]:
            own[plan.b_start[i] : plan.b_start[i] + plan.b_length[i]] += 1
    assert (own == 1).all()


def test_short_sequences_come_at_their_rate():
    """Of one-token sentences, a document's first chunk shows the target; it is 2 to 60 alike where it is short."""
    corpus = make_corpus([[1] * 61] * 1500)
    plan = plan_instances(corpus, max_seq_length=63, short_seq_prob=0.3, dupe_factor=5, seed=2)
    begins = corpus.sentences[corpus.documents[:-1]]
    first = np.isin(plan.a_start, begins) & (plan.label == 0)
    counts = np.bincount((plan.a_length + plan.b_length)[first], minlength=61)[2:]
    expected = np.full(59, 0.3 / 59)
    expected[-1] += 0.7
    assert counts.sum() > 3000
    assert chisquare(counts, expected * counts.sum()).pvalue > 1e-3


def loop_truncate(a, b, limit, rng):
    """Google's truncate_seq_pair as a loop over tokens."""
    while len(a) + len(b) > limit:
        longer = a if len(a) > len(b) else b
        longer.pop(0 if rng.random() < 0.5 else -1)
    return a, b


def test_truncation_ends_at_the_loops_lengths():
    lengths = np.array([(a, b) for a in range(1, 16) for b in range(1, 16)])
    zeros = np.zeros(len(lengths), int)
    for limit in range(2, 14):
        _, new_a, _, new_b = _truncate(zeros, lengths[:, 0], zeros, lengths[:, 1], limit, np.random.default_rng(0))
        loop = [loop_truncate(list(range(a)), list(range(b)), limit, random.Random(0)) for a, b in lengths]
        assert list(zip(new_a, new_b, strict=True)) == [(len(a), len(b)) for a, b in loop]


def test_truncation_cuts_front_and_back_like_the_loop():
    runs, limit = 20_000, 10
    rng, loop_rng = np.random.default_rng(0), random.Random(0)
    zeros = np.zeros(runs, int)
    start, length, _, _ = _truncate(zeros, zeros + 13, zeros, zeros + 2, limit, rng)
    fronts = [loop_truncate(list(range(13)), [0, 0], limit, loop_rng)[0][0] for _ in range(runs)]
    assert set(length.tolist()) == {8}
    expected = np.array([1, 5, 10, 10, 5, 1]) * runs / 32
    assert chisquare(np.bincount(start, minlength=6), expected).pvalue > 1e-3
    assert chisquare(np.bincount(fronts, minlength=6), expected).pvalue > 1e-3


def loop_instances(corpus, max_tokens, short_seq_prob, rng):
    """Google's create_instances_from_document as a loop: (a length, b length, is random) before truncation."""
    lengths = np.diff(corpus.sentences).tolist()
    bounds = corpus.documents.tolist()
    for d in range(len(corpus)):
        target = rng.randint(2, max_tokens) if rng.random() < short_seq_prob else max_tokens
        chunk, i = [], bounds[d]
        while i < bounds[d + 1]:
            chunk.append(lengths[i])
            if i == bounds[d + 1] - 1 or sum(chunk) >= target:
                a_end = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
                a, b, is_random = sum(chunk[:a_end]), sum(chunk[a_end:]), False
                if len(chunk) == 1 or rng.random() < 0.5:
                    is_random, b = True, 0
                    other = rng.choice([o for o in range(len(corpus)) if o != d])
                    for j in range(rng.randint(bounds[other], bounds[other + 1] - 1), bounds[other + 1]):
                        b += lengths[j]
                        if b >= target - a:
                            break
                    i -= len(chunk) - a_end
                yield a, b, is_random
                chunk = []
            i += 1


def test_instances_are_distributed_like_the_loops():
    corpus = random_corpus(documents=60, seed=5)
    copies, max_tokens = 40, 93
    plan = plan_instances(corpus, max_seq_length=max_tokens + 3, short_seq_prob=0.3, dupe_factor=copies, seed=6)
    rng = random.Random(7)
    loop = [
        [min(a + b, max_tokens), r] for _ in range(copies) for a, b, r in loop_instances(corpus, max_tokens, 0.3, rng)
    ]
    loop = np.array(loop, float)
    ours = np.stack([plan.a_length + plan.b_length, plan.label], axis=1).astype(float)
    assert len(ours) == pytest.approx(len(loop), rel=0.03)
    error = np.sqrt(ours.var(axis=0) / len(ours) + loop.var(axis=0) / len(loop))
    assert (np.abs(ours.mean(axis=0) - loop.mean(axis=0)) < 4 * error).all()


def test_copies_differ_and_seeds_decide(corpus):
    def key(plan):
        return np.stack([plan.a_start, plan.a_length, plan.b_start, plan.b_length], axis=1)

    one, again, other = (plan_instances(corpus, dupe_factor=2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(key(one), key(again))
    assert not np.array_equal(key(one), key(other))
    assert len(np.unique(key(one), axis=0)) > 0.8 * len(one)


@pytest.mark.parametrize(("stretch", "block"), [(1 << 15, 1 << 18), (200, 10), (50, 1)])
@pytest.mark.parametrize("task", SENTENCE_TASKS)
def test_blocks_and_stretches_tile_the_corpus(monkeypatch, task, stretch, block):
    """However it is cut, each document's own text is used once a copy, but for what truncation and sop drop."""
    monkeypatch.setattr(instances, "STRETCH_TOKENS", stretch)
    monkeypatch.setattr(instances, "INSTANCES_PER_BLOCK", block)
    corpus = make_corpus([[5] * n for n in (1, 2, 3, 300, 77, 8, 9, 41)])
    blocks = list(blocks_of(corpus, max_seq_length=43, dupe_factor=2))
    assert [first for first, _ in blocks[1:]] == [last for _, last in blocks[:-1]]
    assert (blocks[0][0], blocks[-1][1]) == (0, len(corpus.sentences) - 1)
    assert len(blocks) > 1 or block == 1 << 18
    plan = plan_instances(corpus, sentence_task=task, max_seq_length=43, short_seq_prob=0, dupe_factor=2, seed=4)
    used = np.zeros(len(corpus.tokens), int)
    for one in plan:
        used[one.a_start : one.a_start + one.a_length] += 1
        if task != "nsp" or not one.label:
            used[one.b_start : one.b_start + one.b_length] += 1
        assert document_of(corpus, one.a_start) == document_of(corpus, one.a_start + one.a_length - 1)
    assert used.max() == 2
    assert (used == 2).mean() == (1 if task != "sop" else pytest.approx(1, abs=0.35))


def test_blocks_are_whole_documents_where_these_are_short():
    corpus = random_corpus(documents=300)
    blocks = list(blocks_of(corpus, max_seq_length=64, dupe_factor=400))
    assert len(blocks) > 3
    assert {first for first, _ in blocks} <= set(corpus.documents.tolist())


def test_sentence_order():
    """Both halves are of one chunk and touch; half of the pairs are swapped, which is what the label says."""
    corpus = make_corpus([[5] * 400] * 30 + [[4]])
    plan = plan_instances(corpus, sentence_task="sop", max_seq_length=48, dupe_factor=10, seed=1)
    a, b = (plan.a_start, plan.a_start + plan.a_length), (plan.b_start, plan.b_start + plan.b_length)
    swapped = plan.label == 1
    assert (a[1] <= b[0])[~swapped].all()
    assert (b[1] <= a[0])[swapped].all()
    np.testing.assert_array_equal(document_of(corpus, plan.a_start), document_of(corpus, plan.b_start))
    assert (plan.a_length >= 1).all()
    assert (plan.b_length >= 1).all()
    assert (plan.a_length + plan.b_length).max() == 45
    assert chisquare(np.bincount(plan.label)).pvalue > 1e-3
    assert 30 not in document_of(corpus, plan.a_start)  # a single sentence has no order


def test_sentence_order_takes_two_sentences_even_if_one_fills_the_target():
    plan = plan_instances(make_corpus([[50, 50, 50]]), sentence_task="sop", max_seq_length=23, short_seq_prob=0)
    assert len(plan) == 10
    assert (plan.a_length == 10).all()
    assert (plan.b_length == 10).all()


def test_full_sentences_are_packed():
    """As many whole sentences as fit; a sentence that is too long goes on in the next instance, nothing is lost."""
    corpus = make_corpus([[4, 4, 4, 25, 3], [6]])
    plan = plan_instances(corpus, sentence_task="none", max_seq_length=12, short_seq_prob=0, dupe_factor=1)
    assert sorted(zip(plan.a_start.tolist(), plan.a_length.tolist(), strict=True)) == [
        (0, 8), (8, 4), (12, 10), (22, 10), (32, 8), (40, 6)
    ]  # fmt: skip
    assert not plan.b_length.any()
    assert not plan.label.any()


def test_full_sentences_stay_whole_where_sequences_are_short():
    corpus = make_corpus([[7] * 50] * 4)
    plan = plan_instances(corpus, sentence_task="none", max_seq_length=32, short_seq_prob=1, dupe_factor=20)
    assert (plan.a_start % 7 == 0).all()
    assert set(plan.a_length.tolist()) == {7, 14, 21, 28}


def separated(corpus, tmp_path):
    """Returns the corpus with SEPARATOR at the end of each document."""
    with CorpusWriter(tmp_path, vocab_size=1 << 20) as writer:
        with_separators(corpus, SEPARATOR, writer)
    return TokenCorpus.open(tmp_path, vocab_size=1 << 20)


def test_full_sentences_go_on_from_document_to_document(tmp_path):
    """A separator stands between two documents, not at an end of an instance, where it would be one too many."""
    corpus = separated(make_corpus([[4, 4], [2], [6, 4], [10], [25], [3], [7]]), tmp_path)
    options = {"sentence_task": "none", "max_seq_length": 12, "short_seq_prob": 0, "dupe_factor": 1}
    plan = plan_instances(corpus, **options, separator=SEPARATOR)
    rows = [corpus.tokens[a : a + n].tolist() for a, n in zip(plan.a_start, plan.a_length, strict=True)]
    first = FIRST_ID

    def run(length):
        nonlocal first
        first += length
        return list(range(first - length, first))

    between = [SEPARATOR]
    assert rows == [
        run(8), run(2) + between + run(6), run(4), run(10), run(10), run(10), run(5) + between + run(3), run(7)
    ]  # fmt: skip


@pytest.mark.parametrize("size", [12, 33, 128])
def test_full_sentences_across_documents_lose_nothing(size, tmp_path):
    corpus = separated(random_corpus(), tmp_path)
    options = {"sentence_task": "none", "max_seq_length": size, "short_seq_prob": 0, "dupe_factor": 1}
    plan = np.sort(plan_instances(corpus, **options, separator=SEPARATOR), order="a_start").view(np.recarray)
    assert (plan.a_length >= 1).all() and plan.a_length.max() == size - 2
    ends = plan.a_start + plan.a_length
    between = [corpus.tokens[a:b].tolist() for a, b in zip(ends[:-1], plan.a_start[1:], strict=True)]
    assert all(each in ([], [SEPARATOR]) for each in between)
    assert not np.any(corpus.tokens[plan.a_start] == SEPARATOR) and not np.any(corpus.tokens[ends - 1] == SEPARATOR)
    assert plan.a_start[0] == 0 and ends[-1] == len(corpus.tokens) - 1
    # As many whole sentences as fit: the next one would not have.
    whole = np.isin(plan.a_start[1:], corpus.sentences)
    after = corpus.sentences[np.searchsorted(corpus.sentences, plan.a_start[1:][whole], side="right")]
    after -= corpus.tokens[after - 1] == SEPARATOR
    assert whole.sum() > 10 and (after - plan.a_start[:-1][whole] > size - 2).all()


def test_layout(vocabulary):
    corpus = make_corpus([[3], [2]])
    plan = plan_instances(corpus, max_seq_length=10, dupe_factor=1, seed=0)
    ids, mask, segments = assemble(segment_tokens(corpus, plan, 10), plan, vocabulary)
    rows = {tuple(row) for row in ids.tolist()}
    assert rows == {(2, 7, 8, 9, 3, 10, 11, 3, 0, 0), (2, 10, 11, 3, 7, 8, 9, 3, 0, 0)}
    assert mask.tolist() == [[1] * 8 + [0] * 2] * 2
    for row, segment in zip(ids.tolist(), segments.tolist(), strict=True):
        first = row.index(vocabulary.sep_id)
        assert segment == [0] * (first + 1) + [1] * (7 - first) + [0, 0]


def test_layout_of_a_single_segment(vocabulary):
    corpus = make_corpus([[3, 2]])
    plan = np.array([(0, 0, 5, 0, 0)], INSTANCE)
    ids, mask, segments = assemble(segment_tokens(corpus, plan, 9), plan, vocabulary)
    assert ids.tolist() == [[2, 7, 8, 9, 10, 11, 3, 0, 0]]
    assert mask.tolist() == [[1] * 7 + [0] * 2]
    assert not segments.any()


@pytest.mark.parametrize(
    ("lengths", "task", "message"),
    [
        ([], "none", "has no text"),
        ([[3, 4]], "nsp", "single document.*blank lines.*--sentence_task=sop or none"),
    ],
)
def test_a_corpus_that_has_too_little(lengths, task, message):
    with pytest.raises(UserError, match=message):
        check_corpus(make_corpus(lengths), task)


def test_shortest_length_that_works():
    plan = plan_instances(make_corpus([[3], [4]]), max_seq_length=5, dupe_factor=3)
    assert (plan.a_length == 1).all()
    assert (plan.b_length == 1).all()


def test_sentence_order_is_cut_as_albert_s_code_cuts_it(shared):
    """Its instances of one sentence get a second one from another document, in spite of the paper; ours have none."""
    golden = json.loads((shared / "golden" / "google" / "albert" / "sentence_order.json").read_text())
    corpus = make_corpus([[len(sentence) for sentence in document] for document in golden["documents"]])
    sizes = {"max_seq_length": golden["max_seq_length"], "dupe_factor": golden["times"]}
    plan = plan_instances(corpus, sentence_task="sop", **sizes)
    assert abs(plan.label.mean() - 0.5) < 4 * np.sqrt(0.25 / len(plan))
    in_order = golden["counts"]["label_0_same_document_in_order"]
    assert (plan.label == 0).sum() == pytest.approx(in_order, rel=0.06)
    lengths = np.bincount(lengths_of(plan))
    whole = {int(n): count for n, count in golden["lengths"].items() if 300 < count < 500}  # ends of documents, mostly
    assert len(whole) == 7
    for length, count in whole.items():
        assert abs(lengths[length] - count) < 4 * np.sqrt(2 * count), length
