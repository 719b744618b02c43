"""Muon: momentum whose matrices are made orthogonal before each step, and AdamW for everything else.

Sources: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; Liu et al. 2025, "Muon is
scalable for LLM training", section 2.2, for the size of a step, with which both kinds share one rate and one decay.
"""

import math

import keras
from keras import ops

from keras_bert.errors import UserError
from keras_bert.models.walk import marked_depth
from keras_bert.training.costs import MUON_ROUNDS
from keras_bert.training.optimizers import BertAdamW, scheduled

# a x + b x^3 + c x^5 takes any singular value in (0, 1] close to 1 in MUON_ROUNDS: quickly, and not to 1 itself.
COEFFICIENTS = 3.4445, -4.7750, 2.0315
RMS = 0.2  # of the entries of an update by AdamW, about which one by Muon is made


@keras.saving.register_keras_serializable(package="keras_bert")
class Muon(BertAdamW):
    """Muon for the matrices of an encoder's blocks, AdamW for embeddings, norms, biases and heads.

    Per matrix (R, C) of a block: m = momentum m + (1 - momentum) g; u = (1 - momentum) g + momentum m;
    w -= rate * (0.2 sqrt(max(R, C)) orthogonal(u) + weight_decay * w). A bottleneck's and a pair of gate and value are
    one matrix each, as they are stored.

    Args:
        learning_rate: a number or a schedule, the same for both kinds.
        momentum: of the matrices.
        **options: DecayedAdam's; beta_1, beta_2, epsilon and bias_correction are of the rest.

    Raises:
        UserError: an option out of range, or at `build` a model without our encoder.
    """

    def __init__(self, learning_rate=1e-4, *, momentum=0.95, name="muon", **options):
        if not 0 <= momentum < 1:
            raise UserError(f"momentum must be at least 0 and less than 1. Received: {momentum}.")
        super().__init__(learning_rate, name=name, **options)
        self.momentum = momentum

    def make_moments(self, variables):
        """Makes m for each variable, and v for those that AdamW updates."""
        self.is_matrix = [is_block_matrix(variable) for variable in variables]
        if not any(self.is_matrix):
            raise UserError(
                f"Muon needs a model with an Encoder that trains. Received: {len(variables)} variables, none of them a "
                "matrix of an encoder's block; take adamw."
            )
        self.momentums = self.add_optimizer_variables(variables, "m")
        rest = [variable for variable, is_matrix in zip(variables, self.is_matrix, strict=True) if not is_matrix]
        velocities = iter(self.add_optimizer_variables(rest, "v"))
        self.velocities = [None if is_matrix else next(velocities) for is_matrix in self.is_matrix]

    def update_variable(self, variable, gradient, m, v, rate):
        """Updates one variable, and its m and v where it has one."""
        if v is not None:
            super().update_variable(variable, gradient, m, v, rate)
            return
        self.decay_variable(variable, gradient, rate)
        new_m = m + (1.0 - self.momentum) * (gradient - m)
        self.assign(m, new_m)
        update = orthogonal(gradient + self.momentum * (new_m - gradient))
        self.assign_sub(variable, rate * RMS * math.sqrt(max(variable.shape)) * update)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "momentum": self.momentum}


def is_block_matrix(variable):
    """Says whether a variable is a matrix of an encoder's block."""
    mark = marked_depth(variable)
    return mark is not None and 0 < mark[0] < mark[1] - 1 and len(variable.shape) == 2


def orthogonal(x):
    """Returns about U V' of a matrix x = U S V', float (R, C): its singular values become about 1, by products alone.

    Example:
        >>> x = ops.convert_to_tensor([[3.0, 0.0], [0.0, -0.1]])
        >>> [[round(float(value), 1) for value in row] for row in orthogonal(x)]
        [[0.7, 0.0], [0.0, -1.1]]
    """
    a, b, c = COEFFICIENTS
    wide = x.shape[0] <= x.shape[1]
    y = x if wide else ops.transpose(x)  # the product with itself is then the smaller one
    y = y / (ops.sqrt(ops.sum(ops.square(y))) + 1e-7)
    for _ in range(MUON_ROUNDS):
        square = ops.matmul(y, ops.transpose(y))
        y = a * y + ops.matmul(b * square + c * ops.matmul(square, square), y)
    return y if wide else ops.transpose(y)


def muon(learning_rate, **options):
    """Returns Muon with BERT's schedule.

    Takes what `adamw` takes, with the same defaults, and `momentum` (0.95), of the blocks' matrices.

    Example:
        >>> muon(1e-3, num_train_steps=1000, momentum=0.9).momentum
        0.9
    """
    return scheduled(Muon, learning_rate, options)
