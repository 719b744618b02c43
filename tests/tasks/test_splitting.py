"""The held-out share: proportions, seeds, and the same text never on both sides."""

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.splitting import split_examples


def make(counts, **columns):
    """Returns Examples with distinct texts, as many of each class as `counts` says, in mixed order."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts), dtype=np.int32), counts))
    return Examples([f"text {i}" for i in range(len(labels))], labels=labels, **columns)


def test_nothing_is_lost_and_nothing_twice():
    examples = make([30, 20], ids=[str(i) for i in range(50)], weights=np.arange(50, dtype=np.float32))
    train, held_out = split_examples(examples, share=0.2, seed=1)
    assert sorted(train.texts + held_out.texts) == sorted(examples.texts)
    for side in (train, held_out):
        rows = [int(text.split()[1]) for text in side.texts]
        assert rows == sorted(rows) == [int(i) for i in side.ids] == side.weights.tolist()
        assert side.labels.tolist() == examples.labels[rows].tolist()
        assert side.labels.dtype == np.int32


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_classes_keep_their_proportions(share):
    counts = np.array([200, 60, 21, 8])
    _, held_out = split_examples(make(counts), share=share, seed=3)
    found = np.bincount(held_out.labels, minlength=4)
    assert np.abs(found - share * counts).max() <= 1
    assert len(held_out) == pytest.approx(share * counts.sum(), abs=1)


def test_the_seed_decides():
    examples = make([40, 40])
    chosen = [split_examples(examples, seed=seed)[1].texts for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_the_same_text_is_never_on_both_sides():
    texts = [f"text {i % 15}" + " " * (i // 15) for i in range(60)]  # each four times, but for white space
    labels = np.array([i % 2 for i in range(60)], np.int32)
    train, held_out = split_examples(Examples(texts, labels=labels), share=0.3)
    sides = [{text.strip() for text in side.texts} for side in (train, held_out)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 15
    assert 12 <= len(held_out) <= 24


def test_of_pairs_both_texts_count():
    pairs = [f"pair {i // 2}" for i in range(40)]  # rows 2i and 2i + 1 are the same
    examples = Examples(["same"] * 40, pairs, labels=np.array([i // 2 % 2 for i in range(40)], np.int32))
    train, held_out = split_examples(examples, share=0.2)
    assert not set(train.pairs) & set(held_out.pairs)
    assert len(held_out) == 8


def test_a_rare_class_stays_in_training():
    for share in (0.1, 0.9):
        train, _ = split_examples(make([50, 1, 2]), share=share)
        assert set(train.labels) == {0, 1, 2}


def test_numbers_and_several_labels_are_held_out_at_random():
    texts = [str(i) for i in range(50)]
    for labels in (np.linspace(-3, 3, 50, dtype=np.float32), np.eye(50, 5, dtype=np.float32)):
        train, held_out = split_examples(Examples(texts, labels=labels), share=0.2)
        assert (len(train), len(held_out)) == (40, 10)
        assert held_out.labels.shape == (10, *labels.shape[1:])


@pytest.mark.parametrize(
    ("examples", "share", "message"),
    [
        (make([5, 5]), 0.0, "eval_share must be between 0 and 1. Received: 0.0"),
        (make([5, 5]), 1.0, "eval_share must be between 0 and 1"),
        (make([2, 1]), 0.1, "A share of 0.1 of 3 rows holds none of them out; .*--eval_file"),
        (Examples(["a"] * 9, labels=np.arange(9) % 2), 0.5, "holds none of them out"),
    ],
)
def test_what_cannot_be_split(examples, share, message):
    with pytest.raises(UserError, match=message):
        split_examples(examples, share=share)
