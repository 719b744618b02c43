"""BERT's AdamW by hand."""

import keras
import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.training.optimizers import BertAdamW, adamw
from tests import reference_bert


def variable(values):
    return keras.Variable(np.array(values, np.float32))


def apply(optimizer, gradients, variables):
    optimizer.apply([keras.ops.array(g, "float32") for g in gradients], variables)


def test_adamw_has_bert_s_settings():
    optimizer = adamw(2e-5, num_train_steps=100, num_warmup_steps=10)
    assert isinstance(optimizer.get_config()["learning_rate"], dict)
    settings = (optimizer.decay, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, optimizer.global_clipnorm)
    assert settings == (0.01, 0.9, 0.999, 1e-6, 1.0)
    assert optimizer.bias_correction is False
    assert float(adamw(2e-5).learning_rate) == pytest.approx(2e-5)  # a constant rate


def test_two_steps_by_hand():
    matrix, vector = variable([[1.0, -2.0]]), variable([3.0])
    optimizer = BertAdamW(0.1, global_clipnorm=None)
    optimizer.build([matrix, vector])
    apply(optimizer, [[[0.5, 0.0]], [-0.2]], [matrix, vector])
    # m = 0.1 g, v = 0.001 g^2, so m / sqrt(v) is 0.1 / sqrt(0.001) = 3.1623 times the sign
    np.testing.assert_allclose(
        matrix, [[1 - 0.1 * (0.05 / (0.5 * 0.001**0.5 + 1e-6) + 0.01), -2 * (1 - 0.001)]], rtol=1e-6
    )
    np.testing.assert_allclose(vector, [3 + 0.1 * 0.02 / (0.2 * 0.001**0.5 + 1e-6)], rtol=1e-6)
    before = np.asarray(vector).copy()
    apply(optimizer, [[[0.0, 0.0]], [0.4]], [matrix, vector])
    m, v = 0.9 * -0.02 + 0.1 * 0.4, 0.999 * 0.001 * 0.04 + 0.001 * 0.16
    np.testing.assert_allclose(vector, before - 0.1 * m / (v**0.5 + 1e-6), rtol=1e-5)


def test_many_steps_follow_google_s_rule():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 4)), rng.normal(size=4)]
    variables = [variable(a) for a in arrays]
    schedule = {"learning_rate": 1e-2, "num_train_steps": 12, "num_warmup_steps": 3}
    optimizer = adamw(**schedule)
    moments = [(0.0, 0.0), (0.0, 0.0)]
    for step in range(12):
        gradients = [rng.normal(size=a.shape) for a in arrays]
        apply(optimizer, gradients, variables)
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        for i, gradient in enumerate(gradients):
            arrays[i], *moments[i] = reference_bert.adam_weight_decay(
                arrays[i],
                gradient / max(1.0, norm),
                *moments[i],
                rate=reference_bert.rate(step, **schedule),
                decay=0.01 if i == 0 else 0.0,
            )
    for ours, array in zip(variables, arrays, strict=True):
        np.testing.assert_allclose(ours, array, rtol=1e-5, atol=1e-7)


def test_there_is_no_bias_correction_unless_asked_for():
    plain, corrected = variable([0.0]), variable([0.0])
    for w, optimizer in ((plain, BertAdamW(1.0)), (corrected, BertAdamW(1.0, bias_correction=True))):
        apply(optimizer, [[0.3]], [w])
    assert float(plain[0]) == pytest.approx(-0.1 / 0.001**0.5, rel=1e-3)
    assert float(corrected[0]) == pytest.approx(-1.0, rel=1e-4)  # m / 0.1 and v / 0.001: the sign of the gradient
    optimizer = BertAdamW(1.0, bias_correction=True)
    w, gradients = variable([0.0]), (0.3, -0.5)
    for gradient in gradients:
        before = float(w[0])
        apply(optimizer, [[gradient]], [w])
    m = (0.9 * 0.1 * 0.3 + 0.1 * -0.5) / (1 - 0.9**2)
    v = (0.999 * 0.001 * 0.09 + 0.001 * 0.25) / (1 - 0.999**2)
    assert float(w[0]) == pytest.approx(before - m / (v**0.5 + 1e-6), rel=1e-4)


@pytest.mark.parametrize(("clip", "scale"), [(1.0, 1 / 5), (2.5, 1 / 2), (5.0, 1.0), (7.0, 1.0), (None, 1.0)])
def test_gradients_are_clipped_by_their_common_norm(clip, scale):
    variables = [variable([[1.0]]), variable([1.0])]
    optimizer = BertAdamW(0.0, global_clipnorm=clip)
    apply(optimizer, [[[3.0]], [-4.0]], variables)
    np.testing.assert_allclose(optimizer.momentums[0], [[0.1 * 3 * scale]], rtol=1e-5)
    np.testing.assert_allclose(optimizer.momentums[1], [-0.1 * 4 * scale], rtol=1e-5)
    np.testing.assert_allclose(optimizer.velocities[1], [0.001 * 16 * scale**2], rtol=2e-5)  # 1 - 0.999 in float32


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="only TensorFlow has sparse gradients")
@pytest.mark.parametrize("clip", [None, 1.0])
def test_rows_that_were_looked_up_twice_count_once_with_their_sum(clip):
    import tensorflow as tf

    # rows 1 (twice) and 2; the dense gradient is [0, (2 + 1) , 4, 0], of norm 5
    sparse = tf.IndexedSlices(tf.constant([[2.0], [4.0], [1.0]]), tf.constant([1, 2, 1]), tf.constant([4, 1]))
    results = []
    for gradient in (sparse, tf.constant([[0.0], [3.0], [4.0], [0.0]])):
        table, optimizer = variable([[1.0]] * 4), BertAdamW(0.1, global_clipnorm=clip)
        optimizer.apply([gradient], [table])
        results.append((np.asarray(table), np.asarray(optimizer.momentums[0]), np.asarray(optimizer.velocities[0])))
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)
    np.testing.assert_allclose(results[0][1][1], [0.3 / (5 if clip else 1)], rtol=1e-5)


def test_optimizer_and_schedule_come_back_from_their_configs():
    optimizer = adamw(
        2e-5, num_train_steps=100, num_warmup_steps=10, weight_decay=0.1, beta_1=0.8, bias_correction=True
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is BertAdamW
    assert again.get_config() == optimizer.get_config()
    assert (again.decay, again.beta_1, again.bias_correction, again.global_clipnorm) == (0.1, 0.8, True, 1.0)
    again.iterations.assign(55)
    assert float(again.learning_rate) == pytest.approx(2e-5 * 0.45)
    again = BertAdamW.from_config(adamw(1e-3, global_clipnorm=None).get_config())
    assert again.global_clipnorm is None
    assert float(again.learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize("beta", [{"beta_1": 1.0}, {"beta_2": -0.1}])
def test_betas_out_of_range_are_refused(beta):
    with pytest.raises(UserError, match="beta_1 and beta_2 must be at least 0 and less than 1"):
        adamw(1e-3, **beta)
