"""Thousands of texts to ids at once, for the data tool: the ids of tokenizer.py, several times as fast.

    texts -> UTF-8, lower-cased, without controls -> where each word begins and ends -> (table: word -> ids) -> ids

Lower-casing and cutting are for ASCII alone, whose white space and punctuation end a word whatever stands around them;
the lower case of a sigma, which depends on them, is settled before. What else a word holds is left to the first sight
of it: there each character is replaced by what it becomes between two letters, as the rules of normalize.py have it.
"""

import numpy as np

from keras_bert.text.bulk_words import END, BulkWords
from keras_bert.text.normalize import combining_class, drop_control, lower_sigma
from keras_bert.text.vocabulary import UNK
from keras_bert.text.wordpiece.pieces import WordPiece
from keras_bert.text.wordtable import KEY_BYTES

MAX_CHARACTERS = 50_000  # to remember outside of ASCII, about 8 MB
_KEPT = b"\xfe"  # with a number, stands for a kept token; UTF-8 never has it
_ENCODING = ("utf-8", "surrogatepass")  # a str may have lone surrogates
_CONTROLS = bytes(code for code in [*range(0x20), 0x7F] if chr(code) not in "\t\n\r")
_CAPITAL_SIGMA = "Σ".encode()
_DEPENDS = "\0"  # stands for a character for which its neighbours matter; no text has it, it is a control
_SPACE, _IN_WORD, _ALONE, _IDEOGRAPH = range(4)


def _byte_classes(*, ideographs):
    """Returns a table for bytes.translate from a byte to its class."""
    classes = bytearray([_IN_WORD] * 256)
    for code in range(0x80):
        if not chr(code).isalnum():
            classes[code] = _SPACE if chr(code) in " \t\n\r" else _ALONE
    classes[END[0]] = _ALONE
    if ideographs:
        classes[0xE5:0xEA] = bytes([_IDEOGRAPH] * 5)  # begin U+5000 to U+9FFF, three bytes each: most ideographs
    return bytes(classes)


class BulkTokenizer(BulkWords):
    """Gives many texts the ids of a `Tokenizer`, at a multiple of its speed.

    Args:
        tokenizer: a `keras_bert.text.tokenizer.Tokenizer`; its rules and its vocabulary count.

    A pickle or a copy begins with an empty table of words.

    Example:
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> bulk = BulkTokenizer(Tokenizer(Vocabulary([*SPECIAL_TOKENS, "un", "##aff", "##able", "!"])))
        >>> bulk.token_ids(["Unaffable!", "", "un"])
        (array([5, 6, 7, 8, 5], dtype=uint16), array([4, 0, 1]))
    """

    def __init__(self, tokenizer):
        super().__init__(tokenizer.vocab_size)
        self.tokenizer = tokenizer
        as_bytes = [index.tobytes() for index in np.arange(tokenizer.vocab_size, dtype=self.dtype)]
        pieces = {token: as_bytes[index] for token, index in tokenizer.vocabulary.pieces.items()}
        self._wordpiece = WordPiece(pieces, unknown=UNK)
        kept = tokenizer.kept
        self._codes = {token.content: _KEPT + b"%d" % number for number, token in enumerate(kept.tokens)}
        self._values = {code: as_bytes[tokenizer.vocabulary.id(token)] for token, code in self._codes.items()}
        self._careful = [token.encode(*_ENCODING) for token in kept.raw]
        self._careful += [b""] if kept.normalized else []  # any text may have those
        self._careful += [_CAPITAL_SIGMA] if tokenizer.do_lower_case else []
        self._lower = bytes(range(256)).lower() if tokenizer.do_lower_case else None
        self._classes = _byte_classes(ideographs=tokenizer.rules.tokenize_chinese_chars)
        self._characters = _Characters(tokenizer)

    def __reduce__(self):
        return BulkTokenizer, (self.tokenizer,)

    def encode(self, texts):
        """The texts as one bytes object: lower-cased, without controls, the end's mark after each."""
        data = END.join([*[text.encode(*_ENCODING) for text in texts], b""])
        if any(token in data for token in self._careful):
            data = END.join([*map(self._encode_with_care, texts), b""])
        return data.translate(self._lower, _CONTROLS) + bytes(KEY_BYTES)  # room to read a key at the last word

    def _encode_with_care(self, text):
        """A text to UTF-8, its kept tokens replaced by their codes and its sigmas lower-cased."""
        kept, parts = self.tokenizer.kept, []
        for start, end, token in kept.split(text) if kept else [(0, len(text), None)]:
            if token:
                parts.append(self._codes[token.content])
            else:
                part = text[start:end]
                part = lower_sigma(drop_control(part)) if self.tokenizer.do_lower_case else part
                parts.append(part.encode(*_ENCODING))
        return b" ".join(parts)

    def cut(self, data):
        """Where words begin, int64 (W,), and their lengths in bytes; a mark of the end and punctuation are words."""
        classes = np.frombuffer(data.translate(self._classes), np.uint8)[:-KEY_BYTES]
        inside, first, last = classes == _IN_WORD, classes == _ALONE, classes == _ALONE
        ideograph = classes == _IDEOGRAPH
        if ideograph.any():
            for later in (1, 2):  # the second and third byte
                inside[later:] &= ~ideograph[:-later]
            first |= ideograph
            last[2:] |= ideograph[:-2]
        first |= inside & ~np.append(False, inside[:-1])
        last |= inside & ~np.append(inside[1:], False)
        starts = np.flatnonzero(first)
        return starts, np.flatnonzero(last) + 1 - starts

    def spell(self, word):
        """Returns the ids of a word, or of a kept token's code, as bytes."""
        if word.isascii():
            return self._wordpiece(word.decode())
        if word[0] == _KEPT[0]:
            return self._values[word]
        text = word.decode(*_ENCODING)
        spaced = text.translate(self._characters)
        tokens = self.tokenizer.engine.basic_tokens(text) if _DEPENDS in spaced else spaced.split()
        return b"".join(map(self._wordpiece, tokens))


class _Characters(dict):
    """For str.translate: what a character becomes, spaces around it where it is a token of its own."""

    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    def __missing__(self, code):
        if len(self) >= MAX_CHARACTERS:
            self.clear()
        text = " ".join(self.tokenizer.engine.basic_tokens(f"a{chr(code)}a"))[1:-1]
        if self.tokenizer.rules.drops_accents and any(map(combining_class, text)):
            text = _DEPENDS  # NFD sorts neighbouring ones
        self[code] = text
        return text
