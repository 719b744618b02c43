"""Learning a vocabulary: what gets in, in which order, the same on every run, and what is too small."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from keras_bert.errors import UserError
from keras_bert.text.learning.counting import count_words, coverage
from keras_bert.text.learning.wordpiece import (
    MAX_PIECE_BYTES,
    default_min_char_frequency,
    default_num_unused,
    learn_vocab,
    repeated,
    special_layout,
    vocab_from_counts,
)
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.cli.conftest import make_documents

LINES = [line for document in make_documents(40) for line in document]
ROOT = Path(__file__).resolve().parents[2]


def test_by_hand():
    # the most frequent pair of neighbours first: ##o ##w and then l ##ow (4 each), ##e ##r (3), low ##er (2)
    tokens = learn_vocab(["low low lower lower newer"], vocab_size=18, num_unused=0)
    assert tokens == [*SPECIAL_TOKENS, *"elorw", "##e", "##o", "##r", "##w", "##ow", "low", "##er", "lower"]


def test_what_is_learned_spells_the_text():
    tokens = learn_vocab(LINES, vocab_size=300)
    assert len(set(tokens)) == len(tokens) == 300
    tokenizer = Tokenizer(Vocabulary(tokens))
    assert not any(tokenizer.unk_id in tokenizer.token_ids(line) for line in LINES)
    pieces = sum(len(tokenizer.token_ids(line)) for line in LINES)
    smaller = Tokenizer(Vocabulary(learn_vocab(LINES, vocab_size=150)))
    assert pieces < sum(len(smaller.token_ids(line)) for line in LINES)


def test_casing():
    assert not any(token != token.lower() for token in learn_vocab(LINES, vocab_size=200) if token[0] != "[")
    assert "The" in learn_vocab(LINES, vocab_size=300, do_lower_case=False)
    assert "naïve" in learn_vocab(["naïve naïve"], vocab_size=18, num_unused=0, do_lower_case=False)
    assert "naive" in learn_vocab(["naïve naïve"], vocab_size=18, num_unused=0)


def test_frequent_words_come_before_rare_ones():
    tokens = learn_vocab(LINES, vocab_size=300)
    counts = Counter(word for line in LINES for word in line.lower().replace(".", "").split())
    whole = [token for token in tokens if token in counts and len(token) > 3]
    assert counts[whole[0]] > 10 * counts[whole[-1]]


def test_places_of_the_special_tokens():
    google = Vocabulary(learn_vocab(LINES, vocab_size=300, num_unused=99))
    assert google.special_ids == (0, 100, 101, 102, 103)
    assert google.token(1) == "[unused0]" and google.token(99) == "[unused98]"
    assert learn_vocab(LINES, vocab_size=300)[:6] == [*SPECIAL_TOKENS, "[unused0]"]
    assert special_layout(0) == list(SPECIAL_TOKENS)
    assert [default_num_unused(size) for size in (49, 50, 4950, 10**6)] == [0, 1, 99, 99]


def test_rare_characters_get_no_place():
    lines = ["aa bb"] * 10 + ["ŧŧ a"] + ["ŋ"]
    # ŧ stands twice, but only once inside of a word: ŧŧ is not learned from
    tokens = learn_vocab(lines, vocab_size=12, num_unused=0)
    assert tokens[5:] == ["a", "b", "ŧ", "##a", "##b", "aa", "bb"]
    tokens = learn_vocab([*lines, "xŧ xŧ"], vocab_size=13, num_unused=0)
    assert tokens[5:] == ["a", "b", "x", "ŧ", "##a", "##b", "##ŧ", "aa"]
    tokens = learn_vocab(lines, vocab_size=11, num_unused=0, min_char_frequency=3)
    assert tokens[5:] == ["a", "b", "##a", "##b", "aa", "bb"]


def test_how_rare_depends_on_the_room():
    counts = Counter({"the": 900, "cat": 40, "sat": 30, "down": 8, "ab": 3})
    assert [default_min_char_frequency(counts, room) for room in (1, 2, 3, 4, 5, 100)] == [900, 40, 30, 8, 1, 1]
    words = Counter({f"{a}{b}": 100 for a in "abcdefgh" for b in "abcdefgh"} | {f"{rare}a": 40 for rare in "uvwxyz"})
    # 64 words of 100 fill 60 entries: whoever stands 100 times is covered
    assert "z" not in vocab_from_counts(words, vocab_size=65, num_unused=0)
    assert "z" in vocab_from_counts(words, vocab_size=65, num_unused=0, min_char_frequency=40)
    assert {*"abcdefgh"} < set(vocab_from_counts(words, vocab_size=65, num_unused=0))


def test_the_alphabet_leaves_room_for_words_in_a_script_of_many_letters():
    often, seldom = [chr(0xAC00 + n) for n in range(20)], [chr(0xB000 + n) for n in range(1000)]
    counts = Counter({a + b: 100 for a in often for b in often}) + Counter({c + often[0]: 3 for c in seldom})
    tokens = vocab_from_counts(counts, vocab_size=205, num_unused=0)
    assert [len(token.removeprefix("##")) for token in tokens[5:]] == [1] * 40 + [2] * 160
    assert not {*seldom} & {*tokens}


def test_korean_at_a_small_size(shared):
    fields = json.loads((shared / "data" / "korean" / "korquad" / "KorQuAD_v1.0_dev.json").read_text())
    texts = [paragraph["context"] for article in fields["data"] for paragraph in article["paragraphs"]]
    counts = count_words(texts[100:], do_lower_case=False)
    ours = vocab_from_counts(counts, vocab_size=2000)
    every = vocab_from_counts(counts, vocab_size=2000, min_char_frequency=2)
    letters = [sum(len(token.removeprefix("##")) == 1 for token in tokens) for tokens in (ours, every)]
    assert letters[0] < 0.95 * letters[1]
    tokenizers = [Tokenizer(Vocabulary(tokens), do_lower_case=False) for tokens in (ours, every)]
    mine, theirs = coverage(tokenizers, texts[:100])
    assert mine.pieces_per_word < 0.9 * theirs.pieces_per_word
    assert mine.unknown_share < 0.03


def test_korean_in_lower_case_falls_apart_into_letters():
    tokens = learn_vocab(["한 한 한다 한다"], vocab_size=16, num_unused=0)
    assert "\u1112\u1161\u11ab" in tokens and "한" not in tokens  # three letters of NFD
    assert Tokenizer(Vocabulary(tokens)).tokenize("한다 한") == ["\u1112\u1161\u11ab\u1103\u1161", "\u1112\u1161\u11ab"]


def test_no_piece_is_longer_than_the_graph_tokenizer_takes():
    from keras_bert.text.wordpiece.graph import _MAX_TOKEN_BYTES

    assert MAX_PIECE_BYTES == _MAX_TOKEN_BYTES
    counts = Counter({"가나다라" * 40: 100, "마바" * 43: 90, "low": 50, "lower": 40})
    tokens = vocab_from_counts(counts, vocab_size=49, num_unused=0)
    assert max(len(token.removeprefix("##").encode()) for token in tokens) == 192
    assert len(tokens) == 49 and tokens[-1] == "lower"  # joined after pieces of 258 to 480 bytes
    with pytest.raises(UserError, match="--vocab_size=49 or less"):
        vocab_from_counts(counts, vocab_size=50, num_unused=0)


def test_counts_of_a_large_corpus_are_divided(monkeypatch):
    counts = count_words(LINES)
    thousandfold = Counter({word: 1000 * count for word, count in counts.items()})
    expected = vocab_from_counts(counts, vocab_size=300)
    monkeypatch.setattr("keras_bert.text.learning.wordpiece.MAX_OCCURRENCES", counts.total() + 1)
    seen = []
    monkeypatch.setattr(
        "keras_bert.text.learning.wordpiece.repeated", lambda words: (seen.append(dict(words)), repeated(words))[1]
    )
    assert vocab_from_counts(thousandfold, vocab_size=300) == expected
    assert sum(seen[0].values()) <= counts.total()


def test_an_alphabet_that_is_too_large_is_cut_to_its_most_frequent_part():
    text = ["一 " * 9 + "二 " * 8 + "三 " * 7 + "四 " * 6]
    assert learn_vocab(text, vocab_size=8, num_unused=0)[5:] == ["一", "三", "二"]


def test_what_is_too_small():
    with pytest.raises(UserError, match="no words"):
        learn_vocab(["", "  "], vocab_size=100)
    with pytest.raises(UserError, match="vocabulary of 5 entries has no room"):
        learn_vocab(LINES, vocab_size=5)
    with pytest.raises(UserError, match=r"of 110 entries has no room beside 5 special and 105 \[unusedN\]"):
        learn_vocab(LINES, vocab_size=110, num_unused=105)


@pytest.mark.parametrize("num_unused", [None, 0, 7, 99])
def test_the_size_that_the_error_names_is_the_largest_that_works(num_unused):
    with pytest.raises(UserError, match="too small for a vocabulary of 30000 entries") as caught:
        learn_vocab(LINES, vocab_size=30000, num_unused=num_unused)
    size = int(str(caught.value).partition("--vocab_size=")[2].split()[0])
    assert len(learn_vocab(LINES, vocab_size=size, num_unused=num_unused)) == size
    with pytest.raises(UserError, match="too small"):
        learn_vocab(LINES, vocab_size=size + 1, num_unused=num_unused)


def test_the_order_of_lines_does_not_matter():
    assert learn_vocab(LINES, vocab_size=250) == learn_vocab(reversed(LINES), vocab_size=250)


def test_counts_past_the_length_of_a_chunk():
    counts = Counter({"aab": 250_000, "aac": 100_000, "b": 1, "c": 3})
    assert vocab_from_counts(counts, vocab_size=13, num_unused=0)[5:] == (
        ["a", "b", "c", "##a", "##b", "##c", "aa", "aab"]
    )


def test_the_same_vocabulary_in_every_process():
    """The library below orders by randomly seeded hash maps; three processes would hardly agree by chance."""
    script = (
        "from tests.cli.conftest import make_documents\n"
        "from keras_bert.text.learning.wordpiece import learn_vocab\n"
        "lines = [line for document in make_documents(40) for line in document]\n"
        "print(*learn_vocab(lines, vocab_size=300), sep='\\n')"
    )
    outputs = set()
    for seed in ("0", "1", "2024"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, check=True, text=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert outputs.pop().split("\n")[:-1] == learn_vocab(LINES, vocab_size=300)
