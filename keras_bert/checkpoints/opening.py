"""The one check of an opened checkpoint: every array that its config asks for is there, with its shape, and finite.

Whatever opens a checkpoint goes through it, so that loading, converting and inspecting agree. Nothing is allocated:
the sizes of the config are compared with those that the files state.
"""

import math
import numbers

import numpy as np

from keras_bert.checkpoints.base import Checkpoint
from keras_bert.checkpoints.parts import all_head_weights, encoder_weights
from keras_bert.errors import UserError
from keras_bert.families import find_family

POOLER = "bert/pooler/"  # some checkpoints have none; whatever computes with it looks for it
MASKED_LM = "cls/predictions/"
SHOWN_NAMES = 3


def make_checkpoint(path, config, sources, *, task=lambda shapes: {}, notes=(), missing=()):
    """Returns the Checkpoint of arrays by google-research/bert's names, after checking that they are complete.

    Args:
        path: the directory or prefix.
        config: its Config.
        sources: {name: Source}.
        task: {name: shape} -> the contents of task.json.
        notes: what else is to be told of it.
        missing: files that are not there though an index names them.

    Raises:
        UserError: an array of the encoder is missing or has another shape than the config asks for (the pooler may be
            missing), or a head's has a shape that no head has. Reading an array that holds NaN is one, too.
    """
    check_encoder(path, config, {name: source.shape for name, source in sources.items()})
    known = known_names(config)
    sources, head_notes = _split_heads(path, config, sources, known)
    shapes = {name: source.shape for name, source in sources.items()}

    def read(name):
        array = sources[name].read()
        if name in known:
            _check_finite(array, sources[name].span)
        return array

    unknown = config.unknown_fields()
    notes = (*notes, *head_notes, *((unknown,) if unknown else ()))
    return Checkpoint(path, config, task(shapes), shapes, read, notes=notes, missing=missing)


def check_encoder(path, config, shapes):
    """Raises a UserError that names the first array of the encoder that is missing or has another shape.

    Args:
        path: the checkpoint's, to name.
        config: the Config that the arrays are for.
        shapes: {google-research/bert's name: shape}.
    """
    expected = {weight.name: weight.shape for weight in encoder_weights(config)}
    if not expected.keys() & shapes.keys():
        names = ", ".join(f"{name:.60}" for name in list(shapes)[:SHOWN_NAMES])
        such_as, row = f" ({names})" if shapes else "", find_family(config.family)
        here = next(iter(row.names.table(config)))
        raise UserError(
            f"{path} holds no {row.title} encoder: none of its {len(shapes)} arrays fits{such_as}; give the checkpoint "
            f"of a {row.title}, saved under Google's or Hugging Face's names ({row.names.prefix}{here})."
        )
    for name, shape in expected.items():
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


def known_names(config):
    """Returns the neutral names of all weights that a model of a Config may have, heads included."""
    return {weight.name for weight in (*encoder_weights(config), *all_head_weights(config))}


def _split_heads(path, config, sources, known):
    """Returns the sources without the heads that were made for other inputs than the encoder's, and notes on those.

    Raises:
        UserError: a head's array is a single number or is empty, which no head's is.
    """
    heads = {}
    for name, source in sources.items():
        if name in known and not name.startswith("bert/"):
            if 0 in source.shape or not source.shape:
                raise UserError(
                    f"{path}: {source.span.name} has shape {source.shape!s:.80}, which no head has; fetch it again."
                )
            heads.setdefault(name[: name.rfind("/") + 1] if "transform" not in name else MASKED_LM, {})[name] = source
    left_out, notes, title = set(), [], find_family(config.family).title
    for found in heads.values():
        expected = _head_shapes(config, found)
        wrong = next((name for name, source in found.items() if source.shape != expected[name]), None)
        if wrong is not None:
            left_out.update(found)
            notes.append(
                f"left out, as {found[wrong].span.name} has shape {found[wrong].shape} where the head of {title} has "
                f"{expected[wrong]}: {', '.join(source.span.name for source in found.values())}"
            )
    return {name: source for name, source in sources.items() if name not in left_out}, tuple(notes)


def _head_shapes(config, found):
    """Returns {name: shape} of all heads; the number of classes is that of the weights found, or else of the biases."""
    classes = next((found[name].shape[0] for name in ("output_weights", "output_bias") if name in found), 1)
    return {weight.name: weight.shape for weight in all_head_weights(config, classes=classes)}


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
