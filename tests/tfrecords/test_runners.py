"""Work in one process and in several: the same results in the same order, and an end whatever happens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_bert.errors import UserError
from tfrecords import runners
from tfrecords.runners import choose_workers, make_runner

PATIENCE = 60  # seconds, for what takes one


def square(number):
    return number * number


def refuse(number):
    if number == 7:
        raise UserError("seven is refused.")
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def twice(number):
    return [number, number]


@pytest.fixture(params=["one", "fork", "loky"])
def workers(request, monkeypatch):
    """One runner of each kind. In these tests TensorFlow may be loaded, and then only loky's processes are used."""
    if request.param == "fork":
        if sys.platform != "linux":
            pytest.skip("forks only on Linux")
        monkeypatch.setattr(runners, "_forking_is_safe", lambda: True)
    if request.param == "loky":
        monkeypatch.setattr(runners, "_forking_is_safe", lambda: False)
    return 1 if request.param == "one" else 2


def test_results_come_in_order(workers):
    with make_runner(workers) as runner:
        assert list(runner.map(square, range(100))) == [n * n for n in range(100)]
        assert list(runner.map(square, [1, 2], expand=twice)) == [1, 1, 4, 4]
        assert list(runner.map(square, [])) == []


def test_a_user_error_comes_through(workers):
    with pytest.raises(UserError, match="seven is refused"), make_runner(workers) as runner:
        list(runner.map(refuse, range(1000)))


def test_tasks_are_drawn_only_a_few_ahead():
    drawn = []

    def tasks():
        for number in range(1000):
            drawn.append(number)
            yield number

    with make_runner(2) as runner:
        results = runner.map(square, tasks())
        next(results)
        assert len(drawn) <= 2 * runners.TASKS_IN_FLIGHT + 1
        results.close()


def test_a_worker_that_is_killed_is_a_user_error():
    with pytest.raises(UserError, match=r"worker process was killed.*--num_workers"), make_runner(2) as runner:
        list(runner.map(die, range(3)))


def test_number_of_workers():
    assert choose_workers(3, 0) == 3
    assert choose_workers(None, 1000) == 1
    assert choose_workers(None, 1 << 30) == runners.available_cores()
    with pytest.raises(UserError, match="at least 1"):
        choose_workers(0, 0)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = (
        "import os, sys, time\n"
        "from tfrecords.runners import make_runner\n"
        "def work(n):\n    os.write(1, b'%d\\n' % os.getpid())\n    time.sleep(600)\n"  # one write, or lines would mix
        "with make_runner(2) as runner:\n    list(runner.map(work, range(4)))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers):
        assert time.monotonic() < deadline, "the workers have outlived their parent"
        time.sleep(0.1)
    parent.stdout.close()
