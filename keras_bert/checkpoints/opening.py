"""The one check of an opened checkpoint: every array that its config asks for is there, with its shape, and finite.

Whatever opens a checkpoint goes through it, so that loading, converting and inspecting agree. Nothing is allocated:
the sizes of the config are compared with those that the files state.
"""

import math
import numbers

import numpy as np

from keras_bert.checkpoints.base import Checkpoint
from keras_bert.checkpoints.names import huggingface_name
from keras_bert.checkpoints.parts import array_shapes, each_array, encoder_parts, pretraining_parts
from keras_bert.errors import UserError

POOLER = "bert/pooler/"  # some checkpoints have none; whatever computes with it looks for it
MASKED_LM = "cls/predictions/"
SHOWN_NAMES = 3


def make_checkpoint(path, config, sources, *, task=lambda shapes: {}, notes=(), missing=()):
    """Returns the Checkpoint of arrays by google-research/bert's names, after checking that they are complete.

    Args:
        path: the directory or prefix.
        config: its BertConfig.
        sources: {name: Source}.
        task: {name: shape} -> the contents of task.json.
        notes: what else is to be told of it.
        missing: files that are not there though an index names them.

    Raises:
        UserError: an array of the encoder is missing or has another shape than the config asks for (the pooler may be
            missing), or a head's has a shape that no head has. Reading an array that holds NaN is one, too.
    """
    check_encoder(path, config, {name: source.shape for name, source in sources.items()})
    sources, head_notes = _split_heads(path, config, sources)
    shapes = {name: source.shape for name, source in sources.items()}

    def read(name):
        array = sources[name].read()
        if huggingface_name(name) is not None:
            _check_finite(array, sources[name].span)
        return array

    unknown = config.unknown_fields()
    notes = (*notes, *head_notes, *((unknown,) if unknown else ()))
    return Checkpoint(path, config, task(shapes), shapes, read, notes=notes, missing=missing)


def check_encoder(path, config, shapes):
    """Raises a UserError that names the first array of the encoder that is missing or has another shape.

    Args:
        path: the checkpoint's, to name.
        config: the BertConfig that the arrays are for.
        shapes: {google-research/bert's name: shape}.
    """
    if not any(name.startswith("bert/") and huggingface_name(name) for name in shapes):
        names = ", ".join(f"{name:.60}" for name in list(shapes)[:SHOWN_NAMES])
        such_as = f" ({names})" if shapes else ""
        raise UserError(
            f"{path} holds no BERT encoder: none of its {len(shapes)} arrays fits{such_as}; give the checkpoint of a "
            "BERT, saved under Google's or Hugging Face's names."
        )
    for name, shape in each_array(encoder_parts(config)):
        if name not in shapes:
            if name.startswith(POOLER):
                continue
            raise UserError(
                f"{path} has no {name}, which its config asks for with num_hidden_layers={config.num_hidden_layers}; "
                "use the config that belongs to these weights, or fetch or save them again."
            )
        if shapes[name] != shape:
            raise UserError(
                f"{path}: {name} has shape {shapes[name]}, but its config asks for {shape}; "
                "use the config and vocabulary that belong to these weights."
            )


def _split_heads(path, config, sources):
    """Returns the sources without the heads that were made for other inputs than BERT's, and notes on those.

    Raises:
        UserError: a head's array is a single number or is empty, which no head's is.
    """
    heads = {}
    for name, source in sources.items():
        if huggingface_name(name) is not None and not name.startswith("bert/"):
            if 0 in source.shape or not source.shape:
                raise UserError(
                    f"{path}: {source.span.name} has shape {source.shape!s:.80}, which no head has; fetch it again."
                )
            heads.setdefault(name[: name.rfind("/") + 1] if "transform" not in name else MASKED_LM, {})[name] = source
    left_out, notes = set(), []
    for found in heads.values():
        expected = _head_shapes(config, found)
        wrong = next((name for name, source in found.items() if source.shape != expected[name]), None)
        if wrong is not None:
            left_out.update(found)
            notes.append(
                f"left out, as {found[wrong].span.name} has shape {found[wrong].shape} where BERT's head has "
                f"{expected[wrong]}: {', '.join(source.span.name for source in found.values())}"
            )
    return {name: source for name, source in sources.items() if name not in left_out}, tuple(notes)


def _head_shapes(config, found):
    """Returns {name: shape} of all heads; the number of classes is that of the weights found, or else of the biases."""
    hidden = config.hidden_size
    classes = next((found[name].shape[0] for name in ("output_weights", "output_bias") if name in found), 1)
    shapes = {"output_weights": (classes, hidden), "output_bias": (classes,)}
    shapes |= {"cls/squad/output_weights": (2, hidden), "cls/squad/output_bias": (2,)}
    return shapes | array_shapes(pretraining_parts(config))


def class_labels(names, *, what):
    """Returns the names of classes as strings; a whole number is the string of its digits.

    Args:
        names: a list of str or int.
        what: the field to name in an error.

    Raises:
        UserError: a name that is neither, or two equal ones, of which one's probability would be lost.

    Example:
        >>> class_labels([1, "b"], what="config.json: id2label")
        ['1', 'b']
    """
    labels, seen = [], set()
    for name in names:
        if not isinstance(name, (str, numbers.Integral)) or isinstance(name, bool):
            raise UserError(f"{what} must have a string for each class. Received: {name!r:.80}.")
        label = str(name)
        if label in seen:
            raise UserError(f"{what} has {label!r:.80} twice; give each class a name of its own.")
        labels.append(label)
        seen.add(label)
    return labels


def _check_finite(array, span):
    """Raises a UserError that names an array with NaN or infinity in it, of which the sum is neither finite."""
    with np.errstate(all="ignore"):
        if not math.isfinite(array.sum()) and not np.isfinite(array).all():  # finite numbers may have an infinite sum
            raise UserError(
                f"{span.path}: {span.name} holds NaN or infinity, with which a model computes nothing; take a "
                "checkpoint from before the training diverged, or fetch it again."
            )
