"""Outputs appear whole or not at all, and what dead processes left is cleared."""

import errno
import os
import pickle

import pytest

from keras_bert.errors import ResourceError, UserError
from keras_bert.outputs import atomic_path, clear_left, refuse_existing

DEAD = "999999999"  # no system numbers its processes so high


def test_refuse_existing_refuses_files_and_folders(tmp_path):
    refuse_existing(tmp_path / "new", what="--output_dir")
    with pytest.raises(UserError, match=r"--output_dir: .* exists already; take another"):
        refuse_existing(tmp_path, what="--output_dir", remedy="take another")


def test_a_file_appears_at_the_end_and_alone(tmp_path):
    path = tmp_path / "new" / "deep" / "out.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("all of it")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "all of it"
    assert os.listdir(path.parent) == ["out.txt"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "(No space left on device); free space, or choose another"),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            "(Disk quota exceeded); free space within your quota, or choose",
        ),
        (OSError(errno.EROFS, "Read-only"), "(Read-only); make it writable, or choose another place."),
        (OSError("96000 requested and 4968 written"), "(the disk took only a part of it); free space, or choose"),
        (OSError(errno.ENOTDIR, "Not a directory", "x"), "(Not a directory: 'x'); choose another place."),
    ],
)
def test_what_cannot_be_written_is_named_with_a_remedy_for_it(tmp_path, error, sentence):
    """By its own name, even where the system names the temporary one, or a file is written inside of another."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with pytest.raises(ResourceError) as raised, atomic_path(tmp_path / "out") as folder:
        with atomic_path(folder / "part"):
            raise error
    assert str(raised.value).startswith(f"Cannot write {tmp_path}/out/part {sentence}")
    with pytest.raises(ResourceError) as raised, atomic_path(tmp_path / "out") as folder:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))
    assert str(raised.value).startswith(f"Cannot write {tmp_path}/out (No space left on device); free")
    copy = pickle.loads(pickle.dumps(raised.value))
    assert str(copy) == str(raised.value) and copy.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == ["out"] and os.listdir(tmp_path / "out") == ["old"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), UserError("wrong"), SystemExit(3)])
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("there", [True, False])
def test_after_an_exception_nothing_has_changed(tmp_path, error, kind, there):
    path = tmp_path / "out"
    if there:
        path.write_text("old")
    with pytest.raises(type(error)), atomic_path(path) as temporary:
        if kind == "folder":
            temporary.mkdir()
            (temporary / "part").write_text("half")
        else:
            temporary.write_text("half")
        raise error
    assert os.listdir(tmp_path) == (["out"] if there else [])
    assert not there or path.read_text() == "old"


def test_a_file_replaces_a_file_and_a_folder_a_folder(tmp_path):
    path = tmp_path / "out"
    for text in ("one", "two"):
        with atomic_path(path) as temporary:
            temporary.write_text(text)
        assert path.read_text() == text
    path.unlink()
    for name in ("one", "two"):
        with atomic_path(path) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
        assert os.listdir(path) == [name]
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").write_text("old")
    rename = type(path).rename

    def fail_for_the_new_one(self, target):
        if self.name.endswith(".partial"):
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", fail_for_the_new_one)
    with pytest.raises(UserError, match=r"Cannot write .*out"), atomic_path(path) as temporary:
        temporary.mkdir()
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(path) == ["old"]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path):
    left = tmp_path / f".out.{os.getpid()}.partial"
    left.mkdir()
    (left / "half").write_text("half")
    with atomic_path(tmp_path / "out") as temporary:
        temporary.mkdir()
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == []


def test_what_dead_processes_left_is_cleared_and_what_living_ones_write_stays(tmp_path):
    path = tmp_path / "out"
    with atomic_path(path) as ours:
        ours.write_text("all of it")
        mine, machine = ours.name, ours.name.split("-")[1].split(".")[0]
    foreign, old = f".out.7-{'0' * 8}.partial", f".out.8-{'f' * 8}.partial"
    dead = [f".out.{DEAD}.partial", mine.replace(str(os.getpid()), DEAD), f".out.{DEAD}-{machine}.old", old]
    kept = [f".out.{os.getppid()}.partial", mine.replace(str(os.getpid()), str(os.getppid())), foreign, ".b.txt"]
    other = f".out.b.{DEAD}.partial"  # what is to become out.b
    for name in (*dead, *kept, other):
        (tmp_path / name).write_text("half")
    os.utime(tmp_path / old, (0, 0))
    with atomic_path(path) as temporary:
        temporary.write_text("anew")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, other, "out"])
    clear_left(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "out"])
    path.rename(tmp_path / f".out.{DEAD}.old")  # killed between two renames
    clear_left(tmp_path)
    assert path.read_text() == "anew"


def test_a_place_that_cannot_be_written_to_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    for path in (tmp_path / "file" / "out", tmp_path / "folder", tmp_path / "missing"):
        with pytest.raises(UserError, match=f"Cannot write {path}"), atomic_path(path) as temporary:
            if path.name != "missing":  # there the body makes nothing
                temporary.write_text("a file")
    with pytest.raises(UserError, match="Cannot write"), atomic_path(tmp_path / "file") as temporary:
        temporary.mkdir()
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert os.listdir(tmp_path / "folder") == ["full"]
