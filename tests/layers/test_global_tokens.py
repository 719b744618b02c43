"""Longformer's global tokens: slots and blocks, and the full band, against loops over every query."""

import numpy as np
import pytest

from keras_bert.layers import patterns
from keras_bert.layers.global_tokens import banded_global_attention, global_local_attention, global_slots, in_slots
from tests.gradients import FLOAT64
from tests.layers.test_patterns import SETTINGS, gradients, run_under_jax
from tests.naive_attention import assert_real_rows_equal, attend, random_heads, random_mask

LENGTHS = (1, 4, 11, 24, 25)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Lets short texts be cut into blocks."""
    monkeypatch.setattr(patterns.reach, "SMALLEST_BLOCK", 1)


def random_globals(length):
    """Returns int32 (3, S): up to three global tokens a row, some masked, some side by side; none in row 1."""
    globals_ = np.zeros((3, length), "int32")
    globals_[0, [0, min(1, length - 1), length - 1]] = 1
    globals_[2, :: max(length // 3, 3)] = 1
    globals_[2, 9:] = 0
    return globals_


def case(length, dtype="float32"):
    """Returns query, key, value and the three of the global projections, the mask and the global mask."""
    heads = [x.astype(dtype) for x in random_heads(length, count=6)]
    return heads, random_mask(length), random_globals(length)


def naive(heads, mask, global_mask, window):
    """Returns the attention by loops, and its probabilities."""
    query, key, value, global_query, global_key, global_value = heads
    length, seen_by_all = key.shape[1], mask * global_mask

    def counts(b, _, q):
        near = np.abs(q - np.arange(length)) <= window
        return mask[b] * (near | (seen_by_all[b] > 0))

    local, local_weights = attend(query, key, value, counts, SETTINGS["scale"])
    rows, row_weights = attend(global_query, global_key, global_value, lambda b, _, q: mask[b], SETTINGS["scale"])
    chosen = seen_by_all > 0
    context = np.where(chosen[:, :, None, None], rows, local)
    return context, np.where(chosen[:, None, :, None], row_weights, local_weights)


def by_slots(heads, mask, global_mask, *, window, slots, **settings):
    """Runs `global_local_attention` as a layer does, with slots gathered before they are projected."""
    hot = global_slots(global_mask, mask, slots)
    *qkv, global_query, global_key, global_value = heads
    tensors = (*qkv, in_slots(hot, global_query), global_key, global_value, mask, hot)
    return global_local_attention(*tensors, window=window, **{**SETTINGS, **settings})


def test_slots_hold_the_global_tokens_in_order():
    global_mask = np.array([[0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]])
    mask = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0]])  # the second row's second token is padding
    hot = np.asarray(global_slots(global_mask, mask, 3))
    assert [(b, g, s) for b, g, s in np.argwhere(hot)] == [(0, 0, 1), (0, 1, 3), (1, 0, 0)]
    x = np.arange(24, dtype="float32").reshape(3, 4, 2, 1)
    expected = [[[2, 3], [6, 7], [0, 0]], [[8, 9], [0, 0], [0, 0]], [[0, 0]] * 3]
    np.testing.assert_array_equal(np.asarray(in_slots(hot, x))[..., 0], expected)


@pytest.mark.parametrize("length", LENGTHS)
def test_slots_and_the_full_band_equal_loops(length):
    heads, mask, global_mask = case(length)
    for window in (0, 2, length):
        expected, weights = naive(heads, mask, global_mask, window)
        for slots in (3, 5):
            found = by_slots(heads, mask, global_mask, window=window, slots=slots)
            assert_real_rows_equal(found, expected, mask)
        found, scores = banded_global_attention(
            *heads, mask, global_mask, window=window, return_scores=True, **SETTINGS
        )
        assert_real_rows_equal(found, expected, mask)
        real = np.broadcast_to(mask[:, None, :] > 0, scores.shape[:3])
        np.testing.assert_allclose(np.asarray(scores)[real], weights[real], atol=2e-6)


def test_chosen_queries_get_what_they_get_among_all():
    heads, mask, global_mask = case(11)
    positions = np.array([[0, 10, 3], [6, 6, 1], [0, 3, 9]])
    expected, weights = naive(heads, mask, global_mask, 2)
    chosen = [np.take_along_axis(heads[i], positions[:, :, None, None], axis=1) for i in (0, 3)]
    tensors = (chosen[0], heads[1], heads[2], chosen[1], heads[4], heads[5], mask, global_mask)
    found, scores = banded_global_attention(*tensors, window=2, positions=positions, return_scores=True, **SETTINGS)
    real = np.take_along_axis(mask, positions, axis=1)
    assert_real_rows_equal(found, np.take_along_axis(expected, positions[:, :, None, None], axis=1), real)
    weights = np.take_along_axis(weights, positions[:, None, :, None], axis=2)
    real = np.broadcast_to(real[:, None, :] > 0, scores.shape[:3])
    np.testing.assert_allclose(np.asarray(scores)[real], weights[real], atol=2e-6)


def test_more_global_tokens_than_slots_give_nan_in_their_text_alone():
    heads, mask, _ = case(13)
    global_mask = np.zeros_like(mask)
    global_mask[0, [0, 3, 4]] = 1
    global_mask[1, [0, 1, 12]] = 1  # the third is padding
    expected, _ = naive(heads, mask, global_mask, 2)
    found = np.asarray(by_slots(heads, mask, global_mask, window=2, slots=2))
    assert np.isnan(found[0]).all()
    assert_real_rows_equal(found[1:], expected[1:], mask[1:])


def gradients_by_band(heads, mask, global_mask):
    """Returns the attention where the mask is 1, by the full band, and its gradients."""
    real = mask[:, :, None, None].astype(heads[0].dtype)
    settings = {"window": 2, **SETTINGS}
    return gradients(lambda *h: real * banded_global_attention(*h, mask, global_mask, **settings), heads)


@pytest.mark.parametrize("length", [4, 13, 24])
def test_gradients_by_slots_are_those_of_the_full_band(length):
    heads, mask, global_mask = case(length, "float64")
    real = mask[:, :, None, None].astype("float64")
    by_slot = gradients(lambda *h: real * by_slots(h, mask, global_mask, window=2, slots=4), heads)
    for found, expected in zip(by_slot, gradients_by_band(heads, mask, global_mask), strict=True):
        np.testing.assert_allclose(found, expected, atol=FLOAT64)
        assert np.abs(expected).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_unknown_lengths_give_the_same(jit_compile):
    import tensorflow as tf

    spec, ints = tf.TensorSpec((None, None, 2, 4)), tf.TensorSpec((None, None), "int32")

    @tf.function(input_signature=[[spec] * 6, ints, ints], jit_compile=jit_compile, autograph=False)
    def run(heads, mask, global_mask):
        real = tf.cast(mask, "float32")[:, :, None, None]
        return gradients(lambda *h: real * by_slots(h, mask, global_mask, window=2, slots=3), heads)

    for length in LENGTHS:
        heads, mask, global_mask = case(length)
        expected, _ = naive(heads, mask, global_mask, 2)
        found = run(heads, mask, global_mask)
        assert_real_rows_equal(found[0], expected, mask, atol=5e-6)
        for each, other in zip(found, gradients_by_band(heads, mask, global_mask), strict=True):
            np.testing.assert_allclose(each, other, atol=5e-6)


def test_bfloat16_is_close():
    import tensorflow as tf

    heads, mask, global_mask = case(25)
    rough = [tf.cast(x, "bfloat16") for x in heads]
    expected, _ = naive([tf.cast(x, "float32") for x in rough], mask, global_mask, 2)
    found = by_slots(rough, mask, global_mask, window=2, slots=4)
    assert found.dtype == "bfloat16"
    assert_real_rows_equal(tf.cast(found, "float32"), expected, mask, atol=0.1)


def test_dropout_is_on_for_local_and_global_rows():
    length, key = 25, np.array([3, 4], "uint32")
    heads, mask, global_mask = case(length)
    same = by_slots(heads, mask, global_mask, window=2, slots=4, rate=0.5)
    other = by_slots(heads, mask, global_mask, window=2, slots=4, rate=0.5, dropout_key=key)
    changed = np.abs(np.asarray(same) - np.asarray(other)).max((2, 3)) > 0
    assert changed[mask > 0].all()


JAX_SCRIPT = """
import numpy as np, jax, keras
assert keras.backend.backend() == "jax"
from keras_bert.layers import patterns
from tests.layers.test_global_tokens import SETTINGS, banded_global_attention, by_slots, case
patterns.reach.SMALLEST_BLOCK = 1
heads, mask, global_mask = case(25)
weights = mask[:, :, None, None] * np.sin(np.arange(heads[0].size, dtype="float32")).reshape(heads[0].shape)
results = []
for run in (
    lambda *h: by_slots(h, mask, global_mask, window=2, slots=4),
    lambda *h: banded_global_attention(*h, mask, global_mask, window=2, **SETTINGS),
):
    loss = lambda *h: (run(*h) * weights).sum()
    results.append([jax.jit(run)(*heads) * mask[:, :, None, None], *jax.jit(jax.grad(loss, range(6)))(*heads)])
for found, expected in zip(*results):
    np.testing.assert_allclose(found, expected, atol=5e-6)
"""


@pytest.mark.nightly
def test_jax_gives_the_same_by_slots_as_by_the_band():
    pytest.importorskip("jax", reason="JAX is not installed (extra jax)")
    run_under_jax(JAX_SCRIPT)
