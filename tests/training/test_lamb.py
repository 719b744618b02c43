"""LAMB by hand and against plain NumPy (You et al. 2020; google-research/albert, lamb_optimizer.py)."""

import keras
import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.training.optimizers import BertAdamW, Lamb, lamb
from tests import reference_bert
from tests.training.test_optimizers import apply, variable


def lamb_step(array, gradient, m, v, *, step, rate, bias_correction, decay=0.01):
    """Returns the array, m and v after one step in float64; `step` counts from 1."""
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    unbiased = (m / (1 - 0.9**step), v / (1 - 0.999**step)) if bias_correction else (m, v)
    update = unbiased[0] / (np.sqrt(unbiased[1]) + 1e-6)
    ratio = 1.0
    if array.ndim > 1:  # the rest is LayerNorm and biases
        update = update + decay * array
        norms = np.linalg.norm(array), np.linalg.norm(update)
        ratio = norms[0] / norms[1] if min(norms) > 0 else 1.0
    return array - rate * ratio * update, m, v


def test_one_step_by_hand():
    matrix, vector = variable([[3.0, -4.0]]), variable([2.0])
    apply(Lamb(0.1, weight_decay=0.0, global_clipnorm=None), [[[0.5, 0.5]], [-0.5]], [matrix, vector])
    # m / sqrt(v) is 0.1 / sqrt(0.001) = 3.1623 times the sign; the matrix' norm is 5, its update's 3.1623 * sqrt(2)
    np.testing.assert_allclose(matrix, [[3 - 0.1 * 5 / 2**0.5, -4 - 0.1 * 5 / 2**0.5]], rtol=1e-6)
    np.testing.assert_allclose(vector, [2 + 0.1 * 0.1 / 0.001**0.5], rtol=1e-5)


def test_decay_counts_in_the_update_s_norm():
    matrix = variable([[3.0, -4.0]])
    apply(Lamb(0.1, weight_decay=0.01), [[[0.0, 0.0]]], [matrix])
    np.testing.assert_allclose(matrix, [[2.7, -3.6]], rtol=1e-6)  # the update is all decay: the ratio undoes its 0.01


@pytest.mark.parametrize(("weights", "gradient"), [([[0.0, 0.0]], [[0.5, 0.5]]), ([[3.0, 4.0]], [[0.0, 0.0]])])
def test_the_ratio_is_one_where_a_norm_is_zero(weights, gradient):
    ours, theirs = variable(weights), variable(weights)
    apply(Lamb(0.1, weight_decay=0.0), [gradient], [ours])
    apply(BertAdamW(0.1, weight_decay=0.0), [gradient], [theirs])
    assert np.isfinite(ours.numpy()).all()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("bias_correction", [False, True])
def test_twenty_steps_follow_plain_numpy(bias_correction):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 4)), rng.normal(size=4), np.zeros((2, 2)), rng.normal(size=(2, 3, 2))]
    variables = [variable(a) for a in arrays]
    schedule = {"learning_rate": 5e-2, "num_train_steps": 20, "num_warmup_steps": 3}
    optimizer = lamb(**schedule, bias_correction=bias_correction)
    moments = [(0.0, 0.0)] * len(arrays)
    for step in range(20):
        gradients = [rng.normal(size=a.shape) * (0.1 if step % 3 else 1.0) for a in arrays]  # clipped and not
        apply(optimizer, gradients, variables)
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        for i, gradient in enumerate(gradients):
            arrays[i], *moments[i] = lamb_step(
                arrays[i],
                gradient / max(1.0, norm),
                *moments[i],
                step=step + 1,
                rate=reference_bert.rate(step, **schedule),
                bias_correction=bias_correction,
            )
    for ours, array in zip(variables, arrays, strict=True):
        np.testing.assert_allclose(ours, array, rtol=2e-4, atol=1e-6)


def test_excluded_variables_neither_decay_nor_adapt():
    kept, excluded = variable([[3.0, -4.0]]), variable([[3.0, -4.0]])
    optimizer = Lamb(0.1, weight_decay=0.01, global_clipnorm=None)
    optimizer.exclude_from_weight_decay(var_list=[excluded])
    apply(optimizer, [[[0.5, 0.5]], [[0.5, 0.5]]], [kept, excluded])
    step = 0.1 * 0.1 / 0.001**0.5  # that of Adam without decay
    np.testing.assert_allclose(excluded, [[3 - step, -4 - step]], rtol=1e-5)
    assert abs(float(kept[0, 0]) - 3) > 1.1 * step


def test_exclusions_are_told_before_the_first_step():
    named, natives, neither = (keras.Variable(np.ones((1, 2)), name=name) for name in ("table_1", "kernel", "kernel"))
    optimizer = Lamb(0.1)
    optimizer.exclude_from_weight_decay(var_list=[named])
    optimizer.exclude_from_weight_decay(var_list=[natives.value], var_names=["tab"])  # in the place of the first
    optimizer.build([named, natives, neither])
    assert optimizer.decayed == [False, False, True]
    with pytest.raises(UserError, match="exclude_from_weight_decay must be called before the optimizer's first step"):
        optimizer.exclude_from_weight_decay(var_list=[neither])


def test_lamb_comes_back_from_its_config():
    optimizer = lamb(1e-3, num_train_steps=10, weight_decay=0.1, beta_2=0.99, bias_correction=True, layer_decay=0.8)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is Lamb
    assert again.get_config() == optimizer.get_config()
    settings = (again.decay, again.beta_2, again.bias_correction, again.layer_decay, again.global_clipnorm)
    assert settings == (0.1, 0.99, True, 0.8, 1.0)
