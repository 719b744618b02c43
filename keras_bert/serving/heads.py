"""The table of heads that can be served: which model, which weights it needs, what it takes and what it answers.

B batch, S sequence, H hidden, C classes or choices, M masks of the text that has most, K top_k, V vocabulary.
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_bert.checkpoints.parts import needed_weights
from keras_bert.errors import UserError
from keras_bert.models import Classifier, Encoder, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.models.classifier import LABEL_SEPARATOR
from keras_bert.serving.packing import pack
from keras_bert.serving.spans import answers
from keras_bert.serving.tags import tagged_words
from keras_bert.serving.vectors import Vectors
from keras_bert.serving.windows import read_windows
from keras_bert.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What a caller may choose about the answers.

    Attributes:
        max_seq_length: longer texts are cut to it, or read in windows.
        pair: whether a classifier takes two texts.
        top_k: guesses for each mask.
        vectors: how embeddings are made; None for another task.
        by_character: whether a tagger was taught characters.
        long_texts: "cut", or "windows" where a classifier reads all of a long text.
        doc_stride: tokens from one window to the next; None for half a window.
        max_query_length: see `keras_bert.squad.make_features`.
        threshold: the null odds over which a question has no answer; None where each has one.
    """

    max_seq_length: int = 128
    pair: bool = False
    top_k: int = 5
    vectors: Vectors | None = None
    by_character: bool = False
    long_texts: str = "cut"
    doc_stride: int | None = None
    max_query_length: int = 64
    threshold: float | None = None


@dataclasses.dataclass(frozen=True)
class Server:
    """What a graph from strings to answers is made of.

    Attributes:
        model: the model.
        tokenizer: its Tokenizer, which knows the special ids; None where the model takes ids and none can be read.
        tokenize: its GraphTokenizer.
        options: the Options.
    """

    model: keras.Model
    tokenizer: Tokenizer
    tokenize: keras.layers.Layer
    options: Options

    def inputs(self, *texts):
        """Returns the model's inputs, {name: int32 (B, S)}, for one or two string (B,)."""
        parts = [self.tokenize(text) for text in texts]
        return pack(parts, self.tokenizer, max_seq_length=self.options.max_seq_length)


def embedded(server, text):
    """Returns what `embedding` does, of strings (B,), which come after the prompt."""
    prompt = server.options.vectors.prompt
    return embedding(server, server.inputs(tf.strings.join([prompt, text]) if prompt else text))


def embedding(server, inputs):
    """Returns `embedding`, float32 (B, H), made of a text's tokens; see `Vectors.pool`."""
    hidden = tf.cast(server.model(inputs, training=False)["sequence_output"], tf.float32)  # (B, S, H)
    made = server.options.vectors
    return {"embedding": made.pool(hidden, inputs["input_mask"], made.prompt_length(server.tokenizer))}


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


def on_inputs(answer):
    """Makes of a function of the model's inputs one of strings."""
    return lambda server, *texts: answer(server, server.inputs(*texts))


def plain(server, inputs):
    """Returns the model's own outputs in float32, {name: tensor}; of a model with one output it is `logits`."""
    outputs = server.model(inputs, training=False)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    return {name: tf.cast(each, tf.float32) for name, each in outputs.items()}


def texts(options):
    """Returns the names and shapes of the inputs of a head that takes a text, or two."""
    return {"text": (None,), "pair": (None,)} if options.pair else {"text": (None,)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """One row: a task that a SavedModel can do.

    Attributes:
        model: the model's class.
        kind: what task.json calls it; None for a bare encoder.
        answer: (server, *strings) -> {name: tensor}, inside the graph.
        answer_ids: (server, {name: int32 (B, S)}) -> {name: tensor}, for those who tokenize themselves.
        inputs: (options) -> {name: shape} of the strings.
        masks: whether the texts have a [MASK], to keep whole where it stands.
        settings: whether the head is made by what task.json says, its classes for instance.
        pairs: whether it can take two texts.
        max_seq_length, doc_stride: where nobody says.
        examples: texts to show in a snippet and to warm a server up with.
    """

    model: type
    kind: str | None
    answer: Callable
    answer_ids: Callable = plain
    inputs: Callable = texts
    masks: bool = False
    settings: bool = False
    pairs: bool = False
    max_seq_length: int = 128
    doc_stride: int | None = None
    examples: dict = dataclasses.field(default_factory=lambda: {"text": "A text to answer.", "pair": "A second text."})

    def weights(self, config, task):
        """Returns the names of the weights that the answer is computed from, beside the blocks'.

        Args:
            config: a Config.
            task: the contents of task.json.
        """
        objectives = task.get("objectives") if task.get("task") == self.kind else None
        return [] if self.kind is None else needed_weights(config, self.kind, objectives=objectives)

    def length(self, config):
        """Returns the longest row of tokens where nobody says."""
        return min(self.max_seq_length, config.max_length)


HEADS = {
    "embed": Head(model=Encoder, kind=None, answer=embedded, answer_ids=embedding),
    "classify": Head(
        model=Classifier,
        kind=Classifier.TASK,
        answer=classified,
        answer_ids=classes,
        settings=True,
        pairs=True,
    ),
    "fill_mask": Head(
        model=Pretrainer,
        kind="pretraining",
        answer=on_inputs(filled_masks),
        masks=True,
        examples={"text": "Paris is the [MASK] of France."},
    ),
    "ner": Head(
        model=TokenClassifier,
        kind=TokenClassifier.TASK,
        answer=tagged_words,
        settings=True,
        examples={"text": "Rollo came to Normandy in 911."},
    ),
    "squad": Head(
        model=SpanLabeler,
        kind=SpanLabeler.TASK,
        answer=answers,
        inputs=lambda options: {"question": (None,), "context": (None,)},
        max_seq_length=384,
        doc_stride=128,
        examples={"question": "Who came?", "context": "Rollo came to Normandy in 911."},
    ),
    "multiple_choice": Head(
        model=MultipleChoice,
        kind=MultipleChoice.TASK,
        answer=choice,
        answer_ids=chosen,
        inputs=lambda options: {"context": (None,), "choices": (None, None)},
        settings=True,
        examples={"context": "He opened the door.", "choices": ["He went in.", "He ate it."]},
    ),
}


def task_of(model):
    """Returns the task that a model does, a key of HEADS, or raises a UserError."""
    for task, head in HEADS.items():
        if isinstance(model, head.model):
            return task
    known = ", ".join(head.model.__name__ for head in HEADS.values())
    raise UserError(f"The model must be one of {known}. Received: {type(model).__name__}.")
