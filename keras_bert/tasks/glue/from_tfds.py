"""GLUE's tasks from tensorflow_datasets: the same examples as from the TSV files, in the same order.

N examples.
"""

import numpy as np

from keras_bert.errors import UserError
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.glue.rows import find_table


def read_tfds(task, data_dir, split, *, labels=None, language=None):
    """Reads one split of a task with tensorflow_datasets, which downloads what is not there.

    Args:
        task: a GlueTask.
        data_dir: tensorflow_datasets' own directory; None for its default.
        split, labels, language: see `files.read_files`.

    Returns:
        Examples; labels int32 (N,), float32 (N,) of a regression, or None.

    Raises:
        UserError: there is no such split, or it can be neither found nor fetched, or it has no labels.
    """
    name, source = task.tfds.name, _source_split(task, split)
    texts, pairs, values, order = [], [], [], []
    for example in _load(name, source, data_dir):
        first, *second = (_text(example[field], language or task.language) for field in task.tfds.texts)
        texts.append(first)
        pairs += second
        values.append(example["label"])
        order.append(example.get("idx", len(order)))  # XNLI has none, and keeps its order
    if not texts:
        raise UserError(f"The split {source} of {name} in tensorflow_datasets is empty; prepare the data set again.")
    order = np.argsort(order, kind="stable")
    values = None if labels is False else _as_labels(task, np.array(values)[order])
    if labels and values is None:
        raise UserError(
            f"The split {source} of {name} in tensorflow_datasets has no labels, so nothing can be measured on it; "
            f"{task.name} is measured on its dev set."
        )
    return Examples([texts[i] for i in order], [pairs[i] for i in order] if task.pair else None, values)


def has_split(task, split):
    """Says whether tensorflow_datasets has a split of the task."""
    return split in task.tfds.splits


def _source_split(task, split):
    find_table(task, split)  # of the splits that the task has
    if split not in task.tfds.splits:
        raise UserError(
            f"tensorflow_datasets has no {split} set of {task.name}, but {', '.join(task.tfds.splits)}; give the "
            "directory of its files instead."
        )
    return task.tfds.splits[split]


def _load(name, split, data_dir):
    """Yields a split's examples, {feature: value}."""
    import tensorflow_datasets as tfds

    try:
        data_dir = None if data_dir is None else str(data_dir)
        yield from tfds.as_numpy(tfds.load(name, split=split, data_dir=data_dir, shuffle_files=False))
    except OSError as error:  # no network, no such host, no room
        raise UserError(
            f"tensorflow_datasets can neither find nor fetch {name} ({str(error).strip().splitlines()[0][:200]}); "
            "prepare it where there is a network, and name its directory by --data_dir."
        ) from error


def _text(value, language):
    """Returns a feature as str; of translations, those that TFDS keeps by language or as two lists, the language's."""
    if isinstance(value, dict):
        if "translation" in value:
            codes = [code.decode() for code in value["language"]]
            value = dict(zip(codes, value["translation"], strict=True))
        if language not in value:
            raise UserError(f"The language {language!r} is not there; choose one of {', '.join(sorted(value))}.")
        value = value[language]
    return value.decode().strip()


def _as_labels(task, values):
    """Returns TFDS' labels as ours, or None where all are -1, as in the test sets whose answers are kept."""
    if (values == -1).all():
        return None
    if task.regression:
        return values.astype(np.float32)
    return np.array([task.labels.index(name) for name in task.tfds.labels or task.labels], np.int32)[values]
