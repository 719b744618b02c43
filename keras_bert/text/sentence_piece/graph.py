"""A SentencePiece tokenizer inside the graph: the ids of pieces.py on every string.

    text -> graph_cleaning.py -> tensorflow-text's op -> the family's ids

Unigram models go through the op that sums scores as sentencepiece does (fast_model.py) if they can, else
through SentencepieceTokenizer, of which a SavedModel may have one alone.
Shapes: N strings, L ids of a string.
"""

import numpy as np
import tensorflow as tf

from keras_bert.text.sentence_piece.fast_model import fast_model, unfit
from keras_bert.text.sentence_piece.graph_cleaning import GraphCleaning

_NOT_FIRST = -1  # in place of an id: a byte that does not begin a character


class GraphSentencePiece(tf.Module):
    """Strings to ids by a SentencePiece engine.

    Args:
        engine: the SentencePiece.

    Attributes:
        why_slow: why the op that sums as sentencepiece does cannot be had for this model, in words; None if it is. Then
            equal scores may be told apart in another way than in Python.

    Example:
        >>> from keras_bert.text.sentence_piece.pieces import SentencePiece
        >>> from keras_bert.text.sentence_piece.model import CONTROL, NORMAL, UNKNOWN, write_model
        >>> from keras_bert.text.sentence_piece.rules import FAMILIES
        >>> special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
        >>> types = [CONTROL, CONTROL, CONTROL, UNKNOWN, NORMAL, NORMAL]
        >>> data = write_model([*special, "▁a", "b"], [0, 0, 0, 0, -1, -2], types, unk_id=3)
        >>> layer = GraphSentencePiece(SentencePiece(data, FAMILIES["deberta_v2"]))
        >>> layer(tf.constant(["a ab", ""])).to_list()
        [[4, 4, 5], []]
    """

    def __init__(self, engine):
        super().__init__()
        import tensorflow_text as tf_text

        model = engine.model
        self.engine, self.why_slow = engine, unfit(model, engine.normalize)
        joins = not (model.remove_extra_whitespaces and model.escape_whitespaces)
        self._clean = GraphCleaning(engine.rules, joins_spaces=joins, composes=engine.composes_hangul)
        table = engine.table
        with tf.init_scope():
            if self.why_slow:
                self._op = tf_text.SentencepieceTokenizer(model.data)
            else:
                fast = fast_model(model)
                self._op = tf_text.FastSentencepieceTokenizer(fast.data)
                table = _with_added(engine, fast)
            # What a piece's id becomes; flags of those with which more is to be done.
            self._table = table
            is_unknown = (np.arange(len(table)) >= len(model.pieces)) | (np.arange(len(table)) == model.unk_id)
            self._is_unknown = is_unknown
            self._rare = (is_unknown & (self.why_slow is None)) | np.isin(table, list(engine.commas))
            self._same = np.array_equal(table[: len(model.pieces)], np.arange(len(model.pieces)))
            self._places = None  # made when first asked
            self._token_sizes = np.array([len(token.replace("▁", "")) for token in engine.tokens], np.int32)
            self._commas, self._comma_row = _comma_rows(engine.commas, len(engine.tokens))

    def __call__(self, texts):
        """Returns ragged int32 (N, L), the ids of strings (N,), valid UTF-8."""
        found = self._op.tokenize(self._clean(texts))
        values, splits = tf.cond(
            tf.reduce_any(tf.gather(self._rare, found.values)),
            lambda: self._of_rare(found.values, found.row_splits),
            lambda: (self._family_ids(found.values), tf.cast(found.row_splits, tf.int64)),
        )
        return tf.RaggedTensor.from_row_splits(values, splits, validate=False)

    def normalized(self, texts):
        """Returns strings (N,) as added tokens are looked for in them: as they are."""
        return texts

    def pieces(self, texts):
        """Tokenizes, and says where each piece stands, as `ids_with_offsets` of the engine does.

        The places are the same with `why_slow`. Without it they differ where several combining marks, or a mark and a
        letter that becomes several, stand together: there each piece gets the place of the whole cluster.

        Args:
            texts: string (N,), valid UTF-8.

        Returns:
            ids, starts, ends: ragged int32 (N, L); starts and ends count characters.
        """
        from keras_bert.text.sentence_piece.graph_offsets import GraphOffsets
        from keras_bert.text.sentence_piece.graph_places import GraphPlaces

        if self._places is None and self.why_slow:
            self._places = GraphOffsets(self.engine, self._op)
        elif self._places is None:
            self._places = GraphPlaces(self.engine, self._clean)
        ids, starts, ends = self._places(texts)
        if len(self._commas):
            ids, starts, ends = self._placed_commas(ids, starts, ends)
        return (ids, *self._places.widened(texts, starts, ends)) if self.why_slow else (ids, starts, ends)

    def _placed_commas(self, ids, starts, ends):
        """Puts several pieces in the place of one that ends in a comma: ids and places, ragged int32 (N, L) each."""
        splits = tf.cast(ids.row_splits, tf.int64)
        parts, row_of = self._comma_parts(ids.values)
        sizes = tf.where(parts >= 0, tf.gather(self._token_sizes, tf.maximum(parts, 0)), 0)
        fits = (row_of > 0) & (tf.reduce_sum(sizes, axis=1) == ends.values - starts.values)
        last = starts.values[:, None] + tf.cumsum(sizes, axis=1)
        firsts = tf.where(fits[:, None], last - sizes, starts.values[:, None])
        lasts = tf.where(fits[:, None], last, ends.values[:, None])
        values, splits = self._flat(parts, splits)
        flat = [values, *(tf.boolean_mask(each, parts >= 0) for each in (firsts, lasts))]
        return tuple(tf.RaggedTensor.from_row_splits(each, splits, validate=False) for each in flat)

    def _comma_parts(self, ids):
        """Returns (ids, most), what takes each id's place and -1 after it, and (ids,), its row of the table or 0."""
        row = tf.gather(self._comma_row, ids)
        parts = tf.gather(self._commas, row)
        return tf.concat([tf.where(row == 0, ids, parts[:, 0])[:, None], parts[:, 1:]], 1), row

    def _flat(self, parts, splits):
        counts = tf.reduce_sum(tf.cast(parts >= 0, tf.int64), axis=1)
        ends = tf.concat([[tf.constant(0, tf.int64)], tf.cumsum(counts)], 0)
        return tf.boolean_mask(parts, parts >= 0), tf.gather(ends, splits)

    def _family_ids(self, ids):
        return ids if self._same else tf.gather(self._table, ids)

    def _of_rare(self, ids, splits):
        """Makes one id of a run of unknown characters, and several of a piece that ends in a comma."""
        splits = tf.cast(splits, tf.int64)
        if self.why_slow is None:
            is_first = tf.gather(self._table != _NOT_FIRST, ids)
            ids, splits = _kept(ids, splits, is_first)
            is_unknown = tf.gather(self._is_unknown, ids)
            begins = tf.scatter_nd(splits[:-1, None], tf.ones_like(splits[:-1]), tf.shape(ids, tf.int64) + 1) > 0
            again = tf.concat([[False], (is_unknown[1:] & is_unknown[:-1])], 0)[: tf.size(ids)] & ~begins[:-1]
            ids, splits = _kept(ids, splits, ~again)
        ids = tf.gather(self._table, ids)
        if not len(self._commas):
            return ids, splits
        return self._flat(self._comma_parts(ids)[0], splits)


def _with_added(engine, fast):
    """Returns the table from ids of the fast op's model to the family's."""
    added = np.full(fast.size - len(engine.table), engine.unk_id, np.int32)
    added[fast.first_continuation - fast.size :] = _NOT_FIRST
    return np.concatenate([engine.table, added])


def _kept(values, splits, keep):
    """Drops flat values of a ragged tensor. Returns values and row splits."""
    counts = tf.concat([[tf.constant(0, tf.int64)], tf.cumsum(tf.cast(keep, tf.int64))], 0)
    return tf.boolean_mask(values, keep), tf.gather(counts, splits)


def _comma_rows(commas, size):
    """Returns int32 (C + 1, most), the ids that take a piece's place, -1 at the end, and int32 (V,), its row or 0."""
    if not commas:
        return np.zeros((0, 0), np.int32), np.zeros(0, np.int32)
    most = max(map(len, commas.values()))
    rows = np.full((len(commas) + 1, most), -1, np.int32)
    row_of = np.zeros(size, np.int32)
    for number, (index, parts) in enumerate(commas.items(), start=1):
        rows[number, : len(parts)] = parts
        row_of[index] = number
    return rows, row_of
