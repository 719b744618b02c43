"""Names of stretches of numbers in the graph: two stretches have one name if they are equal, and only then.

Stretches of 1, 2, 4, ... numbers are named one after the other, each by the names of its halves, and any other by the
two such stretches that cover it (Karp, Miller and Rosenberg 1972, "Rapid identification of repeated patterns in
strings, trees and arrays"). A hash would be faster, but equal for some that differ, which texts can be made to be.

C numbers, M stretches.
"""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Names:
    """Names of all stretches of C numbers that begin at each place.

    Attributes:
        table: int32 (levels * C,), the name of the 2 ** level numbers from each place on.
        size: int32 (), C.
    """

    table: tf.Tensor
    size: tf.Tensor

    @classmethod
    def of(cls, numbers, sizes):
        """Takes integers (C,), and the sizes of the stretches that will be asked for, int32 of any shape."""
        longest = tf.reduce_max(tf.concat([tf.reshape(sizes, [-1]), [1]], 0))
        names = tf.unique(numbers).idx
        size = tf.size(names)

        def longer(half, names, table):
            """Names the stretches of twice the size; what would go past the end has the names of those that do."""
            second = tf.concat([names[half:] + 1, tf.zeros([tf.minimum(half, size)], tf.int32)], 0)
            pairs = tf.cast(names, tf.int64) * (tf.cast(size, tf.int64) + 1) + tf.cast(second, tf.int64)
            names = tf.unique(pairs).idx
            return 2 * half, names, tf.concat([table, names], 0)

        _, _, table = tf.while_loop(
            lambda half, names, table: 2 * half <= longest,
            longer,
            (tf.constant(1), names, names),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None])),
        )
        return cls(table, size)

    def columns(self, starts, sizes):
        """Returns three columns, int32 (M,) each, that are all equal for equal stretches and for no others.

        Args:
            starts, sizes: int32 (M,); sizes no greater than `of` was told. Those of size 0 are all equal.

        Example:
            >>> names = Names.of(tf.constant([7, 8, 9, 7, 8, 9, 8]), tf.constant(3))
            >>> [column.numpy().tolist() for column in names.columns(tf.constant([0, 3, 4]), tf.constant([3, 3, 3]))]
            [[3, 3, 3], [0, 0, 1], [1, 1, 3]]
        """
        exponent = tf.bitwise.right_shift(tf.bitcast(tf.cast(tf.maximum(sizes, 1), tf.float64), tf.int64), 52)
        level = tf.cast(exponent, tf.int32) - 1023  # exact: a float64 keeps the exponent of 2 in its upper bits
        has_some, row = sizes > 0, level * self.size
        places = starts, starts + sizes - tf.bitwise.left_shift(tf.ones_like(level), level)
        return sizes, *(tf.gather(self.table, tf.where(has_some, row + place, 0)) for place in places)


def numbered(*columns):
    """Returns a number for each row of columns (M,), integers from 0 or bools: int32 (M,), equal for equal rows alone.

    >>> numbered(tf.constant([5, 5, 6, 5]), tf.constant([0, 1, 0, 0])).numpy().tolist()
    [0, 1, 2, 0]
    """
    number = tf.unique(tf.cast(columns[0], tf.int64)).idx
    for column in columns[1:]:
        column = tf.cast(column, tf.int64)
        base = tf.reduce_max(tf.concat([column, [0]], 0)) + 1
        number = tf.unique(tf.cast(number, tf.int64) * base + column).idx
    return number


def is_first(*columns):
    """Says of each row of columns (M,), integers from 0 or bools, whether it is the first of its kind."""
    number = numbered(*columns)
    places = tf.range(tf.size(number))
    return tf.equal(tf.gather(tf.math.unsorted_segment_min(places, number, tf.size(number)), number), places)
