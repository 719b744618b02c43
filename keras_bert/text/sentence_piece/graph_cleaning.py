"""The cleaning of cleaning.py inside the graph: joined words, quotes, NFKD without combining characters, lower case.

NFKD is ICU's, for the characters that it changes alone; Hangul syllables, of whose letters the model makes syllables
again, stay as they are where no letter follows that could join them. Shapes: N strings.
"""

import functools
import unicodedata

import tensorflow as tf

from keras_bert.text.characters import LINE_SEPARATORS, SORTED_LETTERS, SORTED_MARKS, SPACES, UNASSIGNED, re2_class
from keras_bert.text.graph_strings import any_has, lower_sigmas, lower_texts, split_around
from keras_bert.text.sentence_piece.cleaning import unaccented

_SYLLABLES = range(0xAC00, 0xD7A4)
_SYLLABLE = re2_class([(0xAC00, 0xD7A3)])
_FINALS = re2_class([(0x11A8, 0x11FF), (0xD7CB, 0xD7FB)])  # letters that end a syllable
_WHITE_SPACE = re2_class([(0x9, 0xD), (0x1C, 0x20), (0x85, 0x85)], SPACES[1:], LINE_SEPARATORS)
_UNASSIGNED = f"[{re2_class(UNASSIGNED, [(0, 0)])}]+"
_COMBINING = f"[{re2_class(SORTED_MARKS, SORTED_LETTERS)}]+"


class GraphCleaning:
    """Cleans strings as `clean` does.

    Args:
        rules: the SentencePieceRules.
        joins_spaces: whether words are joined by single spaces here; False where the model does so.
        composes: whether the model makes one character of a Hangul syllable's letters.
    """

    def __init__(self, rules, *, joins_spaces, composes):
        self._rules, self._joins, self._composes = rules, rules.joins_spaces and joins_spaces, composes
        if not rules.keeps_accents:
            self._changed, self._special = _changed_by_nfkd()

    def __call__(self, texts):
        """Returns strings (N,), valid UTF-8, cleaned."""
        if not self._rules.cleans:
            return texts
        plain = tf.strings.regex_full_match(tf.strings.reduce_join(texts), "[ -~]*")
        return tf.cond(plain, lambda: self._of_ascii(texts), lambda: self._of_any(texts))

    def lengths(self, units):
        """Returns how many characters units of texts become where nothing is left composed, int32 of all.

        Args:
            units: ragged string (N, U): white space up to the next word, the two characters of a quote, or a character.
        """
        lengths = tf.strings.length(self(units.values), unit="UTF8_CHAR")
        if not self._joins:
            return lengths
        is_space, rows = tf.strings.regex_full_match(units.values, f"[{_WHITE_SPACE}]+"), units.value_rowids()
        places = tf.range(tf.size(rows, tf.int64))
        is_inside = (places > tf.gather(units.row_starts(), rows)) & (places + 1 < tf.gather(units.row_limits(), rows))
        return tf.where(is_space, tf.cast(is_inside, tf.int32), lengths)  # at the ends of a text nothing is left

    def _of_ascii(self, texts):
        if self._joins:
            texts = self._joined(texts)
        texts = self._with_quotes(texts)
        return tf.strings.lower(texts) if self._rules.do_lower_case else texts

    def _of_any(self, texts):
        if self._rules.do_lower_case:
            texts = _lowered(tf.strings.regex_replace(texts, "Σ", "σ"))
        if self._rules.joins_spaces:
            texts = tf.strings.regex_replace(texts, f"[{_WHITE_SPACE}]", " ")
        if self._joins:
            texts = self._joined(texts)
        texts = self._with_quotes(texts)
        return texts if self._rules.keeps_accents else self._unaccented(texts)

    def _joined(self, texts):
        return tf.strings.strip(tf.strings.regex_replace(texts, " +", " "))

    def _with_quotes(self, texts):
        return tf.strings.regex_replace(texts, "``|''", '"') if self._rules.replaces_quotes else texts

    def _unaccented(self, texts):
        before, more = (f"[{_SYLLABLE}]?", "") if self._composes else ("", _SYLLABLE)
        parts, is_changed = split_around(texts, f"{before}[{self._changed}{_FINALS}{more}]+")

        def changed():
            values = tf.boolean_mask(parts.values, is_changed)
            values = tf.strings.regex_replace(values, _COMBINING, "")  # of which NFKD sorts many in quadratic time
            values = _nfkd(values, self._special)
            values = tf.strings.regex_replace(values, _COMBINING, "")
            if not self._rules.do_lower_case:
                return whole(values)
            # Of letters of which NFKD made capitals; a sigma's small letter depends on the text around.
            in_context = any_has(values, "Σ")
            return tf.cond(in_context, lambda: _lowered(lower_sigmas(whole(values))), lambda: whole(_lowered(values)))

        def whole(values):
            values = tf.tensor_scatter_nd_update(parts.values, tf.where(is_changed), values)
            return tf.strings.reduce_join(parts.with_values(values), axis=1)

        return tf.cond(tf.reduce_any(is_changed), changed, lambda: texts)


def _lowered(texts):
    """Lower-cases strings without Σ at Unicode 14, in parts: ICU's strings end at U+0000."""

    def in_parts():
        parts, is_other = split_around(texts, _UNASSIGNED)
        changed = tf.where(is_other, parts.values, lower_texts(parts.values))
        return tf.strings.reduce_join(parts.with_values(changed), axis=1)

    return tf.cond(any_has(texts, _UNASSIGNED), in_parts, lambda: lower_texts(texts))


def _nfkd(texts, special):
    import tensorflow_text as tf_text

    for char, value in special:
        texts = tf.cond(
            any_has(texts, char),
            lambda texts=texts, char=char, value=value: tf.strings.regex_replace(texts, char, value),
            lambda texts=texts: texts,
        )
    return tf_text.normalize_utf8(texts, "NFKD")


@functools.cache
def _changed_by_nfkd():
    """Returns RE2's class of what NFKD changes or drops, Hangul syllables aside, and where ICU's differs from ours."""
    import tensorflow_text as tf_text

    unknown = {code for first, last in UNASSIGNED for code in range(first, last + 1)}
    codes = [
        code
        for code in range(0x80, 0x30000)
        if not 0xD800 <= code <= 0xDFFF
        and code not in _SYLLABLES
        and code not in unknown
        and (unicodedata.combining(chr(code)) or unicodedata.normalize("NFKD", chr(code)) != chr(code))
    ]
    codes += [code for code in range(0xE0000, 0xE0200) if unicodedata.combining(chr(code))]
    with tf.init_scope():
        chars = [chr(code) for code in codes]
        theirs = tf_text.normalize_utf8(chars, "NFKD").numpy()
        theirs = tf.strings.regex_replace(theirs, _COMBINING, "").numpy()
    special = [
        (char, value)
        for char, other in zip(chars, theirs, strict=True)
        if (value := unaccented(char)) != other.decode()
    ]
    return re2_class(_ranges(codes)), special


def _ranges(codes):
    ranges = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return ranges
