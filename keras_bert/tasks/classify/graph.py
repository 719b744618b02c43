"""Classes, several labels or a number inside the graph. B batch, C classes."""

import tensorflow as tf

from keras_bert.models.classifier import LABEL_SEPARATOR
from keras_bert.tasks.classify.graph_windows import read_windows
from keras_bert.tasks.served import Served
from keras_bert.tasks.windows import check_windows
from keras_bert.text.layout import layout_of


def classified(server, *texts):
    """Returns what `classes` does, of strings (B,)."""
    if server.options.long_texts == "windows":
        return class_answers(server.model, read_windows(server, *texts))
    return classes(server, server.inputs(*texts))


def classes(server, inputs):
    """Returns what `class_answers` does, of the model's inputs."""
    return class_answers(server.model, tf.cast(server.model(inputs, training=False), tf.float32))


def class_answers(model, logits):
    """Returns `label` string (B,), `probabilities` float32 (B, C) and `labels` string (B, C), or `score` (B,).

    Where a text may have several labels, `label` is those of a probability of 0.5 or more, with commas between them.
    """
    if model.kind == "regression":
        return {"score": logits[:, 0]}
    names = tf.constant([str(label) for label in model.labels])
    # TF Serving's row format wants the batch first in every output: the names are repeated for each text.
    labels = tf.broadcast_to(names, tf.shape(logits))
    if model.multi_label:
        probabilities, label = tf.sigmoid(logits), _joined(labels, logits >= 0)
    else:
        probabilities, label = tf.nn.softmax(logits), tf.gather(names, tf.argmax(logits, axis=-1))
    return {
        "label": label,
        "probabilities": probabilities,
        "labels": tf.ensure_shape(labels, (None, model.num_classes)),
    }


def _joined(labels, chosen):
    """Joins the chosen ones of each row of strings (B, C), where `chosen` is bool (B, C)."""
    later = tf.cumsum(tf.cast(chosen, tf.int32), axis=1) > 1
    with_separator = tf.where(later, LABEL_SEPARATOR + labels, labels)
    return tf.strings.reduce_join(tf.where(chosen, with_separator, ""), axis=1)


def check(model, tokenizer, inputs, options):
    """Raises a UserError if long texts cannot be read so."""
    reading = (options.max_seq_length, options.long_texts, options.doc_stride)
    check_windows(*reading, texts=1 + options.pair, layout=layout_of(tokenizer))


SERVED = Served(answer=classified, answer_ids=classes, check=check)
