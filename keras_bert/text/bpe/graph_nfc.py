"""NFC inside the graph, as the `tokenizers` library has it.

The library's tables are older than ICU's, which tensorflow-text normalizes by: characters that it does not know are to
it letters that compose with nothing, so that what is before and after each of them is normalized by itself.

ICU takes quadratic time to sort a long run of combining marks, so those are sorted before.

Shapes: N strings; C characters of them all.
"""

import functools
import unicodedata

import numpy as np
import tensorflow as tf

from keras_bert.text.bpe.words import PAGE, paged
from keras_bert.text.characters import re2_class
from keras_bert.text.graph_strings import split_around

_STAYS = r"[\x00-\x{2FF}\x{2010}-\x{2027}\x{20AC}]*"  # text that NFC leaves as it is
# Where combining marks and what they compose to may be, in Unicode 16 and for some time to come.
_PROBED = ((0x300, 0x3400), (0xA620, 0xAC00), (0xFB00, 0xFE30), (0x10000, 0x12000), (0x16000, 0x17000))
_PROBED += ((0x1BC00, 0x1D300), (0x1DF00, 0x1F000))
# A long run of what may be marks: RE2's class of them, so often repeated, takes more memory than it has.
_LONG_RUN = r"(?s).*[^\x00-\x7F\x{3041}-\x{3096}\x{30A1}-\x{A4FF}\x{AC00}-\x{D7FF}]{64}.*"
# Marks that are two: NFC never leaves them as they are.
_DOUBLE = {"\u0344": "\u0308\u0301", "\u0f73": "\u0f71\u0f72", "\u0f75": "\u0f71\u0f74", "\u0f81": "\u0f71\u0f80"}


def nfc(texts):
    """Normalizes strings (N,) of valid UTF-8."""
    joined = tf.strings.reduce_join(texts)
    return tf.cond(tf.strings.regex_full_match(joined, _STAYS), lambda: texts, lambda: _normalized(texts, joined))


def _normalized(texts, joined):
    is_long = tf.strings.regex_full_match(joined, _LONG_RUN)
    texts = tf.cond(is_long, lambda: _with_sorted_marks(texts), lambda: texts)
    unknown = _unknown_to_the_library()
    if not unknown:
        return _icu(texts, "NFC")
    pattern = f"[{re2_class([(code, code) for code in unknown])}]"

    def in_parts():
        parts, is_unknown = split_around(texts, f"{pattern}+")
        changed = tf.where(is_unknown, parts.values, _icu(parts.values, "NFC"))
        return tf.strings.reduce_join(parts.with_values(changed), axis=1)

    return tf.cond(tf.strings.regex_full_match(joined, f"(?s).*{pattern}.*"), in_parts, lambda: _icu(texts, "NFC"))


def _icu(texts, form):
    import tensorflow_text as tf_text

    return tf_text.normalize_utf8(texts, form)


def _with_sorted_marks(texts):
    """Puts the marks after each letter in canonical order."""
    for double, parts in _DOUBLE.items():
        texts = tf.strings.regex_replace(texts, double, parts)
    codes = tf.strings.unicode_decode(texts, "UTF-8")  # ragged (N, None)
    pages, values = paged(_combining_classes())
    places = tf.gather(pages, codes.values // PAGE) * PAGE + codes.values % PAGE
    classes = tf.gather(values.reshape(-1), places)  # (C,), 0 for characters that are not marks
    starts = tf.scatter_nd(codes.row_starts()[:, None], tf.ones_like(codes.row_starts()), [tf.size(classes) + 1])[:-1]
    letters = tf.cumsum(tf.cast(classes == 0, tf.int64) + starts)
    order = tf.argsort(letters * 256 + tf.cast(classes, tf.int64), stable=True)
    return tf.strings.unicode_encode(codes.with_values(tf.gather(codes.values, order)), "UTF-8")


def _combining_classes():
    """Returns the canonical combining class of each code point to the library, uint8 (0x110000,)."""
    classes = np.zeros(0x110000, np.uint8)
    for first, end in _PROBED:
        classes[first:end] = [unicodedata.combining(chr(code)) for code in range(first, end)]
    classes[list(_unknown_to_the_library())] = 0
    return classes


@functools.cache
def _unknown_to_the_library():
    """Returns the code points that ICU moves past other marks, or composes with another, and the library does not."""
    import tokenizers

    library = tokenizers.normalizers.NFC()
    codes = [code for first, end in _PROBED for code in range(first, end)]
    # A mark, unless it is unknown, goes after one of class 1 and before one of class 240.
    marked = [f"\u0345{chr(code)}\u0334" for code in codes]
    with tf.init_scope():
        sorted_by_icu = _icu(marked, "NFC").numpy()
        decomposed = [text.decode() for text in _icu([chr(code) for code in codes], "NFD").numpy()]
        composed = [text.decode() for text in _icu(decomposed, "NFC").numpy()]
    found = {
        code
        for code, text, right in zip(codes, marked, sorted_by_icu, strict=True)
        if library.normalize_str(text) != right.decode()
    }
    for code, parts, whole in zip(codes, decomposed, composed, strict=True):
        if len(parts) > 1 and library.normalize_str(parts) != whole:
            found |= {code, ord(parts[0])}
    return sorted(found)
