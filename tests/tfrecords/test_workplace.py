"""The folder of an unfinished run: who may use it, and when it goes."""

import pytest

from keras_bert.errors import UserError
from tfrecords.workplace import Workplace


def start(tmp_path, **identity):
    return Workplace(tmp_path / "out" / "wiki.tfrecord-00000-of-00002", {"seed": 1, **identity})


def test_it_lies_beside_the_outputs_and_goes_with_the_end(tmp_path):
    with start(tmp_path).opened() as folder:
        assert folder == tmp_path / "out" / ".wiki.unfinished"
        (folder / "half").touch()
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_is_cut_off_goes_on(tmp_path, error):
    with pytest.raises(error), start(tmp_path).opened() as folder:
        (folder / "half").touch()
        raise error
    again = start(tmp_path)
    assert again.resumed
    with again.opened() as folder:
        assert (folder / "half").exists()
    assert not folder.exists()


def test_a_user_error_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="no text"), start(tmp_path).opened() as folder:
        raise UserError("The input has no text.")
    assert not folder.exists()


def test_a_full_disk_is_a_user_error_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match=r"No space left.*free space"), start(tmp_path).opened() as folder:
        raise OSError(28, "No space left on device")
    assert not folder.exists()


@pytest.mark.parametrize("other", [{"seed": 2}, {"more": None}, {"sources": [["a.txt", 5, 7]]}])
def test_another_run_starts_afresh(tmp_path, other):
    with pytest.raises(KeyboardInterrupt), start(tmp_path).opened() as folder:
        (folder / "half").touch()
        (folder / "plans").mkdir()
        (folder / "plans" / "000000").touch()
        raise KeyboardInterrupt
    fresh = start(tmp_path, **other)
    assert not fresh.resumed
    with fresh.opened() as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["lock", "run.json"]


def test_a_note_that_is_torn_starts_afresh(tmp_path):
    folder = start(tmp_path).folder
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"seed": ')
    assert not start(tmp_path).resumed


def test_one_process_at_a_time(tmp_path, monkeypatch):
    pytest.importorskip("fcntl")
    monkeypatch.setattr("tfrecords.workplace.PATIENCE", 0.1)
    with start(tmp_path).opened() as folder:
        with pytest.raises(UserError, match="Another process is writing"), start(tmp_path).opened():
            pytest.fail("two at a time")
        assert folder.exists()
