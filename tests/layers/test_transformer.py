"""A whole block against plain NumPy."""

import keras
import numpy as np
import pytest

from keras_bert.layers import TransformerBlock
from tests import reference_bert

SCOPE = "bert/encoder/layer_0"
ACTIVATIONS = {"gelu_tanh": reference_bert.gelu, "gelu_erf": reference_bert.gelu_erf, "relu": lambda x: x * (x > 0)}


@pytest.fixture
def arrays():
    return reference_bert.random_arrays(reference_bert.CONFIG, rng=np.random.default_rng(0))


def block(arrays, **options):
    """Makes a block of 2 heads, width 8 and feed-forward width 16 that holds a checkpoint's first layer."""
    layer = TransformerBlock(2, 16, **{"dropout": 0.0, "attention_dropout": 0.0, **options})
    layer.build((None, None, 8))
    parts = {
        "attention/self/query": layer.attention.query,
        "attention/self/key": layer.attention.key,
        "attention/self/value": layer.attention.value,
        "attention/output/dense": layer.attention_output,
        "intermediate/dense": layer.intermediate,
        "output/dense": layer.block_output,
    }
    for name, part in parts.items():
        part.set_weights([arrays[f"{SCOPE}/{name}/kernel"], arrays[f"{SCOPE}/{name}/bias"]])
    for name, part in (("attention/output", layer.attention_norm), ("output", layer.output_norm)):
        part.set_weights([arrays[f"{SCOPE}/{name}/LayerNorm/gamma"], arrays[f"{SCOPE}/{name}/LayerNorm/beta"]])
    return layer


def reference(x, mask, arrays, activation):
    context, scores = reference_bert.attention(x, mask, arrays, f"{SCOPE}/attention/self", 2)
    attended = reference_bert.dense(context, arrays, f"{SCOPE}/attention/output/dense") + x
    attended = reference_bert.layer_norm(attended, arrays, f"{SCOPE}/attention/output")
    wide = activation(reference_bert.dense(attended, arrays, f"{SCOPE}/intermediate/dense"))
    outputs = reference_bert.dense(wide, arrays, f"{SCOPE}/output/dense") + attended
    return reference_bert.layer_norm(outputs, arrays, f"{SCOPE}/output"), scores


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_block_computes_what_the_paper_says(arrays, activation):
    x = np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32)
    mask = np.array([[1] * 5, [1, 1, 1, 0, 0]])
    outputs, scores = block(arrays, activation=activation)(x, mask, return_scores=True)
    expected, expected_scores = reference(x, mask, arrays, ACTIVATIONS[activation])
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    np.testing.assert_array_equal(block(arrays, activation=activation)(x, mask), outputs)


def test_given_positions_alone_are_computed_and_equal_those_of_all(arrays):
    x = np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32)
    mask = np.array([[1] * 5, [1, 1, 1, 0, 0]])
    positions = np.array([[0, 4, 2, 2], [1, 0, 2, 0]])
    layer = block(arrays)
    outputs, scores = layer(x, mask, return_scores=True)
    at, scores_at = layer(x, mask, positions, return_scores=True)
    assert at.shape == (2, 4, 8) and scores_at.shape == (2, 2, 4, 5)
    for row in range(2):
        np.testing.assert_allclose(np.asarray(at)[row], np.asarray(outputs)[row, positions[row]], atol=1e-5)
        np.testing.assert_allclose(np.asarray(scores_at)[row], np.asarray(scores)[row][:, positions[row]], atol=1e-5)
    np.testing.assert_array_equal(layer(x, mask, positions.astype(np.int64)), at)


def test_bfloat16_stays_close(arrays):
    x = np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32)
    mask = np.ones((2, 5), int)
    small = {name: array if "LayerNorm" in name else array / 3 for name, array in arrays.items()}
    outputs = block(small, dtype="mixed_bfloat16")(x, mask)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    exact = np.asarray(block(small)(x, mask))
    np.testing.assert_allclose(keras.ops.cast(outputs, "float32"), exact, atol=2e-2 * np.abs(exact).max())


@pytest.mark.parametrize("rate", ["dropout", "attention_dropout"])
def test_both_dropouts_are_on_in_training_alone(arrays, rate):
    x, mask = np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32), np.ones((2, 5), int)
    layer = block(arrays, **{rate: 0.5})
    np.testing.assert_array_equal(layer(x, mask), block(arrays)(x, mask))
    assert np.abs(np.asarray(layer(x, mask, training=True)) - np.asarray(layer(x, mask))).max() > 1e-3


def test_the_block_comes_back_from_its_config():
    layer = TransformerBlock(
        4, 24, activation="relu", dropout=0.2, attention_dropout=0.3, initializer_range=0.5, layer_norm_eps=1e-5
    )
    again = TransformerBlock.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.attention.dropout == 0.3
    assert again.attention_norm.epsilon == 1e-5
