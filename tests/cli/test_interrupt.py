"""A signal in the middle of training: the run is saved, one line says so, and the exit status is the shell's."""

import os
import signal
import subprocess
import sys
import time

import pytest

from keras_bert.cli.saved_models import find_configuration

PATIENCE = 120  # seconds until a step must have been trained; generous, as a busy machine compiles slowly


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "Ctrl-C"), pytest.param(signal.SIGTERM, "SIGTERM", marks=pytest.mark.slow)]
)
def test_a_signal_saves_says_so_and_leaves_no_model(records, tmp_path, number, name):
    out = tmp_path / "model"
    command = [sys.executable, "-m", "keras_bert.cli.main", "pretrain", f"--input_file={records}"]
    flags = ["--bert_config_file=tiny", "--train_batch_size=4", "--num_train_steps=1000000", "--iterations_per_loop=2"]
    flags += ["--jit_compile=false"]
    process = subprocess.Popen(
        [*command, f"--output_dir={out}", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    log = out / "train_log.jsonl"
    deadline = time.monotonic() + PATIENCE
    while not (log.is_file() and log.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number, error
    last = error.strip().splitlines()[-1]
    assert last.startswith(f"keras-bert pretrain: {name}: stopped at step ")
    step = int(last.split("stopped at step ")[1].split(",")[0])
    assert (out / "checkpoints" / f"step-{step:08d}" / "notes.json").is_file()
    assert "Traceback" not in error
    assert find_configuration(out) is None
    assert not (out / "model.safetensors").exists()
