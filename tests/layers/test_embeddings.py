"""Token, segment and position embeddings, and the tied output weights."""

import keras
import numpy as np
import pytest

from keras_bert.layers import EmbeddingPostprocessor, TokenEmbedding


def test_ids_look_rows_up_and_hidden_states_meet_the_same_rows():
    layer = TokenEmbedding(4, 3)
    layer.build(None)
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    layer.embeddings.assign(table)
    np.testing.assert_array_equal(layer(np.array([[3, 0]])), [[[9, 10, 11], [0, 1, 2]]])
    # (1, 0, 2) . rows 0..3
    np.testing.assert_array_equal(layer(np.array([[[1.0, 0.0, 2.0]]]), reverse=True), [[[4, 13, 22, 31]]])
    assert len(layer.weights) == 1


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_symbolic_shapes_and_dtypes_are_the_real_ones(dtype):
    layer = TokenEmbedding(7, 3, dtype=dtype)
    for inputs, reverse in ((np.array([[1, 2]]), False), (np.ones((2, 4, 3), np.float32), True)):
        real = layer(inputs, reverse=reverse)
        symbolic = keras.Input(batch_shape=inputs.shape, dtype=str(inputs.dtype))
        spec = layer.compute_output_spec(symbolic, reverse=reverse)
        assert tuple(spec.shape) == tuple(real.shape)
        assert spec.dtype == keras.backend.standardize_dtype(real.dtype)


def postprocessor(positions, segments, **options):
    layer = EmbeddingPostprocessor(len(positions), len(segments), **options)
    layer.build((None, None, len(positions[0])))
    layer.position_embeddings.assign(positions)
    layer.token_type_embeddings.assign(segments)
    return layer


def test_the_sum_is_normalised_by_hand():
    layer = postprocessor([[0.0, 0.0], [0.0, 4.0], [9.0, 9.0]], [[0.0, 0.0], [1.0, 0.0]])
    layer.layer_norm.gamma.assign([1.0, 2.0])
    layer.layer_norm.beta.assign([0.0, 5.0])
    # token + segment + position: (3, 1) + (0, 0) + (0, 0) = (3, 1); (0, 0) + (1, 0) + (0, 4) = (1, 4).
    # Normalised over two numbers, the larger is 1 and the smaller -1; then times gamma plus beta.
    outputs = layer(np.array([[[3.0, 1.0], [0.0, 0.0]]]), np.array([[0, 1]]))
    np.testing.assert_allclose(outputs, [[[1, -2 + 5], [-1, 2 + 5]]], atol=1e-5)


def test_a_sequence_may_be_as_long_as_there_are_positions_and_no_longer():
    layer = EmbeddingPostprocessor(16, 2)
    assert layer(np.zeros((1, 16, 8)), np.zeros((1, 16), int)).shape == (1, 16, 8)
    with pytest.raises(ValueError, match=r"The sequence has 17 tokens, but .* max_position_embeddings=16"):
        layer(np.zeros((1, 17, 8)), np.zeros((1, 17), int))


def test_dropout_is_on_in_training_alone():
    layer = EmbeddingPostprocessor(4, 2, dropout=0.5)
    x, segments = np.random.default_rng(0).normal(size=(2, 4, 64)).astype(np.float32), np.zeros((2, 4), int)
    np.testing.assert_array_equal(layer(x, segments), layer(x, segments, training=False))
    share = (np.asarray(layer(x, segments, training=True)) == 0).mean()
    assert 0.4 < share < 0.6


def test_the_layers_come_back_from_their_configs():
    for layer in (
        TokenEmbedding(7, 3, initializer_range=0.5, name="mine"),
        EmbeddingPostprocessor(5, 3, dropout=0.2, initializer_range=0.5, layer_norm_eps=1e-5, name="mine"),
    ):
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        assert again.initializer_range == 0.5
