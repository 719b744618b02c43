"""Spans of pieces that say where they stand back to the original text, inside the graph (squad/final_text.py).

W words and P pieces of all contexts, M spans.
"""

import dataclasses

import tensorflow as tf

from keras_bert.tasks.answer.graph_names import Names
from keras_bert.tasks.answer.graph_texts import TextKeys, WordPieceSources, characters


def sources_of(server, words, starts):
    """Returns the pieces of the words of all contexts, and what finds the texts of spans of them.

    Args:
        server: a Server.
        words: string (W,).
        starts: int32 (W,), the character of its context that each begins with.

    Returns:
        ragged int32 (W, None), and a WordPieceSources or PlacedSources.
    """
    kind = WordPieceSources if server.tokenizer.kind == "wordpiece" else PlacedSources
    return kind.of(server, words, starts)


@dataclasses.dataclass(frozen=True)
class PlacedSources:
    """Where the pieces of all contexts stand; a piece is named by its number among all.

    Attributes:
        word_of: int32 (P,), the word of each, among all.
        words: string (W,), as they stand.
        starts: int32 (W,), the character of its context that each word begins with.
        original: Codes of the words as they stand, each with a space after it.
        first, last: int32 (P,), the characters of its word from which on and before which each piece stands.
        filled: int32 (K,), the pieces that have a character of their own, which "▁" may not have.
        counts: int32 (P + 1,), how many of these there are before each piece.
    """

    word_of: tf.Tensor
    words: tf.Tensor
    starts: tf.Tensor
    original: object
    first: tf.Tensor
    last: tf.Tensor
    filled: tf.Tensor
    counts: tf.Tensor

    @classmethod
    def of(cls, server, words, starts):
        """Takes the words of all contexts, string (W,), and where each begins. Returns their pieces' ids too."""
        ids, first, last = server.tokenize.pieces_of_words(words)
        word_of = tf.cast(ids.value_rowids(), tf.int32)
        first, last = first.values, last.values
        filled = tf.cast(tf.reshape(tf.where(first < last), [-1]), tf.int32)
        counts = tf.concat([[0], tf.cumsum(tf.cast(first < last, tf.int32))], 0)
        return ids, cls(word_of, words, starts, characters(words + " "), first, last, filled, counts)

    def keys(self, first, last):
        """Returns columns of numbers of spans of pieces, (M,) each, all equal only where `find` finds equal texts."""
        words, start, end = self._bounds(first, last)
        size = words[1] - words[0] + 1
        return *Names.of(tf.unique(self.words).idx, size).columns(words[0], size), start, end

    def find(self, first, last):
        """Finds the texts of spans of pieces; see `WordPieceSources.find`."""
        words, start, end = self._bounds(first, last)
        in_context = [tf.gather(self.starts, word) + place for word, place in zip(words, (start, end), strict=True)]
        keys = TextKeys(self.words, self.original).of(words[0], start, words[1], end - 1)
        return keys, *in_context

    def _bounds(self, first, last):
        """Returns the words of spans' ends, and the characters of these from which on and before which they stand.

        Pieces at either end that have no character count for nothing; if none has any, the words are the text.
        """
        words = tf.gather(self.word_of, first), tf.gather(self.word_of, last)
        size = tf.gather(self.original.ends - self.original.starts - 1, words[1])
        start, end = tf.gather(self.counts, first), tf.gather(self.counts, last + 1) - 1  # among the filled
        has_any, filled = start <= end, tf.concat([self.filled, [0]], 0)
        first, last = (tf.gather(filled, tf.where(has_any, each, 0)) for each in (start, end))
        words = [
            tf.where(has_any, tf.gather(self.word_of, piece), word)
            for piece, word in zip((first, last), words, strict=True)
        ]
        start, end = tf.gather(self.first, first), tf.gather(self.last, last)
        return words, tf.where(has_any, start, 0), tf.where(has_any, end, size)
