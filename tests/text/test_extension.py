"""Extending a vocabulary: worked by hand, checked against trying everything, and what stays as it was."""

from collections import Counter

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.text.learning import extension
from keras_bert.text.learning.counting import count_words, coverage
from keras_bert.text.learning.extension import extend_vocab
from keras_bert.text.learning.wordpiece import MAX_PIECE_BYTES
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import PAD, SPECIAL_TOKENS, Vocabulary
from tests.cli.conftest import make_documents

LINES = [line for document in make_documents(40) for line in document]
LETTERS = [form for char in "abcdefghijklmnopqrstuvwxyz0123456789." for form in (char, f"##{char}")]


def vocabulary(*words, unused=0):
    """[PAD] [unused0] ... [UNK] [CLS] [SEP] [MASK] and the words."""
    return Vocabulary([PAD, *(f"[unused{number}]" for number in range(unused)), *SPECIAL_TOKENS[1:], *words])


def added(old, counts, **options):
    """Extends; returns the new entries by their ids, having seen that all others stand where they stood."""
    new = extend_vocab(old, counts, **options)
    for index, token in enumerate(old.tokens):
        assert new.tokens[index] == token or index in old.unused_ids
    return [token for token in new.tokens if token not in old]


def pieces(vocabulary, counts):
    """How many pieces a vocabulary spells the words with."""
    tokenizer = Tokenizer(vocabulary)
    return sum(count * len(tokenizer.token_ids(word)) for word, count in counts.items())


WORDS = "my heart ##oca ##rd ##ial ##itis ##s".split()


def test_a_stem_is_taken_if_it_saves_more_than_the_words_that_have_it():
    # my ##oca ##rd ##ial 3 x 30, my ##oca ##rd ##itis 3 x 20, but my ##oca ##rd 2 x 50; heart ##s 35;
    # and with the stem: myocard ##ial 30, myocard ##itis 20
    counts = Counter(myocardial=30, myocarditis=20, hearts=35, heart=1000, my=1000)
    expected = ["myocard", "hearts", "myocardial", "myocarditis"]
    for number in (1, 2, 3, 4):
        assert added(vocabulary(*WORDS, unused=number), counts) == expected[:number]
    assert added(vocabulary(*WORDS, unused=9), counts) == expected  # and [unused4] ... stay


def test_a_step_on_the_way_to_a_word_takes_no_slot():
    # 3 x 60 for myocardial, 2 x 80 for the stem, which is worth 2 x 20 once the word is there
    counts = Counter(myocardial=60, myocarditis=20)
    assert added(vocabulary(*WORDS, unused=2), counts) == ["myocardial", "myocarditis"]


def test_what_goes_on_in_words_is_marked():
    counts = Counter({f"{first}ocardial": 10 for first in ("my", "heart")})
    assert added(vocabulary(*WORDS, unused=1), counts) == ["##ocardial"]
    # ##ab 10 + 30 + 30; then it is the second half of a ##b ##ab alone, which abab saves two pieces of
    counts = Counter(abab=10, wab=30, zab=30, vv=15)
    assert added(vocabulary(*"a w z v ##v ##a ##b".split(), unused=5), counts) == ["##ab", "wab", "zab", "abab", "vv"]


def test_a_stretch_that_comes_twice_in_a_word():
    counts = Counter(babababa=10)
    assert added(vocabulary("b", "a", "##b", "##a", unused=1), counts) == ["babababa"]
    # ##ab 2 x 10 + 25 + 25; then x ##ab ##ab is worth 2 x 10
    counts = Counter(xabab=10, wab=25, zab=25, vv=15)
    old = vocabulary(*"x w z v ##v ##a ##b".split(), unused=5)
    assert added(old, counts) == ["##ab", "wab", "zab", "xabab", "vv"]


@pytest.mark.parametrize("seed", range(5))
def test_the_first_entry_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    words = {"".join(rng.choice(list("abcdefgh"), rng.integers(2, 6), replace=False)) for _ in range(30)}
    counts = Counter({word: int(rng.integers(1, 20)) for word in sorted(words)})
    old = vocabulary(*LETTERS, unused=1)
    stretches = {
        f"{'##' if first else ''}{word[first:last]}"
        for word in words
        for first in range(len(word))
        for last in range(first + 2, len(word) + 1)
    }
    possible = [pieces(Vocabulary([PAD, entry, *old.tokens[2:]]), counts) for entry in stretches]
    assert pieces(extend_vocab(old, counts, min_frequency=1), counts) == min(possible)


def test_it_saves_more_than_the_most_frequent_words_would():
    counts = count_words(LINES)
    old = vocabulary(*LETTERS, *"the ##er st ##or ##ain".split(), unused=30)
    new = extend_vocab(old, counts)
    missing = [word for word, _ in counts.most_common() if word not in old and len(word) > 1]
    naive = Vocabulary([PAD, *missing[:30], *old.tokens[31:]])
    assert len(new) == len(old) and not new.unused_ids
    assert pieces(new, counts) < pieces(naive, counts) < 0.9 * pieces(old, counts)
    before, after = coverage([Tokenizer(old), Tokenizer(new)], LINES)
    assert before.words == after.words and after.pieces == pieces(new, counts)


def test_slots_are_filled_in_their_order_and_then_entries_appended():
    old = Vocabulary([*SPECIAL_TOKENS, "[unused5]", *WORDS, "[unused1]"])
    counts = Counter(myocardial=60, myocarditis=20, hearts=10)
    new = extend_vocab(old, counts, vocab_size=15)
    assert new.tokens == (*SPECIAL_TOKENS, "myocardial", *WORDS, "myocarditis", "hearts")
    assert extend_vocab(old, counts).tokens == new.tokens[:14]


def test_characters_that_are_lacking_weigh_more_than_pieces():
    counts = Counter({"β": 5, "hearts": 40, "heart": 9})
    assert added(vocabulary(*WORDS, unused=1), counts) == ["β"]  # 9 x 5 against 1 x 40
    assert added(vocabulary(*WORDS, unused=1), counts | {"hearts": 46}) == ["hearts"]
    new = extend_vocab(vocabulary("a", unused=3), Counter({"aβ": 3, "aβa": 2, "β": 1}))
    assert Tokenizer(new).unk_id not in Tokenizer(new).token_ids("aβ aβa")


def test_rare_words_are_not_taken():
    counts = Counter(myocardial=2, hearts=1)
    assert added(vocabulary(*WORDS, unused=5), counts) == ["myocardial"]
    assert added(vocabulary(*WORDS, unused=5), counts, min_frequency=1) == ["myocardial", "hearts"]
    assert added(vocabulary(*WORDS, unused=5), counts, min_frequency=3) == []


def test_no_entry_is_longer_than_the_graph_tokenizer_takes():
    long = ["가" * 50, "##" + "나" * 30, "##" + "다" * 20]  # 150, 90 and 60 bytes
    old = vocabulary(*long, unused=4)
    assert added(old, Counter({"가" * 50 + "나" * 30 + "다" * 20: 9})) == ["##" + "나" * 30 + "다" * 20]
    assert MAX_PIECE_BYTES == 256


def test_the_order_of_the_counts_does_not_matter():
    counts = count_words(LINES)
    old = vocabulary(*LETTERS, unused=40)
    assert extend_vocab(old, Counter(dict(reversed(counts.items())))).tokens == extend_vocab(old, counts).tokens


def test_of_a_large_corpus_the_most_frequent_words_are_looked_at(monkeypatch):
    counts = count_words(LINES)
    old = vocabulary(*LETTERS, unused=5)
    monkeypatch.setattr(extension, "MAX_STRETCHES", 100)
    few = added(old, counts)
    assert len(few) == 5
    assert few[0] == added(vocabulary(*LETTERS, unused=1), Counter(dict(counts.most_common(20))))[0]


def test_sizes_that_cannot_be(monkeypatch):
    counts = Counter(myocardial=60, myocarditis=20, hearts=10)
    old = vocabulary(*WORDS, unused=1)
    with pytest.raises(UserError, match=f"has {len(old)} entries already; .* Received: 12"):
        extend_vocab(old, counts, vocab_size=12)
    assert len(extend_vocab(old, counts, vocab_size=len(old) + 2)) == len(old) + 2
    message = (
        rf"too small to extend the vocabulary to 40 entries: 3 .* 1 of them .* --vocab_size={len(old) + 2} or less"
    )
    with pytest.raises(UserError, match=message):
        extend_vocab(old, counts, vocab_size=40)
