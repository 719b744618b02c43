"""A SavedModel that answers raw strings: tokenizer, vocabulary, model and class names in one directory.

    strings -> graph tokenizer -> pack -> model -> named outputs       packing.py, heads.py

Whoever loads it needs TensorFlow and tensorflow-text's operations, and nothing of this library.
"""

import dataclasses
from pathlib import Path

import keras
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.files import atomic_path, refuse_existing
from keras_bert.serving.heads import HEADS, Options, task_of
from keras_bert.serving.inputs import check_length, check_top_k, check_vocabulary
from keras_bert.serving.packing import pack


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the SavedModel's directory.
        task: a key of HEADS.
        inputs: {name: tf.TensorSpec} of the signature `serving_default`, in order.
        outputs: {name: tf.TensorSpec}, likewise.
    """

    path: Path
    task: str
    inputs: dict
    outputs: dict


def export(model, tokenizer, path, *, max_seq_length=128, top_k=5, pair=None, normalize=True, force=False):
    """Writes a SavedModel whose `serving_default` takes raw strings.

    Input: `text`, string (B,), and for a model of pairs `pair`, string (B,). Any B, empty strings too.
    A batch is padded to its longest text, rounded up to a multiple of 16. Outputs:

    - BertClassifier: `label` string (B,), `probabilities` float32 (B, C) and `labels` string (B, C), the
      names of the classes in the order of the probabilities; with a single class `score` float32 (B,).
    - BertEncoder: `embedding` float32 (B, H), the mean over a text's tokens.
    - BertPretrainer: for every [MASK] of a text, in order, `tokens` string (B, M, K) and `probabilities`
      float32 (B, M, K), best first, and `num_masks` int32 (B,). Texts with fewer masks than M are padded
      with "" and 0. A [MASK] past `max_seq_length` is cut like any other token.

    Args:
        model: a BertClassifier, BertEncoder or BertPretrainer.
        tokenizer: its Tokenizer.
        path: the directory to make; TF Serving wants a number last ("serving/sentiment/1"). It appears whole
            or not at all.
        max_seq_length: longer texts are cut to it, as `Tokenizer.encode` does.
        top_k: K, the guesses for each [MASK].
        pair: whether a classifier takes two texts; None asks the model.
        normalize: whether embeddings have length 1.
        force: whether to replace a SavedModel that stands at `path`.

    Returns:
        An Exported.

    Raises:
        UserError: something stands at `path`, nothing can be written there, the vocabulary has another size
            than the model's, or an option or a model that cannot be served.

    Example:
        >>> import tempfile
        >>> from keras_bert.config import BertConfig
        >>> from keras_bert.models import BertEncoder
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> encoder = BertEncoder(BertConfig.from_name("tiny", vocab_size=7))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = export(encoder, tokenizer, f"{folder}/1")
        ...     answer = tf.saved_model.load(f"{folder}/1").signatures["serving_default"]
        >>> answer(text=tf.constant(["good", ""]))["embedding"].shape
        TensorShape([2, 128])
    """
    task = task_of(model)
    head = HEADS[task]
    pair = bool(getattr(model, "pair", False)) if pair is None else pair
    if pair and not head.pairs:
        raise UserError(f"{type(model).__name__} takes one text at a time; pair=True is for a BertClassifier.")
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"A SavedModel is written by TensorFlow, but Keras runs on {keras.backend.backend()}; save the model with "
            "save_pretrained, and export it with KERAS_BACKEND=tensorflow."
        )
    check_vocabulary(model.bert_config, tokenizer)
    check_length(model.bert_config, max_seq_length, pair=pair)
    if task == "fill_mask":
        check_top_k(model.bert_config, top_k)
    path = Path(path)
    check_output(path, force=force)

    options = Options(max_seq_length=max_seq_length, top_k=top_k, normalize=normalize)
    module = _serving_module(model, tokenizer, head, options, pair=pair)
    signature = module.answer.get_concrete_function()
    try:
        with atomic_path(path) as temporary:
            tf.saved_model.save(module, str(temporary), signatures={"serving_default": signature})
    except tf.errors.OpError as error:
        raise UserError(f"Cannot write {path} ({error.message}); free space, or choose another place.") from error
    outputs = {name: tf.TensorSpec(each.shape, each.dtype, name) for name, each in signature.structured_outputs.items()}
    return Exported(path, task, {spec.name: spec for spec in _input_specs(pair)}, outputs)


def check_output(path, *, force, what="export"):
    """Raises a UserError if something stands at `path` that must not be replaced."""
    path = Path(path)
    if not force:
        refuse_existing(path, what=what, remedy="give the next version's number, or say force=True (--force)")
    elif path.exists() and not (path / "saved_model.pb").is_file():
        raise UserError(f"{what}: {path} exists and is no SavedModel; remove it yourself, or choose another place.")


def _input_specs(pair):
    return [tf.TensorSpec((None,), tf.string, name=name) for name in (("text", "pair") if pair else ("text",))]


def _serving_module(model, tokenizer, head, options, *, pair):
    """Returns a tf.Module with the model's weights and a function `answer` from strings to the head's outputs."""
    to_ids = tokenizer.graph_layer(keep=tuple(dict.fromkeys((*tokenizer.keep, *head.keep))))

    def answer(*texts):
        parts = [to_ids(text) for text in texts]
        return head.answer(model, pack(parts, tokenizer, max_seq_length=options.max_seq_length), tokenizer, options)

    module = tf.Module(name="keras_bert")
    module.weights = [weight.value for weight in model.weights]  # not the optimizer's, not Keras' own objects
    module.answer = tf.function(answer, input_signature=_input_specs(pair), autograph=False)
    return module
