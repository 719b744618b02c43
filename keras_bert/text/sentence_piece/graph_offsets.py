"""Where pieces stand in raw strings by the offsets of SentencepieceTokenizer, inside the graph.

For models whose ids come from that op, BPE among them. Its offsets are sentencepiece's own: bytes of the string that
the model was given, from which the places of `SentencePieceEngine.ids_with_offsets` follow exactly.

    bytes of cleaned strings -> characters -> characters of the raw strings -> without white space -> whole units

Shapes: N strings, L pieces of a string, P of all; C characters and U units of all, one string after the other.
"""

import numpy as np
import tensorflow as tf

from keras_bert.text.characters import WHITE_SPACE, re2_class
from keras_bert.text.graph_strings import split_around
from keras_bert.text.sentence_piece.graph_cleaning import GraphCleaning
from keras_bert.text.sentence_piece.pieces import SPACES
from keras_bert.text.units import unit_pattern


class GraphOffsets:
    """Finds the pieces of strings with their places.

    Args:
        engine: the SentencePiece.
        op: its SentencepieceTokenizer, the one that gives the ids: a SavedModel may have one alone.
    """

    def __init__(self, engine, op):
        model, self._op, self._table = engine.model, op, engine.table
        joins = not (model.remove_extra_whitespaces and model.escape_whitespaces)
        # Not composed: then what becomes of a character does not depend on those around it.
        self._clean = GraphCleaning(engine.rules, joins_spaces=joins, composes=False)
        self._has_text = np.array([piece.strip(SPACES) != "" for piece in model.pieces])
        self._blanks = np.array([*engine.blanks(), 0x110000], np.int32)
        self._rules = engine.rules
        self._units = unit_pattern(re2_class, quotes=engine.rules.replaces_quotes)
        # What cleaning makes something of by itself.
        joined = [f"[{re2_class(WHITE_SPACE)}]+"] * engine.rules.joins_spaces + ["``|''"] * engine.rules.replaces_quotes
        self._joined = "|".join([*joined, "(?s:.)"])

    def __call__(self, texts):
        """Finds pieces, without the comma rule, and their places as `SentencePiece.ids_with_offsets` has them.

        Args:
            texts: string (N,), valid UTF-8.

        Returns:
            ids, starts, ends: ragged int32 (N, L), the family's ids and places in characters of the texts.
        """
        cleaned = self._clean(texts)
        found, starts, ends = self._op.tokenize_with_offsets(cleaned)
        ids = tf.RaggedTensor.from_row_splits(found.values, tf.cast(found.row_splits, tf.int64), validate=False)
        raw, rows = ids.values, ids.value_rowids()
        starts, ends = _in_characters(cleaned, rows, starts.values, ends.values)
        if self._rules.cleans:
            units, first, last = _units(texts, self._joined)
            starts, ends = _in_original(self._clean.lengths(units), first, last, starts, ends)
        codes = tf.strings.unicode_decode(texts, "UTF-8")
        begins = tf.cast(codes.row_splits, tf.int32)
        after = tf.gather(begins, rows + 1)  # its string
        begins = tf.gather(begins, rows)
        starts, ends = self._without_blanks(codes.values, tf.minimum(starts, after), tf.minimum(ends, after))
        ends += tf.cast((starts == ends) & (starts < after) & tf.gather(self._has_text, raw), tf.int32)
        return tuple(map(ids.with_values, (tf.gather(self._table, raw), starts - begins, ends - begins)))

    def widened(self, texts, starts, ends):
        """Returns places that cover whole units of strings (N,), as units.py does; all ragged int32 (N, L)."""
        _, first, last = _units(texts, self._units)
        first, last = (tf.repeat(each, last - first) for each in (first, last))  # of each character
        first, last = (tf.concat([each, [0]], 0) for each in (first, last))
        sizes = tf.strings.length(texts, unit="UTF8_CHAR")
        rows = starts.value_rowids()
        begins = tf.gather(tf.cumsum(sizes, exclusive=True), rows)
        is_within = starts.values < tf.gather(sizes, rows)
        begin = tf.where(is_within, tf.gather(first, begins + starts.values) - begins, starts.values)
        end = tf.gather(last, tf.maximum(begins + ends.values - 1, 0)) - begins
        return starts.with_values(begin), ends.with_values(tf.where(starts.values < ends.values, end, begin))

    def _without_blanks(self, codes, starts, ends):
        """Leaves out what becomes white space or nothing: int32 (C,), (P,) and (P,) -> (P,) twice."""
        is_text = tf.gather(self._blanks, tf.searchsorted(self._blanks, codes)) != codes
        places = tf.concat([tf.cast(tf.where(is_text)[:, 0], tf.int32), [tf.size(codes)]], 0)
        before = tf.concat([[0], tf.cumsum(tf.cast(is_text, tf.int32))], 0)  # how many are text before each
        starts = tf.minimum(tf.gather(places, tf.gather(before, starts)), ends)
        last = tf.gather(places, tf.maximum(tf.gather(before, ends) - 1, 0))
        return starts, tf.where(starts < ends, last + 1, ends)


def _units(texts, pattern):
    """Returns the matches of a pattern that is everywhere, ragged (N, U), and where each is, int32 (U,) twice."""
    parts, is_unit = split_around(texts, pattern)
    units = tf.ragged.boolean_mask(parts, parts.with_values(is_unit))
    sizes = tf.strings.length(units.values, unit="UTF8_CHAR")
    last = tf.cumsum(sizes)
    return units, last - sizes, last


def _in_characters(texts, rows, starts, ends):
    """Returns places among the characters of all texts, int32 (P,) twice, of places in the bytes of a text."""
    data = tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8)
    upto = tf.concat([[0], tf.cumsum(tf.cast((data & 0xC0) != 0x80, tf.int32))], 0)
    begins = tf.gather(tf.cumsum(tf.strings.length(texts), exclusive=True), rows)
    return tuple(tf.gather(upto, begins + tf.cast(each, tf.int32)) for each in (starts, ends))


def _in_original(lengths, first, last, starts, ends):
    """Returns places in raw strings of places in cleaned ones, int32 (P,) twice; what is after a string may be later.

    Args:
        lengths: int32 (U,), how many characters of the cleaned strings each unit became.
        first, last: int32 (U,), where each unit begins and ends in the raw strings.
        starts, ends: int32 (P,).
    """
    unit = tf.concat([tf.repeat(tf.range(tf.size(lengths)), lengths), [tf.size(lengths)]], 0)  # of each character
    first, last = tf.concat([first, last[-1:], [0]], 0), tf.concat([last, [0]], 0)
    begin = tf.gather(first, tf.gather(unit, starts))
    end = tf.gather(last, tf.gather(unit, tf.maximum(ends - 1, 0)))
    return begin, tf.where(starts < ends, end, begin)
