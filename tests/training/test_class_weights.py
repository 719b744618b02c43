"""Weights of the loss by class: the sample weights that a batch gets, and the loss that they make."""

import keras
import numpy as np
import pytest

from keras_bert.data.batches import padded_batches
from keras_bert.errors import UserError
from keras_bert.models.losses import SparseCrossEntropy
from keras_bert.training.class_weights import balanced_class_weights, weigh_classes

ROWS = {"input_ids": [[1, 2], [3], [4, 5, 6]], "segment_ids": [[0, 0], [0], [0, 0, 0]]}


def batch(labels, **options):
    return padded_batches(ROWS, labels, batch_size=3, max_seq_length=4, shuffle=False, **options)


def weights_of(dataset):
    return next(dataset.as_numpy_iterator())[2].tolist()


def test_labels_of_examples():
    assert weights_of(weigh_classes(batch([1, 0, 2]), {1: 3.0, 2: 0.5}, 3)) == [3.0, 1.0, 0.5]
    assert weights_of(weigh_classes(batch([1, 0, 1]), [2.0, 4.0], 2)) == [4.0, 2.0, 4.0]
    given = batch([1, 0, 1], sample_weights=[1.0, 10.0, 100.0])
    assert weights_of(weigh_classes(given, [2.0, 4.0], 2)) == [4.0, 20.0, 400.0]
    assert len(weigh_classes(given, [2.0, 4.0], 2)) == 1


def test_labels_of_tokens():
    labels = [[1, 0], [0], [-100, 1, 1]]
    weighed = weigh_classes(batch(labels, sample_weights=[1.0, 1.0, 3.0]), {1: 2.0}, 2)
    _, y, weights = next(weighed.as_numpy_iterator())
    assert np.where(y == -100, 0, weights).tolist() == [[2, 1, 0, 0], [1, 0, 0, 0], [0, 6, 6, 0]]


def test_the_loss_is_the_weighted_mean():
    logits = np.array([[1.0, 0.0], [0.5, 2.0], [0.0, 0.0]], np.float32)
    labels, weights = np.array([0, 1, 1]), [3.0, 0.5]
    each = -np.log(np.exp(logits)[range(3), labels] / np.exp(logits).sum(axis=1))
    expected = (3.0 * each[0] + 0.5 * each[1] + 0.5 * each[2]) / 4.0
    _, y, by_class = next(weigh_classes(batch(labels), weights, 2).as_numpy_iterator())
    loss = SparseCrossEntropy()(y, keras.ops.convert_to_tensor(logits), sample_weight=by_class)
    np.testing.assert_allclose(float(loss), expected, rtol=1e-6)


def test_balanced_weights_are_scikit_learn_s():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0, 0, 0, 2, 2, 1])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balanced_class_weights(labels, 3), expected, rtol=1e-6)
    assert balanced_class_weights([0, 1], 3).tolist()[2] == 1.0


@pytest.mark.parametrize(
    ("labels", "class_weights", "message"),
    [
        ([0, 1, 1], {2: 1.0}, "a class 2, but the classes are 0 to 1"),
        ([0, 1, 1], {"yes": 1.0}, "a class 'yes'"),
        ([0, 1, 1], [1.0, 2.0, 3.0], "shape \\(3,\\) for 2 classes"),
        ([0, 1, 1], [1.0, -2.0], "at least 0, and not all 0"),
        ([0, 1, 1], [0.0, 0.0], "at least 0, and not all 0"),
        ([0, 1, 1], [1.0, float("nan")], "at least 0, and not all 0"),
        ([0.5, 1.0, 1.0], [1.0, 2.0], "Received: float32 labels"),
        ({"start": [0, 1, 1]}, [1.0, 2.0], "Received: labels of several outputs"),
        (None, [1.0, 2.0], "Received: no labels"),
    ],
)
def test_weights_that_do_not_fit(labels, class_weights, message):
    with pytest.raises(UserError, match=message):
        weigh_classes(batch(labels), class_weights, 2)
