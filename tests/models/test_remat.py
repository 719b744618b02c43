"""keras.RematScope: blocks are computed again in the backward pass, with the same masks and so equal gradients."""

import contextlib

import keras
import numpy as np
import pytest

from keras_bert.layers import TransformerBlock
from tests.models.conftest import KINDS, inputs_of, labels_of, make
from tests.small import batch_loss

SCOPES = {
    "full": {"mode": "full"},
    "larger_than": {"mode": "larger_than", "output_size_threshold": 10},
    "list_of_layers": {"mode": "list_of_layers", "layer_names": ["layer_1"]},
    "activations": {"mode": "activations"},
}


def trained(kind, config, batch, scope, **options):
    """Returns the losses of three steps of plain gradient descent and the weights after them."""
    keras.utils.set_random_seed(0)
    config = config.replace(hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)
    with keras.RematScope(**SCOPES[scope]) if scope else contextlib.nullcontext():
        model = make(kind, config, **({"dtype": options.pop("dtype")} if "dtype" in options else {}))
    model.compile(keras.optimizers.SGD(0.5), **options)
    x, y = inputs_of(model, batch), batch[1] if kind == "pretrainer" else labels_of(kind)
    losses = [batch_loss(model, x, y) for _ in range(3)]
    return losses, model.get_weights()


def assert_equal(one, two):
    assert one[0] == pytest.approx(two[0], abs=1e-6)
    for ours, theirs in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.fixture(scope="module")
def plain(config, batch):
    return trained("classifier", config, batch, None)


@pytest.mark.parametrize(
    "scope",
    [scope if scope in ("full", "larger_than") else pytest.param(scope, marks=pytest.mark.slow) for scope in SCOPES],
)
def test_training_is_the_same_in_every_mode(config, batch, plain, scope):
    assert_equal(trained("classifier", config, batch, scope), plain)


@pytest.mark.slow
def test_training_is_the_same_eagerly_and_in_bfloat16(config, batch, plain):
    assert_equal(trained("classifier", config, batch, "full", run_eagerly=True), plain)
    options = {"dtype": "mixed_bfloat16"}
    assert_equal(
        trained("classifier", config, batch, "full", **options), trained("classifier", config, batch, None, **options)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("encoder", "classifier")])
def test_every_model_trains_the_same(config, batch, kind):
    assert_equal(trained(kind, config, batch, "full"), trained(kind, config, batch, None))


@pytest.mark.slow
def test_training_is_the_same_under_xla(config, batch):
    options = {"jit_compile": True}
    assert_equal(
        trained("pretrainer", config, batch, "full", **options), trained("pretrainer", config, batch, None, **options)
    )


def counting_block(scope):
    """Returns a block and a list that gets an entry each time its attention is computed."""
    with keras.RematScope(**SCOPES[scope]) if scope else contextlib.nullcontext():
        block = TransformerBlock(2, 16, dropout=0.0, attention_dropout=0.0, name="layer_1")
    block.build((None, None, 8))
    calls, attend = [], block.attention.call
    block.attention.call = lambda *args, **kwargs: calls.append(1) or attend(*args, **kwargs)
    return block, calls


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="counts TensorFlow's eager calls")
@pytest.mark.parametrize(("scope", "times"), [("full", 2), ("list_of_layers", 2), (None, 1)])
def test_a_chosen_block_is_computed_again_in_the_backward_pass(scope, times):
    import tensorflow as tf

    block, calls = counting_block(scope)
    x, mask = tf.random.normal((2, 4, 8)), tf.ones((2, 4), tf.int32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(block(x, mask, training=True) ** 2)
    assert len(calls) == 1
    tape.gradient(total, x)
    assert len(calls) == times
    block(x, mask, training=False)
    assert len(calls) == times + 1


def test_masks_go_on_from_call_to_call():
    with keras.RematScope(mode="full"):
        block = TransformerBlock(2, 16, dropout=0.5)
    x, mask = np.ones((2, 4, 8), np.float32), np.ones((2, 4), np.int32)
    first, second = (keras.ops.convert_to_numpy(block(x, mask, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    states = [v for v in block.non_trainable_variables if "seed" in v.path]
    assert [int(keras.ops.convert_to_numpy(state)[1]) > 0 for state in states] == [True, True]


def test_a_block_may_be_told_that_there_are_no_positions():
    with keras.RematScope(mode="full"):
        block = TransformerBlock(2, 16)
    outputs = block(np.ones((2, 4, 8), np.float32), np.ones((2, 4), np.int32), None, training=True)
    assert outputs.shape == (2, 4, 8)
