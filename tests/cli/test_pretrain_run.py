"""The pretrain command beyond one plain run: measuring alone, phases, time, Google's flags, places elsewhere."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from keras_bert.cli import remote_places
from keras_bert.cli.main import main
from keras_bert.cli.saved_models import find_configuration
from tests.cli.conftest import pretrain

pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.fixture
def model(records, tmp_path, capsys):
    assert pretrain(records, tmp_path / "model", f"--eval_file={records}", "--jit_compile=false") == 0
    capsys.readouterr()
    return tmp_path / "model"


def test_the_same_command_once_more_finds_all_done(records, model, capsys):
    flags = [f"--eval_file={records}", "--jit_compile=false"]
    results = (model / "eval_results.json").read_text()
    (model / "eval_results.json").write_text(json.dumps(json.loads(results) | {"loss": 1.0}))
    assert pretrain(records, model, *flags) == 0
    captured = capsys.readouterr()
    assert "nothing was left to do" in captured.err
    assert "loss = 1.0000" in captured.out  # what stands there
    assert pretrain(records, model, *flags, "--learning_rate=1e-3", "--dtype=mixed_bfloat16") == 2
    error = capsys.readouterr().err
    assert "learning_rate: 5e-05 there, 0.001 here; dtype: " in error
    assert "--force" in error
    assert pretrain(records, model, *flags, "--learning_rate=1e-3", "--force") == 0
    assert json.loads((model / "run.json").read_text())["run"]["learning_rate"] == 1e-3
    assert json.loads((model / "eval_results.json").read_text())["loss"] != 1.0


def test_measuring_without_training(records, model, capsys):
    before = (model / "eval_results.json").read_text()
    weights = (model / "model.safetensors").read_bytes()
    for where in (["--do_eval"], [f"--eval_file={records}", "--eval_batch_size=3"]):
        (model / "eval_results.json").unlink()
        assert pretrain(records, model, "--do_train=False", "--jit_compile=false", *where) == 0
        after = json.loads((model / "eval_results.json").read_text())
        assert after == pytest.approx(json.loads(before), rel=1e-5)
        assert "masked_lm_perplexity = " in capsys.readouterr().out
    assert (model / "model.safetensors").read_bytes() == weights
    assert pretrain(records, model, "--nodo_train", "--nodo_eval") == 2
    assert "Nothing is left to do" in capsys.readouterr().err
    assert pretrain(records, model.with_name("none"), "--nodo_train", "--do_eval") == 2
    assert "none" in capsys.readouterr().err


@pytest.mark.usefixtures("eagerly")
def test_phases_and_time_are_said_first(records, tmp_path, capsys):
    small = ["--bert_config_file=tiny", "--num_warmup_steps=1", "--jit_compile=false", "--iterations_per_loop=2"]
    command = ["pretrain", f"--input_file={records}", f"--output_dir={tmp_path / 'a'}", *small]
    assert main([*command, "--phases=32:2:4,32:1:2"]) == 0
    out = capsys.readouterr().out
    assert "training: 2 steps of 4 on 32 tokens" in out
    assert "training: 1 steps of 2 on 32 tokens" in out
    command[2] = f"--output_dir={tmp_path / 'b'}"
    flags = ["--max_minutes=0.001", "--num_train_steps=100", "--train_batch_size=4"]
    assert main([*command, *flags]) == 0
    assert "training: 0.001 minutes; a run that is resumed goes by the time" in capsys.readouterr().out
    assert (tmp_path / "b" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--phases=128"], ["LENGTH:STEPS", "'128'"]),
        (["--phases=64:3"], ["no records of 64 tokens", "32"]),
        (["--optimizer=sgd"], ["adamw, lamb", "sgd"]),
        (["--on_divergence=hope"], ["stop, rewind", "hope"]),
        (["--gradient_accumulation_steps=3"], ["A batch of 4", "3 micro-batch", "such as 3"]),
        (["--max_minutes=-1"], ["max_minutes", "-1"]),
        (["--use_tpu"], ["TPU"]),
        (["--tpu_name=mine", "--strategy=one_device"], ["mine", "one_device"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(records, tmp_path, capsys, flags, words):
    assert pretrain(records, tmp_path / "model", *flags) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert all(word in error for word in words), error
    assert find_configuration(tmp_path / "model") is None


@pytest.mark.usefixtures("eagerly")
def test_damaged_records_stop_or_are_left_out(records, tmp_path, capsys):
    data = bytearray(records.read_bytes())
    offset = 0
    for _ in range(7):
        offset += int.from_bytes(data[offset : offset + 8], "little") + 16  # its length, and its frame's
    data[offset + 40] ^= 1
    records.write_bytes(data)
    flags = ["--jit_compile=false", "--num_train_steps=120", "--train_batch_size=16"]
    assert pretrain(records, tmp_path / "model", *flags) == 2
    error = capsys.readouterr().err
    assert f"{records} is damaged: the checksum of record 8" in error
    assert f"at byte {offset}" in error
    assert "leave 1 damaged record(s) out" in error
    assert (
        pretrain(records, tmp_path / "model", *flags, "--num_train_steps=3", "--skip_damaged_records", "--force") == 0
    )
    assert f"{records}: 1 damaged record(s) are left out" in capsys.readouterr().err


@pytest.mark.nightly
def test_on_jax_the_same_command_trains_resumes_and_writes_what_tensorflow_loads(records, tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed (extra jax)")
    import numpy as np
    import tensorflow as tf

    from keras_bert import BertPretrainer

    command = [sys.executable, "-m", "keras_bert.cli.main", "pretrain", f"--input_file={records}"]
    flags = ["--bert_config_file=tiny", "--train_batch_size=8", "--num_warmup_steps=2", "--iterations_per_loop=4"]
    flags += [f"--eval_file={records}", "--eval_every=8", "--save_checkpoints_steps=5", "--num_train_steps=12"]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(output, **options):
        return subprocess.run([*command, *flags, f"--output_dir={output}"], env=environment, text=True, **options)

    done = run(tmp_path / "whole", capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "(CPU, jax), float32, XLA" in done.stdout
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "step-00000012")  # as if it had been killed after step 10
    note = json.loads((tmp_path / "again" / "run.json").read_text())
    (tmp_path / "again" / "run.json").write_text(json.dumps(note | {"over": False}))
    (tmp_path / "again" / "model.safetensors").unlink()
    done = run(tmp_path / "again", capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resumed at step 10" in done.stderr
    for name in ("model.safetensors", "eval_results.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    model = BertPretrainer.from_pretrained(tmp_path / "whole")  # on TensorFlow
    inputs = {name: np.ones((2, 9), np.int32) for name in ("input_ids", "input_mask", "segment_ids")}
    loaded = tf.saved_model.load(str(tmp_path / "whole" / "saved_model"))
    served, expected = loaded.serve(inputs), model.encoder(inputs)
    for name, output in expected.items():
        np.testing.assert_allclose(served[name], output, atol=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_records_and_results_in_another_place(records, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(remote_places, "CACHE", tmp_path / "cache")
    there = tmp_path / "bucket" / "run"
    places = [f"file://{records}", f"file://{there}"]  # which TensorFlow opens as it does gs://
    flags = ["--jit_compile=false", "--save_checkpoints_steps=2"]
    assert pretrain(*places, *flags) == 0
    assert f"--model_dir=file://{there}" in capsys.readouterr().out
    names = {path.name for path in there.iterdir()}
    assert {"model.safetensors", "vocab.txt", "run.json", "eval_results.json", "checkpoints"} <= names
    shutil.rmtree(tmp_path / "cache")  # another machine
    assert pretrain(*places, *flags) == 0
    assert "nothing was left to do" in capsys.readouterr().err
    assert pretrain(f"file://{tmp_path}/nothing/*", places[1]) == 2
    assert f"file://{tmp_path}/nothing/*" in capsys.readouterr().err
