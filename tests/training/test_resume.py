"""A run that stops and goes on: by a signal, by kill -9, by a NaN loss, by time, from phase to phase."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_bert.checkpoints.safetensors import open_arrays
from keras_bert.errors import UserError
from keras_bert.training import loop, run_folder
from keras_bert.training.loop import Stopped, raw_batch
from keras_bert.training.pretrain import pretrain
from keras_bert.training.sums import columns
from keras_bert.training.tensorflow_trainer import TensorFlowTrainer

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("quick_runs")
RUN = {
    "train_batch_size": 16,
    "num_train_steps": 24,
    "num_warmup_steps": 2,
    "learning_rate": 3e-3,
    "steps_per_loop": 5,
    "save_checkpoints_steps": 7,
}
MEASURED = {"seconds", "examples_per_second", "tokens_per_second", "utilisation"}  # by the clock


@pytest.fixture(scope="module")
def noisy(config):
    """A configuration with dropout."""
    return config.replace(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.1)


def rows_of(folder):
    """Returns the rows of a log without what the clock says."""
    rows = [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in MEASURED} for row in rows]


def state_of(folder):
    """Returns {name: bytes} of all variables in a run's newest checkpoint."""
    newest = max((folder / "checkpoints").glob("step-*"))
    spans = open_arrays(newest / "state.safetensors")
    return {name: np.fromfile(span.path, "u1", span.size, offset=span.offset).tobytes() for name, span in spans.items()}


def assert_same_end(folder, whole):
    """Both runs ended with the same bits."""
    assert rows_of(folder) == rows_of(whole)
    assert state_of(folder) == state_of(whole)
    for name in ("model.safetensors", "eval_results.json"):
        if "seconds" not in (whole / name).read_bytes().decode(errors="ignore"):  # results without an evaluation
            assert (folder / name).read_bytes() == (whole / name).read_bytes()


@pytest.fixture(scope="module")
def whole(records, noisy, tmp_path_factory):
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    pretrain(records[0], folder, noisy, eval_files=records[1], eval_every=10, **RUN)
    return folder


def stop_after(calls):
    """Returns a `stop` that asks for an end after so many calls."""
    left = iter(range(calls))
    return lambda: None if next(left, None) is not None else ("SIGTERM", 143)


@pytest.mark.parametrize("calls", [4, *(pytest.param(calls, marks=pytest.mark.slow) for calls in (0, 1))])
def test_a_run_that_was_stopped_ends_as_if_it_had_not(records, noisy, whole, tmp_path, calls):
    lines, arguments = [], {"eval_files": records[1], "eval_every": 10, **RUN}
    with pytest.raises(Stopped, match=r"SIGTERM: stopped at step \d+, saved in .*step-0") as stopped:
        pretrain(records[0], tmp_path / "run", noisy, stop=stop_after(calls), **arguments)
    assert stopped.value.exit_status == 143
    assert not (tmp_path / "run" / "model.safetensors").exists()
    pretrain(records[0], tmp_path / "run", noisy, log=lines.append, **arguments)
    assert any("resumed at step" in line for line in lines)
    assert_same_end(tmp_path / "run", whole)
    # Once more: all is done.
    lines.clear()
    results = pretrain(records[0], tmp_path / "run", noisy, log=lines.append, **arguments)
    assert results == json.loads((whole / "eval_results.json").read_text())
    assert "nothing was left to do" in lines[0]


WAYS = {
    "unmasked records": {},
    "bfloat16": {"dtype": "mixed_bfloat16"},
    "XLA": {"jit_compile": True},
    "micro-batches, with rematerialization": {"gradient_accumulation_steps": 4, "remat": True},
    "LAMB": {"optimizer": "lamb"},
}
NIGHTLY = pytest.mark.nightly


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=pytest.mark.slow if way == "unmasked records" else NIGHTLY) for way in WAYS]
)
def test_however_it_trains(records, dynamic_records, noisy, tmp_path, way):
    files = dynamic_records if way == "unmasked records" else records
    options = {**RUN, "num_train_steps": 12, **WAYS[way]}
    pretrain(files[0], tmp_path / "whole", noisy, **options)
    with pytest.raises(Stopped):
        pretrain(files[0], tmp_path / "run", noisy, stop=stop_after(2), **options)
    pretrain(files[0], tmp_path / "run", noisy, **options)
    assert_same_end(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize(("killed", "logged"), [("evaluate", 5), pytest.param("train", 10, marks=pytest.mark.slow)])
def test_killed_while_it_measures_or_right_after(records, noisy, whole, tmp_path, monkeypatch, killed, logged):
    arguments, lines = {"eval_files": records[1], "eval_every": 10, **RUN}, []
    work = getattr(TensorFlowTrainer, killed)

    def kill(self, *arguments):
        if int(self.optimizer.iterations) == 10:
            raise MemoryError
        return work(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(TensorFlowTrainer, killed, kill)
        pretrain(records[0], tmp_path / "run", noisy, **arguments)
    assert rows_of(tmp_path / "run")[-1]["step"] == logged
    pretrain(records[0], tmp_path / "run", noisy, log=lines.append, **arguments)
    assert "resumed at step 10" in lines[0]  # saved before it was measured
    assert_same_end(tmp_path / "run", whole)


@pytest.mark.slow
def test_another_way_to_compute_goes_on_and_says_so(records, noisy, tmp_path):
    lines, short = [], {**RUN, "num_train_steps": 4}
    with pytest.raises(Stopped):
        pretrain(records[0], tmp_path, noisy, stop=stop_after(1), **short)
    pretrain(records[0], tmp_path, noisy, jit_compile=True, log=lines.append, **short)
    assert "not to the same bits as without a stop: jit_compile False there, True here." in lines[0]


def test_a_damaged_checkpoint_is_passed_over(records, noisy, whole, tmp_path):
    lines, arguments = [], {"eval_files": records[1], "eval_every": 10, **RUN}
    with pytest.raises(Stopped):
        pretrain(records[0], tmp_path / "run", noisy, stop=stop_after(6), **arguments)
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*"))
    state = bytearray((newest / "state.safetensors").read_bytes())
    state[len(state) // 2] ^= 1
    (newest / "state.safetensors").write_bytes(state)
    pretrain(records[0], tmp_path / "run", noisy, log=lines.append, **arguments)
    assert f"{newest} is damaged" in lines[0]
    assert_same_end(tmp_path / "run", whole)


def test_another_run_in_the_folder(records, noisy, whole):
    before = {path: path.read_bytes() for path in whole.iterdir() if path.is_file()}
    with pytest.raises(UserError, match=r"another run, learning_rate: 0\.003 there, 0\.1 here; "):
        pretrain(records[0], whole, noisy, eval_files=records[1], **{**RUN, "learning_rate": 0.1})
    with pytest.raises(UserError, match=r"records: .*train\.tfrecord-00000-of-00002"):
        pretrain(records[1], whole, noisy, **RUN)
    assert before == {path: path.read_bytes() for path in whole.iterdir() if path.is_file()}


@pytest.mark.slow
def test_a_run_that_saved_nothing_gives_way(records, noisy, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        poison(patch, {1})
        with pytest.raises(UserError, match="there is no checkpoint yet; lower --learning_rate"):
            pretrain(records[0], tmp_path, noisy, **{**RUN, "num_train_steps": 3})
    pretrain(records[0], tmp_path, noisy, **{**RUN, "num_train_steps": 3, "learning_rate": 1e-3})  # as it was told
    assert [row["learning_rate"] for row in rows_of(tmp_path)] == [pytest.approx(1e-3 / 3)]


def test_start_over(records, noisy, tmp_path):
    short = {**RUN, "num_train_steps": 3}
    pretrain(records[0], tmp_path, noisy, **short)
    pretrain(records[0], tmp_path, noisy, restart=True, **{**short, "learning_rate": 1e-3})
    assert [row["learning_rate"] for row in rows_of(tmp_path)] == [pytest.approx(1e-3 / 3)]


def poison(monkeypatch, batches, value=np.nan):
    """Makes the loss of some batches no number; returns a list of the steps that were trained on each."""
    seen, train = [], loop.Loop._steps_of_call
    monkeypatch.setattr(loop.Loop, "_steps_of_call", lambda self, stage: min(1, train(self, stage)))

    def sound(self, row):
        batch = raw_batch(self.position.used[0], self.position.skipped[0])
        seen.append(batch)
        if batch in batches:
            row[columns().index("masked_lm_loss")] = value
        return original(self, row)

    original = loop.Loop._sound
    monkeypatch.setattr(loop.Loop, "_sound", sound)
    return seen


def test_a_loss_that_is_no_number_stops_and_names_step_batch_and_checkpoint(records, noisy, tmp_path, monkeypatch):
    poison(monkeypatch, {9})
    with pytest.raises(
        UserError, match=r"loss is nan.* at step 10 \(batch 9 .*last good checkpoint is .*step-00000007"
    ):
        pretrain(records[0], tmp_path / "run", noisy, **RUN)


def test_a_loss_that_explodes_stops(records, noisy, tmp_path, monkeypatch):
    poison(monkeypatch, {3}, value=1e6)
    with pytest.raises(UserError, match=r"loss is \d.*, the gradient's norm .* at step 4 .*there is no checkpoint yet"):
        pretrain(records[0], tmp_path / "run", noisy, **RUN)


def test_rewind_leaves_the_batch_out(records, noisy, tmp_path, monkeypatch):
    seen, lines = poison(monkeypatch, {2, 9, 10}), []
    pretrain(records[0], tmp_path / "run", noisy, on_divergence="rewind", log=lines.append, **RUN)
    # Back to step 0 after batch 2, to step 7 after batches 9 and 10; the batches after them move up.
    assert seen == [0, 1, 2, 0, 1, *range(3, 10), 8, 10, 8, *range(11, 27)]
    assert [row["step"] for row in rows_of(tmp_path / "run")] == [5, 10, 15, 20, 24]
    assert sum("back to step" in line for line in lines) == 3


def test_rewind_passes_over_a_checkpoint_of_ruined_weights(records, noisy, tmp_path, monkeypatch):
    """The update by batch 13, the last one before the checkpoint of step 14, ruins the weights without a NaN."""
    seen, lines, ruined = poison(monkeypatch, ()), [], False
    judge, restore = loop.Loop._sound, run_folder.Keeper.restore

    def sound(self, row):
        nonlocal ruined
        if ruined:
            row[columns().index("masked_lm_loss")] = 1e6
        good = judge(self, row)
        ruined = ruined or seen[-1] == 13
        return good

    def restored(self, position, **options):
        nonlocal ruined
        restore(self, position, **options)
        ruined = position.step == 14

    monkeypatch.setattr(loop.Loop, "_sound", sound)
    monkeypatch.setattr(run_folder.Keeper, "restore", restored)
    pretrain(records[0], tmp_path / "run", noisy, on_divergence="rewind", log=lines.append, **RUN)
    assert seen == [*range(15), 15, *range(7, 13), *range(16, 27)]
    assert [row["step"] for row in rows_of(tmp_path / "run")] == [5, 10, 15, 20, 24]
    told = [line.split("; ")[1] for line in lines if "back to step" in line]
    assert told == [
        "back to step 14, without that batch.",
        "back to step 7, without it and the last one before that checkpoint.",
    ]


@pytest.mark.slow
def test_what_was_left_out_stays_left_out_after_a_stop(records, noisy, tmp_path, monkeypatch):
    options = {**RUN, "on_divergence": "rewind"}
    whole = poison(monkeypatch, {2, 9})
    pretrain(records[0], tmp_path / "whole", noisy, **options)
    parts = poison(monkeypatch, {2, 9})
    for calls in (5, 5, None):
        stop = (lambda: None) if calls is None else stop_after(calls)
        with contextlib.suppress(Stopped):
            pretrain(records[0], tmp_path / "parts", noisy, stop=stop, **options)
    assert set(parts) == set(whole)
    assert_same_end(tmp_path / "parts", tmp_path / "whole")


def test_rewind_gives_up(records, noisy, tmp_path, monkeypatch):
    poison(monkeypatch, set(range(3, 100)))
    with pytest.raises(UserError, match=r"the 6th time after .*step-00000000, whatever batch is left out; lower"):
        pretrain(records[0], tmp_path / "run", noisy, on_divergence="rewind", **RUN)


BUDGET = {**RUN, "max_minutes": 0.05, "num_train_steps": 100, "num_warmup_steps": 30, "steps_per_loop": 1}


def test_a_time_budget_ends_the_run_and_its_schedule(records, noisy, tmp_path, ticking):
    lines, budget = [], BUDGET
    with pytest.raises(Stopped):
        pretrain(records[0], tmp_path, noisy, stop=stop_after(10), **budget)
    spent = json.loads((tmp_path / "train_log.jsonl").read_text().splitlines()[-1])["seconds"]
    pretrain(records[0], tmp_path, noisy, log=lines.append, **budget)
    assert "minutes are spent" in lines[0]
    rows = [json.loads(line) for line in (tmp_path / "train_log.jsonl").read_text().splitlines()]
    assert spent == 10 / 8  # the next row was due when it was stopped, and is written when it goes on
    assert [row["seconds"] for row in rows] == [call / 8 for call in range(1, 25)]
    shares = np.arange(24) / 24  # of the time when each step begins
    expected = 3e-3 * np.where(shares < 0.3, shares / 0.3, 1 - shares)
    assert [row["learning_rate"] for row in rows] == pytest.approx(expected.tolist(), rel=1e-3)


def test_a_time_budget_gives_no_time_back(records, noisy, tmp_path, ticking, monkeypatch):
    seen = poison(monkeypatch, {9})
    pretrain(records[0], tmp_path / "run", noisy, on_divergence="rewind", **BUDGET)
    assert seen == [*range(10), 7, 8, *range(10, 23)]  # the call of batch 9, one look at the clock, brought no step
    last = json.loads((tmp_path / "run" / "train_log.jsonl").read_text().splitlines()[-1])
    assert (last["step"], last["seconds"]) == (22, 24 / 8 + 1 / 16)


def test_batches_that_are_left_out_move_the_others_up():
    assert [raw_batch(done, []) for done in range(3)] == [0, 1, 2]
    assert [raw_batch(done, [0, 2]) for done in range(4)] == [1, 3, 4, 5]
    assert [raw_batch(done, [2, 1]) for done in range(3)] == [0, 3, 4]


def command(folder, records, config, *flags):
    """Returns a `keras-bert pretrain` command line for RUN."""
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    return [
        *(sys.executable, "-m", "keras_bert.cli.main", "pretrain"),
        f"--input_file={','.join(records[0])}",
        f"--eval_file={','.join(records[1])}",
        f"--bert_config_file={folder / 'config.json'}",
        *("--train_batch_size=16", "--num_train_steps=150", "--num_warmup_steps=10", "--learning_rate=3e-3"),
        *("--iterations_per_loop=10", "--save_checkpoints_steps=15", *flags),
    ]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.nightly
@pytest.mark.parametrize("flag", ["--dtype=float32", "--dtype=mixed_bfloat16", "--objective=rtd", "--objective=mlm"])
def test_killed_at_any_moment_and_started_again_it_ends_with_the_same_bits(records, noisy, tmp_path, flag):
    line = command(tmp_path, records, noisy, flag)
    subprocess.run([*line, f"--output_dir={tmp_path / 'whole'}"], check=True, env=ENVIRONMENT, capture_output=True)
    rng, folder = np.random.default_rng(0), tmp_path / "run"
    for kill in range(3):
        process = subprocess.Popen(
            [*line, f"--output_dir={folder}"], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline, wanted = time.monotonic() + 120, 20 + 45 * kill
        while process.poll() is None and time.monotonic() < deadline:
            log = folder / "train_log.jsonl"
            if log.exists() and log.read_text().count("\n") * 10 >= wanted:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL  # it was not over yet
    done = subprocess.run([*line, f"--output_dir={folder}"], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resumed at step" in done.stderr
    assert_same_end(folder, tmp_path / "whole")
