"""Spans of pieces back to the original text inside the graph (run_squad.py, get_final_text; squad/final_text.py).

A context may be one word of a megabyte, and a span may be all of it. So no text is copied for a span: the characters of
all words stand in one array, and stretches of it are compared by their hashes, Σ (code + 1) r ** i modulo 2 ** 64.

B questions, N spans of each, W words and P pieces of a context, M spans in all.
"""

import dataclasses

import tensorflow as tf

BASE = 6364136223846793005  # r, odd (Knuth's multiplier)
OTHER_BASE = 2862933555777941757  # to join two hashes
PLACES_AT_ONCE = 1 << 20  # where texts are looked for: the memory that takes has a bound
NOWHERE = tf.int32.max


@dataclasses.dataclass(frozen=True)
class Codes:
    """Strings as their characters' codes, or other rows of numbers, those of one after those of the other.

    Attributes:
        starts, ends: int32 (rows,), the places from which on and before which each one's stand.
        powers: int64 (codes + 1,), r ** i.
        sums: int64 (codes + 1,), those of the hash up to each place.
        letters: int32 (codes + 1,), how many up to each place are no spaces.
    """

    starts: tf.Tensor
    ends: tf.Tensor
    powers: tf.Tensor
    sums: tf.Tensor
    letters: tf.Tensor

    @classmethod
    def of(cls, rows):
        """Takes ragged int32 (rows, None)."""
        codes = tf.cast(rows.values, tf.int64)
        powers = tf.math.cumprod(tf.fill([tf.size(codes) + 1], tf.constant(BASE, tf.int64)), exclusive=True)
        sums = tf.cumsum((codes + 1) * powers[:-1])
        letters = tf.cumsum(tf.cast(codes != ord(" "), tf.int32))
        splits = tf.cast(rows.row_splits, tf.int32)
        return cls(splits[:-1], splits[1:], powers, *(tf.concat([[0], each], 0) for each in (sums, letters)))

    def hashes(self, starts, ends):
        """Returns the hash of each stretch, int64, times r ** its start."""
        return tf.gather(self.sums, ends) - tf.gather(self.sums, starts)

    def keys(self, starts, ends):
        """Returns the hash of each stretch, int64, times r ** the number of all codes: equal for equal stretches."""
        return self.hashes(starts, ends) * tf.gather(self.powers, tf.size(self.powers) - 1 - starts)

    def letters_between(self, starts, ends):
        """Returns how many codes of each stretch are no spaces, int32."""
        return tf.gather(self.letters, ends) - tf.gather(self.letters, starts)


def characters(strings):
    """Returns the Codes of strings, (rows,)."""
    return Codes.of(tf.strings.unicode_decode(strings, "UTF-8"))


@dataclasses.dataclass(frozen=True)
class Sources:
    """What the pieces of all contexts were made of; a piece is named by its number among all.

    Attributes:
        tokens: string (pieces,), as the vocabulary has them.
        word_of: int32 (pieces,), the word of each, among all.
        starts: int32 (words,), the character of its context that each word begins with.
        original, normal: Codes of the words as they stand, and as the tokenizer normalizes them, each with a space
            after it.
        ids: Codes of the pieces' ids.
        unknown: int32 (pieces + 1,), how many up to each piece are [UNK].
    """

    tokens: tf.Tensor
    word_of: tf.Tensor
    starts: tf.Tensor
    original: Codes
    normal: Codes
    ids: Codes
    unknown: tf.Tensor

    @classmethod
    def of(cls, server, words, starts, pieces):
        """Takes the words of all contexts, string (words,), where each begins, and its pieces, ragged int32."""
        normal = tf.strings.reduce_join(server.tokenize.basic_tokens(words), axis=1, separator=" ")
        return cls(
            tokens=tf.gather(tf.constant(server.tokenizer.vocabulary.tokens), pieces.values),
            word_of=tf.cast(pieces.value_rowids(), tf.int32),
            starts=starts,
            original=characters(words + " "),
            normal=characters(tf.where(normal == "", "", normal + " ")),
            ids=Codes.of(pieces),
            unknown=tf.concat([[0], tf.cumsum(tf.cast(pieces.values == server.tokenizer.unk_id, tf.int32))], 0),
        )

    def keys(self, first, last):
        """Returns numbers of spans of pieces, int64 (M,), that are equal only where `find` finds equal texts."""
        words = tf.gather(self.word_of, first), tf.gather(self.word_of, last)
        pieces = tf.where(self.may_be_found(first, last, *words), self.ids.keys(first, last + 1), 0)
        return self.original.keys(*_bounds(self.original, *words)) + OTHER_BASE * pieces

    def may_be_found(self, first, last, first_word, last_word):
        """Says of spans, bool (M,), whether a part of their words can be told by its pieces; else it is all of them."""
        is_known = tf.equal(tf.gather(self.unknown, first), tf.gather(self.unknown, last + 1))
        letters = [each.letters_between(*_bounds(each, first_word, last_word)) for each in (self.original, self.normal)]
        return is_known & tf.equal(*letters)

    def find(self, first, last):
        """Finds the texts of spans of pieces.

        Args:
            first, last: int32 (M,), the first and the last piece.

        Returns:
            keys, starts, ends: int64 (M,), equal for those whose texts, with single spaces between words, are equal;
            int32 (M,), the characters of the context from which on and before which they stand.
        """
        words = tf.gather(self.word_of, first), tf.gather(self.word_of, last)
        predicted = _joined(self.tokens, first, last)
        predicted = characters(tf.strings.regex_replace(tf.strings.regex_replace(predicted, " ##", ""), "##", ""))
        begin, end = _bounds(self.normal, *words)
        # Without an unknown word the text is there, and begins in the first word.
        place = _find(predicted, self.normal, begin, tf.gather(self.normal.ends, words[0]) - 1, end)
        is_found = (place != NOWHERE) & self.may_be_found(first, last, *words)
        bounds = _bounds(self.original, *words)
        skipped = tf.where(is_found, self.normal.letters_between(begin, tf.where(is_found, place, begin)), 0)
        taken = predicted.letters_between(predicted.starts, predicted.ends)
        taken = tf.where(is_found, taken, self.original.letters_between(*bounds))
        first_letter = tf.gather(self.original.letters, bounds[0]) + skipped  # of all words of all contexts
        start, end = (self._place(letter) for letter in (first_letter, first_letter + taken - 1))
        return self.original.keys(start[0], end[0] + 1), start[1], end[1] + 1

    def _place(self, letters):
        """Returns the places of letters among all characters, and in their contexts; int32 (M,) each."""
        original = self.original
        word = tf.searchsorted(tf.gather(original.letters, original.ends), letters, side="right")
        place = letters - tf.gather(original.letters, tf.gather(original.starts, word))
        return tf.gather(original.starts, word) + place, tf.gather(self.starts, word) + place


def _bounds(codes, first_word, last_word):
    """Returns the places from which on and before which words stand, without the last one's space."""
    return tf.gather(codes.starts, first_word), tf.gather(codes.ends, last_word) - 1


def _joined(strings, first, last):
    """Joins strings first ... last by spaces: (M,)."""
    places = tf.ragged.range(first, last + 1)
    return tf.strings.reduce_join(places.with_values(tf.gather(strings, places.values)), axis=1, separator=" ")


def _find(needles, texts, begins, limits, ends):
    """Finds each needle in a stretch of the texts where it first begins.

    Args:
        needles: Codes of M strings.
        texts: Codes.
        begins, limits, ends: int32 (M,), the places from which on the needle may begin, and before which it must begin
            and end.

    Returns:
        int32 (M,), its place among the codes of the texts, or NOWHERE.
    """
    lengths, hashes = needles.ends - needles.starts, needles.hashes(needles.starts, needles.ends)
    shifts = tf.gather(needles.powers, needles.starts)  # hashes are times these

    def look(still, skipped, found):
        """Looks at some places more for the needles that are not found yet, int32 (still,)."""
        more = tf.maximum(1, PLACES_AT_ONCE // tf.size(still))
        start, limit = (tf.gather(each, still) for each in (begins, limits))
        places = tf.ragged.range(tf.minimum(start + skipped, limit), tf.minimum(start + skipped + more, limit))
        number = tf.gather(still, places.value_rowids())
        last, end = places.values + tf.gather(lengths, number), tf.gather(ends, number)
        here = texts.hashes(places.values, tf.minimum(last, end)) * tf.gather(shifts, number)
        there = tf.gather(hashes, number) * tf.gather(texts.powers, places.values)
        is_here = (last <= end) & tf.equal(here, there)
        first = tf.reduce_min(places.with_values(tf.where(is_here, places.values, NOWHERE)), axis=1)
        found = tf.tensor_scatter_nd_update(found, still[:, None], first)
        is_open = tf.equal(first, NOWHERE) & (start + skipped + more < limit)
        return tf.boolean_mask(still, is_open), skipped + more, found

    still = tf.boolean_mask(tf.range(tf.size(lengths)), lengths > 0)
    _, _, found = tf.while_loop(
        lambda still, skipped, found: tf.size(still) > 0,
        look,
        (still, tf.constant(0), tf.fill(tf.shape(lengths), NOWHERE)),
        shape_invariants=(tf.TensorShape([None]), tf.TensorShape([]), tf.TensorShape([None])),
    )
    return found


def is_first(keys):
    """Says of each key, int64 (M,), whether it is the first of its kind."""
    places = tf.range(tf.size(keys))
    number = tf.unique(keys).idx
    return tf.equal(tf.gather(tf.math.unsorted_segment_min(places, number, tf.size(keys)), number), places)
