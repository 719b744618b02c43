"""Which devices train: names, what "auto" takes, and what is refused."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.training import preflight, strategies
from keras_bert.training.strategies import strategy

ROOT = Path(__file__).resolve().parents[2]
TPU_NAMES = ("TPU_NAME", "COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE")
PACKAGES = {"tensorflow-tpu": "2.20.0", "libtpu": "0.0.17", "tensorflow-text": "2.20.1", "keras": "3.15.1"}


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
    with pytest.raises(UserError, match=r"No TPU is visible; .*, or use --strategy one_device"):
        strategy("tpu")


@pytest.mark.parametrize(("tpu", "connected"), [(None, "local"), ("my-tpu", "my-tpu")])
@pytest.mark.parametrize("name", ["auto", "tpu"])
def test_a_tpu_is_connected_to_by_its_address_zone_and_project(monkeypatch, name, tpu, connected):
    asked = []

    def connect(*args, **options):
        asked.append((args, options))
        raise tf.errors.NotFoundError(None, None, "Graph execution error:\n\nNo TPU devices\n [[{{node}}]]")

    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5e-1")
    monkeypatch.setattr(preflight, "installed_versions", lambda: PACKAGES)
    monkeypatch.setattr(tf.distribute.cluster_resolver.TPUClusterResolver, "connect", connect)
    with pytest.raises(UserError, match=rf"No TPU answers as '{connected}' \(No TPU devices\); end other programs"):
        strategy(name, tpu=tpu, zone="us-west4-a", project="mine")
    assert asked == [((connected,), {"zone": "us-west4-a", "project": "mine"})]


def test_packages_that_cannot_drive_the_tpu_are_named_before_it_is_asked(monkeypatch):
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5e-1")
    monkeypatch.setattr(preflight, "installed_versions", lambda: {**PACKAGES, "libtpu": "0.0.51"})
    with pytest.raises(UserError, match=r"needs libtpu 0\.0\.17"):
        strategy("auto")


def test_a_named_tpu_goes_with_no_other_strategy():
    with pytest.raises(UserError, match=r"The TPU 'mine' is for the strategies auto and tpu\. Received: mirrored"):
        strategy("mirrored", tpu="mine")


@pytest.mark.nightly
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (extra jax)")
def test_on_jax_the_same_names_give_jax_devices_without_tensorflow():
    script = (
        "import sys, keras_bert as kb\n"
        "for name in ('auto', 'one_device', 'mirrored'):\n"
        "    with kb.strategy(name).scope():\n"
        "        print(name, type(kb.strategy(name)).__name__, kb.strategy(name).num_replicas_in_sync)\n"
        "for name, tpu in (('tpu', None), ('multi_worker', None), ('tpu', 'mine')):\n"
        "    try:\n"
        "        kb.strategy(name, tpu=tpu)\n"
        "    except kb.UserError as error:\n"
        "        print(name, tpu, 'refused')\n"
        "print('tensorflow.python' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=3"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == [
        "auto JaxDevices 3",
        "one_device JaxDevices 1",
        "mirrored JaxDevices 3",
        "tpu None refused",
        "multi_worker None refused",
        "tpu mine refused",
        "False",
    ]


def test_workers_after_the_start_of_tensorflow_are_refused(monkeypatch):
    tf.constant(1.0)  # starts it
    monkeypatch.setenv("TF_CONFIG", json.dumps({**CLUSTER, "cluster": {"worker": ["localhost:2222"]}}))
    with pytest.raises(UserError, match=r"Call strategy\(\) before anything else uses TensorFlow"):
        strategy("multi_worker")


@pytest.mark.slow
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
