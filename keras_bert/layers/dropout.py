"""Dropout whose mask is a hash of each element's place, so that it is computed where it is used and never stored.

A drawn mask costs a pass for the random numbers, one for the comparison and one for the product, and is kept for the
backward pass: on a CPU 6 % of a training step. The hash is a few integer operations that fuse with their neighbours,
and the backward pass computes it again. Sources: Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"
(counter-based generators); the constants are Chris Wellons' lowbias32, found by search for the least bias.
"""

import contextlib
import contextvars

from keras import ops

MULTIPLIERS = (0x7FEB352D, 0x846CA68B)
SHIFTS = (16, 15, 16)

_replica = contextvars.ContextVar("replica", default=None)


@contextlib.contextmanager
def masks_of_replica(number):
    """Gives the calls inside masks of their own, where replicas with the same random state share a batch.

    Args:
        number: the replica's, an int32 scalar; None or 0 changes nothing. Gradients that run the layers again
            (rematerialization) belong inside too.
    """
    token = _replica.set(number)
    try:
        yield
    finally:
        _replica.reset(token)


def dropout_key(layer, training):
    """Returns what a call of `drop` draws its mask from.

    Args:
        layer: a keras.layers.Dropout, whose random state goes on by one.
        training: whether dropout is on.

    Returns:
        uint32 (2,), different for each layer and call; None where nothing is to be dropped.
    """
    if not training or layer.rate == 0:
        return None
    key, number = ops.cast(layer.seed_generator.next(), "uint32"), _replica.get()
    return key if number is None else key ^ mixed(ops.cast(number, "uint32"))


def drop(x, key, rate):
    """Sets a share of the elements to 0 and scales the others so that the mean stays.

    Args:
        x: float tensor of any rank.
        key: uint32 (2,) from `dropout_key`; None returns x as it is.
        rate: the share.
    """
    if key is None:
        return x
    threshold = ops.convert_to_tensor(round(rate * 2**32), dtype="uint32")
    return ops.where(hashed_places(ops.shape(x), key) >= threshold, x / (1.0 - rate), ops.zeros_like(x))


def hashed_places(shape, key):
    """Returns uint32 of a shape: for each place a number that is uniform, and independent of those of other keys."""

    def numbers(count):  # unsigned from here on: TensorFlow computes with int32 on the CPU even where there is a GPU
        return ops.cast(ops.arange(count, dtype="int32"), "uint32")

    columns = shape[-1]
    place = numbers(_size(shape[:-1]))[:, None] * ops.cast(columns, "uint32") + numbers(columns)
    before = mixed(key[0] ^ mixed(key[1]))
    inside = mixed(key[1] ^ before)  # so that no mask is another one moved
    return ops.reshape(mixed(place ^ before, inside), shape)


def mixed(x, key=None):
    """Returns a one-to-one image of uint32 numbers, another one for each key, in which every bit depends on every bit.

    >>> [int(i) for i in mixed(ops.convert_to_tensor([1, 2], dtype="uint32"))]
    [1753845952, 3507691905]
    """
    for shift, multiplier in zip(SHIFTS, (*MULTIPLIERS, 1), strict=True):
        x = x ^ ops.bitwise_right_shift(x, ops.convert_to_tensor(shift, dtype="uint32"))
        x = x if multiplier == 1 else x * ops.convert_to_tensor(multiplier, dtype="uint32")
        x = x if key is None else x ^ key
    return x


def _size(shape):
    size = 1
    for dimension in shape:
        size = size * dimension
    return size
