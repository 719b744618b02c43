r"""A user's table: TSV, CSV or JSONL with named columns, plain or .gz/.xz/.bz2.

TSV is unquoted, as GLUE ships it: a tab ends a cell and a quote is a quote. CSV quotes as the csv module
and spreadsheets do (tasks/separated.py has both). JSONL has one object a line.
"""

import json
import math
from collections import Counter
from pathlib import Path

from keras_bert.cells import SURROGATES, note_quotes
from keras_bert.errors import UserError, note, shorten
from keras_bert.files import OPENERS, read_lines, require_file
from keras_bert.outputs import atomic_path
from keras_bert.tasks.separated import check_columns, read_csv, read_tsv
from keras_bert.tasks.spellings import by_value, value_of


def read_class(cell):
    """Returns the class that a cell of labels names, or raises a ValueError that says what is wrong with the cell."""
    if isinstance(cell, list):
        raise ValueError(f"the label is the list {cell!r:.60}; one class was expected, multi_label is for several.")
    if not cell:
        raise ValueError("the label is empty; fill it in, or remove the row.")
    if cell[0] in "[{" and is_json(cell):
        raise ValueError(f"the label is {cell!r:.60}; one class was expected, multi_label is for a list of several.")
    return cell


def is_json(cell):
    """Says whether a cell is JSON.

    >>> is_json('["a", 1]'), is_json("[joy]")
    (True, False)
    """
    try:
        json.loads(cell)
    except (ValueError, RecursionError):
        return False
    return True


def read_table(
    path,
    *,
    text_column="text",
    pair_column=None,
    label_column="label",
    id_column=None,
    classes=None,
    read_label=read_class,
):
    r"""Reads texts, the second texts of pairs, labels and what identifies the rows.

    Args:
        path: a file whose name ends in .tsv, .csv or .jsonl, and then perhaps .gz, .xz or .bz2. The first
            row of TSV and CSV names the columns. Blank lines are passed over.
        text_column: the column of the text.
        pair_column: the column of the second text; None for single texts.
        label_column: the column of the label; None to read no labels. A list names a column a label, which
            holds 1 where it is there and else 0.
        id_column: a column to keep beside the predictions; None for none.
        classes: the labels that may occur; None for any. A number, or true and false, may be written in
            another way than they write it.
        read_label: callable(cell) -> label: a str, a tuple of str, or a number, see classify/labels.py. The cell is a
            str, or a list in JSONL.

    Returns:
        texts, pairs, labels, ids: lists of one length; pairs, labels and ids are None without their column.

    Raises:
        UserError: no such file or kind of file, not UTF-8, no row, a column that is not there, a row with
            too few or too many cells, no label or one outside of `classes`.

    Warns:
        UserNote: an id that several rows have, cells that are separated or quoted in another way than the name says.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "t.tsv")
        ...     _ = path.write_text("text\tlabel\na fine day\tgood\nrain\tbad\n")
        ...     read_table(path)
        (['a fine day', 'rain'], None, ['good', 'bad'], None)
    """
    path = require_file(path, what="The table")
    label_columns = label_column if isinstance(label_column, (list, tuple)) else [label_column]
    columns = [text_column, pair_column, id_column]
    wanted = list(dict.fromkeys(name for name in (*columns, *label_columns) if name is not None))
    kind = _kind(path)
    if label_columns is label_column and classes is not None:
        _check_label_columns(path, label_columns, classes)
    lists = {name: [] for name in columns if name is not None}
    labels, known = [], by_value(classes or ())
    for number, cells in READERS[kind](path, wanted, label_column):
        for name in lists:
            lists[name].append(cells[name])
        if label_columns is label_column:
            labels.append(tuple(sorted(n for n in label_columns if _read_flag(path, number, n, cells[n]))))
        elif label_column is not None:
            labels.append(_read_label(path, number, cells[label_column], read_label, classes, known))
    if not lists[text_column]:
        raise UserError(f"{path} has no rows; a table with the columns {', '.join(wanted)} was expected.")
    texts, pairs, ids = (None if name is None else lists[name] for name in columns)
    if kind == ".tsv":
        note_quotes(path, texts)
    if ids is not None:
        _note_repeated(path, id_column, ids)
    return texts, pairs, None if label_column is None else labels, ids


def is_table(path):
    """Says whether the name of a file is that of a table.

    >>> is_table("a.tsv.gz"), is_table("a.txt")
    (True, False)
    """
    return _suffix(Path(path)) in READERS


def write_table(path, columns, *, separator=","):
    """Writes columns as .tsv or .jsonl, by the file's name, whole or not at all.

    JSONL has an object a row. In TSV a dict is a column for each of its keys ("probability of good"), a list one
    string with a separator between its entries, and a float has six decimals.

    Args:
        path: the file.
        columns: {name: list of str, float, list of str or dict of floats}, all of one length. A dict stands under
            a plural ("probabilities"), whose singular names the TSV's columns.
        separator: between a list's entries.

    Raises:
        UserError: another ending of the name.
    """
    check_writable(path)
    if _suffix(Path(path)) == ".tsv":
        return write_tsv(path, dict(_flat_columns(columns, separator)))
    lines = (json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in _rows(columns))
    with atomic_path(path) as temporary:
        temporary.write_bytes("".join(f"{line}\n" for line in lines).encode())


def check_writable(path, *, what="The predictions"):
    """Raises a UserError if `write_table` does not know what to write by a file's name."""
    if Path(path).suffix.lower() not in WRITABLE:
        raise UserError(f"{what}: {path} must end in {' or '.join(WRITABLE)}; rename it.")


def write_tsv(path, columns):
    """Writes columns as an unquoted TSV, whole or not at all; white space inside a cell becomes single spaces.

    Args:
        path: the file.
        columns: {name: list of str}, all of one length.
    """
    rows = [columns, *_rows(columns)]
    lines = ("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)
    with atomic_path(path) as temporary:
        temporary.write_bytes("".join(lines).encode())


def _rows(columns):
    return zip(*columns.values(), strict=True)


def _flat_columns(columns, separator):
    """Yields (name, list of str) of the columns of a TSV."""
    for name, values in columns.items():
        first = values[0] if values else ""
        if isinstance(first, dict):
            singular = name.removesuffix("ies") + "y"
            for key in first:
                yield f"{singular} of {key}", [f"{value[key]:.6f}" for value in values]
        elif isinstance(first, list):
            yield name, [separator.join(value) for value in values]
        else:
            yield name, [f"{value:.6f}" if isinstance(value, float) else value for value in values]


def _suffix(path):
    suffixes = [suffix for suffix in path.suffixes if suffix not in OPENERS]
    return suffixes[-1].lower() if suffixes else ""


def _kind(path):
    kind = _suffix(path)
    if kind not in READERS:
        raise UserError(f"{path}: the name of a table ends in {', '.join(READERS)}; convert it, or rename it.")
    return kind


def _read_label(path, number, cell, read_label, classes, known):
    """Returns the label of a cell, or raises a UserError that names the line; `known` are the classes by value."""
    try:
        label = read_label(cell)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}") from error
    if classes is None:
        return label
    names = []
    for name in label if isinstance(label, tuple) else (label,):
        names.append(name if name in classes else known.get(value_of(name)))
        if names[-1] is None:
            raise UserError(
                f"{path}, line {number}: the label {name!r} is not one of the training set's: {shorten(classes)}; "
                "correct it, or add training examples of it."
            )
    return tuple(sorted(set(names))) if isinstance(label, tuple) else names[0]


def _check_label_columns(path, columns, classes):
    """Raises a UserError if a column stands for a label that is not one of the classes."""
    for name in columns:
        if name not in classes:
            raise UserError(f"{path}: the column {name!r} is not one of the labels {shorten(classes)}; leave it out.")


def _read_flag(path, number, name, cell):
    """Returns whether the label of a column is there."""
    flag = value_of(cell)
    if flag not in (0, 1):
        raise UserError(
            f"{path}, line {number}: the column {name!r} holds {cell!r:.60}, where a label's column holds 0 or 1; "
            "correct it, or remove the row."
        )
    return flag == 1


def _note_repeated(path, column, ids):
    """Notes ids that several rows have."""
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        note(
            f"{path}: several rows have the same {column}: {shorten(map(repr, repeated), most=5)}; each is answered, "
            "in the order of the rows."
        )


def _read_jsonl(path, wanted, label_column):
    """Yields (line number, {column: cell}) of a file with one JSON object a line.

    Numbers are read as their text; a label may be a list and stays one.
    """
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON ({error}); one object a line was expected.") from error
        if not isinstance(row, dict):
            hint = "; write one object a line (jq -c '.[]')" if isinstance(row, list) else ""
            raise UserError(
                f"{path}, line {number}: {line.strip()[:60]!r} is not a JSON object; one a line was expected{hint}."
            )
        if number == 1:
            check_columns(path, row, wanted, label_column, [json.dumps(value) for value in row.values()])
        for name in wanted:
            value = row.get(name)
            if not isinstance(value, (str, int, float, *([list] if name == label_column else []))):
                state = f"is {json.dumps(value)[:60]}" if name in row else "is missing"
                raise UserError(f"{path}, line {number}: {name!r} {state}; a string or a number was expected.")
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(
                    f"{path}, line {number}: {name!r} is {json.dumps(value)}, not a value; fill it in, or remove "
                    "the row."
                )
        yield number, {name: _as_cell(row[name]) for name in wanted}


def _as_cell(value):
    if isinstance(value, list):
        return [_whole(part) if isinstance(part, str) else part for part in value]
    return _whole(value.strip()) if isinstance(value, str) else json.dumps(value)  # true and 1.5 as in the file


def _whole(text):
    """Returns a text without halves of characters, which can be neither printed nor written."""
    return SURROGATES.sub("\ufffd", text)


READERS = {".tsv": read_tsv, ".csv": read_csv, ".jsonl": _read_jsonl}
WRITABLE = (".tsv", ".jsonl")
