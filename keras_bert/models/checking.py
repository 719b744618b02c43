"""Inputs and labels that the model has no number for: found before anything is computed, named with both numbers.

B batch, S sequence, P predictions.
"""

import functools

import keras
import numpy as np

from keras_bert.data.packing import expected_rows
from keras_bert.errors import UserError
from keras_bert.models.inputs import choose_inputs, complete_inputs, has_strings
from keras_bert.models.losses import SparseCrossEntropy

TAKES_LABELS = ("fit", "evaluate", "train_on_batch", "test_on_batch")
# input: (what it counts, the Config's field that ends it, what to do)
LIMITS = {
    "input_ids": ("an id", "vocab_size", "Tokenize with the vocabulary that the model was trained with."),
    "segment_ids": ("a segment", "type_vocab_size", "Number the segments from 0."),
}


def check_inputs(config, inputs, positions=None):
    """Refuses ids, segments and positions that do not exist, and sequences that are too long.

    What a graph will compute with, or a tf.data.Dataset give, has no values yet and passes. There TensorFlow says
    "indices[...] is not in [0, ...)" of an id on a CPU and takes zeros on a GPU; a segment that does not exist adds
    nothing; a position past its sequence reads the next one of the batch; JAX gives NaN for an id.

    Args:
        config: the model's Config.
        inputs: a dict of the model's inputs by name, in arrays or tensors; anything else passes.
        positions: those that an Encoder is called with.

    Raises:
        UserError: the first thing that is wrong, with what came and what the model has.
    """
    if not isinstance(inputs, dict):
        return
    shape = getattr(inputs.get("input_ids"), "shape", ())
    length = shape[-1] if len(shape) > 1 else None
    if isinstance(length, int) and length > config.max_length:
        counted = f" and counts them from {config.pad_token_id + 1}" if config.positions_from_ids else ""
        raise UserError(
            f"The sequence has {length} tokens, but the model has max_position_embeddings="
            f"{config.max_position_embeddings}{counted}. Truncate the input or load a model with more positions."
        )
    for name in ("input_mask", "segment_ids", "sequence_ids", "global_attention_mask"):
        own = getattr(inputs.get(name), "shape", ())
        if len(shape) > 1 and own and None not in (*own, *shape) and tuple(own) != tuple(shape):
            raise UserError(
                f"{name} has shape {tuple(own)}, but input_ids has shape {tuple(shape)}; give a number for each token."
            )
    _check_global(config, inputs)
    if "sequence_ids" in inputs and isinstance(length, int):
        check_packed_length(config, length)
    _check_rows(inputs)
    for name, (what, field, remedy) in LIMITS.items():
        limit = getattr(config, field)
        if name == "segment_ids" and not config.has_segments:
            continue  # which the model does not read
        _check(inputs.get(name), limit, f"{name} has {what} of {{}}, but the model has {field}={limit}. {remedy}")
    for name, array in (("masked_lm_positions", inputs.get("masked_lm_positions")), ("positions", positions)):
        _check(
            array,
            length,
            f"{name} has a position of {{}}, but the sequence has {length} tokens, the first at 0. "
            "Give positions inside the sequence, and 0 with a weight of 0 for free slots.",
        )


def check_packed_length(config, length):
    """Raises a UserError if a model cannot read packed rows of so many tokens."""
    most = config.block_sparse.longest_full if config.attention == "block_sparse" else None
    if most is not None and length > most:
        raise UserError(
            f"Rows of {length} tokens are packed, but BigBird's texts of over {most} tokens attend by blocks, "
            f"which are counted from the beginning of a row; pack rows of up to {most} tokens."
        )


def _check_global(config, inputs):
    """Refuses a mask of global tokens that has other numbers than 0 and 1, or too many of them in a text."""
    given = _values(inputs.get("global_attention_mask"))
    if given is None or config.attention != "global_local":
        return
    _check(given, 2, "global_attention_mask has a {}; give 1 for the tokens that see all, and 0 for the others.")
    mask = _values(inputs.get("input_mask"))
    counts = (given if mask is None else given * (mask != 0)).sum(axis=-1)
    if counts.size and counts.max() > config.max_global_tokens and "sequence_ids" not in inputs:
        raise UserError(
            f"global_attention_mask has {counts.max()} global tokens in a text, but the model has max_global_tokens="
            f"{config.max_global_tokens}. Mark fewer tokens, or give its Config a larger number, in a directory's "
            f'task.json as "config": {{"max_global_tokens": {counts.max()}}}.'
        )


def _check_rows(inputs):
    """Raises a UserError if the texts of packed rows do not lie one by one, or not where they are said to begin."""
    ids, starts = (_values(inputs.get(name)) for name in ("sequence_ids", "sequence_starts"))
    if ids is None or ids.ndim != 2 or not ids.size:
        return
    numbers, _ = expected_rows(ids, ids.shape[1])
    if starts is None:
        starts = np.zeros((len(ids), 0), int)
    if starts.ndim != 2 or len(starts) != len(ids):
        raise UserError(
            f"sequence_starts has shape {starts.shape}, but there are {len(ids)} rows; give where each text of a row "
            "begins, 0 past them."
        )
    _, places = expected_rows(ids, starts.shape[1])  # which may be fewer than there are texts: heads read the first
    for name, given, expected in (("sequence_ids", ids, numbers), ("sequence_starts", starts, places)):
        wrong = np.argwhere(given != expected)
        if len(wrong):
            row, place = wrong[0]
            raise UserError(
                f"{name} has {given[row, place]} in row {row}, place {place}, where {expected[row, place]} was "
                "expected: the texts of a packed row are numbered 1, 2, 3 ..., each in one stretch, 0 is padding, and "
                "sequence_starts says where each begins; make rows with pack=True."
            )


def check_labels(model, inputs, labels):
    """Refuses labels that are no class of the model's, where a loss of ours is to read them.

    Args:
        model: a compiled PretrainedModel.
        inputs: a dict of its inputs, whose length is the number of classes where these are positions or choices.
        labels: int labels in arrays or tensors, or a dict of them by output; anything else passes.

    Raises:
        UserError: the first thing that is wrong, with what came and what the model has.
    """
    losses, outputs = getattr(model, "given_loss", None), model.output
    if not isinstance(outputs, dict):
        losses, outputs, labels = {"labels": losses}, {"labels": outputs}, {"labels": labels}
    if not isinstance(labels, dict) or not isinstance(losses, dict):
        return
    for name, logits in outputs.items():
        loss, values, classes = losses.get(name), _values(labels.get(name)), logits.shape[-1]
        if values is not None and has_strings(values):
            raise UserError(
                f"{name} are strings; give the classes' numbers, or kb.text_dataset(texts, labels, tokenizer, "
                "label_names=[...]), which finds them."
            )
        if not isinstance(loss, SparseCrossEntropy) or values is None:
            continue
        if classes is None:
            shape = getattr(inputs.get("input_ids"), "shape", ()) if isinstance(inputs, dict) else ()
            classes = shape[1] if len(shape) > 1 else None
        if values.ndim == len(logits.shape) and values.shape[-1] == classes > 1:
            raise UserError(
                f"{name} has shape {values.shape}, a number for each class; "
                f"give the classes' numbers, {name}.argmax(-1)."
            )
        if loss.ignored_label is not None:
            values = values[values != loss.ignored_label]
        if values.dtype.kind == "f" and not (values == np.round(values)).all():  # nor is NaN
            wrong = values[values != np.round(values)][0]
            raise UserError(f"{name} has {wrong:g}, which is not a class of the {classes}; give whole numbers from 0.")
        _check(values, classes, f"{name} has a class of {{}}, but the model has {classes}. Number them from 0.")


def check_dataset(model, dataset):
    """Refuses the labels of a dataset's first batch, if they are float, as `check_labels` does those of arrays.

    Args:
        model: a compiled PretrainedModel.
        dataset: a tf.data.Dataset of (inputs, labels, ...); anything else passes. Int labels are not looked at.
    """
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) < 2 or not hasattr(dataset, "take"):
        return
    losses = keras.tree.flatten(getattr(model, "given_loss", None))
    floats = [each for each in keras.tree.flatten(spec[1]) if getattr(each.dtype, "name", "").startswith("float")]
    if floats and any(isinstance(loss, SparseCrossEntropy) for loss in losses):
        for inputs, labels, *_ in dataset.take(1):
            check_labels(model, inputs, labels)


def _check(x, limit, sentence):
    values = _values(x)
    if limit is None or values is None or not values.size:
        return
    for value in (values.min(), values.max()):
        if not 0 <= value < limit:
            raise UserError(sentence.format(value))


def _values(x):
    """Returns an array's or tensor's numbers, or None if it has none yet."""
    if isinstance(x, (np.ndarray, list, tuple)):
        return np.asarray(x)
    try:
        return np.asarray(x) if keras.ops.is_tensor(x) else None
    except (TypeError, NotImplementedError):  # JAX's and TensorFlow's of a graph
        return None


def _checked(name):
    """Returns a method of keras.Model that checks what it is given, `validation_data` too, and goes on."""
    first = "inputs" if name == "__call__" else "x"

    def read(self, x):
        x = _choose(self, x)
        return complete_inputs(self, x) if name == "__call__" else x

    @functools.wraps(getattr(keras.Model, name))
    def method(self, *args, **kwargs):
        if args:
            args = (read(self, args[0]), *args[1:])
        elif first in kwargs:
            kwargs[first] = read(self, kwargs[first])
        x, y, *_ = *args, *(None,) * 2
        given = [(kwargs.get(first, x), kwargs.get("y", y) if name in TAKES_LABELS else None)]
        validation_data = kwargs.get("validation_data")
        if isinstance(validation_data, (list, tuple)):
            kwargs["validation_data"] = (_choose(self, validation_data[0]), *validation_data[1:])
            given.append((*kwargs["validation_data"], None)[:2])
        elif validation_data is not None:
            _choose(self, validation_data)
        for inputs, labels in given:
            check_inputs(self.bert_config, inputs, kwargs.get("positions"))
            if labels is not None:
                check_labels(self, inputs, labels)
            elif name in TAKES_LABELS:
                check_dataset(self, inputs)
        return getattr(super(Checked, self), name)(*args, **kwargs)

    return method


def _choose(model, x):
    """Returns the inputs that a model takes, or raises a UserError if they are texts."""
    x = inputs = choose_inputs(model, x)
    if hasattr(x, "element_spec"):  # a tf.data.Dataset
        inputs = choose_inputs(model, x.element_spec[0] if isinstance(x.element_spec, tuple) else x.element_spec)
    if has_strings(inputs):
        raise UserError(
            f"{type(model).__name__} reads token ids, and strings were given; ask it by kb.predict(model, tokenizer, "
            "texts), or make batches by kb.text_dataset(texts, labels, tokenizer)."
        )
    return x


class Checked:
    """Mixed into a keras.Model with a `bert_config`: whatever takes inputs checks them first."""

    __call__ = _checked("__call__")
    fit = _checked("fit")
    evaluate = _checked("evaluate")
    predict = _checked("predict")
    train_on_batch = _checked("train_on_batch")
    test_on_batch = _checked("test_on_batch")
    predict_on_batch = _checked("predict_on_batch")
