"""Arrays in a .safetensors file: round trip, damage, and who may read them."""

import os
import stat

import numpy as np
import pytest

from keras_bert.checkpoints.safetensors import open_arrays, write_arrays
from keras_bert.errors import UserError

ARRAYS = {"b/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array(3, np.int64), "half": np.float16([1])}


def test_arrays_come_back_by_name(tmp_path):
    path = tmp_path / "model.safetensors"
    write_arrays(path, ARRAYS)
    shapes, read = open_arrays(path)
    assert shapes == {name: array.shape for name, array in ARRAYS.items()}
    for name, array in ARRAYS.items():
        assert read(name).dtype == array.dtype
        np.testing.assert_array_equal(read(name), array)
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_whoever_may_read_new_files_may_read_this_one(tmp_path):
    (tmp_path / "other").touch()
    write_arrays(tmp_path / "model.safetensors", ARRAYS)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("other", "model.safetensors")]
    assert modes[0] == modes[1]


def test_a_damaged_file_is_a_user_error(tmp_path):
    path = tmp_path / "model.safetensors"
    write_arrays(path, ARRAYS)
    data = path.read_bytes()
    for damaged in (
        b"",
        data[:4],
        data[:60],
        data[:-1],
        b"\xff" * 100,
        b"version https://git-lfs.github.com/spec/v1\n",
    ):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"model\.safetensors cannot be read as safetensors \(.+\); fetch or write"):
            open_arrays(path)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        open_arrays(path)


def test_a_place_that_takes_no_file_is_an_os_error(tmp_path, monkeypatch):
    with pytest.raises(OSError):
        write_arrays(tmp_path / "none" / "model.safetensors", ARRAYS)
    from keras_bert.checkpoints import safetensors

    def full(*_, **__):
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors, "save_file", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_arrays(tmp_path / "model.safetensors", ARRAYS)
