"""Served strings in the shape that the signature names, whatever shape they come in; or one sentence.

TensorFlow checks the shape of a signature's input nowhere: a tensor of another rank would fail deep in the tokenizer.
"""

import tensorflow as tf


def as_named(name, strings, spec):
    """Returns strings in the rank of a signature's input.

    Args:
        name: the input's name.
        strings: a string tensor of any shape.
        spec: its tf.TensorSpec: (None,), for which (B, 1) and () are read as well, or (None, None).

    Returns:
        A string tensor (B,) or (B, C).

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs, for any other shape.

    >>> as_named("text", tf.constant([["a"], ["b"]]), tf.TensorSpec((None,), tf.string)).numpy().tolist()
    [b'a', b'b']
    """
    # TensorFlow's optimizer takes the rank that the signature names for known, and drops checks of it: so it is hidden.
    strings = tf.io.parse_tensor(tf.io.serialize_tensor(strings), tf.string)
    shape, one_a_row = tf.shape(strings), spec.shape.rank == 1
    if one_a_row:
        fits = tf.equal(tf.size(strings), tf.concat([shape, [1]], axis=0)[0])
    else:
        fits = tf.equal(tf.rank(strings), spec.shape.rank)
    expected = "(B,), one a row" if one_a_row else "(B, C), a list of as many for each row"
    check = tf.debugging.Assert(fits, [f"{name} must be strings of shape {expected}. Received the shape", shape])
    with tf.control_dependencies([check] if check is not None else []):  # None where it runs at once
        return tf.reshape(strings, [-1] if one_a_row else tf.concat([shape, [1, 1]], axis=0)[:2])
