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
from keras_bert.errors import UserError
from keras_bert.layers.dropout import masks_of_replica
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.models.weights import collect_arrays
from keras_bert.training.optimizers import BertAdamW, adamw
from keras_bert.training.steps import batch_sums, make_eval_step, make_train_steps
from keras_bert.training.sums import columns, metrics_from_sums
from keras_bert.training.trainer import check_batch_size
from tests import reference_bert
from tests.models.conftest import as_batch
from tests.models.test_golden import FINAL

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
    train_steps = make_train_steps(model, optimizer, DEFAULT)
    iterator = iter(tf.data.Dataset.from_tensors((x, y, weights)).repeat())
    rows = [metrics_from_sums(row[:6]) for row in train_steps(iterator, tf.constant(8)).numpy()]
    for row in rows:
        assert row.keys() == {"masked_lm_loss", "masked_lm_accuracy", "loss"}
        assert row["loss"] == row["masked_lm_loss"] > 0
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert all(np.isfinite(array).all() for array in model.get_weights())
    np.testing.assert_array_equal(model.next_sentence.kernel.numpy(), head)  # nothing pulls at it
    evaluated = make_eval_step(model, DEFAULT)(next(iterator)).numpy()
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
    train_steps = make_train_steps(model, optimizer, DEFAULT)
    iterator = iterate(small[1], 3)
    figures = metrics_from_sums(train_steps(iterator, tf.constant(1)).numpy()[0, :6])
    assert figures["loss"] == pytest.approx(history["loss"][0], rel=1e-5)
    for name in ("masked_lm", "next_sentence"):
        assert figures[f"{name}_loss"] == pytest.approx(history[f"{name}_loss"][0], rel=1e-5)
    for one, two in zip(model.get_weights(), by_fit, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)

    trained = model.get_weights()
    eval_step = make_eval_step(model, DEFAULT)
    figures = metrics_from_sums(eval_step(next(iterator)).numpy())
    assert figures["loss"] == pytest.approx(evaluated["loss"], rel=1e-4)
    for one, two in zip(model.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(one, two)  # an evaluation trains nothing


def test_several_steps_in_a_call_are_a_row_each(model, small):
    optimizer = BertAdamW(0.0)  # standing still, each step sees the same weights
    optimizer.build(model.trainable_variables)
    train_steps = make_train_steps(model, optimizer, DEFAULT)
    iterator = iterate(small[1], 1)
    single = np.concatenate([train_steps(iterator, tf.constant(1)).numpy() for _ in range(3)])
    assert single.shape == (3, len(columns()))
    np.testing.assert_array_equal(train_steps(iterator, tf.constant(6)).numpy(), np.concatenate([single, single]))
    assert int(optimizer.iterations) == 9
    assert train_steps.experimental_get_tracing_count() == 1


def test_dropout_is_on_in_training_and_off_in_evaluation(small):
    model = BertPretrainer(BertEncoder(small[0].replace(hidden_dropout_prob=0.5)))
    batch = as_batch(small[1])
    still = [batch_sums(model, batch, training=False).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert np.abs(batch_sums(model, batch, training=True).numpy() - still[0]).max() > 1e-3
    eval_step = make_eval_step(model, DEFAULT)
    np.testing.assert_allclose(eval_step(next(iterate(small[1], 3))), still[0], rtol=1e-5)
    optimizer = BertAdamW(0.0)
    optimizer.build(model.trainable_variables)
    train_steps = make_train_steps(model, optimizer, DEFAULT)
    assert np.abs(train_steps(iterate(small[1], 3), tf.constant(1)).numpy()[0, :6] - still[0]).max() > 1e-3


def test_a_row_has_the_tokens_and_the_norm_of_the_gradient(model, small):
    x, y, weights = as_batch(small[1])
    with tf.GradientTape() as tape:
        sums = batch_sums(model, (x, y, weights), training=False)
        loss = sums[0] / sums[2] + sums[3] / sums[5]
    expected = np.sqrt(
        sum(np.sum(np.square(tf.convert_to_tensor(g))) for g in tape.gradient(loss, model.trainable_variables))
    )
    optimizer = BertAdamW(0.0, global_clipnorm=expected / 2)
    optimizer.build(model.trainable_variables)
    row = dict(
        zip(
            columns(), make_train_steps(model, optimizer, DEFAULT)(iterate(small[1], 3), tf.constant(1))[0], strict=True
        )
    )
    assert float(row["tokens"]) == x["input_mask"].sum() < x["input_mask"].size
    assert float(row["gradient_norm"]) == pytest.approx(expected, rel=1e-5)
    moments = np.sqrt(sum(np.sum(np.square(m.numpy() / 0.1)) for m in optimizer.momentums))
    assert moments == pytest.approx(expected / 2, rel=1e-5)  # what the optimizer got was clipped, and once


# Trains on a golden batch, `copies` times over, and prints the losses, the last one of an evaluation.
TRAJECTORY = """
import json, sys
import numpy as np
import tensorflow as tf
devices, accumulation, copies, jit, folder, schedule = (json.loads(each) for each in sys.argv[1:])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
from keras_bert.models import BertPretrainer
from keras_bert.training.optimizers import adamw
from keras_bert.training.strategies import strategy
from keras_bert.training.sums import metrics_from_sums
from keras_bert.training.trainer import make_trainer
from tests.models.conftest import as_batch
strategy = strategy("mirrored" if devices > 1 else "one_device")
assert strategy.num_replicas_in_sync == devices
batch = tf.nest.map_structure(
    lambda array: np.repeat(array, copies, axis=0), as_batch(dict(np.load(folder + "/golden.npz")))
)
with strategy.scope():
    model = BertPretrainer.from_pretrained(folder)
    optimizer = adamw(**schedule)
    optimizer.build(model.trainable_variables)
trainer = make_trainer(model, optimizer, strategy, accumulation=accumulation, jit_compile=jit)
batches = trainer.batches(lambda num_shards, shard_index: tf.data.Dataset.from_tensors(batch).repeat())
rows = [*trainer.train(batches, schedule["num_train_steps"])[:, :6]]
rows.append(trainer.evaluate(lambda *_: tf.data.Dataset.from_tensors(batch).repeat(3), max_batches=2))
model.save_pretrained("model")
print(json.dumps([metrics_from_sums(row)["loss"] for row in rows]))
"""


def trajectory(folder, schedule, *, cwd, devices=1, accumulation=1, copies=1, jit_compile=False):
    """Returns the losses of a training run in a fresh process with so many CPU devices; saves `model` to cwd."""
    arguments = (devices, accumulation, copies, jit_compile, str(folder), schedule)
    done = subprocess.run(
        [sys.executable, "-c", TRAJECTORY, *map(json.dumps, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


WAYS = {  # the three instances, so many times over, have the same mean loss
    "one device": {},
    "two devices": {"devices": 2, "copies": 2},
    "four devices": {"devices": 4, "copies": 4},
    "three micro-batches": {"accumulation": 3},
    "four micro-batches": {"accumulation": 4, "copies": 4},
    "two devices, four micro-batches each": {"devices": 2, "accumulation": 4, "copies": 8},
    "XLA": {"jit_compile": True},
    "XLA, three micro-batches": {"accumulation": 3, "jit_compile": True},
}
WHEN = dict.fromkeys(("two devices", "three micro-batches", "XLA"), pytest.mark.slow)


@pytest.mark.parametrize("way", [pytest.param(way, marks=WHEN.get(way, pytest.mark.nightly)) for way in WAYS])
def test_our_trajectory_whatever_cuts_the_batch(golden, way, tmp_path):
    # An instance has three or four masked slots: the mean of the parts' means would be another number. The gradients'
    # norm is over the limit: clipping each part's share would be another step.
    folder = golden / "model"
    expected = dict(np.load(folder / "golden.npz"))
    losses = trajectory(folder, reference_bert.TRAINING, cwd=tmp_path, **WAYS[way])
    np.testing.assert_allclose(losses[:-1], expected["train_losses"], rtol=1e-5)
    assert losses[-1] < losses[-2]
    for name, array in collect_arrays(BertPretrainer.from_pretrained(tmp_path / "model")).items():
        final = expected[f"final/{name}"]
        np.testing.assert_allclose(array, final, atol=1e-3 * np.abs(final).max(), err_msg=name)


OTHERS = [pytest.param(way, marks=pytest.mark.nightly) for way in ("one device", "four devices", "four micro-batches")]


@pytest.mark.parametrize("way", [pytest.param("two devices", marks=pytest.mark.slow), *OTHERS])
def test_google_s_trajectory_whatever_cuts_the_batch(shared, way, tmp_path):
    folder = shared / "golden" / "model"
    expected = dict(np.load(folder / "golden.npz"))
    schedule = {"learning_rate": 1e-3, "num_train_steps": 20, "num_warmup_steps": 5}
    losses = trajectory(folder, schedule, cwd=tmp_path, **WAYS[way])
    np.testing.assert_allclose(losses[:-1], expected["train_losses"], rtol=1e-5)
    arrays = collect_arrays(BertPretrainer.from_pretrained(tmp_path / "model"))
    for theirs, ours in FINAL.items():
        np.testing.assert_allclose(arrays[ours], expected[theirs], atol=1e-4 * np.abs(expected[theirs]).max())


def test_replicas_drop_other_elements(small):
    model = BertPretrainer(BertEncoder(small[0].replace(hidden_dropout_prob=0.5)))
    generators = [layer.seed_generator for layer in model._flatten_layers() if hasattr(layer, "seed_generator")]
    start = [generator.state.numpy() for generator in generators]
    sums = []
    for number in (None, 0, 1, 1):
        for generator, state in zip(generators, start, strict=True):
            generator.state.assign(state)
        with masks_of_replica(None if number is None else tf.constant(number)):
            sums.append(batch_sums(model, as_batch(small[1]), training=True).numpy())
    np.testing.assert_array_equal(sums[0], sums[1])  # the first replica's are those of one device
    np.testing.assert_array_equal(sums[2], sums[3])
    assert np.abs(sums[2] - sums[0]).max() > 1e-3


def test_a_batch_that_cannot_be_shared():
    check_batch_size(24, 2, 4)
    with pytest.raises(UserError, match=r"A batch of 30 .* 2 device\(s\) and 4 .* a multiple of 8, such as 32"):
        check_batch_size(30, 2, 4)


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
