"""Ragged token ids to BERT's inputs inside the graph, as Tokenizer.encode makes them in Python.

B batch, S sequence.
"""

import tensorflow as tf

from keras_bert.serving.inputs import LENGTH_MULTIPLE

ROWS_AT_ONCE = 64  # windows that the model reads at a time: the memory of one long text has a bound


def kept_lengths(lengths, room):
    """Says how much of each text stays, in one step: what `truncate` reaches by popping from the longer one.

    A single text keeps `room` tokens. Of two that do not fit, a text shorter than its half stays whole;
    an odd room gives the first one more.

    Args:
        lengths: list of one or two int32 (B,), the tokens of each text.
        room: the tokens that fit, int.

    Returns:
        A list of as many int32 (B,).

    Example:
        >>> [kept.numpy().tolist() for kept in kept_lengths([tf.constant([9, 2]), tf.constant([8, 9])], 5)]
        [[3, 2], [2, 3]]
    """
    if len(lengths) == 1:
        return [tf.minimum(lengths[0], room)]
    first, second = lengths
    second = tf.minimum(second, tf.maximum(room - first, room // 2))
    return [tf.minimum(first, room - second), second]


def pack(parts, tokenizer, *, max_seq_length):
    """Makes [CLS] text [SEP], or [CLS] text [SEP] pair [SEP], of each row, padded to a common length.

    Args:
        parts: list of one or two ragged int32 (B, None), the ids of the texts.
        tokenizer: the Tokenizer, which knows the special ids.
        max_seq_length: longer rows are cut to it.

    Returns:
        {"input_ids", "input_mask", "segment_ids"}: int32 (B, S), S a multiple of 16 or max_seq_length.
    """
    room = max_seq_length - 1 - len(parts)
    lengths = kept_lengths([tf.cast(part.row_lengths(), tf.int32) for part in parts], room)
    batch = tf.shape(lengths[0])[0]

    def column(token_id):
        return tf.RaggedTensor.from_tensor(tf.fill((batch, 1), tf.constant(token_id, tf.int32)))

    pieces = [column(tokenizer.cls_id)]
    for part, length in zip(parts, lengths, strict=True):
        cut = tf.RaggedTensor.from_tensor(part[:, :room].to_tensor(), lengths=length)
        pieces += [cut, column(tokenizer.sep_id)]
    rows = tf.concat(pieces, axis=1)

    used = sum(lengths) + 1 + len(parts)  # (B,)
    longest = tf.reduce_max(tf.concat([used, [1 + len(parts)]], axis=0))  # of no rows at all: that of an empty text
    width = tf.minimum(max_seq_length, -(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE)
    mask = tf.sequence_mask(used, width)
    second = tf.range(width) >= lengths[0][:, None] + 2
    segments = tf.cast(mask & second, tf.int32) if len(parts) == 2 else tf.zeros_like(mask, tf.int32)
    ids = rows.to_tensor(tokenizer.pad_id, shape=(None, None))
    ids = tf.pad(ids, [[0, 0], [0, width - tf.shape(ids)[1]]], constant_values=tokenizer.pad_id)
    return {"input_ids": ids, "input_mask": tf.cast(mask, tf.int32), "segment_ids": segments}


def read_rows(model, inputs):
    """Runs a model over any number of rows, `ROWS_AT_ONCE` of them at a time.

    Args:
        model: a Keras model.
        inputs: {name: int32 (R, S)}.

    Returns:
        Its outputs, float32 (R, ...), in the model's structure.
    """
    rows, length = tf.unstack(tf.shape(inputs["input_ids"]))
    number = tf.maximum(1, -(-rows // ROWS_AT_ONCE))
    size = -(-rows // number)
    parts = {
        name: tf.reshape(tf.pad(each, [[0, number * size - rows], [0, 0]]), (number, size, length))
        for name, each in inputs.items()
    }

    def read(part):
        return tf.nest.map_structure(lambda each: tf.cast(each, tf.float32), model(part, training=False))

    types = tf.nest.map_structure(lambda _: tf.float32, model.output)
    outputs = tf.map_fn(read, parts, fn_output_signature=types, parallel_iterations=1)

    def joined(each):
        return tf.reshape(each, tf.concat([[number * size], tf.shape(each)[2:]], 0))[:rows]

    return tf.nest.map_structure(joined, outputs)
