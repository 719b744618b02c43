"""Added tokens found in a text, as the `tokenizers` library finds them (extract_and_normalize in added_vocabulary.rs).

    text -> tokens that are looked for in the text itself -> in what is left, normalized: the others

Each time the leftmost match counts, and of several there the longest.
"""

import functools
import re
import unicodedata

from keras_bert.text.normalize import normalized_text
from keras_bert.text.rules import FLAGS
from keras_bert.text.wordpiece.alignment import normalized_with_places

_SPACES = re.compile(r"\s*")
_WORD_CATEGORIES = {"Nd", "Nl", "Pc", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me"}  # \w of Rust's regex


class KeptTokens:
    """Tokens to keep whole in a text.

    Args:
        tokens: AddedTokens.
        normalized: the function that normalizes a text.
        normalized_with_places: likewise, to the text and the (start, end) of what each of its characters came from.

    Attributes:
        tokens: the same, of different contents.
        raw, normalized: {what to look for: token}, in the text and in the normalized text.

    >>> from keras_bert.text.rules import AddedToken
    >>> tokens = [AddedToken("[S]"), AddedToken("Covid", special=False)]
    >>> kept = KeptTokens(tokens, normalized_text, normalized_with_places)
    >>> [(start, end, token and token.content) for start, end, token in kept.split("a[S] COVID")]
    [(0, 1, None), (1, 4, '[S]'), (4, 5, None), (5, 10, 'Covid')]
    """

    def __init__(self, tokens, normalized, normalized_with_places):
        self.tokens = tuple(tokens)
        self._normalize, self._normalize_with_places = normalized, normalized_with_places
        self.raw = {token.content: token for token in self.tokens if not token.normalized}
        found = {normalized(token.content): token for token in self.tokens if token.normalized}
        self.normalized = {text: token for text, token in found.items() if text}
        self._raw_pattern, self._normalized_pattern = _pattern(self.raw), _pattern(self.normalized)

    def __bool__(self):
        return bool(self.tokens)

    def split(self, text):
        """Cuts a text into (start, end, AddedToken), in order, and (start, end, None) for what is between them."""
        parts = _parts(text, self._raw_pattern, self.raw)
        if self._normalized_pattern is None:
            return parts
        return [
            part
            for start, end, token in parts
            for part in ([(start, end, token)] if token else self._split_normalized(text[start:end], start))
        ]

    def _split_normalized(self, text, before):
        """Finds the other tokens in a part of a text, which has `before` characters before it."""
        if not self._normalized_pattern.search(self._normalize(text)):  # quick to say
            return [(before, before + len(text), None)]
        normal, places = self._normalize_with_places(text)
        parts, last = [], 0
        for first, stop, token in _matches(normal, self._normalized_pattern, self.normalized):
            start, end = max(places[first][0], last), places[stop - 1][1]
            parts += [(before + last, before + start, None)] if last < start else []
            parts.append((before + start, before + end, token))
            last = end
        return parts + ([(before + last, before + len(text), None)] if last < len(text) else [])


def normalizers(rules):
    """Returns the two functions that `KeptTokens` takes, by TokenizerRules."""
    flags = {name: getattr(rules, name) for name in FLAGS}
    return functools.partial(normalized_text, **flags), functools.partial(normalized_with_places, **flags)


def _pattern(contents):
    ordered = sorted(contents, key=len, reverse=True)  # the first alternative wins: the longest
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _parts(text, pattern, tokens):
    """Cuts a text into matches and what is between them."""
    parts, last = [], 0
    for start, end, token in _matches(text, pattern, tokens) if pattern else ():
        parts += [(last, start, None)] if last < start else []
        parts.append((start, end, token))
        last = end
    return parts + ([(last, len(text), None)] if last < len(text) else [])


def _matches(text, pattern, tokens):
    """Yields (start, end, token) of each match that its token's flags allow."""
    last = 0
    for match in pattern.finditer(text):
        token, (start, end) = tokens[match[0]], match.span()
        if token.single_word and (
            (start > 0 and is_word_character(text[start - 1])) or (end < len(text) and is_word_character(text[end]))
        ):
            continue
        start = max(start, last)
        while token.lstrip and start > last and text[start - 1].isspace():
            start -= 1
        if token.rstrip:
            end = _SPACES.match(text, end).end()
        yield start, end, token
        last = end


def is_word_character(char):
    """Says whether a character is part of a word: a letter, a mark, a digit or a connector such as "_".

    >>> [is_word_character(char) for char in "é_1-"]
    [True, True, True, False]
    """
    return unicodedata.category(char) in _WORD_CATEGORIES
