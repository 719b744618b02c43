"""What a pre-training loop asks of a backend: `train` some steps, `evaluate`, and give the variables back.

TensorFlow's answer is tensorflow_trainer.py, that of JAX jax_trainer.py. Both train on the loss of the global batch:
sums over all replicas and micro-batches / numbers over all of them, so that one device and eight give the same loss.
"""

import functools
import operator

import keras
import numpy as np

from keras_bert.errors import UserError
from keras_bert.families import find_family

TASKS = ("masked_lm", "next_sentence")  # objectives of a Pretrainer that are trained here, one or both of them
SUMS = ("loss", "right", "count")  # of each task: summed loss, right guesses, masked slots or sentence pairs


def columns(tasks=TASKS):
    """Returns the names of the figures of a step: the SUMS of each task (C of them), the tokens, the gradient's norm.

    >>> columns(["masked_lm"])
    ('masked_lm_loss', 'masked_lm_right', 'masked_lm_count', 'tokens', 'gradient_norm')
    """
    return (*(f"{task}_{sum}" for task in tasks for sum in SUMS), "tokens", "gradient_norm")


def make_trainer(model, optimizer, strategy, *, accumulation=1, jit_compile=False):
    """Returns the trainer of the active backend.

    Args:
        model: a Pretrainer.
        optimizer: a built optimizer of ours.
        strategy: what `keras_bert.strategy` gives; model and optimizer were made in its scope.
        accumulation: micro-batches that a batch is cut into, to need less memory; their gradients are added up.
        jit_compile: whether XLA compiles the step. On JAX and on TPUs it always does.

    Returns:
        An object with

        - `tasks`, the model's objectives.
        - `batches(make_dataset)` -> what `train` takes its batches from. `make_dataset(num_shards, shard_index)`
          returns the `pretraining_dataset` with these options.
        - `train(batches, n)` -> float32 (n, C + 2): n updates, and the `columns` of each: sums over the global batch,
          its tokens without padding, and the norm of its gradient before clipping.
        - `evaluate(make_dataset, max_batches=None)` -> float64 (C,): the sums of the tasks over all batches.
        - `agreed(number)` -> the mean of what the workers say, the same on all of them.
        - `set_learning_rate(rate)`, where the optimizer has a plain rate and no schedule.
        - `pull()`, after which the Keras variables have the values of now, and `push()`, after which the trainer has
          those of the Keras variables.

    Raises:
        UserError: the model has an objective that is not trained here.
    """
    check_objectives(model.objectives, model.bert_config.family)
    if keras.backend.backend() == "jax":
        from keras_bert.training.jax_trainer import JaxTrainer as Trainer
    else:
        from keras_bert.training.tensorflow_trainer import TensorFlowTrainer as Trainer
    return Trainer(model, optimizer, strategy, accumulation=accumulation, jit_compile=jit_compile)


def check_objectives(objectives, family):
    """Raises a UserError unless all objectives of a Pretrainer of a family are trained here."""
    others = [name for name in objectives if name not in TASKS]
    if others:
        raise UserError(
            f"This model of {find_family(family).title} is made for {', '.join(others)}, and pre-training is "
            f"implemented for {' and '.join(TASKS)}; take a model with a masked-LM head, or train this one on labels "
            "of your own by model.fit."
        )


def check_batch_size(batch_size, num_replicas, accumulation):
    """Raises a UserError unless a batch can be cut into equal parts for all devices and micro-batches."""
    parts = num_replicas * accumulation
    if batch_size % parts:
        near = max(parts, round(batch_size / parts) * parts)
        raise UserError(
            f"A batch of {batch_size} cannot be shared by {num_replicas} device(s) and {accumulation} micro-batch(es) "
            f"each; take a multiple of {parts}, such as {near}."
        )


def total_loss(sums, counts):
    """Returns the loss of the global batch, or a share of it: the sum of the tasks' means.

    Args:
        sums: (C,), the SUMS of each task over the batch or over a share of it.
        counts: one a task, that of the global batch.
    """
    return functools.reduce(operator.add, (sums[len(SUMS) * i] / counts[i] for i in range(sums.shape[0] // len(SUMS))))


def metrics_from_sums(sums, tasks=TASKS):
    """Returns {metric: float} from the (C,) sums of the tasks, added up over any number of batches.

    Where no next-sentence label weighs anything, as in records without a sentence task, that task's metrics are
    left out and it adds nothing to the loss.

    >>> metrics_from_sums([6.0, 1.0, 2.0, 0.5, 1.0, 1.0])["loss"]
    3.5
    >>> metrics_from_sums([6.0, 1.0, 2.0, 0.0, 0.0, 0.0])
    {'masked_lm_loss': 3.0, 'masked_lm_accuracy': 0.5, 'loss': 3.0}
    """
    metrics, total = {}, 0.0
    for task, (loss, right, count) in zip(tasks, np.reshape(sums, (len(tasks), len(SUMS))).tolist(), strict=True):
        if count or task == tasks[0]:
            metrics |= {f"{task}_loss": loss / max(count, 1.0), f"{task}_accuracy": right / max(count, 1.0)}
            total += metrics[f"{task}_loss"]
    return {**metrics, "loss": total}
