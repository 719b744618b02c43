"""The table of heads that can be served: which model, which weights it needs, and what it answers.

B batch, S sequence, H hidden, C classes, M masks of the text that has most, K top_k, V vocabulary.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.models.classifier import LABEL_SEPARATOR
from keras_bert.text.vocabulary import MASK


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What a caller may choose about the answers.

    Attributes:
        max_seq_length: longer texts are cut to it.
        top_k: guesses for each mask.
        normalize: whether embeddings have length 1.
    """

    max_seq_length: int = 128
    top_k: int = 5
    normalize: bool = True


def embedding(model, inputs, tokenizer, options):
    """Returns `embedding`, float32 (B, H): the mean over a text's tokens, [CLS] and [SEP] among them."""
    hidden = tf.cast(model(inputs, training=False)["sequence_output"], tf.float32)  # (B, S, H)
    weights = tf.cast(inputs["input_mask"], tf.float32)[..., None]
    mean = tf.reduce_sum(hidden * weights, axis=1) / tf.reduce_sum(weights, axis=1)
    return {"embedding": tf.math.l2_normalize(mean, axis=-1) if options.normalize else mean}


def classes(model, inputs, tokenizer, options):
    """Returns `label` string (B,), `probabilities` float32 (B, C) and `labels` string (B, C), or `score` (B,).

    Where a text may have several labels, `label` is those of a probability of 0.5 or more, with commas between them.
    """
    logits = model(inputs, training=False)
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


def filled_masks(model, inputs, tokenizer, options):
    """Returns the best tokens for each [MASK], in order, texts with fewer masks padded with "" and 0.

    `tokens` string (B, M, K), `probabilities` float32 (B, M, K), `num_masks` int32 (B,).
    """
    is_mask = tf.equal(inputs["input_ids"], tokenizer.mask_id)  # (B, S)
    counts = tf.reduce_sum(tf.cast(is_mask, tf.int32), axis=1)
    columns = tf.broadcast_to(tf.range(tf.shape(is_mask)[1]), tf.shape(is_mask))
    positions = tf.ragged.boolean_mask(columns, is_mask).to_tensor()  # (B, M)
    logits = model({**inputs, "masked_lm_positions": positions}, training=False)["masked_lm"]  # (B, M, V)
    best = tf.math.top_k(tf.nn.softmax(logits), k=options.top_k)
    is_real = tf.sequence_mask(counts, tf.shape(positions)[1])[..., None]  # (B, M, 1)
    return {
        "tokens": tf.where(is_real, tf.gather(tf.constant(tokenizer.vocabulary.tokens), best.indices), ""),
        "probabilities": tf.where(is_real, best.values, 0.0),
        "num_masks": counts,
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """One row: a task that a SavedModel can do.

    Attributes:
        model: the model's class.
        kind: what task.json calls it; None for a bare encoder.
        weights: beginnings of the names of the arrays that the answer is computed from.
        answer: (model, inputs, tokenizer, options) -> {name: tensor}, inside the graph.
        keep: special tokens to keep whole where they stand in the text.
        settings: whether the head is made by what task.json says, its classes for instance.
        pairs: whether it can take two texts.
        example: a text to show in a snippet.
    """

    model: type
    kind: str | None
    weights: tuple[str, ...]
    answer: Callable
    keep: tuple[str, ...] = ()
    settings: bool = False
    pairs: bool = False
    example: str = "A text to answer."


ENCODER = ("bert/embeddings/", "bert/encoder/")
HEADS = {
    "embed": Head(model=BertEncoder, kind=None, weights=ENCODER, answer=embedding),
    "classify": Head(
        model=BertClassifier,
        kind="classification",
        weights=(*ENCODER, "bert/pooler/", "output_"),
        answer=classes,
        settings=True,
        pairs=True,
    ),
    "fill_mask": Head(
        model=BertPretrainer,
        kind="pretraining",
        weights=(*ENCODER, "cls/predictions/"),
        answer=filled_masks,
        keep=(MASK,),
        example="Paris is the [MASK] of France.",
    ),
}


def task_of(model):
    """Returns the task that a model does, a key of HEADS, or raises a UserError."""
    for task, head in HEADS.items():
        if isinstance(model, head.model):
            return task
    known = ", ".join(head.model.__name__ for head in HEADS.values())
    raise UserError(f"The model must be one of {known}. Received: {type(model).__name__}.")
