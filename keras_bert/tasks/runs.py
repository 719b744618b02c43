"""Several fine-tuning runs of one task, by seed and by a grid of settings: the best is kept, and what each one gave.

Fine-tuning a large model on a small set now and then fails altogether (Devlin et al. 2018, section 4.1; Zhang et al.
2020, "Revisiting Few-sample BERT Fine-tuning"): quote the mean over seeds, use the best on held-out examples.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_bert.checkpoints import open_checkpoint
from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.models import Encoder
from keras_bert.models.walk import walk
from keras_bert.models.weights import assign_arrays
from keras_bert.outputs import atomic_path
from keras_bert.tasks.inputs import check_length, check_vocabulary
from keras_bert.tasks.metrics import mean_and_sd
from keras_bert.training.finetune import DivergedError, finetune_runs, is_better
from keras_bert.training.finetune_options import FineTuning
from keras_bert.training.logs import draw_curves


def model_maker(config, head, *, checkpoint=None, dtype=None, reinit_layers=0, freeze_encoder=False):
    """Returns a function that makes a model as it is before fine-tuning.

    Args:
        config: the Config, with the rates of dropout to train with.
        head: callable(Encoder) -> the model, such as `lambda encoder: TokenClassifier(encoder, 9)`.
        checkpoint: an opened Checkpoint to load the encoder from; fresh weights if None. A head that it has for the
            very same task and classes is loaded too, any other is left out.
        dtype: a Keras dtype policy or its name.
        reinit_layers: this many blocks at the top, and the pooler with them, keep their fresh weights (Zhang et al.
            2020: with few examples the top of the encoder knows too much of its own task).
        freeze_encoder: whether the encoder stays as it is and gives features alone, without dropout.

    Returns:
        callable() -> the model, with `load_report` where there is a checkpoint.

    Raises:
        UserError: more blocks than the encoder has, some that share their weights with those below, or fresh ones that
            would never be trained.
    """
    _check_reinit_layers(config.passes, reinit_layers)
    if freeze_encoder and reinit_layers:
        raise UserError(
            f"freeze_encoder never trains the {reinit_layers} fresh blocks of reinit_layers; leave one of them out."
        )

    def make():
        model = head(Encoder(config, dtype=dtype))
        if checkpoint is not None:
            _load(model, checkpoint, reinit_layers)
        if freeze_encoder:
            _freeze(model.encoder)
        return model

    return make


def maker_of(model, kind, tokenizer, *, max_seq_length, head=None):
    """Returns what `best_of_runs` takes as `make_model`, of what the `train` of a task is given.

    Args:
        model: callable() -> the model before training, such as `model_maker` gives; or the path of a checkpoint or
            model directory, from which the encoder is taken, and a head that is the very same.
        kind: the model's class.
        tokenizer: the Tokenizer of its vocabulary.
        max_seq_length: the most tokens of a row.
        head: callable(Encoder) -> the model; for a path. None takes `kind`.

    Raises:
        UserError: a model or a class, and what `open_checkpoint` raises; when it makes a model, one of another class or
            vocabulary, or that cannot read as much.
    """
    if isinstance(model, (keras.Model, type)):
        name = model.__name__ if isinstance(model, type) else type(model).__name__
        raise UserError(
            f"model must be a path, or a function without arguments that makes a new {kind.__name__} for each run. "
            f"Received: {name}{' itself' if isinstance(model, type) else ''}."
        )
    make = model
    if not callable(model):
        checkpoint = open_checkpoint(model)
        make = model_maker(checkpoint.config, head or kind, checkpoint=checkpoint)

    def make_checked():
        made = make()
        if not isinstance(made, kind):
            raise UserError(f"model must make a {kind.__name__}. It made: {type(made).__name__}.")
        check_vocabulary(made.bert_config, tokenizer)
        check_length(made.bert_config, max_seq_length, layout=tokenizer.layout)
        return made

    return make_checked


def _check_reinit_layers(passes, count):
    """Raises a UserError if that many blocks at the top cannot begin anew; `passes` are those of a Config."""
    if not 0 <= count <= len(passes):
        raise UserError(f"reinit_layers must be from 0 to {len(passes)}, the model's blocks. Received: {count}.")
    able = [n for n in range(len(passes) + 1) if not set(passes[: len(passes) - n]) & set(passes[len(passes) - n :])]
    if count not in able:
        raise UserError(
            f"reinit_layers={count} would begin anew what lower blocks share with the top {count}: this model runs "
            f"{len(passes)} blocks with {len(set(passes))} {'sets' if len(set(passes)) > 1 else 'set'} of weights; "
            f"choose one of {', '.join(map(str, able))}."
        )


def _load(model, checkpoint, reinit_layers):
    """Loads a checkpoint, but for a head of another task and what begins anew, and notes the `load_report`."""
    means, said = {"multi_label": False, **model.task()}, {"multi_label": False, **checkpoint.task}
    if any(said.get(name) != value for name, value in means.items()):
        # The pooler and ModernBERT's dense layer are trained in pre-training, too.
        head = {weight.name for weight in model.head_weights() if not weight.name.startswith("bert/")}
        shapes = {name: shape for name, shape in checkpoint.shapes.items() if name not in head}
        checkpoint = dataclasses.replace(checkpoint, shapes=shapes)
    blocks = len(model.bert_config.passes)
    depths = range(blocks - reinit_layers + 1, blocks + 2) if reinit_layers else ()  # the pooler's is blocks + 1
    anew = {found.weight.name: found.variable for found in walk(model) if found.weight.depth in depths}
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
    layers = [encoder.embeddings, encoder.convolution, *encoder.blocks, *(block.attention for block in encoder.blocks)]
    for part in (part for layer in layers if layer is not None for part in vars(layer).values()):
        if isinstance(part, keras.layers.Dropout):
            part.rate = 0.0  # the config, and so what is saved, keeps its rates


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
            by epoch). Without held-out examples "seed", "global_step" and "history" alone.
    """

    model: keras.Model
    outputs: Any
    results: dict


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learnable:
    """What a task gives to be trained on, and how it measures a model.

    Attributes:
        make_dataset: callable(seed, batch_size) -> training batches.
        predict: callable(model) -> outputs on the held-out examples, of any kind; None without such.
        measure: callable(outputs) -> {name: number}; None likewise.
        metric: the name of the figure that chooses.
        larger_is_better: False for a loss.
    """

    make_dataset: Callable
    predict: Callable | None = None
    measure: Callable | None = None
    metric: str | None = None
    larger_is_better: bool = True

    @property
    def chosen_by(self):
        """The figure that chooses and which way, by their names."""
        return {"metric": self.metric, "larger_is_better": self.larger_is_better}


def best_of_runs(make_model, learnable, options=None, *, on_start=None, progress=None, **given):
    """Fine-tunes once for each seed, at each point of a grid, and keeps the best on the held-out examples.

    The best point is the one with the best mean over the seeds, the best run the best of that point. A run whose loss
    becomes NaN is left out of the means, and the others follow; a point at which fewer runs failed is the better one.

    Args:
        make_model: callable() -> the model before training, such as `model_maker` gives.
        learnable: a Learnable; without held-out examples there is one run, which is kept as it ends.
        options: a FineTuning; None for its defaults.
        on_start: callable(model), called once when the first model stands and before it is trained.
        progress: called as progress(stage, done, total, "step", note) after each step.
        **given: attributes of FineTuning that differ from `options`.

    Returns:
        A BestRun.

    Raises:
        DivergedError: the loss became NaN in every run.
        UserError: a metric that is not measured, something to choose and nothing to choose by, and what `finetune`
            raises.
    """
    options = FineTuning.of(options, **given)
    if learnable.predict is None:
        return _single_run(make_model, learnable, options, on_start=on_start, progress=progress)
    held_out = _HeldOut(learnable, early_stopping=options.early_stopping)
    model, best, rows, failures = None, None, [], []
    for number, point in enumerate(options.grid):
        at_point, here = options.at(point), _Point(point, **learnable.chosen_by)

        def fail(seed, error, here=here):
            held_out.take()
            here.fail(seed, error)
            failures.append(error)

        runs = finetune_runs(
            make_model,
            lambda seed, batch_size=at_point.train_batch_size: learnable.make_dataset(seed, batch_size),
            options.seeds,
            at_point,
            model=model,
            on_start=None if number else on_start,
            diverged=fail,
            runs_before=number * len(options.seeds),
            runs_in_all=len(options.grid) * len(options.seeds),
            evaluate=held_out,
            progress=progress,
            **learnable.chosen_by,
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
    more = {"runs": rows, "seeds": list(options.seeds), "history": best.history}
    return BestRun(model, best.outputs, {**best.results(), **more})


def _single_run(make_model, learnable, options, **watching):
    """Fine-tunes once and measures nothing; see `best_of_runs`."""
    if options.chooses:
        raise UserError("Several runs, a grid and early_stopping choose by held-out examples; give some to measure on.")
    options = options.at(options.grid[0])

    def make_dataset(seed):
        return learnable.make_dataset(seed, options.train_batch_size)

    [(seed, model, history)] = finetune_runs(make_model, make_dataset, options.seeds, options, **watching)
    return BestRun(model, None, {"seed": seed, "global_step": history.history["step"][-1], "history": history.history})


class _HeldOut:
    """Measures a model after each epoch, and keeps what belongs to the weights that `finetune` will leave in it."""

    def __init__(self, learnable, *, early_stopping):
        self.learnable, self.early_stopping, self.kept = learnable, early_stopping, None

    def __call__(self, model):
        """Returns the model's figures."""
        outputs, metric = self.learnable.predict(model), self.learnable.metric
        figures = self.learnable.measure(outputs)
        if metric not in figures:
            raise UserError(f"{metric} is not measured here; choose one of {', '.join(figures)}.")
        larger_is_better = self.learnable.larger_is_better
        if (
            self.kept is None
            or not self.early_stopping
            or is_better(figures[metric], self.kept[0][metric], larger_is_better=larger_is_better)
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
