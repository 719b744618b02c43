"""A classifier's long texts in windows, inside the graph: keras_bert/tasks/windows.py and its joins in TensorFlow.

B texts or pairs, R windows, C classes.
"""

import tensorflow as tf

from keras_bert.serving.packing import pack, read_rows

# Kind of a classifier: (logits of the windows (R, C), the mean over each text's windows) -> logits of the texts (B, C),
# as the `join` of tasks/kinds.py has them.
JOINS = {
    "classes": lambda logits, mean: tf.math.log(mean(tf.nn.softmax(logits))),
    "multi_label": lambda logits, mean: tf.math.log(mean(tf.sigmoid(logits))) - tf.math.log(mean(tf.sigmoid(-logits))),
    "regression": lambda logits, mean: mean(logits),
}


def read_windows(server, *texts):
    """Reads all of long texts, and joins what the windows say.

    Args:
        server: a Server, whose model is a BertClassifier.
        *texts: one or two string (B,).

    Returns:
        float32 (B, C), logits: those of the mean of the windows' probabilities, or the mean of their numbers.
    """
    parts = [server.tokenize(text) for text in texts]
    windows, text = cut(parts, max_seq_length=server.options.max_seq_length, doc_stride=server.options.doc_stride)
    logits = read_rows(server.model, pack(windows, server.tokenizer, max_seq_length=server.options.max_seq_length))
    return JOINS[server.model.kind](logits, lambda rows: tf.math.segment_mean(rows, text))


def cut(parts, *, max_seq_length, doc_stride=None):
    """Cuts texts that are too long into windows, of two the longer one; see `keras_bert.tasks.windows.encode_texts`.

    Args:
        parts: list of one or two ragged int32 (B, None), the ids of the texts.
        max_seq_length: tokens of a window, [CLS] and [SEP] among them.
        doc_stride: tokens from the beginning of a window to that of the next; None for half a window.

    Returns:
        windows, text: a list of as many ragged int32 (R, None); and int32 (R,), which text each is of.

    Example:
        >>> windows, text = cut([tf.ragged.constant([[5, 6, 7, 8], [8]])], max_seq_length=5)
        >>> windows[0].to_list(), text.numpy().tolist()
        ([[5, 6, 7], [6, 7, 8], [8]], [0, 0, 1])
    """
    room = max_seq_length - 1 - len(parts)
    lengths = [tf.cast(part.row_lengths(), tf.int32) for part in parts]
    fits = sum(lengths) <= room
    is_cut = [~fits] if len(parts) == 1 else [~fits & (lengths[0] > lengths[1]), ~fits & (lengths[0] <= lengths[1])]
    kept = [tf.where(fits, length, tf.minimum(length, room // 2)) for length in lengths]  # of one that is not cut
    beside = sum(tf.where(cut, 0, keep) for cut, keep in zip(is_cut, kept, strict=True))
    width = room - beside  # (B,)
    step = tf.minimum(tf.maximum(1, width // 2) if doc_stride is None else doc_stride, width)
    longest = sum(tf.where(cut, length, 0) for cut, length in zip(is_cut, lengths, strict=True))
    numbers = 1 + tf.where(fits, 0, -(-(longest - width) // tf.maximum(1, step)))
    number = tf.ragged.range(numbers)
    text = tf.cast(number.value_rowids(), tf.int32)  # (R,)

    def of_windows(part, cut, length, keep):
        start = tf.where(tf.gather(cut, text), number.values * tf.gather(step, text), 0)
        end = tf.gather(tf.where(cut, length, keep), text)
        end = tf.where(tf.gather(cut, text), tf.minimum(end, start + tf.gather(width, text)), end)
        before = tf.gather(tf.cast(part.row_starts(), tf.int32), text)
        places = tf.ragged.range(before + start, before + end)
        return places.with_values(tf.gather(part.values, places.values))

    return [of_windows(*each) for each in zip(parts, is_cut, lengths, kept, strict=True)], text
