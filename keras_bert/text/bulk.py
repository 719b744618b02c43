"""Thousands of texts to ids at once, for the data tool: the ids of tokenizer.py, several times as fast.

    texts -> UTF-8, lower-cased, without controls -> where each word begins and ends -> (table: word -> ids) -> ids

All of it is array operations over bytes but for the ids of a word that is not in the table yet. Lower-casing and
cutting are for ASCII alone, whose white space and punctuation end a word whatever stands around them; the lower case of
a sigma, which depends on them, is settled before. What else a word holds is left to the first sight of it: there each
character is replaced by what it becomes between two letters, as the rules of normalize.py have it.
"""

from array import array

import numpy as np

from keras_bert.text.given import as_str
from keras_bert.text.normalize import combining_class, drop_control, lower_sigma
from keras_bert.text.vocabulary import UNK
from keras_bert.text.wordpiece import WordPiece
from keras_bert.text.wordtable import KEY_BYTES, WordTable, word_keys

BATCH_CHARS = 1 << 18  # what is worked on at once; its arrays should fit in a processor's cache
CHUNK_WORDS = 1 << 16  # to look up at once
MAX_WORDS = 1 << 18  # to remember: about 30 MB, 60 where every word is new; 20 MB of Wikipedia have 114,000
MAX_CHARACTERS = 50_000  # to remember outside of ASCII, about 8 MB
MAX_LONG_WORD = 100  # bytes; what is longer hardly comes again
# Bytes that UTF-8 never has, to stand for what is not a word: the end of a text, and (with a number) a kept token.
_END, _KEPT = b"\xff", b"\xfe"
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
    classes[_END[0]] = _ALONE
    if ideographs:
        classes[0xE5:0xEA] = bytes([_IDEOGRAPH] * 5)  # begin U+5000 to U+9FFF, three bytes each: most ideographs
    return bytes(classes)


class BulkTokenizer:
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
        self.tokenizer = tokenizer
        self.dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.int32)
        as_bytes = [index.tobytes() for index in np.arange(tokenizer.vocab_size, dtype=self.dtype)]
        pieces = {token: as_bytes[index] for token, index in tokenizer.vocabulary.pieces.items()}
        self._wordpiece = WordPiece(pieces, unknown=UNK)
        kept = tokenizer.kept
        self._codes = {token.content: _KEPT + b"%d" % number for number, token in enumerate(kept.tokens)}
        self._values = {code: as_bytes[tokenizer.vocabulary.id(token)] for token, code in self._codes.items()}
        self._values[_END] = b""
        self._careful = [token.encode(*_ENCODING) for token in kept.raw]
        self._careful += [b""] if kept.normalized else []  # any text may have those
        self._careful += [_CAPITAL_SIGMA] if tokenizer.do_lower_case else []
        self._lower = bytes(range(256)).lower() if tokenizer.do_lower_case else None
        self._classes = _byte_classes(ideographs=tokenizer.rules.tokenize_chinese_chars)
        self._characters = _Characters(tokenizer)
        self._table = WordTable(MAX_WORDS)
        self._forget()

    def __reduce__(self):
        return BulkTokenizer, (self.tokenizer,)

    def token_ids(self, texts):
        """Returns the ids of all texts, one after the other, and how many each text has; no [CLS], no [SEP].

        Args:
            texts: a list of str (or of UTF-8 bytes, of which what is not UTF-8 is dropped).

        Returns:
            ids, uint16 (N,), or int32 with a vocabulary over 65,536, and lengths, int64 (len(texts),), whose sum is N.
        """
        ids, ends, total = [np.zeros(0, self.dtype)], [np.zeros(1, np.int64)], 0
        for batch in _batches(list(map(as_str, texts))):
            data = self._encode(batch)
            for starts, lengths in _chunks(*self._cut(data)):
                of_chunk, ends_of_chunk = self._look_up(data, starts, lengths)
                ids.append(of_chunk)
                ends.append(ends_of_chunk + total)
                total += len(of_chunk)
        return np.concatenate(ids), np.diff(np.concatenate(ends))

    def _encode(self, texts):
        """The texts as one bytes object: lower-cased, without controls, the end's mark after each."""
        data = _END.join([*[text.encode(*_ENCODING) for text in texts], b""])
        if any(token in data for token in self._careful):
            data = _END.join([*map(self._encode_with_care, texts), b""])
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

    def _cut(self, data):
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

    def _look_up(self, data, starts, lengths):
        """Returns the ids of words, and after how many of them a text ends."""
        if len(self._bounds) > MAX_WORDS - len(starts):  # of numbers there is one less than of bounds
            self._forget()
        low, high = word_keys(data, starts, lengths)
        numbers = self._table.find(low, high)
        self._learn(data, starts, lengths, low, high, numbers)
        bounds = np.frombuffer(self._bounds, np.int64)
        begins = bounds[numbers]
        counts = bounds[numbers + 1] - begins
        upto = np.cumsum(counts)
        places = np.repeat(begins - upto + counts, counts) + np.arange(upto[-1])
        return np.frombuffer(self._ids, self.dtype)[places], upto[numbers == 0]

    def _learn(self, data, starts, lengths, low, high, numbers):
        """Puts the missing words into the table, and their numbers into `numbers`."""
        missing = np.flatnonzero(numbers < 0)
        is_long = lengths[missing] > KEY_BYTES
        for place in missing[is_long].tolist():
            numbers[place] = self._number_of_long(data[starts[place] : starts[place] + lengths[place]])
        missing = missing[~is_long]
        missing = missing[np.lexsort((low[missing], high[missing]))]
        low, high = low[missing], high[missing]
        is_new = np.append(True, (low[1:] != low[:-1]) | (high[1:] != high[:-1]))[: len(missing)]
        begins = starts[missing[is_new]]
        ends = begins + lengths[missing[is_new]]
        words = [data[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        found = self._number(words)
        self._table.add(low[is_new], high[is_new], found)
        numbers[missing] = found[np.cumsum(is_new) - 1]

    def _number_of_long(self, word):
        number = self._long.get(word)
        if number is None:
            number = int(self._number([word])[0])
            if len(word) <= MAX_LONG_WORD:
                self._long[word] = number
        return number

    def _number(self, words):
        """Works out the ids of new words and gives them numbers, int32."""
        first = len(self._bounds) - 1
        spell = self._wordpiece
        ids = [spell(word.decode()) if word.isascii() else self._other_word(word) for word in words]
        bounds = np.cumsum(np.fromiter(map(len, ids), np.int64, len(ids))) // self.dtype.itemsize + self._bounds[-1]
        self._ids.frombytes(b"".join(ids))
        self._bounds.frombytes(bounds.tobytes())
        return np.arange(first, first + len(words), dtype=np.int32)

    def _forget(self):
        """Empties the table. Number 0 is the end of a text and has no ids."""
        self._table.clear()
        self._long = {}  # those without a key
        self._ids = array(self.dtype.char)  # of the numbers, one after the other; that of n ...
        self._bounds = array("q", [0])  # ... begin at bounds[n] and end before bounds[n + 1]
        self._table.add(*word_keys(_END + bytes(KEY_BYTES), np.array([0]), np.array([1])), self._number([_END]))

    def _other_word(self, word):
        """Returns the ids, as bytes, of a word that is not ASCII alone."""
        if word[0] >= _KEPT[0]:
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


def _batches(texts):
    """Yields slices of the texts, each the shortest of BATCH_CHARS characters or more."""
    first, chars = 0, 0
    for number, text in enumerate(texts, 1):
        chars += len(text)
        if chars >= BATCH_CHARS:
            yield texts[first:number]
            first, chars = number, 0
    if first < len(texts):
        yield texts[first:]


def _chunks(starts, lengths):
    for first in range(0, len(starts), CHUNK_WORDS):
        yield starts[first : first + CHUNK_WORDS], lengths[first : first + CHUNK_WORDS]
