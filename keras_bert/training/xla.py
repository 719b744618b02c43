"""Runs the layers' fusible chains through XLA inside TensorFlow's ordinary graphs, on CPUs.

There XLA's matrix products are slower than oneDNN's (half as fast in bfloat16), while TensorFlow's own elementwise
operations write every intermediate result to memory. So each chain is compiled alone, and the products stay where
they are. Importing this module installs the runner; `layers/fusion.py` says what a chain is.
"""

import functools

import tensorflow as tf
from keras import ops

from keras_bert.layers.fusion import use_runner


def run_chain(function, tensors, settings):
    """Runs a chain compiled, inside a graph on a machine with CPUs alone; elsewhere as plain operations.

    Args:
        function: the chain.
        tensors: its positional arguments; some may be None.
        settings: its keyword arguments, which hash.

    Returns:
        Its tensor. The gradient keeps nothing but `tensors`, from which it computes the chain again.
    """
    if tf.executing_eagerly() or any(tf.config.list_logical_devices(kind) for kind in ("GPU", "TPU")):
        return function(*tensors, **settings)
    given = tuple(tensor is not None for tensor in tensors)
    chain = _compiled(function, given, tuple(sorted(settings.items())))
    return chain(*[ops.convert_to_tensor(tensor) for tensor in tensors if tensor is not None])


@functools.cache
def _compiled(function, given, settings):
    """Returns a chain as a function of the tensors that are given, its forward and backward pass compiled each."""

    def plain(*tensors):
        remaining = iter(tensors)
        return function(*[next(remaining) if is_given else None for is_given in given], **dict(settings))

    def gradients(upstream, *tensors):
        floats = [tensor for tensor in tensors if tensor.dtype.is_floating]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(floats)
            output = plain(*tensors)
        return tape.gradient(output, floats, upstream, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    forward, backward = (tf.function(each, jit_compile=True, autograph=False) for each in (plain, gradients))

    @tf.custom_gradient
    def chain(*tensors):
        def gradient(upstream):
            remaining = iter(backward(upstream, *tensors))
            return [next(remaining) if tensor.dtype.is_floating else None for tensor in tensors]

        return forward(*tensors), gradient

    return chain


use_runner(run_chain)
