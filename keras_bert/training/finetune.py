"""A fine-tuning run: `model.fit` with BERT's optimizer and schedule (Devlin et al. 2018, section 4; run_classifier.py).

`finetune` trains one model. `finetune_runs` trains the same one from several seeds and traces its graph once:
tracing costs a small model as much as fifty steps.
"""

import contextlib
import math
import warnings

import keras
import numpy as np

from keras_bert.errors import UserError
from keras_bert.layers.fusion import any_length
from keras_bert.models.losses import SparseCrossEntropy
from keras_bert.training.class_weights import weigh_classes
from keras_bert.training.finetune_options import FineTuning
from keras_bert.training.optimizers import adamw

# Compiling the layers' chains takes some two seconds for each new length of the batches, and saves a sixth of a step.
FUSED_FROM_STEPS = 200


class DivergedError(UserError):
    """The loss of a run is NaN or infinite."""


def finetune(
    model,
    train_dataset,
    options=None,
    *,
    seed=12345,
    evaluate=None,
    metric=None,
    larger_is_better=True,
    progress=None,
    stage="fine-tune",
    compile_model=True,
    **given,
):
    """Fine-tunes a model of ours.

    Args:
        model: a Classifier, or another model with a head and a default loss.
        train_dataset: batches, such as `text_dataset` makes.
        options: a FineTuning; None for its defaults. Its seeds and its grid are for `best_of_runs`.
        seed: of dropout and of whatever draws at random without a seed of its own. The order of the
            batches comes from the dataset's.
        evaluate: callable(model) -> {name: number}, called after each epoch; the figures stand in the history
            as "val_" + name.
        metric: which of these figures early stopping goes by.
        larger_is_better: False for a loss.
        progress: called as progress(stage, done, total, "step", note) before the first step, which compiles, and after
            each.
        stage: the first argument of `progress`.
        compile_model: False takes the optimizer and the traced graph of an earlier call as they are; the numbers
            of steps and rates are then that call's.
        **given: attributes of FineTuning that differ from `options`.

    Returns:
        Keras' history: `history.history` has one figure an epoch of "loss", the metrics, "val_..." and "step".
        `history.diverged` is None, or says in a sentence that the loss became NaN after an epoch that early stopping
        had measured: the run ends there, and the model has the weights of its best epoch.

    Raises:
        DivergedError: a NaN or infinite loss, at the step where it shows.
        UserError: a number out of range, a dataset whose length is unknown without `num_train_steps`, class weights
            that do not fit, or early stopping without a figure to go by.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Classifier, Encoder
        >>> from keras_bert.data.texts import text_dataset
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> model = Classifier(Encoder(Config.from_name("L-1_H-64", vocab_size=7)), num_classes=2)
        >>> history = finetune(model, text_dataset(["good", "bad"], [1, 0], tokenizer, batch_size=1), epochs=1.5)
        >>> history.history["step"]
        [2, 3]
    """
    options = FineTuning.of(options, **given)
    steps_per_epoch, total = _count_steps(train_dataset, options)
    best = None
    if options.early_stopping is not None:
        if evaluate is None or metric is None or not options.evaluate_each_epoch:
            raise UserError("early_stopping goes by a held-out figure after each epoch; give evaluate and metric.")
        best = BestEpoch(options.early_stopping, metric, larger_is_better)
    if options.class_weights is not None:
        classes = None if isinstance(model.output, dict) else model.output.shape[-1]
        train_dataset = weigh_classes(train_dataset, options.class_weights, classes)
    if compile_model:
        _compile(model, options, total)
    keras.utils.set_random_seed(seed)  # the process's, as Keras has no other: two trainings at once share its numbers
    _seed_dropout(model, seed)
    watch = _Watch(
        total,
        steps_per_epoch or total,
        rate=options.learning_rate,
        compiles=compile_model,
        evaluate=evaluate,
        evaluate_each_epoch=options.evaluate_each_epoch,
        best=best,
        progress=progress,
        stage=stage,
    )
    with any_length() if total >= FUSED_FROM_STEPS else contextlib.nullcontext():
        history = _fit(model, train_dataset, steps_per_epoch, total, [watch, *options.callbacks])
    history.diverged = watch.diverged
    return history


def finetune_runs(
    make_model,
    make_dataset,
    seeds,
    options=None,
    *,
    model=None,
    on_start=None,
    diverged=None,
    runs_before=0,
    runs_in_all=None,
    evaluate=None,
    metric=None,
    larger_is_better=True,
    progress=None,
    **given,
):
    """Fine-tunes once for each seed; every run is the one that `finetune` with that seed would be.

    Args:
        make_model: callable() -> the model as it is before training, its new weights drawn at random.
        make_dataset: callable(seed) -> batches in the order that the seed gives, as many for every seed.
        seeds: a list of int.
        options, evaluate, metric, larger_is_better, progress, **given: see `finetune`.
        model: the model of earlier runs with other options, to be started over; None takes the first that is made.
        on_start: callable(model), called once, before the first run.
        diverged: callable(seed, DivergedError), called for a run whose loss became NaN; the next seed follows. None
            raises the error, which ends all.
        runs_before, runs_in_all: for the stage that `progress` is told: where these runs are part of more.

    Yields:
        (seed, model, history) after each run. It is the same model object each time: take what you
        want to keep of it before you ask for the next.

    Raises:
        UserError: see `finetune`.
    """
    options, total = FineTuning.of(options, **given), runs_in_all or len(seeds)
    for number, seed in enumerate(seeds, 1):
        keras.utils.set_random_seed(seed)
        fresh = make_model()
        if model is None:
            model = fresh
        else:
            _start_over(model, fresh)
        if on_start is not None and number == 1:
            on_start(model)
        del fresh  # a model's memory
        try:
            history = finetune(
                model,
                make_dataset(seed),
                options,
                seed=seed,
                evaluate=evaluate,
                metric=metric,
                larger_is_better=larger_is_better,
                progress=progress,
                stage="fine-tune" if total == 1 else f"run {runs_before + number} of {total}, seed {seed}",
                compile_model=number == 1,
            )
        except DivergedError as error:
            if diverged is None:
                raise
            diverged(seed, error)
        else:
            yield seed, model, history


def is_better(new, old, *, larger_is_better=True):
    """Says whether a figure is better than another; NaN is worse than any.

    >>> is_better(0.5, 0.4), is_better(0.5, 0.4, larger_is_better=False), is_better(0.0, float("nan"))
    (True, False, True)
    """
    if math.isnan(old):
        return not math.isnan(new)
    return new > old if larger_is_better else new < old


def _count_steps(dataset, options):
    """Returns the batches of a pass (None if the dataset does not know) and the steps of the run."""
    try:
        steps_per_epoch = len(dataset)
    except TypeError:  # without end, or of unknown length
        steps_per_epoch = None
    if options.num_train_steps is not None:
        return steps_per_epoch, int(options.num_train_steps)
    if steps_per_epoch is None:
        raise UserError("The dataset does not know how many batches it has; say num_train_steps.")
    return steps_per_epoch, max(1, round(options.epochs * steps_per_epoch))


def _compile(model, options, total):
    """Compiles a model with its built optimizer: variables made inside the graph would trace it twice."""
    optimizer = adamw(
        options.learning_rate,
        num_train_steps=total,
        num_warmup_steps=int(total * options.warmup_proportion),
        **{name: getattr(options, name) for name in ("weight_decay", "layer_decay", "bias_correction")},
    )
    how = {name: getattr(options, name) for name in ("loss", "jit_compile", "steps_per_execution")}
    model.compile(optimizer, metrics=_watched(model, options), **how)
    optimizer.build(model.trainable_variables)


def _watched(model, options):
    """Returns the metrics: as given, or the accuracy if the model's own loss reads one class an example; None for none.

    Keras' accuracy knows no ignored labels. An empty list is an error to Keras 3.12 where a model has two outputs.
    """
    if options.metrics is not None:
        return list(options.metrics) or None
    own = model.default_loss() if options.loss is None else None
    return ["accuracy"] if isinstance(own, SparseCrossEntropy) and own.ignored_label is None else None


def _fit(model, dataset, steps_per_epoch, total, callbacks):
    """Runs `model.fit` over all steps. Returns Keras' history."""
    with warnings.catch_warnings():
        # Tags and spans are read off the tokens: their models keep the checkpoint's pooler and do not train it.
        # Filters are the process's: another thread may miss this one message too, and no other.
        warnings.filterwarnings("ignore", message="Gradients do not exist for variables.*pooler")
        return model.fit(
            dataset,
            epochs=math.ceil(total / (steps_per_epoch or total)),
            # A dataset that knows its length begins each pass anew; of another, one "epoch" is the whole run.
            steps_per_epoch=None if steps_per_epoch else total,
            shuffle=False,  # the dataset shuffles
            callbacks=callbacks,
            verbose=0,
        )


def _seed_dropout(model, seed):
    """Gives every dropout layer a state that follows from `seed`, not from what was drawn when it was made."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name == "seed_generator_state":
            variable.assign([rng.integers(2**31), 0])


def _start_over(model, fresh):
    """Puts a trained model and its optimizer back to the start: the weights of `fresh`, all else zero."""
    for variable, value in zip(model.variables, fresh.variables, strict=True):
        variable.assign(value)
    for variable in model.optimizer.variables:  # its step and Adam's moments; the rate is a schedule
        variable.assign(keras.ops.zeros_like(variable))


class BestEpoch:
    """Keeps the weights of the best epoch, and knows when to stop waiting for a better one."""

    def __init__(self, patience, metric, larger_is_better):
        self.patience, self.metric, self.larger_is_better = patience, metric, larger_is_better
        self.figure = self.weights = None
        self.waited = 0

    def add(self, figures, model):
        """Takes an epoch's figures, and says whether the run is to end."""
        if self.metric not in figures:
            raise UserError(f"{self.metric} is not measured here; choose one of {', '.join(figures)}.")
        figure = figures[self.metric]
        if self.figure is None or is_better(figure, self.figure, larger_is_better=self.larger_is_better):
            self.figure, self.weights, self.waited = figure, model.get_weights(), 0
        else:
            self.waited += 1
        return self.waited >= self.patience


class _Watch(keras.callbacks.Callback):
    """Ends a run at its last step, tells how far it is, and adds the evaluation to each epoch's figures."""

    def __init__(self, total, steps_per_epoch, *, rate, compiles, evaluate, evaluate_each_epoch, best, progress, stage):
        super().__init__()
        self.total, self.steps_per_epoch, self.rate, self.compiles = total, steps_per_epoch, rate, compiles
        self.evaluate, self.evaluate_each_epoch, self.best = evaluate, evaluate_each_epoch, best
        self.progress, self.stage = progress, stage
        self.before = self.done = 0
        self.diverged = None

    def on_train_begin(self, logs=None):
        if self.progress is not None and self.compiles:
            self.progress(self.stage, 0, self.total, "step", "compiling...")

    def on_epoch_begin(self, epoch, logs=None):
        self.before = epoch * self.steps_per_epoch

    def on_train_batch_end(self, batch, logs=None):
        self.done = min(self.before + batch + 1, self.total)
        loss = float(logs["loss"])  # the mean since the epoch began, which stays NaN
        if not math.isfinite(loss):
            self._stop_diverged(loss)
            return
        if self.progress is not None:
            self.progress(self.stage, self.done, self.total, "step", f"loss {loss:.3f}")
        if self.done == self.total:
            self.model.stop_training = True

    def _stop_diverged(self, loss):
        """Ends the run: with the best epoch's weights if there are any, else by a DivergedError."""
        policy = self.model.dtype_policy.name
        half = f", or compute in float32 (--dtype, now {policy})" if "float16" in policy.split("_") else ""
        if self.done == 1:
            sentence = (
                f"The loss is {loss} at the first step, before any update: the model's weights, the labels or the "
                f"weights of the examples hold NaN or infinity; take another checkpoint, or look at the data{half}."
            )
        else:
            sentence = (
                f"The loss is {loss} at step {self.done} of {self.total}; lower the learning rate (--learning_rate, "
                f"now {self.rate:g}), or let it rise more slowly (--warmup_proportion){half}."
            )
        if self.best is None or self.best.weights is None:
            raise DivergedError(sentence)
        self.diverged = sentence
        self.best.waited += 1
        self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if self.diverged:
            logs.clear()  # nothing of this epoch goes into the history
            return
        logs["step"] = self.done
        if self.evaluate is not None and (self.evaluate_each_epoch or self.done == self.total):
            figures = self.evaluate(self.model)
            # Keras hands the same dict to its History, which comes after this callback.
            logs.update({f"val_{name}": value for name, value in figures.items()})
            if self.best is not None and self.best.add(figures, self.model):
                self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.best is not None and self.best.waited:  # the last epoch was not the best one
            self.model.set_weights(self.best.weights)
