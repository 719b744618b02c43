"""Rotary positions: a token's place turns its queries and keys (Su et al. 2021, "RoFormer", section 3.2.2).

Feature f of the first half of a head and feature f of the second half are one pair, as in GPT-NeoX.
B batch, S sequence, A heads, D head size.
"""

import numpy as np
from keras import ops

from keras_bert.layers.common import wide
from keras_bert.layers.fusion import fusible


def rotation(positions, head_size, theta):
    """Returns the cosines and sines by which tokens are turned.

    Args:
        positions: int (S,) or (B, S), the tokens' places.
        head_size: D, an even number.
        theta: base of the wavelengths, which are 2 pi * theta ** (2 f / D).

    Returns:
        cos, sin: float32 (S, 1, D) or (B, S, 1, D); the sines of first halves are negative.

    Example:
        >>> cos, sin = rotation(np.arange(3), 4, 10000.0)
        >>> [[round(float(x), 4) for x in features] for features in sin[1:, 0]]
        [[-0.8415, -0.01, 0.8415, 0.01], [-0.9093, -0.02, 0.9093, 0.02]]
    """
    # Rounded where transformers rounds: at place 8000 a more exact angle is another one by 0.0005.
    exponents = np.arange(0, head_size, 2, dtype=np.float32) / np.float32(head_size)
    frequencies = np.float32(1) / np.power(float(theta), exponents.astype(np.float64)).astype(np.float32)
    angles = ops.expand_dims(ops.expand_dims(ops.cast(positions, "float32"), -1), -1) * frequencies
    cos, sin = ops.cos(angles), ops.sin(angles)
    return ops.concatenate([cos, cos], axis=-1), ops.concatenate([-sin, sin], axis=-1)


def rotated(x, cos, sin, *, fuse):
    """Turns each pair of features by its angle, in float32.

    The gradient turns it back, which spares TensorFlow the gradients of slices. Halves change places outside the
    chain, since what XLA fuses with a concatenation it computes number by number.

    Args:
        x: (B, S, A, D), queries or keys.
        cos, sin: see `rotation`.
        fuse: see `fusible`.

    Returns:
        (B, S, A, D) of x's dtype.
    """

    @ops.custom_gradient
    def turned(x, cos, sin):
        def gradients(upstream):
            back = _turned(upstream, _swapped(upstream), cos, -sin, fuse=fuse)
            return back, ops.zeros_like(cos), ops.zeros_like(sin)

        return _turned(x, _swapped(x), cos, sin, fuse=fuse), gradients

    return turned(x, cos, sin)


@fusible
def _turned(x, partners, cos, sin):
    return ops.cast(wide(x) * cos + wide(partners) * sin, x.dtype)


def _swapped(x):
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([second, first], axis=-1)
