"""Checkpoints of a run: every variable and the loop's notes, by step; each appears whole or not at all.

checkpoints/step-00001000/state.safetensors    all variables of model and optimizer, bit by bit
                          notes.json           the step, what the loop remembers, and checksums of both files
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import google_crc32c
import numpy as np

from keras_bert.checkpoints.base import no_permission
from keras_bert.checkpoints.safetensors import INTEGERS, file_pieces, open_arrays
from keras_bert.errors import UserError
from keras_bert.files import parse_json
from keras_bert.outputs import atomic_path, clear_left, partial_path

STATE, NOTES = "state.safetensors", "notes.json"
NAME = re.compile(r"step-(\d{8,})")
BLOCK_BYTES = 1 << 22  # read at a time when a checksum is verified
REMEDY = "name another --output_dir, or give --force to start over"
SHOWN = 60  # characters of a setting that differs
NAMED = 3  # variables that an error names


class Damage(Exception):
    """A checkpoint is not what was written; says what is wrong."""


@dataclasses.dataclass(frozen=True)
class RunCheckpoint:
    """A checkpoint that was found whole.

    Attributes:
        path: its folder.
        step: the number of updates behind it.
        notes: what `save` was given, as JSON gives it back.
    """

    path: Path
    step: int
    notes: dict

    def load_into(self, variables):
        """Gives variables the stored values, bit by bit.

        Args:
            variables: {name: Keras variable}, as `run_variables` gives them.

        Raises:
            UserError: the checkpoint has other variables, or of another shape or type; then none was changed. Or its
                file cannot be read any more.
        """
        spans = open_arrays(self.path / STATE)
        there = {name: (INTEGERS.get(span.dtype, span.dtype), span.shape) for name, span in spans.items()}
        here = {name: _kind(variable) for name, variable in variables.items()}
        wrong = [
            f"{name} is {_described(there.get(name))} there and {_described(here.get(name))} here"
            for name in sorted(there | here)
            if there.get(name) != here.get(name)
        ]
        if wrong:
            more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
            raise UserError(f"{self.path} is of another model: {'; '.join(wrong[:NAMED])}{more}; {REMEDY}.")
        for name, variable in variables.items():
            data = np.fromfile(spans[name].path, "u1", spans[name].size, offset=spans[name].offset)
            if data.size != spans[name].size:
                raise UserError(f"{spans[name].path} is cut off in {name}; remove {self.path}, and start again.")
            dtype, shape = there[name]
            variable.assign(data.view(np.dtype(dtype)).reshape(shape))


class RunCheckpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie, OUTPUT_DIR/checkpoints; it need not exist.
        keep: how many of the newest ones stay.
        log: called with a line for each damaged checkpoint that is passed over; or None.

    Raises:
        UserError: `keep` is below 1.
    """

    def __init__(self, folder, *, keep=3, log=None):
        if keep < 1:
            raise UserError(
                f"keep_checkpoints must be at least 1, or a run that is stopped could not go on. Received: {keep}."
            )
        self.folder, self.keep, self.log = Path(folder), keep, log or (lambda line: None)
        self._known = set(self.steps())  # what was there, or was written by this process

    def steps(self):
        """Returns the steps of the checkpoints that are there, in order; damaged ones are among them."""
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        return sorted(int(match[1]) for match in map(NAME.fullmatch, names) if match)

    def place(self):
        """Returns the newest one's folder, damaged or not; None if there is none."""
        steps = self.steps()
        return self._path(steps[-1]) if steps else None

    def save(self, step, variables, notes):
        """Writes a checkpoint and returns its folder; then removes all but the newest `keep`.

        Those of later steps are removed too: they belong to a course that the run has left, as it went back. Nothing
        is removed before this one is whole and on the disk. On several workers one of them is to save.

        Args:
            step: the number of updates so far.
            variables: {name: Keras variable}, see `run_variables`; one is copied at a time.
            notes: a dict for JSON.

        Raises:
            UserError: the disk is full, the folder cannot be written to, or another process writes to it; the older
                ones stay.
        """
        fields = json.loads(json.dumps({"step": int(step), "notes": notes}))
        self._clear()
        self._check_alone()
        path = self._path(step)
        with atomic_path(path) as temporary:
            temporary.mkdir()
            kinds = {name: _kind(variable) for name, variable in variables.items()}
            pieces = file_pieces(
                {name: shape for name, (_, shape) in kinds.items()},
                lambda name: variables[name].numpy(),
                made_for="np",
                dtypes={name: dtype for name, (dtype, _) in kinds.items()},
            )
            size, crc = _write(temporary / STATE, pieces)
            fields["state"] = {"bytes": size, "crc32c": f"{crc:08x}"}
            text = json.dumps(fields | {"crc32c": _checksum(fields)}, indent=2) + "\n"
            _write(temporary / NOTES, [text.encode()])
            _sync_folder(temporary)
        _sync_folder(self.folder)
        self._known.add(step)
        self._check_alone()
        there = self.steps()
        kept = [other for other in there if other <= step][-self.keep :]
        for other in set(there).difference(kept):
            self._remove(self._path(other))
        return path

    def newest(self, *, before=None):
        """Returns the newest RunCheckpoint that is whole, after reading all of it once; None if there is none at all.

        Args:
            before: look at those of steps below this one alone.

        Raises:
            UserError: all are damaged, or one may not be read by this user.
        """
        self._clear()
        damaged = []
        for step in reversed([step for step in self.steps() if before is None or step < before]):
            path = self._path(step)
            try:
                found = RunCheckpoint(path, step, _verified_notes(path, step))
            except Damage as damage:
                damaged.append(f"{path} is damaged ({damage})")
                continue
            for line in damaged:
                self.log(f"{line}; it is passed over for the one before.")
            return found
        if damaged:
            raise UserError(
                f"No checkpoint of this run can be used: {'; '.join(damaged)}. Bring one of them back from a copy, or "
                f"{REMEDY}."
            )
        return None

    def _path(self, step):
        return self.folder / f"step-{step:08d}"

    def _remove(self, path):
        """Removes a folder; one that is killed meanwhile leaves no half of a checkpoint under its name."""
        with contextlib.suppress(OSError):
            path = path.rename(partial_path(path))
        shutil.rmtree(path, ignore_errors=True)

    def _clear(self):
        """Removes what killed processes left, and puts back what they had moved away to write the same step anew."""
        before = set(self.steps())
        clear_left(self.folder)
        self._known.update(set(self.steps()) - before)

    def _check_alone(self):
        """Raises a UserError if checkpoints have come that this process did not write: saving would remove them."""
        strange = sorted(set(self.steps()) - self._known)
        if strange:
            raise UserError(
                f"{self._path(strange[-1])} was written by another process while this one trained; stop one of the "
                "two, then give the same command again, or name another --output_dir."
            )


def run_variables(model, optimizer):
    """Returns {name: Keras variable} of all that a run changes: weights, random states, moments, counters.

    Weights of our models have google-research/bert's names, others the last part of Keras' path, numbered in the
    model's order, and moments those of their weights: the same in every process, however many models it made before.

    Args:
        model: a built Keras model.
        optimizer: a Keras optimizer, built for it.

    Example:
        >>> import keras
        >>> model, optimizer = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]), keras.optimizers.SGD(0.1)
        >>> optimizer.build(model.trainable_variables)
        >>> list(run_variables(model, optimizer))
        ['model/kernel', 'model/bias', 'optimizer/iteration', 'optimizer/learning_rate']
    """
    from keras_bert.models.base import PretrainedModel
    from keras_bert.models.weights import model_variables

    assert optimizer.built, "optimizer.build(model.trainable_variables) comes first"
    nets = getattr(model, "nets", {"": model} if isinstance(model, PretrainedModel) else {})
    given = {
        id(variable): prefix + name
        for prefix, net in nets.items()
        for name, (variable, _) in model_variables(net).items()
    }
    found, paths = {}, {}
    for variable in model.variables:
        name = _free(found, f"model/{given.get(id(variable), _last(variable.path))}")
        found[name] = variable
        paths[variable.path.replace("/", "_")] = name.removeprefix("model/")
    for variable in optimizer.variables:
        last = _last(variable.path)
        weight = max((path for path in paths if last.startswith(f"{path}_")), key=len, default=None)
        name = last if weight is None else f"{last[len(weight) + 1 :]}/{paths[weight]}"
        found[_free(found, f"optimizer/{name}")] = variable
    return found


def check_same_run(there, here, *, folder="The output directory"):
    """Raises a UserError that names every setting in which a run differs from the one that it would go on with.

    Args:
        there: {setting: value} of the run that the checkpoint is of, as JSON gave it back.
        here: the same of this run.
        folder: what the error is about.
    """
    there, here = (json.loads(json.dumps(settings)) for settings in (there, here))
    pairs = {name: (there.get(name), here.get(name)) for name in there | here}
    wrong = [f"{name}: {_shown(*values)}" for name, values in pairs.items() if values[0] != values[1]]
    if wrong:
        raise UserError(f"{folder} is of another run, {'; '.join(wrong)}; {REMEDY}.")


def _shown(there, here):
    """Returns two values in words, of long ones where they begin to differ.

    >>> _shown(8, None)
    '8 there, none here'
    """
    texts = ["none" if value is None else json.dumps(value, ensure_ascii=False) for value in (there, here)]
    same = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = same - SHOWN // 3 if same > SHOWN // 2 else 0
    cut = [("..." if start else "") + t[start:][:SHOWN] + ("..." if len(t) > start + SHOWN else "") for t in texts]
    return f"{cut[0]} there, {cut[1]} here"


def _last(path):
    return path.rsplit("/", 1)[-1]


def _free(names, name):
    """Returns a name that is not taken yet: the name itself, or with a number."""
    number, free = 0, name
    while free in names:
        number += 1
        free = f"{name}/{number}"
    return free


def _kind(variable):
    """Returns (type, shape) of a variable."""
    return str(variable.dtype), tuple(variable.shape)


def _described(kind):
    return "missing" if kind is None else f"{kind[0]} of shape {kind[1]}"


def _write(path, pieces):
    """Writes bytes to a file and to the disk; returns (their number, CRC-32C)."""
    size = crc = 0
    with open(path, "wb") as file:
        for piece in pieces:
            file.write(piece)
            size, crc = size + len(piece), google_crc32c.extend(crc, piece)
        file.flush()
        os.fsync(file.fileno())
    return size, crc


def _sync_folder(path):
    """Lets a folder's entries get to the disk, where its file system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _checksum(fields):
    """Returns the CRC-32C of what notes.json says, as hexadecimal digits."""
    return f"{google_crc32c.value(json.dumps(fields, sort_keys=True).encode()):08x}"


def _verified_notes(path, step):
    """Returns the notes of a checkpoint after checking both of its files, or raises Damage."""
    try:
        fields = parse_json((path / NOTES).read_bytes())
        crc = fields.pop("crc32c", None) if isinstance(fields, dict) else None
        if crc != _checksum(fields):
            raise Damage(f"the checksum of {NOTES} is another")
        if fields["step"] != step:
            raise Damage(f"{NOTES} is of step {fields['step']}")
        state, size = fields["state"], (path / STATE).stat().st_size
        if size != state["bytes"]:
            raise Damage(f"{STATE} has {size} bytes where {NOTES} says {state['bytes']}")
        if f"{_crc_of(path / STATE):08x}" != state["crc32c"]:
            raise Damage(f"the checksum of {STATE} is another")
    except PermissionError as error:
        raise no_permission(error.filename) from error
    except OSError as error:
        raise Damage(f"{Path(error.filename or path).name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Damage(f"{NOTES} is not JSON") from error
    return fields["notes"]


def _crc_of(path):
    """Returns the CRC-32C of a file."""
    crc, block = 0, np.empty(BLOCK_BYTES, np.uint8)
    with open(path, "rb", buffering=0) as file:
        while size := file.readinto(block):
            crc = google_crc32c.extend(crc, block[:size])
    return crc
