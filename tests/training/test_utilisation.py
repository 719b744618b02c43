"""What a run's speed is said to be: every product is counted once, on every device."""

import dataclasses
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_bert.config import BertConfig
from keras_bert.training import utilisation
from keras_bert.training.costs import Step, count_flops
from keras_bert.training.utilisation import measured_peak, step_flops, throughput


def ticking(seconds):
    """Returns a clock that goes on by some seconds each time it is read."""
    times = iter(np.arange(10_000) * seconds)
    return lambda: float(next(times))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_peak_is_the_products_over_their_time(monkeypatch, dtype):
    monkeypatch.setattr(utilisation, "SIZES", (16, 64, 256, 512))
    long, short = (measured_peak(dtype, clock=ticking(seconds)) for seconds in (0.5, 1 / 64))
    assert long == 4 * 2 * 16**3 / 0.5  # the first call is long enough
    assert short == 4 * 2 * 512**3 * 64  # no call is: then the largest counts


def test_the_best_call_counts(monkeypatch):
    monkeypatch.setattr(utilisation, "SIZES", (16,))
    times = iter([0.0, 0.5, 0.5, 0.75, 0.75, 1.75, 9.0])
    assert measured_peak(seconds=1.5, clock=lambda: next(times)) == 4 * 2 * 16**3 / 0.25


def test_the_products_are_computed_in_the_compute_dtype_and_stay_finite(monkeypatch):
    seen, matmul = [], keras.ops.matmul
    monkeypatch.setattr(utilisation, "SIZES", (512,))
    monkeypatch.setattr(utilisation.ops, "matmul", lambda a, b: seen.append(a.dtype.name) or matmul(a, b))
    measured_peak("mixed_bfloat16", clock=ticking(1.0))
    assert seen == ["bfloat16"] * utilisation.PRODUCTS
    for size in (64, 512, 1024):
        power = np.linalg.multi_dot([utilisation._matrix(size)] * 5)
        assert power.shape == (size, size) and 1e-6 < np.abs(power).mean() * size < 1e3


def test_the_run_s_random_states_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(utilisation, "SIZES", (16,))
    drawn = []
    for measures in (False, True):
        keras.utils.set_random_seed(1)
        if measures:
            measured_peak(seconds=0.01)
        drawn.append([np.asarray(keras.random.normal((3,))), np.random.rand(3)])
    np.testing.assert_array_equal(drawn[0][0], drawn[1][0])
    np.testing.assert_array_equal(drawn[0][1], drawn[1][1])


def test_a_step_s_products_are_those_of_all_its_examples():
    config, step = BertConfig.from_name("mini"), Step(train_batch_size=48, max_seq_length=64, max_predictions_per_seq=9)
    one = dataclasses.replace(step, train_batch_size=1)
    assert step_flops(config, step) == 48 * count_flops(config, one).training


def test_rates():
    rates = throughput(4, examples=32, tokens=1000, seconds=0.5, flops=10, peak=100)
    assert rates == {"examples_per_second": 64.0, "tokens_per_second": 2000.0, "utilisation": 0.8}
    for unknown in ({"flops": 10}, {"peak": 100}, {}):
        rates = throughput(4, examples=32, tokens=1000, seconds=0.5, **unknown)
        assert rates == {"examples_per_second": 64.0, "tokens_per_second": 2000.0}


SEEN = """
import itertools
from keras_bert.training import utilisation

devices = set()

def seen(x, device):
    devices.add(device(x))
    return x
"""
PLACES = {
    "tensorflow": """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
power = utilisation._power
utilisation._power = lambda matrix: power(seen(matrix, lambda x: x.device))
""",
    "jax": """
import types, jax
strategy = types.SimpleNamespace(num_replicas_in_sync=2)
wait = jax.block_until_ready
jax.block_until_ready = lambda results: [seen(x, lambda x: x.device) for x in wait(results)]
""",
}
SCRIPT = """
utilisation.SIZES = (16,)
times = itertools.count()
peak = utilisation.measured_peak("mixed_bfloat16", strategy=strategy, clock=lambda: float(next(times)))
print(peak == 2 * 4 * 2 * 16**3, len(devices))
"""


@pytest.mark.nightly
@pytest.mark.parametrize("backend", PLACES)
def test_all_replicas_compute_at_once(backend):
    pytest.importorskip(backend)
    environment = {"KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-c", SEEN + PLACES[backend] + SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["True", "2"]
