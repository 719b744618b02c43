"""Locks: one process holds, the others are told who; nothing stays behind a killed one. No TensorFlow here."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keras_bert import locks
from keras_bert.errors import UserError
from keras_bert.locks import lock_beside, lock_in, locked

HOLD = """
import sys
from keras_bert.locks import locked
with locked(sys.argv[1], what="it"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock in tmp_path/run until it is killed or its standard input ends."""
    path = lock_in(tmp_path / "run")
    command = [sys.executable, "-c", HOLD, str(path), "--learning_rate=1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(locks.__file__).parents[1])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process, path
        process.kill()


def test_a_second_process_is_told_who_holds_the_lock_and_enters_when_that_one_is_killed(other):
    process, path = other
    with pytest.raises(UserError, match=rf"--output_dir run is in use by process {process.pid} on .*learning_rate=1"):
        with locked(path, what="--output_dir run"):
            raise AssertionError("two are in")
    assert path.exists()  # the one that was refused removes nothing
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(path, what="it") as held:
        assert held
    assert not path.exists()


def test_a_waiting_process_enters_when_the_other_ends_and_not_on_the_removed_file(other):
    process, path = other
    threading.Timer(0.3, process.stdin.close).start()
    with locked(path, what="it", patience=20) as held:
        assert held
        assert path.stat().st_ino  # the file that was locked lies there: a third process finds it
        with pytest.raises(UserError, match="is in use"), locked(path, what="it"):
            raise AssertionError("two are in")


def test_no_third_process_enters_on_a_lock_file_that_was_removed(tmp_path, monkeypatch):
    """The old race: B opens the file, A removes it and ends, C makes a new one; then B locks the removed one."""
    path, opened, first = lock_in(tmp_path), locks._open, []

    def open_late(place):
        file = opened(place)
        if not first:  # between B's opening and locking
            first.append(file)
            os.unlink(place)
            stack.enter_context(locked(path, what="C"))
        return file

    path.touch()
    with contextlib.ExitStack() as stack:
        monkeypatch.setattr(locks, "_open", open_late)
        with pytest.raises(UserError, match="B is in use"), locked(path, what="B"):
            raise AssertionError("two are in")


@pytest.mark.parametrize("error", [FileNotFoundError, FileExistsError])
def test_a_folder_that_another_process_removes_meanwhile_is_made_again(tmp_path, monkeypatch, error):
    opened, vain = locks._open, []

    def open_in_vain(place):
        if not vain:
            vain.append(place)
            raise error({FileNotFoundError: errno.ENOENT, FileExistsError: errno.EEXIST}[error], "gone", str(place))
        return opened(place)

    monkeypatch.setattr(locks, "_open", open_in_vain)
    with locked(lock_in(tmp_path / "run"), what="it") as held:
        assert held and vain


def test_folders_that_were_made_for_the_lock_and_stayed_empty_are_removed(tmp_path):
    with locked(lock_in(tmp_path / "a" / "b"), what="it"):
        pass
    with locked(lock_in(tmp_path / "c" / "d"), what="it"):
        (tmp_path / "c" / "file").write_text("")
    assert sorted(os.listdir(tmp_path)) == ["c"] and os.listdir(tmp_path / "c") == ["file"]


def test_a_holder_whose_folder_was_replaced_leaves_the_new_lock(tmp_path):
    path = lock_in(tmp_path / "run")
    with locked(path, what="A"):
        path.parent.rename(tmp_path / "away")
        path.parent.mkdir()
        path.write_text("")
    assert path.exists()


def test_where_there_can_be_no_lock_the_work_is_done_without(tmp_path, monkeypatch):
    with locked("gs://bucket/run/.lock", what="it") as held:
        assert not held
    for number in (errno.EROFS, errno.EACCES, errno.ENOSPC):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", lambda *_, number=number, **__: (_ for _ in ()).throw(OSError(number, "no")))
            with locked(tmp_path / "x" / ".lock", what="it") as held:
                assert not held
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "none")))
    with locked(lock_beside(tmp_path / "y"), what="it") as held:
        assert not held


def test_a_forked_child_does_not_release_its_parents_lock(tmp_path):
    path = lock_in(tmp_path)
    context = locked(path, what="it")
    with context:
        if not (child := os.fork()):
            try:
                context.__exit__(None, None, None)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(UserError, match="is in use"), locked(path, what="it"):
            raise AssertionError("two are in")
