"""What a served model is given: strings in the shape that the signature names, and ids that it can read; or a sentence.

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


def as_read(config, inputs):
    """Returns a served model's ids if it can read them, where no operation of its graph would fail else.

    An id that is none and a place past the last fail in a table; a model without a table of places has no end, and
    one with more global tokens than it has room for answers NaN.

    Args:
        config: the model's Config.
        inputs: {name: int32 (B, S)}, or (B, C, S) of choices.

    Returns:
        The same.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs, for others.
    """
    checks, ids = [], inputs["input_ids"]
    if config.position_embedding == "none":
        most, length = config.max_length, tf.shape(ids)[-1]
        said = f"The sequence is longer than the {most} tokens that the model reads; cut it. Received so many:"
        checks.append(tf.debugging.Assert(length <= most, [said, length]))
    if "global_attention_mask" in inputs:
        most, given = config.max_global_tokens, tf.cast(tf.not_equal(inputs["global_attention_mask"], 0), tf.int32)
        count = tf.reduce_max(tf.pad(tf.reshape(tf.reduce_sum(given, axis=-1), [-1]), [[1, 0]]))
        said = f"global_attention_mask must mark at most {most} tokens of a text (max_global_tokens). Received so many:"
        checks.append(tf.debugging.Assert(count <= most, [said, count]))
    with tf.control_dependencies([each for each in checks if each is not None]):
        return inputs if not checks else {**inputs, "input_ids": tf.identity(ids)}
