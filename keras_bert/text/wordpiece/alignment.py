"""Where each piece stands in the original text: the rules of normalize.py once more, character by character.

Slower than normalize.py, and needed only where an answer is cut out of the text (SQuAD, NER). A test holds
the two to the same tokens.
"""

import re
from dataclasses import dataclass

from keras_bert.text import characters
from keras_bert.text.characters import regex_class
from keras_bert.text.normalize import combining_class, decompose, drop_control, drop_marks, lower, split_punctuation

_SPACE = r"\t\n\r" + regex_class(characters.SPACES + characters.LINE_SEPARATORS)
_CJK = regex_class(characters.CJK)
_SPACES, _IDEOGRAPHS = re.compile(f"[{_SPACE}]"), re.compile(f"[{_CJK}]")
_WORDS = re.compile(f"[^{_SPACE}]+")
_WORDS_AND_IDEOGRAPHS = re.compile(f"[{_CJK}]|[^{_SPACE}{_CJK}]+")


@dataclass(frozen=True)
class AlignedToken:
    """A basic token, and for each of its characters the (start, end) of what it came from in the word."""

    text: str
    places: list

    def spans(self, pieces):
        """Returns the (start, end) of each of its WordPieces; one that spells nothing ([UNK]) spans the whole token."""
        lengths = [len(piece) - 2 * (number > 0) for number, piece in enumerate(pieces)]  # "##" from the second on
        if sum(lengths) != len(self.text):
            lengths = [len(self.text)]
        spans, first = [], 0
        for length in lengths:
            starts, ends = zip(*self.places[first : first + length], strict=True)
            spans.append((min(starts), max(ends)))
            first += length
        return spans


def placed_words(text, *, tokenize_chinese_chars=True):
    """Yields the start and the text of each word, as `split_words` cuts them.

    >>> list(placed_words("Naïve 東京"))
    [(0, 'Naïve'), (6, '東'), (7, '京')]
    """
    for match in (_WORDS_AND_IDEOGRAPHS if tokenize_chinese_chars else _WORDS).finditer(text):
        yield match.start(), match[0]


def aligned_tokens(word, *, do_lower_case=True, strip_accents=None):
    """Returns the basic tokens of one word, as `basic_tokens` cuts them, with their places in it.

    >>> [(token.text, token.places) for token in aligned_tokens("Ça!")]
    [('ca', [(0, 1), (1, 2)]), ('!', [(2, 3)])]
    """
    placed = [(char, (index, index + 1)) for index, char in enumerate(word) if drop_control(char)]
    placed = _normalized(placed, do_lower_case=do_lower_case, strip_accents=strip_accents)
    tokens, start, places = [], 0, [place for _, place in placed]
    for token in split_punctuation(_text(placed)):
        tokens.append(AlignedToken(token, places[start : start + len(token)]))
        start += len(token)
    return tokens


def normalized_with_places(text, *, do_lower_case=True, strip_accents=None, tokenize_chinese_chars=True):
    """Normalizes a whole text as `normalized_text` does, with the place of each character.

    Returns:
        The text, and a list of the (start, end) of what each of its characters came from.

    >>> normalized_with_places("Ça\\t東")
    ('ca  東 ', [(0, 1), (1, 2), (2, 3), (3, 3), (3, 4), (4, 4)])
    """
    placed = []
    for index, char in enumerate(text):
        place = (index, index + 1)
        if _SPACES.match(char):
            placed.append((" ", place))
        elif tokenize_chinese_chars and _IDEOGRAPHS.match(char):
            placed += [(" ", (index, index)), (char, place), (" ", (index + 1, index + 1))]
        elif drop_control(char):
            placed.append((char, place))
    placed = _normalized(placed, do_lower_case=do_lower_case, strip_accents=strip_accents)
    return _text(placed), [place for _, place in placed]


def _normalized(placed, *, do_lower_case, strip_accents):
    """Lower-cases characters and drops their accents, as the rules ask."""
    if do_lower_case:
        placed = _lower(placed)
    if do_lower_case if strip_accents is None else strip_accents:
        placed = _drop_marks(_decompose(placed))
    return placed


def _text(placed):
    return "".join(char for char, _ in placed)


def _lower(placed):
    """Lower-cases; the word as a whole decides on the form of a sigma, each character alone on lengths."""
    places = [place for char, place in placed for _ in lower(char)]
    return list(zip(lower(_text(placed)), places, strict=True))


def _decompose(placed):
    """NFD: each character by itself, then every run of combining characters into the order of their classes."""
    parts = [(part, place) for char, place in placed for part in decompose(char)]
    start = 0
    while start < len(parts):
        end = start
        while end < len(parts) and combining_class(parts[end][0]):
            end += 1
        parts[start:end] = sorted(parts[start:end], key=lambda item: combining_class(item[0]))
        start = end + 1
    return parts


def _drop_marks(placed):
    """Drops combining marks and lets the character before them cover their places."""
    kept = []
    for char, place in placed:
        if drop_marks(char):
            kept.append((char, place))
        elif kept:
            before, (start, end) = kept[-1]
            kept[-1] = (before, (start, max(end, place[1])))
    return kept
