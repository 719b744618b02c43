"""Requests that TensorFlow Serving runs while it loads a model, so that the first real one is not slow.

TensorFlow prepares much of a graph when it first runs. A SavedModel's assets.extra/tf_serving_warmup_requests holds
TFRecords of the messages below, written here without the package tensorflow-serving-api. Sources: tensorflow/serving,
apis/{prediction_log,predict,model}.proto for the fields, servables/tensorflow/saved_model_warmup_util.{h,cc} and
predict_util.cc for what the server does with them.

    PredictionLog.predict_log = 6: PredictLog.request = 1: PredictRequest
    PredictRequest.model_spec = 1: ModelSpec.signature_name = 3
    PredictRequest.inputs = 2: map<string, TensorProto>, an entry's key = 1 and value = 2
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_bert.data.framing import frame
from keras_bert.data.wire import message_head
from keras_bert.errors import UserError
from keras_bert.outputs import atomic_path

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
SIGNATURE = "serving_default"
MAX_REQUESTS = 1000  # saved_model_warmup_util.h; the model with one more is not loaded


def write_warmup(folder, specs, examples):
    """Writes the warm-up requests of a SavedModel.

    A server that cannot answer one of them does not load the model, so names, types, shapes and numbers of rows are
    checked here. ModelSpec.name stays empty: nobody knows yet under which name the model will be served, and the server
    gives these requests straight to the model that it is loading, without looking one up by name. A server that makes
    batches itself (--enable_batching) refuses more rows than its max_batch_size here too.

    Args:
        folder: the SavedModel's directory.
        specs: {name: tf.TensorSpec} of the signature's inputs, the batch first in each.
        examples: 1 to 1000 of {name: values}, values being an array or nested lists of what the spec says: one request
            each.

    Returns:
        The path of the file, which appears whole or not at all.

    Raises:
        UserError: another number of examples, or one that the signature would refuse.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_warmup(folder, {"text": tf.TensorSpec((None,), tf.string)}, [{"text": ["A text."]}])
        ...     path.name, path.stat().st_size
        ('tf_serving_warmup_requests', 66)
    """
    if not 1 <= len(examples) <= MAX_REQUESTS:
        raise UserError(f"Warm-up takes 1 to {MAX_REQUESTS} examples, each a request. Received: {len(examples)}.")
    logs = [_prediction_log(specs, example, f"Warm-up example {i}") for i, example in enumerate(examples)]
    path = Path(folder, WARMUP_FILE)
    with atomic_path(path) as temporary:
        temporary.write_bytes(frame(np.frombuffer(b"".join(logs), np.uint8), np.array([len(log) for log in logs])))
    return path


def _prediction_log(specs, example, what):
    """Returns the bytes of a PredictionLog, or raises a UserError that begins with `what`."""
    if example.keys() != specs.keys():
        raise UserError(f"{what} must give the model's {', '.join(specs)}. Received: {', '.join(example)}.")
    tensors = {name: _tensor(spec, example[name], f"{what}: {name}") for name, spec in specs.items()}
    rows = {name: tensor.tensor_shape.dim[0].size for name, tensor in tensors.items()}
    if len(set(rows.values())) > 1:
        raise UserError(f"{what} must give as many rows for each input. Received: {rows}.")
    request = _field(1, _field(3, SIGNATURE.encode()))
    for name, tensor in tensors.items():
        request += _field(2, _field(1, name.encode()) + _field(2, tensor.SerializeToString()))
    return _field(6, _field(1, request))


def _tensor(spec, values, what):
    """Returns a TensorProto of the values, whose rank is not 0, or raises a UserError that begins with `what`."""
    try:
        tensor = tf.make_tensor_proto(values, spec.dtype)
        fits = spec.shape.is_compatible_with(tf.TensorShape(tensor.tensor_shape))
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise UserError(f"{what} must be {spec.dtype.name} of shape {spec.shape}. Received: {values!r:.80}.")
    return tensor


def _field(number, value):
    """Returns a field of a message whose value is a message, a string or bytes."""
    return message_head(len(value), number) + value
