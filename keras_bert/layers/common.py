"""What all layers share: activations by name, the initializer, the chains between two matrix products, config plumbing.

N rows (batch * sequence), H hidden.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_bert.layers.dropout import drop
from keras_bert.layers.fusion import fusible, lengths_may_vary

FUSED_WIDTH = 256  # of H; below it compiling a chain takes longer than it saves in a run of some thousand steps


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
    "silu": ops.silu,
    "tanh": ops.tanh,
    "linear": lambda x: x,
}


def truncated_normal(stddev):
    """A fresh initializer; one per weight, since a Keras initializer with a seed repeats itself."""
    return keras.initializers.TruncatedNormal(stddev=stddev)


def dense(units, initializer_range, *, name, use_bias=True, dtype=None):
    """A Dense layer that starts from BERT's truncated normal; `units` may be one of NumPy's integers."""
    units = int(units) if isinstance(units, np.integer) else units
    with keras.RematScope(mode=None):  # of keras.RematScope's layers only whole blocks are rematerialized: remat.py
        start = truncated_normal(initializer_range)
        return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=start, name=name, dtype=dtype)


def layer_norm(epsilon, *, name, kind="layer", use_bias=True, dtype=None):
    """LayerNorm over the last axis, or a NoNorm. Keras computes it in float32 under 16-bit policies.

    Args:
        epsilon: that of the variance.
        kind: "layer", or "no_norm".
        use_bias: whether it has one.
    """
    if kind == "no_norm":
        return NoNorm(name=name, dtype=dtype)
    with keras.RematScope(mode=None):
        return keras.layers.LayerNormalization(epsilon=epsilon, center=use_bias, name=name, dtype=dtype)


def dropout_layer(rate, *, name="dropout", dtype=None):
    """A Dropout layer with a random state of its own."""
    with keras.RematScope(mode=None):
        return keras.layers.Dropout(rate, name=name, dtype=dtype)


def worth_fusing(x, training=True):
    """Returns whether the chains of a call on x, (B, ..., H), are to be fused.

    So they are in training, if x is wide enough and all dimensions but the batch's are known as the graph is made:
    of a dataset whose batches have many lengths each is compiled anew, for seconds (`fusion.any_length`).
    """
    return bool(training) and x.shape[-1] >= FUSED_WIDTH and (lengths_may_vary() or None not in x.shape[1:])


def product(layer, x):
    """Returns x (N, H) times a Dense layer's kernel, (N, units), and its bias (units,), for a chain that adds it."""
    if layer.quantization_mode:  # whose kernel is not a plain matrix: the layer does it, bias and all
        return layer(x), None
    return ops.matmul(x, layer.kernel), layer.bias


def take_positions(x, positions):
    """Returns float (B, P, H) from float (B, S, H) and int positions (B, P)."""
    batch, length, hidden_size = ops.shape(x)[0], ops.shape(x)[1], x.shape[-1]
    first = ops.expand_dims(ops.arange(batch, dtype="int32") * length, 1)  # (B, 1)
    rows = ops.reshape(x, (-1, hidden_size))  # (B * S, H): a plain gather, whose gradient is one scatter
    taken = ops.take(rows, first + ops.cast(positions, "int32"), axis=0)
    return ops.reshape(taken, (*ops.shape(positions), hidden_size))  # which it is, but for JAX's of an empty batch


def wide(x):
    """Returns a 16-bit tensor as float32, others as they are."""
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))


@fusible
def activated(x, bias, *, activation):
    """Returns the activation of x + bias, (N, units) of x's dtype, computed in float32."""
    y = wide(x) if bias is None else wide(x) + wide(bias)
    return ops.cast(ACTIVATIONS[activation](y), x.dtype)


def gated(x, bias, *, activation, fuse):
    """Returns the activation of one half of x + bias times the other half, in float32 (Shazeer 2020, GLU variants).

    The halves are cut outside the chain: what XLA fuses with a concatenation, here their gradients', it computes number
    by number. And not by slices, for whose gradients TensorFlow pads both halves with zeros.

    Args:
        x: (N, 2 * units); the activation is that of the first half.
        bias: (2 * units,) or None.
        activation: a name of `ACTIVATIONS`.
        fuse: see `fusible`.

    Returns:
        (N, units) of x's dtype.
    """
    biases = (None, None) if bias is None else ops.split(bias, 2)
    return _gated(*ops.split(x, 2, axis=-1), *biases, activation=activation, fuse=fuse)


@fusible
def _gated(x, gate, bias, gate_bias, *, activation):
    y, gate = (wide(half) if b is None else wide(half) + wide(b) for half, b in ((x, bias), (gate, gate_bias)))
    return ops.cast(ACTIVATIONS[activation](y) * gate, x.dtype)


@fusible
def dropped(x, key, *, rate):
    """Returns dropout of x, in float32 and then x's dtype.

    Where no other chain has it. Keras' own layer draws numbers, which XLA on CPUs takes 250 times as long for.
    """
    return ops.cast(drop(wide(x), key, rate), x.dtype)


@fusible
def residual_norm(x, bias, residual, gamma, beta, key, *, rate, epsilon):
    """Ends a sub-layer: dropout of x + bias, residual sum, LayerNorm, in float32.

    Args:
        x: (N, H), what the sub-layer's last product gave.
        bias: (H,) or None.
        residual: (N, H), what went into the sub-layer.
        gamma, beta: (H,).
        key: see `drop`.
        rate: of the dropout.
        epsilon: of the LayerNorm; None for a NoNorm.

    Returns:
        (N, H) of x's dtype.
    """
    y = wide(x) if bias is None else wide(x) + wide(bias)
    return ops.cast(normalized(drop(y, key, rate) + wide(residual), gamma, beta, epsilon), x.dtype)


@fusible
def residual_sum(x, bias, residual, key, *, rate):
    """Ends a sub-layer that has its norm at its beginning: dropout of x + bias, and the residual sum, in float32.

    Args:
        x, bias, residual, key, rate: as in `residual_norm`.

    Returns:
        (N, H) of x's dtype.
    """
    y = wide(x) if bias is None else wide(x) + wide(bias)
    return ops.cast(drop(y, key, rate) + wide(residual), x.dtype)


@fusible
def norm(x, gamma, beta, *, epsilon):
    """Returns the LayerNorm of x (N, H), computed in float32, in x's dtype."""
    return ops.cast(normalized(wide(x), gamma, beta, epsilon), x.dtype)


def normalized(x, gamma, beta, epsilon):
    """LayerNorm over the last axis (Ba et al. 2016) in float32 or wider, which x is.

    Args:
        x: (N, H).
        gamma, beta: (H,); no bias if beta is None.
        epsilon: that of the variance; None for a NoNorm, gamma * x + beta.
    """
    if epsilon is None:
        return x * wide(gamma) + wide(beta)
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    scaled = centred * ops.rsqrt(variance + epsilon) * wide(gamma)
    return scaled if beta is None else scaled + wide(beta)


class ConfigLayer(keras.layers.Layer):
    """A layer whose get_config is the plain numbers it was made with.

    Subclasses list their constructor's arguments in `FIELDS` and call `self.set_fields(...)`.
    """

    FIELDS = ()

    def set_fields(self, **values):
        """Keeps the constructor's arguments as attributes."""
        for name, value in values.items():
            setattr(self, name, value)

    def rematerialized_call(self, layer_call, *args, **kwargs):
        """Leaves `keras.RematScope` to the blocks, which are rematerialized as a whole (remat.py)."""
        return layer_call

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.FIELDS}}


@keras.saving.register_keras_serializable(package="keras_bert")
class NoNorm(ConfigLayer):
    """A factor and a bias in the place of a LayerNorm (Sun et al. 2020, "MobileBERT", section 3.4)."""

    epsilon = None  # by which `normalized` knows it

    def build(self, input_shape):
        """Makes gamma and beta (H,)."""
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        self.built = True

    def call(self, inputs):
        """Returns float (..., H) from the same."""
        return ops.cast(normalized(wide(inputs), self.gamma, self.beta, None), inputs.dtype)
