"""A run that begins where another one stands, to let its rate fall from there (Haegele et al. 2024, section 4).

The stable phase of a warm-up-stable-decay run serves any number of decays: each is a run of its own, which takes over
weights, optimizer and numbering of the steps, and the place in the records where they are the same.
"""

import dataclasses
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.training.phases import Phase
from keras_bert.training.run_checkpoints import NAME, RunCheckpoint, RunCheckpoints
from keras_bert.training.run_folder import CHECKPOINTS, RUN, position_of
from keras_bert.training.schedules import WarmupSchedule

STABLE = ("constant", "wsd")  # schedules with a phase in which the rate stays
KEPT = ("optimizer", "learning_rate", "weight_decay", "beta_2", "bias_correction", "dtype")  # the same in both runs


@dataclasses.dataclass(frozen=True)
class Branch:
    """Where a run leaves another one.

    Attributes:
        name: the other run's folder, and its step, in words.
        step: the updates until there.
        options: PretrainOptions of the new run, whose last phase ends `num_decay_steps` later.
        checkpoint: the RunCheckpoint to begin at; None where the new run has begun already.
        records: the other run's records and the phases that they were read in, to compare.
    """

    name: str
    step: int
    options: object
    checkpoint: RunCheckpoint | None = None
    records: tuple = ()

    def enter(self, position, variables, trainer, records):
        """Gives variables and Position the values that they have in the other run.

        Args:
            position: a Position, of which the numbers of phases are set.
            variables: what `run_variables` gives.
            trainer: see `make_trainer`.
            records: the new run's, as in `records`.

        Returns:
            Whether the records go on where they were; else they begin anew.
        """
        self.checkpoint.load_into(variables)
        trainer.push()
        there, same = position_of(self.checkpoint.notes, trainer.tasks), records == self.records
        position.step, position.phase, position.learning_rate = self.step, there.phase, there.learning_rate
        if same:
            position.used, position.skipped = there.used, there.skipped
        return same


def find_branch(options, output_dir, *, restart=False):
    """Returns the Branch of a run with `decay_from`, or None of any other.

    Args:
        options: PretrainOptions.
        output_dir: the new run's folder; what it notes there, if it has begun, says at which step it left.
        restart: whether it begins anew.

    Raises:
        UserError: there is no such run or checkpoint, it is in no stable phase, or it was trained in another way.
    """
    if options.decay_from is None:
        return None
    begun = Path(output_dir) / RUN
    if begun.is_file() and not restart:
        noted = read_json(begun, what="The note of the run").get("run", {}).get("decay_from")
        if noted:
            step = int(noted.rpartition(" ")[2])
            return Branch(noted, step, _until(options, step))
    given = Path(options.decay_from)
    is_checkpoint = NAME.fullmatch(given.name)
    folder = given.parent.parent if is_checkpoint else given
    if not (folder / RUN).is_file() or (is_checkpoint and not given.is_dir()):
        raise UserError(f"--decay_from: {given} is neither the --output_dir of a run nor one of its checkpoints.")
    checkpoints = RunCheckpoints(folder / CHECKPOINTS)
    wanted = int(is_checkpoint[1]) if is_checkpoint else None
    found = checkpoints.newest(before=None if wanted is None else wanted + 1)
    if found is None or (wanted is not None and found.step != wanted):
        raise UserError(f"--decay_from: {given} holds no checkpoint that is whole.")
    there = read_json(folder / RUN, what="The note of the run").get("run", {})
    _check(there, found, options, folder)
    _check_stable(there, found, folder)
    records = (there.get("records"), _sizes(there.get("phases", "")))
    return Branch(f"{folder.name}, step {found.step}", found.step, _until(options, found.step), found, records)


def records_of(settings):
    """Returns of a run's settings what tells whether it reads the records of another run, see Branch.records."""
    return settings.get("records"), _sizes(settings.get("phases", ""))


def _sizes(phases):
    """Returns the lengths and batch sizes of phases as `PretrainOptions.fixed` writes them."""
    return [(length, batch) for length, _, batch in (phase.strip().split(":") for phase in phases.split(",") if phase)]


def _until(options, step):
    """Returns the options of a run that comes from a step: its last phase ends with the decay."""
    phases = options.phase_list
    before = sum(phase.num_train_steps for phase in phases[:-1])
    if before > step:
        raise UserError(
            f"--decay_from: step {step:,} is before the last of the phases, which begins at {before:,}; give the "
            "phases that lie before it, or none."
        )
    last = dataclasses.replace(phases[-1], num_train_steps=step + options.num_decay_steps - before)
    assert isinstance(last, Phase)
    return dataclasses.replace(options, phases=[*phases[:-1], last], num_train_steps=None)


def _check(there, found, options, folder):
    here = options.fixed()
    for name in KEPT:
        if there.get(name) != here.get(name):
            raise UserError(
                f"--decay_from: {folder} was trained with {name} {there.get(name)}, and a decay goes on with the same, "
                f"not with {here.get(name)}."
            )


def _check_stable(there, found, folder):
    """Raises a UserError unless a checkpoint is of the phase of its run in which the rate stays."""
    schedule, warmup = there.get("schedule", "linear"), there.get("num_warmup_steps", 0)
    if schedule not in STABLE:
        raise UserError(
            f"--decay_from: the rate of {folder} falls from its beginning on ({schedule}), so it has no stable phase "
            "to leave; train one with --schedule=wsd or constant."
        )
    minutes = there.get("max_minutes")
    total = sum(int(phase.split(":")[1]) for phase in there["phases"].split(","))
    step = total * found.notes["seconds"] / (60 * minutes) if minutes else found.step
    if step < warmup:
        raise UserError(f"--decay_from: {folder} is still in its warm-up of {warmup:,} steps, at step {found.step:,}.")
    if schedule == "wsd":
        made = WarmupSchedule(
            1.0,
            num_train_steps=total,
            num_warmup_steps=warmup,
            decay="wsd",
            num_decay_steps=there.get("num_decay_steps"),
        )
        if step > total - made.num_decay_steps:
            raise UserError(
                f"--decay_from: the decay of {folder} began at step {total - made.num_decay_steps:,}, before the "
                f"checkpoint of step {found.step:,}; name an earlier one, {folder}/{CHECKPOINTS}/step-..."
            )
