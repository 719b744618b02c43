"""Several workers: their places, their meeting, and what is said when one is lost."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.models import BertPretrainer
from keras_bert.models.weights import collect_arrays
from keras_bert.training import workers
from keras_bert.training.pretrain import pretrain
from keras_bert.training.workers import (
    ALONE,
    LostWorkerError,
    Place,
    check_agreement,
    is_chief,
    lost_workers_named,
    multi_worker_strategy,
    num_workers,
    stop_of_any,
    worker_index,
)
from tests import reference_bert
from tests.models.test_golden import FINAL

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = tf.distribute.get_strategy()
DISAGREED = "The workers do not agree on the step to resume from: 40 on worker 0, 41 on worker 1; start all with"


def free_addresses(n):
    """Returns n "localhost:port" at which nothing listens."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(n)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def tf_config(addresses, index):
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


@pytest.mark.parametrize(
    ("cluster", "task", "place"),
    [
        ({"worker": ["a:1", "b:2"]}, ("worker", 1), Place(1, ("a:1", "b:2"))),
        ({"worker": ["a:1", "b:2"], "chief": ["c:3"]}, ("chief", 0), Place(0, ("c:3", "a:1", "b:2"))),
        ({"worker": ["a:1", "b:2"], "chief": ["c:3"]}, ("worker", 1), Place(2, ("c:3", "a:1", "b:2"))),
        ({"worker": ["a:1", "b:2"]}, ("worker", 2), None),
        ({"worker": ["a:1"], "evaluator": ["b:2"]}, ("evaluator", 0), None),
    ],
)
def test_a_place_by_tf_config(cluster, task, place):
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), task_type=task[0], task_id=task[1]
    )
    if place is None:
        with pytest.raises(UserError, match=rf"TF_CONFIG's task must be .* Received: {task[0]} {task[1]}\."):
            workers._place_by(resolver)
    else:
        assert workers._place_by(resolver) == place


@pytest.mark.parametrize("strategy", [DEFAULT, SimpleNamespace(num_replicas_in_sync=4)])
def test_without_other_workers_nothing_is_done(strategy):
    assert workers.place_in(strategy) is ALONE
    assert (is_chief(strategy), num_workers(strategy), worker_index(strategy)) == (True, 1, 0)
    check_agreement(strategy, 3, what="nothing")
    assert stop_of_any(strategy, ended) is ended
    error = tf.errors.UnavailableError(None, None, "Collective ops is aborted by: Socket closed")
    with pytest.raises(tf.errors.UnavailableError), lost_workers_named(strategy):
        raise error


def test_a_mirrored_strategy_is_one_process_whatever_tf_config_says(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(["a:1", "b:2"], 1))
    assert workers.place_in(tf.distribute.MirroredStrategy()) is ALONE


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":2222", "localhost:port"])
def test_an_address_without_host_or_port_is_a_user_error(address):
    with pytest.raises(UserError, match=f"must be host:port. Received: '{address}'"):
        workers._host_and_port(address)


def test_workers_meet_when_all_are_there():
    addresses, lines, servers = tuple(free_addresses(3)), [], []

    def come(index, delay):
        time.sleep(delay)
        workers._meet(Place(index, addresses), 20, lambda line: lines.append((index, line)))
        servers.append(workers._open_port(addresses[index]))  # TensorFlow's own server, from now on

    threads = [threading.Thread(target=come, args=each, daemon=True) for each in ((0, 0), (1, 0), (2, 1.0))]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert servers == []  # one is missing
    for thread in threads:
        thread.join(20)
    assert len(servers) == 3
    for server in servers:
        server.close()
    told = [line for index, line in lines if index == 0]
    assert len(told) == 1
    assert told[0].startswith("worker 0 of 3 is waiting for worker ")
    assert f"2 ({addresses[2]})" in told[0]


def test_a_worker_that_does_not_come_is_named():
    addresses = tuple(free_addresses(3))
    with (
        socket.create_server(("localhost", int(addresses[0].split(":")[1]))),
        pytest.raises(LostWorkerError, match=rf"Waited 0.2 seconds for worker 2 \({addresses[2]}\) in vain"),
    ):
        workers._meet(Place(1, addresses), 0.2, lambda line: None)


def test_a_port_in_use_is_a_user_error(monkeypatch):
    with socket.create_server(("", 0)) as used:
        address = f"localhost:{used.getsockname()[1]}"
        monkeypatch.setenv("TF_CONFIG", tf_config([address, "localhost:1"], 0))
        with pytest.raises(UserError, match=rf"This worker's port, .*\({address}\), cannot be opened \(Address"):
            multi_worker_strategy()


@pytest.fixture
def two(monkeypatch):
    """Makes this process the first of two workers; the other's port is open until `two.close()`."""
    with socket.create_server(("localhost", 0)) as other:
        place = Place(0, ("localhost:1", f"localhost:{other.getsockname()[1]}"))
        monkeypatch.setattr(workers, "place_in", lambda strategy: place)
        monkeypatch.setattr(workers, "check_agreement", lambda *_, **__: None)
        for name, seconds in (("LOOK_EVERY", 0.02), ("GRACE_SECONDS", 0.1)):
            monkeypatch.setattr(workers, name, seconds)
        yield other


ABORTED = (
    "Graph execution error:\n\nCollective ops is aborted by: Socket closed\nAdditional GRPC error information from "
    "remote target /job:worker/replica:0/task:1 while calling /tensorflow.WorkerService/RecvBuf:"
)
SENTENCE = (
    "Worker 0 of 2 lost another worker {} ({}); the checkpoints saved so far are safe, and starting all workers with "
    "the same command resumes from the last one."
)


@pytest.mark.parametrize("step", [0, 40])
@pytest.mark.parametrize("kind", ["UnavailableError", "AbortedError", "DeadlineExceededError", "InternalError"])
def test_what_a_lost_worker_brings_about_is_said_in_a_sentence(two, kind, step):
    with pytest.raises(LostWorkerError) as caught, lost_workers_named(DEFAULT, step=lambda: step):
        raise getattr(tf.errors, kind)(None, None, ABORTED)
    when = "after step 40" if step else "before the first step"
    assert str(caught.value) == SENTENCE.format(when, "Socket closed")
    assert caught.value.exit_status == 75


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.DataLossError(None, None, "corrupted record at 7; Collective ops is aborted"),
        tf.errors.UnavailableError(None, None, "a file system is down"),
        UserError("Collective ops is aborted"),
    ],
)
def test_other_errors_stay_what_they_are(two, error):
    with pytest.raises(type(error)) as caught, lost_workers_named(DEFAULT):
        raise error
    assert caught.value is error


def ended(monkeypatch):
    """Keeps the process alive; returns the list that gets the exit status instead."""
    statuses = []
    monkeypatch.setattr(workers.os, "_exit", statuses.append)
    return statuses


def test_the_watch_ends_what_hangs(two, monkeypatch, capsys):
    statuses = ended(monkeypatch)
    with lost_workers_named(DEFAULT, step=lambda: 40):
        two.close()
        deadline = time.monotonic() + 20
        while not statuses and time.monotonic() < deadline:
            time.sleep(0.02)
    assert statuses == [75]
    err = capsys.readouterr().err
    assert err.startswith("Worker 0 of 2 lost worker 1 after step 40 (nothing answers at localhost:")
    assert err.endswith("resumes from the last one.\n")


def test_the_watch_leaves_those_alone_that_end_by_themselves_or_are_well(two, monkeypatch, capsys):
    statuses = ended(monkeypatch)
    with lost_workers_named(DEFAULT):
        time.sleep(0.5)  # well over LOOK_EVERY * LOOKS + GRACE_SECONDS
    monkeypatch.setattr(workers, "GRACE_SECONDS", 20)
    with lost_workers_named(DEFAULT):
        two.close()
        time.sleep(0.3)
    time.sleep(0.1)
    assert statuses == []
    assert capsys.readouterr().err == ""
    assert not [each for each in threading.enumerate() if isinstance(each, workers._Watch)]


# What one of two workers does: trains on its half of the golden batch, filled up with instances of weight 0.
TRAJECTORY = """
import json, os, sys
import numpy as np
import tensorflow as tf
from keras_bert.errors import UserError
from keras_bert.training.workers import (
    check_agreement, is_chief, lost_workers_named, multi_worker_strategy, stop_of_any
)
strategy = multi_worker_strategy(log=print)
folder, schedule = sys.argv[1], json.loads(sys.argv[2])
from keras_bert.models import BertPretrainer
from keras_bert.training.optimizers import adamw
from keras_bert.training.sums import metrics_from_sums
from keras_bert.training.trainer import make_trainer
from tests.models.conftest import as_batch

def halves(num_shards, shard_index):
    assert num_shards == 2
    pad = lambda x: np.array_split(np.concatenate([x, 0 * x[: len(x) % 2]]), 2)[shard_index]
    return tf.data.Dataset.from_tensors(tf.nest.map_structure(pad, batch)).repeat()

batch = as_batch(dict(np.load(folder + "/golden.npz")))
with lost_workers_named(strategy), strategy.scope():
    model = BertPretrainer.from_pretrained(folder)
    optimizer = adamw(**schedule)
    optimizer.build(model.trainable_variables)
    trainer = make_trainer(model, optimizer, strategy)
    batches = trainer.batches(halves)
    start = [variable.numpy() for variable in model.variables]
    first = trainer.train(batches, 1)
    for variable, value in zip(model.variables, start, strict=True):
        variable.assign(value)  # as a restore does; the first step's rate is 0, its moments remain
    rows = [*first, *trainer.train(batches, 4), *trainer.train(batches, schedule["num_train_steps"] - 5)]
    sums = [*np.array(rows)[:, :6], trainer.evaluate(halves, max_batches=2)]
    if is_chief(strategy):
        model.save_pretrained("model")  # the others wait at what comes next
    check_agreement(strategy, 40, what="the step to resume from")
    try:
        check_agreement(strategy, 40 + (not is_chief(strategy)), what="the step to resume from")
    except UserError as error:
        print(error)
    print(stop_of_any(strategy, lambda: None)())
    print(stop_of_any(strategy, lambda: None if is_chief(strategy) else ("SIGTERM", 143))())
weights = [variable.numpy().tolist() for variable in model.trainable_variables]
print(json.dumps({"losses": [metrics_from_sums(each)["loss"] for each in sums], "weights": weights}))
"""


def start_workers(command, folder, *, n=2):
    """Starts n workers of a command. Returns their processes; each writes to folder/worker-N.txt."""
    addresses, processes = free_addresses(n), []
    for index in range(n):
        config = {"TF_CONFIG": tf_config(addresses, index), "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
        with open(folder / f"worker-{index}.txt", "w") as output:
            processes.append(
                subprocess.Popen(
                    command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **config}, cwd=folder
                )
            )
    return processes


def finished(processes, folder, *, seconds):
    """Waits for workers; returns their exit statuses and outputs. Those that are not done in time are killed."""
    deadline = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    outputs = [(folder / f"worker-{index}.txt").read_text() for index in range(len(processes))]
    return [process.returncode for process in processes], outputs


@pytest.mark.parametrize(
    "which", [pytest.param("ours", marks=pytest.mark.slow), pytest.param("google", marks=pytest.mark.nightly)]
)
def test_two_workers_take_the_golden_trajectory(golden, which, request, tmp_path):
    # Of an odd number of instances one half has more: the mean of the halves' means would be another number.
    schedule, folder = reference_bert.TRAINING, golden / "model"
    if which == "google":
        folder = request.getfixturevalue("shared") / "golden" / "model"
        schedule = {"learning_rate": 1e-3, "num_train_steps": 20, "num_warmup_steps": 5}
    command = [sys.executable, "-c", TRAJECTORY, str(folder), json.dumps(schedule)]
    statuses, outputs = finished(start_workers(command, tmp_path), tmp_path, seconds=300)
    assert statuses == [0, 0], outputs[0][-2000:] + outputs[1][-2000:]
    results = [json.loads(next(line for line in output.splitlines() if line.startswith("{"))) for output in outputs]
    assert results[0] == results[1]  # to the last bit
    assert all(DISAGREED in output for output in outputs)
    assert "None\n('worker 1 was asked to stop', 143)\n" in outputs[0]
    assert "None\n('SIGTERM', 143)\n" in outputs[1]
    expected = dict(np.load(folder / "golden.npz"))
    np.testing.assert_allclose(results[0]["losses"][:-1], expected["train_losses"], rtol=1e-5)
    assert results[0]["losses"][-1] < results[0]["losses"][-2]
    arrays = collect_arrays(BertPretrainer.from_pretrained(tmp_path / "model"))
    final = {name.removeprefix("final/"): array for name, array in expected.items() if name.startswith("final/")}
    final |= {name: expected[key] for key, name in FINAL.items() if key in expected}
    assert len(final) == (len(arrays) if which == "ours" else len(FINAL))
    for name, array in final.items():
        np.testing.assert_allclose(arrays[name], array, atol=1e-3 * np.abs(array).max(), err_msg=name)


RUN = {"train_batch_size": 16, "learning_rate": 1e-3, "num_train_steps": 200, "num_warmup_steps": 10}
SAVE_EVERY = 50


@pytest.mark.nightly
def test_a_killed_worker_stops_the_other_and_both_go_on(records, config, tmp_path):
    pretrain(records[0], tmp_path / "alone", config, steps_per_loop=25, **RUN)
    (tmp_path / "bert_config.json").write_text(json.dumps(config.to_dict()))
    command = [
        *(sys.executable, "-m", "keras_bert.cli.main", "pretrain", "--strategy=multi_worker"),
        *(f"--input_file={','.join(records[0])}", "--output_dir=run", "--bert_config_file=bert_config.json"),
        *(f"--save_checkpoints_steps={SAVE_EVERY}", "--iterations_per_loop=25"),
        *(f"--{name}={value}" for name, value in RUN.items()),
    ]
    processes = start_workers(command, tmp_path)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run").glob("checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    processes[1].kill()
    killed = time.monotonic()
    statuses, outputs = finished(processes, tmp_path, seconds=60)
    assert statuses == [75, -9], outputs[0][-2000:]
    assert time.monotonic() - killed < 60
    assert "keras-bert pretrain: Worker 0 of 2 lost another worker" in outputs[0]
    assert "Traceback" not in outputs[0]
    assert not (tmp_path / "run" / "model.safetensors").exists()

    statuses, outputs = finished(start_workers(command, tmp_path), tmp_path, seconds=300)
    assert statuses == [0, 0], outputs[0][-2000:] + outputs[1][-2000:]
    assert all("resumed at step" in output for output in outputs)
    arrays, expected = (collect_arrays(BertPretrainer.from_pretrained(tmp_path / name)) for name in ("run", "alone"))
    for name, array in expected.items():
        np.testing.assert_allclose(arrays[name], array, atol=1e-3, err_msg=name)
    rows = [
        [json.loads(line) for line in (tmp_path / name / "train_log.jsonl").read_text().splitlines()]
        for name in ("run", "alone")
    ]
    assert [row["step"] for row in rows[0]] == list(range(25, 201, 25))
    losses, expected = ([row["masked_lm_loss"] for row in each] for each in rows)
    np.testing.assert_allclose(losses, expected, rtol=2e-3)
