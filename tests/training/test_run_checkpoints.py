"""Checkpoints of a run: bit by bit, whole or not at all, and the one before where one is damaged."""

import json
import os
import random
import re
import resource
import subprocess
import sys
import time

import keras
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from keras_bert.errors import UserError
from keras_bert.training import run_checkpoints
from keras_bert.training.run_checkpoints import RunCheckpoints, check_same_run

DEAD = 999_999_999  # no system numbers its processes so high
NOTES = {"batch": 12, "loss": 0.1 + 0.2, "skip": [3, 4], "phase": {"name": "ä"}}
# Bits that a conversion would lose: a NaN with a payload, a signalling one, -0.0, a denormal number.
BITS = np.array([0x7FC12345, 0xFF812345, 0x80000000, 1, 0x3F800001], np.uint32)
VALUES = {
    "weights": BITS.view(np.float32).reshape(5, 1),
    "halves": np.array([0x7FC1, 0xFF81, 0x8000, 1, 0x3F81], np.uint16).view(ml_dtypes.bfloat16),
    "seed/unsigned": np.array([2**32 - 1, 7], np.uint32),
    "seed/long": np.array([2**62 + 1, -1], np.int64),
    "count": np.array(-3, np.int32),
    "none": np.zeros((0, 4), np.float32),
}


class Plain:
    """A variable without Keras."""

    def __init__(self, array):
        self.assign(array)

    def assign(self, array):
        self.array, self.dtype, self.shape = np.array(array), array.dtype, array.shape

    def numpy(self):
        return self.array


def zeros(values=VALUES):
    return {name: Plain(np.zeros_like(array)) for name, array in values.items()}


def bits(variables):
    return {name: np.asarray(variable.numpy()).tobytes() for name, variable in variables.items()}


VARIABLES = {name: Plain(array) for name, array in VALUES.items()}


@pytest.fixture
def run(tmp_path):
    """(RunCheckpoints with steps 1000, 2000, 3000, the lines of its log)."""
    lines = []
    checkpoints = RunCheckpoints(tmp_path / "checkpoints", log=lines.append)
    for step in (1000, 2000, 3000):
        checkpoints.save(step, VARIABLES, {**NOTES, "batch": step})
    return checkpoints, lines


def test_what_is_saved_comes_back_bit_by_bit(tmp_path):
    checkpoints = RunCheckpoints(tmp_path / "new" / "checkpoints")
    assert checkpoints.newest() is None and checkpoints.steps() == []
    path = checkpoints.save(1000, VARIABLES, NOTES)
    assert path == tmp_path / "new" / "checkpoints" / "step-00001000"
    assert sorted(os.listdir(path)) == ["notes.json", "state.safetensors"]
    assert os.listdir(path.parent) == ["step-00001000"]
    found, loaded = checkpoints.newest(), zeros()
    assert (found.step, found.notes) == (1000, NOTES)
    found.load_into(loaded)
    assert bits(loaded) == bits(VARIABLES)
    assert {n: (v.dtype, v.shape) for n, v in loaded.items()} == {n: (a.dtype, a.shape) for n, a in VALUES.items()}
    theirs = load_file(path / "state.safetensors")  # any reader of the format can look into it
    assert {name: array.tobytes() for name, array in theirs.items()} == bits(VARIABLES)


def test_keras_variables_keep_their_bits(tmp_path):
    variables = {name: keras.Variable(np.zeros_like(array), dtype=array.dtype.name) for name, array in VALUES.items()}
    RunCheckpoints(tmp_path).save(1, VARIABLES, {})
    RunCheckpoints(tmp_path).newest().load_into(variables)
    assert bits(variables) == bits(VARIABLES)
    RunCheckpoints(tmp_path).save(2, variables, {})
    loaded = zeros()
    RunCheckpoints(tmp_path).newest().load_into(loaded)
    assert bits(loaded) == bits(VARIABLES)


def test_the_newest_stay_and_those_of_a_course_that_was_left_go(run):
    checkpoints, _ = run
    assert checkpoints.steps() == [1000, 2000, 3000]
    checkpoints.save(4000, VARIABLES, NOTES)
    assert checkpoints.steps() == [2000, 3000, 4000]
    checkpoints.save(100_000_000, VARIABLES, NOTES)
    assert checkpoints.newest().step == 100_000_000
    checkpoints.save(3500, VARIABLES, NOTES)  # the run has gone back
    assert checkpoints.steps() == [3000, 3500]
    one = RunCheckpoints(checkpoints.folder, keep=1)
    one.save(3500, VARIABLES, {"again": True})
    assert (one.steps(), one.newest().notes) == ([3500], {"again": True})
    assert os.listdir(one.folder) == ["step-00003500"]
    for keep in (0, -1):
        with pytest.raises(UserError, match=f"keep_checkpoints must be at least 1, .* Received: {keep}"):
            RunCheckpoints(checkpoints.folder, keep=keep)


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "flipped in an array": (lambda p: flip(p / "state.safetensors", -1), "the checksum of state.safetensors is"),
    "flipped in the header": (lambda p: flip(p / "state.safetensors", 20), "the checksum of state.safetensors is"),
    "truncated": (
        lambda p: os.truncate(p / "state.safetensors", 100),
        r"state.safetensors has 100 bytes where notes.json says \d{3}",
    ),
    "no state": (lambda p: (p / "state.safetensors").unlink(), "state.safetensors cannot be read: No such file"),
    "no notes": (lambda p: (p / "notes.json").unlink(), "notes.json cannot be read: No such file"),
    "empty": (lambda p: (p / "notes.json").write_text(""), "notes.json is not JSON"),
    "no text": (lambda p: (p / "notes.json").write_bytes(b"\xff\xfe"), "notes.json is not JSON"),
    "no object": (lambda p: (p / "notes.json").write_text("[1]"), "the checksum of notes.json is another"),
    "another number": (
        lambda p: (p / "notes.json").write_text((p / "notes.json").read_text().replace("3000", "3001", 1)),
        "the checksum of notes.json is another",
    ),
    "another's folder": (
        lambda p: [(p / n).write_bytes((p.with_name("step-00001000") / n).read_bytes()) for n in os.listdir(p)],
        "notes.json is of step 1000",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_one_is_passed_over_and_named(run, damage, message):
    checkpoints, lines = run
    damage(checkpoints.folder / "step-00003000")
    found = checkpoints.newest()
    assert (found.step, found.notes["batch"]) == (2000, 2000)
    (line,) = lines
    assert str(checkpoints.folder / "step-00003000") in line and "\n" not in line
    assert re.search(message, line)
    checkpoints.save(2500, VARIABLES, NOTES)
    assert checkpoints.steps() == [1000, 2000, 2500] and checkpoints.newest().step == 2500


def test_all_damaged_is_a_user_error_that_names_each(run):
    checkpoints, lines = run
    for step in checkpoints.steps():
        flip(checkpoints.folder / f"step-{step:08d}" / "state.safetensors", 300)
    with pytest.raises(UserError, match=r"step-00003000 is .*step-00002000 is .*step-00001000 is .*--force") as raised:
        checkpoints.newest()
    assert "checksum" in str(raised.value) and lines == []


def test_one_that_may_not_be_read_is_not_taken_for_damaged(run, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(run_checkpoints, "_crc_of", refuse)
    with pytest.raises(UserError, match=r"step-00003000/state.safetensors may not be read by this user"):
        run[0].newest()


def test_what_killed_processes_left_is_cleared(run):
    checkpoints, _ = run
    folder = checkpoints.folder
    half = folder / f".step-00004000.{DEAD}.partial"
    half.mkdir()
    (half / "state.safetensors").write_bytes(b"half")
    os.rename(
        folder / "step-00003000", folder / f".step-00003000.{DEAD}.old"
    )  # killed between two renames of atomic_path
    assert checkpoints.newest().step == 3000
    os.mkdir(folder / f".step-00003000.{DEAD}.old")  # killed after them
    os.mkdir(folder / "of-another-kind")
    assert checkpoints.newest().step == 3000
    checkpoints.save(4000, VARIABLES, NOTES)
    assert sorted(os.listdir(folder)) == ["of-another-kind", "step-00002000", "step-00003000", "step-00004000"]


def test_what_a_living_process_is_writing_stays(run):
    checkpoints, _ = run
    living = checkpoints.folder / f".step-00004000.{os.getppid()}.partial"
    living.mkdir()
    checkpoints.save(5000, VARIABLES, NOTES)
    checkpoints.newest()
    assert living.is_dir()


def test_a_process_that_is_behind_removes_no_newer_steps(run):
    behind, _ = run
    ahead = RunCheckpoints(behind.folder)
    ahead.save(9000, VARIABLES, NOTES)
    with pytest.raises(UserError, match=r"step-00009000 was written by another process.*stop one of the two"):
        behind.save(4000, VARIABLES, NOTES)
    assert ahead.steps() == [2000, 3000, 9000]
    ahead.save(8000, VARIABLES, NOTES)  # its own later ones go, as after going back
    assert ahead.steps() == [2000, 3000, 8000]


def test_a_full_disk_is_a_user_error_and_the_older_ones_stay(run):
    checkpoints, lines = run
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, limits[1]))
    try:
        with pytest.raises(UserError, match=r"Cannot write .*step-00004000 \(.*\); allow larger files"):
            checkpoints.save(4000, VARIABLES, NOTES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(os.listdir(checkpoints.folder)) == ["step-00001000", "step-00002000", "step-00003000"]
    assert checkpoints.newest().step == 3000 and lines == []
    (checkpoints.folder.parent / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        RunCheckpoints(checkpoints.folder.parent / "file").save(1, VARIABLES, NOTES)


def test_nothing_is_removed_before_the_new_one_is_whole(run, monkeypatch):
    checkpoints, _ = run
    one = RunCheckpoints(checkpoints.folder, keep=1)
    monkeypatch.setattr(run_checkpoints, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        one.save(3000, VARIABLES, NOTES)
    assert one.steps() == [1000, 2000, 3000] and one.newest().notes["batch"] == 3000


def test_notes_that_are_no_json_leave_no_trace(tmp_path):
    with pytest.raises(TypeError):
        RunCheckpoints(tmp_path).save(1, VARIABLES, {"loss": np.float32(1)})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": Plain(np.zeros((5, 2), "f4"))}, r"weights is float32 of shape \(5, 1\) there and float32 of"),
        ({"seed/long": Plain(np.zeros(2, "u4"))}, r"seed/long is int64 of shape \(2,\) there and uint32 of shape \(2,"),
        ({"more": Plain(np.zeros(2, "u4"))}, r"more is missing there and uint32 of shape \(2,\) here"),
        ({f"more{i}": Plain(np.zeros(2, "u4")) for i in range(5)}, r"more0 is .*more2 is .* here and 2 more; name ano"),
        ({"weights": None}, r"weights is float32 of shape \(5, 1\) there and missing here"),
    ],
)
def test_another_model_is_refused_before_anything_is_changed(run, change, message):
    checkpoints, _ = run
    variables = {name: variable for name, variable in (zeros() | change).items() if variable is not None}
    before = bits(variables)
    with pytest.raises(UserError, match=f"step-00003000 is of another model: .*{message}"):
        checkpoints.newest().load_into(variables)
    assert bits(variables) == before


LOOP = """
import sys
import numpy as np
from keras_bert.training.run_checkpoints import RunCheckpoints

class Number:
    dtype, shape = "int64", (50_000,)
    def numpy(self):
        return np.full(self.shape, self.step)

number, checkpoints = Number(), RunCheckpoints(sys.argv[1], keep=2)
assert not {"tensorflow", "keras", "jax"} & sys.modules.keys()
start = checkpoints.newest()
step = start.step if start else 0
print("ready", flush=True)
while True:
    step += 1
    number.step = step
    checkpoints.save(step, {f"v{i}": number for i in range(4)}, {"step": step})
    checkpoints.save(step, {f"v{i}": number for i in range(4)}, {"step": step})  # the same once more
"""


def test_killed_in_the_midst_of_saving_there_is_always_a_whole_one(tmp_path):
    reached, rng = 0, random.Random(0)
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", LOOP, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.05, 0.4))
        process.kill()
        assert process.wait() == -9
        lines = []
        found = RunCheckpoints(tmp_path, log=lines.append).newest()
        assert lines == [] and found.step > reached and found.notes == {"step": found.step}
        loaded = {f"v{i}": Plain(np.zeros(50_000, np.int64)) for i in range(4)}
        found.load_into(loaded)
        assert all((variable.array == found.step).all() for variable in loaded.values())
        reached = found.step


def test_settings_that_differ_are_all_named():
    there = {"batch": 32, "files": ["a", "b"], "rate": 1e-4, "gone": True}
    check_same_run(json.loads(json.dumps({"files": ("a",), "rate": 0.1 + 0.2})), {"files": ["a"], "rate": 0.1 + 0.2})
    check_same_run(there, {**there, "files": ("a", "b"), "unset": None})
    with pytest.raises(UserError, match="another run, new: none there, 1 here;"):
        check_same_run({}, {"new": 1})
    with pytest.raises(UserError) as raised:
        check_same_run(there, {"batch": 64, "files": ["a"], "rate": 1e-4}, folder="runs/one")
    assert str(raised.value) == (
        'runs/one is of another run, batch: 32 there, 64 here; files: ["a", "b"] there, ["a"] here; '
        "gone: true there, none here; name another --output_dir, or give --force to start over."
    )


def test_long_settings_are_shown_where_they_begin_to_differ():
    files = [f"records-{i:05d}" for i in range(300)]
    with pytest.raises(UserError, match=r'files: \.\.\..*"records-00200".*\.\.\. there, \.\.\..*"changed".* here') as e:
        check_same_run({"files": files}, {"files": [*files[:200], "changed", *files[201:]]})
    assert len(str(e.value)) < 350
