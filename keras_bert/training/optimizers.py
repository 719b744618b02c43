"""BERT's AdamW (google-research/bert, optimization.py) and LAMB (google-research/albert, lamb_optimizer.py)."""

import math
import numbers
import re

import keras
from keras import ops

from keras_bert.errors import UserError
from keras_bert.private_names import require
from keras_bert.training.layer_decay import check_layer_decay, layer_rates
from keras_bert.training.schedules import WarmupSchedule

HOOKS = ("_all_reduce_sum_gradients", "_clip_gradients")  # TensorFlow's, which DecayedAdam replaces
# {option of `adamw` that is the schedule's: its default}
SCHEDULE_OPTIONS = {
    **{"num_train_steps": None, "num_warmup_steps": 0, "schedule": "linear", "power": 1.0, "end_learning_rate": 0.0},
    **{"num_decay_steps": None, "warmup": "replaces"},
}


class DecayedAdam(keras.optimizers.Optimizer):
    """What AdamW and LAMB share: Adam's moments, which variables decay, common clipping and rates by layer.

    Per variable: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2. LayerNorm weights and biases, that is every variable
    of one dimension whatever its name, do not decay, nor do those that Keras' `exclude_from_weight_decay` was given
    (which Keras does not save with the model).

    Args:
        learning_rate: a number or a schedule.
        weight_decay: decay of the variables that decay.
        beta_1, beta_2, epsilon: Adam's.
        bias_correction: whether m and v are divided by 1 - b^step, as in Adam's paper; BERT leaves that out.
        global_clipnorm: the gradients of all variables together are scaled down to this norm; None for no limit.
            Give None where Keras' `clipnorm` or `clipvalue` is to clip instead.
        layer_decay: what the learning rate of each layer is multiplied by once more than that of the layer above,
            see layer_decay.py; None for one rate.

    Raises:
        UserError: a beta or a layer_decay out of range, or at `build` a layer_decay for a model without our encoder.
    """

    def __init__(
        self,
        learning_rate=1e-4,
        *,
        weight_decay=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        bias_correction=False,
        global_clipnorm=1.0,
        layer_decay=None,
        **kwargs,
    ):
        if not (0 <= beta_1 < 1 and 0 <= beta_2 < 1):
            raise UserError(f"beta_1 and beta_2 must be at least 0 and less than 1. Received: {beta_1} and {beta_2}.")
        require(keras.optimizers.Optimizer, *(HOOKS if _on_tensorflow() else ()))
        if layer_decay is not None:
            check_layer_decay(layer_decay)
        # Keras' own weight_decay stays unset: its exclusion goes by short names and would decay LayerNorm.
        super().__init__(learning_rate=learning_rate, global_clipnorm=global_clipnorm, **kwargs)
        self.decay = weight_decay
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.bias_correction = bias_correction
        self.layer_decay = layer_decay
        self.undecayed = (frozenset(), ())  # ids of variables, and names, that exclude_from_weight_decay was given
        self._given_reduced = False  # whether `apply_reduced` is what calls `apply`

    def build(self, variables):
        """Makes the optimizer's variables: m and v for each variable that is trained."""
        if self.built:
            return
        if self.layer_decay is not None:
            self.layer_rates = layer_rates(variables, self.layer_decay)
        self.decayed = [len(variable.shape) > 1 and not self._is_excluded(variable) for variable in variables]
        super().build(variables)
        self.make_moments(variables)

    def make_moments(self, variables):
        """Makes m and v for each variable."""
        self.momentums = self.add_optimizer_variables(variables, "m")
        self.velocities = self.add_optimizer_variables(variables, "v")

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Excludes variables from decay, as Keras' optimizers do; each call replaces what the last one asked for.

        Args:
            var_list: variables.
            var_names: regular expressions, of which any may be found in a variable's name.

        Raises:
            UserError: the optimizer has taken a step, or is built for another reason.
        """
        if self.built:
            raise UserError("exclude_from_weight_decay must be called before the optimizer's first step.")
        super().exclude_from_weight_decay(var_list, var_names)
        self.undecayed = (frozenset(map(id, var_list or ())), tuple(var_names or ()))

    def _is_excluded(self, variable):
        ids, patterns = self.undecayed
        ours = {id(variable), id(getattr(variable, "value", None))}  # a caller may have TensorFlow's own variable
        return bool(ids & ours) or any(re.search(pattern, variable.name) for pattern in patterns)

    def apply(self, grads, trainable_variables=None):
        """Updates all variables. Rows of an embedding's gradient that repeat are added up before they are squared."""
        grads = [_tensorflow().dense(g) if type(g).__name__ == "IndexedSlices" else g for g in grads]
        super().apply(grads, trainable_variables)

    def apply_reduced(self, gradients, variables):
        """Updates all variables on TensorFlow by gradients that are the sums over all replicas already.

        Returns:
            float32 (), the norm of all gradients together before clipping.
        """
        gradients, norm = _tensorflow().clip_by_global_norm(gradients, self.global_clipnorm)
        self._given_reduced = True
        try:
            self.apply(gradients, variables)
        finally:
            self._given_reduced = False
        return norm

    def _clip_gradients(self, grads):
        # On TensorFlow Keras clips here, each replica its own share. That is not the norm of the whole: see below.
        return grads if _on_tensorflow() else super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Adds up the replicas' gradients (TensorFlow's hook), then clips: one device and eight do the same."""
        if self._given_reduced:
            return grads_and_vars
        gradients, variables = zip(*super()._all_reduce_sum_gradients(grads_and_vars), strict=True)
        if self.global_clipnorm:
            gradients, _ = _tensorflow().clip_by_global_norm(gradients, self.global_clipnorm)
        else:
            gradients = super()._clip_gradients(gradients)
        return list(zip(gradients, variables, strict=True))

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its m and v."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype)
        if self.layer_decay is not None:
            rate = rate * self.layer_rates[index]
        gradient = ops.cast(gradient, variable.dtype)
        self.update_variable(variable, gradient, self.momentums[index], self.velocities[index], rate)

    def update_variable(self, variable, gradient, m, v, rate):
        """Updates one variable and its m and v; `rate` is its own."""
        self.assign_sub(variable, rate * self.adam_update(variable, gradient, m, v))

    def decays(self, variable):
        """Says whether a variable decays."""
        return self.decayed[self._get_variable_index(variable)]

    def decay_variable(self, variable, gradient, rate):
        """Lets a variable lose its decay, if it decays; on TensorFlow not before its gradient is there."""
        if not (self.decay and self.decays(variable)):
            return
        if _on_tensorflow():
            _tensorflow().decay(variable, gradient, rate * self.decay)
        else:
            self.assign_sub(variable, rate * self.decay * variable)

    def correction(self, dtype):
        """Returns (c, e) for which c * m / (sqrt(v) + e) is Adam's update, its bias corrected if that was asked for."""
        if not self.bias_correction:
            return 1.0, self.epsilon
        step = ops.cast(self.iterations + 1, "float32")  # in bfloat16 0.999 is 1
        root = ops.sqrt(1.0 - self.beta_2**step)
        return ops.cast(root / (1.0 - self.beta_1**step), dtype), ops.cast(self.epsilon * root, dtype)

    def adam_update(self, variable, gradient, m, v):
        """Moves m and v on, and returns what the variable goes down by at a rate of 1, its decay included."""
        new_m = self.beta_1 * m + (1.0 - self.beta_1) * gradient
        new_v = self.beta_2 * v + (1.0 - self.beta_2) * ops.square(gradient)
        self.assign(m, new_m)
        self.assign(v, new_v)
        factor, epsilon = self.correction(variable.dtype)
        update = factor * new_m / (ops.sqrt(new_v) + epsilon)
        return update + self.decay * variable if self.decay and self.decays(variable) else update

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "weight_decay": self.decay,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
            "layer_decay": self.layer_decay,
        }


@keras.saving.register_keras_serializable(package="keras_bert")
class BertAdamW(DecayedAdam):
    """Adam with decoupled weight decay and no bias correction, as google-research/bert trains.

    Per variable: w -= rate * (m / (sqrt(v) + epsilon) + weight_decay * w). Arguments are DecayedAdam's.
    """

    def __init__(self, learning_rate=1e-4, *, name="bert_adamw", **options):
        super().__init__(learning_rate, name=name, **options)

    def update_variable(self, variable, gradient, m, v, rate):
        """Updates one variable and its m and v; on TensorFlow by Adam's kernel."""
        if not _on_tensorflow() or keras.backend.standardize_dtype(variable.dtype) not in ("float32", "float64"):
            super().update_variable(variable, gradient, m, v, rate)
            return
        self.decay_variable(variable, gradient, rate)
        factor, epsilon = self.correction(variable.dtype)
        betas = {"beta_1": self.beta_1, "beta_2": self.beta_2}
        _tensorflow().apply_adam(variable, m, v, gradient, rate=rate * factor, epsilon=epsilon, **betas)


@keras.saving.register_keras_serializable(package="keras_bert")
class Lamb(DecayedAdam):
    """LAMB, for batches of thousands (You et al. 2020, "Large batch optimization for deep learning").

    Per variable: u = m / (sqrt(v) + epsilon) + weight_decay * w; w -= rate * |w| / |u| * u. As in
    google-research/albert the ratio of the norms is 1 for the variables that do not decay and where a norm is 0, and
    there is no bias correction. The paper and NVIDIA's code correct it: `bias_correction=True`. Arguments are
    DecayedAdam's.
    """

    def __init__(self, learning_rate=1e-4, *, name="lamb", **options):
        super().__init__(learning_rate, name=name, **options)

    def update_variable(self, variable, gradient, m, v, rate):
        """Updates one variable and its m and v."""
        update = self.adam_update(variable, gradient, m, v)
        if self.decays(variable):
            ours, its = ops.norm(ops.reshape(variable, (-1,))), ops.norm(ops.reshape(update, (-1,)))
            both = ops.logical_and(ours > 0, its > 0)
            rate = rate * ops.where(both, ours / ops.where(both, its, ops.ones_like(its)), ops.ones_like(its))
        self.assign_sub(variable, rate * update)


def _on_tensorflow():
    return keras.config.backend() == "tensorflow"


def _tensorflow():
    """Returns what only TensorFlow has, imported on first use: on JAX there may be none."""
    from keras_bert.training import fused

    return fused


def adamw(
    learning_rate,
    *,
    num_train_steps=None,
    num_warmup_steps=0,
    schedule="linear",
    power=1.0,
    end_learning_rate=0.0,
    num_decay_steps=None,
    warmup="replaces",
    **options,
):
    """Returns BERT's optimizer with its schedule.

    Args:
        learning_rate: the peak rate, over 0 (or a schedule of Keras, then without the seven that follow).
        num_train_steps: steps over which the rate falls to 0; a constant rate if None.
        num_warmup_steps: steps over which it rises from 0, at most `num_train_steps`.
        schedule: how it falls: "linear", "polynomial", "cosine", "constant" or "wsd", see WarmupSchedule.
        power: of the polynomial.
        end_learning_rate: what it falls to instead of 0.
        num_decay_steps: of "wsd", the last steps, over which it falls; None for a tenth of all.
        warmup: "replaces" the first steps of the fall, or "multiplies" them as in ELECTRA's code.
        **options: `weight_decay` (0.01), of matrices alone; `bias_correction` (False), Adam's; `layer_decay` (None), a
            factor from each layer to the one below, such as 0.9; `global_clipnorm` (1.0), the norm that all gradients
            together are scaled down to; `beta_1` (0.9), `beta_2` (0.999) and `epsilon` (1e-6); and what every
            optimizer of Keras takes, such as `gradient_accumulation_steps`.

    Raises:
        UserError: an option of the schedule without the number of steps or beside a schedule of Keras, a number
            out of range, or a warm-up longer than the training.

    Example:
        >>> float(adamw(2e-5, num_train_steps=100, num_warmup_steps=10).learning_rate)
        0.0
    """
    given = {"num_train_steps": num_train_steps, "num_warmup_steps": num_warmup_steps, "schedule": schedule}
    given |= {"power": power, "end_learning_rate": end_learning_rate}
    given |= {"num_decay_steps": num_decay_steps, "warmup": warmup}
    return scheduled(BertAdamW, learning_rate, given | options)


def lamb(learning_rate, **options):
    """Returns LAMB with BERT's schedule.

    Takes what `adamw` takes, with the same defaults.

    Example:
        >>> lamb(1.8e-3, num_train_steps=15_000, num_warmup_steps=3_000, weight_decay=0.02).decay
        0.02
    """
    return scheduled(Lamb, learning_rate, options)


def scheduled(make, learning_rate, options):
    """Returns an optimizer with a schedule.

    Args:
        make: callable(learning_rate, **options) -> optimizer.
        learning_rate: see `adamw`.
        options: those of the schedule and those of the optimizer, as `adamw` takes them.
    """
    own = {name: value for name, value in options.items() if name not in SCHEDULE_OPTIONS}
    return make(_rate(learning_rate, **{n: x for n, x in options.items() if n not in own}), **own)


def _rate(learning_rate, *, num_train_steps=None, schedule="linear", **options):
    """Returns the schedule, or the rate itself where nothing but it was given."""
    if not callable(learning_rate):
        if not isinstance(learning_rate, numbers.Real) or not 0 < learning_rate < math.inf:
            raise UserError(f"learning_rate must be a number over 0, or a schedule. Received: {learning_rate!r}.")
        learning_rate = float(learning_rate)  # Keras refuses 1
    if num_train_steps is None and schedule == "linear":
        for name, value in options.items():
            if value != SCHEDULE_OPTIONS[name]:
                raise UserError(f"{name} needs num_train_steps too. Received: {value} and None.")
        return learning_rate
    if callable(learning_rate):
        raise UserError("A learning_rate that is a schedule takes the place of the options of ours; leave them out.")
    made = WarmupSchedule(learning_rate, num_train_steps=num_train_steps, decay=schedule, **options)
    if num_train_steps is not None and made.num_warmup_steps > made.num_train_steps:
        raise UserError(
            "num_warmup_steps must be at most num_train_steps, or the rate never gets to its peak. "
            f"Received: {made.num_warmup_steps} and {num_train_steps}."
        )
    return made
