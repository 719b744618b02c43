"""What Keras' optimizers promise, for both of ours: eager, graph, XLA, accumulation, averages, scaling, reload, JAX."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.training.optimizers import BertAdamW, Lamb, adamw, lamb
from tests.small import batch_loss

ROOT = Path(__file__).resolve().parents[2]
BOTH = pytest.mark.parametrize("make", [BertAdamW, Lamb])
ON_TENSORFLOW = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="is about TensorFlow")
GRADIENTS = [[[[3.0, 0.0]], [1.0]], [[[1.0, 2.0]], [-3.0]], [[[-2.0, 0.5]], [0.5]], [[[0.0, 4.0]], [2.0]]]


def variables(dtype="float32"):
    return [keras.Variable(np.array(values), dtype=dtype) for values in ([[1.0, -2.0]], [0.5])]


def tensors(gradients):
    return [keras.ops.array(g, "float32") for g in gradients]


def train(optimizer, *, weights=None, gradients=GRADIENTS):
    """Returns the weights after a few steps."""
    weights = weights or variables()
    optimizer.build(weights)
    for each in gradients:
        optimizer.apply(tensors(each), weights)
    return [keras.ops.convert_to_numpy(keras.ops.cast(w, "float32")) for w in weights]


def assert_close(ours, theirs, rtol=1e-6):
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, two, rtol=rtol, atol=1e-7)


@ON_TENSORFLOW
@BOTH
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("bias_correction", [False, True])
def test_a_graph_takes_the_same_steps(make, jit_compile, bias_correction):
    import tensorflow as tf

    weights, optimizer = variables(), make(0.1, bias_correction=bias_correction)
    optimizer.build(weights)
    graph = tf.function(lambda *gradients: optimizer.apply(gradients, weights), jit_compile=jit_compile)
    for gradients in GRADIENTS:
        graph(*tensors(gradients))
    assert int(optimizer.iterations) == 4
    assert_close(weights, train(make(0.1, bias_correction=bias_correction)), rtol=1e-5)


@ON_TENSORFLOW
@pytest.mark.parametrize("bias_correction", [False, True])
def test_the_kernel_agrees_with_the_plain_operations(bias_correction, monkeypatch):
    kernel = train(BertAdamW(0.1, bias_correction=bias_correction))
    monkeypatch.setattr("keras_bert.training.optimizers._on_tensorflow", lambda: False)
    monkeypatch.delattr("keras_bert.training.fused.apply_adam")  # an AttributeError to whoever calls it
    assert_close(train(BertAdamW(0.1, bias_correction=bias_correction)), kernel)


def test_a_decay_near_the_last_digit_is_right_on_average():
    before = np.linspace(1, 2, 4096, dtype=np.float32)[None]
    weights, optimizer = [keras.Variable(before)], BertAdamW(1e-5, weight_decay=0.01)
    optimizer.apply([keras.ops.zeros(before.shape)], weights)
    lost = before.astype(np.float64) - np.asarray(weights[0])
    assert lost.sum() / before.sum() == pytest.approx(1e-7, rel=0.05)  # the float32 nearest 1 - 1e-7 is 1 - 1.2e-7


@BOTH
@pytest.mark.parametrize("bias_correction", [False, True])
def test_weights_of_half_and_twice_the_width_train_too(make, bias_correction):
    expected = train(make(0.1, bias_correction=bias_correction))
    for dtype, tolerance in (("bfloat16", 3e-2), ("float64", 1e-5)):
        ours = train(make(0.1, bias_correction=bias_correction), weights=variables(dtype))
        assert_close(ours, expected, rtol=tolerance)


@BOTH
def test_accumulated_gradients_make_one_step_of_their_mean(make):
    whole = train(make(0.1), gradients=[[[[2.0, 1.0]], [-1.0]]])
    halves, optimizer = variables(), make(0.1, gradient_accumulation_steps=2)
    still = train(optimizer, weights=halves, gradients=GRADIENTS[:1])
    np.testing.assert_array_equal(still[0], [[1.0, -2.0]])
    optimizer.apply(tensors(GRADIENTS[1]), halves)
    assert_close(halves, whole)
    assert int(optimizer.iterations) == 1


@BOTH
def test_the_moving_average_replaces_the_weights_at_the_end(make):
    steps = [train(make(0.1), gradients=GRADIENTS[: n + 1]) for n in range(4)]
    average = steps[0]  # of the first step
    for later in steps[1:]:
        average = [0.5 * a + 0.5 * w for a, w in zip(average, later, strict=True)]
    weights, optimizer = variables(), make(0.1, use_ema=True, ema_momentum=0.5)
    assert_close(train(optimizer, weights=weights), steps[-1])
    optimizer.finalize_variable_values(weights)
    assert_close(weights, average)


@BOTH
@pytest.mark.parametrize("scale", ["dynamic", "fixed"])
def test_a_scaled_loss_takes_the_same_steps(make, scale):
    optimizer = make(0.1, loss_scale_factor=8.0) if scale == "fixed" else make(0.1)
    if scale == "dynamic":
        if keras.config.backend() == "jax":
            pytest.skip("on JAX Keras' LossScaleOptimizer works in its own training step alone")
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    scaled = [[(8.0 * np.array(g)).tolist() for g in each] for each in GRADIENTS]
    weights = variables()
    assert_close(train(optimizer, weights=weights, gradients=scaled), train(make(0.1)))
    if scale == "dynamic":
        before = [np.asarray(w).copy() for w in weights]
        optimizer.apply(tensors([[[np.inf, 1.0]], [1.0]]), weights)
        assert_close(weights, before, rtol=0)  # skipped
        assert float(optimizer.dynamic_scale) == 4.0


@BOTH
@pytest.mark.parametrize(
    ("option", "clipped_gradients"),
    [
        ({"clipnorm": 2.0}, [[[1.2, -1.6]], [1.0]]),  # each by its own norm, 5 and 1
        ({"clipvalue": 0.5}, [[[0.5, -0.5]], [0.5]]),
        ({}, [[[3.0, -4.0]], [1.0]]),
    ],
)
def test_keras_other_ways_of_clipping(make, option, clipped_gradients):
    gradients = [[[[3.0, -4.0]], [1.0]]]
    optimizer = make(0.1, global_clipnorm=None, **option)
    train(optimizer, gradients=gradients)
    for m, expected in zip(optimizer.momentums, clipped_gradients, strict=True):
        np.testing.assert_allclose(m, 0.1 * np.array(expected), rtol=1e-5)


@BOTH
def test_a_gradient_that_is_no_number_shows(make):
    weights = train(make(0.1), gradients=[[[[np.inf, 1.0]], [1.0]]])
    assert np.isnan(weights[1]).all()  # clipping does not hide it


@BOTH
def test_variables_that_their_gradient_overwrites(make):
    weights = [*variables(), keras.Variable(np.ones(2, np.float32))]
    weights[1].overwrite_with_gradient = True
    optimizer = make(0.1)
    gradients = [[[[0.3, 0.0]], [7.0], [0.1, 0.1]]]
    after = train(optimizer, weights=weights, gradients=gradients)
    np.testing.assert_array_equal(after[1], [7.0])
    others = train(
        make(0.1),
        weights=[variables()[0], keras.Variable(np.ones(2, np.float32))],
        gradients=[[[[0.3, 0.0]], [0.1, 0.1]]],
    )
    assert_close([after[0], after[2]], others)


@BOTH
def test_variables_without_a_gradient_stay(make):
    weights, optimizer = variables(), make(0.1)
    optimizer.build(weights)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([None, keras.ops.array([1.0])], weights)
    np.testing.assert_array_equal(weights[0], [[1.0, -2.0]])
    assert float(weights[1][0]) < 0.5


@pytest.mark.parametrize("make", [adamw, pytest.param(lamb, marks=pytest.mark.slow)])
def test_training_goes_on_from_a_file_to_the_last_bit(make, config, tmp_path):
    rng = np.random.default_rng(0)
    tokens = {name: rng.integers(0, 2, (4, 8)) for name in ("input_ids", "segment_ids")}
    tokens["input_mask"] = np.ones((4, 8), np.int32)
    labels = np.array([0, 1, 2, 0])
    model = BertClassifier(BertEncoder(config.replace(hidden_size=8, intermediate_size=16)), 3)
    schedule = {"num_train_steps": 9, "num_warmup_steps": 2, "schedule": "cosine"}
    model.compile(make(1e-2, layer_decay=0.7, bias_correction=True, **schedule))
    start = model.get_weights()
    for _ in range(3):
        model.train_on_batch(tokens, labels)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is type(model.optimizer)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert int(again.optimizer.iterations) == 3
    for _ in range(3):
        losses = [batch_loss(m, tokens, labels) for m in (model, again)]
        assert losses[0] == losses[1]
    moved = [np.abs(one - two).max() for one, two in zip(start, model.get_weights(), strict=True)]
    assert min(moved) > 0
    ours, theirs = ([*m.variables, *m.optimizer.variables] for m in (model, again))
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, two)


# Four steps of each optimizer on two devices, whose gradients point elsewhere than their sum, and on one with the sum.
TWO_DEVICES = """
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from keras_bert.training.optimizers import BertAdamW, Lamb
from tests.training.test_optimizer_contract import GRADIENTS, tensors, train, variables
strategy = tf.distribute.MirroredStrategy()
assert strategy.num_replicas_in_sync == 2
for make in (BertAdamW, Lamb):
    with strategy.scope():
        weights, optimizer = variables(), make(0.1, bias_correction=True)
        optimizer.build(weights)
    def share(gradients):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply([tf.where(replica == i, 1.25, -0.25) * g for i, g in enumerate(gradients)], weights)
    steps = tf.function(lambda *gradients: strategy.run(share, args=(gradients,)))
    for gradients in GRADIENTS:
        steps(*tensors(gradients))
    expected = train(make(0.1, bias_correction=True))
    for weight, one in zip(weights, expected):
        for local in strategy.experimental_local_results(weight.value):
            np.testing.assert_allclose(local, one, rtol=1e-6)
    print(make.__name__, int(strategy.experimental_local_results(optimizer.iterations.value)[0]))
"""


def run(arguments, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", **environment}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=ROOT)


@pytest.mark.slow
@ON_TENSORFLOW
def test_two_devices_take_the_same_steps_as_one():
    done = run(["-c", TWO_DEVICES])
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split("\n")[-3:-1] == ["BertAdamW 4", "Lamb 4"]


@pytest.mark.nightly
@ON_TENSORFLOW
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (extra jax)")
def test_all_of_it_on_jax():
    names = ("optimizers", "optimizer_contract", "schedules", "lamb")
    files = [f"tests/training/test_{name}.py" for name in names]
    done = run(["-m", "pytest", "-q", "-p", "no:cacheprovider", *files], KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stdout[-3000:]
