"""LoRA by Keras' `enable_lora` on our dense layers: few weights train, and the merged ones are saved."""

import keras
import numpy as np
import pytest

from keras_bert.models.weights import collect_arrays
from keras_bert.training.optimizers import adamw
from tests.models.conftest import flat_outputs, inputs_of, labels_of, make, randomise
from tests.small import batch_loss

RANK, ALPHA = 2, 6
NAMES = {
    "query": "attention/self/query",
    "key": "attention/self/key",
    "value": "attention/self/value",
    "attention_output": "attention/output/dense",
    "intermediate": "intermediate/dense",
    "block_output": "output/dense",
}


def dense_layer(block, name):
    return getattr(block.attention if name in ("query", "key", "value") else block, name)


def with_lora(model):
    """Freezes the encoder but for low-rank weights on every dense layer of its blocks."""
    model.encoder.trainable = False
    for block in model.encoder.blocks:
        for name in NAMES:
            layer = dense_layer(block, name)
            layer.enable_lora(RANK, lora_alpha=ALPHA)
            for variable in (layer.lora_kernel_a, layer.lora_kernel_b):
                variable.trainable = True
    return model


@pytest.fixture
def trained(config, batch):
    """(model with LoRA after three steps, its arrays before them, its inputs)."""
    model = with_lora(randomise(make("classifier", config)))
    before = collect_arrays(model)
    model.compile(adamw(1e-1), run_eagerly=True)
    x = inputs_of(model, batch)
    model.fit(x, labels_of("classifier"), epochs=3, verbose=0)
    return model, before, x


def test_only_the_low_rank_weights_and_the_head_are_trained(config, batch):
    model = with_lora(randomise(make("classifier", config)))
    names = sorted(variable.name for variable in model.trainable_variables)
    assert names == ["bias", "kernel"] + ["lora_kernel_a"] * 12 + ["lora_kernel_b"] * 12
    start = {variable.path: np.array(variable) for variable in model.variables}
    model.compile(adamw(1e-1), run_eagerly=True)
    model.fit(inputs_of(model, batch), labels_of("classifier"), epochs=3, verbose=0)
    moved = {v.path for v in model.variables if np.abs(np.array(v) - start[v.path]).max() > 0}
    assert moved == {v.path for v in model.trainable_variables}


def test_it_starts_as_the_model_was(config, batch):
    model = randomise(make("classifier", config))
    x = inputs_of(model, batch)
    before = flat_outputs(model, x)[0]
    np.testing.assert_allclose(flat_outputs(with_lora(model), x)[0], before, atol=1e-6)


def test_the_arrays_of_a_checkpoint_are_merged(trained):
    model, before, _ = trained
    after = collect_arrays(model)
    assert after.keys() == before.keys()
    for i, block in enumerate(model.encoder.blocks):
        for name, scope in NAMES.items():
            layer = dense_layer(block, name)
            a, b = np.array(layer.lora_kernel_a), np.array(layer.lora_kernel_b)
            kernel = f"bert/encoder/layer_{i}/{scope}/kernel"
            expected = before.pop(kernel) + a @ b * ALPHA / RANK
            assert np.abs(a @ b).max() > 1e-2
            np.testing.assert_allclose(after[kernel], expected, atol=1e-6)
    for name, array in before.items():
        if name.startswith("bert/"):
            np.testing.assert_array_equal(after[name], array)


def test_directories_and_files_compute_the_same_without_lora(trained, tmp_path):
    model, _, x = trained
    expected = flat_outputs(model, x)[0]
    model.save_pretrained(tmp_path / "model")
    model.save(tmp_path / "model.keras")
    for again in (type(model).from_pretrained(tmp_path / "model"), keras.saving.load_model(tmp_path / "model.keras")):
        assert not any("lora" in variable.path for variable in again.variables)
        np.testing.assert_allclose(flat_outputs(again, x)[0], expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["pretrainer", "span_labeler", "token_classifier", "multiple_choice"])
def test_every_head_goes_with_it(config, batch, kind):
    model = with_lora(make(kind, config))
    model.compile("sgd", run_eagerly=True)
    labels = batch[1] if kind == "pretrainer" else labels_of(kind)
    assert np.isfinite(batch_loss(model, inputs_of(model, batch), labels))
    assert sum("lora" in variable.path for variable in model.trainable_variables) == 24


def test_heads_can_have_it_too(config, batch):
    model = make("pretrainer", config)
    for layer in (model.encoder.pooler.dense, model.masked_lm_transform.dense, model.next_sentence):
        layer.enable_lora(1)
    model.compile("sgd", run_eagerly=True)
    before = [np.array(v) for v in model.variables if "lora_kernel_b" in v.path]
    model.train_on_batch(*batch)
    after = [np.array(v) for v in model.variables if "lora_kernel_b" in v.path]
    assert len(before) == 3
    assert all(np.abs(a - b).max() > 0 for a, b in zip(before, after, strict=True))
