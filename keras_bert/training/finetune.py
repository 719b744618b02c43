"""A fine-tuning run: `model.fit` with BERT's optimizer and schedule (Devlin et al. 2018, section 4; run_classifier.py).

`finetune` trains one model. `finetune_runs` trains the same one from several seeds and traces its graph once:
tracing costs a small model as much as fifty steps.
"""

import math

import keras
import numpy as np

from keras_bert.errors import UserError
from keras_bert.training.optimizers import adamw


def finetune(
    model,
    train_dataset,
    *,
    epochs=3.0,
    num_train_steps=None,
    learning_rate=5e-5,
    warmup_proportion=0.1,
    seed=12345,
    evaluate=None,
    evaluate_each_epoch=True,
    metrics=("accuracy",),
    jit_compile="auto",
    steps_per_execution=1,
    callbacks=(),
    progress=None,
    stage="fine-tune",
    compile_model=True,
):
    """Fine-tunes a model of ours.

    Args:
        model: a BertClassifier, or another model with a head and a default loss.
        train_dataset: batches, such as `text_dataset` makes.
        epochs: passes over the batches; a fraction ends in the midst of a pass.
        num_train_steps: updates, instead of `epochs`. A dataset without end needs them.
        learning_rate: the peak, reached after the warm-up, then down to 0 at the last step.
        warmup_proportion: share of the steps over which the rate rises.
        seed: of dropout and of whatever draws at random without a seed of its own. The order of the
            batches comes from the dataset's.
        evaluate: callable(model) -> {name: number}, called after each epoch; the figures stand in the history
            as "val_" + name.
        evaluate_each_epoch: False calls it after the last step alone.
        metrics: Keras metrics to watch on the training batches.
        jit_compile: as Keras' `compile` takes it; "auto" is XLA on one GPU and none on a CPU, where it was
            slower and compiling took the time of a small run.
        steps_per_execution: steps that Keras runs in one call on the device.
        callbacks: further Keras callbacks.
        progress: called as progress(stage, done, total, "step", note) after each step.
        stage: the first argument of `progress`.
        compile_model: False takes the optimizer and the traced graph of an earlier call as they are; the numbers
            of steps and rates are then that call's.

    Returns:
        Keras' history: `history.history` has one figure an epoch of "loss", the metrics, "val_..." and "step".

    Raises:
        UserError: a number out of range, a dataset whose length is unknown without `num_train_steps`, or a
            loss that is no number any more.

    Example:
        >>> from keras_bert.config import BertConfig
        >>> from keras_bert.models import BertClassifier, BertEncoder
        >>> from keras_bert.data.texts import text_dataset
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> model = BertClassifier(BertEncoder(BertConfig.from_name("L-1_H-64", vocab_size=7)), num_classes=2)
        >>> history = finetune(model, text_dataset(["good", "bad"], [1, 0], tokenizer, batch_size=1), epochs=1.5)
        >>> history.history["step"]
        [2, 3]
    """
    steps_per_epoch, total = _count_steps(train_dataset, epochs, num_train_steps)
    if compile_model:
        _check_schedule(learning_rate, warmup_proportion)
        model.compile(
            adamw(learning_rate, num_train_steps=total, num_warmup_steps=int(total * warmup_proportion)),
            metrics=list(metrics),
            jit_compile=jit_compile,
            steps_per_execution=steps_per_execution,
        )
        model.optimizer.build(model.trainable_variables)  # variables made inside the graph would trace it twice
    keras.utils.set_random_seed(seed)
    _seed_dropout(model, seed)
    watch = _Watch(
        total,
        steps_per_epoch or total,
        evaluate=evaluate,
        evaluate_each_epoch=evaluate_each_epoch,
        progress=progress,
        stage=stage,
    )
    return model.fit(
        train_dataset,
        epochs=math.ceil(total / (steps_per_epoch or total)),
        # A dataset that knows its length begins each pass anew; of another, one "epoch" is the whole run.
        steps_per_epoch=None if steps_per_epoch else total,
        shuffle=False,  # the dataset shuffles
        callbacks=[watch, *callbacks],
        verbose=0,
    )


def finetune_runs(make_model, make_dataset, seeds, **options):
    """Fine-tunes once for each seed; every run is the one that `finetune` with that seed would be.

    Args:
        make_model: callable() -> the model as it is before training, its new weights drawn at random.
        make_dataset: callable(seed) -> batches in the order that the seed gives, as many for every seed.
        seeds: a list of int.
        **options: those of `finetune`.

    Yields:
        (seed, model, history) after each run. It is the same model object each time: take what you
        want to keep of it before you ask for the next.

    Raises:
        UserError: see `finetune`.
    """
    model = None
    for number, seed in enumerate(seeds, 1):
        keras.utils.set_random_seed(seed)
        fresh = make_model()
        first = model is None
        if first:
            model = fresh
        else:
            _start_over(model, fresh)
        stage = "fine-tune" if len(seeds) == 1 else f"run {number} of {len(seeds)}, seed {seed}"
        yield seed, model, finetune(model, make_dataset(seed), seed=seed, stage=stage, compile_model=first, **options)


def _count_steps(dataset, epochs, num_train_steps):
    """Returns the batches of a pass (None if the dataset does not know) and the steps of the run."""
    try:
        steps_per_epoch = len(dataset)
    except TypeError:  # without end, or of unknown length
        steps_per_epoch = None
    if num_train_steps is not None:
        if num_train_steps < 1:
            raise UserError(f"num_train_steps must be at least 1. Received: {num_train_steps}.")
        return steps_per_epoch, int(num_train_steps)
    if steps_per_epoch is None:
        raise UserError("The dataset does not know how many batches it has; say num_train_steps.")
    if not epochs > 0:
        raise UserError(f"epochs must be greater than 0. Received: {epochs}.")
    return steps_per_epoch, max(1, round(epochs * steps_per_epoch))


def _check_schedule(learning_rate, warmup_proportion):
    if not 0 < learning_rate < math.inf:
        raise UserError(f"learning_rate must be greater than 0. Received: {learning_rate}.")
    if not 0 <= warmup_proportion <= 1:
        raise UserError(f"warmup_proportion must be from 0 to 1. Received: {warmup_proportion}.")


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


class _Watch(keras.callbacks.Callback):
    """Ends a run at its last step, tells how far it is, and adds the evaluation to each epoch's figures."""

    def __init__(self, total, steps_per_epoch, *, evaluate, evaluate_each_epoch, progress, stage):
        super().__init__()
        self.total, self.steps_per_epoch = total, steps_per_epoch
        self.evaluate, self.evaluate_each_epoch = evaluate, evaluate_each_epoch
        self.progress, self.stage = progress, stage
        self.before = self.done = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.before = epoch * self.steps_per_epoch

    def on_train_batch_end(self, batch, logs=None):
        self.done = min(self.before + batch + 1, self.total)
        if self.progress is not None:
            self.progress(self.stage, self.done, self.total, "step", f"loss {logs['loss']:.3f}")
        if self.done == self.total:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise UserError(f"The loss is {logs['loss']} after {self.done} steps; take a lower learning rate.")
        logs["step"] = self.done
        if self.evaluate is not None and (self.evaluate_each_epoch or self.done == self.total):
            # Keras hands the same dict to its History, which comes after this callback.
            logs.update({f"val_{name}": value for name, value in self.evaluate(self.model).items()})
