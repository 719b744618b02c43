"""Added tokens found inside the graph, as added.py finds them in Python.

Shapes: B strings; N parts of all strings, M of them matches; T tokens.
"""

import tensorflow as tf

from keras_bert.text.graph_strings import split_around

# RE2's class of what added.py takes for a character of a word
_WORD = r"[\pL\pM\p{Nd}\p{Nl}\p{Pc}]"
# ... and of what Python's str.isspace takes for white space.
_SPACE = r"[\t-\r\x1c-\x20\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]"
FLAGS = ("single_word", "lstrip", "rstrip")


class GraphKept:
    """Finds tokens to keep whole in strings.

    Args:
        kept: the KeptTokens.
        ids: {content: id}.
    """

    def __init__(self, kept, ids):
        self._raw = [(text, token, ids[token.content]) for text, token in kept.raw.items()]
        self._normalized = [(text, token, ids[token.content]) for text, token in kept.normalized.items()]

    def __bool__(self):
        return bool(self._raw or self._normalized)

    def split(self, texts, normalize):
        """Cuts strings into kept tokens and what is between them.

        Args:
            texts: string (B,), valid UTF-8.
            normalize: the function from strings (N,) to their normalized texts, as `normalized_text` makes them.

        Returns:
            parts, ids: ragged string (B, None), and int32 (N,) of all parts, -1 for what is not a kept token.
        """
        parts, ids = _cut(texts, self._raw)
        if not self._normalized:
            return parts, ids
        finer, finer_ids = _cut(normalize(tf.where(ids < 0, parts.values, "")), self._normalized)
        rows = finer.value_rowids()
        ids = tf.gather(ids, rows)
        values = tf.where(ids < 0, finer.values, tf.gather(parts.values, rows))
        splits = tf.gather(finer.row_splits, parts.row_splits)
        return tf.RaggedTensor.from_row_splits(values, splits, validate=False), tf.where(ids < 0, finer_ids, ids)


def _cut(texts, tokens):
    """Cuts strings (B,) at tokens, [(what to look for, AddedToken, id)]. Returns parts and ids as `split` does."""
    if not tokens:
        return tf.RaggedTensor.from_uniform_row_length(texts, 1), tf.fill(tf.shape(texts), -1)
    tokens = sorted(tokens, key=lambda item: -len(item[0]))  # the first alternative wins: the longest
    parts, is_match = split_around(texts, "|".join(escape(text) for text, _, _ in tokens))
    matches = tf.boolean_mask(parts.values, is_match)  # (M,)
    number = tf.argmax(tf.cast(matches[:, None] == [text for text, _, _ in tokens], tf.int32), axis=1)
    places = tf.where(is_match)
    ids = tf.gather([index for _, _, index in tokens], number)
    ids = tf.tensor_scatter_nd_update(tf.fill(tf.shape(is_match), -1), places, ids)

    def those_that(flags):
        return tf.tensor_scatter_nd_update(tf.zeros_like(is_match), places, tf.gather(flags, number))

    # In the order in which Python looks: words first, then white space, which goes over to the token.
    alone, left, right = ([getattr(token, name) for _, token, _ in tokens] for name in FLAGS)
    wants = {name: those_that(flags) for name, flags in zip(FLAGS, (alone, left, right), strict=True) if any(flags)}
    if "single_word" in wants:
        ids = tf.where(wants["single_word"] & _touches_a_word(parts), -1, ids)
    if "lstrip" in wants:
        parts = _with_space_before(parts, wants["lstrip"] & (ids >= 0))
    if "rstrip" in wants:
        parts = _with_space_after(parts, wants["rstrip"] & (ids >= 0))
    return _rejoined(parts, ids) if "single_word" in wants else (parts, ids)


def _with_space_before(parts, takes):
    """Moves the white space at the end of the part before some parts, bool (N,), to these."""
    # A token has a part before it in its row, if an empty one.
    loses = tf.concat([takes[1:], [False]], 0)[: tf.size(takes)]
    kept = tf.where(loses, tf.strings.regex_replace(parts.values, f"{_SPACE}+$", ""), parts.values)
    sizes = tf.strings.length(kept)
    rest = tf.strings.substr(parts.values, sizes, tf.strings.length(parts.values) - sizes)
    taken = tf.concat([[""], tf.where(loses, rest, "")[:-1]], 0)[: tf.size(takes)]
    return parts.with_values(tf.strings.join([taken, kept]))


def _with_space_after(parts, takes):
    """Moves the white space at the beginning of the part after some parts, bool (N,), to these."""
    loses = tf.concat([[False], takes[:-1]], 0)[: tf.size(takes)]
    kept = tf.where(loses, tf.strings.regex_replace(parts.values, f"^{_SPACE}+", ""), parts.values)
    rest = tf.strings.substr(
        parts.values, tf.zeros_like(takes, tf.int32), tf.strings.length(parts.values) - tf.strings.length(kept)
    )
    taken = tf.concat([tf.where(loses, rest, "")[1:], [""]], 0)[: tf.size(takes)]
    return parts.with_values(tf.strings.join([kept, taken]))


def _touches_a_word(parts):
    """Says of each part, bool (N,), whether a character of a word is right before or after it in its string."""
    values, rows = parts.values, parts.value_rowids()
    is_empty = values == ""
    same = tf.concat([rows[1:] == rows[:-1], [False]], 0)[: tf.size(rows)]  # whether the next part is of this string

    def before(flags):
        return tf.concat([[False], (flags & same)[:-1]], 0)[: tf.size(rows)]

    def after(flags):
        return tf.concat([flags[1:], [False]], 0)[: tf.size(rows)] & same

    ends = tf.strings.regex_full_match(values, f"(?s).*{_WORD}")
    begins = tf.strings.regex_full_match(values, f"(?s){_WORD}.*")
    ends, begins = ends | (is_empty & before(ends)), begins | (is_empty & after(begins))
    return before(ends) | after(begins)


def _rejoined(parts, ids):
    """Joins neighbours that are no kept tokens, id -1, to one part."""
    rows, size = parts.value_rowids(), tf.size(ids)
    is_new = (rows[1:] != rows[:-1]) | (ids[1:] >= 0) | (ids[:-1] >= 0)
    group = tf.cumsum(tf.cast(tf.concat([[True], is_new], 0)[:size], tf.int32)) - 1
    count = tf.reduce_max(tf.concat([group, [-1]], 0)) + 1
    values = tf.strings.unsorted_segment_join(parts.values, group, count)
    splits = tf.concat([tf.gather(group, parts.row_starts()), [count]], 0)
    joined = tf.RaggedTensor.from_row_splits(values, tf.cast(splits, tf.int64), validate=False)
    return joined, tf.math.unsorted_segment_max(ids, group, count)


def interleave(parts, is_match, ids, match_ids):
    """Puts the ids of parts of strings in order again.

    Args:
        parts: ragged string (B, None), N parts in all.
        is_match: bool (N,), M of them.
        ids: ragged int32 (N, None); those of the matches are passed over.
        match_ids: ragged int32 (M, None).

    Returns:
        Ragged int32 (B, None).
    """
    rows = tf.concat([ids, match_ids], axis=0)
    number = tf.range(tf.size(is_match, tf.int64))
    match_number = ids.nrows() + tf.cumsum(tf.cast(is_match, tf.int64)) - 1
    in_order = tf.gather(rows, tf.where(is_match, match_number, number))
    return tf.RaggedTensor.from_row_splits(
        in_order.values, tf.gather(in_order.row_splits, parts.row_splits), validate=False
    )


def escape(token):
    """Quotes a token for RE2."""
    return "".join(char if char.isalnum() else f"\\x{{{ord(char):X}}}" for char in token)
