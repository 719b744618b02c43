"""The cleaning of cleaning.py for thousands of texts at once: the same ids, at a multiple of its speed.

All texts are one long string of bytes, in which ASCII is lower-cased and each run of other characters is looked up.
Texts for which more is to be seen to (a sigma, rare white space) are cleaned one by one.
"""

import itertools
import re
import unicodedata

import numpy as np

from keras_bert.text.characters import regex_class
from keras_bert.text.normalize import lower
from keras_bert.text.sentence_piece.cleaning import clean, lower_each, unaccented

MOST_RUNS = 1 << 17  # to remember, about 20 MB
# Of which NFKD makes a capital sigma, whose lower case depends on the text around.
_SIGMAS = "\U0001d6ba\U0001d6f4\U0001d72e\U0001d768\U0001d7a2"
_FINALS = [(0x11A8, 0x11FF), (0xD7CB, 0xD7FB)]  # letters that end a Hangul syllable
_FINALS += [
    (code, code)
    for code in [*range(0x3131, 0x318F), *range(0xFFA0, 0xFFDD)]
    if any(first <= ord(unicodedata.normalize("NFKD", chr(code))[0]) <= last for first, last in _FINALS)
]
_CAREFUL = b"\xff"  # a byte that UTF-8 never has: marks what is cleaned together with its neighbours


class BulkCleaner:
    """Cleans many texts for a model.

    Args:
        rules: the SentencePieceRules.
        odd_spaces: the characters of white space that the model itself does not take for some. The others stay as they
            are, even several or at the ends. None: all of them count, since the model keeps spaces.
        composes: whether the model makes one character of a Hangul syllable's letters, as NFKC does; then syllables
            need not be taken apart.
    """

    def __init__(self, rules, *, odd_spaces=None, composes=False):
        self.rules = rules
        self._one_by_one = rules.joins_spaces and odd_spaces is None
        odd_spaces = [space for space in odd_spaces or () if rules.joins_spaces]
        self._odd_spaces = [space.encode() for space in odd_spaces if space.isascii()]
        self._composes = composes
        careful = [_SIGMAS] if rules.do_lower_case and not rules.keeps_accents else []
        careful += [regex_class(_FINALS)] if composes and not rules.keeps_accents else []
        careful += [space for space in odd_spaces if not space.isascii()]
        self._changes_others = bool(careful) or not rules.keeps_accents or rules.do_lower_case
        self._runs = _Runs(rules, re.compile(f"[{''.join(careful)}]") if careful else None)

    def __call__(self, texts):
        """Returns a list of str, without lone surrogates, as a list of UTF-8."""
        if self._one_by_one:
            return self._each(texts)
        data = "\n".join(texts).encode()
        for space in self._odd_spaces:
            if space in data:
                data = data.replace(space, space + _CAREFUL)
        if self.rules.replaces_quotes:
            if b"`" in data:  # the quickest to look for
                data = data.replace(b"``", b'"')
            data = data.replace(b"''", b'"')
        if self.rules.do_lower_case:
            data = data.lower()
        if self._changes_others and not data.isascii():
            data = self._with_runs(data)
        cleaned = data.split(b"\n")
        if len(cleaned) != len(texts):
            return self._each(texts)
        if _CAREFUL in data:
            for number, text in enumerate(cleaned):
                if _CAREFUL in text:
                    cleaned[number] = clean(texts[number], self.rules).encode()
        return cleaned

    def _each(self, texts):
        return [clean(text, self.rules).encode() for text in texts]

    def _with_runs(self, data):
        codes = np.frombuffer(data, np.uint8)
        plain = codes < 128
        if self._composes:
            _add_syllables(plain, codes)
        edges = np.flatnonzero(plain[1:] != plain[:-1]) + 1
        edges = [0, *([] if plain[0] else [0]), *edges.tolist(), len(data)]
        parts = [data[start:end] for start, end in itertools.pairwise(edges)]
        parts[1::2] = map(self._runs.__getitem__, parts[1::2])
        return b"".join(parts)


def _add_syllables(plain, codes):
    """Counts the bytes of Hangul syllables (U+AC00 to U+D7A3; some letters after them do no harm) as plain."""
    leads = codes - np.uint8(0xEA) < 4  # modulo 256
    if not leads.any():
        return
    seconds = codes[1:]
    leads[:-1] &= ((codes[:-1] != 0xEA) | (seconds >= 0xB0)) & ((codes[:-1] != 0xED) | (seconds <= 0x9E))
    for byte in range(3):
        plain[byte:] |= leads[: len(leads) - byte]


class _Runs(dict):
    """{UTF-8: UTF-8} of runs of other characters; starts afresh when full."""

    def __init__(self, rules, careful):
        super().__init__()
        self._careful, self._table = careful, _Table(rules)

    def __missing__(self, run):
        text = run.decode("utf-8", "ignore")  # without what stands for care
        value = text.translate(self._table).encode()
        if _CAREFUL in run or (self._careful and self._careful.search(text)):
            value = _CAREFUL
        if len(run) <= 100:  # what is longer hardly comes again
            if len(self) >= MOST_RUNS:
                self.clear()
            self[run] = value
        return value


class _Table(dict):
    """{code point: what becomes of it} for str.translate, made on first sight."""

    def __init__(self, rules):
        super().__init__()
        self.rules = rules

    def __missing__(self, code):
        value = lower_each(chr(code)) if self.rules.do_lower_case else chr(code)
        if not self.rules.keeps_accents:
            value = "".join(map(unaccented, value))
        self[code] = value = lower(value) if self.rules.do_lower_case else value
        return value
