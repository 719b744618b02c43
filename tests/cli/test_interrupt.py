"""Ctrl-C in the middle of a command: exit status 130, one line, and nothing under a final name."""

import os
import signal
import subprocess
import sys
import time

import pytest

from keras_bert_cli.main import main

PATIENCE = 120  # seconds until a step must have been trained; generous, as a busy machine compiles slowly


@pytest.fixture
def records(text_file, tmp_path):
    """Records to train on for longer than anyone waits."""
    vocab, output = tmp_path / "vocab.txt", tmp_path / "records" / "r.tfrecord"
    assert main(["train_vocab", f"--input_file={text_file}", f"--vocab_file={vocab}", "--vocab_size=160"]) == 0
    flags = ["--max_seq_length=32", "--max_predictions_per_seq=5", "--dupe_factor=1"]
    made = [f"--input_file={text_file}", f"--output_file={output}", f"--vocab_file={vocab}"]
    assert main(["create_pretraining_data", *made, *flags]) == 0
    return output


def test_ctrl_c_ends_training_with_130_and_no_model(records, tmp_path):
    out = tmp_path / "model"
    command = [sys.executable, "-m", "keras_bert_cli.main", "pretrain", f"--input_file={records}"]
    flags = ["--bert_config_file=tiny", "--train_batch_size=4", "--num_train_steps=1000000", "--iterations_per_loop=2"]
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
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, error
    assert error.strip().splitlines()[-1].startswith("keras-bert pretrain: interrupted")
    assert "Traceback" not in error
    assert not (out / "bert_config.json").exists()
    assert not (out / "model.safetensors").exists()
