"""Thousands of texts to ids at once, word by word, by a table of the words that were seen.

    texts -> bytes -> where each word begins and ends -> (table: word -> ids) -> ids

All of it is array operations over bytes but for the ids of a word that is not in the table yet. How texts become bytes,
where words begin and how one is spelled is each kind's: wordpiece/bulk.py, bpe/bulk.py.
"""

from array import array

import numpy as np

from keras_bert.text.given import as_texts
from keras_bert.text.wordtable import KEY_BYTES, WordTable, word_keys

BATCH_CHARS = 1 << 18  # what is worked on at once; its arrays should fit in a processor's cache
CHUNK_WORDS = 1 << 16  # to look up at once
MAX_WORDS = 1 << 18  # to remember: about 30 MB, 60 where every word is new; 20 MB of Wikipedia have 114,000
MAX_LONG_WORD = 100  # bytes; what is longer hardly comes again
END = b"\xff"  # stands for the end of a text, as a word of its own; UTF-8 never has it


class BulkWords:
    """Gives many texts their ids, word by word.

    A kind says `encode(texts)`: the texts as one bytes object, END after each and KEY_BYTES behind them all;
    `cut(data)`: where its words begin, int64 (W,), and their lengths in bytes, each END being a word; and
    `spell(word)`: the ids of a word, given as bytes, in the bytes of `dtype`.

    Args:
        vocab_size: how many ids there are.
    """

    def __init__(self, vocab_size):
        self.dtype = np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.int32)
        self._table = WordTable(MAX_WORDS)
        self._forget()

    def token_ids(self, texts):
        """Returns the ids of all texts, one after the other, and how many each text has; no [CLS], no [SEP].

        Args:
            texts: a list of str (or of UTF-8 bytes, of which what is not UTF-8 is dropped).

        Returns:
            ids, uint16 (N,), or int32 with a vocabulary over 65,536, and lengths, int64 (len(texts),), whose sum is N.
        """
        ids, ends, total = [np.zeros(0, self.dtype)], [np.zeros(1, np.int64)], 0
        for batch in _batches(as_texts(texts, what="texts")):
            data = self.encode(batch)
            for starts, lengths in _chunks(*self.cut(data)):
                of_chunk, ends_of_chunk = self._look_up(data, starts, lengths)
                ids.append(of_chunk)
                ends.append(ends_of_chunk + total)
                total += len(of_chunk)
        return np.concatenate(ids), np.diff(np.concatenate(ends))

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
        ids = [b"" if word == END else self.spell(word) for word in words]
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
        self._table.add(*word_keys(END + bytes(KEY_BYTES), np.array([0]), np.array([1])), self._number([END]))


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
