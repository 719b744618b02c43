"""Chains of elementwise operations that a backend may run as one pass over memory.

Between two matrix products BERT adds a bias, drops out, adds, normalizes or takes a gelu; run one by one, each of
those reads and writes whole tensors, and their gradients do so again. A function marked `fusible` is written as plain
keras.ops. JAX, and TensorFlow under `jit_compile`, fuse it as they fuse everything. For TensorFlow's ordinary graphs a
runner may be installed (`use_runner`) that compiles the chain alone and leaves the matrix products where they are.
"""

import contextlib
import contextvars
import functools

_installed = {"runner": None}  # the process's: training/xla.py sets it as it is imported, once
# A thread's own: what one thread traces must not change as another enters a scope.
_enabled = contextvars.ContextVar("enabled", default=True)
_any_length = contextvars.ContextVar("any_length", default=False)


def fusible(function):
    """Marks a chain: a function of tensors (or None), with settings as keywords, that returns one tensor.

    The chain's callers pass `fuse`, which says that its tensors are large and its shapes stay the same from call to
    call, as in training: a runner compiles once for each shape, and computes the chain again in the backward pass
    instead of keeping what lies between.

    >>> @fusible
    ... def scaled_sum(x, y, *, scale):
    ...     return (x + y) * scale
    >>> scaled_sum(1.0, 2.0, scale=10.0, fuse=False)
    30.0
    """

    @functools.wraps(function)
    def chain(*tensors, fuse, **settings):
        runner = _installed["runner"] if fuse and _enabled.get() else None
        return runner(function, tensors, settings) if runner else function(*tensors, **settings)

    return chain


def use_runner(runner):
    """Installs what runs the process's fusible chains.

    Args:
        runner: (function, tensors, settings) -> tensor, or None for nothing.

    Returns:
        The one before.
    """
    before, _installed["runner"] = _installed["runner"], runner
    return before


def unfused():
    """Runs this thread's chains as plain operations inside, for graphs that go to other programs."""
    return _setting(_enabled, False)


def any_length():
    """Fuses chains inside though their lengths are unknown as the graph is made: each new one is compiled as it comes.

    That takes seconds a length, so it pays where each comes for some tens of steps. It holds for what this thread
    traces: not for the threads in which tf.distribute traces for several replicas, whose chains stay plain.
    """
    return _setting(_any_length, True)


def lengths_may_vary():
    """Says whether chains of unknown length are to be fused."""
    return _any_length.get()


@contextlib.contextmanager
def _setting(variable, value):
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
