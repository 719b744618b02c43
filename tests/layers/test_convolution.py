"""The convolution beside the first block: against loops over tokens, with padding and several texts in a row."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.layers.convolution import ConvolutionLayer
from tests.gradients import WAYS, gradients, run

B, S, H = 3, 6, 8
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [0, 1, 0, 1, 1, 1]])
TEXTS = np.array([[1, 1, 2, 2, 2, 3], [1, 1, 1, 2, 0, 0], [0, 1, 0, 1, 2, 2]])


def layer(kernel_size=3, **options):
    options = {"dropout": 0.0, **options}
    made = ConvolutionLayer(kernel_size, **options)
    made.build((None, None, H))
    rng = np.random.default_rng(1)
    made.set_weights([rng.normal(size=weight.shape) for weight in made.weights])
    return made


def by_loops(made, x, residual, mask, texts=None, activation=np.tanh):
    kernel, bias, gamma, beta = made.get_weights()
    width, half = H // made.groups, made.kernel_size // 2
    outputs = np.zeros(x.shape)
    for b, i in np.argwhere(mask == 1):
        mixed = bias.copy()
        for o in range(-half, half + 1):
            j = i + o
            if not 0 <= j < x.shape[1] or not mask[b, j] or (texts is not None and texts[b, i] != texts[b, j]):
                continue
            for unit in range(H):
                first = unit // width * width
                mixed[unit] += x[b, j, first : first + width] @ kernel[o + half, :, unit]
        y = activation(mixed) + residual[b, i]
        outputs[b, i] = (y - y.mean()) / np.sqrt(y.var() + made.layer_norm_eps) * gamma + beta
    return outputs


@pytest.fixture
def given():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(B, S, H)).astype(np.float32) for _ in range(2)]


@pytest.mark.parametrize(("kernel_size", "groups"), [(3, 1), (3, 2), (1, 1), (5, 4), (13, 1)])
def test_each_token_is_mixed_with_its_neighbours(given, kernel_size, groups):
    made = layer(kernel_size, groups=groups)
    np.testing.assert_allclose(made(*given, MASK), by_loops(made, *given, MASK), atol=1e-5)


def test_tokens_of_another_text_count_as_zeros(given):
    made = layer()
    np.testing.assert_allclose(made(*given, MASK, TEXTS), by_loops(made, *given, MASK, TEXTS), atol=1e-5)
    apart = np.abs(np.asarray(made(*given, MASK, TEXTS)) - np.asarray(made(*given, MASK))).max(axis=(0, 2))
    assert apart.min() < 1e-6 < apart.max()


@pytest.mark.parametrize(("kernel_size", "groups"), [(3, 1), (5, 2)])
def test_the_same_as_keras_convolution_where_all_is_real(given, kernel_size, groups):
    made = layer(kernel_size, groups=groups, activation="linear")
    convolution = keras.layers.Conv1D(H, kernel_size, padding="same", groups=groups)
    convolution.build((None, None, H))
    convolution.set_weights(made.get_weights()[:2])
    expected = made.layer_norm(convolution(given[0]) + given[1])
    np.testing.assert_allclose(made(*given, np.ones((B, S), int)), expected, atol=1e-5)


def test_padding_is_zero_and_its_content_changes_nothing(given):
    made = layer()
    other = given[0].copy()
    other[MASK == 0] = 100.0
    outputs = np.asarray(made(*given, MASK))
    assert not outputs[MASK == 0].any()
    np.testing.assert_array_equal(made(other, given[1], MASK), outputs)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_values_and_gradients_in_every_way(given, groups, way):
    made = layer(groups=groups)
    plain = layer(groups=groups)

    def ours(x, residual, mask, texts):
        return made(x, residual, mask, texts)

    def kernels(x, residual, mask, texts):
        """The same by a product for each offset and group."""
        total, width = 0.0, H // groups
        for place, offset in enumerate((-1, 0, 1)):
            index = np.clip(np.arange(S) + offset, 0, S - 1)
            inside = ((np.arange(S) + offset >= 0) & (np.arange(S) + offset < S)).astype(np.float32)
            counts = inside * (TEXTS[:, index] == TEXTS) * MASK
            neighbours = ops.take(x, index, axis=1) * ops.cast(counts, "float32")[..., None]
            parts = [
                neighbours[..., g * width : (g + 1) * width] @ plain.kernel[place][:, g * width : (g + 1) * width]
                for g in range(groups)
            ]
            total = total + ops.concatenate(parts, axis=-1)
        real = ops.cast(MASK, "float32")[..., None]
        return plain.layer_norm(ops.tanh((total + plain.bias) * real) + residual) * real

    arrays = (*given, MASK, TEXTS)
    expected = by_loops(made, *given, MASK, TEXTS)
    np.testing.assert_allclose(run(ours, *arrays, way=way)[0], expected, atol=1e-5)
    for mine, other in zip(gradients(ours, *arrays, way=way), gradients(kernels, *arrays), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_dropout_is_on_in_training_alone(given):
    made = layer(dropout=0.5)
    np.testing.assert_array_equal(made(*given, MASK), made(*given, MASK, training=False))
    assert np.abs(np.asarray(made(*given, MASK, training=True)) - np.asarray(made(*given, MASK))).max() > 0


def test_bfloat16_is_close(given):
    exact, rough = layer(), layer(dtype="mixed_bfloat16")
    outputs = rough(*given, MASK)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    np.testing.assert_allclose(ops.cast(outputs, "float32"), exact(*given, MASK), atol=0.1)


def test_a_functional_model_of_unknown_length(given):
    made = layer()
    inputs = [keras.Input((None, H)), keras.Input((None, H)), keras.Input((None,), dtype="int32")]
    model = keras.Model(inputs, made(*inputs))
    assert model.output.shape == (None, None, H)
    for length in (1, 2, S):
        cut = [x[:, :length] for x in (*given, MASK)]
        np.testing.assert_allclose(model(cut), by_loops(made, *cut), atol=1e-5)


@pytest.mark.parametrize("kernel_size", [0, 2, -1])
def test_an_even_kernel_is_refused(kernel_size):
    with pytest.raises(ValueError, match=f"kernel_size must be an odd number. Received: {kernel_size}"):
        ConvolutionLayer(kernel_size)


def test_groups_that_do_not_divide_the_hidden_size_are_refused():
    with pytest.raises(ValueError, match=r"hidden_size must be a multiple of groups\. Received: 8 and 3\."):
        layer(groups=3)


def test_the_layer_comes_back_from_its_config():
    made = layer(5, groups=2, activation="relu", dropout=0.3, initializer_range=0.5, layer_norm_eps=1e-5, name="mine")
    again = ConvolutionLayer.from_config(made.get_config())
    assert again.get_config() == made.get_config()
    assert (again.kernel_size, again.groups, again.activation, again.dropout) == (5, 2, "relu", 0.3)
