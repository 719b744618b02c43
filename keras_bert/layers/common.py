"""What all layers share: activations by name, the initializer, LayerNorm as BERT has it, and config plumbing."""

import math

import keras
from keras import ops


def gelu_tanh(x):
    """Gaussian error linear unit, tanh approximation: what Google computes (Hendrycks and Gimpel 2016)."""
    return ops.gelu(x, approximate=True)


def gelu_erf(x):
    """Gaussian error linear unit, exact: what Hugging Face computes. Written out, since ONNX has Erf but no Erfc."""
    return x * 0.5 * (1.0 + ops.erf(x / math.sqrt(2.0)))


ACTIVATIONS = {
    "gelu_tanh": gelu_tanh,
    "gelu_erf": gelu_erf,
    "relu": ops.relu,
    "tanh": ops.tanh,
    "linear": lambda x: x,
}


def truncated_normal(stddev):
    """A fresh initializer; one per weight, since a Keras initializer with a seed repeats itself."""
    return keras.initializers.TruncatedNormal(stddev=stddev)


def dense(units, initializer_range, *, name, dtype=None):
    """A Dense layer that starts from BERT's truncated normal."""
    return keras.layers.Dense(units, kernel_initializer=truncated_normal(initializer_range), name=name, dtype=dtype)


def layer_norm(epsilon, *, name, dtype=None):
    """LayerNorm over the last axis. Keras computes it in float32 under 16-bit policies."""
    return keras.layers.LayerNormalization(epsilon=epsilon, name=name, dtype=dtype)


class ConfigLayer(keras.layers.Layer):
    """A layer whose get_config is the plain numbers it was made with.

    Subclasses list their constructor's arguments in `FIELDS` and call `self.set_fields(...)`.
    """

    FIELDS = ()

    def set_fields(self, **values):
        """Keeps the constructor's arguments as attributes."""
        for name in self.FIELDS:
            setattr(self, name, values[name])

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.FIELDS}}
