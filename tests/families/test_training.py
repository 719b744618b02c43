"""What holds for every family and head in training: a step, remat, LoRA, layer-wise rates."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.checkpoints.parts import reads_pooler
from keras_bert.models import Encoder
from keras_bert.models.walk import walk
from keras_bert.tasks.runs import _freeze
from tests.families.golden import loss_and_gradients
from tests.families.rows import (
    CONFIGS,
    EVERY_MODEL,
    NEW,
    ODD_MODELS,
    assert_same,
    batch,
    build,
    labels,
    model_of,
    outputs,
)
from tests.small import batch_loss

DENSE = ("attention.query", "attention.key", "attention.value", "attention_output", "intermediate", "block_output")


def dense_layers(encoder):
    """Yields the dense layers of the blocks."""
    for block in encoder.blocks:
        for path in DENSE:
            owner, _, name = path.rpartition(".")
            yield getattr(getattr(block, owner) if owner else block, name)


@pytest.mark.parametrize(("family", "kind"), EVERY_MODEL)
@pytest.mark.slow
def test_every_head_learns(family, kind):
    model = model_of(family, kind)
    model.compile(keras.optimizers.SGD(1e-2), run_eagerly=True)
    before = model.get_weights()
    losses = [batch_loss(model, batch(model), labels(model)) for _ in range(2)]
    assert np.isfinite(losses).all() and losses[1] < losses[0]
    moved = {id(v) for v, old in zip(model.weights, before, strict=True) if np.abs(np.array(v) - old).max() > 0}
    kernels = [f for f in walk(model) if f.variable.name == "kernel"]  # there are biases that no loss depends on
    unmoved = {f.weight.name for f in kernels if id(f.variable) not in moved}
    pooled = (
        "next_sentence" in model.objectives
        if model.TASK == "fill_mask"
        else reads_pooler(model.bert_config, model.TASK)
    )
    assert unmoved <= (set() if pooled else {"bert/pooler/dense/kernel"})


@pytest.mark.parametrize(("family", "kind"), ODD_MODELS)
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


@pytest.mark.parametrize("family", [pytest.param(family, marks=pytest.mark.slow) for family in NEW])
def test_a_frozen_encoder_drops_nothing(family):
    """Dropout of tables, convolutions and gated layers is silenced, too."""
    rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.5)
    rates |= {"feed_forward_dropout_prob": 0.5} if CONFIGS[family].gated else {}
    encoder = Encoder(CONFIGS[family].replace(**rates))
    x = batch(encoder)
    plain, dropped = (ops.convert_to_numpy(encoder(x, training=on)["sequence_output"]) for on in (False, True))
    assert np.abs(plain - dropped).max() > 0.1
    _freeze(encoder)
    np.testing.assert_array_equal(encoder(x, training=True)["sequence_output"], plain)
    assert encoder.bert_config.hidden_dropout_prob == 0.5


@pytest.mark.parametrize(("family", "kind"), ODD_MODELS)
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


@pytest.mark.slow
def test_mobilebert_does_not_train_padding_that_neighbours_read():
    model = build("mobilebert", "tag")
    x, row = batch(model), model.bert_config.pad_token_id
    x["input_ids"][0, 4] = row  # in a text, where the projection learns all the same
    _, gradients = loss_and_gradients(model, x, labels(model), None)
    names = {id(f.variable): f.weight.name for f in walk(model)}
    found = {names[id(v)]: g for v, g in zip(model.trainable_variables, gradients, strict=True)}
    table = found["bert/embeddings/word_embeddings"]
    assert np.abs(table[row]).max() == 0 and np.abs(table[x["input_ids"][0, 3]]).max() > 0
    segments = found["bert/embeddings/token_type_embeddings"].sum(axis=0)  # of all places, those of padding too
    np.testing.assert_allclose(found["bert/embeddings_project/bias"], segments, atol=1e-5 * np.abs(segments).max())
