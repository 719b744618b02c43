"""What may be chosen about fine-tuning, as one value: a call or a command makes it, and it travels whole."""

import dataclasses
import difflib
import math
import numbers
from typing import Any

from keras_bert.errors import UserError

NUMBERS = ("epochs", "num_train_steps", "learning_rate", "warmup_proportion", "weight_decay", "layer_decay")
NUMBERS += ("early_stopping",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuning:
    """How a model is fine-tuned, whatever the task.

    Attributes:
        seeds: of the runs, one after the other; each draws the new weights, dropout and the order of the batches.
        grid: dicts of some of these attributes ("learning_rate", "epochs", "train_batch_size"), a point each; every
            point is trained from every seed.
        train_batch_size: examples a batch.
        epochs: passes over the batches; a fraction ends in the midst of a pass.
        num_train_steps: updates, instead of `epochs`. A dataset without end needs them.
        learning_rate: the peak, reached after the warm-up, then down to 0 at the last step.
        warmup_proportion: share of the steps over which the rate rises.
        weight_decay: of the matrices.
        layer_decay: a factor of the rate from each layer to the one below, such as 0.9; None for one rate.
        bias_correction: whether Adam's moments are corrected for their start at 0. Google's code leaves that out, and a
            small set then now and then fails to train (Mosbach et al. 2021, "On the Stability of Fine-tuning BERT").
        class_weights: {class number: weight} or a list of weights, what the labels of each class count in the loss,
            which is the weighted mean; None for all alike. `balanced_class_weights` makes them from labels.
        evaluate_each_epoch: whether held-out examples are measured after each epoch, or after the last step alone.
        early_stopping: this many epochs without a better held-out figure end a run, and at its end the model has the
            weights of its best epoch; None trains to the end.
        loss: None takes the model's own.
        metrics: Keras metrics to watch on the training batches; None takes the accuracy where labels are classes.
        jit_compile: as Keras' `compile` takes it; "auto" is XLA on one GPU and none on a CPU, where it was slower and
            compiling took the time of a small run.
        steps_per_execution: steps that Keras runs in one call on the device.
        callbacks: further Keras callbacks.

    Raises:
        UserError: a number out of range, no seed or no point.

    >>> FineTuning(epochs=2).at({"learning_rate": 3e-5}).learning_rate
    3e-05
    """

    seeds: tuple[int, ...] = (12345,)
    grid: tuple[dict, ...] = ({},)
    train_batch_size: int = 32
    epochs: float = 3.0
    num_train_steps: int | None = None
    learning_rate: float = 5e-5
    warmup_proportion: float = 0.1
    weight_decay: float = 0.01
    layer_decay: float | None = None
    bias_correction: bool = False
    class_weights: Any = None
    evaluate_each_epoch: bool = True
    early_stopping: int | None = None
    loss: Any = None
    metrics: Any = None
    jit_compile: Any = "auto"
    steps_per_execution: int = 1
    callbacks: tuple = ()

    def __post_init__(self):
        for name in ("seeds", "grid", "callbacks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.seeds or not self.grid:
            raise UserError(
                f"Give at least one seed and one point of the grid. Received: {len(self.seeds)} and {len(self.grid)}."
            )
        for name in NUMBERS:
            if not isinstance(getattr(self, name), numbers.Real | None):
                raise UserError(f"{name} must be a number. Received: {getattr(self, name)!r:.80}.")
        if not isinstance(self.train_batch_size, numbers.Integral) or self.train_batch_size < 1:
            raise UserError(
                f"train_batch_size must be a whole number of at least 1. Received: {self.train_batch_size!r:.80}."
            )
        if self.num_train_steps is not None and self.num_train_steps < 1:
            raise UserError(f"num_train_steps must be at least 1. Received: {self.num_train_steps}.")
        if not self.epochs > 0:
            raise UserError(f"epochs must be greater than 0. Received: {self.epochs}.")
        if not 0 < self.learning_rate < math.inf:
            raise UserError(f"learning_rate must be greater than 0. Received: {self.learning_rate}.")
        if not 0 <= self.warmup_proportion <= 1:
            raise UserError(f"warmup_proportion must be from 0 to 1. Received: {self.warmup_proportion}.")
        if self.early_stopping is not None and self.early_stopping < 1:
            raise UserError(f"early_stopping must be at least 1 epoch. Received: {self.early_stopping}.")
        for point in self.grid:
            _check_names(point)

    @classmethod
    def of(cls, options=None, **given):
        """Returns the options that a call gives, as such or by name.

        Args:
            options: a FineTuning; None for the defaults.
            **given: attributes that differ from it.

        Raises:
            UserError: an unknown name; the message suggests the nearest one.

        >>> FineTuning.of(FineTuning(epochs=2), seeds=[7]).epochs
        2
        """
        if not isinstance(options, cls | None):
            raise UserError(f"options must be a FineTuning. Received: {options!r:.80}.")
        _check_names(given)
        return dataclasses.replace(options or cls(), **given)

    def at(self, point):
        """Returns the options at one point of a grid, a dict, without that grid."""
        return dataclasses.replace(self, grid=({},), **point)

    @property
    def chooses(self):
        """Whether held-out figures decide something: which of several runs is the best, or when one ends."""
        return len(self.seeds) > 1 or len(self.grid) > 1 or self.early_stopping is not None


def _check_names(given):
    """Raises a UserError if a name is not an attribute of FineTuning."""
    known = [field.name for field in dataclasses.fields(FineTuning)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
            raise UserError(f"{name} is not an option of fine-tuning; {hint}")
