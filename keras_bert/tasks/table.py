r"""A user's table: TSV, CSV or JSONL with named columns, plain or .gz/.xz/.bz2.

TSV is unquoted, as GLUE ships it: a tab ends a cell and a quote is a quote. CSV quotes as the csv module
and spreadsheets do. JSONL has one object a line.
"""

import csv
import json

from keras_bert.errors import UserError
from keras_bert.files import OPENERS, atomic_path, read_lines, require_file


def read_table(path, *, text_column="text", pair_column=None, label_column="label", classes=None):
    r"""Reads texts, the second texts of pairs, and labels.

    Args:
        path: a file whose name ends in .tsv, .csv or .jsonl, and then perhaps .gz, .xz or .bz2. The first
            row of TSV and CSV names the columns. Blank lines are passed over.
        text_column: the column of the text.
        pair_column: the column of the second text; None for single texts.
        label_column: the column of the label; None where there is none to read.
        classes: the labels that may occur; None for any.

    Returns:
        texts, pairs, labels: lists of str of one length; pairs is None without `pair_column`, and labels
        without `label_column`.

    Raises:
        UserError: no such file or kind of file, not UTF-8, no row, a column that is not there, a row with
            too few or too many cells, no label or one outside of `classes`.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "t.tsv")
        ...     _ = path.write_text("text\tlabel\na fine day\tgood\nrain\tbad\n")
        ...     read_table(path)
        (['a fine day', 'rain'], None, ['good', 'bad'])
    """
    path = require_file(path, what="The table")
    columns = [text_column, pair_column, label_column]
    wanted = [name for name in columns if name is not None]
    read_rows = READERS[_kind(path)]
    lists = {name: [] for name in wanted}
    for number, cells in read_rows(path, wanted):
        for name in wanted:
            lists[name].append(cells[name])
        if label_column is not None:
            _check_label(path, number, cells[label_column], classes)
    if not lists[text_column]:
        raise UserError(f"{path} has no rows; a table with the columns {', '.join(wanted)} was expected.")
    return tuple(None if name is None else lists[name] for name in columns)


def class_names(labels):
    """Returns the distinct labels in order: by value where all are whole numbers, else by letter.

    >>> class_names(["b", "a", "b"]), class_names(["10", "9", "10"])
    (['a', 'b'], ['9', '10'])
    """
    names = set(labels)
    try:
        return sorted(names, key=lambda name: (int(name), name))
    except ValueError:
        return sorted(names)


def write_tsv(path, columns):
    """Writes columns as an unquoted TSV, whole or not at all; white space inside a cell becomes single spaces.

    Args:
        path: the file.
        columns: {name: list of str}, all of one length.
    """
    rows = [columns, *zip(*columns.values(), strict=True)]
    lines = ("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)
    with atomic_path(path) as temporary:
        temporary.write_bytes("".join(lines).encode())


def _kind(path):
    suffixes = [suffix for suffix in path.suffixes if suffix not in OPENERS]
    kind = suffixes[-1].lower() if suffixes else ""
    if kind not in READERS:
        raise UserError(f"{path}: the name of a table ends in {', '.join(READERS)}; convert it, or rename it.")
    return kind


def _check_label(path, number, label, classes):
    if not label:
        raise UserError(f"{path}, line {number}: the label is empty; fill it in, or remove the row.")
    if classes is not None and label not in classes:
        raise UserError(
            f"{path}, line {number}: the label {label!r} is none of the training set's: {shorten(classes)}; "
            "correct it, or add training examples of it."
        )


def shorten(names, most=20):
    """Writes a list of names, cut after `most`.

    >>> shorten("abcd", most=2)
    'a, b and 2 more'
    """
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _check_columns(path, present, wanted):
    for name in wanted:
        if name not in present:
            raise UserError(
                f"{path} has no column {name!r}; its columns are {shorten(map(repr, present))}. "
                "Name the right one, or add a first line that names the columns."
            )
        if list(present).count(name) > 1:
            raise UserError(f"{path} has {list(present).count(name)} columns called {name!r}; rename all but one.")


def _read_tsv(path, wanted):
    """Yields (line number, {column: cell}) of an unquoted TSV."""
    lines = enumerate(read_lines(path), 1)
    return _named_cells(path, ((number, line.split("\t")) for number, line in lines if line.strip()), wanted)


def _read_csv(path, wanted):
    """Yields (line number, {column: cell}) of a CSV; of a row over several lines the last one's number."""
    reader = csv.reader((f"{line}\n" for line in read_lines(path)), strict=True)

    def rows():
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num}: no CSV ({error}); quote it as the rest is.") from error

    return _named_cells(path, rows(), wanted)


def _named_cells(path, rows, wanted):
    """Yields (line number, {column: cell}) from rows of cells, the first of which is the header."""
    _, header = next(rows, (0, None))
    if header is None:
        raise UserError(f"{path} is empty; a first line that names the columns {', '.join(wanted)} was expected.")
    header = [name.strip() for name in header]
    _check_columns(path, header, wanted)
    places = {name: header.index(name) for name in wanted}
    for number, row in rows:
        if len(row) < len(header) or any(cell.strip() for cell in row[len(header) :]):
            remedy = "fill in the missing" if len(row) < len(header) else "a text with the separator in it wants CSV"
            raise UserError(
                f"{path}, line {number}: {len(row)} columns, where the first line names {len(header)}; {remedy}."
            )
        yield number, {name: row[place].strip() for name, place in places.items()}


def _read_jsonl(path, wanted):
    """Yields (line number, {column: cell}) of a file with one JSON object a line; numbers are read as their text."""
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: no JSON ({error}); one object a line was expected.") from error
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: {line.strip()[:60]!r} is no JSON object; one a line was expected.")
        if number == 1:
            _check_columns(path, row, wanted)
        for name in wanted:
            if not isinstance(row.get(name), (str, int, float)):
                state = "is no text" if name in row else "is missing"
                raise UserError(f"{path}, line {number}: {name!r} {state}; a string or a number was expected.")
        # json.dumps writes true and 1.5 as they stood in the file
        yield number, {n: row[n].strip() if isinstance(row[n], str) else json.dumps(row[n]) for n in wanted}


READERS = {".tsv": _read_tsv, ".csv": _read_csv, ".jsonl": _read_jsonl}
