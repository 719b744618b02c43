"""The words behind [MASK] inside the graph.

B batch, S sequence, M masks of the text that has most, K top_k, V vocabulary.
"""

import tensorflow as tf

from keras_bert.tasks.inputs import check_masked_lm, check_top_k
from keras_bert.tasks.served import Served, on_inputs


def filled_masks(server, inputs):
    """Returns the best tokens for each [MASK], in order, texts with fewer masks padded with "" and 0.

    `tokens` string (B, M, K), `probabilities` float32 (B, M, K), `num_masks` int32 (B,).
    """
    tokenizer = server.tokenizer
    is_mask = tf.equal(inputs["input_ids"], tokenizer.mask_id)  # (B, S)
    counts = tf.reduce_sum(tf.cast(is_mask, tf.int32), axis=1)
    columns = tf.broadcast_to(tf.range(tf.shape(is_mask)[1]), tf.shape(is_mask))
    positions = tf.ragged.boolean_mask(columns, is_mask).to_tensor()  # (B, M)
    logits = server.model({**inputs, "masked_lm_positions": positions}, training=False)["masked_lm"]  # (B, M, V)
    probabilities = tf.nn.softmax(logits)
    has_piece = tokenizer.vocabulary.has_piece(logits.shape[-1])  # (V,)
    if not has_piece.all():
        probabilities = tf.where(has_piece, probabilities, -1.0)
    best = tf.math.top_k(probabilities, k=server.options.top_k)
    shown = [tokenizer.shown(index) for index in range(len(tokenizer))]
    is_real = tf.sequence_mask(counts, tf.shape(positions)[1])[..., None]  # (B, M, 1)
    return {
        "tokens": tf.where(is_real, tf.gather(tf.constant(shown), best.indices), ""),
        "probabilities": tf.where(is_real, best.values, 0.0),
        "num_masks": counts,
    }


def check(model, tokenizer, inputs, options):
    """Raises a UserError if the model predicts no tokens, or not so many."""
    if inputs == "text":
        check_masked_lm(model)
        check_top_k(model.bert_config, tokenizer, options.top_k)


SERVED = Served(
    answer=on_inputs(filled_masks), masks=True, examples={"text": "Paris is the [MASK] of France."}, check=check
)
