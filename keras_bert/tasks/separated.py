r"""Rows of named cells: TSV, unquoted as GLUE ships it, and CSV as spreadsheets write it (keras_bert/cells.py).

In TSV a tab ends a cell and a quote is a quote.
"""

import itertools

from keras_bert.cells import SEPARATORS, csv_rows
from keras_bert.errors import UserError, shorten
from keras_bert.files import read_lines

_FLAGS = {"0", "1", "0.0", "1.0", "true", "false"}


def read_tsv(path, wanted, label_column):
    """Yields (line number, {column: cell}) of an unquoted TSV."""
    lines = enumerate(read_lines(path), 1)
    rows = ((number, line.split("\t")) for number, line in lines if line.strip())
    return _named_cells(path, rows, wanted, label_column)


def read_csv(path, wanted, label_column):
    """Yields (line number, {column: cell}) of a CSV; of a row over several lines the last one's number."""
    return _named_cells(path, csv_rows(path, wanted), wanted, label_column)


def _named_cells(path, rows, wanted, label_column):
    """Yields (line number, {column: cell}) from rows of cells, the first of which is the header."""
    _, header = next(rows, (0, None))
    if header is None:
        raise UserError(f"{path} is empty; a first line that names the columns {', '.join(wanted)} was expected.")
    header = [name.strip() for name in header]
    first = next(rows, None)
    check_columns(path, header, wanted, label_column, () if first is None else first[1])
    places = {name: header.index(name) for name in wanted}
    for number, row in rows if first is None else itertools.chain([first], rows):
        if len(row) < len(header) or any(cell.strip() for cell in row[len(header) :]):
            remedy = "fill in the missing" if len(row) < len(header) else _too_many(path, row, header)
            raise UserError(
                f"{path}, line {number}: {len(row)} columns, where the first line names {len(header)}; {remedy}."
            )
        yield number, {name: row[place].strip() for name, place in places.items()}


def _too_many(path, row, header):
    """Says what to do about a row with more cells than the header has."""
    if len(row) == len(header) + 1 and row[0].strip(' "').isdigit():
        return "if the first is a row number, as R writes it, name its column too or leave it out (row.names=FALSE)"
    if str(path).lower().endswith(".tsv"):
        return "a text with a tab in it needs quotes, and so a CSV"
    return "a text with the separator in it needs quotes"


def check_columns(path, present, wanted, label_column=None, first=()):
    """Raises a UserError if a wanted column is not there, or is there twice.

    Args:
        path: the table.
        present: the names of its columns.
        wanted: those to be read.
        label_column: the one with the label, or several, or None.
        first: the cells of the first row.
    """
    present = list(present)
    for name in wanted:
        if name not in present:
            remedy = _remedy(present, wanted, first if name == label_column else ())
            raise UserError(f"{path} has no column {name!r}; its columns are {shorten(map(repr, present))}; {remedy}.")
        if present.count(name) > 1:
            raise UserError(f"{path} has {present.count(name)} columns called {name!r}; rename all but one.")


def _remedy(present, wanted, first):
    """Says what to do about a column that is missing; `first` is empty if it is not that of the label."""
    flags = [name for name, cell in zip(present, first, strict=False) if name not in wanted and str(cell) in _FLAGS]
    if len(flags) > 1:
        return f"if each of them is a label, 0 or 1, give --multi_label --label_column={','.join(flags)}"
    if all(len(name) > 1 and name[0] == name[-1] == '"' for name in present):
        return "a TSV has no quotes: call the file .csv, which may have tabs between its cells"
    if len(present) == 1 and "," in present[0]:
        return "if commas part them, call the file .csv"
    if len(present) == 1 and any(separator in present[0] for separator in SEPARATORS):
        return "if another separator than the tab parts them, call the file .csv"
    return "name yours (text_column, pair_column, label_column), or add a first line that names them"
