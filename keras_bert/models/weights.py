"""Which variable of a model is which array of a checkpoint, in google-research/bert's names."""

import dataclasses
from pathlib import Path

import numpy as np
from keras import ops
from keras.backend import is_float_dtype, standardize_dtype

from keras_bert.checkpoints.base import Checkpoint
from keras_bert.checkpoints.opening import check_encoder
from keras_bert.checkpoints.parts import needed_weights
from keras_bert.errors import UserError, note
from keras_bert.models.quantized import check_savable
from keras_bert.models.walk import walk

LARGE = 1 << 25  # bytes of an array from which a copy counts; the C library, too, maps larger ones on their own


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What loading a checkpoint did, by google-research/bert's names.

    Attributes:
        loaded: arrays that went into the model.
        new: weights of the model that the checkpoint lacks, newly initialised.
        unused: arrays of the checkpoint that the model has no place for.
        new_entries: entries of the vocabulary for which the checkpoint has grown, see checkpoints/growing.py.
        notes: what else is to be told, in words.
    """

    loaded: list[str]
    new: list[str]
    unused: list[str]
    new_entries: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def __str__(self):
        lines = [f"{len(self.loaded)} weights loaded"]
        if self.new:
            lines.append(f"newly initialised: {', '.join(self.new)}")
        if self.unused:
            lines.append(f"not used: {', '.join(self.unused)}")
        if self.new_entries:
            lines.append(f"new vocabulary entries, made of the pieces that spelled them: {len(self.new_entries)}")
        return "; ".join([*lines, *self.notes])


def encoder_variables(encoder):
    """Returns {name: variable} of an Encoder."""
    return {found.weight.name: found.variable for found in walk(encoder)}


def model_variables(model):
    """Returns {name: (variable, transposed)} of any model of ours: its encoder's and its head's.

    Google keeps the weights of a classifying head as (classes, hidden), the transpose of a Keras kernel.
    """
    return {found.weight.name: (found.variable, found.weight.transposed) for found in walk(model)}


def as_checkpoint(model):
    """Returns a model as a Checkpoint, whose arrays are taken off the model when they are asked for.

    Raises:
        UserError: a layer that Keras' `quantize` changed, even if its weights are floats still (float8).
    """
    variables = model_variables(model)
    for name, (variable, _) in variables.items():
        if not is_float_dtype(variable.dtype):
            raise UserError(
                f"{name} is {standardize_dtype(variable.dtype)}: the model was quantized, and a model directory holds "
                "plain weights; save it before `quantize`."
            )
    for path, how in check_savable(model).items():
        raise UserError(
            f"{path} was quantized ({how['mode']}), and a model directory holds plain weights; save the model before "
            "`quantize`."
        )

    def read(name):
        variable, transposed = variables[name]
        array = ops.convert_to_numpy(variable)
        return np.array(array.T if transposed else array, order="C")  # a copy: it may be the variable's own memory

    shapes = {name: _stored_shape(*variables[name]) for name in variables}
    return Checkpoint(Path(), model.bert_config, model.task(), shapes, read)


def _stored_shape(variable, transposed):
    return tuple(variable.shape)[::-1] if transposed else tuple(variable.shape)


def collect_arrays(model):
    """Returns {name: numpy array} of a model, as a checkpoint holds them."""
    checkpoint = as_checkpoint(model)
    return {name: checkpoint.read(name) for name in checkpoint.shapes}


class _Given:
    """An array that nobody else holds. TensorFlow takes it as it is; of a plain numpy array it makes two copies.

    That is for the word embeddings, a fifth of a base model. What is small had better be copied: the memory that it
    takes the place of stays with TensorFlow's allocator, which has a use for it only if it makes the copies.
    """

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array.astype(dtype or self._array.dtype, copy=bool(copy))


def assign_arrays(model, checkpoint):
    """Loads a Checkpoint into a model, one array at a time, and returns a LoadReport.

    A checkpoint that says which task its head is for gives it to a model of that task alone; Google's, which does
    not say, gives it by name and shape.

    Raises:
        UserError: an array of another shape than the model's weight (both are named), or an encoder that is
            missing or smaller than the config's. Only the pooler may be missing, as some checkpoints have none.
    """
    variables = model_variables(model)
    check_encoder(checkpoint.path, model.bert_config, checkpoint.shapes)
    gives_head = checkpoint.task.get("task") in (None, model.task().get("task"))
    loaded, new = [], []
    for name, (variable, transposed) in variables.items():
        if not gives_head and not name.startswith("bert/"):
            new.append(name)
            continue
        if checkpoint.shapes.get(name) != _stored_shape(variable, transposed):  # as a head for other classes has it
            new.append(name)
            continue
        array = checkpoint.read(name)
        array = array.T if transposed else array
        variable.assign(_Given(array) if array.nbytes >= LARGE else array)
        loaded.append(name)
    _note_missing(model, checkpoint, new)
    unused = sorted(set(checkpoint.shapes) - set(loaded))
    return LoadReport(loaded, new, unused, list(checkpoint.new_entries), list(checkpoint.notes))


def _note_missing(model, checkpoint, new):
    """Warns if a checkpoint of the model's own task lacks some of what its answers are computed with."""
    task = checkpoint.task.get("task")
    if task is None or task != model.task().get("task"):
        return
    needed = needed_weights(model.bert_config, model.head_task(), objectives=getattr(model, "objectives", None))
    missing = [name for name in new if name in needed]
    if missing:
        note(
            f"{checkpoint.path} was saved for {task} but lacks {', '.join(missing)}, which are newly initialised: its "
            "answers mean nothing before the model is trained."
        )
