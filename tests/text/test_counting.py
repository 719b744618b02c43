"""Counting words, sampling lines, and how well a vocabulary spells a text."""

import pytest

from keras_bert.text import counting
from keras_bert.text.counting import LineSample, count_words, coverage
from keras_bert.text.tokenizer import Tokenizer


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


@pytest.mark.parametrize("number", [0, 1, 7, 8, 9, 1000])
def test_a_sample_lies_evenly(number):
    sample, lines = LineSample(8), [str(index) for index in range(number)]
    assert list(sample.watch(iter(lines))) == lines
    picked = [int(line) for line in sample.lines]
    assert min(number, 5) <= len(picked) <= 8
    assert picked == list(range(0, number, sample.stride))


def test_coverage(small_vocabulary):
    covered = coverage(Tokenizer(small_vocabulary), ["the unaffable!", "xyzzy running", ""])
    assert (covered.words, covered.pieces, covered.unknown) == (5, 8, 1)
    assert covered.pieces_per_word == pytest.approx(8 / 5)
    assert covered.unknown_share == pytest.approx(1 / 5)
    assert coverage(Tokenizer(small_vocabulary), []).pieces_per_word == 0
