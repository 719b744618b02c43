"""Counting words, holding lines out, and how well a vocabulary spells a text."""

import pickle
from collections import Counter

import pytest

from keras_bert.text.learning import counting
from keras_bert.text.learning.counting import (
    HeldOut,
    character_frequencies,
    count_words,
    coverage,
    scripts_harmed_by_lower_casing,
)
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


def test_words_are_counted_as_the_tokenizer_cuts_them():
    lines = ["The café, the CAFE!", "", "東京 the", "x" * 201]
    assert count_words(lines) == {"the": 3, "cafe": 2, ",": 1, "!": 1, "東": 1, "京": 1}
    assert count_words(lines[:1], do_lower_case=False) == {"The": 1, "the": 1, "café": 1, "CAFE": 1, ",": 1, "!": 1}


def test_past_the_limit_the_rarest_words_are_forgotten(monkeypatch):
    monkeypatch.setattr(counting, "MAX_RAW_WORDS", 10)
    lines = [f"often sometimes{number % 5} once{number}" for number in range(100)]
    counts = count_words(lines, max_words=20)
    assert counts["often"] == 100
    assert sum(counts[f"sometimes{number}"] for number in range(5)) == 100
    assert len(counts) < 60
    assert len(count_words(lines)) == 106


class Reversing:
    """Works on the later tasks first, as other processes may, and gives the results in order."""

    def map(self, function, tasks):
        tasks = list(tasks)
        return reversed([function(pickle.loads(pickle.dumps(task))) for task in reversed(tasks)])


def test_who_counts_does_not_matter():
    texts = ["The café\nthe CAFE", "東京 the", "", "café"]
    expected = count_words("\n".join(texts).split("\n"))
    assert expected == {"the": 3, "cafe": 3, "東": 1, "京": 1}
    assert count_words(texts, mapper=Reversing().map) == count_words(texts) == expected
    assert list(count_words(texts, mapper=Reversing().map)) == list(expected)


@pytest.mark.parametrize("number", [0, 1, 7, 8, 9, 15, 16, 1000])
@pytest.mark.parametrize("per_text", [1, 3, 400])
def test_lines_are_held_out_evenly_and_no_line_is_lost(number, per_text):
    sample, lines = HeldOut(size=8, share=4, least=4), [str(index) for index in range(number)]
    texts = ["\n".join(lines[first : first + per_text]) for first in range(0, number, per_text)]
    passed = [int(line) for text in sample.watch(texts) for line in text.split()]
    taken = [int(line) for line in sample.lines]
    step = taken[1] if len(taken) > 1 else 1
    assert taken == list(range(0, number, step))
    assert sample.held_out == (number >= 16)
    assert sorted(passed + (taken if sample.held_out else [])) == list(range(number))
    assert len(taken) <= 8 and (step >= 4 if sample.held_out else len(taken) >= min(number, 4))


def test_blank_lines_are_not_held_out():
    sample = HeldOut(share=2, least=1)
    assert "".join(sample.watch(["a\n\n \nb", "\nc"])).split() == ["b"]
    assert sample.lines == ["a", "c"]


def test_coverage(small_vocabulary):
    texts = ["the unaffable!", "xyzzy running\n", ""]
    small, smaller = Tokenizer(small_vocabulary), Tokenizer(Vocabulary([*SPECIAL_TOKENS, "the"]))
    covered, less = coverage([small, smaller], iter(texts))
    assert (covered.words, covered.pieces, covered.unknown) == (5, 8, 1)
    assert (less.words, less.pieces, less.unknown) == (5, 5, 4)
    assert covered.pieces_per_word == pytest.approx(8 / 5)
    assert covered.unknown_share == pytest.approx(1 / 5)
    assert str(covered) == "1.600 pieces a word, 20.0000% [UNK]"
    assert coverage([small], [])[0].pieces_per_word == 0


def test_characters_are_counted_with_their_words():
    assert character_frequencies(Counter({"aab": 2, "b": 3})) == {"a": 4, "b": 5}


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("한국어 문장", "Korean"),
        ("がくせい カタカナ", "Japanese"),
        ("हिन्दी भाषा", "of an Indian script"),
        ("ภาษาไทย", "Thai or Lao"),
    ],
)
def test_scripts_that_lower_casing_harms(text, script):
    shares = scripts_harmed_by_lower_casing(count_words([f"{text} and so on 漢字, été"]))
    assert [name for name, share in shares.items() if share] == [script]
    assert shares[script] == pytest.approx(len(text.split()) / (len(text.split()) + 7))


def test_no_other_script_is_said_to_be_harmed():
    lines = ["The Größe déjà-vu Ελληνικά Русский язык עברית العربية 漢字 ქართული"]
    assert not any(scripts_harmed_by_lower_casing(count_words(lines)).values())
    assert not any(scripts_harmed_by_lower_casing(Counter()).values())
