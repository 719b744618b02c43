"""Which devices train: names, what "auto" takes, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.training import strategies
from keras_bert.training.strategies import strategy

ROOT = Path(__file__).resolve().parents[2]
TPU_NAMES = ("TPU_NAME", "COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("TF_CONFIG", *TPU_NAMES):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.skipif(len(tf.config.list_physical_devices("GPU")) > 1, reason="takes the GPUs here")
def test_auto_takes_the_one_device_there_is():
    assert strategy() is strategy("auto") is strategy("one_device") is tf.distribute.get_strategy()
    assert strategy().num_replicas_in_sync == 1


def test_mirrored_has_one_replica_on_one_cpu():
    mirrored = strategy("mirrored")
    assert isinstance(mirrored, tf.distribute.MirroredStrategy)
    assert mirrored.num_replicas_in_sync >= 1


def test_an_unknown_name_is_a_user_error_that_lists_the_known():
    with pytest.raises(UserError, match="No strategy is called 'gpu'; choose one of auto, one_device, mirrored, multi"):
        strategy("gpu")


CLUSTER = {"cluster": {"worker": ["localhost:2222", "localhost:2223"]}, "task": {"type": "worker", "index": 0}}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"TF_CONFIG": ""}, None),
        ({"TF_CONFIG": "{}"}, None),
        ({"TF_CONFIG": json.dumps(CLUSTER)}, "multi_worker"),
        *(({name: "local"}, "tpu") for name in TPU_NAMES),
        ({"TPU_NAME": "local", "TF_CONFIG": json.dumps(CLUSTER)}, "tpu"),
    ],
)
def test_auto_goes_by_the_environment(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    gpus = len(tf.config.list_logical_devices("GPU"))
    assert strategies._best(tf) == (expected or ("mirrored" if gpus > 1 else "one_device"))


@pytest.mark.parametrize("text", ["{", "[]", '{"cluster": 3}'])
@pytest.mark.parametrize("name", ["auto", "multi_worker"])
def test_a_tf_config_that_is_none_is_a_user_error(monkeypatch, text, name):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="TF_CONFIG is not the JSON of a cluster"):
        strategy(name)


def test_a_tpu_that_is_not_there_is_a_user_error():
    with pytest.raises(UserError, match=r"No TPU answers \(.+\); choose a TPU runtime, or use --strategy one_device"):
        strategy("tpu")


def test_workers_after_the_start_of_tensorflow_are_refused(monkeypatch):
    tf.constant(1.0)  # starts it
    monkeypatch.setenv("TF_CONFIG", json.dumps({**CLUSTER, "cluster": {"worker": ["localhost:2222"]}}))
    with pytest.raises(UserError, match=r"Call strategy\(\) before anything else uses TensorFlow"):
        strategy("multi_worker")


def test_mirrored_takes_every_virtual_device():
    script = (
        "import tensorflow as tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)\n"
        "from keras_bert.training.strategies import strategy\n"
        "print(strategy('mirrored').num_replicas_in_sync, strategy('auto').num_replicas_in_sync)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-2:] == ["3", "1"]
