"""Several fine-tuning runs of one task, by seed and by a grid of settings: the best is kept, and what each one gave.

Fine-tuning a large model on a small set now and then fails altogether (Devlin et al. 2018, section 4.1; Zhang et al.
2020, "Revisiting Few-sample BERT Fine-tuning"): quote the mean over seeds, use the best on held-out examples.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras

from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.models import BertEncoder
from keras_bert.models.weights import assign_arrays, encoder_variables
from keras_bert.outputs import atomic_path
from keras_bert.tasks.metrics import mean_and_sd
from keras_bert.training.finetune import DivergedError, finetune_runs, is_better
from keras_bert.training.logs import draw_curves


def model_maker(config, head, *, checkpoint=None, dtype=None, reinit_layers=0, freeze_encoder=False):
    """Returns a function that makes a model as it is before fine-tuning.

    Args:
        config: the BertConfig, with the rates of dropout to train with.
        head: callable(BertEncoder) -> the model, such as `lambda encoder: BertTokenClassifier(encoder, 9)`.
        checkpoint: an opened Checkpoint to load the encoder from; fresh weights if None. A head that it has for the
            very same task and classes is loaded too, any other is left out.
        dtype: a Keras dtype policy or its name.
        reinit_layers: this many blocks at the top, and the pooler with them, keep their fresh weights (Zhang et al.
            2020: with few examples the top of the encoder knows too much of its own task).
        freeze_encoder: whether the encoder stays as it is and gives features alone, without dropout.

    Returns:
        callable() -> the model, with `load_report` where there is a checkpoint.

    Raises:
        UserError: more blocks than the encoder has, or fresh ones that would never be trained.
    """
    if not 0 <= reinit_layers <= config.num_hidden_layers:
        raise UserError(
            f"reinit_layers must be from 0 to {config.num_hidden_layers}, the model's blocks. "
            f"Received: {reinit_layers}."
        )
    if freeze_encoder and reinit_layers:
        raise UserError(
            f"freeze_encoder never trains the {reinit_layers} fresh blocks of reinit_layers; leave one of them out."
        )

    def make():
        model = head(BertEncoder(config, dtype=dtype))
        if checkpoint is not None:
            _load(model, checkpoint, reinit_layers)
        if freeze_encoder:
            _freeze(model.encoder)
        return model

    return make


def _load(model, checkpoint, reinit_layers):
    """Loads a checkpoint, but for a head of another task and what begins anew, and notes the `load_report`."""
    if any(checkpoint.task.get(name) != value for name, value in model.task().items()):
        shapes = {name: shape for name, shape in checkpoint.shapes.items() if name not in model.head_variables()}
        checkpoint = dataclasses.replace(checkpoint, shapes=shapes)
    first = len(model.encoder.blocks) - reinit_layers
    tops = [f"bert/encoder/layer_{i}/" for i in range(first, len(model.encoder.blocks))]
    tops += ["bert/pooler/"] if reinit_layers else []
    anew = {name: v for name, v in encoder_variables(model.encoder).items() if name.startswith(tuple(tops))}
    fresh = {name: keras.ops.convert_to_numpy(variable).copy() for name, variable in anew.items()}
    report = assign_arrays(model, checkpoint)
    for name, variable in anew.items():
        variable.assign(fresh[name])
    new = [*(name for name in report.loaded if name in anew), *report.new]
    loaded = [name for name in report.loaded if name not in anew]
    model.load_report = dataclasses.replace(report, loaded=loaded, new=new)


def _freeze(encoder):
    """Keeps an encoder from learning, and its dropout, which would only blur the features, from dropping."""
    encoder.trainable = False
    layers = [encoder.embeddings, *encoder.blocks, *(block.attention for block in encoder.blocks)]
    for layer in layers:
        layer.dropout_layer.rate = 0.0  # the config, and so what is saved, keeps its rates


@dataclasses.dataclass
class BestRun:
    """The best of several runs.

    Attributes:
        model: the model, with its weights.
        outputs: what `predict` gave for it.
        results: for eval_results.json: its figures by their own names and the settings of its point of the grid,
            "{metric}_mean" and "{metric}_sd" over the seeds of that point, "runs": a dict of "seed", settings and
            figures for every run ("failed" instead of figures where the loss became NaN, "stopped" beside them where
            it did after an epoch that was kept), "seed", "seeds", "global_step" (of the weights) and "history" (figures
            by epoch).
    """

    model: keras.Model
    outputs: Any
    results: dict


def best_of_runs(
    make_model,
    make_dataset,
    *,
    seeds,
    predict,
    measure,
    metric,
    larger_is_better=True,
    grid=({},),
    train_batch_size=32,
    on_start=None,
    progress=None,
    **finetune_options,
):
    """Fine-tunes once for each seed, at each point of a grid, and keeps the best on the held-out examples.

    The best point is the one with the best mean over the seeds, the best run the best of that point. A run whose loss
    becomes NaN is left out of the means, and the others follow; a point at which fewer runs failed is the better one.

    Args:
        make_model: callable() -> the model before training, such as `model_maker` gives.
        make_dataset: callable(seed, batch_size) -> training batches.
        seeds: a list of int; each draws the new weights, dropout and the order of the batches.
        predict: callable(model) -> outputs on the held-out examples, of any kind.
        measure: callable(outputs) -> {name: number}.
        metric: the name of the figure that chooses.
        larger_is_better: False for a loss.
        grid: dicts of "learning_rate", "epochs" and "train_batch_size", each of which may be missing.
        train_batch_size: examples a batch, where the grid does not say.
        on_start: callable(model), called once when the first model stands and before it is trained.
        progress: called as progress(stage, done, total, "step", note) after each step.
        **finetune_options: those of `finetune`.

    Returns:
        A BestRun.

    Raises:
        DivergedError: the loss became NaN in every run.
        UserError: no seed or no point, a metric that is not measured, and what `finetune` raises.
    """
    seeds, grid = list(seeds), [dict(point) for point in grid]
    if not seeds or not grid:
        raise UserError(f"Give at least one seed and one point of the grid. Received: {len(seeds)} and {len(grid)}.")
    chosen_by = {"metric": metric, "larger_is_better": larger_is_better}
    held_out = _HeldOut(predict, measure, early_stopping=finetune_options.get("early_stopping"), **chosen_by)
    model, best, rows, failures = None, None, [], []
    for number, point in enumerate(grid):
        options = {**finetune_options, **chosen_by, **point}
        batch_size = options.pop("train_batch_size", train_batch_size)
        here = _Point(point, **chosen_by)

        def fail(seed, error, here=here):
            held_out.take()
            here.fail(seed, error)
            failures.append(error)

        runs = finetune_runs(
            make_model,
            lambda seed, batch_size=batch_size: make_dataset(seed, batch_size),
            seeds,
            model=model,
            on_start=None if number else on_start,
            diverged=fail,
            runs_before=number * len(seeds),
            runs_in_all=len(grid) * len(seeds),
            evaluate=held_out,
            progress=progress,
            **options,
        )
        for seed, model, history in runs:
            here.add(seed, model, history, held_out.take())
        rows += here.rows
        if here.best is not None and (best is None or here.is_better_than(best)):
            best = here
    if best is None:
        every = "" if len(failures) == 1 else f"Each of the {len(failures)} runs failed, the first like this: "
        raise DivergedError(f"{every}{failures[0]}")
    model.set_weights(best.weights)
    return BestRun(model, best.outputs, {**best.results(), "runs": rows, "seeds": seeds, "history": best.history})


class _HeldOut:
    """Measures a model after each epoch, and keeps what belongs to the weights that `finetune` will leave in it."""

    def __init__(self, predict, measure, *, metric, larger_is_better, early_stopping):
        self.predict, self.measure = predict, measure
        self.metric, self.larger_is_better, self.early_stopping = metric, larger_is_better, early_stopping
        self.kept = None

    def __call__(self, model):
        """Returns the model's figures."""
        outputs = self.predict(model)
        figures = self.measure(outputs)
        if self.metric not in figures:
            raise UserError(f"{self.metric} is not measured here; choose one of {', '.join(figures)}.")
        if (
            self.kept is None
            or not self.early_stopping
            or is_better(figures[self.metric], self.kept[0][self.metric], larger_is_better=self.larger_is_better)
        ):
            self.kept = figures, outputs, int(model.optimizer.iterations)
        return figures

    def take(self):
        """Returns a run's figures, outputs and number of steps, and forgets them."""
        kept, self.kept = self.kept, None
        return kept


class _Point:
    """The runs at one point of a grid: a row for each, and of the best all that is kept."""

    def __init__(self, point, *, metric, larger_is_better):
        self.point, self.metric, self.larger_is_better = point, metric, larger_is_better
        self.rows, self.best, self.failed = [], None, 0

    def fail(self, seed, error):
        """Adds a run whose loss became NaN."""
        self.failed += 1
        self.rows.append({"seed": seed, **self.point, "failed": str(error)})

    def add(self, seed, model, history, kept):
        """Adds a run; if it is the best so far, copies the model's weights."""
        figures, outputs, step = kept
        stopped = {"stopped": history.diverged} if history.diverged else {}
        self.rows.append({"seed": seed, **self.point, **figures, **stopped})
        larger = self.larger_is_better
        if self.best is None or is_better(figures[self.metric], self.best[self.metric], larger_is_better=larger):
            self.best, self.seed, self.step = figures, seed, step
            self.weights, self.outputs, self.history = model.get_weights(), outputs, history.history

    @property
    def figures(self):
        """The metric of each run that did not fail."""
        return [row[self.metric] for row in self.rows if "failed" not in row]

    def is_better_than(self, other):
        """Says whether fewer runs failed here, or as many and the mean is better."""
        if self.failed != other.failed:
            return self.failed < other.failed
        means = (mean_and_sd(each.figures)[0] for each in (self, other))
        return is_better(*means, larger_is_better=self.larger_is_better)

    def results(self):
        """Returns the best run's figures, its settings and the spread over the seeds."""
        mean, sd = mean_and_sd(self.figures)
        spread = {f"{self.metric}_mean": mean, f"{self.metric}_sd": sd}
        return {**self.best, **self.point, **spread, "seed": self.seed, "global_step": self.step}


def write_results(output_dir, results, name="eval_results.json"):
    """Writes figures as JSON into a folder, which is made if need be."""
    with atomic_path(Path(output_dir) / name) as temporary:
        temporary.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_model(output_dir, model, tokenizer, results, *, metric, title, reading=None):
    """Writes eval_results.json, curves.png and, last of all, the model directory.

    Args:
        output_dir: the folder; made if need be.
        model: the fine-tuned model.
        tokenizer: its Tokenizer.
        results: those of a BestRun, to which more may have been added.
        metric: the figure to draw beside the loss.
        title: the picture's heading.
        reading: how its texts were read, such as {"max_seq_length": 128}, kept in task.json under "reading" for whoever
            asks the model later; or None.
    """
    output_dir = Path(output_dir)
    write_results(output_dir, results)
    history = results["history"]
    # The figures of the held-out examples may be there for the last epoch alone: all lists end together.
    rows = [
        {name: values[-back] for name, values in history.items() if back <= len(values)}
        for back in range(len(history["step"]), 0, -1)
    ]
    curves = {}
    for name in dict.fromkeys(("loss", metric)):
        lines = {"training": name, "held-out": f"val_{name}"}
        if lines := {legend: key for legend, key in lines.items() if key in history}:
            curves[name] = lines
    draw_curves(rows, output_dir / "curves.png", curves=curves, title=title)
    model.save_pretrained(output_dir, tokenizer=tokenizer)
    if reading is not None:
        file = output_dir / "task.json"
        task = read_json(file, what="The model's task") if file.exists() else {}
        with atomic_path(file) as temporary:
            text = json.dumps({**task, "reading": reading}, indent=2, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")
