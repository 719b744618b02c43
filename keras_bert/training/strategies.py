"""Which devices train: tf.distribute strategies by name."""

import json
import os

from keras_bert.errors import UserError

NAMES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


def strategy(name="auto"):
    """Returns a tf.distribute strategy.

    Args:
        name: "auto" takes a TPU if there is one, several workers if TF_CONFIG names them, several GPUs
            if there are, and else one device. The others ask for one kind.

    Raises:
        UserError: an unknown name, no TPU where one was asked for, a TF_CONFIG that is not JSON, or several
            workers after TensorFlow has started.
    """
    import tensorflow as tf

    if name not in NAMES:
        raise UserError(f"No strategy is called {name!r}; choose one of {', '.join(NAMES)}.")
    if name == "auto":
        name = _best(tf)
    if name == "tpu":
        return _tpu(tf)
    if name == "multi_worker":
        return _multi_worker(tf)
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()  # the default strategy: one device, and no cost


def _best(tf):
    if any(key in os.environ for key in ("TPU_NAME", "COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE")):
        return "tpu"
    if "worker" in _cluster():
        return "multi_worker"
    return "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one_device"


def _cluster():
    """Returns the cluster that TF_CONFIG describes, {job: [address, ...]}, or {}."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        return dict(json.loads(text).get("cluster", {}))
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"TF_CONFIG is not the JSON of a cluster. Received: {text[:80]!r}.") from error


def _multi_worker(tf):
    _cluster()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:  # "Collective ops must be configured at program startup"
        raise UserError(f"Call strategy() before anything else uses TensorFlow ({error}).") from error


def _tpu(tf):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(
            f"No TPU answers ({str(error).splitlines()[0]}); choose a TPU runtime, or use --strategy one_device."
        ) from error
