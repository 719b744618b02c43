"""The tables of one classifier: classes found in the training set, labels as numbers. Imports no TensorFlow.

N examples, C classes.
"""

import dataclasses
import functools
from collections import Counter

import numpy as np

from keras_bert.errors import UserError, note, shorten
from keras_bert.files import read_lines, require_file
from keras_bert.tasks.classify.kinds import KINDS, kind_of
from keras_bert.tasks.classify.labels import example_weights
from keras_bert.tasks.spellings import note_alike, note_missing, number_of, one_spelling
from keras_bert.tasks.splitting import split_examples
from keras_bert.tasks.table import READERS, is_table, read_table


@dataclasses.dataclass(frozen=True)
class Examples:
    """Rows of a table.

    Attributes:
        texts: list of N str.
        pairs: the second texts, or None.
        labels: int32 (N,), classes; float32 (N, C), 1 for each of several labels that is there; float32 (N,), numbers;
            or None.
        ids: what identifies the rows, or None.
        weights: what each label counts in the loss, float32 in the shape of classes or of several labels; or None.
    """

    texts: list[str]
    pairs: list[str] | None = None
    labels: np.ndarray | None = None
    ids: list[str] | None = None
    weights: np.ndarray | None = None

    def __len__(self):
        return len(self.texts)

    @property
    def kind(self):
        """What the labels are, a key of KINDS (tasks/classify/kinds.py)."""
        return kind_of(self.labels)

    def take(self, rows):
        """Returns the Examples of some rows, by their numbers."""
        texts, pairs, ids = (None if c is None else [c[i] for i in rows] for c in (self.texts, self.pairs, self.ids))
        labels, weights = (None if array is None else array[rows] for array in (self.labels, self.weights))
        return Examples(texts, pairs, labels, ids, weights)


def read_examples(
    train_file,
    eval_file=None,
    predict_file=None,
    *,
    text_column="text",
    pair_column=None,
    label_column="label",
    id_column=None,
    kind="classes",
    label_separator=",",
    class_weights=None,
    eval_share=0.1,
    seed=12345,
):
    """Reads the tables; the classes are the training set's.

    Args:
        train_file, eval_file: tables with labels, as `read_table` takes them. Without an eval_file a share of the
            training set is held out.
        predict_file: a table without, or texts one a line, see `read_inputs`; or None.
        text_column, pair_column, label_column: the columns' names; pair_column may be None. With "multi_label" a list
            of label columns, or their names with commas between them, is a column a label, which holds 0 or 1.
        id_column: a column of predict_file to keep beside the predictions; or None.
        kind: what a label is: "classes" (one of them), "multi_label" (any number of them, with separators between them
            or as a JSON list) or "regression" (a number).
        label_separator: what stands between several labels.
        class_weights: what each class counts in training, see `example_weights`; None for all alike.
        eval_share, seed: of `split_examples`, without an eval_file.

    Returns:
        (classes, train, evaluation, prediction): a list of str, empty for numbers, and three Examples, the last
        perhaps None. Labels that are numbers and equal are one class, however they are written: 0 and 0.0.

    Raises:
        UserError: what `read_table` and `split_examples` raise, labels that are all the same, or no two alike where a
            share is to be held out.

    Warns:
        UserNote: a number that is written in several ways, a label that is a word for a missing value, and classes of
            one row where a share is held out.
    """
    row = KINDS[kind]
    columns = {"text_column": text_column, "pair_column": pair_column}
    label_column = _label_columns(kind, label_column)
    labelled = {**columns, "label_column": label_column, "read_label": _label_reader(kind, label_separator)}
    texts, pairs, labels, _ = read_table(train_file, **labelled)
    if kind != "regression":
        labels = one_spelling(train_file, labels)
        note_alike(train_file, labels)
        note_missing(train_file, labels)
    if len(set(labels)) < 2:
        shown = label_separator.join(labels[0]) if kind == "multi_label" else labels[0]
        raise UserError(
            f"{train_file}: all {len(texts)} rows have the label {shown!r}; a {row.what} needs two or more."
        )
    classes = list(label_column) if isinstance(label_column, (list, tuple)) else row.classes(labels)
    train = Examples(texts, pairs, row.numbers(labels, classes))
    if class_weights is not None and not classes:
        raise UserError("class_weights are for classes, and a regression has none; leave them out.")
    if eval_file is None:
        if kind == "classes":
            _check_lone(train_file, labels)
        train, evaluation = split_examples(train, share=eval_share, seed=seed)
    else:
        texts, pairs, labels, _ = read_table(eval_file, **labelled, classes=classes or None)
        evaluation = Examples(texts, pairs, row.numbers(labels, classes))
    if class_weights is not None:
        train = dataclasses.replace(train, weights=example_weights(train.labels, classes, class_weights))
    prediction = None if predict_file is None else read_inputs(predict_file, **columns, id_column=id_column)
    return classes, train, evaluation, prediction


def read_inputs(
    path,
    *,
    text_column="text",
    pair_column=None,
    id_column=None,
    label_column=None,
    kind="classes",
    classes=(),
    label_separator=",",
):
    """Reads what is to be labelled: a table, as `read_table` takes it, or any other UTF-8 file with one text a line.

    Args:
        path: the file.
        text_column, pair_column, id_column: as in `read_examples`.
        label_column: the column of the true labels, to measure answers against; None leaves labels out.
        kind, label_separator: what a label is, as in `read_examples`.
        classes: the classes' names, in the model's order; empty for numbers.

    Returns:
        Examples.

    Raises:
        UserError: what `read_table` raises, no line, columns asked of lines, or a class that has no label column among
            several.
    """
    if is_table(path):
        label_column = _label_columns(kind, label_column)
        texts, pairs, labels, ids = read_table(
            path,
            text_column=text_column,
            pair_column=pair_column,
            id_column=id_column,
            label_column=label_column,
            classes=classes or None,
            read_label=_label_reader(kind, label_separator),
        )
        if isinstance(label_column, (list, tuple)) and (missing := [c for c in classes if c not in label_column]):
            raise UserError(
                f"{path}: {shorten(missing)} of the model's labels have no column among those named: "
                f"{shorten(label_column)}; name a column for each (label_column)."
            )
        return Examples(texts, pairs, None if labels is None else KINDS[kind].numbers(labels, classes), ids)
    named = pair_column or id_column or label_column
    if named is not None:
        raise UserError(
            f"{path} is read as one text a line, which has no column {named!r}; give a table, whose name ends in "
            f"{', '.join(READERS)}."
        )
    texts = [line.strip() for line in read_lines(require_file(path, what="The texts"))]
    if not texts:
        raise UserError(f"{path} is empty; one text a line was expected.")
    return Examples(texts)


def _label_columns(kind, label_column):
    """Returns the column of labels, or a list of columns, one a label."""
    if isinstance(label_column, str) and kind == "multi_label" and "," in label_column:
        return [name.strip() for name in label_column.split(",") if name.strip()]
    return label_column


def _check_lone(path, labels):
    """Raises a UserError if no class has two rows, so that none can be held out; notes classes of one row."""
    counts = Counter(labels)
    lone = [repr(name) for name, count in counts.items() if count == 1]
    if len(lone) == len(counts):
        numbers = all(number_of(name) is not None for name in counts)
        remedy = "for numbers give --regression" if numbers else "check label_column"
        raise UserError(
            f"{path}: each of its {len(counts)} classes has one row: {shorten(lone, most=5)}; nothing can be held out "
            f"to measure on. Add rows, or give a table to measure on (--eval_file); {remedy}."
        )
    if lone:
        note(f"{path}: {len(lone)} classes have one row, and so are not measured: {shorten(lone, most=5)}.")


def _label_reader(kind, separator):
    """Returns the function of a cell that `read_table` takes as `read_label`."""
    read = KINDS[kind].read
    return functools.partial(read, separator=separator) if kind == "multi_label" else read
