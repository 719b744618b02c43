"""Counting the words of a corpus in bounded memory, and how well a vocabulary spells them."""

from collections import Counter
from dataclasses import dataclass

from keras_bert.text.normalize import basic_tokens, split_words
from keras_bert.text.wordpiece import MAX_CHARS_PER_WORD

MAX_RAW_WORDS = 1_000_000  # distinct words as they stand in the text; about 120 MB
MAX_WORDS = 8_000_000  # distinct normalized words; about 1 GB


def count_words(lines, *, do_lower_case=True, max_words=MAX_WORDS):
    """Counts the basic tokens (see normalize.py) of a corpus.

    Words are counted as they stand and normalized once each. Past `max_words` distinct ones the rarest are
    forgotten, those seen once, then twice, and so on: a vocabulary has no use for them.

    Args:
        lines: an iterable of str, read once.
        do_lower_case: see `basic_tokens`.
        max_words: how many distinct tokens to remember at most.

    Returns:
        A Counter of str. Words over 200 characters, which BERT cannot spell, are left out.

    >>> sorted(count_words(["Un café, un thé."]).items())
    [(',', 1), ('.', 1), ('cafe', 1), ('the', 1), ('un', 2)]
    """
    raw, counts, floor = Counter(), Counter(), 1
    for line in lines:
        raw.update(split_words(line))
        if len(raw) > MAX_RAW_WORDS:
            _normalize_into(counts, raw, do_lower_case)
            raw.clear()
            while len(counts) > max_words:
                counts = Counter({word: count for word, count in counts.items() if count > floor})
                floor += 1
    _normalize_into(counts, raw, do_lower_case)
    return counts


def _normalize_into(counts, raw, do_lower_case):
    for word, count in raw.items():
        for token in basic_tokens(word, do_lower_case=do_lower_case):
            if len(token) <= MAX_CHARS_PER_WORD:
                counts[token] += count


class LineSample:
    """Passes lines through and keeps at most `size` of them, evenly spread over all that passed.

    >>> sample = LineSample(4)
    >>> _ = list(sample.watch(str(n) for n in range(100)))
    >>> sample.lines
    ['0', '32', '64', '96']
    """

    def __init__(self, size):
        self.size, self.stride, self.lines = size, 1, []

    def watch(self, lines):
        """Yields `lines` unchanged."""
        for number, line in enumerate(lines):
            if number % self.stride == 0:
                self.lines.append(line)
                if len(self.lines) > self.size:
                    self.lines = self.lines[::2]
                    self.stride *= 2
            yield line


@dataclass(frozen=True)
class Coverage:
    """How well a vocabulary spells a text."""

    words: int
    pieces: int
    unknown: int

    @property
    def pieces_per_word(self):
        """Pieces for each word or punctuation mark; 1 would be a vocabulary of whole words."""
        return self.pieces / max(1, self.words)

    @property
    def unknown_share(self):
        """The share of words that became [UNK]."""
        return self.unknown / max(1, self.words)


def coverage(tokenizer, lines):
    """Measures how `tokenizer` spells `lines`: words are basic tokens, punctuation marks among them.

    Returns:
        A `Coverage`.
    """
    words = pieces = unknown = 0
    continues = tokenizer.vocabulary.is_continuation
    for line in lines:
        ids = tokenizer.token_ids(line)
        pieces += len(ids)
        words += sum(not continues[index] for index in ids)  # each word begins with a piece that does not go on
        unknown += ids.count(tokenizer.unk_id)
    return Coverage(words, pieces, unknown)
