"""Where words and pieces stand in raw strings, inside the graph: places count characters, as Python's `str` does.

Of a string that is not UTF-8 they count those of what is left of it.
B strings, W words or characters of a string, P pieces.
"""

import tensorflow as tf

from keras_bert.text.characters import CJK, LINE_SEPARATORS, MARKS, SPACES, re2_class


def find_words(texts, pattern):
    """Finds the matches of a pattern.

    Args:
        texts: string (B,), valid UTF-8.
        pattern: a regular expression of RE2's, without groups that capture.

    Returns:
        words, starts, ends: ragged (B, W), string and int32; each word is the text from its start on and before its
        end.

    Example:
        >>> words, starts, ends = find_words(tf.constant(["où  est", ""]), "[^ ]+")
        >>> words.to_list()[0][1].decode(), starts.to_list(), ends.to_list()
        ('est', [[0, 4], []], [[2, 7], []])
    """
    from keras_bert.text.graph_strings import split_around

    parts, is_word = split_around(texts, pattern)
    ends = _sums(parts.with_values(tf.strings.length(parts.values, unit="UTF8_CHAR")))
    starts = ends - tf.strings.length(parts.values, unit="UTF8_CHAR")
    is_word = parts.with_values(is_word)
    return tuple(
        tf.ragged.boolean_mask(each, is_word) for each in (parts, parts.with_values(starts), parts.with_values(ends))
    )


def _sums(ragged):
    """Returns the sum of each row up to each of its values, as flat values."""
    sums = tf.cumsum(ragged.values)
    before = tf.concat([tf.zeros([1], sums.dtype), sums], 0)
    return sums - tf.gather(before, tf.gather(ragged.row_starts(), ragged.value_rowids()))


def find_characters(texts, tokenize):
    """Finds each character's piece, where a text is tokenized as a whole (tasks/tag/pieces.py, `_cut_joined`).

    Args:
        texts: string (B,), valid UTF-8.
        tokenize: the GraphTokenizer.

    Returns:
        characters: ragged string (B, W).
        ids: ragged int32 (B, P).
        piece: ragged int32 (B, W), the place of the first piece that was made of the character; -1 for none, such as
            a space's.
        shares: bool, of each value of `piece` whether it is that of a character before as well.
    """
    characters = tf.strings.unicode_split(texts, "UTF-8")
    ids, lengths = tokenize.pieces(texts)
    sizes = characters.with_values(tokenize.normalized_lengths(characters.values))
    has_size = sizes.values > 0
    last = _sums(sizes)  # the place after its last character in the normalized text
    first, last = (_holding(lengths, characters.with_values(at)) for at in (last - sizes.values, last - 1))
    before = nearest(characters, has_size, last, back=True)
    # What left no character of its own: an accent goes with the letter before it in its word ...
    word = _words_of(characters.values, ideographs=tokenize.tokenize_chinese_chars)
    in_word = tf.equal(nearest(characters, has_size, word, back=True), word)
    is_accent = ~has_size & in_word & tf.strings.regex_full_match(characters.values, f"[{re2_class(MARKS)}]")
    piece = tf.where(has_size, first, tf.where(is_accent, before, -1))
    # ... and the rest with the piece around it.
    after = nearest(characters, has_size | is_accent, piece, back=False)
    piece = tf.where(~has_size & (before == after), before, piece)
    previous = nearest(characters, piece >= 0, piece, back=True)
    shares = (piece >= 0) & (previous == piece)
    return characters, ids, characters.with_values(piece), shares


def find_placed_characters(texts, tokenize):
    """Finds each character's piece as `find_characters` does, by pieces that say where they stand.

    Args:
        texts: string (B,), valid UTF-8.
        tokenize: a GraphPieces.

    Returns:
        characters, ids, piece, shares: as `find_characters`.
    """
    characters = tf.strings.unicode_split(texts, "UTF-8")
    ids, starts, ends = tokenize.pieces(texts)
    before = tf.gather(tf.cast(characters.row_starts(), tf.int32), ids.value_rowids())  # of the piece's text
    held = tf.ragged.range(before + starts.values, before + ends.values)  # of each piece its characters, among all
    number = tf.range(tf.size(ids.values)) - tf.gather(tf.cast(ids.row_starts(), tf.int32), ids.value_rowids())
    count = tf.size(characters.values)
    piece = tf.math.unsorted_segment_min(tf.gather(number, held.value_rowids()), held.values, count)
    piece = tf.where(piece == tf.int32.max, -1, piece)
    previous = nearest(characters, piece >= 0, piece, back=True)
    return characters, ids, characters.with_values(piece), (piece >= 0) & (previous == piece)


def _holding(lengths, places):
    """Returns which piece holds each place of a row, int32 of all values; the last one for what is past it.

    Args:
        lengths: ragged int32 (B, P), the pieces'.
        places: ragged int32 (B, W).
    """
    ends = lengths.with_values(_sums(lengths))
    # Both count up in each row: one search over all rows, whose numbers are set apart.
    stride = tf.cast(tf.reduce_max(tf.concat([ends.values, places.values, [0]], 0)), tf.int64) + 1
    apart = [tf.cast(each.values, tf.int64) + each.value_rowids() * stride for each in (ends, places)]
    found = tf.searchsorted(*apart, side="right")
    starts, counts = (tf.cast(each, tf.int32) for each in (ends.row_starts(), ends.row_lengths()))
    found -= tf.gather(starts, places.value_rowids())
    return tf.minimum(found, tf.gather(counts, places.value_rowids()) - 1)


def _words_of(characters, *, ideographs):
    """Numbers the words that characters are of, int32 (C,): white space parts them, and each ideograph is one."""
    is_space = tf.strings.regex_full_match(characters, f"[\\t\\n\\r{re2_class(SPACES, LINE_SEPARATORS)}]")
    is_word = tf.strings.regex_full_match(characters, f"[{re2_class(CJK)}]") if ideographs else tf.zeros_like(is_space)
    is_after = tf.concat([[False], is_word], 0)[: tf.size(characters)]
    return tf.cumsum(tf.cast(is_space | is_word | is_after, tf.int32))


def nearest(rows, known, values, *, back):
    """Returns for each place of a row the value at the nearest known place before it (or after it), or -1.

    Args:
        rows: the ragged tensor (B, W) whose places are meant.
        known, values: flat bool and int32, of each place.
        back: whether to look back or ahead.

    Example:
        >>> rows = tf.ragged.constant([[0, 0, 0], [0]])
        >>> known, values = tf.constant([True, False, True, False]), tf.constant([5, 6, 7, 8])
        >>> nearest(rows, known, values, back=True).numpy().tolist()
        [-1, 5, 5, -1]
        >>> nearest(rows, known, values, back=False).numpy().tolist()
        [7, 7, -1, -1]
    """
    if not back:
        rows, known, values = (_reversed(each) for each in (rows, known, values))
    places = tf.concat([[-1], tf.cast(tf.reshape(tf.where(known), [-1]), tf.int32)], 0)
    last = tf.gather(places, tf.cumsum(tf.cast(known, tf.int32), exclusive=True))  # the known place before each one
    starts = tf.cast(tf.gather(rows.row_starts(), rows.value_rowids()), tf.int32)
    found = tf.where(last >= starts, tf.gather(values, tf.maximum(last, 0)), -1)
    return found if back else tf.reverse(found, [0])


def _reversed(each):
    if isinstance(each, tf.RaggedTensor):
        return tf.RaggedTensor.from_row_lengths(
            tf.reverse(each.values, [0]), tf.reverse(each.row_lengths(), [0]), validate=False
        )
    return tf.reverse(each, [0])
