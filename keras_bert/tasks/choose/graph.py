"""Which of several choices fits, inside the graph. B batch, C choices."""

import tensorflow as tf

from keras_bert.tasks.served import Served


def chosen(server, inputs):
    """Returns `choice` int32 (B,), the number of the best of the choices, and `probabilities` float32 (B, C)."""
    logits = server.model(inputs, training=False)
    return {"choice": tf.argmax(logits, axis=1, output_type=tf.int32), "probabilities": tf.nn.softmax(logits)}


def choice(server, context, choices):
    """Returns the same for strings: context (B,) and choices (B, C)."""
    count = tf.shape(choices)[1]
    inputs = server.inputs(tf.repeat(context, count), tf.reshape(choices, [-1]))
    shape = (tf.shape(context)[0], count, tf.shape(inputs["input_ids"])[1])
    return chosen(server, {name: tf.reshape(each, shape) for name, each in inputs.items()})


SERVED = Served(
    answer=choice,
    answer_ids=chosen,
    inputs=lambda options: {"context": (None,), "choices": (None, None)},
    examples={"context": "He opened the door.", "choices": ["He went in.", "He ate it."]},
)
