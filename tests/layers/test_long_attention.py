"""Attention to long texts, block of queries by block: the numbers of all at once, and less memory."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.config import Config
from keras_bert.layers import attention
from keras_bert.layers.attention import Places, query_blocks
from keras_bert.layers.kinds import attention_layer
from keras_bert.models import Encoder

WIDTH = 8
KINDS = {"full": {}, "rotary": {"rope_theta": 100.0}, "local": {"window": 3}}


@pytest.fixture
def small_blocks(monkeypatch):
    """Makes every text a long one, of blocks of 4 queries or a few more."""
    monkeypatch.setattr(attention, "LONG", 0)
    monkeypatch.setattr(attention, "PAIRS", 50)
    monkeypatch.setattr(attention.reach, "SMALLEST_BLOCK", 4)


def layer_of(kind, **options):
    keras.utils.set_random_seed(1)
    name = {"rotary": "full"}.get(kind, kind)
    layer = attention_layer(name, 2, initializer_range=0.5, dropout=0.2, **KINDS[kind], **options)
    layer.build((None, None, WIDTH))
    return layer


def batch(length, rows=2):
    draw = np.random.default_rng(length)
    x = draw.normal(size=(rows, length, WIDTH)).astype(np.float32)
    ids = np.sort(draw.integers(0, 3, (rows, length)), axis=1)[:, ::-1].astype(np.int32)  # texts 2 and 1, padding last
    return x, (ids > 0).astype(np.int32), ids


def test_blocks_are_alike_and_cover_all_queries():
    query = np.arange(2 * 1500 * 2.0, dtype="float32").reshape(2, 1500, 2, 1)
    blocks = np.asarray(query_blocks(ops.convert_to_tensor(query)))
    assert blocks.shape == (2, 2, 750, 2, 1)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), query)
    assert tuple(query_blocks(ops.zeros((64, 8192, 1, 1))).shape) == (128, 64, 64, 1, 1)
    assert tuple(query_blocks(ops.zeros((0, 5, 1, 1))).shape) == (1, 0, 5, 1, 1)
    assert not np.asarray(query_blocks(ops.ones((3, 1501, 1, 1))))[-1, :, -1].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 4, 17, 30])
@pytest.mark.slow
def test_the_numbers_are_those_of_all_at_once(kind, length, small_blocks, monkeypatch):
    layer = layer_of(kind)
    x, mask, ids = batch(length)
    for places in (mask, Places(mask, ids), Places(np.zeros_like(mask))):
        found = layer(x, places, training=False)
        with monkeypatch.context() as patch:
            patch.setattr(attention, "LONG", 10**9)
            expected = layer(x, places, training=False)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def encoder_of(**changes):
    keras.utils.set_random_seed(1)
    fields = {"vocab_size": 9, "num_attention_heads": 2, "initializer_range": 0.5, "max_position_embeddings": 2048}
    return Encoder(Config.from_name("L-2_H-16", **{**fields, **changes}))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.slow
def test_texts_of_unknown_length(jit_compile, small_blocks, monkeypatch):
    encoder = encoder_of(rope_theta=(100.0,))
    batches = []
    for length in (5, 30):
        mask = (np.arange(length) < np.array([[length], [3]])).astype(np.int32)
        ids = np.random.default_rng(0).integers(1, 9, mask.shape) * mask
        batches.append({"input_ids": ids, "input_mask": mask, "segment_ids": np.zeros_like(mask)})

    def hidden_states():
        encoder.compile(jit_compile=jit_compile)  # which forgets the graph
        return [encoder.predict(given, verbose=0)["sequence_output"] for given in batches]

    found = hidden_states()
    monkeypatch.setattr(attention, "LONG", 10**9)  # where the length is known as the graph is made, as JAX does
    for block in encoder.blocks:
        block.attention.may_be_long = False
    for one, other in zip(found, hidden_states(), strict=True):
        assert np.abs(one - other).max() < 1e-5


@pytest.mark.slow
def test_training_and_chosen_queries_compute_all_at_once(small_blocks, monkeypatch):
    layer = layer_of("full")
    monkeypatch.setattr(layer, "mix_by_blocks", lambda *given: pytest.fail("blocks are for inference of whole texts"))
    x, mask, _ = batch(30)
    layer(x, mask, training=True)
    layer(x, Places(mask, positions=np.array([[1, 2], [0, 5]])), x[:, 1:3], training=False)


def test_encoders_that_read_long_texts_alone_have_blocks():
    def settings(**changes):
        return [block.attention.may_be_long for block in encoder_of(**changes).blocks]

    assert settings(max_position_embeddings=1024) == [False, False]
    assert settings() == [True, True]
    local = {"attention": "local", "attention_window": (None, 4)}
    assert settings(**local) == [True, False]
