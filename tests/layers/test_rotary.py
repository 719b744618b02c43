"""Rotary positions against complex numbers, and their gradient against the backend's own."""

import numpy as np
import pytest
from keras import ops

from keras_bert.layers.rotary import rotated, rotation
from tests.gradients import WAYS, gradients, run

B, S, A, D = 2, 6, 3, 8


def turned(x, positions=None, theta=100.0):
    positions = ops.arange(ops.shape(x)[1]) if positions is None else positions
    return rotated(x, *rotation(positions, x.shape[-1], theta), fuse=False)


def by_complex_numbers(x, positions, theta):
    """Feature pairs (f, f + D / 2) as complex numbers, each times e to the i * place * frequency."""
    half = x.shape[-1] // 2
    angles = np.asarray(positions)[..., None] / theta ** (np.arange(half) / half)  # (S or B, S, D / 2)
    z = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)[..., None, :]
    return np.concatenate([z.real, z.imag], axis=-1)


def plain(x):
    """The same in operations whose gradients are the backend's."""
    cos, sin = (ops.split(each, 2, axis=-1)[1] for each in rotation(ops.arange(x.shape[1]), x.shape[-1], 100.0))
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(B, S, A, D)).astype(np.float32)


def test_a_case_worked_by_hand():
    # one pair of features (1, 0) at place 2: turned by 2 radians
    outputs = turned(ops.ones((1, 3, 1, 2)) * ops.array([1.0, 0.0]))
    np.testing.assert_allclose(outputs[0, 2, 0], [np.cos(2), np.sin(2)], atol=1e-6)


@pytest.mark.parametrize("theta", [100.0, 10000.0, 160000.0])
def test_pairs_are_turned_as_complex_numbers_are(x, theta):
    np.testing.assert_allclose(turned(x, theta=theta), by_complex_numbers(x, np.arange(S), theta), atol=1e-6)


def test_chosen_tokens_are_turned_by_their_own_places(x):
    positions = np.array([[0, 3, 3, 9, 1, 2], [5, 4, 3, 2, 1, 0]])
    expected = by_complex_numbers(x, positions, 100.0)
    np.testing.assert_allclose(turned(x, ops.convert_to_tensor(positions)), expected, atol=1e-6)


def test_products_depend_on_the_distance_alone(x):
    query, key = x[:, :1], x[:, 1:2]
    products = []
    for places in ((7, 3), (4, 0), (1004, 1000)):
        pair = [turned(each, ops.array([place])) for each, place in zip((query, key), places, strict=True)]
        products.append(np.sum(np.asarray(pair[0]) * np.asarray(pair[1]), axis=-1))
    np.testing.assert_allclose(products[1], products[0], atol=1e-5)
    np.testing.assert_allclose(products[2], products[0], atol=2e-4)


def test_gradients_are_the_backends(x):
    np.testing.assert_allclose(gradients(turned, x)[0], gradients(plain, x)[0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_values_and_gradients_in_every_way(x, way):
    def known(x):
        return turned(x) if x.shape[-1] else None

    np.testing.assert_allclose(run(known, x, way=way)[0], by_complex_numbers(x, np.arange(S), 100.0), atol=1e-6)
    np.testing.assert_allclose(gradients(known, x, way=way)[0], gradients(plain, x)[0], atol=1e-6)


def test_bfloat16_is_turned_in_float32(x):
    rough = ops.cast(ops.convert_to_tensor(x), "bfloat16")
    outputs = turned(rough)
    exact = turned(ops.cast(rough, "float32"))
    assert "bfloat16" in str(outputs.dtype)
    np.testing.assert_array_equal(ops.cast(outputs, "float32"), ops.cast(ops.cast(exact, "bfloat16"), "float32"))


@pytest.mark.nightly
@pytest.mark.parametrize("theta", [10000.0, 160000.0])
def test_the_same_as_transformers_up_to_8192_places(theta):
    torch = pytest.importorskip("torch", reason="the parity extra")
    theirs = pytest.importorskip("transformers.models.modernbert.modeling_modernbert", reason="the parity extra")
    from transformers import ModernBertConfig

    config = ModernBertConfig(hidden_size=128, num_attention_heads=2, global_rope_theta=theta, num_hidden_layers=1)
    embedding = theirs.ModernBertRotaryEmbedding(config)
    x = np.random.default_rng(0).normal(size=(1, 8192, 2, 64)).astype(np.float32)
    cos, sin = embedding(torch.zeros(1), torch.arange(8192)[None], "full_attention")
    expected, _ = theirs.apply_rotary_pos_emb(*[torch.from_numpy(x)] * 2, cos, sin, unsqueeze_dim=2)
    np.testing.assert_allclose(turned(x, theta=theta), expected.numpy(), atol=1e-5)
