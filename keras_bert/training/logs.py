"""What a run leaves to read: train_log.jsonl, TensorBoard events and loss_curve.png."""

import json
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.files import atomic_path


class TrainLog:
    """Writes each row of figures to train_log.jsonl and to TensorBoard as it comes.

    Args:
        folder: the run's output directory.

    Raises:
        UserError: the directory cannot be made or written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with TrainLog(folder) as log:
        ...         log.write(10, {"loss": 6.5})
        ...     Path(folder, "train_log.jsonl").read_text()
        '{"step": 10, "loss": 6.5}\\n'
    """

    def __init__(self, folder):
        import tensorflow as tf

        self.folder = Path(folder)
        self.rows = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.stream = open(self.folder / "train_log.jsonl", "w", encoding="utf-8")  # noqa: SIM115 closed in __exit__
        except OSError as error:
            raise UserError(f"Cannot write to {folder} ({error}); choose another output directory.") from error
        self.writer = tf.summary.create_file_writer(str(self.folder / "tensorboard"))
        self.scalar = tf.summary.scalar

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.writer.close()

    def write(self, step, figures):
        """Adds one row: figures by name at a step."""
        row = {"step": int(step), **{name: round(float(value), 6) for name, value in figures.items()}}
        self.rows.append(row)
        self.stream.write(json.dumps(row) + "\n")
        self.stream.flush()
        with self.writer.as_default():
            for name, value in figures.items():
                self.scalar(name, value, step=step)


def draw_curves(rows, path, *, curves, title):
    """Draws figures over steps, one panel a figure, as a PNG.

    Args:
        rows: dicts with "step" and figures, as TrainLog keeps them. A row may lack a figure.
        path: the PNG.
        curves: {panel's title: {legend: figure's name}}.
        title: the heading.
    """
    from matplotlib.figure import Figure  # not pyplot, whose backend a notebook has chosen

    figure = Figure(figsize=(5.5 * len(curves), 4), layout="tight")
    axes = figure.subplots(1, len(curves), squeeze=False)
    for axis, (heading, lines) in zip(axes[0], curves.items(), strict=True):
        for legend, name in lines.items():
            points = [(row["step"], row[name]) for row in rows if name in row]
            marker = "o" if len(points) < 30 else None
            axis.plot([p[0] for p in points], [p[1] for p in points], label=legend, marker=marker, markersize=3)
        axis.set_title(heading)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
