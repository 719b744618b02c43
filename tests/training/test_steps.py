"""The training step: the global batch's loss, on one device and on two, and equal to `fit`'s."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import BertConfig
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.models.weights import collect_arrays
from keras_bert.training.optimizers import BertAdamW, adamw
from keras_bert.training.steps import batch_sums, make_eval_step, make_train_steps, metrics_from_sums
from tests import reference_bert
from tests.models.conftest import as_batch

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = tf.distribute.get_strategy()


@pytest.fixture(scope="module")
def small():
    """(config, instances) of plain NumPy's golden model: one masked slot of twelve is free."""
    with np.load(Path(__file__).parents[1] / "golden" / "model" / "golden.npz") as golden:
        return BertConfig.from_dict(reference_bert.CONFIG), dict(golden)


@pytest.fixture
def model(small):
    return BertPretrainer(BertEncoder(small[0]))


def iterate(instances, batch_size):
    """Returns an iterator without end over distributed batches."""
    dataset = tf.data.Dataset.from_tensor_slices(as_batch(instances)).batch(batch_size, drop_remainder=True)
    return iter(DEFAULT.experimental_distribute_dataset(dataset.repeat()))


def test_sums_are_those_of_the_logits(model, small):
    x, y, weights = as_batch(small[1])
    sums = np.asarray(batch_sums(model, (x, y, weights), training=False))
    logits = model.predict(x, verbose=0)
    expected = []
    for name in ("masked_lm", "next_sentence"):
        losses = -np.take_along_axis(reference_bert.log_softmax(logits[name]), y[name][..., None], -1)[..., 0]
        right = logits[name].argmax(-1) == y[name]
        expected += [(losses * weights[name]).sum(), (right * weights[name]).sum(), weights[name].sum()]
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    assert expected[2] == 11
    assert expected[5] == 3


def test_metrics_are_sums_over_counts():
    figures = metrics_from_sums([6.0, 3.0, 12.0, 1.5, 2.0, 4.0])
    assert figures == {
        "masked_lm_loss": 0.5,
        "masked_lm_accuracy": 0.25,
        "next_sentence_loss": 0.375,
        "next_sentence_accuracy": 0.5,
        "loss": 0.875,
    }
    # no slot and no instance is no division by zero
    assert metrics_from_sums(np.zeros(6)) == {"masked_lm_loss": 0.0, "masked_lm_accuracy": 0.0, "loss": 0.0}


def without_sentence_task(instances):
    """Returns (x, y, sample_weight) as `pretraining_dataset` gives them where the manifest says sentence_task none."""
    x, y, weights = as_batch(instances)
    zeros = np.zeros(len(y["next_sentence"]), np.float32)
    return x, {**y, "next_sentence": zeros.astype(np.int32)}, {**weights, "next_sentence": zeros}


def test_without_a_sentence_task_the_masked_lm_trains_alone(model, small):
    x, y, weights = without_sentence_task(small[1])
    head = model.next_sentence.kernel.numpy()
    optimizer = BertAdamW(1e-2, weight_decay=0.0)
    optimizer.build(model.trainable_variables)
    train_steps = make_train_steps(model, optimizer, DEFAULT, jit_compile=False)
    iterator = iter(tf.data.Dataset.from_tensors((x, y, weights)).repeat())
    rows = [metrics_from_sums(train_steps(iterator, tf.constant(2)).numpy()) for _ in range(4)]
    for row in rows:
        assert row.keys() == {"masked_lm_loss", "masked_lm_accuracy", "loss"}
        assert row["loss"] == row["masked_lm_loss"] > 0
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert all(np.isfinite(array).all() for array in model.get_weights())
    np.testing.assert_array_equal(model.next_sentence.kernel.numpy(), head)  # nothing pulls at it
    evaluated = make_eval_step(model, DEFAULT, jit_compile=False)(next(iterator)).numpy()
    assert evaluated[3:].tolist() == [0.0, 0.0, 0.0]


def test_without_a_sentence_task_fit_trains_the_masked_lm_alone(model, small):
    x, y, weights = without_sentence_task(small[1])
    head = model.next_sentence.kernel.numpy()
    metrics = {"masked_lm": ["accuracy"], "next_sentence": ["accuracy"]}
    model.compile(BertAdamW(1e-2, weight_decay=0.0), metrics=metrics, weighted_metrics=metrics, jit_compile=False)
    history = model.fit(x, y, sample_weight=weights, batch_size=3, epochs=3, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["next_sentence_loss"] == [0.0] * 3
    assert history["loss"] == pytest.approx(history["masked_lm_loss"], rel=1e-6)
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_array_equal(model.next_sentence.kernel.numpy(), head)
    assert all(np.isfinite(array).all() for array in model.get_weights())


def test_one_step_is_fit_s_step(model, small):
    x, y, weights = as_batch(small[1])
    start = model.get_weights()
    model.compile(adamw(1e-2), run_eagerly=True)
    history = model.fit(x, y, sample_weight=weights, batch_size=3, verbose=0).history
    evaluated = dict(zip(model.metrics_names, model.evaluate(x, y, sample_weight=weights, verbose=0), strict=False))
    by_fit = model.get_weights()

    model.set_weights(start)
    optimizer = adamw(1e-2)
    optimizer.build(model.trainable_variables)
    train_steps = make_train_steps(model, optimizer, DEFAULT, jit_compile=False)
    iterator = iterate(small[1], 3)
    figures = metrics_from_sums(train_steps(iterator, tf.constant(1)).numpy())
    assert figures["loss"] == pytest.approx(history["loss"][0], rel=1e-5)
    for name in ("masked_lm", "next_sentence"):
        assert figures[f"{name}_loss"] == pytest.approx(history[f"{name}_loss"][0], rel=1e-5)
    for one, two in zip(model.get_weights(), by_fit, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)

    trained = model.get_weights()
    eval_step = make_eval_step(model, DEFAULT, jit_compile=False)
    figures = metrics_from_sums(eval_step(next(iterator)).numpy())
    assert figures["loss"] == pytest.approx(evaluated["loss"], rel=1e-4)
    for one, two in zip(model.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(one, two)  # an evaluation trains nothing


def test_several_steps_in_a_call_add_up(model, small):
    optimizer = BertAdamW(0.0)  # standing still, each step sees the same weights
    optimizer.build(model.trainable_variables)
    train_steps = make_train_steps(model, optimizer, DEFAULT, jit_compile=False)
    iterator = iterate(small[1], 1)
    single = [train_steps(iterator, tf.constant(1)).numpy() for _ in range(3)]
    np.testing.assert_allclose(train_steps(iterator, tf.constant(6)).numpy(), 2 * np.sum(single, 0), rtol=1e-5)
    assert int(optimizer.iterations) == 9
    assert train_steps.experimental_get_tracing_count() == 1


def test_dropout_is_on_in_training_and_off_in_evaluation(small):
    model = BertPretrainer(BertEncoder(small[0].replace(hidden_dropout_prob=0.5)))
    batch = as_batch(small[1])
    still = [batch_sums(model, batch, training=False).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert np.abs(batch_sums(model, batch, training=True).numpy() - still[0]).max() > 1e-3
    eval_step = make_eval_step(model, DEFAULT, jit_compile=False)
    np.testing.assert_allclose(eval_step(next(iterate(small[1], 3))), still[0], rtol=1e-5)
    optimizer = BertAdamW(0.0)
    optimizer.build(model.trainable_variables)
    train_steps = make_train_steps(model, optimizer, DEFAULT, jit_compile=False)
    assert np.abs(train_steps(iterate(small[1], 3), tf.constant(1)).numpy() - still[0]).max() > 1e-3


@pytest.mark.slow
def test_xla_takes_the_same_steps(small, golden):
    losses = []
    for jit_compile in (False, True):
        model = BertPretrainer.from_pretrained(golden / "model")
        optimizer = adamw(**reference_bert.TRAINING)
        optimizer.build(model.trainable_variables)
        train_steps = make_train_steps(model, optimizer, DEFAULT, jit_compile=jit_compile)
        iterator = iterate(small[1], 3)
        losses.append([metrics_from_sums(train_steps(iterator, tf.constant(1)).numpy())["loss"] for _ in range(6)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


# Trains on a golden batch with `n` virtual devices and prints the losses, the last one of an evaluation.
TRAJECTORY = """
import json, sys
import numpy as np
import tensorflow as tf
n, folder, schedule = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * n)
from keras_bert.models import BertPretrainer
from keras_bert.training.optimizers import adamw
from keras_bert.training.steps import make_eval_step, make_train_steps, metrics_from_sums
from keras_bert.training.strategies import strategy
from tests.models.conftest import as_batch
strategy = strategy("mirrored" if n > 1 else "one_device")
assert strategy.num_replicas_in_sync == n
x, y, weights = as_batch(dict(np.load(folder + "/golden.npz")))
with strategy.scope():
    model = BertPretrainer.from_pretrained(folder)
    optimizer = adamw(**schedule)
    optimizer.build(model.trainable_variables)
dataset = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(len(x["input_ids"]), drop_remainder=True).repeat()
iterator = iter(strategy.experimental_distribute_dataset(dataset))
train_steps = make_train_steps(model, optimizer, strategy, jit_compile=False)
eval_step = make_eval_step(model, strategy, jit_compile=False)
sums = [train_steps(iterator, tf.constant(1)) for _ in range(schedule["num_train_steps"])] + [eval_step(next(iterator))]
model.save_pretrained("model")
print(json.dumps([metrics_from_sums(each.numpy())["loss"] for each in sums]))
"""


def trajectory(devices, folder, schedule, *, cwd):
    """Returns the losses of a training run in a fresh process with so many CPU devices; saves `model` to cwd."""
    done = subprocess.run(
        [sys.executable, "-c", TRAJECTORY, str(devices), str(folder), json.dumps(schedule)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("devices", [1, 2])
def test_our_trajectory_on_one_device_and_two(golden, devices, tmp_path):
    # Three instances are two on one replica, with eight masked slots, and one on the other, with three: the mean
    # of the replicas' means would be another number. The gradients' norm is over the limit: clipping each
    # replica's share would be another step.
    folder = golden / "model"
    expected = dict(np.load(folder / "golden.npz"))
    losses = trajectory(devices, folder, reference_bert.TRAINING, cwd=tmp_path)
    np.testing.assert_allclose(losses[:-1], expected["train_losses"], rtol=1e-5)
    assert losses[-1] < losses[-2]
    for name, array in collect_arrays(BertPretrainer.from_pretrained(tmp_path / "model")).items():
        final = expected[f"final/{name}"]
        np.testing.assert_allclose(array, final, atol=1e-3 * np.abs(final).max(), err_msg=name)


@pytest.mark.parametrize("devices", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_google_s_trajectory_on_one_device_and_two(shared, devices, tmp_path):
    folder = shared / "golden" / "model"
    expected = np.load(folder / "golden.npz")["train_losses"]
    schedule = {"learning_rate": 1e-3, "num_train_steps": 20, "num_warmup_steps": 5}
    losses = trajectory(devices, folder, schedule, cwd=tmp_path)
    np.testing.assert_allclose(losses[:-1], expected, rtol=1e-5)


FIT = """
import json, sys
import keras
import numpy as np
import tensorflow as tf
n, folder = int(sys.argv[1]), sys.argv[2]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * n)
from keras_bert.models import BertPretrainer
from keras_bert.training.optimizers import adamw
from keras_bert.training.strategies import strategy
from tests.models.conftest import as_batch
golden = {name: array[:2] for name, array in np.load(folder + "/golden.npz").items() if array.ndim}
with strategy("mirrored" if n > 1 else "one_device").scope():
    model = BertPretrainer.from_pretrained(folder)
    model.compile(adamw(1e-2))
x, y, weights = as_batch(golden)
print(json.dumps(model.fit(x, y, sample_weight=weights, batch_size=2, epochs=4, verbose=0).history["loss"]))
"""


@pytest.mark.slow
def test_fit_on_two_devices_gives_the_mean_of_their_means(golden):
    # Two instances with four masked slots each, for which that mean is the mean over all slots.
    losses = []
    for devices in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", FIT, devices, str(golden / "model")],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        losses.append(json.loads(done.stdout.splitlines()[-1]))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert losses[0][-1] < losses[0][0]
