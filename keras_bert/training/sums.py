"""The figures of a step as sums, which add up over devices, micro-batches and steps, and what they mean.

C is the number of a model's sums: three for each of its tasks.
"""

import functools
import operator

import numpy as np

TASKS = ("masked_lm", "next_sentence")  # objectives of a Pretrainer that are trained here, one or both of them
SUMS = ("loss", "right", "count")  # of each task: summed loss, right guesses, masked slots or sentence pairs


def columns(tasks=TASKS):
    """Returns the names of the figures of a step: the SUMS of each task (C of them), the tokens, the gradient's norm.

    >>> columns(["masked_lm"])
    ('masked_lm_loss', 'masked_lm_right', 'masked_lm_count', 'tokens', 'gradient_norm')
    """
    return (*(f"{task}_{sum}" for task in tasks for sum in SUMS), "tokens", "gradient_norm")


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
