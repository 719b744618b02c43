"""Weights for serving: as they are, in bfloat16, or as 8-bit numbers.

Of "int8" the weights alone are 8-bit numbers, rounded to the nearest, with a scale for each output of a kernel and each
row of the word embeddings (what is called weight-only quantization); the arithmetic is bfloat16's. Keras' own
`quantize("int8")` multiplies 8-bit numbers as well, for which TensorFlow has no fast product on a CPU.
"""

import dataclasses

import keras
import ml_dtypes
import numpy as np
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.models import Encoder

PRECISIONS = ("float32", "bfloat16", "int8")
MOST_CONSTANT = 1_500_000_000  # bytes of a graph; a protocol buffer ends at 2^31
LARGEST = 127  # of int8's numbers; without -128 they lie around zero alike


@dataclasses.dataclass(frozen=True)
class Plain:
    """A matrix as it is.

    Attributes:
        numbers: tf.Variable (M, N).
    """

    numbers: tf.Variable

    @classmethod
    def of(cls, matrix):
        """Keeps an array."""
        return cls(tf.Variable(matrix, trainable=False))

    @property
    def variables(self):
        """What has to be saved."""
        return [self.numbers]

    def columns(self, columns):
        """Returns (M, N), or some of its columns."""
        return self.numbers[:, columns]

    def rows(self, places):
        """Returns (..., N), the rows at int places (...)."""
        return tf.gather(self.numbers, places)


@dataclasses.dataclass(frozen=True)
class Constant:
    """A matrix that is part of the graph: oneDNN puts a product's kernel into the order that it wants once and for all.

    Of bfloat16 that saves a third of the products' time where there are few rows; of float32 it saves nothing.

    Attributes:
        numbers: np.ndarray (M, N).
    """

    numbers: np.ndarray
    variables = ()

    def columns(self, columns):
        """Returns (M, N), or some of its columns."""
        return tf.constant(self.numbers[:, columns])


@dataclasses.dataclass(frozen=True)
class In8Bits:
    """A matrix of 8-bit numbers.

    Attributes:
        numbers: tf.Variable int8 (M, N).
        scale: tf.Variable bfloat16, (1, N) or (M, 1), what a column or row of them is multiplied by.
    """

    numbers: tf.Variable
    scale: tf.Variable

    @classmethod
    def of(cls, matrix, *, axis=0):
        """Rounds an array, with one scale for the numbers along an axis."""
        matrix = matrix.astype(np.float32)
        scale = np.abs(matrix).max(axis=axis, keepdims=True) / LARGEST
        scale = np.where(scale == 0, 1.0, scale).astype(ml_dtypes.bfloat16)  # rounded first: so nothing is lost by it
        numbers = np.clip(np.rint(matrix / scale.astype(np.float32)), -LARGEST, LARGEST)
        return cls(*(tf.Variable(part, trainable=False) for part in (numbers.astype(np.int8), scale)))

    @property
    def variables(self):
        """What has to be saved."""
        return [self.numbers, self.scale]

    def columns(self, columns):
        """Returns bfloat16 (M, N), or some of its columns."""
        return tf.cast(self.numbers[:, columns], tf.bfloat16) * self.scale[:, columns]

    def rows(self, places):
        """Returns bfloat16 (..., N), the rows at int places (...)."""
        return tf.cast(tf.gather(self.numbers, places), tf.bfloat16) * tf.gather(self.scale, places)


@dataclasses.dataclass(frozen=True)
class Made:
    """A matrix of any of these forms as the graph has made it, for several products with it.

    Attributes:
        numbers: tf.Tensor (M, N).
    """

    numbers: tf.Tensor

    def columns(self, columns):
        """Returns (M, N), or some of its columns."""
        return self.numbers if columns == slice(None) else self.numbers[:, columns]


KERNELS = {"plain": Plain.of, "constant": Constant, "int8": In8Bits.of}


def check_precision(precision):
    """Raises a UserError for an unknown precision."""
    if precision is not None and precision not in PRECISIONS:
        raise UserError(f"precision must be one of {', '.join(PRECISIONS)}. Received: {precision!r}.")


def in_dtype(model, precision):
    """Returns a model with the same weights in the dtype of a precision; for None the model itself.

    Raises:
        UserError: a model with other weights than its class has, such as LoRA's.
    """
    if precision is None:
        return model
    dtype, task = "bfloat16" if precision == "int8" else precision, model.task()
    if isinstance(model, Encoder):
        twin = Encoder.build_from(model.bert_config, task, dtype=dtype)
    else:
        twin = type(model)(Encoder(model.bert_config, dtype=dtype), **type(model).head_options(task))
    if [weight.shape for weight in twin.weights] != [weight.shape for weight in model.weights]:
        raise UserError("A model with weights of its own, such as LoRA's, is served as it is: leave precision out.")
    for weight, source in zip(twin.weights, model.weights, strict=True):
        weight.assign(keras.ops.cast(source, weight.dtype))
    return twin


def kernels_of(encoder, precision):
    """Returns how the kernels of an encoder are kept, a key of KERNELS."""
    if precision == "int8":
        return "int8"
    in_16_bits = encoder.token_embedding.compute_dtype == "bfloat16"
    numbers = encoder.count_params()
    return "constant" if in_16_bits and 2 * numbers < MOST_CONSTANT else "plain"
