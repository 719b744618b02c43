"""Which devices train: tf.distribute strategies by name, and JAX's devices by the same names."""

import json
import os

import keras

from keras_bert.errors import UserError
from keras_bert.training.preflight import check_tpu, tpu_address
from keras_bert.training.workers import multi_worker_strategy

NAMES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


def strategy(name="auto", *, tpu=None, zone=None, project=None, log=None):
    """Returns a tf.distribute strategy, or with KERAS_BACKEND=jax a JaxDevices, which has its `scope` too.

    Args:
        name: "auto" takes a TPU if there is one, several workers if TF_CONFIG names them, several GPUs
            if there are, and else one device; on JAX all devices. The others ask for one kind.
        tpu: name or address of a TPU elsewhere; None takes the one of this machine (Colab, a Cloud TPU VM), or
            the one that TPU_NAME names. Only for "auto" and "tpu".
        zone, project: those of `tpu`, where Google Cloud cannot tell them itself.
        log: called with a line while this worker waits for others.

    Raises:
        UserError: an unknown name, no TPU where one was asked for or packages that cannot drive it, a TF_CONFIG that
            is not JSON, several workers after TensorFlow has started, or on JAX several workers.
        LostWorkerError: another worker of TF_CONFIG does not come.
    """
    if name not in NAMES:
        raise UserError(f"No strategy is called {name!r}; choose one of {', '.join(NAMES)}.")
    if tpu and name not in ("auto", "tpu"):
        raise UserError(f"The TPU {tpu!r} is for the strategies auto and tpu. Received: {name}.")
    if keras.backend.backend() == "jax":
        return _jax_devices(name, tpu)

    import tensorflow as tf

    if name == "auto":
        name = _best(tf, tpu)
    if name == "tpu":
        return _tpu(tf, check_tpu(tpu), zone, project)
    if name == "multi_worker":
        _cluster()  # or what is wrong with it
        return multi_worker_strategy(log=log)
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()  # all GPUs, or else all logical CPU devices
    return tf.distribute.get_strategy()  # the default strategy: one device, and no cost


def _jax_devices(name, tpu):
    from keras_bert.training.jax_trainer import JaxDevices

    if tpu not in (None, "local"):
        raise UserError(f"JAX trains on the TPU of its own machine alone; leave out the TPU {tpu!r}, and start there.")
    if name == "tpu":
        check_tpu(backend="jax")
    return JaxDevices(name)


def _best(tf, tpu=None):
    if tpu_address(tpu):
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


def _tpu(tf, address, zone, project):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(address, zone=zone, project=project)
        return tf.distribute.TPUStrategy(resolver)
    except (ImportError, ValueError, RuntimeError, tf.errors.OpError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if not line.endswith((":", ">"))), "")  # not the heading of a stack trace
        raise UserError(
            f"No TPU answers as {address!r} ({reason}); end other programs that use it, restart the runtime, or use "
            "--strategy one_device."
        ) from error
