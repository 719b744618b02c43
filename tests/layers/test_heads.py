"""Pooler, gathering of positions, masked-LM transform and output bias."""

import keras
import numpy as np
import pytest

from keras_bert.layers import (
    FirstTokenPooler,
    FoldChoices,
    MaskedLMTransform,
    OutputBias,
    TransformerBlock,
    UnfoldChoices,
)
from tests import reference_bert


def test_the_pooler_reads_the_first_token_alone():
    layer = FirstTokenPooler()
    layer.build((None, None, 2))
    layer.dense.set_weights([np.array([[1.0, 0.0], [2.0, 1.0]]), np.array([0.5, -1.0])])
    x = np.array([[[0.1, 0.2], [9.0, 9.0]]])
    # (0.1, 0.2) -> (0.1 * 1 + 0.2 * 2 + 0.5, 0.2 * 1 - 1)
    np.testing.assert_allclose(layer(x), np.tanh([[1.0, -0.8]]), atol=1e-6)


def test_the_transform_is_dense_gelu_and_norm():
    rng = np.random.default_rng(0)
    arrays = reference_bert.random_arrays(reference_bert.CONFIG, rng=rng)
    scope = "cls/predictions/transform"
    layer = MaskedLMTransform()
    x = rng.normal(size=(2, 3, 8))
    layer.build((None, None, 8))
    layer.dense.set_weights([arrays[f"{scope}/dense/kernel"], arrays[f"{scope}/dense/bias"]])
    layer.layer_norm.set_weights([arrays[f"{scope}/LayerNorm/gamma"], arrays[f"{scope}/LayerNorm/beta"]])
    expected = reference_bert.gelu(reference_bert.dense(x, arrays, f"{scope}/dense"))
    expected = reference_bert.layer_norm(expected, arrays, scope)
    np.testing.assert_allclose(layer(x.astype(np.float32)), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_logits_leave_as_float32_with_an_exact_bias(dtype):
    layer = OutputBias(dtype=dtype)
    layer.build((None, None, 2))
    layer.bias.assign([1.0001, -2.0])  # 1.0001 is 1 in bfloat16
    outputs = layer(np.array([[[0.5, 3.0]]], np.float32))
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    np.testing.assert_allclose(outputs, [[[1.5001, 1.0]]], atol=1e-6)


def test_the_layers_come_back_from_their_configs():
    for layer in (
        FirstTokenPooler(initializer_range=0.5, name="mine"),
        MaskedLMTransform(activation="relu", initializer_range=0.5, layer_norm_eps=1e-5, name="mine"),
        OutputBias(name="mine", dtype="mixed_bfloat16"),
        FoldChoices(name="mine"),
        UnfoldChoices(name="mine"),
    ):
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_choices_are_folded_into_the_batch_and_back():
    x = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    folded = FoldChoices()(x)
    np.testing.assert_array_equal(folded, x.reshape(6, 4))
    scores = np.arange(6, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(UnfoldChoices()(scores, x), [[0, 1, 2], [3, 4, 5]])
    symbolic = keras.Input((None, None), dtype="int32")
    folded = FoldChoices()(symbolic)
    assert (folded.shape, folded.dtype) == ((None, None), "int32")
    assert UnfoldChoices()(keras.Input((1,)), symbolic).shape == (None, None)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "bfloat16"])
def test_shapes_and_dtypes_are_known_before_anything_is_computed(dtype):
    hidden, ids = np.ones((2, 5, 8), np.float32), np.ones((2, 5), np.int32)
    block = TransformerBlock(2, 16, dtype=dtype)
    calls = [
        (block, (hidden, ids), {}),
        (block, (hidden, ids, ids[:, :3]), {}),
        (block, (hidden, ids), {"return_scores": True}),
        (FirstTokenPooler(dtype=dtype), (hidden,), {}),
        (MaskedLMTransform(units=4, dtype=dtype), (hidden,), {}),
        (MaskedLMTransform(dtype=dtype), (hidden,), {}),
        (OutputBias(dtype=dtype), (hidden,), {}),
    ]
    for layer, given, options in calls:
        symbolic = [keras.Input(each.shape[1:], batch_size=2, dtype=each.dtype.name) for each in given]
        told, found = layer(*symbolic, **options), layer(*given, **options)
        pairs = zip(keras.tree.flatten(told), keras.tree.flatten(found), strict=True)
        for one, other in pairs:
            assert (tuple(one.shape), one.dtype) == (tuple(other.shape), keras.backend.standardize_dtype(other.dtype))
