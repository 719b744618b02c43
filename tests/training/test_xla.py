"""Chains run through XLA inside TensorFlow's graphs: the numbers of the plain operations, gradients included."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import BertConfig
from keras_bert.layers import common, fusion
from keras_bert.layers.attention import attention_weights
from keras_bert.layers.common import activated, residual_norm
from keras_bert.layers.embeddings import summed_norm
from keras_bert.layers.heads import float32_sum
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.models.losses import _many_class_cross_entropy, cross_entropy
from keras_bert.training import xla
from tests.small import batch_loss

KEY = np.array([3, 4], np.uint32)
NORM = {"rate": 0.2, "epsilon": 1e-12}


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


CHAINS = {
    "gelu_tanh": (activated, arrays((6, 8), 8), {"activation": "gelu_tanh"}),
    "gelu_erf": (activated, arrays((6, 8), 8), {"activation": "gelu_erf"}),
    "without bias": (activated, [*arrays((6, 8)), None], {"activation": "relu"}),
    "norm": (residual_norm, [*arrays((6, 8), 8, (6, 8), 8, 8), KEY], NORM),
    "norm, no dropout": (residual_norm, [*arrays((6, 8), 8, (6, 8), 8, 8), None], NORM),
    "embeddings": (summed_norm, [*arrays((2, 3, 8), (2, 3, 8), (3, 8), 8, 8), KEY], NORM),
    "attention": (
        attention_weights,
        [*arrays((2, 2, 3, 3)), np.array([[1, 1, 0], [1, 1, 1]]), KEY],
        {"scale": 0.5, "rate": 0.2},
    ),
    "output bias": (float32_sum, arrays((2, 3, 5), 5), {}),
    "loss": (_many_class_cross_entropy, [*arrays((2, 3, 7)), np.array([[0, 6, 2], [3, 3, 1]], np.int32)], {}),
}


def value_and_gradients(chain, tensors, settings, *, fuse, dtype="float32"):
    """Runs a chain in a graph; gradients of a weighted sum of its output by its float tensors."""
    variables = [tf.Variable(t, trainable=True) if t is not None and t.dtype == np.float32 else t for t in tensors]
    floats = [v for v in variables if isinstance(v, tf.Variable)]

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            given = [tf.cast(v, dtype) if isinstance(v, tf.Variable) and v.shape.rank > 1 else v for v in variables]
            output = chain(*given, fuse=fuse, **settings)
            weights = tf.cos(tf.reshape(tf.range(tf.size(output), dtype="float32"), tf.shape(output)))
            total = tf.reduce_sum(tf.cast(output, "float32") * weights)
        return output, tape.gradient(total, floats)

    output, gradients = run()
    operations = {op.type for op in run.get_concrete_function().graph.get_operations()}
    assert ("StatefulPartitionedCall" in operations or "PartitionedCall" in operations) == fuse
    return output, gradients


@pytest.mark.parametrize("name", CHAINS)
def test_compiled_chains_give_the_plain_ones_numbers(name):
    output, gradients = value_and_gradients(*CHAINS[name], fuse=True)
    expected, expected_gradients = value_and_gradients(*CHAINS[name], fuse=False)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    assert len(gradients) >= 1
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("name", ["gelu_tanh", "norm", "attention"])
def test_sixteen_bits_stay_sixteen_bits_outside_and_are_thirty_two_inside(name):
    output, gradients = value_and_gradients(*CHAINS[name], fuse=True, dtype="bfloat16")
    assert output.dtype == tf.bfloat16
    expected, expected_gradients = value_and_gradients(*CHAINS[name], fuse=False)
    np.testing.assert_allclose(tf.cast(output, "float32"), expected, atol=2e-2 * np.abs(expected).max())
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=3e-2 * np.abs(theirs).max())


def test_chains_are_left_alone_outside_of_graphs():
    with fusion.unfused():
        expected = activated(*CHAINS["gelu_erf"][1], activation="gelu_erf", fuse=True)
    xla._compiled.cache_clear()
    output = activated(*map(tf.constant, CHAINS["gelu_erf"][1]), activation="gelu_erf", fuse=True)
    np.testing.assert_array_equal(output, expected)
    assert xla._compiled.cache_info().currsize == 0


def test_few_classes_and_many_have_one_loss():
    logits, labels = arrays((2, 3, 7))[0], np.array([[0, 6, 2], [3, 3, 1]])
    few = cross_entropy(labels, keras.ops.array(logits))
    np.testing.assert_allclose(few, _many_class_cross_entropy(logits, labels.astype(np.int32), fuse=False), atol=1e-6)


@pytest.mark.parametrize("dropout", [pytest.param(0.0, marks=pytest.mark.slow), 0.1])
def test_a_training_step_is_the_same_fused_and_not(monkeypatch, dropout):
    monkeypatch.setattr(common, "FUSED_WIDTH", 8)
    config = BertConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    rng = np.random.default_rng(0)
    x = {name: rng.integers(0, 2, (3, 6)) for name in ("input_ids", "segment_ids")}
    x |= {"input_mask": np.ones((3, 6), int), "masked_lm_positions": np.array([[1, 2], [4, 5], [0, 3]])}
    y = {"masked_lm": rng.integers(0, 50, (3, 2)), "next_sentence": np.array([0, 1, 1])}
    results = []
    for fused in (True, False):
        keras.utils.set_random_seed(1)
        model = BertPretrainer(BertEncoder(config))
        model.compile(keras.optimizers.SGD(0.5))
        xla._compiled.cache_clear()
        if fused:
            losses = [batch_loss(model, x, y) for _ in range(4)]
            assert xla._compiled.cache_info().currsize >= 4
        else:
            with fusion.unfused():
                losses = [batch_loss(model, x, y) for _ in range(4)]
            assert xla._compiled.cache_info().currsize == 0
        results.append((np.asarray(losses), model.get_weights()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for ours, theirs in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
