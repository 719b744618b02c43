"""BERT's AdamW and its learning-rate schedule (google-research/bert, optimization.py)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_bert")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to the peak over the warm-up, then falls linearly to 0 at the end.

    As in Google's code the decay line starts at step 0, so the rate drops a little where the warm-up ends.

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
        self.learning_rate = learning_rate
        self.num_train_steps = num_train_steps
        self.num_warmup_steps = num_warmup_steps

    def __call__(self, step):
        """Returns the float32 rate of a step."""
        step = ops.cast(step, "float32")
        warmup = self.learning_rate * step / max(1, self.num_warmup_steps)
        decay = self.learning_rate * ops.maximum(0.0, 1.0 - step / max(1, self.num_train_steps))
        return ops.where(step < self.num_warmup_steps, warmup, decay)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "num_train_steps": self.num_train_steps,
            "num_warmup_steps": self.num_warmup_steps,
        }


@keras.saving.register_keras_serializable(package="keras_bert")
class BertAdamW(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay and no bias correction, as google-research/bert trains.

    Per variable: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; update = m / (sqrt(v) + epsilon) + decay * w;
    w -= rate * update. LayerNorm weights and biases, that is every variable of one dimension, do not decay.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: decay of the variables that decay.
        beta_1, beta_2, epsilon: Adam's.
        bias_correction: whether m and v are divided by 1 - b^step, as in Adam's paper; BERT leaves that out.
        global_clipnorm: the gradients of all variables together are scaled down to this norm; None for no limit.
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
        name="bert_adamw",
        **kwargs,
    ):
        # Keras' own weight_decay stays unset: its exclusion goes by short names and would decay LayerNorm.
        super().__init__(learning_rate=learning_rate, global_clipnorm=global_clipnorm, name=name, **kwargs)
        self.decay = weight_decay
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.bias_correction = bias_correction

    def build(self, variables):
        """Makes m and v for each variable."""
        if self.built:
            return
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "m")
        self.velocities = self.add_optimizer_variables(variables, "v")

    def apply(self, grads, trainable_variables=None):
        """Updates all variables. Rows of an embedding's gradient that repeat are added up before they are squared."""
        super().apply([_dense(gradient) for gradient in grads], trainable_variables)

    def _clip_gradients(self, grads):
        # On TensorFlow Keras clips here, each replica its own share. That is not the norm of the whole: see below.
        return grads if keras.config.backend() == "tensorflow" else super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Adds up the replicas' gradients (TensorFlow's hook), then clips: one device and eight do the same."""
        gradients, variables = zip(*super()._all_reduce_sum_gradients(grads_and_vars), strict=True)
        return list(zip(super()._clip_gradients(gradients), variables, strict=True))

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its m and v."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        m, v = self.momentums[index], self.velocities[index]
        new_m = self.beta_1 * m + (1.0 - self.beta_1) * gradient
        new_v = self.beta_2 * v + (1.0 - self.beta_2) * ops.square(gradient)
        update_m, update_v = new_m, new_v
        if self.bias_correction:
            step = ops.cast(self.iterations + 1, variable.dtype)
            update_m = new_m / (1.0 - self.beta_1**step)
            update_v = new_v / (1.0 - self.beta_2**step)
        update = update_m / (ops.sqrt(update_v) + self.epsilon)
        if len(variable.shape) > 1 and self.decay:
            update = update + self.decay * variable
        self.assign(m, new_m)
        self.assign(v, new_v)
        self.assign_sub(variable, rate * update)

    def get_config(self):
        """Returns the constructor's arguments."""
        config = super().get_config()
        config.pop("weight_decay")
        return {
            **config,
            "weight_decay": self.decay,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
        }


def _dense(gradient):
    """Returns a gradient as a tensor; TensorFlow gives that of a looked-up table as the rows and their indices."""
    if type(gradient).__name__ != "IndexedSlices":
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def adamw(learning_rate, *, num_train_steps=None, num_warmup_steps=0, **options):
    """Returns BERT's optimizer with its schedule.

    Args:
        learning_rate: the peak rate (or a schedule, then without `num_train_steps`).
        num_train_steps: steps over which the rate falls to 0; a constant rate if None.
        num_warmup_steps: steps over which it rises from 0.
        **options: BertAdamW's.

    Raises:
        ValueError: a warm-up without the number of steps.

    Example:
        >>> float(adamw(2e-5, num_train_steps=100, num_warmup_steps=10).learning_rate)
        0.0
    """
    if num_train_steps is None and num_warmup_steps:
        raise ValueError(f"num_warmup_steps needs num_train_steps too. Received: {num_warmup_steps} and None.")
    if num_train_steps is not None:
        learning_rate = WarmupLinearDecay(
            learning_rate, num_train_steps=num_train_steps, num_warmup_steps=num_warmup_steps
        )
    return BertAdamW(learning_rate, **options)
