"""The hashed dropout: right shares, no pattern from place to place nor from key to key, and equal masks twice."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.layers.dropout import drop, dropout_key, hashed_places, mixed

SHAPE = (128, 512)
ELEMENTS = SHAPE[0] * SHAPE[1]
KEYS = [(seed, count) for seed in (0, 1, 1337, 2**31 - 1) for count in range(6)]


def key(seed, count):
    return ops.convert_to_tensor(np.array([seed, count], np.uint32))


@pytest.fixture(scope="module")
def kept():
    """bool (keys, rows, columns): what a rate of 0.1 keeps, for seeds that are neighbours and calls that are."""
    ones = ops.ones(SHAPE)
    return np.stack([np.asarray(drop(ones, key(*each), 0.1)) > 0 for each in KEYS])


def test_what_stays_is_scaled_so_that_the_mean_stays():
    x = np.arange(1, 41, dtype=np.float32).reshape(5, 8)
    outputs = np.asarray(drop(ops.array(x), key(3, 4), 0.5))
    kept = outputs != 0
    assert 5 < kept.sum() < 35
    np.testing.assert_allclose(outputs[kept], 2 * x[kept])


def test_without_a_key_nothing_is_dropped():
    x = ops.ones((2, 3))
    assert drop(x, None, 0.5) is x


def test_the_share_is_the_rate(kept):
    shares = 1 - kept.mean(axis=(1, 2))
    error = (0.1 * 0.9 / ELEMENTS) ** 0.5
    assert np.abs(shares - 0.1).max() < 4 * error
    rows = kept.mean(axis=2)  # each row by itself, too: as far apart as chance has it
    assert 0.9 < rows.var() / (0.09 / SHAPE[1]) < 1.1
    columns = kept.mean(axis=1)
    assert 0.9 < columns.var() / (0.09 / SHAPE[0]) < 1.1


def test_hashes_are_uniform():
    numbers = np.asarray(hashed_places(SHAPE, key(1, 2))).ravel()
    counts, _ = np.histogram(numbers, bins=256, range=(0, 2**32))
    expected = ELEMENTS / 256
    assert 0.7 < ((counts - expected) ** 2 / expected).sum() / 255 < 1.3  # chi squared by its degrees of freedom


def test_masks_of_different_keys_have_nothing_in_common(kept):
    flat = kept.reshape(len(KEYS), -1)
    correlations = np.corrcoef(flat)
    np.fill_diagonal(correlations, 0)
    assert np.abs(correlations).max() < 5 / ELEMENTS**0.5
    for step in (1, 2, 8, 128, 512, 513, 4096):  # nor is a mask another one, or itself, moved along
        for first, second in zip(flat, [flat[0], *flat[:-1]], strict=True):
            assert abs(np.corrcoef(first[step:], second[:-step])[0, 1]) < 5 / ELEMENTS**0.5


def test_a_key_gives_the_same_mask_each_time_and_for_any_dtype():
    x = np.ones((4, 6, 8), np.float32)
    first = np.asarray(drop(ops.array(x), key(5, 6), 0.3))
    np.testing.assert_array_equal(np.asarray(drop(ops.array(x), key(5, 6), 0.3)), first)
    half = ops.cast(drop(ops.cast(x, "bfloat16"), key(5, 6), 0.3), "float32")
    np.testing.assert_array_equal(np.asarray(half) > 0, first > 0)


def test_mixing_is_one_to_one():
    numbers = np.arange(2**16, dtype=np.uint32)
    for x in (numbers, numbers << 16):
        assert len(np.unique(np.asarray(mixed(ops.convert_to_tensor(x))))) == 2**16


def test_keys_follow_from_the_layer_s_random_state():
    layer = keras.layers.Dropout(0.1, seed=7)
    assert dropout_key(layer, False) is None
    assert dropout_key(keras.layers.Dropout(0.0), True) is None
    keys = [np.asarray(dropout_key(layer, True)).tolist() for _ in range(3)]
    assert len({tuple(each) for each in keys}) == 3
    layer = keras.layers.Dropout(0.1, seed=7)
    assert [np.asarray(dropout_key(layer, True)).tolist() for _ in range(3)] == keys


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's kernels")
def test_no_mask_is_computed_with_int32_which_tensorflow_keeps_off_gpus():
    import tensorflow as tf

    graph = tf.function(lambda x, key: drop(x, key, 0.1), autograph=False).get_concrete_function(
        tf.TensorSpec((None, 4, None)), tf.TensorSpec((2,), tf.uint32)
    )
    nodes = [node for node in graph.graph.get_operations() if node.type in ("AddV2", "Mul", "BitwiseXor")]
    large = [node for node in nodes if node.outputs[0].shape.rank]
    assert large and {node.outputs[0].dtype for node in large} == {tf.uint32}
