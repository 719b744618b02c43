"""Learning rates over the steps: a warm-up, then a decay (google-research/bert, optimization.py, create_optimizer).

As in Google's code a decay begins at step 0. In BERT's and ALBERT's the warm-up takes the place of its first steps, so
the rate drops a little where the warm-up ends; in ELECTRA's (model/optimization.py) the two are multiplied.
"""

import math
import numbers

import keras
from keras import ops

from keras_bert.errors import UserError

# {name: function of the share of steps that is left, float32 from 1 to 0, and of `power`, -> factor from 1 to 0}
DECAYS = {
    "linear": lambda left, power: left,
    "polynomial": lambda left, power: left**power,  # tf.train.polynomial_decay
    "cosine": lambda left, power: ops.square(ops.sin(0.5 * math.pi * left)),  # Loshchilov and Hutter 2017, one cycle
    "constant": lambda left, power: ops.ones_like(left),
    # "1-sqrt" of Haegele et al. 2024, which ModernBERT took; `left` is here the share of the decay that is left.
    "wsd": lambda left, power: 1.0 - ops.sqrt(ops.maximum(1.0 - left, 0.0)),  # rounding may make it more than 1
}
WARMUPS = ("replaces", "multiplies")


@keras.saving.register_keras_serializable(package="keras_bert")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to the peak over the warm-up, then goes down to the end rate as `decay` says.

    Args:
        learning_rate: the peak.
        num_train_steps: steps in all; from there on the rate is `end_learning_rate`. Only "constant" needs none.
        num_warmup_steps: steps of warm-up; the rate of step 0 is 0.
        decay: "linear", "polynomial" (end + (peak - end) * left^power, where `left` is the share of the steps that
            is left), "cosine" (end + (peak - end) * (1 + cos(pi * (1 - left))) / 2), "constant" (the peak) or "wsd"
            (warm-up, stable, decay: the peak, and over the last `num_decay_steps` end + (peak - end) *
            (1 - sqrt(1 - left)), where `left` is the share of these).
        power: of the polynomial.
        end_learning_rate: what it goes down to.
        num_decay_steps: of "wsd", the last steps, over which the rate falls; None for a tenth of all.
        warmup: "replaces" the decay's first steps, as BERT's and ALBERT's do, or "multiplies" them, as ELECTRA's.

    Raises:
        UserError: an unknown decay, a number out of range, or an option that the decay does not have.

    Example:
        >>> schedule = WarmupSchedule(1e-3, num_train_steps=10, num_warmup_steps=2, decay="polynomial", power=2.0)
        >>> [round(float(schedule(step)), 6) for step in (0, 1, 2, 5, 10)]
        [0.0, 0.0005, 0.00064, 0.00025, 0.0]
    """

    def __init__(
        self,
        learning_rate,
        *,
        num_train_steps=None,
        num_warmup_steps=0,
        decay="linear",
        power=1.0,
        end_learning_rate=0.0,
        num_decay_steps=None,
        warmup="replaces",
    ):
        if decay not in DECAYS:
            raise UserError(f"No schedule is called {decay!r}; choose one of {', '.join(DECAYS)}.")
        if num_train_steps is None and decay != "constant":
            raise UserError(f"A {decay} schedule needs num_train_steps. Received: None.")
        if not power > 0 or (power != 1.0 and decay != "polynomial"):
            raise UserError(
                f"power must be over 0, and is of polynomial schedules alone. Received: {power} for {decay}."
            )
        if end_learning_rate and decay == "constant":
            raise UserError(f"A constant schedule has no end_learning_rate. Received: {end_learning_rate}.")
        if num_decay_steps is not None and decay != "wsd":
            raise UserError(f"num_decay_steps is of wsd schedules alone. Received: {num_decay_steps!r} for {decay}.")
        if warmup not in WARMUPS:
            raise UserError(f"warmup must be one of {', '.join(WARMUPS)}. Received: {warmup!r}.")
        self.learning_rate = learning_rate
        self.num_train_steps = None if num_train_steps is None else _whole(num_train_steps, "num_train_steps", least=1)
        self.num_warmup_steps = _whole(num_warmup_steps, "num_warmup_steps", least=0)
        self.decay = decay
        self.power = power
        self.end_learning_rate = end_learning_rate
        self.warmup = warmup
        self.num_decay_steps = None
        if decay == "wsd":
            given = max(1, self.num_train_steps // 10) if num_decay_steps is None else num_decay_steps
            self.num_decay_steps = _whole(given, "num_decay_steps", least=1)
            if self.num_decay_steps + self.num_warmup_steps > self.num_train_steps:
                raise UserError(
                    "Warm-up and decay must fit into num_train_steps. Received: "
                    f"{self.num_warmup_steps} + {self.num_decay_steps} of {self.num_train_steps}."
                )

    def __call__(self, step):
        """Returns the float32 rate of a step."""
        # Whole numbers are subtracted before they become float32: 1 - step / n would lose the digits of the last steps.
        total = self.num_train_steps or 1
        falls = self.num_decay_steps or total  # over so many steps
        left = ops.cast(ops.clip(total - ops.convert_to_tensor(step), 0, falls), "float32") / falls
        factor = DECAYS[self.decay](left, self.power)
        rate = self.end_learning_rate + (self.learning_rate - self.end_learning_rate) * factor
        step = ops.cast(step, "float32")
        base = rate if self.warmup == "multiplies" else self.learning_rate
        warmup = base * step / max(1, self.num_warmup_steps)
        return ops.where(step < self.num_warmup_steps, warmup, rate)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "num_train_steps": self.num_train_steps,
            "num_warmup_steps": self.num_warmup_steps,
            "decay": self.decay,
            "power": self.power,
            "end_learning_rate": self.end_learning_rate,
            "num_decay_steps": self.num_decay_steps,
            "warmup": self.warmup,
        }


def _whole(number, name, *, least):
    """Returns a number of steps as an int (100.0 is one), or raises a UserError."""
    if not isinstance(number, numbers.Real) or number % 1 != 0 or number < least:
        raise UserError(f"{name} must be a whole number of at least {least}. Received: {number!r}.")
    return int(number)


@keras.saving.register_keras_serializable(package="keras_bert")
class WarmupLinearDecay(WarmupSchedule):
    """BERT's own schedule: rises linearly to the peak over the warm-up, then falls linearly to 0 at the last step.

    Args:
        learning_rate: the peak.
        num_train_steps: steps in all; the rate is 0 from there on.
        num_warmup_steps: steps of warm-up; the rate of step 0 is 0.

    Example:
        >>> schedule = WarmupLinearDecay(1e-3, num_train_steps=10, num_warmup_steps=2)
        >>> [round(float(schedule(step)), 6) for step in (0, 1, 2, 5, 10)]
        [0.0, 0.0005, 0.0008, 0.0005, 0.0]
    """

    def __init__(self, learning_rate, *, num_train_steps, num_warmup_steps=0):
        super().__init__(learning_rate, num_train_steps=num_train_steps, num_warmup_steps=num_warmup_steps)

    def get_config(self):
        """Returns the constructor's arguments."""
        config = super().get_config()
        return {name: config[name] for name in ("learning_rate", "num_train_steps", "num_warmup_steps")}
