"""Activations, initializer and LayerNorm against the formulas of the papers."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.layers.common import ACTIVATIONS, dense, dropout_layer, dropped, gated, layer_norm, truncated_normal
from keras_bert.layers.dropout import dropout_key
from tests.gradients import WAYS, gradients, run
from tests.reference_bert import gelu as gelu_tanh

POINTS = np.linspace(-6, 6, 97, dtype=np.float32)


def test_gelu_erf_is_x_times_the_normal_distribution_function():
    expected = [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in POINTS.tolist()]
    np.testing.assert_allclose(ACTIVATIONS["gelu_erf"](POINTS), expected, atol=1e-6)


def test_gelu_tanh_is_the_approximation_that_google_computes():
    np.testing.assert_allclose(ACTIVATIONS["gelu_tanh"](POINTS), gelu_tanh(POINTS.astype(float)), atol=1e-6)
    by_hand = 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * (1 + 0.044715)))
    assert float(ACTIVATIONS["gelu_tanh"](keras.ops.ones(()))) == pytest.approx(by_hand, abs=1e-6)


def test_the_two_gelus_are_not_the_same():
    apart = np.abs(np.asarray(ACTIVATIONS["gelu_erf"](POINTS)) - np.asarray(ACTIVATIONS["gelu_tanh"](POINTS))).max()
    assert 1e-4 < apart < 1e-3


PLAIN = [
    ("relu", [0, 2]),
    ("tanh", np.tanh([-1, 2])),
    ("linear", [-1, 2]),
    ("silu", [-1 / (1 + math.e), 2 / (1 + math.exp(-2))]),
]


@pytest.mark.parametrize(("name", "expected"), PLAIN)
def test_the_plain_activations(name, expected):
    np.testing.assert_allclose(ACTIVATIONS[name](keras.ops.array([-1.0, 2.0])), expected, atol=1e-6)


def test_layer_norm_has_the_epsilon_that_it_was_given():
    # variance 1e-12: with an epsilon of 1e-12 the result is 1 / sqrt(2), with Keras' 1e-3 it would be 0
    row = np.array([[1e-6, -1e-6]], np.float32)
    np.testing.assert_allclose(layer_norm(1e-12, name="norm")(row), [[0.5**0.5, -(0.5**0.5)]], rtol=1e-4)


def test_layer_norm_computes_in_float32_under_bfloat16():
    rows = np.random.default_rng(0).normal(3, 0.1, (4, 64)).astype(np.float32)
    rows = np.asarray(keras.ops.cast(keras.ops.cast(rows, "bfloat16"), "float32"))
    normal = (rows - rows.mean(-1, keepdims=True)) / rows.std(-1, keepdims=True)
    outputs = layer_norm(1e-12, name="norm", dtype="mixed_bfloat16")(rows)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(outputs, "float32"), normal, atol=2e-2)


def test_weights_start_from_a_truncated_normal_and_biases_from_zero():
    layer = dense(300, 0.02, name="dense")
    layer.build((None, 200))
    kernel = np.asarray(layer.kernel)
    assert np.abs(kernel).max() <= 0.04  # cut off at two standard deviations
    assert kernel.std() == pytest.approx(0.02 * 0.8796, rel=0.02)  # the standard deviation of what is left
    assert abs(kernel.mean()) < 5e-4
    assert not np.asarray(layer.bias).any()


def test_two_weights_do_not_start_alike():
    assert np.abs(truncated_normal(0.02)((4, 4)) - truncated_normal(0.02)((4, 4))).max() > 0


def gate(x, bias):
    return gated(x, bias, activation="gelu_erf", fuse=False)


def gate_by_parts(x, bias):
    """The same in operations whose gradients are the backend's."""
    first, second = ops.split(x + bias, 2, axis=-1)
    return ACTIVATIONS["gelu_erf"](first) * second


@pytest.fixture
def to_gate():
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 12)).astype(np.float32), rng.normal(size=12).astype(np.float32)


def test_the_first_half_is_activated_and_gates_the_second(to_gate):
    np.testing.assert_allclose(gated(np.array([[-1.0, 2.0, 5.0, 3.0]]), None, activation="relu", fuse=False), [[0, 6]])
    x, bias = to_gate
    y = (x + bias).astype(float)
    expected = [[a * 0.5 * (1 + math.erf(a / math.sqrt(2))) * b for a, b in zip(r[:6], r[6:], strict=True)] for r in y]
    np.testing.assert_allclose(gate(x, bias), expected, atol=1e-6)


def test_the_gradients_of_a_gate_are_the_backends(to_gate):
    for ours, expected in zip(gradients(gate, *to_gate), gradients(gate_by_parts, *to_gate), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_a_gate_takes_a_layers_bias(to_gate):
    x, bias = to_gate
    variable = keras.Variable(bias)
    np.testing.assert_array_equal(gate(ops.convert_to_tensor(x), variable), gate(x, bias))
    ours = gradients(lambda x: gate(x, variable), x)[0]
    np.testing.assert_allclose(ours, gradients(lambda x: gate_by_parts(x, bias), x)[0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_gate_in_every_way(to_gate, way):
    np.testing.assert_allclose(run(gate, *to_gate, way=way)[0], run(gate_by_parts, *to_gate)[0], atol=1e-6)
    for ours, expected in zip(gradients(gate, *to_gate, way=way), gradients(gate_by_parts, *to_gate), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_a_gate_of_bfloat16_is_computed_in_float32(to_gate):
    rough = [ops.cast(ops.convert_to_tensor(x), "bfloat16") for x in to_gate]
    exact = gate(*[ops.cast(x, "float32") for x in rough])
    outputs = gate(*rough)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    np.testing.assert_array_equal(ops.cast(outputs, "float32"), ops.cast(ops.cast(exact, "bfloat16"), "float32"))


def test_dropout_on_its_own_keeps_the_dtype_and_the_mean():
    x = ops.cast(ops.ones((40, 50)), "bfloat16")
    layer = dropout_layer(0.25)
    outputs = dropped(x, dropout_key(layer, True), rate=0.25, fuse=False)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    values = ops.convert_to_numpy(ops.cast(outputs, "float32"))
    assert set(values.flat) == {0.0, float(ops.cast(ops.cast(1 / 0.75, "bfloat16"), "float32"))}
    assert (values == 0).mean() == pytest.approx(0.25, abs=0.05)
    np.testing.assert_array_equal(dropped(values, dropout_key(layer, False), rate=0.25, fuse=False), values)
