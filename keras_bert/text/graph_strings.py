"""Strings inside the graph: what is not UTF-8 dropped, lower case as Unicode 14 has it, stretches around a pattern.

Shapes: B strings.
"""

import functools

import tensorflow as tf

from keras_bert.text.characters import CASE_IGNORABLE, CASED, re2_class
from keras_bert.text.normalize import lower

MARK = b"\xff"  # no byte of UTF-8, so free to mark a place in it
_VALID = r"[^\x{D800}-\x{DFFF}]*"  # RE2 itself lets encoded surrogates pass
_BY_LOCALE = "İÌÍĨĮ"  # other lower cases in Turkish and Lithuanian, and ICU asks the environment for the language
_CASED, _IGNORABLE = re2_class(CASED), re2_class(CASE_IGNORABLE)
_FINAL_SIGMA = f"([{_CASED}][{_IGNORABLE}]*)Σ([{_IGNORABLE}]*(?:[^{_CASED}{_IGNORABLE}]|$))"


def drop_invalid(texts):
    """Drops what is not UTF-8, as Python's decode(errors="ignore") does."""
    return tf.cond(
        tf.strings.regex_full_match(tf.strings.reduce_join(texts, separator=" "), _VALID),
        lambda: texts,
        lambda: tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore"),
    )


def any_has(texts, pattern):
    """Says whether any of the strings has a match of a pattern, bool ()."""
    return tf.reduce_any(tf.strings.regex_full_match(texts, f"(?s).*(?:{pattern}).*"))


def lower_sigmas(texts):
    """Lower-cases Σ, to ς at the end of a word."""

    def replaced():
        final = tf.strings.regex_replace(texts, _FINAL_SIGMA, r"\1ς\2")
        return tf.strings.regex_replace(final, "Σ", "σ")

    return tf.cond(any_has(texts, "Σ"), replaced, lambda: texts)


def lower_texts(texts):
    """Lower-cases all but Σ."""
    texts = tf.strings.lower(texts)  # ASCII first: to a Turkish ICU the lower case of I is ı
    special = _special_capitals()

    def replaced():
        out = texts
        for capital, small in special:
            out = tf.strings.regex_replace(out, capital, small)
        return out

    texts = tf.cond(any_has(texts, "|".join(capital for capital, _ in special)), replaced, lambda: texts)
    return tf.strings.lower(texts, encoding="utf-8")


@functools.cache
def _special_capitals():
    """Returns (capital, small) where ICU may not do as Unicode 14: by its locale, or where it is too old."""
    with tf.init_scope():
        cased = [chr(code) for first, last in CASED for code in range(first, last + 1)]
        theirs = tf.strings.lower(cased, encoding="utf-8").numpy()
    differing = [char for char, small in zip(cased, theirs, strict=True) if small.decode() != lower(char)]
    return [
        (char, lower(char)) for char in dict.fromkeys([*_BY_LOCALE, *differing]) if not char.isascii() and char != "Σ"
    ]


def split_around(texts, pattern):
    """Splits before and after each match: string (B,) -> ragged string (B, None).

    Returns:
        The parts, and a bool of each of their values: whether it is a match; these have the odd places in a row.
    """
    parts = tf.strings.split(tf.strings.regex_replace(texts, f"({pattern})", MARK + rb"\1" + MARK), MARK)
    starts = tf.gather(parts.row_starts(), parts.value_rowids())
    return parts, (tf.range(tf.size(parts.values, tf.int64)) - starts) % 2 == 1
