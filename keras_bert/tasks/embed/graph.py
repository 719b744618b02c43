"""Embeddings inside the graph. B batch, S sequence, H hidden."""

import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.tasks.served import Served


def embedded(server, text):
    """Returns what `embedding` does, of strings (B,), which come after the prompt."""
    prompt = server.options.vectors.prompt
    return embedding(server, server.inputs(tf.strings.join([prompt, text]) if prompt else text))


def embedding(server, inputs):
    """Returns `embedding`, float32 (B, H), made of a text's tokens; see `Vectors.pool`."""
    hidden = tf.cast(server.model(inputs, training=False)["sequence_output"], tf.float32)  # (B, S, H)
    made = server.options.vectors
    return {"embedding": made.pool(hidden, inputs["input_mask"], made.prompt_length(server.tokenizer))}


def check(model, tokenizer, inputs, options):
    """Raises a UserError if the prompt cannot be put before the texts."""
    if options.vectors.prompt and inputs == "ids":
        raise UserError(
            f"A model that takes ids cannot put the prompt {options.vectors.prompt!r:.80} before the texts; say "
            "prompt='' (--prompt='') and put it before them yourself, or let the model take text."
        )
    options.vectors.check(tokenizer)


SERVED = Served(answer=embedded, answer_ids=embedding, check=check)
