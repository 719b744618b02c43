"""Windows, blocks and global tokens as ONNX and LiteRT compute them, of a length unknown as they are written."""

import numpy as np
import pytest

from keras_bert.layers.block_sparse import block_sparse_attention, counted_attention, random_plans
from keras_bert.layers.global_tokens import banded_global_attention, global_local_attention, global_slots, in_slots
from keras_bert.layers.patterns import banded_attention, local_attention
from tests.gradients import needs_tensorflow
from tests.layers.test_patterns import SETTINGS
from tests.naive_attention import random_heads, random_mask

pytestmark = [pytest.mark.nightly, needs_tensorflow]
LENGTHS = (1, 9, 331)  # in one block, and cut
BLOCKS = {"block_size": 4, "plan": random_plans(2, 400, 4, 2, 0, True)}  # in full up to 36 tokens


def by_slots(query, key, value, mask, global_mask):
    hot = global_slots(global_mask, mask, 3)
    tensors = (query, key, value, in_slots(hot, value), query, key)
    return global_local_attention(*tensors, mask, hot, window=3, **SETTINGS)


# Functions of query, key, value, the mask, and an int tensor: a global mask, or as many positions as there are tokens.
FORMS = {
    "local": lambda *x: local_attention(*x[:4], window=3, sequence_ids=x[4], **SETTINGS),
    "banded": lambda *x: banded_attention(*x[:4], window=3, positions=x[4], sequence_ids=x[4], **SETTINGS),
    "slots": by_slots,
    "banded_global": lambda q, k, v, mask, more: banded_global_attention(
        q, k, v, v, q, k, mask, more, window=3, **SETTINGS
    ),
    "blocks": lambda *x: block_sparse_attention(*x[:4], **BLOCKS, **SETTINGS),
    "counted": lambda *x: counted_attention(*x[:4], positions=x[4], **BLOCKS, **SETTINGS),
}


@pytest.fixture(scope="module", params=FORMS)
def function(request):
    import tensorflow as tf

    spec = tf.TensorSpec((None, None, 2, 4))
    named = [spec, spec, spec, *(tf.TensorSpec((None, None), "int32"),) * 2]
    named = [tf.TensorSpec(each.shape, each.dtype, name=name) for each, name in zip(named, "abcde", strict=True)]
    return tf.function(FORMS[request.param], input_signature=named, autograph=False)


def feeds():
    """Yields the inputs of each length."""
    for length in LENGTHS:
        mask, more = random_mask(length), np.zeros((3, length), "int32")
        more[:, [0, length // 2]] = min(1, length - 1)
        yield dict(zip("abcde", (*random_heads(length), mask, more), strict=True))


def assert_equal(found, function, feed):
    real = feed["d"] > 0
    np.testing.assert_allclose(found[real], np.asarray(function(*feed.values()))[real], atol=2e-5)


def test_onnx(function, tmp_path):
    tf2onnx = pytest.importorskip("tf2onnx", reason="tf2onnx (the onnx extra) is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime (the onnx extra) is not installed")
    path = str(tmp_path / "model.onnx")
    tf2onnx.convert.from_function(function, list(function.input_signature), opset=18, output_path=path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}
    for feed in feeds():
        found = session.run(None, {name: each for name, each in feed.items() if name in names})[0]
        assert_equal(found, function, feed)


def test_litert(function):
    import tensorflow as tf

    reason = "ai-edge-litert (the litert extra) is not installed"
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason=reason).Interpreter
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    model = converter.convert()
    for feed in feeds():
        run = interpreter(model_content=model).get_signature_runner("serving_default")
        names = run.get_input_details()
        found = run(**{name: each for name, each in feed.items() if name in names})
        assert_equal(next(iter(found.values())), function, feed)
