"""The figures of a step as sums, which add up over devices, micro-batches and steps, and what they mean.

A model's tasks are {name: what its mean loss counts in the total}, its `task_weights`. C is the number of a model's
sums: three for each of its tasks.
"""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable

import numpy as np

SUMS = ("loss", "right", "count")  # of each task: summed loss, right guesses, how many there were to guess


@dataclasses.dataclass(frozen=True)
class Task:
    """A row of what models are pre-trained for.

    Attributes:
        title: what the progress bar and the curves call it.
        classes: config -> how many answers there are to choose from.
        drawn: the figures of it that have a panel among the curves.
        of_records: whether records may be without its labels, and say what they are about.
    """

    title: str
    classes: Callable
    drawn: tuple[str, ...] = ("loss", "accuracy")
    of_records: bool = False

    def guess(self, config):
        """Returns the loss of a uniform guess."""
        return math.log(self.classes(config))


TASKS = {
    "masked_lm": Task("masked-LM", lambda config: config.vocab_size),
    "next_sentence": Task("sentence", lambda _: 2, drawn=("accuracy",), of_records=True),
    "replaced_tokens": Task("replaced-token", lambda _: 2),
}
BERT_TASKS = {"masked_lm": 1.0, "next_sentence": 1.0}


def columns(tasks=BERT_TASKS):
    """Returns the names of the figures of a step: the SUMS of each task (C of them), the tokens, the gradient's norm.

    >>> columns(["masked_lm"])
    ('masked_lm_loss', 'masked_lm_right', 'masked_lm_count', 'tokens', 'gradient_norm')
    """
    return (*(f"{task}_{sum}" for task in tasks for sum in SUMS), "tokens", "gradient_norm")


def total_loss(sums, counts, tasks):
    """Returns the loss of the global batch, or a share of it: the weighted sum of the tasks' means.

    Args:
        sums: (C,), the SUMS of each task over the batch or over a share of it.
        counts: one a task, that of the global batch.
        tasks: {task: its weight}.
    """
    means = (weight * (sums[len(SUMS) * i] / counts[i]) for i, weight in enumerate(tasks.values()))
    return functools.reduce(operator.add, means)


def metrics_from_sums(sums, tasks=BERT_TASKS):
    """Returns {metric: float} from the (C,) sums of the tasks, added up over any number of batches.

    Where no next-sentence label weighs anything, as in records without a sentence task, that task's metrics are
    left out and it adds nothing to the loss.

    >>> metrics_from_sums([6.0, 1.0, 2.0, 0.5, 1.0, 1.0])["loss"]
    3.5
    >>> metrics_from_sums([6.0, 1.0, 2.0, 0.0, 0.0, 0.0])
    {'masked_lm_loss': 3.0, 'masked_lm_accuracy': 0.5, 'loss': 3.0}
    """
    metrics, total = {}, 0.0
    rows = np.reshape(sums, (len(tasks), len(SUMS))).tolist()
    for (task, weight), (loss, right, count) in zip(tasks.items(), rows, strict=True):
        if count or not TASKS[task].of_records:
            metrics |= {f"{task}_loss": loss / max(count, 1.0), f"{task}_accuracy": right / max(count, 1.0)}
            total += weight * metrics[f"{task}_loss"]
    return {**metrics, "loss": total}


def uniform_guess(tasks, config):
    """Returns the loss of a model that guesses at random."""
    return sum(weight * TASKS[task].guess(config) for task, weight in tasks.items())
