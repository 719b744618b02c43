"""Where a Unigram model's pieces stand in raw strings, inside the graph.

FastSentencepieceTokenizer says no places. Each piece's length counts characters of the normalized text, and so does a
second model of the same normalization whose pieces are single characters; it is asked about units of the raw text,
characters with what normalization may join to them. Both counts together give the units of a piece.
Shapes: N strings, L pieces of a string, U units of a string.
"""

import functools

import numpy as np
import tensorflow as tf

from keras_bert.text.characters import re2_class
from keras_bert.text.graph_strings import split_around
from keras_bert.text.sentence_piece.fast_model import fast_model
from keras_bert.text.sentence_piece.model import NORMAL, UNKNOWN, write_model
from keras_bert.text.units import unit_pattern


class GraphPlaces:
    """Finds the pieces of strings with their places.

    Args:
        engine: the SentencePiece.
        clean: its GraphCleaning.
    """

    def __init__(self, engine, clean):
        import tensorflow_text as tf_text

        model, self._clean = engine.model, clean
        fast = fast_model(model, apart=True)
        added = np.full(fast.size - len(engine.table), engine.unk_id, np.int32)
        self._table = np.concatenate([engine.table, added])
        is_added = np.arange(fast.size) >= len(engine.table)
        self._is_unknown = is_added | (np.arange(fast.size) == model.unk_id)
        self._is_first = np.arange(fast.size) < fast.first_continuation
        sizes = [len(piece.replace("▁", "")) for piece in model.pieces]
        sizes[model.unk_id] = 1
        self._sizes = np.array(sizes + [1] * (fast.size - len(sizes)), np.int32)
        self._sizes[fast.first_continuation :] = 0
        self._units = unit_pattern(re2_class, quotes=engine.rules.replaces_quotes)
        with tf.init_scope():
            self._op = tf_text.FastSentencepieceTokenizer(fast.data)
            self._counter = tf_text.FastSentencepieceTokenizer(_counting_model(model))

    def __call__(self, texts):
        """Finds pieces, without the comma rule.

        Args:
            texts: string (N,), valid UTF-8.

        Returns:
            ids, starts, ends: ragged int32 (N, L), the family's ids and places in characters of the texts.
        """
        found = self._op.tokenize(self._clean(texts))
        splits = tf.cast(found.row_splits, tf.int64)
        raw, rows = found.values, tf.ragged.row_splits_to_segment_ids(splits)
        first = _sums(tf.gather(self._sizes, raw), splits) - tf.gather(self._sizes, raw)  # place in the normalized row
        keep = tf.gather(self._is_first, raw)
        ids, first, rows = (tf.boolean_mask(each, keep) for each in (raw, first, rows))
        unknown = tf.gather(self._is_unknown, ids)
        again = unknown[1:] & unknown[:-1] & (rows[1:] == rows[:-1])
        keep = ~tf.concat([[False], again], 0)[: tf.size(ids)]
        ids, first, rows = (tf.boolean_mask(each, keep) for each in (ids, first, rows))
        sizes = tf.gather(self._sizes, raw)
        totals = tf.math.segment_sum(sizes, tf.ragged.row_splits_to_segment_ids(splits))
        totals = tf.concat([totals, tf.zeros([tf.size(texts)], tf.int32)], 0)[: tf.size(texts)]
        next_first = tf.concat([first[1:], [0]], 0)[: tf.size(first)]
        is_last = tf.concat([rows[1:] != rows[:-1], [True]], 0)[: tf.size(rows)]
        last = tf.where(is_last, tf.gather(totals, rows), next_first)
        starts, ends = self._places(texts, rows, first, last)
        make = functools.partial(tf.RaggedTensor.from_value_rowids, value_rowids=rows, nrows=tf.size(texts, tf.int64))
        return tuple(make(each, validate=False) for each in (tf.gather(self._table, ids), starts, ends))

    def _places(self, texts, rows, first, last):
        """Returns starts and ends in characters, (pieces,), of places in the normalized texts."""
        units, _ = split_around(texts, self._units)
        lengths = tf.strings.length(units.values, unit="UTF8_CHAR")
        counted = self._counter.tokenize(self._clean(units.values))
        sizes = tf.reduce_sum(tf.cast((counted != 1) & (counted < _FIRST_CONTINUATION), tf.int32), axis=1)
        splits = tf.cast(units.row_splits, tf.int64)
        norm_ends, char_ends = _sums(sizes, splits), _sums(lengths, splits)
        stride = tf.cast(tf.reduce_max(tf.concat([norm_ends, last, [0]], 0)), tf.int64) + 2
        keys = tf.cast(norm_ends, tf.int64) + units.value_rowids() * stride
        begin = tf.searchsorted(keys, tf.cast(first, tf.int64) + rows * stride, side="right")
        end = tf.searchsorted(keys, tf.cast(last, tf.int64) + rows * stride, side="left")
        most = tf.cast(tf.gather(splits, rows + 1), tf.int32) - 1
        is_past, begin, end = begin > most, tf.minimum(begin, most), tf.minimum(end, most)
        starts = tf.gather(char_ends, begin) - tf.where(is_past, 0, tf.gather(lengths, begin))
        return starts, tf.where(last > first, tf.maximum(tf.gather(char_ends, end), starts), starts)


def _sums(values, splits):
    """Returns the sum of each row up to each of its values."""
    sums = tf.cumsum(values)
    before = tf.concat([tf.zeros([1], sums.dtype), sums], 0)
    return sums - tf.gather(before, tf.gather(splits, tf.ragged.row_splits_to_segment_ids(splits)))


_BYTES = [bytes([byte]) for byte in [*range(1, 0x80), *range(0xC2, 0xF5), *range(0x80, 0xC0)]]
_FIRST_CONTINUATION = 2 + len(_BYTES) - 0x40  # ids: 0 unknown, 1 ▁, those of first bytes, the others


def _counting_model(model):
    """Makes a model of the same normalization whose pieces are single bytes: as many first bytes as characters."""
    scores = [0.0, -0.5] + [-1.0] * (len(_BYTES) - 0x40) + [0.0] * 0x40
    types = [UNKNOWN] + [NORMAL] * (len(_BYTES) + 1)
    return write_model(["<unk>", "▁", *_BYTES], scores, types, charsmap=model.charsmap)
