"""A classifier's long texts in windows, inside the graph: keras_bert/tasks/windows.py and its joins in TensorFlow.

B texts or pairs, R windows, C classes.
"""

import tensorflow as tf

from keras_bert.text.graph_packing import pack, read_rows
from keras_bert.text.layout import BERT, plan_windows

# Kind of a classifier: (logits of the windows (R, C), the mean over each text's windows) -> logits of the texts (B, C),
# as the `join` of tasks/classify/kinds.py has them.
JOINS = {
    "classes": lambda logits, mean: tf.math.log(mean(tf.nn.softmax(logits))),
    "multi_label": lambda logits, mean: tf.math.log(mean(tf.sigmoid(logits))) - tf.math.log(mean(tf.sigmoid(-logits))),
    "regression": lambda logits, mean: mean(logits),
}


def read_windows(server, *texts):
    """Reads all of long texts, and joins what the windows say.

    Args:
        server: a Server, whose model is a Classifier.
        *texts: one or two string (B,).

    Returns:
        float32 (B, C), logits: those of the mean of the windows' probabilities, or the mean of their numbers.
    """
    parts, tokenizer = [server.tokenize(text) for text in texts], server.tokenizer
    size, stride = server.options.max_seq_length, server.options.doc_stride
    windows, text = cut(parts, max_seq_length=size, doc_stride=stride, layout=tokenizer.layout)
    logits = read_rows(server.model, pack(windows, tokenizer, max_seq_length=size), pad_id=tokenizer.pad_id)
    return JOINS[server.model.kind](logits, lambda rows: tf.math.segment_mean(rows, text))


def cut(parts, *, max_seq_length, doc_stride=None, layout=BERT):
    """Cuts texts that are too long into windows, of two the longer one; see `keras_bert.tasks.windows.encode_texts`.

    Args:
        parts: list of one or two ragged int32 (B, None), the ids of the texts.
        max_seq_length: tokens of a window, the special ones among them.
        doc_stride: tokens from the beginning of a window to that of the next; None for half a window.
        layout: the tokenizer's Layout.

    Returns:
        windows, text: a list of as many ragged int32 (R, None); and int32 (R,), which text each is of.

    Example:
        >>> windows, text = cut([tf.ragged.constant([[5, 6, 7, 8], [8]])], max_seq_length=5)
        >>> windows[0].to_list(), text.numpy().tolist()
        ([[5, 6, 7], [6, 7, 8], [8]], [0, 0, 1])
    """
    room = layout.room(max_seq_length, texts=len(parts))
    lengths = [tf.cast(part.row_lengths(), tf.int32) for part in parts]
    plan = plan_windows(lengths, room, doc_stride, xp=tf)
    number = tf.ragged.range(plan.counts)
    text = tf.cast(number.value_rowids(), tf.int32)  # (R,)

    def of_windows(part, is_read, length, keep):
        start = tf.where(tf.gather(is_read, text), number.values * tf.gather(plan.step, text), 0)
        end = tf.gather(tf.where(is_read, length, keep), text)
        end = tf.where(tf.gather(is_read, text), tf.minimum(end, start + tf.gather(plan.width, text)), end)
        before = tf.gather(tf.cast(part.row_starts(), tf.int32), text)
        places = tf.ragged.range(before + start, before + end)
        return places.with_values(tf.gather(part.values, places.values))

    return [of_windows(*each) for each in zip(parts, plan.is_read, lengths, plan.kept, strict=True)], text
