"""BigBird's blocks: plans equal to transformers', blocks and the dense form against loops over every query."""

import numpy as np
import pytest

from keras_bert.layers.block_sparse import (
    block_sparse_attention,
    counted_attention,
    longest_full,
    random_plan,
    random_plans,
)
from tests.gradients import FLOAT64
from tests.layers.test_patterns import SETTINGS, gradients, run_under_jax
from tests.naive_attention import assert_real_rows_equal, attend, random_heads, random_mask

BLOCK, RANDOM = 2, 2  # texts of up to 18 tokens attend in full
LENGTHS = (1, 7, 18, 19, 20, 33, 40)
PLANS = {drawn: random_plans(2, 40, BLOCK, RANDOM, 1, drawn) for drawn in (False, True)}


def case(length, dtype="float32"):
    """Returns query, key, value, and a mask."""
    return [x.astype(dtype) for x in random_heads(length)], random_mask(length)


def naive(heads, mask, plan):
    """Returns the attention by loops over lists of blocks, and its probabilities; plan is (A, n - 2, r)."""
    length = heads[1].shape[1]
    blocks = -(-length // BLOCK)

    def counts(b, head, q):
        row = q // BLOCK
        if row in (0, blocks - 1) or length <= (5 + 2 * RANDOM) * BLOCK:
            return mask[b]
        listed = [*{0, row - 1, row, row + 1, blocks - 1}, *plan[head, row - 1]]
        return mask[b] * np.array([listed.count(place // BLOCK) for place in range(length)])

    return attend(*heads, counts, SETTINGS["scale"])


def usual_plan(length, drawn):
    return random_plan(2, length, BLOCK, RANDOM, 1, drawn, longest=40)


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("length", LENGTHS)
def test_blocks_and_the_dense_form_equal_loops(length, drawn):
    heads, mask = case(length)
    expected, weights = naive(heads, mask, usual_plan(length, drawn))
    settings = {"block_size": BLOCK, **SETTINGS}
    for plan in (PLANS[drawn], usual_plan(length, drawn)):
        assert_real_rows_equal(block_sparse_attention(*heads, mask, plan=plan, **settings), expected, mask)
        found, scores = counted_attention(*heads, mask, plan=plan, return_scores=True, **settings)
        assert_real_rows_equal(found, expected, mask)
        real = np.broadcast_to(mask[:, None, :] > 0, scores.shape[:3])
        np.testing.assert_allclose(np.asarray(scores)[real], weights[real], atol=2e-6)


def test_drawn_blocks_make_a_difference_and_so_does_each_head():
    heads, mask = case(40)
    drawn, zeros = (naive(heads, mask, usual_plan(40, each))[0] for each in (True, False))
    assert np.abs(drawn - zeros)[mask > 0].max() > 0.5
    swapped = naive(heads, mask, usual_plan(40, True)[::-1])[0]
    assert np.abs(drawn - swapped)[mask > 0].max() > 0.5


@pytest.mark.parametrize("drawn", [False, True])
def test_chosen_queries_get_what_they_get_among_all(drawn):
    heads, mask = case(33)
    positions = np.array([[0, 32, 3], [6, 6, 1], [0, 14, 29]])
    expected, weights = naive(heads, mask, usual_plan(33, drawn))
    query = np.take_along_axis(heads[0], positions[:, :, None, None], axis=1)
    settings = {"block_size": BLOCK, "plan": PLANS[drawn], **SETTINGS}
    found, scores = counted_attention(query, *heads[1:], mask, positions=positions, return_scores=True, **settings)
    real = np.take_along_axis(mask, positions, axis=1)
    assert_real_rows_equal(found, np.take_along_axis(expected, positions[:, :, None, None], axis=1), real)
    weights = np.take_along_axis(weights, positions[:, None, :, None], axis=2)
    real = np.broadcast_to(real[:, None, :] > 0, scores.shape[:3])
    np.testing.assert_allclose(np.asarray(scores)[real], weights[real], atol=2e-6)


@pytest.mark.parametrize("length", [19, 33])
@pytest.mark.parametrize("drawn", [False, True])
def test_gradients_by_blocks_are_those_of_the_dense_form(drawn, length):
    heads, mask = case(length, "float64")
    real = mask[:, :, None, None].astype("float64")
    settings = {"block_size": BLOCK, "plan": PLANS[drawn], **SETTINGS}
    by_blocks = gradients(lambda *h: real * block_sparse_attention(*h, mask, **settings), heads)
    dense = gradients(lambda *h: real * counted_attention(*h, mask, **settings), heads)
    for found, expected in zip(by_blocks, dense, strict=True):
        np.testing.assert_allclose(found, expected, atol=FLOAT64)
        assert np.abs(expected).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_unknown_lengths_give_the_same(drawn, jit_compile):
    import tensorflow as tf

    import keras_bert.training.xla  # noqa: F401, installs the runner

    spec, ints = tf.TensorSpec((None, None, 2, 4)), tf.TensorSpec((None, None), "int32")
    settings = {**SETTINGS, "block_size": BLOCK, "plan": PLANS[drawn]}

    def both(fuse):
        @tf.function(input_signature=[[spec] * 3, ints], jit_compile=jit_compile, autograph=False)
        def run(heads, mask):
            real = tf.cast(mask, "float32")[:, :, None, None]
            return [
                gradients(lambda *h, each=each: real * each(*h, mask, **{**settings, "fuse": fuse}), heads)
                for each in (block_sparse_attention, counted_attention)
            ]

        return run

    for run in [both(fuse) for fuse in (False, True)]:
        for length in (1, 18, 19, 33):
            heads, mask = case(length)
            expected, _ = naive(heads, mask, usual_plan(length, drawn))
            by_blocks, dense = run(heads, mask)
            assert_real_rows_equal(by_blocks[0], expected, mask, atol=5e-6)
            for found, other in zip(by_blocks, dense, strict=True):
                np.testing.assert_allclose(found, other, atol=5e-6)


def test_bfloat16_is_close():
    import tensorflow as tf

    heads, mask = case(40)
    rough = [tf.cast(x, "bfloat16") for x in heads]
    expected, _ = naive([np.asarray(tf.cast(x, "float32")) for x in rough], mask, usual_plan(40, True))
    settings = {"block_size": BLOCK, "plan": PLANS[True], **SETTINGS}
    for run in (block_sparse_attention, counted_attention):
        found = run(*rough, mask, **settings)
        assert found.dtype == "bfloat16"
        assert_real_rows_equal(tf.cast(found, "float32"), expected, mask, atol=0.1)


@pytest.mark.parametrize("drawn", [False, True])
def test_dropout_is_on_in_every_row(drawn):
    heads, mask = case(40)
    settings = {**SETTINGS, "block_size": BLOCK, "plan": PLANS[drawn], "rate": 0.5}
    for run in (block_sparse_attention, counted_attention):
        same = run(*heads, mask, **settings)
        other = run(*heads, mask, **{**settings, "dropout_key": np.array([3, 4], "uint32")})
        assert (np.abs(np.asarray(same) - np.asarray(other)).max((2, 3)) > 0)[mask > 0].all()


def test_a_plan_for_shorter_texts_is_refused_unless_it_is_all_zeros():
    heads, mask = case(40)
    short = {drawn: random_plans(2, 30, BLOCK, RANDOM, 1, drawn) for drawn in (False, True)}
    settings = {"block_size": BLOCK, **SETTINGS}
    for run in (block_sparse_attention, counted_attention):
        with pytest.raises(ValueError, match=r"for a text of 40 tokens\. Received: one for up to 30\."):
            run(*heads, mask, plan=short[True], **settings)
        expected = naive(heads, mask, np.zeros((2, 18, RANDOM), int))[0]
        assert_real_rows_equal(run(*heads, mask, plan=short[False], **settings), expected, mask)


def test_plans_are_those_of_the_golden_file(shared):
    with np.load(shared / "golden/families/models/big_bird/pretraining_block_sparse/golden.npz") as golden:
        expected = golden["train_random_blocks/plan"]
        length = golden["train_random_blocks/in/input_ids"].shape[1]
    for layer, plan in enumerate(expected):
        np.testing.assert_array_equal(random_plan(5, length, 4, 2, layer, True, longest=67), plan)
        assert not random_plan(5, length, 4, 2, layer, False, longest=67).any()


def test_a_plan_lists_no_block_that_its_row_sees_already_and_begins_a_longer_texts():
    plan = random_plan(3, 64 * 40, 64, 3, 5, True)
    assert plan.shape == (3, 38, 3)
    for row, blocks in enumerate(plan.transpose(1, 0, 2), 1):
        assert all(len(set(each)) == 3 for each in blocks)
        assert not {0, row - 1, row, row + 1} & set(blocks.ravel())
        assert blocks.max() < 5 + 2 * 3
    np.testing.assert_array_equal(random_plan(3, 64 * 20, 64, 3, 5, True), plan[:, :18])
    assert (random_plan(3, 64 * 40, 64, 3, 6, True) != plan).any()
    assert longest_full(64, 3) == 704


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("block_size", "random_blocks", "longest"), [(64, 3, 4096), (16, 2, 4096), (64, 3, 4100), (128, 1, 3072)]
)
def test_plans_are_transformers(block_size, random_blocks, longest):
    modeling = pytest.importorskip("transformers.models.big_bird.modeling_big_bird")
    attention = modeling.BigBirdBlockSparseAttention
    for length in (1024, 3072, 4096, 2048, 1536, longest // block_size * block_size):
        if not longest_full(block_size, random_blocks) < length <= longest:
            continue
        theirs = object.__new__(attention)
        theirs.__dict__["training"] = True
        np.random.seed(7)
        if length in (1024, 3072, 4096):
            settings = (longest, longest, block_size, block_size, random_blocks)
            draw = attention._bigbird_block_rand_mask
            plan = [draw(theirs, *settings, last_idx=1024)[: length // block_size - 2] for _ in range(2)]
        else:
            reaches, counts = attention._get_rand_attn_plan(length, block_size, random_blocks)
            draw = attention._bigbird_block_rand_mask_with_head
            plan = draw(theirs, length, length, block_size, block_size, 2, reaches, counts)
        np.testing.assert_array_equal(
            random_plan(2, length, block_size, random_blocks, 7, True, longest=longest), np.stack(plan)
        )


@pytest.mark.slow
def test_a_length_of_the_paper_takes_the_papers_plan_known_or_not():
    import tensorflow as tf

    plans = random_plans(1, 1100, 64, 1, 0, True)
    assert (plans[0] != plans[1]).any()
    settings = {**SETTINGS, "block_size": 64, "plan": plans}
    unknown = tf.function(
        lambda heads, mask: block_sparse_attention(*heads, mask, **settings),
        input_signature=[[tf.TensorSpec((None, None, 1, 4))] * 3, tf.TensorSpec((None, None), "int32")],
    )
    for length, kind in ((960, 0), (1020, 1), (1024, 1), (1030, 0)):
        heads, mask = random_heads(length, batch=1, heads=1), np.ones((1, length), "int32")
        plan = plans[kind][:, : -(-length // 64) - 2]
        np.testing.assert_array_equal(random_plan(1, length, 64, 1, 0, True, longest=1100), plan)
        expected = np.asarray(counted_attention(*heads, mask, **{**settings, "plan": plan}))
        for found in (
            block_sparse_attention(*heads, mask, **settings),
            counted_attention(*heads, mask, **settings),
            unknown(heads, mask),
        ):
            assert_real_rows_equal(found, expected, mask, atol=2e-5)
        other = plans[1 - kind][:, : plan.shape[1]]
        other = np.asarray(counted_attention(*heads, mask, **{**settings, "plan": other}))
        assert np.abs(other - expected).max() > 0.1


JAX_SCRIPT = """
import numpy as np, jax, keras
assert keras.backend.backend() == "jax"
from tests.layers.test_block_sparse import *
for drawn in (False, True):
    heads, mask = case(33)
    weights = mask[:, :, None, None] * np.sin(np.arange(heads[0].size, dtype="float32")).reshape(heads[0].shape)
    settings = {"block_size": BLOCK, "plan": PLANS[drawn], **SETTINGS}
    results = []
    for each in (block_sparse_attention, counted_attention):
        run = lambda *h: each(*h, mask, **settings) * mask[:, :, None, None]
        loss = lambda *h: (run(*h) * weights).sum()
        results.append([jax.jit(run)(*heads), *jax.jit(jax.grad(loss, (0, 1, 2)))(*heads)])
    for found, expected in zip(*results):
        np.testing.assert_allclose(found, expected, atol=5e-6)
"""


@pytest.mark.nightly
def test_jax_gives_the_same_by_blocks_as_by_the_dense_form():
    pytest.importorskip("jax", reason="JAX is not installed (extra jax)")
    run_under_jax(JAX_SCRIPT)
