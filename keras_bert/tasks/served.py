"""What the graphs of the tasks share: what a SavedModel is made of, and how a task answers inside it.

The `graph` module of each task has a SERVED. What a task answers stands twice, in NumPy and here: a served graph runs
without Python, while Python gives n-best lists and figures of whole files without a graph for each model. Of both
tests/serving (test_spans.py, test_tags.py, test_windows.py, test_kinds.py) demand the same answers to the same texts.

B batch, S sequence.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_bert.text.graph_packing import pack
from keras_bert.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What a caller may choose about the answers.

    Attributes:
        max_seq_length: longer texts are cut to it, or read in windows.
        pair: whether a classifier takes two texts.
        top_k: guesses for each mask.
        vectors: how embeddings are made, a Vectors; None for another task.
        by_character: whether a tagger was taught characters.
        long_texts: "cut", or "windows" where a classifier reads all of a long text.
        doc_stride: tokens from one window to the next; None for half a window.
        max_query_length: see `keras_bert.squad.make_features`.
        threshold: the null odds over which a question has no answer; None where each has one.
    """

    max_seq_length: int = 128
    pair: bool = False
    top_k: int = 5
    vectors: Any = None
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
class Served:
    """How a task answers inside a graph.

    Attributes:
        answer: (server, *strings) -> {name: tensor}.
        answer_ids: (server, {name: int32 (B, S)}) -> {name: tensor}, for those who tokenize themselves.
        inputs: (options) -> {name: shape} of the strings.
        examples: texts to show in a snippet and to warm a server up with.
        masks: whether the texts have a [MASK], to keep whole where it stands.
        check: (model, tokenizer, inputs, options), raises a UserError if it cannot be served so; None needs none.
    """

    answer: Callable
    answer_ids: Callable = plain
    inputs: Callable = texts
    examples: dict = dataclasses.field(default_factory=lambda: {"text": "A text to answer.", "pair": "A second text."})
    masks: bool = False
    check: Callable | None = None
