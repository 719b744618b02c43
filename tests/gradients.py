"""Runs functions of tensors, and their gradients, on TensorFlow and on JAX alike."""

import keras
import numpy as np
import pytest
from keras import ops

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
needs_tensorflow = pytest.mark.skipif(not ON_TENSORFLOW, reason="is about TensorFlow")
FLOAT64 = 1e-9 if ON_TENSORFLOW else 1e-5  # to which sums of float64 agree; JAX computes in float32
WAYS = ("plain", "graph", "compiled") if ON_TENSORFLOW else ("plain", "compiled")


def run(function, *arrays, way="plain"):
    """Returns what a function of arrays gives, as NumPy's.

    Args:
        way: "plain", "graph" (all dimensions unknown but the last) or "compiled" (by XLA).
    """
    return [ops.convert_to_numpy(ops.cast(x, "float32")) for x in _flat(_wrapped(function, arrays, way)(*arrays))]


def gradients(function, *arrays, seed=0, way="plain"):
    """Returns the gradients of a weighted sum of what a function gives, one for each array of floats."""

    def total(*tensors):
        rng, result = np.random.default_rng(seed), 0.0
        for output in _flat(function(*tensors)):  # drawn weights cannot be where shapes are unknown
            places = ops.cast(ops.reshape(ops.arange(_size(output), dtype="int32"), ops.shape(output)), "float32")
            result = result + ops.sum(ops.cast(output, "float32") * ops.cos(places * rng.uniform(1, 2)))
        return result

    floats = [place for place, x in enumerate(arrays) if np.issubdtype(np.asarray(x).dtype, np.floating)]
    if keras.backend.backend() == "jax":
        import jax

        differentiated = jax.grad(total, argnums=floats)
    else:
        import tensorflow as tf

        def differentiated(*tensors):
            tensors = [ops.convert_to_tensor(x) for x in tensors]
            with tf.GradientTape() as tape:
                tape.watch([tensors[place] for place in floats])
                value = total(*tensors)
            return tape.gradient(value, [tensors[place] for place in floats])

    return [ops.convert_to_numpy(x) for x in _wrapped(differentiated, arrays, way)(*arrays)]


def _wrapped(function, arrays, way):
    if way == "plain":
        return lambda *given: function(*[ops.convert_to_tensor(x) for x in given])
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    if way == "compiled":
        return tf.function(function, jit_compile=True, autograph=False)
    known = [np.asarray(x) for x in arrays]
    signature = [tf.TensorSpec((*[None] * (x.ndim - 1), *x.shape[-1:]), x.dtype) for x in known]
    return tf.function(function, input_signature=signature, autograph=False)


def _flat(outputs):
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def _size(x):
    size = 1
    for dimension in ops.shape(x):
        size = size * dimension
    return size
