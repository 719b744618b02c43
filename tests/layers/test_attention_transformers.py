"""transformers' own Longformer and BigBird attention beside ours, on the same projections."""

import numpy as np
import pytest

from keras_bert.layers import patterns
from keras_bert.layers.block_sparse import block_sparse_attention, counted_attention, random_plans
from keras_bert.layers.global_tokens import banded_global_attention
from tests.layers.test_global_tokens import by_slots
from tests.naive_attention import assert_real_rows_equal, random_mask

pytestmark = pytest.mark.nightly
HEADS, SIZE, HIDDEN = 2, 4, 8
SETTINGS = {"scale": SIZE**-0.5, "rate": 0.0, "dropout_key": None, "fuse": False}


@pytest.fixture
def torch():
    pytest.importorskip("transformers", reason="the parity extra")
    return pytest.importorskip("torch", reason="the parity extra")


def projected(torch, module, names, hidden):
    """Gives a module larger random weights. Returns its projections of float (B, S, H), each (B, S, A, D)."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.6)
        return [getattr(module, name)(hidden).reshape(*hidden.shape[:2], HEADS, SIZE).numpy() for name in names]


@pytest.mark.parametrize("length", [24, 32])
def test_longformer(torch, monkeypatch, length):
    from transformers.models.longformer.modeling_longformer import LongformerConfig, LongformerSelfAttention

    monkeypatch.setattr(patterns.reach, "SMALLEST_BLOCK", 1)
    fields = {"hidden_size": HIDDEN, "num_attention_heads": HEADS, "attention_probs_dropout_prob": 0.0}
    module = LongformerSelfAttention(LongformerConfig(attention_window=[8], **fields), 0).eval()
    hidden = torch.randn(3, length, HIDDEN)
    names = ["query", "key", "value", "query_global", "key_global", "value_global"]
    heads = projected(torch, module, names, hidden)
    mask = random_mask(length)
    global_mask = np.zeros_like(mask)
    global_mask[0, [0, 1, 9]] = global_mask[2, [0, length - 1]] = 1
    kinds = torch.from_numpy(np.where(mask == 0, -10000.0, np.where(global_mask > 0, 10000.0, 0.0)).astype("float32"))
    with torch.no_grad():
        is_global = kinds > 0
        masks = {"is_index_masked": kinds < 0, "is_index_global_attn": is_global, "is_global_attn": True}
        expected = module(hidden, attention_mask=kinds, **masks)[0].reshape(3, length, HEADS, SIZE).numpy()
    for found in (
        by_slots(heads, mask, global_mask, window=4, slots=5, **SETTINGS),
        banded_global_attention(*heads, mask, global_mask, window=4, **SETTINGS),
    ):
        assert_real_rows_equal(found, expected, mask, atol=5e-6)


@pytest.mark.parametrize("training", [False, True])
def test_big_bird(torch, training):
    from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention, BigBirdConfig, BigBirdModel

    length, block_size, random_blocks, seed = 48, 4, 2, 3
    fields = {"hidden_size": HIDDEN, "num_attention_heads": HEADS, "attention_probs_dropout_prob": 0.0}
    fields |= {"block_size": block_size, "num_random_blocks": random_blocks, "max_position_embeddings": 60}
    module = BigBirdBlockSparseAttention(BigBirdConfig(**fields), seed=seed).train(training)
    hidden = torch.randn(3, length, HIDDEN)
    heads = projected(torch, module, ("query", "key", "value"), hidden)
    mask = random_mask(length)
    masks = BigBirdModel.create_masks_for_block_sparse_attn(torch.from_numpy(mask.astype("float32")), block_size)
    blocked, band, from_mask, to_mask = masks
    with torch.no_grad():
        expected, weights = module(hidden, band, from_mask, to_mask, blocked, blocked)
    expected = expected.reshape(3, length, HEADS, SIZE).numpy()
    plan = random_plans(HEADS, 60, block_size, random_blocks, seed, training)
    settings = {"block_size": block_size, "plan": plan, **SETTINGS}
    assert_real_rows_equal(block_sparse_attention(*heads, mask, **settings), expected, mask, atol=5e-6)
    found, scores = counted_attention(*heads, mask, return_scores=True, **settings)
    assert_real_rows_equal(found, expected, mask, atol=5e-6)
    if training:  # in inference theirs keeps one of block 0's several weights
        real = np.broadcast_to(mask[:, None, :] > 0, scores.shape[:3])
        np.testing.assert_allclose(np.asarray(scores)[real], weights.numpy()[real], atol=5e-6)
