"""What a run leaves to read: train_log.jsonl, TensorBoard events and loss_curve.png."""

import contextlib
import json
import numbers
import time
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.outputs import atomic_path

DIGITS = 9  # significant ones: as many as tell any two float32 apart
FIRST_DRAWING_SECONDS = 0.5  # what the first one is taken to cost, before one was timed


class TrainLog:
    """Writes each row of figures to train_log.jsonl and to TensorBoard as it comes.

    A row is handed to the system at once: a process that is killed loses none.

    Args:
        folder: the run's output directory.
        resume_after: a step at which a run goes on: the rows up to it stay, those of later steps and a line that was
            half-written go, and TensorBoard gets a further file of events. None starts anew, without the old ones.

    Attributes:
        rows: all rows, those that stayed among them; dicts with "step" and figures.

    Raises:
        UserError: the directory cannot be made or written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with TrainLog(folder) as log:
        ...         log.write(10, {"loss": 6.5, "accuracy": 1 / 3})
        ...     Path(folder, "train_log.jsonl").read_text()
        '{"step": 10, "loss": 6.5, "accuracy": 0.333333333}\\n'
    """

    def __init__(self, folder, *, resume_after=None):
        import tensorflow as tf

        self.folder = Path(folder)
        self.path, events = self.folder / "train_log.jsonl", self.folder / "tensorboard"
        self._open(resume_after)
        if resume_after is None:
            for old in events.glob("events.out.tfevents.*"):
                old.unlink(missing_ok=True)
        self.writer = tf.summary.create_file_writer(str(events))
        self.scalar, self.event_errors = tf.summary.scalar, tf.errors.OpError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        with contextlib.suppress(self.event_errors):  # told by `write` already
            self.writer.close()

    def rewind(self, step):
        """Takes the rows of later steps back, as the run goes back to this one; TensorBoard keeps theirs.

        Raises:
            UserError: the disk is full.
        """
        self.stream.close()
        self._open(step)

    def _open(self, resume_after):
        """Opens the log, after cutting it off behind a step, or emptying it if that is None."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.rows = [] if resume_after is None else _cut(self.path, resume_after)
            mode = "wb" if resume_after is None else "ab"
            self.stream = open(self.path, mode, buffering=0)  # noqa: SIM115 closed in __exit__
        except OSError as error:
            raise UserError(f"Cannot write to {self.folder} ({error}); choose another output directory.") from error

    def write(self, step, figures):
        """Adds one row: figures by name at a step. Whole numbers stay, others keep what a float32 holds.

        Raises:
            UserError: the disk is full.
        """
        row = {"step": int(step), **{name: _figure(value) for name, value in figures.items()}}
        self.rows.append(row)
        line = json.dumps(row).encode() + b"\n"
        try:
            while line:  # the system takes what there is room for, and complains only after that
                line = line[self.stream.write(line) :]
            with self.writer.as_default():  # whose end hands all to the system
                for name, value in figures.items():
                    self.scalar(name, value, step=step)
        except (OSError, self.event_errors) as error:
            why = str(error).splitlines()[0].rpartition("}} ")[2]  # TensorFlow begins with the operation's name in {{}}
            raise UserError(f"Cannot write the logs in {self.folder} ({why}); free space, and start again.") from error


def _figure(value):
    """Returns a number as it stands in the log.

    >>> [_figure(1e-7 / 3), _figure(12_345_678_901)]
    [3.33333333e-08, 12345678901]
    """
    return int(value) if isinstance(value, numbers.Integral) else float(f"{float(value):.{DIGITS}g}")


def _cut(path, step):
    """Leaves the rows up to a step in a log, the file whole at any moment, and returns them."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    rows = [_row(line) for line in lines]
    kept = [(line, row) for line, row in zip(lines, rows, strict=True) if row is not None and row["step"] <= step]
    if len(kept) < len(lines):
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"".join(line for line, _ in kept))
    return [row for _, row in kept]


def _row(line):
    """Returns the row that a line of a log holds, or None where the line is not whole."""
    with contextlib.suppress(ValueError, RecursionError):
        row = json.loads(line)
        if line.endswith(b"\n") and isinstance(row, dict) and isinstance(row.get("step"), int):
            return row
    return None


class LiveCurves:
    """Draws the curves again and again while a run goes on, seldom enough to cost little of its time.

    Args:
        path: the PNG.
        curves, title, marks: see `draw_curves`.
        share: of the run's time that drawing may take.
        clock: gives the time in seconds.
    """

    def __init__(self, path, *, curves, title, marks=None, share=0.01, clock=time.perf_counter):
        self.path, self.share, self.clock = path, share, clock
        self.options = {"curves": curves, "title": title, "marks": marks}
        self.drawn, self.cost = clock(), FIRST_DRAWING_SECONDS

    def draw(self, rows, *, now=False):
        """Draws if enough time has gone by since the last drawing, and in any case `now`.

        Args:
            rows: see `draw_curves`.
            now: whether the drawing is due, as at a run's end.

        Raises:
            UserError: nothing can be written, where it was due; else the next drawing may find more space.
        """
        begin = self.clock()
        if not now and begin - self.drawn < self.cost / self.share:
            return
        try:
            draw_curves(rows, self.path, **self.options)
        except UserError:
            if now:
                raise
        self.drawn = self.clock()
        self.cost = self.drawn - begin


def draw_curves(rows, path, *, curves, title, marks=None):
    """Draws figures over steps, one panel a figure, as a PNG.

    Args:
        rows: dicts with "step" and figures, as TrainLog keeps them. A row may lack a figure.
        path: the PNG.
        curves: {panel's title: {legend: figure's name}}.
        title: the heading.
        marks: {step: label} of vertical lines, such as where sequences get longer; or None.

    Raises:
        UserError: nothing can be written there.
    """
    from matplotlib.figure import Figure  # not pyplot, whose backend a notebook has chosen

    figure = Figure(figsize=(5.5 * len(curves), 4), layout="tight")
    axes = figure.subplots(1, len(curves), squeeze=False)
    for axis, (heading, lines) in zip(axes[0], curves.items(), strict=True):
        for legend, name in lines.items():
            points = [(row["step"], row[name]) for row in rows if name in row]
            marker = "o" if len(points) < 30 else None
            axis.plot([p[0] for p in points], [p[1] for p in points], label=legend, marker=marker, markersize=3)
        for step, label in (marks or {}).items():
            axis.axvline(step, color="gray", linestyle=":")
            axis.annotate(label, (step, 1), xycoords=("data", "axes fraction"), va="top", rotation=90, color="gray")
        axis.set_title(heading)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
