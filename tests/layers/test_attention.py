"""SelfAttention on a case worked by hand, and against plain NumPy."""

import math

import keras
import numpy as np
import pytest

from keras_bert.layers import SelfAttention
from tests.reference_bert import attention as reference_attention


def attention(hidden_size, num_heads, weights=None, **options):
    """Makes a built layer; `weights` are {"query": (kernel, bias), ...}."""
    layer = SelfAttention(num_heads, **options)
    layer.build((None, None, hidden_size))
    for name, (kernel, bias) in (weights or {}).items():
        getattr(layer, name).set_weights([np.array(kernel, np.float32), np.array(bias, np.float32)])
    return layer


def test_a_case_worked_by_hand():
    # One head of size 2; query = x, key = 2x, value = x + (0, 1); tokens (1, 0) and (0, 1).
    same, twice, none = np.eye(2), 2 * np.eye(2), np.zeros(2)
    layer = attention(2, 1, {"query": (same, none), "key": (twice, none), "value": (same, [0, 1])}, dropout=0.0)
    outputs, scores = layer(np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.ones((1, 2), int), return_scores=True)
    # scores are 2 / sqrt(2) where query and key are the same token and 0 elsewhere
    p = math.exp(math.sqrt(2)) / (math.exp(math.sqrt(2)) + 1)
    np.testing.assert_allclose(scores, [[[[p, 1 - p], [1 - p, p]]]], atol=1e-6)
    # values are (1, 1) and (0, 2)
    np.testing.assert_allclose(outputs, [[[p, p + 2 * (1 - p)], [1 - p, (1 - p) + 2 * p]]], atol=1e-6)


@pytest.mark.parametrize("num_heads", [1, 2, 4])
def test_heads_are_slices_of_the_hidden_size(num_heads):
    rng = np.random.default_rng(num_heads)
    weights = {name: (rng.normal(size=(8, 8)), rng.normal(size=8)) for name in ("query", "key", "value")}
    x = rng.normal(size=(3, 5, 8))
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    arrays = {f"self/{name}/kernel": kernel for name, (kernel, _) in weights.items()}
    arrays |= {f"self/{name}/bias": bias for name, (_, bias) in weights.items()}
    outputs, scores = attention(8, num_heads, weights)(x.astype(np.float32), mask, return_scores=True)
    expected, expected_scores = reference_attention(x, mask, arrays, "self", num_heads)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    np.testing.assert_allclose(np.asarray(scores).sum(-1), 1, atol=1e-6)


def test_padding_gets_no_weight_and_changes_nothing():
    rng = np.random.default_rng(0)
    layer = attention(8, 2)
    x = rng.normal(size=(2, 6, 8)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 0, 0]] * 2)
    outputs, scores = layer(x, mask, return_scores=True)
    assert not np.asarray(scores)[..., 4:].any()
    other = x.copy()
    other[:, 4:] = 100 * rng.normal(size=(2, 2, 8))
    np.testing.assert_array_equal(np.asarray(layer(other, mask))[:, :4], np.asarray(outputs)[:, :4])
    np.testing.assert_allclose(np.asarray(layer(x[:, :4], mask[:, :4])), np.asarray(outputs)[:, :4], atol=1e-6)


def test_a_row_of_padding_alone_attends_evenly_and_stays_finite():
    x = np.random.default_rng(0).normal(size=(1, 4, 8)).astype(np.float32)
    outputs, scores = attention(8, 2)(x, np.zeros((1, 4), int), return_scores=True)
    assert np.isfinite(outputs).all()
    np.testing.assert_allclose(np.asarray(scores).sum(-1), 1, atol=1e-6)


def test_dropout_is_on_in_training_alone():
    layer = attention(8, 2, dropout=0.5)
    x, mask = np.random.default_rng(0).normal(size=(2, 4, 8)).astype(np.float32), np.ones((2, 4), int)
    np.testing.assert_array_equal(layer(x, mask), layer(x, mask, training=False))
    assert np.abs(np.asarray(layer(x, mask, training=True)) - np.asarray(layer(x, mask))).max() > 0


def test_bfloat16_scores_are_float32_and_close():
    rng = np.random.default_rng(0)
    x, mask = rng.normal(size=(2, 6, 16)).astype(np.float32), np.array([[1] * 6, [1] * 3 + [0] * 3])
    exact, rough = attention(16, 4), attention(16, 4, dtype="mixed_bfloat16")
    rough.set_weights(exact.get_weights())
    outputs, scores = rough(x, mask, return_scores=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    np.testing.assert_allclose(keras.ops.cast(outputs, "float32"), exact(x, mask), atol=2e-2)
    assert not np.asarray(scores)[1, ..., 3:].any()


def test_heads_that_do_not_divide_the_hidden_size_are_refused():
    with pytest.raises(ValueError, match=r"hidden_size must be a multiple of num_heads\. Received: 10 and 4\."):
        attention(10, 4)


def test_the_layer_comes_back_from_its_config():
    layer = attention(8, 2, dropout=0.3, initializer_range=0.5, name="mine", dtype="mixed_bfloat16")
    again = SelfAttention.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.num_heads, again.dropout, again.initializer_range, again.name) == (2, 0.3, 0.5, "mine")
