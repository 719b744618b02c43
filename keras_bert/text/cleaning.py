"""What ALBERT's and XLNet's tokenizers do to a text before their model (preprocess_text of transformers' slow classes).

Words joined by single spaces, `` and '' to ", NFKD without combining characters, lower case. All of it but the final
sigma and the quotes looks at one character alone, so a table does it. Frozen at Unicode 14 as normalize.py is.
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

    >>> from keras_bert.text.sentence_piece_rules import FAMILIES
    >>> clean(" ``Crème''\\t  BRÛLÉE ", FAMILIES["albert"])
    '"creme" brulee'
    """
    if rules.joins_spaces:
        text = " ".join(text.split())
    if rules.replaces_quotes:
        text = text.replace("``", '"').replace("''", '"')
    if not rules.keeps_accents and not text.isascii():
        text = text.translate(_TABLE)
    return lower(text) if rules.do_lower_case else text


def clean_with_places(text, rules):
    """Returns a text as `clean` does, and for each of its characters the (start, end) of what it came from.

    >>> from keras_bert.text.sentence_piece_rules import FAMILIES
    >>> clean_with_places(" ½'' B", FAMILIES["albert"])
    ('1⁄2" b', [(1, 2), (1, 2), (1, 2), (2, 4), (4, 5), (5, 6)])
    """
    chars, places = list(text), [(index, index + 1) for index in range(len(text))]
    if rules.joins_spaces:
        chars, places = _joined(text)
    if rules.replaces_quotes:
        chars, places = _with_quotes("".join(chars), places)
    if not rules.keeps_accents:
        pairs = [(each, place) for char, place in zip(chars, places, strict=True) for each in _TABLE[ord(char)]]
        chars, places = [each for each, _ in pairs], [place for _, place in pairs]
    if rules.do_lower_case:
        whole = "".join(chars)
        small = lower(whole)
        if len(small) != len(whole):  # İ becomes two
            sizes = [len(lower(char)) for char in whole]
            places = [place for place, size in zip(places, sizes, strict=True) for _ in range(size)]
        chars = small
    return "".join(chars), places


def _joined(text):
    chars, places, last = [], [], None
    for match in re.finditer(r"\S+", text):
        if last is not None:
            chars.append(" ")
            places.append((last, match.start()))
        chars += match[0]
        places += [(index, index + 1) for index in range(*match.span())]
        last = match.end()
    return chars, places


def _with_quotes(text, places):
    chars, kept, last = [], [], 0
    for match in _QUOTES.finditer(text):
        chars += [*text[last : match.start()], '"']
        kept += [*places[last : match.start()], (places[match.start()][0], places[match.end() - 1][1])]
        last = match.end()
    return [*chars, *text[last:]], [*kept, *places[last:]]
