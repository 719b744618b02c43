"""What is refused before a TPU is asked for: packages that do not go together, no TPU, places that do not answer."""

import re
import threading
from pathlib import Path

import pytest

from keras_bert.errors import UserError
from keras_bert.training import preflight
from keras_bert.training.preflight import check_paths, check_tpu, check_versions, has_tpu_chip, tpu_address

ROOT = Path(__file__).resolve().parents[2]
GOOD = {"tensorflow-tpu": "2.20.0", "libtpu": "0.0.17", "tensorflow-text": "2.20.1", "keras": "3.15.1"}


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch):
    for name in ("TPU_NAME", "COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(preflight, "has_tpu_chip", lambda: False)


@pytest.fixture
def installed(monkeypatch):
    """A function that makes these distributions the installed ones."""
    return lambda versions: monkeypatch.setattr(preflight, "installed_versions", lambda: versions)


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and text


def test_the_versions_that_were_seen_to_work_pass(installed, monkeypatch):
    installed(GOOD)
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5e-1")
    assert check_tpu() == "local"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"libtpu": "0.0.51"}, r"needs libtpu 0\.0\.17, and aborts .* Received: 0\.0\.51; run pip install libtpu==0"),
        ({"libtpu": None}, r"Received: none; run pip install libtpu==0\.0\.17"),
        ({"tensorflow-tpu": "2.19.1"}, r"tensorflow-tpu must be 2\.20\.0\. Received: 2\.19\.1"),
        ({"tensorflow-tpu": None, "tensorflow": "2.21.0"}, r"^tensorflow 2\.21\.0 drives no TPU; run pip uninst.*JAX"),
        ({"tensorflow-tpu": None}, r"^tensorflow \(none\) drives no TPU"),
        (
            {"tensorflow-text": "2.21.1"},
            r"tensorflow-text 2\.21\.1 does not load with TensorFlow 2\.20\.0; run .*==2\.20",
        ),
        ({"keras": "3.9.2"}, r"keras must be at least 3\.12\. Received: 3\.9\.2"),
    ],
)
def test_versions_that_do_not_go_together_name_the_fix(changes, message):
    versions = {name: version for name, version in {**GOOD, **changes}.items() if version}
    with pytest.raises(UserError, match=message) as error:
        check_versions(versions)
    assert one_sentence(error)


def test_the_requirements_file_is_setups_with_the_tpus_build_in_place_of_tensorflow():
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements-tpu.txt").read_text().splitlines()]
    wanted = {re.match(r"[\w-]+", line)[0] for line in lines if line}
    listed = re.search(r"install_requires=\[(.*?)\n    \]", (ROOT / "setup.py").read_text(), re.DOTALL)[1]
    asked = set(re.findall(r'^ +"([\w-]+)', listed, re.MULTILINE))
    assert wanted == asked - {"tensorflow", "tensorflow-text"} | {"tensorflow-tpu", "libtpu"}
    assert {"tensorflow-tpu==2.20.0", f"libtpu=={preflight.LIBTPU['2.20']}"} <= set(lines)
    assert "tensorflow-tpu==2.20.0 libtpu==0.0.17" in preflight.INSTALL


def test_without_tensorflow_text_training_goes_on():
    check_versions({name: version for name, version in GOOD.items() if name != "tensorflow-text"})


def test_a_remote_tpu_needs_no_tpu_build():
    check_versions({"tensorflow": "2.21.0", "tensorflow-text": "2.21.1", "keras": "3.15.1"}, local=False)


def test_both_tensorflows_are_named_first_and_with_the_two_lines(installed):
    installed({**GOOD, "tensorflow": "2.21.0"})
    with pytest.raises(UserError, match=r"tensorflow 2\.21\.0 and tensorflow-tpu 2\.20\.0 are both installed") as error:
        check_tpu()
    assert "libtpu==0.0.17 && pip install --no-deps tensorflow-text==2.20.1" in one_sentence(error)


def test_no_tpu_names_the_runtime_and_the_second_way(installed):
    installed(GOOD)
    with pytest.raises(UserError, match=r"No TPU is visible; in Colab choose v5e-1 TPU .* KERAS_BACKEND=jax") as error:
        check_tpu()
    assert one_sentence(error)
    with pytest.raises(UserError, match="No TPU is visible"):
        check_tpu(backend="jax")


def test_jax_needs_libtpu_and_none_of_tensorflows_versions(installed, monkeypatch):
    monkeypatch.setattr(preflight, "has_tpu_chip", lambda: True)
    installed({"tensorflow": "2.21.0", "jax": "0.10.2"})
    with pytest.raises(UserError, match="JAX needs libtpu"):
        check_tpu(backend="jax")
    installed({"tensorflow": "2.21.0", "tensorflow-tpu": "2.20.0", "jax": "0.10.2", "libtpu": "0.0.51"})
    assert check_tpu(backend="jax") == "local"


@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [
        ({}, None, None),
        ({}, "my-tpu", "my-tpu"),
        ({"TPU_NAME": "other"}, "my-tpu", "my-tpu"),
        ({"TPU_NAME": "local"}, None, "local"),
        ({"TPU_NAME": "my-tpu", "TPU_ACCELERATOR_TYPE": "v3-8"}, None, "my-tpu"),
        ({"TPU_ACCELERATOR_TYPE": "v5e-1"}, None, "local"),
        ({"COLAB_TPU_ADDR": "10.0.0.2:8470"}, None, "grpc://10.0.0.2:8470"),
        ({"COLAB_TPU_ADDR": "10.0.0.2:8470"}, "10.0.0.3:8470", "10.0.0.3:8470"),
    ],
)
def test_where_the_tpu_is(monkeypatch, environment, given, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert tpu_address(given) == expected


def test_a_chip_is_told_by_its_pci_numbers(tmp_path):
    for place, vendor, device in (("a", "0x1ae0", "0x0042"), ("b", "0x8086", "0x0063")):  # Google's network, no TPU
        (tmp_path / place).mkdir()
        (tmp_path / place / "vendor").write_text(f"{vendor}\n")
        (tmp_path / place / "device").write_text(f"{device}\n")
    assert not has_tpu_chip(tmp_path)
    (tmp_path / "a" / "device").write_text("0x0063\n")
    assert has_tpu_chip(tmp_path)


def test_local_paths_pass():
    check_paths({"--input_file": "a*,b", "--output_dir": "out", "--init_checkpoint": None})


def test_places_that_are_there_pass(tmp_path):
    import tensorflow as tf

    tf.io.gfile.makedirs("ram://preflight/model")
    with tf.io.gfile.GFile("ram://preflight/model/bert_model.ckpt.index", "w") as file:
        file.write("x")
    check_paths(
        {
            "--input_file": ["ram://preflight/model/*.index", "ram://preflight/model,local.tfrecord"],
            "--init_checkpoint": "ram://preflight/model/bert_model.ckpt",
            "--output_dir": "ram://preflight/new/output",
        },
        writable=("--output_dir",),
    )
    assert tf.io.gfile.glob("ram://preflight/new/output/*") == []  # and leave nothing behind


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("ram://preflight/none*", r"--input_file: ram://preflight/none\* does not exist, or holds nothing"),
        ("s3://bucket/a", r"--input_file: s3://bucket/a is of a kind that TensorFlow cannot open here \(s3://\)"),
    ],
)
def test_places_that_are_not_there_are_named_with_their_flag(place, message):
    with pytest.raises(UserError, match=message) as error:
        check_paths({"--input_file": place})
    assert one_sentence(error)


@pytest.mark.parametrize(
    ("error", "write", "message"),
    [
        ("PermissionDeniedError", False, r"cannot be read \(403\); .*signed in"),
        ("FailedPreconditionError", True, r"cannot be written \(403\); .*signed in"),
        ("NotFoundError", True, "does not exist; check the bucket's name"),
    ],
)
def test_what_google_cloud_refuses_is_a_user_error(monkeypatch, error, write, message):
    import tensorflow as tf

    def refuse(*_):
        raise getattr(tf.errors, error)(None, None, "403\n\twhen reading metadata of gs://b")

    monkeypatch.setattr(tf.io.gfile, "exists", refuse)
    monkeypatch.setattr(tf.io.gfile, "makedirs", refuse)
    with pytest.raises(UserError, match=f"--output_dir: gs://b/run {message}") as caught:
        check_paths({"--output_dir": "gs://b/run"}, writable=("--output_dir",) if write else ())
    assert one_sentence(caught)


def test_a_place_that_never_answers_does_not_hang(monkeypatch):
    import tensorflow as tf

    answer = threading.Event()
    monkeypatch.setattr(tf.io.gfile, "exists", lambda _: answer.wait(30))
    with pytest.raises(UserError, match=r"--input_file: gs://b/a does not answer within 0\.1 seconds"):
        check_paths({"--input_file": "gs://b/a"}, seconds=0.1)
    answer.set()
