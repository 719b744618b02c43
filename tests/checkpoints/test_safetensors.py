"""Arrays in a .safetensors file: as the safetensors library has them, and what is refused."""

import dataclasses
import json
import os

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_bert.checkpoints.safetensors import open_arrays, write_arrays
from keras_bert.errors import UserError

RNG = np.random.default_rng(0)
ARRAYS = {"b/kernel": RNG.normal(size=(2, 3)), "a": RNG.normal(size=()), "ü": RNG.normal(size=(0, 4))}
ARRAYS = {name: array.astype(np.float32) for name, array in ARRAYS.items()}


def write(path, arrays=ARRAYS, *, made_for="np"):
    write_arrays(path, {name: array.shape for name, array in arrays.items()}, arrays.__getitem__, made_for=made_for)
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "model.safetensors")


def test_the_library_reads_what_is_written(path):
    for name, array in load_file(path).items():
        assert (name, array.dtype) == (name, np.float32)
        np.testing.assert_array_equal(array, ARRAYS[name])
    assert load_file(path).keys() == ARRAYS.keys()
    data = path.read_bytes()
    assert json.loads(data[8 : 8 + data[0]])["__metadata__"] == {"format": "np"}
    assert data[0] % 8 == 0
    assert os.listdir(path.parent) == ["model.safetensors"]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_floats_of_the_library_s_come_back_as_float32(tmp_path, dtype):
    stored = {name: array.astype(getattr(ml_dtypes, dtype, dtype)) for name, array in ARRAYS.items()}
    save_file(stored, tmp_path / "theirs.safetensors")
    spans = open_arrays(tmp_path / "theirs.safetensors")
    assert {name: (span.shape, span.dtype) for name, span in spans.items()} == {
        name: (array.shape, dtype) for name, array in ARRAYS.items()
    }
    for name, span in spans.items():
        assert span.read().dtype == np.float32
        np.testing.assert_array_equal(span.read(), stored[name].astype(np.float32))


def test_an_array_is_the_reader_s_own(path):
    span = open_arrays(path)["b/kernel"]
    span.read()[:] = 7
    np.testing.assert_array_equal(span.read(), ARRAYS["b/kernel"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_offsets": [0, 32]}, r"b/kernel would take the bytes from \d+ to \d+, and the file has \d+"),
        ({"data_offsets": [16, 8]}, r"b/kernel would take the bytes from \d+ to \d+, and the file has \d+"),
        ({"data_offsets": [4, 28]}, r"a and b/kernel share bytes|b/kernel and a share bytes|b/kernel would take"),
        ({"data_offsets": [0, 16]}, r"b/kernel of shape \(2, 3\) takes 24 bytes, and the file gives it 16"),
        ({"shape": [2, 4]}, r"b/kernel of shape \(2, 4\) takes 32 bytes, and the file gives it 24"),
        ({"shape": [2**62, 0, 2**62]}, r"b/kernel has the shape \(\d+, 0, \d+\), which no array can have"),
        ({"shape": [1] * 40}, r"b/kernel has the shape \(1, 1, .*, which no array can have"),
        ({"dtype": "F64"}, r"b/kernel of shape \(2, 3\) takes 48 bytes, and the file gives it 24"),
        *(
            (change, r"\(b/kernel must have a dtype, a shape of whole numbers and two data_offsets, and has \{")
            for change in (
                *(
                    {"shape": shape}
                    for shape in (None, [-2, -3], [2, float("inf")], [float("nan")], [True, 6], [2.0, 3])
                ),
                *({"data_offsets": offsets} for offsets in ([0], [-8, 16], [0, 24.0], "ab", {"0": 24})),
                *({"dtype": dtype} for dtype in (5, None, ["F32"])),
            )
        ),
    ],
)
def test_a_header_that_lies_is_told_with_both_numbers(path, change, message):
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + data[0]])
    header["b/kernel"] |= change
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + data[0] :])
    with pytest.raises(UserError, match=message) as raised:
        open_arrays(path)
    assert str(path) in str(raised.value)


def test_a_damaged_file_is_a_user_error(path):
    data = path.read_bytes()
    size = len(data)
    for damaged, message in (
        (b"", r"header would take 0 bytes after the first 8, and the file has 0"),
        (data[:4], "and the file has 4"),
        (data[:60], rf"header would take {data[0]} bytes after the first 8, and the file has 60"),
        (data[:-1], rf"to {size}, and the file has {size - 1}"),
        (b"\xff" * 100, "header would take 18446744073709551615 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "and the file has 43"),
        ((8).to_bytes(8, "little") + b"no json!", "cannot be read as safetensors"),
        ((2).to_bytes(8, "little") + b"[]", "cannot be read as safetensors"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=message):
            open_arrays(path)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        open_arrays(path)


def test_a_file_that_shrinks_after_it_was_opened_is_a_user_error(path):
    span = open_arrays(path)["a"]
    os.truncate(path, span.offset + 2)
    with pytest.raises(UserError, match=rf"a ends at {span.offset + 4} bytes, and the file has {span.offset + 2}"):
        span.read()
    path.unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: a cannot be read \(No such file"):
        span.read()


def test_a_place_that_takes_no_file_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        write(tmp_path / "none" / "model.safetensors")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"a": {}, "a": {}}', r"\(it has 'a' twice\)"),
        ('{"a": 5}', r"\(a must have a dtype, a shape"),
        ('{"a": %s}' % ("[" * 100_000), r"\(it is nested too deeply\)"),
        (
            '{"a": {"dtype": "F32", "shape": [%s], "data_offsets": [0, 0]}}' % ("9" * 10_000),
            r"\(it holds a number of too many",
        ),
        (
            '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},'
            ' "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}',
            r"a and b share bytes, the former up to \d+ and the latter from \d+",
        ),
    ],
)
def test_a_hostile_header_is_one_sentence(path, header, message):
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(16))
    with pytest.raises(UserError, match=message):
        open_arrays(path)


def test_an_array_that_no_memory_holds_is_one_sentence(tmp_path):
    span = dataclasses.replace(open_arrays(write(tmp_path / "model.safetensors"))["a"], size=2**60)
    with pytest.raises(UserError, match=r"a takes 1\.15e\+09 GB, more than this machine has free"):
        span.read()
