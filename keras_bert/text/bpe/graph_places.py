"""Offsets of byte-level BPE tokens inside the graph, equal to those of `BytePairs.ids_with_offsets`.

N strings, T tokens of all, C characters of all, K clusters: characters that NFC makes something of by themselves.
"""

import numpy as np
import tensorflow as tf

# A character and what may be composed with it: marks, and the vowels and final consonants of Hangul.
_CLUSTER = r"(?s)(.[\p{M}\x{1161}-\x{1175}\x{11A8}-\x{11C2}]*)"
_MARK = b"\xff"


class TokenPlaces:
    """Finds where tokens stand by how many characters each has.

    Args:
        engine: the BytePairs.
    """

    def __init__(self, engine):
        leading, trailing = np.array(engine.spaces, np.int32).reshape(-1, 2).T
        self._leading, self._trailing = leading, trailing
        self._inside = np.array([0x80 <= data[0] < 0xC0 for data in engine.token_bytes], np.int32)

    def __call__(self, ids, lengths, is_prefixed=None):
        """Returns where tokens start and end, ragged int32 (N, None) each, without the spaces at their ends.

        Args:
            ids, lengths: ragged int32 (N, None); a character counts for the token with its first byte.
            is_prefixed: bool (N,), whether the first token of a string has a space that is not of the string.
        """
        sums = tf.cumsum(lengths.values)
        before = tf.gather(tf.concat([[0], sums], 0), lengths.row_starts())
        ends = sums - tf.gather(before, lengths.value_rowids())
        starts = ends - lengths.values - tf.gather(self._inside, ids.values)
        leading = tf.gather(self._leading, ids.values)
        if is_prefixed is not None:
            first = tf.boolean_mask(ids.row_starts(), is_prefixed & (ids.row_lengths() > 0))
            leading -= tf.scatter_nd(first[:, None], tf.ones_like(first, tf.int32), tf.shape(leading))
        starts = tf.minimum(starts + leading, ends)
        ends = tf.maximum(ends - tf.gather(self._trailing, ids.values), starts)
        return ids.with_values(starts), ids.with_values(ends)


def in_original(texts, normalize, starts, ends):
    """Converts offsets in normalized strings to offsets in the original strings.

    Args:
        texts: string (N,), valid UTF-8.
        normalize: the function from strings (M,) to their NFC.
        starts, ends: ragged int32 (N, None), in the normalized strings.

    Returns:
        starts, ends: ragged int32 (N, None).
    """

    def moved():
        marked = tf.strings.regex_replace(texts, _CLUSTER, rb"\1" + _MARK)
        clusters = tf.strings.split(marked, _MARK)  # (N, K), the last of each empty
        changed = normalize(clusters.values)
        sizes, normal = (tf.strings.length(each, unit="UTF8_CHAR") for each in (clusters.values, changed))
        row = clusters.value_rowids()
        upto = tf.cumsum(sizes)
        begins = upto - sizes - tf.gather(tf.concat([[0], upto], 0), tf.gather(clusters.row_starts(), row))
        # Of each character of the normalized strings, where it, or its cluster if that has changed, is in the string.
        first, last = tf.repeat(begins, normal), tf.repeat(begins + sizes, normal)
        number = tf.range(tf.size(first)) - tf.repeat(tf.cumsum(normal, exclusive=True), normal)
        is_same = tf.repeat(tf.equal(clusters.values, changed), normal)
        first = tf.where(is_same, first + number, first)
        last = tf.where(is_same, first + 1, last)
        counts = tf.math.segment_sum(normal, row)
        counts = tf.pad(counts, [[0, tf.size(texts) - tf.size(counts)]])
        offset = tf.gather(tf.cumsum(counts, exclusive=True), starts.value_rowids())
        size = tf.maximum(tf.size(first) - 1, 0)
        is_empty = starts.values >= ends.values
        cluster = tf.repeat(tf.range(tf.size(normal)), normal)
        first, last, cluster = (tf.concat([each, [0]], 0) for each in (first, last, cluster))
        is_same = tf.concat([is_same, [True]], 0)
        new_starts = tf.gather(first, tf.minimum(offset + starts.values, size))
        before = tf.clip_by_value(offset + ends.values - 1, 0, size)
        new_ends = tf.where(ends.values > 0, tf.gather(last, before), 0)
        # What is empty stands after what is before it, or where the cluster begins that it is in the middle of.
        is_inside = (ends.values > 0) & (offset + starts.values <= size) & ~tf.gather(is_same, before)
        is_inside &= tf.equal(tf.gather(cluster, before), tf.gather(cluster, tf.minimum(offset + starts.values, size)))
        new_ends = tf.where(is_empty & is_inside, new_starts, new_ends)
        return tf.where(is_empty, new_ends, new_starts), new_ends

    same = tf.reduce_all(tf.equal(texts, normalize(texts)))
    new_starts, new_ends = tf.cond(same, lambda: (starts.values, ends.values), moved)
    return starts.with_values(new_starts), ends.with_values(new_ends)
