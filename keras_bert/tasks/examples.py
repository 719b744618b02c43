"""The tables of one classifier: classes found in the training set, labels as numbers. Imports no TensorFlow.

N examples.
"""

import dataclasses

import numpy as np

from keras_bert.errors import UserError
from keras_bert.tasks.table import class_names, read_table


@dataclasses.dataclass(frozen=True)
class Examples:
    """Rows of a table: texts, second texts or None, and labels as numbers (N,) or None."""

    texts: list[str]
    pairs: list[str] | None = None
    labels: np.ndarray | None = None

    def __len__(self):
        return len(self.texts)


def read_examples(train_file, eval_file, predict_file=None, *, text_column, pair_column, label_column):
    """Reads the tables; the classes are the training set's.

    Args:
        train_file, eval_file: tables with labels, as `read_table` takes them.
        predict_file: a table without, or None.
        text_column, pair_column, label_column: the columns' names; pair_column may be None.

    Returns:
        (classes, train, evaluation, prediction): a list of str and three Examples, the last perhaps None.

    Raises:
        UserError: what `read_table` raises, or a single class.
    """
    columns = {"text_column": text_column, "pair_column": pair_column}
    texts, pairs, labels = read_table(train_file, **columns, label_column=label_column)
    classes = class_names(labels)
    if len(classes) < 2:
        raise UserError(
            f"{train_file}: all {len(texts)} rows have the label {classes[0]!r}; a classifier needs two or more."
        )
    index = {name: number for number, name in enumerate(classes)}

    def numbers(labels):
        return np.array([index[label] for label in labels], np.int32)

    train = Examples(texts, pairs, numbers(labels))
    texts, pairs, labels = read_table(eval_file, **columns, label_column=label_column, classes=classes)
    evaluation = Examples(texts, pairs, numbers(labels))
    if predict_file is None:
        return classes, train, evaluation, None
    texts, pairs, _ = read_table(predict_file, **columns, label_column=None)
    return classes, train, evaluation, Examples(texts, pairs)
