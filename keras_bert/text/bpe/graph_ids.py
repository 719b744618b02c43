"""Byte-level BPE inside the graph: strings to the ids of byte_pairs.py, on every valid string.

    strings -> bytes -> class of each character -> where words begin (GPT-2's pattern) -> 16 bytes of each word
            -> a table of the tokens: ids of the words that are one token -> the others through one SentencePiece op

All but that op are gathers and sums over the bytes of all strings at once, so that a batch costs little more than a
string. as_sentence_piece.py says why that op gives the right ids.

Shapes: N strings; n bytes of them all, with marks between them; C characters; W words and ends of strings; U words that
are not in the table.
"""

import numpy as np
import tensorflow as tf

from keras_bert.text.bpe.as_sentence_piece import sentencepiece_model, token_ranks
from keras_bert.text.bpe.byte_pairs import ALPHABET
from keras_bert.text.bpe.graph_nfc import nfc
from keras_bert.text.bpe.perfect_hash import SLOT_SHIFT, PerfectHash
from keras_bert.text.bpe.words import CLASSES, END, PAGE, begin_table, character_classes, paged

_KEY_BYTES = 16  # of which the last is a word's length
_BEFORE, _AFTER = 4, 2  # characters before and after one that decide whether a word begins there
_MANY = len(CLASSES)


class GraphBytePairs(tf.Module):
    """Gives strings the ids of a `BytePairs` inside the graph.

    A tf.Module: whatever is saved with it must hold it as an attribute, such as a Keras layer does. A SavedModel can
    have one of them at most, since tensorflow-text's SentencePiece ops share their model after loading.

    Args:
        engine: the BytePairs.

    Example:
        >>> from keras_bert.text.bpe.byte_pairs import ALPHABET, BytePairs
        >>> engine = BytePairs([*ALPHABET, "th", "the", "Ġthe"], [("t", "h"), ("th", "e"), ("Ġ", "the")])
        >>> GraphBytePairs(engine)(tf.constant(["the the", "", "the"])).to_list()
        [[257, 258], [], [257]]
    """

    def __init__(self, engine):
        super().__init__()
        import tensorflow_text as tf_text

        self._normalizer, self._add_prefix_space = engine.normalizer, engine.add_prefix_space
        ranks = token_ranks(engine)
        self._set_table(engine, ranks)
        self._set_classes()
        self._op = tf_text.SentencepieceTokenizer(sentencepiece_model(engine.tokens, ranks), out_type=tf.int32)
        self._letters = np.array([ord(letter) for letter in ALPHABET], np.int32)
        begun = [sum(not 0x80 <= byte < 0xC0 for byte in data) for data in engine.token_bytes]
        self._characters = np.array(begun, np.int32)

    def __call__(self, texts):
        """Tokenizes.

        Args:
            texts: string (N,), valid UTF-8.

        Returns:
            Ragged int32 (N, None) ids.
        """
        ids, splits, _ = self._tokenize(texts)
        return tf.RaggedTensor.from_row_splits(ids, splits, validate=False)

    def pieces(self, texts):
        """Tokenizes, and says how many characters each token has.

        A character counts for the token with its first byte, so that the lengths of a string's tokens add up to its
        characters (under NFC to those of the normalized string); a token of later bytes alone has none. The space that
        `add_prefix_space` puts before a string does not count.

        Args:
            texts: string (N,), valid UTF-8.

        Returns:
            ids, lengths: ragged int32 (N, None).
        """
        ids, splits, is_prefixed = self._tokenize(texts)
        lengths = tf.gather(self._characters, ids)
        if self._add_prefix_space:
            firsts = tf.boolean_mask(splits[:-1], is_prefixed)[:, None]
            lengths = tf.tensor_scatter_nd_sub(lengths, firsts, tf.ones(tf.shape(firsts)[:1], tf.int32))
        ids = tf.RaggedTensor.from_row_splits(ids, splits, validate=False)
        return ids, ids.with_values(lengths)

    def _tokenize(self, texts):
        """Returns the ids of all strings, int32 (T,), where each begins, int64 (N + 1,), and whether it got a space."""
        is_prefixed = None
        if self._normalizer == "NFC":
            texts = nfc(texts)
        if self._add_prefix_space:
            is_prefixed = (texts != "") & (tf.strings.substr(texts, 0, 1) != " ")
            texts = tf.where(is_prefixed, " " + texts, texts)
        data = tf.strings.reduce_join(texts, separator=bytes([END]))
        data = tf.strings.join([bytes([END] * _BEFORE), data, bytes([END] * (_AFTER + _KEY_BYTES))])
        data = tf.io.decode_raw(data, tf.uint8)  # (n,)
        starts = self._starts(tf.cast(data, tf.int32))  # (W,), the last of them the end of the last string
        lengths = tf.concat([starts[1:] - starts[:-1], [1]], 0)
        ids = self._look_up(data, starts, lengths)  # (W,), -1 for what is not in the table
        is_end = tf.gather(data, starts) == END
        ids, offsets = tf.cond(
            tf.reduce_any(ids < 0),
            lambda: self._with_op(data, starts, lengths, ids, is_end),
            lambda: (tf.boolean_mask(ids, ~is_end), tf.cumsum(tf.cast(~is_end, tf.int64), exclusive=True)),
        )
        ends = tf.boolean_mask(offsets, is_end)[: tf.size(texts)]
        return ids, tf.concat([[tf.constant(0, tf.int64)], ends], 0), is_prefixed

    def _set_classes(self):
        classes = character_classes()
        self._ascii = np.full(256, _MANY, np.int32)  # the class of a byte, _MANY if it is of a longer character
        self._ascii[:0x80], self._ascii[END] = classes[:0x80], 0
        self._pages, values = paged(classes)
        self._values = values.reshape(-1).astype(np.int32)
        self._begins = begin_table().reshape(-1).astype(np.int32)

    def _starts(self, data):
        """Returns where words begin in bytes, int32 (n,) -> int32 (W,). Each end of a string is a word."""
        classes = tf.gather(self._ascii, data)
        classes, places = tf.cond(
            tf.reduce_any(classes == _MANY),
            lambda: self._classes_of_characters(data),
            lambda: (classes, tf.range(tf.size(data))),
        )
        pairs = classes[:-1] * _MANY + classes[1:]
        begins = tf.gather(self._begins, pairs[:-2] * _MANY**2 + pairs[2:])  # of all characters but 1 and 2
        is_start = (begins[3:] > 0) & (begins[2:-1] < 2) | (begins[1:-2] == 2) | (begins[:-3] == 3)
        is_start = is_start[: 1 - _KEY_BYTES]
        return tf.boolean_mask(places[_BEFORE : _BEFORE + tf.size(is_start)], is_start)

    def _classes_of_characters(self, data):
        """Returns the class of each character and where it begins: int32 (n,) -> int32 (C,) twice."""
        places = tf.cast(tf.where((data < 0x80) | (data >= 0xC0))[:, 0], tf.int32)
        first = tf.gather(data, places)
        last = tf.size(data) - 1
        second, third, fourth = (tf.gather(data, tf.minimum(places + i, last)) & 0x3F for i in (1, 2, 3))
        two, three = (first & 0x1F) * 64 + second, ((first & 0xF) * 64 + second) * 64 + third
        four = (((first & 7) * 64 + second) * 64 + third) * 64 + fourth
        code = tf.where(first < 0xE0, two, tf.where(first < 0xF0, three, four))
        code = tf.where(first < 0x80, first, tf.minimum(code, 0x10FFFF))
        pages = tf.gather(self._pages, code // PAGE)
        classes = tf.gather(self._values, pages * PAGE + code % PAGE)
        return tf.where(first == END, 0, classes), places

    def _set_table(self, engine, ranks):
        """Puts the tokens of up to 15 bytes into a table: the keys of the words that they are, and their ids."""
        known = [index for index, token in enumerate(engine.tokens) if token in ranks and len(token) < _KEY_BYTES]
        words = [(engine.token_bytes[index], index) for index in known] + [(bytes([END]), 0)]
        keys = b"".join([word.ljust(_KEY_BYTES - 1, b"\0") + bytes([len(word)]) for word, _ in words])
        self._keys = np.frombuffer(keys, "<i8").reshape(-1, 2)
        self._ids = np.array([index for _, index in words], np.int32)
        self._table = PerfectHash(self._keys)
        masks = [b"\xff" * size + bytes(_KEY_BYTES - size) for size in range(_KEY_BYTES)] + [bytes(_KEY_BYTES)]
        self._masks = np.frombuffer(b"".join(masks), "<i8").reshape(-1, 2)
        sizes = b"".join([bytes(_KEY_BYTES - 1) + bytes([size]) for size in range(_KEY_BYTES + 1)])
        self._sizes = np.frombuffer(sizes, "<i8").reshape(-1, 2)

    def _look_up(self, data, starts, lengths):
        """Returns the ids of words that are one token, int32 (W,), any for the end of a string, and -1 for others."""
        table = self._table
        keys = tf.reshape(tf.gather(data, starts[:, None] + tf.range(_KEY_BYTES)), [-1, 2, 8])
        keys, sizes = tf.bitcast(keys, tf.int64), tf.minimum(lengths, _KEY_BYTES)  # (W, 2)
        keys = (keys & tf.gather(self._masks, sizes)) | tf.gather(self._sizes, sizes)
        hashes = keys[:, 0] * table.multipliers[0] + keys[:, 1] * table.multipliers[1]
        buckets = tf.bitwise.right_shift(hashes, np.int64(table.bucket_shift)) & table.last_bucket
        slots = tf.bitwise.right_shift(hashes, np.int64(SLOT_SHIFT)) + tf.gather(table.displacements, buckets)
        numbers = tf.gather(table.slots, slots & table.last_slot)
        is_found = tf.reduce_all(tf.gather(self._keys, numbers) == keys, axis=1)
        return tf.where(is_found, tf.gather(self._ids, numbers), -1)

    def _with_op(self, data, starts, lengths, ids, is_end):
        """Returns all ids, int32 (T,), and how many come before each word, int64 (W,)."""
        missing = tf.where(ids < 0)[:, 0]  # (U,)
        begins = tf.gather(starts, missing)
        words = tf.ragged.range(begins, begins + tf.gather(lengths, missing))
        letters = tf.gather(self._letters, tf.cast(tf.gather(data, words.values), tf.int32))
        spelled = self._op.tokenize(tf.strings.unicode_encode(words.with_values(letters), "UTF-8"))  # (U, None)
        counts = tf.tensor_scatter_nd_update(tf.cast(~is_end, tf.int64), missing[:, None], spelled.row_lengths())
        offsets = tf.cumsum(counts, exclusive=True)
        before = tf.repeat(tf.gather(offsets, missing) - spelled.row_starts(), spelled.row_lengths())
        is_known = (ids >= 0) & ~is_end
        places = [tf.boolean_mask(offsets, is_known), before + tf.range(tf.size(spelled.values, tf.int64))]
        flat = tf.dynamic_stitch(
            [tf.cast(each, tf.int32) for each in places],
            [tf.boolean_mask(ids, is_known), spelled.values],
        )
        return flat, offsets
