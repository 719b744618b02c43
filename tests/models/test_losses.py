"""The pre-training loss by hand: padding slots weigh nothing."""

import math

import keras
import numpy as np
import pytest

from keras_bert.models import SparseCrossEntropy
from keras_bert.models.losses import masked_lm_sums

# One instance, three slots, two words; the last slot is padding.
LABELS = np.array([[1, 0, 0]])
LOGITS = np.array([[[0.0, math.log(3)], [0.0, math.log(3)], [50.0, -50.0]]], np.float32)
WEIGHTS = np.array([[1.0, 1.0, 0.0]], np.float32)
# log-probabilities: 3/4 for word 1 and 1/4 for word 0 in the first two slots
SUM = -math.log(3 / 4) - math.log(1 / 4)


def test_sums_by_hand():
    total, right, count = masked_lm_sums(LABELS, LOGITS, WEIGHTS)
    assert float(total) == pytest.approx(SUM, rel=1e-6)
    assert (float(right), float(count)) == (1.0, 2.0)


def test_the_loss_is_the_sum_over_the_number_of_slots_that_weigh():
    loss = SparseCrossEntropy()(LABELS, LOGITS, sample_weight=WEIGHTS)
    assert float(loss) == pytest.approx(SUM / 2, rel=1e-6)


@pytest.mark.parametrize("what", ["labels", "logits"])
def test_padding_slots_change_nothing(what):
    labels, logits = LABELS.copy(), LOGITS.copy()
    if what == "labels":
        labels[0, 2] = 1
    else:
        logits[0, 2] = [-30, 30]
    expected = [float(x) for x in masked_lm_sums(LABELS, LOGITS, WEIGHTS)]
    assert [float(x) for x in masked_lm_sums(labels, logits, WEIGHTS)] == expected
    assert float(SparseCrossEntropy()(labels, logits, sample_weight=WEIGHTS)) == pytest.approx(SUM / 2, rel=1e-6)


def test_a_batch_without_a_slot_has_no_loss_and_is_no_nan():
    assert float(SparseCrossEntropy()(LABELS, LOGITS, sample_weight=0 * WEIGHTS)) == 0.0


def test_without_weights_it_is_the_mean():
    labels, logits = LABELS[0, :2], LOGITS[0, :2]
    assert float(SparseCrossEntropy()(labels, logits)) == pytest.approx(SUM / 2, rel=1e-6)


def test_bfloat16_logits_are_summed_in_float32():
    rng = np.random.default_rng(0)
    logits = keras.ops.cast(rng.normal(size=(8, 50, 30)), "bfloat16")
    labels = rng.integers(0, 30, (8, 50))
    exact = keras.ops.cast(logits, "float32")
    loss, expected = SparseCrossEntropy()(labels, logits), SparseCrossEntropy()(labels, exact)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == float(expected)
    assert float(masked_lm_sums(labels, logits, np.ones((8, 50), np.float32))[0]) == pytest.approx(
        400 * float(expected)
    )


def test_large_ids_are_not_rounded():
    # the losses of Keras turn labels into floats on the way; 250,001 and 250,002 must stay apart
    logits = np.zeros((1, 250_003), np.float32)
    logits[0, 250_001] = 40.0
    assert float(SparseCrossEntropy()(np.array([250_001]), logits)) < 1e-5
    assert float(SparseCrossEntropy()(np.array([250_002]), logits)) > 20


@pytest.mark.parametrize("label", [-1, 5000])
def test_a_label_beyond_many_classes_is_no_number(label):
    losses = SparseCrossEntropy(reduction="none")(np.array([[label, 7]]), np.zeros((1, 2, 5000), np.float32))
    np.testing.assert_allclose(losses, [[np.nan, math.log(5000)]], rtol=1e-6)


def test_the_loss_comes_back_from_its_config():
    loss = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(SparseCrossEntropy()))
    assert isinstance(loss, SparseCrossEntropy)
    assert loss.reduction == "mean_with_sample_weight"
