"""GLUE's TSV files as they are shipped: unquoted, with or without a header, in a folder a task.

N examples. A quote is a quote, a BOM is dropped, blank lines are passed over. Imports no TensorFlow.
"""

from pathlib import Path

import numpy as np

from keras_bert.errors import UserError
from keras_bert.files import read_lines
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.glue.rows import find_table, plain
from keras_bert.tasks.table import shorten


def find_file(task, data_dir, split, *, language=None):
    """Returns the path of a split's file.

    Args:
        task: a GlueTask.
        data_dir: the task's directory, or one with such directories ("glue_data" with "MRPC" in it).
        split: a split of the task.
        language: of a task in several.

    Raises:
        UserError: the task has no such split, there is no such directory, or the file is not there.
    """
    file = find_table(task, split).file.format(language=language or task.language)
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        state = "is a file" if data_dir.exists() else "does not exist"
        raise UserError(f"--data_dir: {data_dir} {state}; the directory of {task.name}'s files was expected.")
    names = {plain(name) for name in (task.name, *task.folders)}
    below = sorted(child for child in data_dir.iterdir() if child.is_dir() and plain(child.name) in names)
    for folder in (data_dir, *below):
        if (folder / file).is_file():
            return folder / file
    places = f"nor has {below[0]}" if below else f"nor is there a directory {task.name} in it"
    raise UserError(f"--data_dir: {data_dir} has no {file}, {places}; {task.name}'s {split} set is read from there.")


def has_file(task, data_dir, split, *, language=None):
    """Says whether a split's file is there."""
    try:
        find_file(task, data_dir, split, language=language)
    except UserError:
        return False
    return True


def read_files(task, data_dir, split, *, labels=None, language=None, log=None):
    """Reads one split of a task.

    Args:
        task: a GlueTask.
        data_dir, split, language: see `find_file`.
        labels: True for labels that must be there, False to leave them unread, None to take them where they are.
        log: callable(line), told of lines that were passed over.

    Returns:
        Examples; labels int32 (N,), float32 (N,) of a regression, or None.

    Raises:
        UserError: no such file, no rows, a column that is not there, a line with too few columns, or a label that is
            none of the task's.
    """
    path, table = find_file(task, data_dir, split, language=language), find_table(task, split)
    lines = ((number, line.split("\t")) for number, line in enumerate(read_lines(path), 1) if line.strip())
    texts, pairs, values, short = [], [], [], []
    places = label = only = None
    for number, cells in lines:
        if places is None:
            places, label, only = _places(task, table, path, cells, labels)
            least = 1 + max(place for place in (*places, label, only) if place is not None)
            if table.header:
                continue
        if len(cells) < least:
            if not table.passes_over_short:
                raise UserError(
                    f"{path}, line {number}: {len(cells)} columns, where {task.name} needs {least}; fill in the "
                    "missing ones or remove the line."
                )
            short.append(number)
            continue
        if only is not None and cells[only] != (language or task.language):
            continue
        texts.append(cells[places[0]].strip())
        pairs += [cells[place].strip() for place in places[1:]]
        if label is not None:
            values.append(_read_label(task, table, path, number, cells[label].strip()))
    if not texts:
        what = f"no rows in the language {language or task.language!r}" if only is not None else "no rows"
        raise UserError(f"{path} has {what}; examples of {task.name} were expected.")
    if short and log is not None:
        log(f"{path}: lines with too few columns, passed over: {len(short)} ({shorten(map(str, short), most=5)})")
    kind = np.float32 if task.regression else np.int32
    return Examples(texts, pairs if task.pair else None, None if label is None else np.array(values, kind))


def _places(task, table, path, cells, labels):
    """Returns the places of the texts, of the label and of the language in a file whose first line is `cells`."""
    wanted = None if labels is False else table.label
    if wanted is None and labels:
        raise _no_label(task, path)
    header = [name.strip().lower() for name in cells] if table.header else []

    def place(name):
        if name is None or isinstance(name, int):
            return name
        if name.lower() not in header:
            raise UserError(
                f"{path} has no column {name!r}; its first line names {shorten(map(repr, cells))}. "
                f"{task.name}'s own file was expected."
            )
        return header.index(name.lower())

    if isinstance(wanted, str) and wanted.lower() not in header:
        if labels:
            raise _no_label(task, path)
        wanted = None if table.may_lack_label else wanted
    return [place(name) for name in table.texts], place(wanted), place(table.only)


def _no_label(task, path):
    return UserError(
        f"{path} has no column of labels, so nothing can be measured on it; the GLUE server knows the answers: "
        f"write predictions (--do_predict) and submit them. {task.name} is measured on its dev set."
    )


def _read_label(task, table, path, number, label):
    """Returns a label as its number: its place among the task's labels, or its own value for a regression."""
    if task.regression:
        lowest, highest = task.span
        try:
            value = float(label)
        except ValueError:
            value = np.nan
        if not lowest <= value <= highest:
            raise UserError(
                f"{path}, line {number}: the score {label!r} is not a number from {lowest:g} to {highest:g}, as "
                f"{task.name}'s are; correct it or remove the line."
            )
        return value
    label = table.renamed.get(label, label)
    if label not in task.labels:
        raise UserError(
            f"{path}, line {number}: the label {label!r} is not one of {task.name}'s: {', '.join(task.labels)}; "
            "correct it or remove the line."
        )
    return task.labels.index(label)
