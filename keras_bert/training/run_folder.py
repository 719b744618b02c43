"""The folder of a run: which run it is, how far it came, and its checkpoints."""

import dataclasses
import json
import shutil
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.outputs import atomic_path
from keras_bert.training.loop import Position
from keras_bert.training.run_checkpoints import RunCheckpoints, check_same_run
from keras_bert.training.sums import columns

RUN, CHECKPOINTS = "run.json", "checkpoints"


class Keeper:
    """Saves and restores a run.

    Args:
        output_dir: the run's folder.
        trainer: see `make_trainer`.
        variables: what `run_variables` gives.
        options: PretrainOptions.
        chief: whether this process is the one that writes.
        saved: called after each checkpoint; or None.
        log: callable(line).
    """

    def __init__(self, output_dir, trainer, variables, options, *, chief, saved, log):
        self.checkpoints = RunCheckpoints(Path(output_dir) / CHECKPOINTS, keep=options.keep_checkpoints, log=log)
        self.trainer, self.variables, self.chief = trainer, variables, chief
        self.saved = saved

    def save(self, position):
        """Writes a checkpoint at a Position."""
        if self.chief:
            self.trainer.pull()
            self.checkpoints.save(position.step, self.variables, dataclasses.asdict(position))
            if self.saved:
                self.saved()

    def restore(self, position, *, before=None):
        """Goes to the newest checkpoint, if there is one: the variables, and the Position that is given.

        Args:
            position: a Position.
            before: go to the newest one below this step, or else to the newest of all.
        """
        found = (before and self.checkpoints.newest(before=before)) or self.checkpoints.newest()
        if found is not None:
            found.load_into(self.variables)
            self.trainer.push()
            vars(position).update(vars(position_of(found.notes, self.trainer.tasks)))

    def where(self):
        """Returns the newest checkpoint's folder, or None."""
        return self.checkpoints.place()


def position_of(notes, tasks):
    """Returns the Position in the notes of a checkpoint; older ones have the window's sums without their names.

    Args:
        notes: see RunCheckpoint.
        tasks: the trainer's.

    Example:
        >>> position_of({"step": 2, "window": [6.0, 1.0, 2.0, 30.0, 0.5]}, {"masked_lm": 1.0}).window["tokens"]
        30.0
    """
    window = notes.get("window") or {}
    if isinstance(window, list):
        window = dict(zip(columns(tasks), window, strict=True))
    return Position(**{**notes, "window": window})


def is_over(output_dir, run, way, *, restart, chief, log):
    """Says whether a run has come to its end already; notes what it is if it begins here.

    Args:
        output_dir: the run's folder.
        run: {setting: value} of what the run must keep to.
        way: likewise of what it may go on without, but then not to the same bits.
        restart: whether to begin anew, whatever stands there.
        chief: whether this process is the one that writes.
        log: callable(line).

    Raises:
        UserError: another run stands there.
    """
    path, checkpoints = Path(output_dir) / RUN, Path(output_dir) / CHECKPOINTS
    if restart and chief:
        path.unlink(missing_ok=True)
        shutil.rmtree(checkpoints, ignore_errors=True)
    there = read_json(path, what="The note of the run") if path.is_file() and not restart else {}
    if there.get("over") or (there and checkpoints.exists()):  # else nothing was saved that could be lost
        check_same_run(there.get("run", {}), run, folder=str(output_dir))
        before = there.get("way", {})
        changed = [
            f"{name} {before.get(name)} there, {value} here" for name, value in way.items() if before.get(name) != value
        ]
        if changed and not there.get("over"):
            log(f"from here on not to the same bits as without a stop: {'; '.join(changed)}.")
        return bool(there.get("over"))
    if checkpoints.exists() and not there and not restart:
        raise UserError(f"{checkpoints} is of a run that no {RUN} tells; name another --output_dir, or give --force.")
    if chief:
        note_run(output_dir, run, way, over=False)
    return False


def note_run(output_dir, run, way, *, over):
    """Notes what run a folder is of, by which settings, and whether it is over."""
    with atomic_path(Path(output_dir) / RUN) as temporary:
        temporary.write_text(
            json.dumps({"over": over, "run": run, "way": way}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
