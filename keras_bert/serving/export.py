"""A SavedModel that answers raw strings: tokenizer, vocabulary, model and class names in one directory.

    strings -> graph tokenizer -> pack -> model -> named outputs       tasks/rows.py is the table of tasks

Whoever loads it needs TensorFlow and tensorflow-text's operations, and nothing of this library; of one that takes ids
TensorFlow alone.
"""

import contextlib
import dataclasses
import functools
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_bert.errors import UserError, note
from keras_bert.outputs import atomic_path, refuse_existing
from keras_bert.serving.encoder import ServedEncoder
from keras_bert.serving.formats import FORMATS, write_extras
from keras_bert.serving.precision import check_precision, in_dtype, kernels_of
from keras_bert.serving.shapes import as_named, as_read
from keras_bert.tasks.embed.vectors import vectors_of
from keras_bert.tasks.inputs import check_length, check_vocabulary
from keras_bert.tasks.rows import task_of
from keras_bert.tasks.served import Options, Server
from keras_bert.text.given import check_tokenizer
from keras_bert.text.layout import layout_of
from keras_bert.text.spelling import MASK

INPUTS = ("text", "ids")


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the directory.
        format: a key of FORMATS.
        task: a word of the table of tasks.
        inputs: {name: tf.TensorSpec} of what it takes, of a SavedModel as `serving_default`, in order.
        outputs: {name: tf.TensorSpec}, likewise.
        example: {name: value} for one row of each input.
    """

    path: Path
    format: str
    task: str
    inputs: dict
    outputs: dict
    example: dict


def export(
    model,
    tokenizer,
    path,
    *,
    format="saved_model",
    inputs=None,
    precision=None,
    max_seq_length=None,
    top_k=5,
    pair=None,
    pooling=None,
    normalize=None,
    prompt=None,
    prompt_name=None,
    by_character=False,
    long_texts="cut",
    doc_stride=None,
    max_query_length=None,
    force=False,
):
    """Writes a SavedModel whose `serving_default` takes raw strings.

    Input: `text`, string (B,), and for a model of pairs `pair`, string (B,), unless another is named below. Any B,
    empty strings too. Strings (B, 1) and a single one, (), are read as (B,), and another shape is an error. A batch is
    padded to its longest text, rounded up to a multiple of 16. Outputs:

    - Classifier: `label` string (B,), `probabilities` float32 (B, C) and `labels` string (B, C), the
      names of the classes in the order of the probabilities; with a single class `score` float32 (B,).
    - Encoder: `embedding` float32 (B, H), by `pooling` of a text's tokens.
    - Pretrainer: for every [MASK] of a text, in order, `tokens` string (B, M, K) and `probabilities`
      float32 (B, M, K), best first, and `num_masks` int32 (B,). Texts with fewer masks than M are padded
      with "" and 0. A [MASK] past `max_seq_length` is cut like any other token.
    - TokenClassifier: for every word of a text `tokens` string (B, W), `start` and `end` int32 (B, W), its place in
      characters, `label` string (B, W) and `score` float32 (B, W), the label's probability; and `num_tokens` int32
      (B,): texts with fewer words are padded with "" and 0. Long texts are read in windows.
    - SpanLabeler takes `question` and `context`, string (B,): `text` string (B,), `score` float32 (B,), its
      probability among the best answers, `start` and `end` int32 (B,), its place in the context in characters, -1 for
      no answer, and `null_score` float32 (B,), how far no answer is ahead of the best one; past the model's
      `null_score_diff_threshold`, if it has one, that is the answer. Long contexts are read in windows.
    - MultipleChoice takes `context` string (B,) and `choices` string (B, C): `choice` int32 (B,), from 0, and
      `probabilities` float32 (B, C).

    With `inputs="ids"` it takes the model's own inputs: `input_ids`, `input_mask`, of a family with segments
    `segment_ids` and of Longformer `global_attention_mask`, int32 (B, S), of a MultipleChoice (B, C, S), and
    `masked_lm_positions` int32 (B, M) of a Pretrainer that predicts masked tokens. It gives the same of a classifier,
    an encoder and a chooser, and of the others their logits, which mean nothing at padding. vocab.txt lies in
    assets.extra.

    With `format="onnx"` or "litert" it is a file model.onnx or model.tflite that takes ids, with vocab.txt and
    task.json beside it; it gives the same, but for the outputs that are strings.

    Args:
        model: any model of ours.
        tokenizer: its Tokenizer; None will do for a model that takes ids, where the family's cannot be read.
        path: the directory to make; TF Serving wants a number last ("serving/sentiment/1"). It appears whole
            or not at all.
        format: "saved_model"; "onnx", which wants tf2onnx; or "litert", once TensorFlow Lite.
        inputs: "text", or "ids" for those who tokenize themselves and have no tensorflow-text; None takes text if the
            format can.
        precision: of a SavedModel, "float32", "bfloat16" (half the file, and faster on processors that know it) or
            "int8" (a quarter of the file, see `keras_bert.serving.precision`); None leaves the model as it is.
        max_seq_length: longer texts are cut to it, as `Tokenizer.encode` does, or read in windows; None takes 128, for
            questions 384, or all that the model can read if that is less.
        top_k: K, the guesses for each [MASK].
        pair: whether a classifier takes two texts; None asks the model.
        pooling, normalize, prompt, prompt_name: how embeddings are made; see `embed`. The prompt becomes part of the
            graph: the served model puts it before each text.
        by_character: whether a tagger was taught characters, as with KLUE's files; each is a token then.
        long_texts: of a classifier, "cut", or "windows" to read all of a text; see `keras_bert.tasks.windows`.
        doc_stride: tokens from one window to the next; None takes half a window, for questions 128.
        max_query_length: of a SpanLabeler, as `Answerer` takes it.
        force: whether to replace a SavedModel that stands at `path`.

    Returns:
        An Exported.

    Raises:
        UserError: something stands at `path`, nothing can be written there, the vocabulary has another size
            than the model's, or an option or a model that cannot be served.

    Example:
        >>> import tempfile
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Encoder
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> encoder = Encoder(Config.from_name("tiny", vocab_size=7))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = export(encoder, tokenizer, f"{folder}/1")
        ...     answer = tf.saved_model.load(f"{folder}/1").signatures["serving_default"]
        >>> answer(text=tf.constant(["good", ""]))["embedding"].shape
        TensorShape([2, 128])
    """
    from keras_bert.tasks.answer.features import default_query_length

    task = task_of(model)
    if tokenizer is not None or inputs == "text":
        check_tokenizer(tokenizer)
    vectors = None
    if task.name == "embed":
        given = {"pooling": pooling, "normalize": normalize, "prompt": prompt, "prompt_name": prompt_name}
        vectors = vectors_of(model, max_seq_length=max_seq_length, **given)
        max_seq_length = vectors.max_seq_length
    length = task.length(model.bert_config) if max_seq_length is None else max_seq_length
    if max_query_length is None:
        max_query_length = default_query_length(length, layout_of(tokenizer))
    options = Options(
        max_seq_length=length,
        pair=bool(getattr(model, "pair", False)) if pair is None else pair,
        top_k=top_k,
        vectors=vectors,
        by_character=by_character,
        long_texts=long_texts,
        doc_stride=task.reading.get("doc_stride") if doc_stride is None else doc_stride,
        max_query_length=max_query_length,
        threshold=getattr(model, "null_score_diff_threshold", None),
    )
    inputs = inputs or ("text" if format == "saved_model" else "ids")
    _check(model, tokenizer, task, format, inputs, precision, options)
    path = Path(path)
    check_output(path, force=force)

    module, answer = _serving_function(model, tokenizer, task.served, format, inputs, precision, options)
    specs = _specs(model, task.served, inputs, options)
    example = _example(task.served, tokenizer, inputs, specs, options)
    try:
        with atomic_path(path) as temporary:
            outputs = FORMATS[format].write(temporary, module, answer, specs, example)
            if inputs == "ids":
                write_extras(temporary / FORMATS[format].extras, model, tokenizer)
    except tf.errors.OpError as error:
        raise UserError(f"Cannot write {path} ({error.message}); free space, or choose another place.") from error
    outputs = {name: tf.TensorSpec(each.shape, each.dtype, name) for name, each in outputs.items()}
    return Exported(path, format, task.name, specs, outputs, example)


def check_output(path, *, force, what="export"):
    """Raises a UserError if something stands at `path` that must not be replaced: all but an exported model."""
    path = Path(path)
    if path.exists() and not any((path / each.file).is_file() for each in FORMATS.values()):
        raise UserError(f"{what}: {path} exists and is not an exported model; remove it, or choose another place.")
    if not force:
        refuse_existing(path, what=what, remedy="give the next version's number, or say force=True (--force)")


def _check(model, tokenizer, task, format, inputs, precision, options):
    """Raises a UserError if the model cannot be served with such options."""
    config = model.bert_config
    if format not in FORMATS:
        raise UserError(f"format must be one of {', '.join(FORMATS)}. Received: {format!r}.")
    if inputs not in INPUTS:
        raise UserError(f"inputs must be one of {', '.join(INPUTS)}. Received: {inputs!r}.")
    if inputs == "text" and format != "saved_model":
        raise UserError(f"A model of format {format} takes ids, since it has no operations for text; say inputs='ids'.")
    check_precision(precision)
    if precision is not None and format != "saved_model":
        raise UserError(f"precision is for SavedModels; quantize a model of format {format} by its runtime's tools.")
    if options.pair and not task.takes_pairs:
        raise UserError(f"{type(model).__name__} takes no pairs of texts; pair=True is for a Classifier.")
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"A SavedModel is written by TensorFlow, but Keras runs on {keras.backend.backend()}; save the model with "
            "save_pretrained, and export it with KERAS_BACKEND=tensorflow."
        )
    if tokenizer is not None or inputs == "text":
        check_vocabulary(config, tokenizer)
    takes_two = options.pair or task.takes_two
    check_length(config, options.max_seq_length, pair=takes_two, layout=layout_of(tokenizer))
    if task.served.check is not None:
        task.served.check(model, tokenizer, inputs, options)


def _specs(model, served, inputs, options):
    """Returns {name: tf.TensorSpec} of what the signature takes, in order."""
    if inputs == "text":
        return {name: tf.TensorSpec(shape, tf.string, name) for name, shape in served.inputs(options).items()}
    return {name: tf.TensorSpec(each.shape, tf.int32, name) for name, each in model.input.items()}


def _example(served, tokenizer, inputs, specs, options):
    """Returns {name: value} of one row, to show how the signature is asked and to warm a server up with."""
    if inputs == "text":
        return {name: [_spelled(served.examples[name], tokenizer)] for name in served.inputs(options)}
    if tokenizer is None:
        row = {name: np.ones((3,), np.int32) for name in ("input_ids", "input_mask")}
        row |= {"segment_ids": np.zeros((3,), np.int32)}
    else:
        row = tokenizer.encode(
            _spelled(next(text for text in served.examples.values() if isinstance(text, str)), tokenizer)
        )
    is_first = (np.arange(len(row["input_ids"])) == 0).astype(np.int32)
    row = {"masked_lm_positions": np.array([1], np.int32), "global_attention_mask": is_first, **row}
    return {
        name: np.reshape(row[name][: options.max_seq_length], (1,) * (spec.shape.rank - 1) + (-1,))
        for name, spec in specs.items()
    }


def _spelled(example, tokenizer):
    """Returns an example with the tokenizer's own [MASK]."""
    return example.replace(MASK, tokenizer.mask_token) if isinstance(example, str) else example


def _serving_function(model, tokenizer, served, format, inputs, precision, options):
    """Returns a tf.Module with the model's weights, and a tf.function from the inputs to the task's outputs.

    The function is not a part of the module: TensorFlow would trace and save it once more for that.
    """
    specs = _specs(model, served, inputs, options)
    tokenize = None
    if inputs == "text":
        tokenize = (tokenizer.keeping([tokenizer.mask_token]) if served.masks else tokenizer).graph_layer()
        if getattr(tokenize, "ties_differ", None):
            note(f"Where two spellings of a text score equally, the graph may choose another: {tokenize.ties_differ}.")
    model = in_dtype(model, precision)
    server = Server(model, tokenizer, tokenize, options)
    fast = _served_encoder(model, precision) if format == "saved_model" else None
    computed = contextlib.nullcontext if fast is None else functools.partial(fast.encoder.computed_by, fast)

    def answer(*given):
        with computed():
            if inputs == "text":
                named = zip(specs.items(), given, strict=True)
                return served.answer(server, *(as_named(name, each, spec) for (name, spec), each in named))
            ids = dict(zip(specs, given, strict=True))
            return served.answer_ids(server, as_read(model.bert_config, ids) if format == "saved_model" else ids)

    taken, variables = ((), []) if fast is None else (fast.taken, fast.variables)
    module = tf.Module(name="keras_bert")
    module.tokenize = getattr(tokenize, "graph", None)  # which may hold a resource of tensorflow-text's
    # Not the optimizer's variables, and not Keras' own objects
    module.weights = variables + [weight.value for weight in model.weights if id(weight) not in taken]
    return module, tf.function(answer, input_signature=list(specs.values()), autograph=False)


def _served_encoder(model, precision):
    """Returns the ServedEncoder of a model; None where Keras itself is to compute it, which is said in a note."""
    encoder, why_not = getattr(model, "encoder", model), ServedEncoder.why_not(model)
    if why_not is not None:
        note(f"Keras' own layers compute the exported encoder, which takes longer: {why_not}.")
        return None
    # The masked-LM head scores against the word embeddings: there they stay as they are.
    reads_table = "masked_lm" in getattr(model, "objectives", ()) and model.masked_lm_output is None
    table_in_8_bits = precision == "int8" and not reads_table
    return ServedEncoder(encoder, kernels=kernels_of(encoder, precision), table_in_8_bits=table_in_8_bits)
