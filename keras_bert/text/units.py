"""Units of a text: characters with what a normalization may join to them, which share their place in it."""

import bisect
import functools
import unicodedata

from keras_bert.text.characters import SORTED_LETTERS, SORTED_MARKS, WHITE_SPACE


@functools.cache
def unit_pattern(written, *, quotes):
    """Returns the pattern of a unit: white space, a syllable of Hangul letters, or a character with its marks.

    Args:
        written: `re2_class` or `regex_class`, how ranges of characters are written.
        quotes: whether two quotes that the family makes one of are a unit too.
    """
    initials, vowels, finals = (_letters(*ranges) for ranges in _HANGUL)
    marks = {code for first, last in SORTED_MARKS + SORTED_LETTERS for code in range(first, last + 1)}
    for code in range(0x80, 0x20000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and parts[0][0] != "<":  # the second may be joined to the first
            marks.add(int(parts[1], 16))
    for code in range(0x80, 0x20000):
        if not 0xD800 <= code <= 0xDFFF and ord(unicodedata.normalize("NFKD", chr(code))[0]) in marks:
            marks.add(code)
    initials, vowels, finals, marks = (
        written([(code, code) for code in sorted(codes)]) for codes in (initials, vowels, finals, marks)
    )
    space, syllable = written(WHITE_SPACE), written([(0xAC00, 0xD7A3)])
    hangul = f"[{initials}][{vowels}]?[{finals}]*[{marks}]*|[{syllable}][{finals}]*[{marks}]*"
    joined = "``|''|" if quotes else ""
    return f"{joined}[{space}]|{hangul}|[^{space}{marks}][{marks}]*|[{marks}]+"


def widened(start, end, stretches):
    """Returns a place that covers the stretches, (start, end) in order, of which it covers a part.

    An empty place in the middle of one goes to its start.
    """
    at = bisect.bisect_right(stretches, (start, float("inf"))) - 1
    if at >= 0 and start < stretches[at][1] and (start < end or start > stretches[at][0]):
        if start == end:
            return stretches[at][0], stretches[at][0]
        start = stretches[at][0]
    at = bisect.bisect_left(stretches, (end, -1)) - 1
    return start, max(end, stretches[at][1]) if at >= 0 and start < end else end


# Letters that begin a syllable, are its vowel, end it.
_HANGUL = (
    ((0x1100, 0x115F), (0xA960, 0xA97C)),
    ((0x1160, 0x11A7), (0xD7B0, 0xD7C6)),
    ((0x11A8, 0x11FF), (0xD7CB, 0xD7FB)),
)


def _letters(*ranges):
    """Returns the code points of which NFKD makes a letter in the ranges."""
    codes = [*range(0x1100, 0x1200), *range(0x3131, 0x318F), *range(0xA960, 0xA97D), *range(0xD7B0, 0xD7FC)]
    codes += range(0xFFA0, 0xFFDD)
    return {
        code
        for code in codes
        if any(first <= ord(unicodedata.normalize("NFKD", chr(code))[0]) <= last for first, last in ranges)
    }
