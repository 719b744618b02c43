"""The folder of an unfinished run: who may use it, when it goes, and what a full disk leaves of it."""

import contextlib
import errno
import os

import pytest

from keras_bert.errors import ResourceError, UserError
from keras_bert.outputs import atomic_path
from tfrecords.workplace import Workplace


def start(tmp_path, **identity):
    return Workplace(tmp_path / "out" / "wiki.tfrecord-00000-of-00002", {"seed": 1, **identity})


@contextlib.contextmanager
def work(workplace):
    """Locks and opens a workplace, as a run does."""
    with workplace.locked(), workplace.opened() as folder:
        yield folder


def test_it_lies_beside_the_outputs_and_goes_with_the_end(tmp_path):
    with work(start(tmp_path)) as folder:
        assert folder == tmp_path / "out" / ".wiki.unfinished"
        (folder / "half").touch()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_is_cut_off_continues(tmp_path, error):
    with pytest.raises(error), work(start(tmp_path)) as folder:
        (folder / "half").touch()
        (folder / "plans").mkdir()
        (folder / "plans" / ".000001.4242.partial").touch()  # what SIGTERM leaves
        (folder / ".corpus.4242.partial").mkdir()
        raise error
    again = start(tmp_path)
    with work(again) as folder:
        assert again.resumed
        assert {path.name for path in folder.rglob("*")} == {"run.json", "half", "plans"}
    assert not folder.exists()


def test_a_user_error_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="no text"), work(start(tmp_path)) as folder:
        (folder / "corpus").mkdir()
        raise UserError("The input has no text.")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, r"; free space: the finished work is kept in "),
        (errno.EDQUOT, r"; free space within your quota, about 5\.00 MB more: the finished work is kept"),
        (errno.EROFS, "; make it writable: the finished work"),
        (errno.EIO, "; check the disk: the finished work"),
        (None, "; start again: the finished work"),
    ],
)
def test_what_stops_a_run_by_no_fault_of_its_input_keeps_the_finished_work(tmp_path, number, remedy):
    run = start(tmp_path)
    run.space_needed = lambda: 5_000_000
    with pytest.raises(ResourceError, match=remedy) as raised, work(run) as folder:
        (folder / "corpus").mkdir()
        if number is None:
            raise ResourceError("A worker process was killed", "start again")
        with atomic_path(folder / "plans" / "000000"):
            raise OSError(number, os.strerror(number))
    assert raised.value.exit_status == 2
    assert "the same command continues from it" in str(raised.value)
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["corpus", *["plans"] * (number is not None)]
    again = start(tmp_path)
    with work(again):
        assert again.resumed


def test_the_space_that_is_missing_is_told(tmp_path):
    run = start(tmp_path)
    run.space_needed = lambda: 10**18
    with pytest.raises(ResourceError, match=r"free space, about [\d,]+\.\d+ MB more"), work(run) as folder:
        (folder / "corpus").mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_before_anything_is_finished_leaves_nothing(tmp_path):
    with pytest.raises(ResourceError, match=r"No space left.*free space, or choose another"), work(start(tmp_path)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", [{"seed": 2}, {"more": None}, {"sources": [["a.txt", 5, 7]]}])
def test_another_run_starts_afresh(tmp_path, other):
    with pytest.raises(KeyboardInterrupt), work(start(tmp_path)) as folder:
        (folder / "half").touch()
        (folder / "plans").mkdir()
        (folder / "plans" / "000000").touch()
        raise KeyboardInterrupt
    fresh = start(tmp_path, **other)
    with work(fresh) as folder:
        assert not fresh.resumed
        assert [path.name for path in folder.iterdir()] == ["run.json"]


def test_a_note_that_is_torn_starts_afresh(tmp_path):
    run = start(tmp_path)
    run.folder.mkdir(parents=True)
    (run.folder / "run.json").write_text('{"seed": ')
    with run.locked():
        assert not run.resumed


def test_one_process_at_a_time(tmp_path, monkeypatch):
    pytest.importorskip("fcntl")
    monkeypatch.setattr("tfrecords.workplace.PATIENCE", 0.1)
    with work(start(tmp_path)) as folder:
        with pytest.raises(UserError, match=r"--output_file: .*wiki .* is in use by process \d+"):
            with work(start(tmp_path)):
                pytest.fail("two at a time")
        assert folder.exists()
        one, second = tmp_path / "out" / "other.tfrecord", tmp_path / "out" / "wiki.tfrecord"
        with pytest.raises(UserError, match="in use"), Workplace(one, {}, others=[second]).locked():
            pytest.fail("two at a time, of which one writes the other's second file")


def test_removing_the_folder_lets_nobody_in(tmp_path, monkeypatch):
    pytest.importorskip("fcntl")
    monkeypatch.setattr("tfrecords.workplace.PATIENCE", 0.0)
    run = start(tmp_path)
    with run.locked():
        with run.opened():
            pass
        assert not run.folder.exists()
        with pytest.raises(UserError, match="in use"), start(tmp_path).locked():
            pytest.fail("a second door")


def test_what_an_earlier_run_left_is_read_under_the_lock(tmp_path):
    """Of two runs that start together, the second must not take what the first has finished and removed for its own."""
    second = start(tmp_path)
    with work(start(tmp_path)), contextlib.suppress(UserError):
        assert second.resumed is None
    with second.locked():
        assert second.resumed is False
