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
        cos, sin: float32 (S, 1, D / 2) or (B, S, 1, D / 2).

    Example:
        >>> cos, sin = rotation(np.arange(3), 4, 10000.0)
        >>> [round(float(x), 4) for x in sin[:, 0, 0]]
        [0.0, 0.8415, 0.9093]
    """
    # Rounded where transformers rounds: at place 8000 a more exact angle is another one by 0.0005.
    exponents = np.arange(0, head_size, 2, dtype=np.float32) / np.float32(head_size)
    frequencies = np.float32(1) / np.power(float(theta), exponents.astype(np.float64)).astype(np.float32)
    angles = ops.expand_dims(ops.expand_dims(ops.cast(positions, "float32"), -1), -1) * frequencies
    return ops.cos(angles), ops.sin(angles)


@fusible
def rotated(x, cos, sin):
    """Turns each pair of features by its angle, in float32.

    Args:
        x: (B, S, A, D), queries or keys.
        cos, sin: see `rotation`.

    Returns:
        (B, S, A, D) of x's dtype.
    """
    return ops.cast(_turned(wide(x), cos, sin), x.dtype)


@ops.custom_gradient
def _turned(x, cos, sin):
    """Turns pairs; the gradient turns them back, which spares TensorFlow the gradients of slices."""

    def gradients(upstream):
        return _turn(upstream, cos, -sin), ops.zeros_like(cos), ops.zeros_like(sin)

    return _turn(x, cos, sin), gradients


def _turn(x, cos, sin):
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
