"""What holds for every family and head in training: a step, remat, LoRA, layer-wise rates."""

import keras
import numpy as np
import pytest

from tests.families.rows import EVERY_MODEL, SOME_MODELS, assert_same, batch, build, labels, model_of, outputs
from tests.small import batch_loss

DENSE = ("attention.query", "attention.key", "attention.value", "attention_output", "intermediate", "block_output")


def dense_layers(encoder):
    """Yields the dense layers of the blocks."""
    for block in encoder.blocks:
        for path in DENSE:
            owner, _, name = path.rpartition(".")
            yield getattr(getattr(block, owner) if owner else block, name)


@pytest.mark.parametrize(("family", "kind"), EVERY_MODEL)
def test_every_head_learns(family, kind):
    model = model_of(family, kind)
    model.compile(keras.optimizers.Adam(3e-3), run_eagerly=True)
    before = model.get_weights()
    losses = [batch_loss(model, batch(model), labels(model)) for _ in range(3)]
    assert np.isfinite(losses).all() and losses[2] < losses[0]
    moved = {v.path for v, old in zip(model.weights, before, strict=True) if np.abs(np.array(v) - old).max() > 0}
    untouched = {v.path for v in model.trainable_weights} - moved
    assert all("pooler" in path for path in untouched), untouched  # which not every head reads
    assert not any("pooler" in path for path in untouched) or kind not in ("classification", "multiple_choice")


@pytest.mark.parametrize(("family", "kind"), SOME_MODELS)
def test_remat_changes_nothing(family, kind):
    plain = build(family, kind)
    with keras.RematScope(mode="full"):
        model = build(family, kind)
    found = []
    for each in (plain, model):
        each.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        found.append([batch_loss(each, batch(each), labels(each)) for _ in range(2)])
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert_same(model.get_weights(), plain.get_weights(), atol=1e-5)


@pytest.mark.parametrize(("family", "kind"), SOME_MODELS)
def test_lora_trains_little_and_is_saved_merged(family, kind, tmp_path):
    model = build(family, kind)
    x = batch(model)
    before = outputs(model, x)
    model.encoder.trainable = False
    for layer in dense_layers(model.encoder):
        layer.enable_lora(2)
        layer.lora_kernel_a.trainable = layer.lora_kernel_b.trainable = True
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    words = np.array(model.encoder.token_embedding.embeddings)
    for _ in range(2):
        batch_loss(model, x, labels(model))
    np.testing.assert_array_equal(model.encoder.token_embedding.embeddings, words)
    assert all(np.abs(np.array(layer.lora_kernel_b)).max() > 0 for layer in dense_layers(model.encoder))
    after = outputs(model, x)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(after, before, strict=True))
    model.save_pretrained(tmp_path / "model")
    again = type(model).from_pretrained(tmp_path / "model")
    assert not any("lora" in variable.path for variable in again.variables)
    assert_same(outputs(again, x), after, atol=1e-5)
