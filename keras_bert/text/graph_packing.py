"""Ragged token ids to a model's inputs inside the graph, as Tokenizer.encode makes them in Python.

B batch, S sequence.
"""

import tensorflow as tf

from keras_bert.text.layout import LENGTH_MULTIPLE, kept_lengths

ROWS_AT_ONCE = 64  # windows that the model reads at a time: the memory of one long text has a bound


def pack(parts, tokenizer, *, max_seq_length):
    """Lays out one text or two in each row, such as [CLS] text [SEP] pair [SEP], padded to a common length.

    Args:
        parts: list of one or two ragged int32 (B, None), the ids of the texts.
        tokenizer: the Tokenizer, which knows the layout and the special ids.
        max_seq_length: longer rows are cut to it.

    Returns:
        {"input_ids", "input_mask", "segment_ids"}: int32 (B, S), S a multiple of 16 or max_seq_length.
    """
    layout, texts = tokenizer.layout, len(parts)
    room, special = layout.room(max_seq_length, texts=texts), layout.num_special(texts)
    lengths = kept_lengths([tf.cast(part.row_lengths(), tf.int32) for part in parts], room, xp=tf)
    batch = tf.shape(lengths[0])[0]

    def columns(gap):
        return tf.RaggedTensor.from_tensor(tf.broadcast_to(tf.constant(gap, tf.int32), (batch, len(gap))))

    first, *gaps = map(columns, layout.gaps(tokenizer, texts=texts))
    pieces = [first]
    for part, length, gap in zip(parts, lengths, gaps, strict=True):
        pieces += [tf.RaggedTensor.from_tensor(part[:, :room].to_tensor(), lengths=length), gap]
    rows = tf.concat(pieces, axis=1)

    used = sum(lengths) + special  # (B,)
    longest = tf.reduce_max(tf.concat([used, [special]], axis=0))  # of no rows at all: that of an empty text
    width = tf.minimum(max_seq_length, -(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE)
    mask = tf.sequence_mask(used, width)
    second = tf.range(width) >= layout.starts(lengths[0][:, None])[1]
    segments = tf.cast(mask & second, tf.int32) if layout.segments and texts == 2 else tf.zeros_like(mask, tf.int32)
    ids = rows.to_tensor(tokenizer.pad_id, shape=(None, None))
    ids = tf.pad(ids, [[0, 0], [0, width - tf.shape(ids)[1]]], constant_values=tokenizer.pad_id)
    return {"input_ids": ids, "input_mask": tf.cast(mask, tf.int32), "segment_ids": segments}


def read_rows(model, inputs, *, pad_id):
    """Runs a model over any number of rows, `ROWS_AT_ONCE` of them at a time.

    Args:
        model: a Keras model.
        inputs: {name: int32 (R, S)}.
        pad_id: the id of padding, of which the rows are that are missing to the last R.

    Returns:
        Its outputs, float32 (R, ...), in the model's structure.
    """
    rows, length = tf.unstack(tf.shape(inputs["input_ids"]))
    number = tf.maximum(1, -(-rows // ROWS_AT_ONCE))
    size = -(-rows // number)
    missing = [[0, number * size - rows], [0, 0]]
    padded = {
        name: tf.pad(each, missing, constant_values=pad_id if name == "input_ids" else 0)
        for name, each in inputs.items()
    }
    parts = {name: tf.reshape(each, (number, size, length)) for name, each in padded.items()}

    def read(part):
        return tf.nest.map_structure(lambda each: tf.cast(each, tf.float32), model(part, training=False))

    types = tf.nest.map_structure(lambda _: tf.float32, model.output)
    outputs = tf.map_fn(read, parts, fn_output_signature=types, parallel_iterations=1)

    def joined(each):
        return tf.reshape(each, tf.concat([[number * size], tf.shape(each)[2:]], 0))[:rows]

    return tf.nest.map_structure(joined, outputs)
