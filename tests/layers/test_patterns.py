"""Sliding windows: blocks and the full band, against loops over every query."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from keras_bert.layers import patterns
from keras_bert.layers.patterns import banded_attention, framed_attention, heads_first, local_attention, neighbours
from tests.gradients import FLOAT64, ON_TENSORFLOW, needs_tensorflow
from tests.naive_attention import assert_real_rows_equal, attend, random_heads, random_mask

SETTINGS = {"scale": 0.5, "rate": 0.0, "dropout_key": None, "fuse": False}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small_blocks(monkeypatch):
    """Lets short texts be cut into blocks."""
    monkeypatch.setattr(patterns.reach, "SMALLEST_BLOCK", 1)


def naive(query, key, value, mask, window, *, positions=None, ids=None, always=None):
    """Returns local attention by loops, and its probabilities."""
    length = key.shape[1]

    def counts(b, _, q):
        place = q if positions is None else positions[b, q]
        seen = [abs(place - j) <= window or (always is not None and always[b, j]) for j in range(length)]
        seen = np.array(seen) * mask[b]
        return seen if ids is None else seen * (ids[b] == ids[b, place])

    return attend(query, key, value, counts, SETTINGS["scale"])


def blocked(query, key, value, mask, *, block, window, ids=None, halo=None, **settings):
    """Runs `framed_attention` with blocks of one's own choice."""
    q, k, v = (heads_first(x) for x in (query, key, value))
    settings = {**SETTINGS, "halo": window if halo is None else halo, "sequence_ids": ids, **settings}
    return heads_first(framed_attention(q, k, v, mask[:, None], block=block, window=window, **settings))


def packed_ids(length, batch=3):
    """Returns int32 (B, S): texts of 5, 4 and then 7 tokens a row, in turn, with padding at the end of row 1."""
    ids = np.repeat(np.arange(1, length + 2), np.resize([5, 4, 7], length + 1))[:length]
    ids = np.tile(ids, (batch, 1)).astype("int32")
    ids[1, max(length * 2 // 3, 1) :] = 0
    return ids


def test_a_case_worked_by_hand():
    # Equal scores: each token gets the mean of what it sees. Window 1; the fourth token is padding.
    value = np.array([1.0, 3.0, 8.0, 100.0], "float32").reshape(1, 4, 1, 1)
    mask, zero = np.array([[1, 1, 1, 0]]), np.zeros_like(value)
    for found in (
        local_attention(zero, zero, value, mask, window=1, **SETTINGS),
        banded_attention(zero, zero, value, mask, window=1, **SETTINGS),
        blocked(zero, zero, value, mask, block=2, window=1),
    ):
        np.testing.assert_allclose(np.ravel(found)[:3], [2.0, 4.0, 5.5], atol=1e-6)


@pytest.mark.parametrize(
    ("length", "block", "window"),
    [(1, 1, 0), (1, 4, 4), (2, 1, 1), (5, 2, 0), (7, 7, 3), (8, 4, 4), (12, 3, 3), (13, 4, 3), (17, 5, 1), (9, 16, 9)],
)
def test_blocks_and_the_full_band_equal_loops(length, block, window):
    heads, mask = random_heads(length), random_mask(length)
    expected, weights = naive(*heads, mask, window)
    assert_real_rows_equal(blocked(*heads, mask, block=block, window=window), expected, mask)
    found, scores = banded_attention(*heads, mask, window=window, return_scores=True, **SETTINGS)
    assert_real_rows_equal(found, expected, mask)
    real = np.broadcast_to(mask[:, None, :] > 0, scores.shape[:3])
    np.testing.assert_allclose(np.asarray(scores)[real], weights[real], atol=2e-6)


@pytest.mark.parametrize("length", [3, 8, 9, 24, 29])
def test_packed_texts_see_themselves_alone(small_blocks, length):
    heads, ids = random_heads(length), packed_ids(length)
    mask = (ids > 0).astype("int32")
    mask[2, min(6, length - 1)] = int(length < 7)  # a hole within a text
    expected, _ = naive(*heads, mask, 2, ids=ids)
    for found in (
        local_attention(*heads, mask, window=2, sequence_ids=ids, **SETTINGS),
        banded_attention(*heads, mask, window=2, sequence_ids=ids, **SETTINGS),
    ):
        assert_real_rows_equal(found, expected, mask)
    everything, _ = naive(*heads, mask, length, ids=ids)
    found = banded_attention(*heads, mask, window=None, sequence_ids=ids, **SETTINGS)
    assert_real_rows_equal(found, everything, mask)


@pytest.mark.parametrize("window", [0, 2, None])
def test_chosen_queries_see_what_they_see_among_all(window):
    length = 11
    heads, mask, ids = random_heads(length), random_mask(length), packed_ids(length)
    positions = np.array([[0, 10, 3], [6, 6, 1], [0, 5, 9]])  # int64, and the others int32
    always = np.zeros_like(mask)
    always[:, [0, 4]] = 1
    query = np.take_along_axis(heads[0], positions[:, :, None, None], axis=1)
    real = np.take_along_axis(mask, positions, axis=1)
    reach = length if window is None else window
    for options in ({}, {"sequence_ids": ids}, {"always": always}):
        found, scores = banded_attention(
            query, *heads[1:], mask, window=window, positions=positions, return_scores=True, **options, **SETTINGS
        )
        expected, weights = naive(
            query,
            *heads[1:],
            mask,
            reach,
            positions=positions,
            ids=options.get("sequence_ids"),
            always=options.get("always"),
        )
        assert_real_rows_equal(found, expected, real)
        chosen = np.broadcast_to(real[:, None, :] > 0, scores.shape[:3])
        np.testing.assert_allclose(np.asarray(scores)[chosen], weights[chosen], atol=2e-6)


def test_real_lengths_are_cut_into_blocks_and_equal_the_full_band():
    length, window = 330, 50
    assert patterns.block_and_halo(length, window) == (64, 50)
    heads, mask = random_heads(length), random_mask(length)
    expected = np.asarray(banded_attention(*heads, mask, window=window, **SETTINGS))
    assert_real_rows_equal(local_attention(*heads, mask, window=window, **SETTINGS), expected, mask)


@needs_tensorflow
def test_whether_blocks_are_worth_it_is_one_rule_for_numbers_and_tensors():
    import tensorflow as tf

    for window in (0, 64, 256):
        lengths = np.arange(1, 3000, 7)
        worth = [patterns.reach.worth_blocking(int(length), window) for length in lengths]
        assert worth == sorted(worth)  # short texts no, long ones yes
        assert not worth[0]
        assert worth[-1]
        np.testing.assert_array_equal(worth, patterns.reach.worth_blocking(tf.constant(lengths), window))
        for length in lengths[::40]:
            pair = patterns.block_and_halo(int(length), window)
            assert pair == tuple(int(x) for x in patterns.block_and_halo(tf.constant(length), window))
            assert pair[1] in (0, window)
            assert pair[1] <= pair[0]


@needs_tensorflow
@pytest.mark.parametrize("block", [3, 4, 7])
def test_the_frames_gradient_is_tensorflows_own(block):
    import tensorflow as tf

    rng = np.random.default_rng(block)
    for length in (1, block - 1, block, 2 * block + 1, 3 * block):
        x = tf.constant(rng.normal(size=(2, length, 5)))
        extra = tf.constant(rng.normal(size=(2, -(-length // block), 2, 5)))
        for halo in (0, 1, block - 1, block):
            results = []
            for function in (patterns._frames, lambda x, e, b, h: neighbours(x, e, block=b, halo=h)):
                with tf.GradientTape() as tape:
                    tape.watch([x, extra])
                    framed = function(x, extra, block, halo)
                    loss = tf.reduce_sum(framed * tf.reshape(tf.range(tf.size(framed, tf.int64)), framed.shape).numpy())
                results.append([framed, *tape.gradient(loss, [x, extra])])
            for expected, found in zip(*results, strict=True):
                np.testing.assert_allclose(found, expected, atol=FLOAT64)


def gradients(function, tensors):
    """Returns what a function of float tensors gives, and the gradients of a fixed weighted sum of it."""

    def weighted(*tensors):
        result = function(*tensors)
        weights = ops.cast(ops.sin(ops.cast(ops.arange(ops.size(result)), "float32")), result.dtype)
        return ops.sum(result * ops.reshape(weights, ops.shape(result))), result

    tensors = [ops.convert_to_tensor(tensor) for tensor in tensors]
    if not ON_TENSORFLOW:
        import jax

        (_, result), found = jax.value_and_grad(weighted, argnums=range(len(tensors)), has_aux=True)(*tensors)
        return [result, *found]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss, result = weighted(*tensors)
    return [result, *tape.gradient(loss, tensors)]


@pytest.mark.parametrize("packed", [False, True])
def test_gradients_of_blocks_are_those_of_the_full_band(packed):
    for length, block, window in [(9, 9, 2), (12, 4, 3), (13, 3, 3), (21, 5, 2)]:
        heads, mask = random_heads(length), random_mask(length)
        heads = [x.astype("float64") for x in heads]
        ids = packed_ids(length) if packed else None
        mask = (ids > 0).astype("int32") if packed else mask
        real = mask[:, :, None, None].astype("float64")  # rows of padding may hold anything

        def by_blocks(q, k, v, mask=mask, ids=ids, real=real, block=block, window=window):
            return real * blocked(q, k, v, mask, block=block, window=window, ids=ids)

        def by_band(q, k, v, mask=mask, ids=ids, real=real, window=window):
            return real * banded_attention(q, k, v, mask, window=window, sequence_ids=ids, **SETTINGS)

        for found, expected in zip(gradients(by_blocks, heads), gradients(by_band, heads), strict=True):
            np.testing.assert_allclose(found, expected, atol=FLOAT64)
            assert np.abs(expected).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("fuse", [False, True])
def test_unknown_lengths_give_the_same(small_blocks, jit_compile, fuse):
    import tensorflow as tf

    import keras_bert.training.xla  # noqa: F401, installs the runner

    window = 3
    heads = tf.TensorSpec((None, None, 2, 4))
    ints = tf.TensorSpec((None, None), "int32")
    settings = {**SETTINGS, "fuse": fuse}

    @tf.function(input_signature=[heads, heads, heads, ints, ints], jit_compile=jit_compile, autograph=False)
    def run(q, k, v, mask, ids):
        def local(*heads):
            return local_attention(*heads, mask, window=window, sequence_ids=ids, **settings)

        return gradients(local, [q, k, v])

    for length in (1, 2, 5, 12, 13, 14, 16, 31):
        heads, ids = random_heads(length), packed_ids(length)
        ids = np.where(ids > 0, ids, 1)
        mask = np.ones_like(ids)

        def band(*heads, mask=mask, ids=ids):
            return banded_attention(*heads, mask, window=window, sequence_ids=ids, **SETTINGS)

        for found, expected in zip(run(*heads, mask, ids), gradients(band, heads), strict=True):
            np.testing.assert_allclose(found, expected, atol=5e-6)


def test_bfloat16_is_close_and_its_scores_are_float32():
    import tensorflow as tf

    heads, mask = random_heads(40, size=16), random_mask(40)
    rough = [tf.cast(x, "bfloat16") for x in heads]
    exact, weights = naive(*[tf.cast(x, "float32") for x in rough], mask, 6)
    found, scores = banded_attention(*rough, mask, window=6, return_scores=True, **SETTINGS)
    assert scores.dtype == "float32"
    # float32 from the products on: their rounding moves a score of 16 by at most 2^-5
    real = np.broadcast_to(mask[:, None, :] > 0, scores.shape[:3])
    np.testing.assert_allclose(np.asarray(scores)[real], weights[real], atol=0.05)
    np.testing.assert_allclose(np.asarray(scores)[real].sum(-1), 1, atol=1e-5)
    by_blocks = blocked(*rough, mask, block=8, window=6)
    assert found.dtype == by_blocks.dtype == "bfloat16"
    for each in (found, by_blocks):
        assert_real_rows_equal(tf.cast(each, "float32"), exact, mask, atol=0.15)
    assert_real_rows_equal(tf.cast(by_blocks, "float32"), np.asarray(tf.cast(found, "float32")), mask, atol=0.05)


def test_dropout_takes_a_share_and_keeps_the_mean():
    length, rate = 256, 0.25
    mask, key = np.ones((1, length), "int32"), np.array([3, 4], "uint32")
    zero = np.zeros((1, length, 2, 1), "float32")
    for run in (
        lambda settings: blocked(zero, zero, zero + 1, mask, block=16, window=16, **settings),
        lambda settings: banded_attention(zero, zero, zero + 1, mask, window=16, **{**SETTINGS, **settings}),
    ):
        found = np.ravel(run({"rate": rate, "dropout_key": key}))
        seen = 33  # keys of equal weight in the middle; each is kept with 3/4 and then counts 4/3
        assert abs(found.mean() - 1) < 0.02
        assert abs(found.std() - np.sqrt(rate / (1 - rate) / seen)) < 0.02
        assert np.abs(found - np.ravel(run({"rate": rate, "dropout_key": np.array([3, 5], "uint32")}))).max() > 0.05
        np.testing.assert_allclose(np.ravel(run({"rate": rate, "dropout_key": None})), 1, atol=1e-6)


@needs_tensorflow
def test_no_tensor_of_a_long_text_grows_with_its_square():
    import tensorflow as tf

    length, window = 2048, 64
    spec, ints = tf.TensorSpec((1, length, 2, 8)), tf.TensorSpec((1, length), "int32")

    def largest(attention):
        def run(q, k, v, mask):
            return gradients(lambda *heads: attention(*heads, mask, window=window, **SETTINGS), [q, k, v])

        graph = tf.function(run).get_concrete_function(spec, spec, spec, ints).graph
        shapes = [tensor.shape for op in graph.get_operations() for tensor in op.outputs]
        return max(shape.num_elements() or 0 for shape in shapes if shape.rank is not None)

    assert largest(local_attention) == 2 * length * 3 * window  # the scores
    assert largest(banded_attention) == 2 * length * length


JAX_SCRIPT = """
import sys
import numpy as np, jax, keras
assert keras.backend.backend() == "jax"
from keras_bert.layers import patterns
from tests.layers.test_patterns import SETTINGS, packed_ids
from tests.naive_attention import random_heads
patterns.reach.SMALLEST_BLOCK = 1
length, window = 29, 3
heads, ids = random_heads(length), np.ones_like(packed_ids(length)) + packed_ids(length)
mask = np.ones_like(ids)
weights = np.sin(np.arange(heads[0].size, dtype="float32")).reshape(heads[0].shape)
results = []
for attention in (patterns.local_attention, patterns.banded_attention):
    run = lambda q, k, v: attention(q, k, v, mask, window=window, sequence_ids=ids, **SETTINGS)
    results.append([jax.jit(run)(*heads), *jax.jit(jax.grad(lambda *h: (run(*h) * weights).sum(), (0, 1, 2)))(*heads)])
for found, expected in zip(*results):
    np.testing.assert_allclose(found, expected, atol=5e-6)
"""


@pytest.mark.nightly
def test_jax_gives_the_same_by_blocks_as_by_the_band():
    pytest.importorskip("jax", reason="JAX is not installed (extra jax)")
    run_under_jax(JAX_SCRIPT)


def run_under_jax(script):
    """Runs a script in a process whose backend is JAX."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
