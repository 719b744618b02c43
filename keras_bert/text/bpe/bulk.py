"""Thousands of texts to the ids of a byte-level BPE at once: those of byte_pairs.py, several times as fast.

    texts -> UTF-8 -> class of each character -> where words begin (GPT-2's pattern) -> (table: word -> ids) -> ids

The table of words is bulk_words.py's.
"""

import numpy as np

from keras_bert.text.bpe.words import CLASSES, begin_table, character_classes
from keras_bert.text.bulk_words import END, BulkWords
from keras_bert.text.wordtable import KEY_BYTES

_MANY = len(CLASSES)
_NUL = b"\xfe"  # stands for byte 0, by which the table's keys tell the length; UTF-8 never has it
_BEFORE, _AFTER = 4, 2  # ends of texts around all of them, for the table to look at


class BulkBytePairs(BulkWords):
    """Gives many texts the ids of a `BytePairs`.

    Args:
        engine: the BytePairs.

    A pickle or a copy begins with an empty table of words.

    Example:
        >>> from keras_bert.text.bpe.byte_pairs import ALPHABET, BytePairs
        >>> bulk = BulkBytePairs(BytePairs([*ALPHABET, "th", "the", "Ġthe"], [("t", "h"), ("th", "e"), ("Ġ", "the")]))
        >>> bulk.token_ids(["the the", "", "the"])
        (array([257, 258, 257], dtype=uint16), array([2, 0, 1]))
    """

    def __init__(self, engine):
        super().__init__(len(engine.tokens))
        self.engine = engine
        classes = character_classes()
        self._classes_of_characters = classes
        of_bytes = np.zeros(256, np.uint8)  # END's is 0; those of longer characters are set apart
        of_bytes[:0x80], of_bytes[_NUL[0]] = classes[:0x80], classes[0]
        self._classes = of_bytes.tobytes()
        self._begins = begin_table().reshape(-1)

    def __reduce__(self):
        return BulkBytePairs, (self.engine,)

    def encode(self, texts):
        """The texts as one bytes object with the end's mark after each."""
        data = END.join([*[self.engine.prepared(text).encode() for text in texts], b""])
        return data.replace(b"\0", _NUL) + bytes(KEY_BYTES)  # room to read a key at the last word

    def cut(self, data):
        """Where words begin, int64 (W,), and their lengths in bytes; each end of a text is a word."""
        size = len(data) - KEY_BYTES
        values = np.frombuffer(data, np.uint8, size)
        classes = np.frombuffer(data.translate(self._classes), np.uint8, size)
        places = None
        if values.max(initial=0) >= 0x80 and not data.translate(None, END).isascii():
            classes, places = self._classes_beyond_ascii(values, classes)
        classes = np.concatenate([np.zeros(_BEFORE, np.uint8), classes, np.zeros(_AFTER, np.uint8)])
        # numpy 1 would let an array of uint8 stay one, whatever small number it is multiplied by
        pairs = (classes[:-1] * np.uint8(_MANY) + classes[1:]).astype(np.uint16)
        begins = self._begins[pairs[:-2] * np.uint16(_MANY**2) + pairs[2:]]  # of all characters but 1 and 2
        begins = (begins[3:] > 0) & (begins[2:-1] < 2) | (begins[1:-2] == 2) | (begins[:-3] == 3)
        starts = np.flatnonzero(begins)
        starts = starts if places is None else places[starts]
        return starts, np.diff(starts, append=size)

    def _classes_beyond_ascii(self, values, classes):
        """Returns the class of each character, and where it begins."""
        wide = np.flatnonzero((values >= 0xC0) & (values < _NUL[0]))
        padded = np.concatenate([values, np.zeros(3, np.uint8)])
        head = padded[wide].astype(np.int32)
        second, third, fourth = (padded[wide + i].astype(np.int32) & 0x3F for i in (1, 2, 3))
        two, three = (head & 0x1F) << 6 | second, (head & 0xF) << 12 | second << 6 | third
        four = (head & 7) << 18 | second << 12 | third << 6 | fourth
        code = np.where(head < 0xE0, two, np.where(head < 0xF0, three, four))
        classes = classes.copy()
        classes[wide] = self._classes_of_characters[code]
        places = np.flatnonzero((values < 0x80) | (values >= 0xC0))
        return classes[places], places

    def spell(self, word):
        """Returns the ids of a word, as bytes."""
        return np.array(self.engine.spell_bytes(word.replace(_NUL, b"\0")), self.dtype).tobytes()
