"""The same work in this process or in several: `runner.map(function, tasks)` gives the results in the tasks' order.

A task tells its function all that it needs, its random seed too, so that the results are the same whoever
works them out. Apache Beam runs the same functions over several machines: beam.py.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from itertools import chain

from keras_bert.errors import ResourceError, UserError

TASKS_IN_FLIGHT = 3  # for each worker: one that runs and two that wait, so that memory stays flat
SECONDS_BETWEEN_CHECKS = 1.0  # after which a worker notices that its parent was killed
SMALL_INPUT = 4 << 20  # bytes; what is smaller is done before other processes have started


def available_cores():
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_workers(num_workers, size):
    """Returns the number of workers: the one asked for, or a core each for inputs of `size` bytes and more than a few.

    Raises:
        UserError: fewer than one worker.
    """
    if num_workers is None:
        return 1 if size < SMALL_INPUT else available_cores()
    if num_workers < 1:
        raise UserError(f"--num_workers must be at least 1. Received: {num_workers}.")
    return num_workers


@contextlib.contextmanager
def make_runner(num_workers):
    """Gives a runner of so many processes; a single one works in the calling process itself.

    Example:
        >>> with make_runner(1) as runner:
        ...     print(list(runner.map(abs, [-1, 2, -3])))
        [1, 2, 3]
    """
    if num_workers == 1:
        yield SerialRunner()
        return
    executor = _make_executor(num_workers)
    try:
        yield PoolRunner(executor, num_workers)
    except BaseException:
        _stop(executor)
        raise
    executor.shutdown()


class SerialRunner:
    """Works in the calling process."""

    expands_here = True  # tasks are expanded in the calling process, so that it can follow the progress

    def map(self, function, tasks, *, expand=None):
        """Yields function(task) for each task.

        Args:
            function: what to do with a task.
            tasks: an iterable.
            expand: function from an entry of `tasks` to an iterable of tasks; None where they are tasks already.
        """
        return map(function, _expanded(tasks, expand))


class PoolRunner:
    """Works in the processes of an executor.

    Args:
        executor: a concurrent.futures executor.
        num_workers: how many processes it has.
    """

    expands_here = True

    def __init__(self, executor, num_workers):
        self._executor, self._in_flight = executor, TASKS_IN_FLIGHT * num_workers

    def map(self, function, tasks, *, expand=None):
        """Yields function(task) for each task, in order; see SerialRunner. Function, tasks, results must be picklable.

        Tasks are drawn from their iterable, and expanded, here and only a few ahead of the results.

        Raises:
            ResourceError: a worker process has died.
        """
        waiting = deque()
        try:
            for task in _expanded(tasks, expand):
                waiting.append(self._executor.submit(function, task))
                if len(waiting) == self._in_flight:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ResourceError(
                "A worker process was killed, most likely because memory ran out",
                "ask for fewer with --num_workers",
            ) from error


def _expanded(tasks, expand):
    return tasks if expand is None else chain.from_iterable(map(expand, tasks))


def _make_executor(num_workers):
    """Returns a pool of processes."""
    options = {"max_workers": num_workers, "initializer": _start_worker, "initargs": (os.getpid(),)}
    if _forking_is_safe():  # and quick
        executor = ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork"), **options)
        executor.submit(os.getpid).result()  # the processes start now, before reading a TFDS set loads TensorFlow
        return executor
    from joblib.externals import loky  # unlike multiprocessing's, its processes do not import the main module again

    return loky.ProcessPoolExecutor(**options)


def _forking_is_safe():
    """Says whether no other thread runs, as TensorFlow's do, that a fork would lose."""
    alone = threading.active_count() == 1 and "tensorflow" not in sys.modules and "jax" not in sys.modules
    return sys.platform == "linux" and alone


def _start_worker(parent):
    """Leaves Ctrl-C to the parent process, and ends with it even if that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        while os.getppid() == parent:
            time.sleep(SECONDS_BETWEEN_CHECKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _stop(executor):
    """Ends the worker processes without waiting for what they are doing."""
    processes = list((executor._processes or {}).values())  # no public way to reach them before Python 3.14
    for process in processes:
        process.terminate()
    executor.shutdown(wait=False)
