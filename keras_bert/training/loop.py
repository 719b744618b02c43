"""The loop of a pre-training run: updates, rows of the log, evaluations, checkpoints, and what can come in between.

What a step does is the trainer's; which batch it takes is a function of the step's number, so that a run goes on
where a checkpoint stands as if it had never stopped.
"""

import dataclasses
import math
import time

import numpy as np

from keras_bert.errors import UserError
from keras_bert.training.sums import SUMS, TASKS, columns, metrics_from_sums

SECONDS_PER_CALL = 5.0  # of training between two looks at the clock and at whether the run is to stop
CALLS_PER_BUDGET = 500  # at least, as the rate changes between calls alone where it goes by the time
MAX_REWINDS = 5  # in a row from one checkpoint
TOKENS, NORM = -2, -1  # of the figures of a step, see `sums.columns`


class Stopped(Exception):
    """A run was asked to stop, and did after saving. `exit_status` is what a shell expects of the signal."""

    def __init__(self, message, exit_status):
        super().__init__(message)
        self.exit_status = exit_status


@dataclasses.dataclass
class Position:
    """Where a run stands: what a checkpoint remembers beside the variables.

    Attributes:
        step: updates so far.
        seconds: of the run so far, over all starts, evaluations and checkpoints included.
        phase: the number of the last step's phase, counting from 0.
        learning_rate: the last step's.
        used: for each phase the number of its batches that were trained on.
        skipped: for each phase the numbers of the batches that are left out.
        window: since the last row of the log, {column: sum} of `sums.columns`, float64 as added up step by step.
        window_steps, window_seconds: updates since the last row, and the time of these alone.
    """

    step: int = 0
    seconds: float = 0.0
    phase: int = 0
    learning_rate: float = 0.0
    used: list = dataclasses.field(default_factory=list)
    skipped: list = dataclasses.field(default_factory=list)
    window: dict = dataclasses.field(default_factory=dict)
    window_steps: int = 0
    window_seconds: float = 0.0

    def advance(self, phase, rows, names, *, seconds, learning_rate):
        """Adds steps of a phase: float32 (n, C + 2) rows, their columns, their time, and the rate of the last one."""
        self.phase, self.learning_rate = phase, learning_rate
        self.used[phase] += len(rows)
        for row in rows.astype(np.float64).tolist():
            self.window = {name: self.window.get(name, 0.0) + value for name, value in zip(names, row, strict=True)}
        self.step += len(rows)
        self.window_steps += len(rows)
        self.window_seconds += seconds

    def close_window(self):
        """Begins a new window."""
        self.window, self.window_steps, self.window_seconds = {}, 0, 0.0


@dataclasses.dataclass
class Stage:
    """A phase with all that it needs.

    Attributes:
        end: the updates of the run at its end; where the run goes by time, their share of all tells when it ends.
        records: callable(start_batch, skip_batches) -> make_dataset for `trainer.batches`.
        evaluate: callable() -> {figure: value}, or None.
        throughput: callable(steps, tokens, seconds) -> {figure: value}.
    """

    end: int
    records: object
    evaluate: object
    throughput: object


def raw_batch(done, skipped):
    """Returns the number of the next batch in the records' own order, when `done` were used and some left out.

    >>> [raw_batch(done, [1, 2]) for done in range(4)]
    [0, 3, 4, 5]
    """
    number = done
    for left_out in sorted(skipped):
        number += left_out <= number
    return number


class Loop:
    """Trains from where a run stands to its end.

    Args:
        trainer: see `make_trainer`.
        stages: list of Stage, one a phase.
        options: PretrainOptions.
        rate: callable(share of the run in [0, 1], step) -> the learning rate.
        loss_limit: above this a step's loss counts as exploded.
        keeper: what saves: `save(position)`, `restore(position)` and `where()`, the newest checkpoint's place.
        log: a TrainLog.
        drawer: callable(rows), which redraws the curves when it is time.
        stop: callable() -> None or (why, exit status), asked between calls.
        progress: callable(stage, done, total, unit, note).
        say: callable(line).
    """

    def __init__(self, trainer, stages, options, *, rate, loss_limit, keeper, log, drawer, stop, progress, say):
        self.trainer, self.stages, self.options = trainer, stages, options
        self.rate, self.loss_limit = rate, loss_limit
        self.keeper, self.log, self.drawer = keeper, log, drawer
        self.stop, self.progress, self.say = stop, progress, say
        self.budget = None if options.max_minutes is None else 60.0 * options.max_minutes
        self.total = stages[-1].end
        self.columns = columns(trainer.tasks)
        self.rewinds = 0  # since the last checkpoint
        self._back_at = None  # the step that the last of them went back to
        self._batches = (None, None)  # (index of the stage, its batches)
        self._seconds_per_step = []  # of each call with these batches

    def run(self, position):
        """Trains to the end of the run.

        Args:
            position: the Position to begin at; the trainer's variables are of there.

        Raises:
            UserError: the loss is NaN, or exploded.
            Stopped: `stop` said so; the run was saved before.
        """
        self.position, clock = position, time.perf_counter()
        self._catch_up()
        while not self._over():
            index, stage = self._stage()
            if self.budget:
                self.trainer.set_learning_rate(self.rate(self._share(), self.position.step))
            batches = self._batches_of(index, stage)
            if not self._seconds_per_step:  # tracing, and XLA: a minute for a large model
                self._report("compiling...")
            share = self._share()  # when the call begins, by which the rate goes
            begin = time.perf_counter()
            rows = self.trainer.train(batches, self._steps_of_call(stage))
            wrong = next((i for i, row in enumerate(rows) if not self._sound(row)), None)
            if wrong is not None:
                self._diverged(index, wrong, rows[wrong])
                continue
            now = time.perf_counter()
            # The workers agree on both times, and so on how many steps each call makes and on when a budget is spent.
            between, took = self.trainer.agreed(begin - clock), self.trainer.agreed(now - begin)
            clock = now
            self._seconds_per_step.append(took / len(rows))
            rate = self.rate(share, self.position.step + len(rows) - 1)
            self.position.advance(index, rows, self.columns, seconds=took, learning_rate=rate)
            self.position.seconds += between + took
            self._report(self._note(stage, rows, took))
            self._after()

    def _after(self):
        """Stops if that is asked for; else logs, evaluates and saves what is due after a call."""
        position, over, due = self.position, self._over(), self._row_due()
        asked = None if over else self.stop()
        if asked or (due and self._evaluation_due()):  # which may take longer than a preemption leaves
            self._save()
        if asked:
            why, status = asked
            saved = f", saved in {self.keeper.where()}" if self.keeper.where() else ""
            raise Stopped(f"{why}: stopped at step {position.step}{saved}; the same command resumes there.", status)
        if due:
            self._log_row()
        if over or position.step % self.options.save_checkpoints_steps == 0:
            self._save()

    def _catch_up(self):
        """Logs the row that was due when the position was saved, unless that was done before the run was left."""
        if self.position.window_steps and self._row_due():
            if self.log.rows and self.log.rows[-1]["step"] == self.position.step:
                self.position.close_window()
            else:
                self._log_row()

    def _save(self):
        self.keeper.save(self.position)
        self.rewinds = 0

    def _row_due(self):
        """Says whether a row ends here: every so many steps, and at the end of each phase, so that none is of two."""
        position = self.position
        return self._over() or self._stage()[0] != position.phase or position.step % self.options.steps_per_loop == 0

    def _evaluation_due(self):
        step, every = self.position.step, self.options.eval_every
        first = step - self.position.window_steps
        measured = self.stages[self.position.phase].evaluate is not None
        return measured and (self._over() or bool(every and step // every > first // every))

    def _log_row(self):
        """Writes a row of the log, with an evaluation if one is due."""
        position, stage = self.position, self.stages[self.position.phase]
        sums = position.window
        figures = self._metrics([sums[name] for name in self.columns]) | {
            "gradient_norm": sums["gradient_norm"] / position.window_steps,
            "learning_rate": position.learning_rate,
            "seconds": position.seconds,
            **stage.throughput(position.window_steps, sums["tokens"], position.window_seconds),
        }
        if self._evaluation_due():
            self._report("measuring...")
            figures |= {f"eval_{name}": value for name, value in stage.evaluate().items()}
        position.close_window()
        self.log.write(position.step, figures)
        self.drawer(self.log.rows)

    def _diverged(self, index, sound, row):
        """Stops, or goes back and leaves a batch out; `sound` is the number of updates of the call before this row."""
        loss, norm = self._metrics(row)["loss"], row[NORM]
        step = self.position.step + sound + 1
        batch = raw_batch(self.position.used[index] + sound, self.position.skipped[index])
        options, where = self.options, self.keeper.where()
        what = f"The loss is {loss:.4g}, the gradient's norm {norm:.4g}, at step {step} (batch {batch} of its records)"
        good = f"the last good checkpoint is {where}" if where else "there is no checkpoint yet"
        remedy = (
            f"lower --learning_rate (now {options.learning_rate}) or raise --num_warmup_steps "
            f"(now {options.num_warmup_steps})"
        )
        if options.on_divergence == "stop":
            raise UserError(f"{what}; {good}; {remedy}, or go on without that batch by --on_divergence=rewind.")
        if self.rewinds == MAX_REWINDS:
            raise UserError(
                f"{what}, the {MAX_REWINDS + 1}th time after {where}, whatever batch is left out; {remedy}."
            )
        skipped, seconds = [list(each) for each in self.position.skipped], self.position.seconds
        skipped[index].append(batch)
        # Two batches that fail alike right after a checkpoint: what was ruined are its weights, by the update before.
        ruined = self.rewinds and step == self._back_at + 1 and self.position.used[self.position.phase] > 0
        last = self.position.phase
        suspect = raw_batch(self.position.used[last] - 1, self.position.skipped[last])
        # Never forward to a checkpoint that the run has left.
        self.keeper.restore(self.position, before=self._back_at if ruined else self.position.step + 1)
        ruined = ruined and self.position.step < self._back_at
        if ruined:
            skipped[last].append(suspect)
        self.rewinds, self._back_at = self.rewinds + 1, self.position.step
        self.position.skipped, self.position.seconds = skipped, seconds  # time is not given back
        self.log.rewind(self.position.step)
        self._catch_up()
        without = "it and the last one before that checkpoint" if ruined else "that batch"
        self.say(f"{what}; back to step {self.position.step}, without {without}.")
        self._batches = (None, None)

    def _sound(self, row):
        loss = self._metrics(row)["loss"]
        return math.isfinite(loss) and math.isfinite(row[NORM]) and loss <= self.loss_limit

    def _metrics(self, row):
        """Returns {metric: float} of the figures of a step, or of those of several, added up."""
        return metrics_from_sums(row[: len(SUMS) * len(self.trainer.tasks)], self.trainer.tasks)

    def _batches_of(self, index, stage):
        """Returns the batches of a phase from where the run stands."""
        if self._batches[0] != index:
            skipped = self.position.skipped[index]
            start = raw_batch(self.position.used[index], skipped)
            self._batches = (index, self.trainer.batches(stage.records(start, skipped)))
            self._seconds_per_step = []
        return self._batches[1]

    def _stage(self):
        """Returns (index, Stage) of the next step."""
        index = self._stage_at(self._share() * self.total if self.budget else self.position.step)
        return index, self.stages[index]

    def _stage_at(self, done):
        """Returns the index of the stage after so many of the steps, or such a part of the time."""
        return next((i for i, stage in enumerate(self.stages) if done < stage.end), len(self.stages) - 1)

    def _share(self):
        """Returns how much of the run is over, of its steps or of its time."""
        share = self.position.seconds / self.budget if self.budget else self.position.step / self.total
        return min(1.0, share)

    def _over(self):
        return self._share() >= 1.0

    def _steps_of_call(self, stage):
        """Returns how many updates the next call makes: up to what is due next, and not for too long.

        The first call compiles; the second one is the first whose time tells anything.
        """
        if len(self._seconds_per_step) < 2:
            return 1
        step, options = self.position.step, self.options
        ends = [(step // every + 1) * every for every in (options.steps_per_loop, options.save_checkpoints_steps)]
        if not self.budget:
            ends.append(stage.end)
        seconds = min(SECONDS_PER_CALL, self.budget / CALLS_PER_BUDGET) if self.budget else SECONDS_PER_CALL
        return max(1, min(min(ends) - step, int(seconds / self._seconds_per_step[-1])))

    def _report(self, note):
        if self.budget:
            total = max(1, int(self.budget))
            self.progress("pretrain", min(int(self.position.seconds), total), total, "second", note)
        else:
            self.progress("pretrain", self.position.step, self.total, "step", note)

    def _note(self, stage, rows, seconds):
        """Returns what the bar says of a call."""
        sums = rows.astype(np.float64).sum(0)
        figures = self._metrics(sums)
        task = next(name for name in self.trainer.tasks if f"{name}_accuracy" in figures)
        speed = stage.throughput(len(rows), sums[TOKENS], seconds)
        share = speed["utilisation"]  # over 1 where something else took the device as its peak was measured
        return (
            f"loss {figures['loss']:.3f}, {TASKS[task].title} accuracy {figures[f'{task}_accuracy']:.3f}, "
            f"{speed['examples_per_second']:,.0f} examples/s, {speed['tokens_per_second']:,.0f} tokens/s"
            + (f", {share:.0%} of peak" if share <= 1 else "")
        )
