"""How fast a run is, in examples, in tokens, and as a share of what its devices can do.

The share is the one that Chowdhery et al. 2022 ("PaLM", appendix B) call model FLOPs utilisation: the matrix products
that a step needs, by costs.py, over those that the same devices do in the same time when they do nothing else.
"""

import time

import keras
import numpy as np
from keras import ops

from keras_bert.training.costs import count_flops

SIZES = (1024, 2048, 4096, 8192)  # rows of a square matrix; of 8192 float32 has 256 MiB
PRODUCTS = 4  # one after the other in a call, so that the call itself does not count
TILE = 256  # rows of the random numbers that a matrix repeats


def measured_peak(dtype="float32", *, strategy=None, seconds=0.3, clock=time.perf_counter):
    """Measures how fast the devices multiply matrices, the way they do in training.

    Matrices grow until a call is long enough to be timed; the best of several calls counts. On two CPU cores that
    takes about a second. The run's random states stay as they are.

    Args:
        dtype: "float32", "mixed_bfloat16" or any other of Keras; its compute dtype is what is multiplied.
        strategy: what `keras_bert.strategy` gave: all of its replicas compute at the same time. One device if None.
        seconds: how long to measure.
        clock: gives the time in seconds.

    Returns:
        Floating-point operations a second, of all replicas together.
    """
    dtype = keras.dtype_policies.get(dtype).compute_dtype
    make = _on_jax if keras.backend.backend() == "jax" else _on_tensorflow
    for size in SIZES:
        call = make(_matrix(size), dtype, strategy)
        call()  # compiles
        best = total = _timed(call, clock)
        if best >= seconds / 10:
            break
    while total < seconds:
        took = _timed(call, clock)
        best, total = min(best, took), total + took
    replicas = strategy.num_replicas_in_sync if strategy else 1
    return replicas * PRODUCTS * 2 * size**3 / best


def step_flops(config, step, **made_for):
    """Returns the floating-point operations of a training step that `throughput` takes.

    Those of padding count: the device does them. What rematerialization computes once more does not.

    Args:
        config: a Config.
        step: a costs.Step, with the batch's size over all devices.
        **made_for: what the model is trained for, see `costs.count_flops`.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.training.costs import Step
        >>> step = Step(train_batch_size=16, max_seq_length=128)
        >>> f"{step_flops(Config.from_name('small'), step) / 1e9:.0f} GFLOP"
        '163 GFLOP'
    """
    return count_flops(config, step, **made_for).training


def throughput(steps, *, examples, tokens, seconds, flops=None, peak=None):
    """Returns the rates of some steps.

    Args:
        steps: how many.
        examples: of all the steps together.
        tokens: likewise, padding left out.
        seconds: the time that they took.
        flops: of one step, see `step_flops`.
        peak: see `measured_peak`; without it, or without `flops`, there is no utilisation.

    Returns:
        {"examples_per_second", "tokens_per_second", "utilisation"}; the last one is 1 where the devices do nothing but
        multiply matrices, as fast as they can.

    Example:
        >>> throughput(10, examples=320, tokens=30_000, seconds=2.0, flops=1e12, peak=2e13)
        {'examples_per_second': 160.0, 'tokens_per_second': 15000.0, 'utilisation': 0.25}
    """
    rates = {"examples_per_second": examples / seconds, "tokens_per_second": tokens / seconds}
    return rates | ({"utilisation": steps * flops / seconds / peak} if flops and peak else {})


def _matrix(size):
    """Returns float32 (size, size) whose powers neither vanish nor overflow."""
    tile = min(size, TILE)
    random = np.random.default_rng(0).standard_normal((tile, tile), np.float32)
    return np.tile(random / (size / tile * tile**0.5), (size // tile, size // tile))


def _power(matrix):
    result = matrix
    for _ in range(PRODUCTS):
        result = ops.matmul(result, matrix)
    return result


def _timed(call, clock):
    begin = clock()
    call()
    return clock() - begin


def _on_tensorflow(matrix, dtype, strategy):
    """Returns a function that computes PRODUCTS products on every replica, and waits for them."""
    import tensorflow as tf

    strategy = tf.distribute.get_strategy() if strategy is None else strategy
    with strategy.scope():
        variable = tf.Variable(tf.cast(matrix, dtype), trainable=False)

    @tf.function
    def powers():
        return strategy.run(lambda: _power(variable.read_value()))

    def call():
        for result in strategy.experimental_local_results(powers()):
            result[0, 0].numpy()  # here: inside the function XLA would compute no more than this

    return call


def _on_jax(matrix, dtype, strategy):
    """Likewise; on JAX the replicas are the first devices of this process."""
    import jax

    replicas = strategy.num_replicas_in_sync // jax.process_count() if strategy else 1
    power = jax.jit(_power)
    matrices = [jax.device_put(ops.cast(matrix, dtype), device) for device in jax.local_devices()[:replicas]]
    return lambda: jax.block_until_ready([power(matrix) for matrix in matrices])
