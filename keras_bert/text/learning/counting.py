"""Counting the words of a corpus in bounded memory, holding a part of it out, and how well a vocabulary spells it."""

import functools
from collections import Counter
from dataclasses import dataclass

import numpy as np

from keras_bert.text.added import KeptTokens, normalizers
from keras_bert.text.normalize import basic_tokens, split_words
from keras_bert.text.rules import TokenizerRules
from keras_bert.text.spelling import UNK
from keras_bert.text.wordpiece.pieces import MAX_CHARS_PER_WORD

MAX_RAW_WORDS = 1_000_000  # distinct words as they stand in the text; about 120 MB
MAX_WORDS = 8_000_000  # distinct normalized words; about 1 GB
# Scripts without case that lower-casing takes apart or strips of marks that are parts of letters: first and last
# character of what is left.
HARMED = {
    "Korean": ("\u1100", "\u11ff"),  # syllables fall apart into these letters
    "Japanese": ("\u3041", "\u30ff"),  # "が" becomes "か"
    "of an Indian script": ("\u0900", "\u0dff"),  # vowel signs go
    "Thai or Lao": ("\u0e01", "\u0eff"),  # vowel signs and tones go
}


def count_words(texts, *, do_lower_case=True, rules=None, max_words=MAX_WORDS, mapper=map):
    """Counts the basic tokens (see normalize.py) of a corpus.

    Words are counted as they stand and normalized once each. Past `max_words` distinct ones the rarest are
    forgotten, those seen once, then twice, and so on: a vocabulary has no use for them.

    Args:
        texts: an iterable of str, of a line or of many, read once.
        do_lower_case: see `basic_tokens`.
        rules: the TokenizerRules to cut by, whose added tokens are not counted; None means `do_lower_case` alone.
        max_words: how many distinct tokens to remember at most.
        mapper: called as the built-in `map` is; one that works in other processes has the texts' words counted
            there. The result is the same if it keeps the order.

    Returns:
        A Counter of str. Words over 200 characters, which BERT cannot spell, are left out.

    >>> sorted(count_words(["Un café, un thé."]).items())
    [(',', 1), ('.', 1), ('cafe', 1), ('the', 1), ('un', 2)]
    """
    rules = TokenizerRules(do_lower_case) if rules is None else rules
    count, normalize = functools.partial(_count_raw, rules), functools.partial(_normalize_into, rules)
    return count_distinct(texts, count, normalize, max_words=max_words, mapper=mapper)


def count_distinct(texts, count, add, *, max_words=MAX_WORDS, mapper=map):
    """Counts what texts are made of in bounded memory, whatever a tokenizer takes for a word.

    Args:
        texts: an iterable of str, read once.
        count: function from a text to the Counter of its words as they stand.
        add: function of two Counters, which adds the words of the second one to the first, each as it is learned from.
        max_words, mapper: see `count_words`.

    Returns:
        A Counter of str.
    """
    raw, counts, floor = Counter(), Counter(), 1
    for counted in mapper(count, texts):
        raw.update(counted)
        if len(raw) > MAX_RAW_WORDS:
            add(counts, raw)
            raw.clear()
            while len(counts) > max_words:
                counts = Counter({word: number for word, number in counts.items() if number > floor})
                floor += 1
    add(counts, raw)
    return counts


def without_kept(text, kept):
    """Returns the stretches of a text between the tokens that KeptTokens keep whole (None keeps none)."""
    return [text[start:end] for start, end, token in kept.split(text) if not token] if kept else [text]


def _count_raw(rules, text):
    """Counts the words of a text as they stand."""
    counts = Counter()
    for part in without_kept(text, _kept(rules) if rules.added_tokens else None):
        counts.update(split_words(part, tokenize_chinese_chars=rules.tokenize_chinese_chars))
    return counts


@functools.lru_cache(maxsize=1)
def _kept(rules):
    return KeptTokens(rules.added_tokens, *normalizers(rules))


def _normalize_into(rules, counts, raw):
    for word, count in raw.items():
        for token in basic_tokens(word, do_lower_case=rules.do_lower_case, strip_accents=rules.strip_accents):
            if len(token) <= MAX_CHARS_PER_WORD:
                counts[token] += count


class HeldOut:
    """Takes a few lines out of a text that passes, evenly spread, to measure on what was not learned from.

    One line in `share` is held out, but at most `size` lines. From a text that would yield less than `least` nothing
    is held out: it passes whole, if in another order, and what was taken is a sample of it.

    Args:
        size: the most lines to hold out, or to take as a sample.
        share: one line in so many; a power of two.
        least: the least number of lines that are worth holding out.

    Attributes:
        lines: the lines taken.
        held_out: whether they were kept from the text that passed on; known at its end.

    >>> sample = HeldOut(share=4, least=2)
    >>> " ".join(sample.watch(["0\\n1\\n2\\n3\\n4", "5\\n6\\n7\\n8\\n9"])).split()
    ['1', '3', '5', '7', '9', '2', '6']
    >>> sample.lines, sample.held_out
    (['0', '4', '8'], True)
    """

    def __init__(self, *, size=5000, share=256, least=40):
        self.size, self.share, self.least = size, share, least
        self.lines, self.held_out = [], False
        self._seen, self._stride = 0, 1

    def watch(self, texts):
        """Yields texts without the lines that are taken; those that were too many follow in later texts."""
        for text in texts:
            rest = []
            for line in text.split("\n"):
                if not line or line.isspace():
                    continue
                taken = self._seen % self._stride == 0
                (self.lines if taken else rest).append(line)
                self._seen += 1
                if len(self.lines) > self.size:
                    rest += self._thin_out()
            yield "\n".join(rest)
        self.held_out = self._seen // self.share >= self.least
        if not self.held_out:
            yield "\n".join(self.lines)
        while self.held_out and self._stride < self.share:
            yield "\n".join(self._thin_out())

    def _thin_out(self):
        """Takes every second line only, and returns those given up."""
        given_up = self.lines[1::2]
        self.lines = self.lines[::2]
        self._stride *= 2
        return given_up


def character_frequencies(counts):
    """Returns a Counter of the characters of words and their counts."""
    frequencies = Counter()
    for word, count in counts.items():
        for char in word:
            frequencies[char] += count
    return frequencies


def scripts_harmed_by_lower_casing(counts):
    """Returns {script: share of the words}, of those whose letters are not whole without accents (NFD, no Mn).

    Args:
        counts: a Counter of lower-cased words.

    >>> scripts_harmed_by_lower_casing(count_words(["한국 and 일본"]))["Korean"]
    0.6666666666666666
    """
    total = max(1, counts.total())
    return {
        script: sum(count for word, count in counts.items() if first <= word[0] <= last) / total
        for script, (first, last) in HARMED.items()
    }


@dataclass(frozen=True)
class Coverage:
    """How well a vocabulary spells a text; `unk` is what it calls an unknown token."""

    words: int
    pieces: int
    unknown: int
    unk: str = UNK

    @property
    def pieces_per_word(self):
        """Pieces for each word or punctuation mark; 1 would be a vocabulary of whole words."""
        return self.pieces / max(1, self.words)

    @property
    def unknown_share(self):
        """The share of words that became [UNK]."""
        return self.unknown / max(1, self.words)

    def __str__(self):
        return f"{self.pieces_per_word:.3f} pieces a word, {self.unknown_share:.4%} {self.unk}"


def coverage(tokenizers, texts):
    """Measures how tokenizers spell texts: words are basic tokens, punctuation marks among them.

    Args:
        tokenizers: a list of `keras_bert.text.tokenizer.Tokenizer`.
        texts: an iterable of str, of a line or of many, read once.

    Returns:
        A list of `Coverage`, one a tokenizer.
    """
    bulks = [tokenizer.bulk() for tokenizer in tokenizers]
    sums = np.zeros((len(bulks), 3), np.int64)
    for text in texts:
        for row, bulk in zip(sums, bulks, strict=True):
            row += _spelled(bulk, text)
    unks = [tokenizer.vocabulary.token(tokenizer.unk_id) for tokenizer in tokenizers]
    return [Coverage(*row, unk) for row, unk in zip(sums.tolist(), unks, strict=True)]


def _spelled(bulk, text):
    """Returns the number of words, of pieces and of unknown ones of a text."""
    tokenizer = bulk.tokenizer
    if tokenizer.rules is not None:
        ids, _ = bulk.token_ids([text])
        words = len(ids) - tokenizer.vocabulary.is_continuation[ids].sum()  # a word begins with one that is not
    else:  # the marks of these kinds say where spaces are, and not where words begin
        lines = [line for line in text.split("\n") if line and not line.isspace()]
        ids, _ = bulk.token_ids(lines)
        words = sum(len(basic_tokens(word, do_lower_case=False)) for line in lines for word in split_words(line))
    return words, len(ids), (ids == tokenizer.unk_id).sum()
