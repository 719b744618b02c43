"""Activations, initializer and LayerNorm against the formulas of the papers."""

import math

import keras
import numpy as np
import pytest

from keras_bert.layers.common import ACTIVATIONS, dense, layer_norm, truncated_normal
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


@pytest.mark.parametrize(("name", "expected"), [("relu", [0, 2]), ("tanh", np.tanh([-1, 2])), ("linear", [-1, 2])])
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
