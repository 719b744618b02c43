r"""Rows of cells: TSV, unquoted as GLUE ships it, and CSV as the csv module and spreadsheets write it.

In TSV a tab ends a cell and a quote is a quote. The cells of a CSV may be separated by semicolons, tabs or bars as
well, if the first line then names the columns; a blank before a quote is no part of the cell.
"""

import csv
import itertools

from keras_bert.errors import UserError, note, shorten
from keras_bert.files import MAX_LINE_BYTES, read_lines

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # of a CSV, beside the comma
_FLAGS = {"0", "1", "0.0", "1.0", "true", "false"}


def read_tsv(path, wanted, label_column):
    """Yields (line number, {column: cell}) of an unquoted TSV."""
    lines = enumerate(read_lines(path), 1)
    rows = ((number, line.split("\t")) for number, line in lines if line.strip())
    return _named_cells(path, rows, wanted, label_column)


def read_csv(path, wanted, label_column):
    """Yields (line number, {column: cell}) of a CSV; of a row over several lines the last one's number."""
    return _named_cells(path, _csv_rows(path, wanted), wanted, label_column)


def _csv_rows(path, wanted):
    lines = read_lines(path)
    first = next(lines, "")
    separator = _separator(path, first, wanted)
    lines = (f"{line}\n" for line in itertools.chain([first], lines))
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t", strict=True)
    while True:
        begin = reader.line_num + 1
        limit = csv.field_size_limit(MAX_LINE_BYTES)  # the module's, 131,072, is less than a long text
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise UserError(f"{path}, line {begin}: no CSV ({error}); quote it as the rest is.") from error
        finally:
            csv.field_size_limit(limit)
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield reader.line_num, row


def _separator(path, first, wanted):
    """Returns what separates the cells of a CSV: what makes most of the wanted columns of its first line.

    Of those that make as many it is what makes the most columns, and of these the comma.
    """

    def fits(separator):
        try:
            cells = next(csv.reader([first], delimiter=separator, skipinitialspace=True), ())
        except csv.Error:
            return 0, 0
        header = {cell.strip() for cell in cells}
        return len(header & set(wanted)), len(header)

    separator = max((",", *SEPARATORS), key=fits)
    if separator != ",":
        note(f"{path}: its cells are separated by {SEPARATORS[separator]}, and read so.")
    return separator


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
            remedy = "fill in the missing" if len(row) < len(header) else "a text with the separator in it wants CSV"
            raise UserError(
                f"{path}, line {number}: {len(row)} columns, where the first line names {len(header)}; {remedy}."
            )
        yield number, {name: row[place].strip() for name, place in places.items()}


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


def note_quotes(path, texts):
    """Notes that the texts of a TSV are quoted as in a CSV: all of them, or one with quotes doubled inside."""
    inside = [text[1:-1] for text in texts if len(text) > 1 and text[0] == text[-1] == '"']
    inside = [text for text in inside if '"' not in text.replace('""', "")]
    if len(inside) == len(texts) > 1 or any('""' in text for text in inside):
        note(
            f"{path}: {len(inside)} of {len(texts)} texts are quoted as in a CSV, and a TSV has no quotes, so they are "
            "part of the text; to have them read as quotes call the file .csv, which may have tabs between its cells."
        )
