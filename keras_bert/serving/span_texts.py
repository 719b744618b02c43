"""Spans of pieces back to the original text inside the graph (run_squad.py, get_final_text; squad/final_text.py).

B questions, N spans of each, W words and P pieces of a context, M spans in all.
"""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Texts:
    """The texts of spans.

    Attributes:
        texts: string (B, N), with single spaces between words; "" for no span.
        start, end: int32 (B, N), the characters of the context from which on and before which they stand.
    """

    texts: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor


def find_texts(server, words, starts, pieces, ids, spans):
    """Finds what spans of pieces were made of.

    Args:
        server: a Server.
        words, starts: ragged string and int32 (B, W), the contexts' words and the characters they begin with.
        pieces: ragged int32 (words, None), each word's pieces.
        ids: ragged int32 (B, P), each context's.
        spans: the Spans.

    Returns:
        Texts.
    """
    is_span = spans.scores > tf.float64.min
    before = tf.cast(ids.row_starts(), tf.int32)[:, None]
    first, last = (tf.boolean_mask(each + before, is_span) for each in (spans.first, spans.last))  # (M,)
    word_of = tf.cast(pieces.value_rowids(), tf.int32)
    first_word, last_word = tf.gather(word_of, first), tf.gather(word_of, last)
    original = _joined(words.values, first_word, last_word)
    normal_words = tf.strings.reduce_join(server.tokenize.basic_tokens(words.values), axis=1, separator=" ")
    normal = tf.strings.strip(tf.strings.regex_replace(_joined(normal_words, first_word, last_word), " +", " "))
    predicted = _joined(tf.gather(tf.constant(server.tokenizer.vocabulary.tokens), ids.values), first, last)
    predicted = tf.strings.regex_replace(tf.strings.regex_replace(predicted, " ##", ""), "##", "")

    # Without an unknown word the text is there, and begins in the first word.
    prefix, is_found = _find(predicted, normal, _length(tf.gather(normal_words, first_word)))
    is_found &= tf.equal(_letters(original), _letters(normal))
    skipped = tf.where(is_found, _letters(prefix), 0)  # all counted without spaces
    taken = tf.where(is_found, _letters(predicted), _letters(original))
    ends = tf.cumsum(_length(words.values))  # of all words of all contexts, one after the other
    first_letter = tf.gather(tf.concat([[0], ends], 0), first_word) + skipped
    last_letter = first_letter + taken - 1
    words_at = [tf.searchsorted(ends, letter, side="right") for letter in (first_letter, last_letter)]
    begins = ends - _length(words.values)
    start, end = (
        tf.gather(starts.values, word) + letter - tf.gather(begins, word)
        for word, letter in zip(words_at, (first_letter, last_letter), strict=True)
    )
    text = tf.strings.substr(
        original, skipped + words_at[0] - first_word, taken + words_at[1] - words_at[0], unit="UTF8_CHAR"
    )

    number = tf.reshape(tf.cumsum(tf.cast(tf.reshape(is_span, [-1]), tf.int32)) - 1, tf.shape(is_span))

    def of_spans(each, nothing):
        return tf.gather(tf.concat([each, [nothing]], 0), tf.where(is_span, number, tf.size(each)))

    return Texts(of_spans(text, ""), of_spans(start, 0), of_spans(end + 1, 0))


def _joined(strings, first, last):
    """Joins strings first ... last by spaces: (M,)."""
    places = tf.ragged.range(first, last + 1)
    return tf.strings.reduce_join(places.with_values(tf.gather(strings, places.values)), axis=1, separator=" ")


def _length(strings):
    return tf.strings.length(strings, unit="UTF8_CHAR")


def _letters(strings):
    """Returns the number of characters that are no spaces."""
    return _length(tf.strings.regex_replace(strings, " ", ""))


def _find(needles, texts, limits):
    """Finds each needle in its text where it first begins.

    Args:
        needles, texts: string (M,).
        limits: int32 (M,), at least 1 and at most the text's characters; where a needle begins before.

    Returns:
        prefixes, is_found: string (M,), the text before the needle; bool (M,).
    """
    places = tf.ragged.range(limits)
    number = places.value_rowids()
    needle = tf.gather(needles, number)
    here = tf.strings.substr(tf.gather(texts, number), places.values, _length(needle), unit="UTF8_CHAR")
    nowhere = tf.reduce_max(tf.concat([limits, [0]], 0))
    at = tf.reduce_min(places.with_values(tf.where(tf.equal(here, needle), places.values, nowhere)), axis=1)
    is_found = (at < nowhere) & (needles != "")
    return tf.strings.substr(texts, 0 * at, tf.where(is_found, at, 0), unit="UTF8_CHAR"), is_found
