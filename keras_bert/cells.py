"""The rows of a CSV as spreadsheets and programs write it: cells apart by commas, semicolons, tabs or bars.

The first row names the columns, and shows by them what the separator is. Excel may write it in a line of its own before
that, `sep=;`. A blank before a quote is not a part of the cell.
"""

import csv
import itertools
import re

from keras_bert.errors import UserError, note
from keras_bert.files import MAX_LINE_BYTES, read_lines

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # beside the comma
SURROGATES = re.compile("[\ud800-\udfff]")  # JSON may hold half a character as \ud83d, which no file can
QUOTED_ROWS = 100  # of a TSV, looked at for quotes
_NAMED = re.compile(r'"?sep=([^\w"])"?[\s,;]*', re.IGNORECASE)


def csv_rows(path, wanted, *, progress=None):
    """Yields (line number, list of cells) of the rows of a CSV, the header first; blank rows are skipped.

    Args:
        path: the file, plain or packed as .gz, .xz or .bz2.
        wanted: the names of the columns to be read, by which the separator is chosen.
        progress: see `keras_bert.files.read_blocks`.

    Yields:
        The number of a row's last line, and its cells as they stand.

    Raises:
        UserError: the quotes are not those of a CSV.

    Warns:
        UserNote: another separator than the comma.
    """
    skipped, first, separator, rest = _begin(path, wanted, progress)
    if separator != ",":
        note(f"{path}: its cells are separated by {SEPARATORS.get(separator, repr(separator))}, and read so.")
    reader = csv.reader(
        (f"{line}\n" for line in itertools.chain([first], rest)),
        delimiter=separator,
        skipinitialspace=separator != "\t",
        strict=True,
    )
    while True:
        begin = skipped + reader.line_num + 1
        limit = csv.field_size_limit(MAX_LINE_BYTES)  # the module's, 131,072, is less than a long text
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise UserError(
                f"{path}, line {begin}: not CSV ({error}); close the quotes of each cell, and write a quote inside of "
                'them twice ("").'
            ) from error
        finally:
            csv.field_size_limit(limit)
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield skipped + reader.line_num, row


def csv_header(path, wanted):
    """Returns the names of the columns of a CSV; see `csv_rows`."""
    _, first, separator, _ = _begin(path, wanted, None)
    return _cells(first, separator)


def _begin(path, wanted, progress):
    """Returns (the number of lines before the header, the header, the separator, the lines behind it)."""
    lines = enumerate(read_lines(path, progress=progress), 1)
    number, first = next(((number, line) for number, line in lines if line.strip()), (1, ""))
    named = _NAMED.fullmatch(first)
    if named:
        number, first = next(lines, (number + 1, ""))
    return number - 1, first, named[1] if named else _separator(first, wanted), (line for _, line in lines)


def _separator(first, wanted):
    """Returns what separates the cells: what makes most of the wanted columns of the first line.

    Of those that make as many it is what makes the most columns, and of these the comma.
    """

    def fits(separator):
        names = set(_cells(first, separator))
        return len(names & set(wanted)), len(names)

    return max((",", *SEPARATORS), key=fits)


def _cells(line, separator):
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), ())]
    except csv.Error:
        return []


def note_quotes(path, texts):
    """Notes that the texts of a TSV are quoted as in a CSV: all of them, or one with quotes doubled inside."""
    inside = [text[1:-1] for text in texts if len(text) > 1 and text[0] == text[-1] == '"']
    inside = [text for text in inside if '"' not in text.replace('""', "")]
    if len(inside) == len(texts) > 1 or any('""' in text for text in inside):
        note(
            f"{path}: {len(inside)} of {len(texts)} texts are quoted as in a CSV, and a TSV has no quotes, so they are "
            "part of the text; to have them read as quotes call the file .csv, which may have tabs between its cells."
        )
