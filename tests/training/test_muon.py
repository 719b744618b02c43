"""Muon: its steps worked out in NumPy and by torch's own, which variables it takes, and what Keras asks of it."""

import keras
import numpy as np
import pytest

from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.models import Encoder, Pretrainer
from keras_bert.training.muon import COEFFICIENTS, Muon, is_block_matrix, muon, orthogonal
from keras_bert.training.optimizers import BertAdamW
from keras_bert.training.schedules import WarmupSchedule

STEPS = 3


def encoder(**fields):
    return Encoder(Config.from_name("L-2_H-8", vocab_size=11, num_attention_heads=2, intermediate_size=12, **fields))


def trained(model, optimizer, *, seed=3):
    """Returns {path: (before, after)} of a model's variables after some steps of random gradients, and these."""
    rng, variables = np.random.default_rng(seed), model.trainable_variables
    optimizer.build(variables)
    before = [np.array(v) for v in variables]
    gradients = [[rng.normal(0, 1, v.shape).astype("float32") for v in variables] for _ in range(STEPS)]
    for each in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in each], variables)
    found = zip(variables, before, strict=True)
    return {v.path: (old, np.array(v)) for v, old in found}, [
        {v.path: g for v, g in zip(variables, each, strict=True)} for each in gradients
    ]


def turned(x):
    """Newton and Schulz's iteration in float64."""
    a, b, c = COEFFICIENTS
    y = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(5):
        y = a * y + b * (y @ y.T @ y) + c * (y @ y.T @ y @ y.T @ y)
    return y


def test_a_matrix_goes_its_way_and_the_rest_goes_adams():
    options = {"weight_decay": 0.1, "global_clipnorm": None, "beta_2": 0.98}
    keras.utils.set_random_seed(1)
    model = encoder()
    matrices = {v.path for v in model.trainable_variables if is_block_matrix(v)}
    found, gradients = trained(model, Muon(0.02, momentum=0.9, **options))
    keras.utils.set_random_seed(1)
    adams, _ = trained(encoder(), BertAdamW(0.02, **options))
    assert len(matrices) == 2 * 6 and len(found) > len(matrices) + 2 * 10
    for path, (before, after) in found.items():
        w, m = before.astype(np.float64), np.zeros(before.shape)
        if path not in matrices:
            np.testing.assert_allclose(after, adams[path][1], rtol=1e-5, atol=1e-7, err_msg=path)
            continue
        for each in gradients:
            m = 0.9 * m + 0.1 * each[path]
            update = turned(0.1 * each[path] + 0.9 * m) * 0.2 * max(w.shape) ** 0.5
            w = w - 0.02 * (update + 0.1 * w)
        np.testing.assert_allclose(after, w, rtol=0, atol=1e-5, err_msg=path)


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (9, 4), (1, 6)])
def test_singular_values_come_close_to_one(shape):
    x = np.random.default_rng(0).normal(0, 30, shape).astype("float32")
    y = np.array(orthogonal(keras.ops.convert_to_tensor(x)))
    values = np.linalg.svd(y, compute_uv=False)
    assert values.min() > 0.6 and values.max() < 1.25
    u, _, v = np.linalg.svd(x, full_matrices=False)
    assert np.abs(y - u @ v).max() < 0.4 * np.abs(u @ v).max()


def test_a_gradient_of_zeros_moves_nothing():
    assert not np.array(orthogonal(keras.ops.zeros((3, 4)))).any()


@pytest.mark.slow
def test_torch_takes_the_same_steps():
    torch = pytest.importorskip("torch", reason="the parity extra")
    model = encoder()
    found, gradients = trained(model, Muon(0.02, weight_decay=0.1, global_clipnorm=None))
    for path in (v.path for v in model.trainable_variables if is_block_matrix(v)):
        before, after = found[path]
        theirs = torch.nn.Parameter(torch.tensor(before.copy()))
        optimizer = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        for each in gradients:
            theirs.grad = torch.tensor(each[path])
            optimizer.step()
        moved = np.abs(after - before).max()
        np.testing.assert_allclose(after, theirs.detach().numpy(), rtol=0, atol=0.1 * moved)  # torch's in bfloat16


def test_embeddings_heads_and_vectors_are_no_matrices():
    model = Pretrainer(encoder())
    taken = [v for v in model.trainable_variables if is_block_matrix(v)]
    layers = {"query", "key", "value", "attention_output", "intermediate", "output"}
    assert {v.path.split("/")[-2] for v in taken} == layers and len(taken) == 2 * len(layers)
    assert not any("embedding" in v.path or "masked_lm" in v.path or "pooler" in v.path for v in taken)
    optimizer = Muon()
    optimizer.build(model.trainable_variables)
    kept = sum(velocity is not None for velocity in optimizer.velocities)
    assert kept == len(model.trainable_variables) - len(taken)


def test_a_model_without_an_encoder_is_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    with pytest.raises(UserError, match="Muon needs a model with an Encoder"):
        Muon().build(model.trainable_variables)
    with pytest.raises(UserError, match="momentum must be"):
        Muon(momentum=1.0)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="is about TensorFlow")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_graph_takes_the_same_steps(jit_compile):
    import tensorflow as tf

    ours = []
    for graph in (False, True):
        keras.utils.set_random_seed(1)
        model, optimizer = encoder(), Muon(0.02)
        optimizer.build(model.trainable_variables)
        apply = lambda *g, o=optimizer, m=model: o.apply(list(g), m.trainable_variables)  # noqa: E731
        apply = tf.function(apply, jit_compile=jit_compile) if graph else apply
        rng = np.random.default_rng(0)
        for _ in range(STEPS):
            apply(*[tf.constant(rng.normal(0, 1, v.shape), tf.float32) for v in model.trainable_variables])
        ours.append([np.array(v) for v in model.trainable_variables])
    for one, two in zip(*ours, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_it_is_saved_with_its_state(tmp_path):
    x = {name: np.ones((4, 6), "int32") for name in ("input_ids", "input_mask", "segment_ids")}
    x["masked_lm_positions"] = np.array([[1, 2]] * 4)
    y = {"masked_lm": np.array([[3, 4]] * 4), "next_sentence": np.zeros(4, "int32")}
    model = Pretrainer(encoder(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    model.compile(muon(1e-2, num_train_steps=8, num_warmup_steps=2, schedule="wsd", num_decay_steps=3))
    model.fit(x, y, verbose=0, batch_size=4)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, Muon) and isinstance(again.optimizer._learning_rate, WarmupSchedule)
    losses = [each.fit(x, y, verbose=0, batch_size=4, epochs=3).history["loss"] for each in (model, again)]
    assert losses[0] == losses[1] and losses[0][-1] < losses[0][0]
