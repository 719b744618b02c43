"""Spans of WordPieces back to the original text inside the graph (run_squad.py, get_final_text; squad/final_text.py).

The rule is Python's, once more: a served graph runs without Python. tests/serving/test_spans.py holds them together.
A context may be one word of a megabyte, and a span may be all of it. So no text is copied for a span, but for a part of
a word: stretches are compared by their names (names.py).

B questions, N spans of each, W words and P pieces of a context, M spans in all.
"""

import dataclasses

import tensorflow as tf

from keras_bert.tasks.answer.graph_names import Names, numbered

PLACES_AT_ONCE = 1 << 20  # where texts are looked for: the memory that takes has a bound
NOWHERE = tf.int32.max


@dataclasses.dataclass(frozen=True)
class Codes:
    """Strings as their characters' codes, those of one after those of the other.

    Attributes:
        values: int32 (codes,).
        starts, ends: int32 (rows,), the places from which on and before which each string's stand.
        letters: int32 (codes + 1,), how many up to each place are no spaces.
    """

    values: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    letters: tf.Tensor

    def letters_between(self, starts, ends):
        """Returns how many codes of each stretch are no spaces, int32."""
        return tf.gather(self.letters, ends) - tf.gather(self.letters, starts)


def characters(strings):
    """Returns the Codes of strings, (rows,)."""
    rows = tf.strings.unicode_decode(strings, "UTF-8")
    letters = tf.cumsum(tf.cast(rows.values != ord(" "), tf.int32))
    splits = tf.cast(rows.row_splits, tf.int32)
    return Codes(rows.values, splits[:-1], splits[1:], tf.concat([[0], letters], 0))


@dataclasses.dataclass(frozen=True)
class WordPieceSources:
    """What the pieces of all contexts were made of; a piece is named by its number among all.

    Attributes:
        ids: int32 (pieces,).
        tokens: string (pieces,), as the vocabulary has them.
        word_of: int32 (pieces,), the word of each, among all.
        words: string (words,), as they stand.
        starts: int32 (words,), the character of its context that each word begins with.
        original, normal: Codes of the words as they stand, and as the tokenizer normalizes them, each with a space
            after it.
        unknown: int32 (pieces + 1,), how many up to each piece are [UNK].
    """

    ids: tf.Tensor
    tokens: tf.Tensor
    word_of: tf.Tensor
    words: tf.Tensor
    starts: tf.Tensor
    original: Codes
    normal: Codes
    unknown: tf.Tensor

    @classmethod
    def of(cls, server, words, starts):
        """Takes the words of all contexts, string (words,), and where each begins. Returns their pieces' ids too."""
        pieces = server.tokenize(words)  # (words, None)
        normal = tf.strings.reduce_join(server.tokenize.basic_tokens(words), axis=1, separator=" ")
        sources = cls(
            ids=pieces.values,
            tokens=tf.gather(tf.constant(server.tokenizer.vocabulary.tokens), pieces.values),
            word_of=tf.cast(pieces.value_rowids(), tf.int32),
            words=words,
            starts=starts,
            original=characters(words + " "),
            normal=characters(tf.where(normal == "", "", normal + " ")),
            unknown=tf.concat([[0], tf.cumsum(tf.cast(pieces.values == server.tokenizer.unk_id, tf.int32))], 0),
        )
        return pieces, sources

    def keys(self, first, last):
        """Returns columns of numbers of spans of pieces, (M,) each, all equal only where `find` finds equal texts."""
        words = tf.gather(self.word_of, first), tf.gather(self.word_of, last)
        more = tf.where(self.may_be_found(first, last, *words), last - first + 1, 0)  # the pieces say nothing else
        of_words = Names.of(tf.unique(self.words).idx, words[1] - words[0] + 1)
        return *of_words.columns(words[0], words[1] - words[0] + 1), *Names.of(self.ids, more).columns(first, more)

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
            keys, starts, ends: int32 (M,), equal for those whose texts, with single spaces between words, are equal,
            and for no others; the characters of the context from which on and before which they stand.
        """
        words = tf.gather(self.word_of, first), tf.gather(self.word_of, last)
        predicted = _joined(self.tokens, first, last)
        predicted = characters(tf.strings.regex_replace(tf.strings.regex_replace(predicted, " ##", ""), "##", ""))
        begin, end = _bounds(self.normal, *words)
        may_be_found = self.may_be_found(first, last, *words)
        # Without an unknown word the text is there, and begins in the first word.
        limit = tf.where(may_be_found, tf.gather(self.normal.ends, words[0]) - 1, begin)
        place = find_first(predicted, self.normal, begin, limit, end)
        is_found = place != NOWHERE
        bounds = _bounds(self.original, *words)
        skipped = tf.where(is_found, self.normal.letters_between(begin, tf.where(is_found, place, begin)), 0)
        taken = predicted.letters_between(predicted.starts, predicted.ends)
        taken = tf.where(is_found, taken, self.original.letters_between(*bounds))
        first_letter = tf.gather(self.original.letters, bounds[0]) + skipped  # of all words of all contexts
        start, end = (self._place(letter) for letter in (first_letter, first_letter + taken - 1))
        in_context = [tf.gather(self.starts, word) + place for word, place in (start, end)]
        return TextKeys(self.words, self.original).of(*start, *end), in_context[0], in_context[1] + 1

    def _place(self, letters):
        """Returns in which word letters stand, and at which of its characters; int32 (M,) each."""
        original = self.original
        word = tf.searchsorted(tf.gather(original.letters, original.ends), letters, side="right")
        return word, letters - tf.gather(original.letters, tf.gather(original.starts, word))


@dataclasses.dataclass(frozen=True)
class TextKeys:
    """Tells texts of words apart, from one of their characters to another.

    Attributes:
        words: string (words,), as they stand.
        original: Codes of them, each with a space after it.
    """

    words: tf.Tensor
    original: Codes

    def of(self, first_word, first, last_word, last):
        """Returns one number for each text, int32 (M,).

        A text is some words. Those between its first and its last are whole; only a part of a word, which is no longer
        than the pieces that were found, is copied.

        Args:
            first_word, first: int32 (M,), the word and its character with which each text begins.
            last_word, last: those with which it ends.
        """
        sizes = self.original.ends - self.original.starts - 1
        is_one = first_word == last_word
        last_of_first = tf.where(is_one, last, tf.gather(sizes, first_word) - 1)
        parts = [(first_word, first, last_of_first), (last_word, tf.where(is_one, first, 0), last)]
        copies = [self._copied(sizes, *part) for part in parts]
        names = tf.unique(tf.concat([self.words, *(copy for _, copy in copies)], 0)).idx
        of_words, *of_copies = tf.split(names, [tf.size(self.words), tf.size(first), tf.size(first)])
        ends = [
            tf.where(is_cut, of_copy, tf.gather(of_words, word))
            for (is_cut, _), of_copy, (word, _, _) in zip(copies, of_copies, parts, strict=True)
        ]
        between = tf.maximum(last_word - first_word - 1, 0)
        return numbered(is_one, *ends, *Names.of(of_words, between).columns(first_word + 1, between))

    def _copied(self, sizes, word, first, last):
        """Returns whether characters first ... last are less than their word, and copies of those that are; else ""."""
        is_cut = (first > 0) | (last < tf.gather(sizes, word) - 1)
        start = tf.gather(self.original.starts, word)
        places = tf.ragged.range(start + first, tf.where(is_cut, start + last + 1, start + first))
        return is_cut, tf.strings.unicode_encode(
            places.with_values(tf.gather(self.original.values, places.values)), "UTF-8"
        )


def _bounds(codes, first_word, last_word):
    """Returns the places from which on and before which words stand, without the last one's space."""
    return tf.gather(codes.starts, first_word), tf.gather(codes.ends, last_word) - 1


def _joined(strings, first, last):
    """Joins strings first ... last by spaces: (M,)."""
    places = tf.ragged.range(first, last + 1)
    return tf.strings.reduce_join(places.with_values(tf.gather(strings, places.values)), axis=1, separator=" ")


def find_first(needles, texts, begins, limits, ends):
    """Finds each needle in a stretch of the texts where it first begins.

    Args:
        needles: Codes of M strings.
        texts: Codes.
        begins, limits, ends: int32 (M,), the places from which on the needle may begin, and before which it must begin
            and end.

    Returns:
        int32 (M,), its place among the codes of the texts, or NOWHERE.
    """
    sizes = tf.where(begins < limits, needles.ends - needles.starts, 0)
    names, before = Names.of(tf.concat([texts.values, needles.values], 0), sizes), tf.size(texts.values)
    _, *wanted = names.columns(before + needles.starts, sizes)

    def look(still, skipped, found):
        """Looks at some places more for the needles that are not found yet, int32 (still,)."""
        more = tf.maximum(1, PLACES_AT_ONCE // tf.size(still))
        start, limit = (tf.gather(each, still) for each in (begins, limits))
        places = tf.ragged.range(tf.minimum(start + skipped, limit), tf.minimum(start + skipped + more, limit))
        number = tf.gather(still, places.value_rowids())
        size = tf.gather(sizes, number)
        fits = places.values + size <= tf.gather(ends, number)
        _, *here = names.columns(tf.where(fits, places.values, before + tf.gather(needles.starts, number)), size)
        for column, name in zip(here, wanted, strict=True):
            fits &= tf.equal(column, tf.gather(name, number))
        first = tf.reduce_min(places.with_values(tf.where(fits, places.values, NOWHERE)), axis=1)
        found = tf.tensor_scatter_nd_update(found, still[:, None], first)
        is_open = tf.equal(first, NOWHERE) & (start + skipped + more < limit)
        return tf.boolean_mask(still, is_open), skipped + more, found

    still = tf.boolean_mask(tf.range(tf.size(sizes)), sizes > 0)
    _, _, found = tf.while_loop(
        lambda still, skipped, found: tf.size(still) > 0,
        look,
        (still, tf.constant(0), tf.fill(tf.shape(sizes), NOWHERE)),
        shape_invariants=(tf.TensorShape([None]), tf.TensorShape([]), tf.TensorShape([None])),
    )
    return found
