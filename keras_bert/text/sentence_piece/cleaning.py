"""What ALBERT's and XLNet's tokenizers do to a text before their model (preprocess_text of transformers' slow classes).

Lower case, words joined by single spaces, `` and '' to ", NFKD without combining characters, lower case again. The
first lower-casing is the base class's, character by character, so that a final Σ becomes σ. Frozen at Unicode 14 as
normalize.py is.
"""

import re
import unicodedata

from keras_bert.text.characters import SORTED_LETTERS, SORTED_MARKS, UNASSIGNED, regex_class
from keras_bert.text.normalize import lower

_UNASSIGNED = re.compile(f"[{regex_class(UNASSIGNED)}]")
_COMBINING = re.compile(f"[{regex_class(SORTED_MARKS + SORTED_LETTERS)}]+")
_QUOTES = re.compile("``|''")


def unaccented(char):
    """Returns what is left of a character: NFKD without combining characters (canonical combining class not 0).

    >>> unaccented("é"), unaccented("½"), unaccented("\\u0301")
    ('e', '1⁄2', '')
    """
    if _UNASSIGNED.match(char):
        return char
    return _COMBINING.sub("", unicodedata.normalize("NFKD", char))


def lower_each(text):
    """Lower-cases each character by itself: "ΑΣ" -> "ας" in Python's way, "ασ" in this."""
    return lower(text.replace("Σ", "σ"))


class _Table(dict):
    """{code point: what is left of it} for str.translate, made on first sight."""

    def __missing__(self, code):
        self[code] = value = unaccented(chr(code))
        return value


_TABLE = _Table()


def clean(text, rules):
    """Returns a text as its family's model gets it.

    Args:
        text: a str.
        rules: SentencePieceRules, or whatever has their flags.

    >>> from keras_bert.text.sentence_piece.rules import FAMILIES
    >>> clean(" ``Crème''\\t  BRÛLÉE ", FAMILIES["albert"])
    '"creme" brulee'
    """
    if rules.do_lower_case:
        text = lower_each(text)
    if rules.joins_spaces:
        text = " ".join(text.split())
    if rules.replaces_quotes:
        text = text.replace("``", '"').replace("''", '"')
    if not rules.keeps_accents and not text.isascii():
        text = text.translate(_TABLE)
    return lower(text) if rules.do_lower_case else text


def clean_with_places(text, rules):
    """Returns a text as `clean` does, and for each of its characters the (start, end) of what it came from.

    >>> from keras_bert.text.sentence_piece.rules import FAMILIES
    >>> clean_with_places(" ½'' B", FAMILIES["albert"])
    ('1⁄2" b', [(1, 2), (1, 2), (1, 2), (2, 4), (4, 5), (5, 6)])
    """
    places = [(index, index + 1) for index in range(len(text))]
    if rules.do_lower_case:
        text, places = _each(text, places, lower_each)
    if rules.joins_spaces:
        text, places = _joined(text, places)
    if rules.replaces_quotes:
        text, places = _with_quotes(text, places)
    if not rules.keeps_accents:
        text, places = _each(text, places, unaccented)
    return lower(text) if rules.do_lower_case else text, places


def _each(text, places, function):
    """Applies a function to each character; what becomes of one has its place."""
    parts = [function(char) for char in text]
    return "".join(parts), [place for part, place in zip(parts, places, strict=True) for _ in part]


def _joined(text, places):
    words, kept, last = [], [], None
    for match in re.finditer(r"\S+", text):
        start, end = match.span()
        if last is not None:
            kept.append((places[last - 1][1], places[start][0]))
        words.append(match[0])
        kept += places[start:end]
        last = end
    return " ".join(words), kept


def _with_quotes(text, places):
    chars, kept, last = [], [], 0
    for match in _QUOTES.finditer(text):
        chars += [*text[last : match.start()], '"']
        kept += [*places[last : match.start()], (places[match.start()][0], places[match.end() - 1][1])]
        last = match.end()
    return "".join([*chars, text[last:]]), [*kept, *places[last:]]
