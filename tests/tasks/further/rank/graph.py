"""A text's score inside the graph."""

import tensorflow as tf

from keras_bert.tasks.served import Served, on_inputs


def score(server, inputs):
    """Returns `score` float32 (B,)."""
    each = {name: array[:, None] for name, array in inputs.items()}
    return {"score": tf.cast(server.model(each, training=False)[:, 0], tf.float32)}


SERVED = Served(answer=on_inputs(score), answer_ids=score)
