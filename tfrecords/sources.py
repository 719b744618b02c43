"""Where documents come from: text files, JSON lines, tables, data sets of TFDS; each read as text in one layout.

In that layout each line is a paragraph or a sentence, and one blank line stands between two documents. Every reader is
called as read(source, text_field=..., progress=...) and yields the text in pieces; its progress is called as
progress(bytes done, bytes in all), for files as they lie on the disk.
"""

import itertools
import json
import re
from pathlib import Path

from keras_bert.cells import QUOTED_ROWS, SURROGATES, csv_rows, note_quotes
from keras_bert.errors import UserError
from keras_bert.files import read_blocks, read_lines

BLANK_LINES = re.compile(r"\n\s*\n")
# How JSON files begin that hold one value, and what makes JSON lines of them.
ONE_VALUE = ((re.compile(r"\s*\[\s*(\{|$)"), "jq -c '.[]'"), (re.compile(r"\s*\{\s*$"), "jq -c ."))
TFDS_MARKERS = re.compile(r"_START_(?:ARTICLE|SECTION|PARAGRAPH)_|_NEWLINE_")  # of wiki40b and its like
TFDS_NAME = re.compile(r"(?P<name>[^:]+(?::\d+\.\d+\.\d+)?)(?::(?P<split>.+))?")  # name/config:version:split


def read_text(path, *, text_field=None, progress):
    """Yields a text file in pieces of about 64 kB. Blank lines end documents; `text_field` means nothing here."""
    size = Path(path).stat().st_size
    space, begun = "", False
    for block in read_blocks(path, progress=lambda done: progress(done, size)):
        text = BLANK_LINES.sub("\n\n", space + block)
        piece = text.rstrip()
        space = text[len(piece) :]  # may be part of a longer blank, and so goes with what follows
        if piece:
            yield piece if begun else piece.lstrip()
            begun = True


def read_one_a_line(path, *, text_field=None, progress):
    """Yields the documents of a text file that holds one a line; `text_field` means nothing here."""
    size = Path(path).stat().st_size
    for line in read_lines(path, progress=lambda done: progress(done, size)):
        yield from lay_out(line)


def read_jsonl(path, *, text_field, progress):
    """Yields the documents of a file that holds a JSON object a line; blank lines are skipped."""
    size = Path(path).stat().st_size
    for number, line in enumerate(read_lines(path, progress=lambda done: progress(done, size)), 1):
        if not line or line.isspace():
            continue
        place = f"{path}, line {number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            remedy = next((f"; write one object a line ({jq})" for begin, jq in ONE_VALUE if begin.match(line)), "")
            raise UserError(
                f"{place}: a JSON object on a line of its own was expected{remedy}. Received: {line[:60]!r}."
            )
        text = text_of(fields, text_field, place)
        yield from lay_out(SURROGATES.sub("\ufffd", text) if "\\u" in line else text)


def read_csv(path, *, text_field, progress):
    """Yields the documents of a CSV file with a first row of column names, one a row, from the column `text_field`.

    The separator is a comma, a semicolon, a tab or a bar, whichever gives that column.
    """
    size = Path(path).stat().st_size
    rows = csv_rows(path, [text_field], progress=lambda done: progress(done, size))
    yield from _read_rows(path, rows, text_field)


def read_tsv(path, *, text_field, progress):
    """Yields the documents of an unquoted TSV file with a first row of column names; see `read_csv`."""
    size = Path(path).stat().st_size
    lines = enumerate(read_lines(path, progress=lambda done: progress(done, size)), 1)
    rows = ((number, line.split("\t")) for number, line in lines)
    head = [row for row in itertools.islice(rows, QUOTED_ROWS) if any(map(str.strip, row[1]))]
    names = [name.strip() for name in head[0][1]] if head else []
    if text_field in names:
        place = names.index(text_field)
        note_quotes(path, [row[place].strip() for _, row in head[1:] if len(row) > place])
    yield from _read_rows(path, itertools.chain(head, rows), text_field)


def _read_rows(path, rows, text_field):
    """Yields the documents of rows, (line number, list of cells) each; rows without any text are skipped."""
    rows = ((number, row) for number, row in rows if any(map(str.strip, row)))
    _, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    if names.count(text_field) != 1:
        there = ", ".join(f"{name[:40]!r}" for name in names[:20]) or "no column"
        problem = f"has several columns {text_field!r}" if text_field in names else f"has no column {text_field!r}"
        raise UserError(f"{path} {problem}; its first line names {there}. {_remedy(names)}.")
    for number, row in rows:
        if len(row) < len(names) or any(map(str.strip, row[len(names) :])):
            raise UserError(
                f"{path}, line {number}: {len(row)} cells, where the first line names {len(names)} columns; a text "
                "with the separator in it needs quotes in a .csv, and another character in a .tsv."
            )
        yield from lay_out(row[names.index(text_field)])


def _remedy(names):
    """Says what to do about a column that is missing."""
    if names and all(len(name) > 1 and name[0] == name[-1] == '"' for name in names):
        return "A TSV has no quotes: call the file .csv, which may have tabs between its cells"
    return "Choose one with --text_field, or add a first line that names the columns"


def read_tfds(name, *, text_field, progress):
    """Yields the documents of a data set of TFDS, which is downloaded and prepared if it is not there yet.

    Args:
        name: such as "wiki40b/ko" or "imdb_reviews:train[:10%]"; the split is train unless it is given. A directory
            that holds a prepared data set will do for the name.
    """
    place = f"The TFDS data set {name!r}"
    builder, split = _open_tfds(name, place)
    features = builder.info.features
    outer = text_field if text_field in features else text_field.split(".")[0]
    if outer not in features:
        raise _no_field(place, text_field, sorted(features))
    import tensorflow_datasets as tfds

    done, count = 0, builder.info.splits[split].num_examples
    dataset = builder.as_dataset(
        split=split,
        decoders=tfds.decode.PartialDecoding({outer: True}),
        read_config=tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1),
    )
    for number, fields in enumerate(tfds.as_numpy(dataset), 1):
        text = text_of(fields, text_field, place)
        done += len(text)
        progress(done, done * count // number)
        yield from lay_out(TFDS_MARKERS.sub("\n", text))


def _open_tfds(name, place):
    """Returns (a prepared builder, the name of the split)."""
    parts = TFDS_NAME.fullmatch(name)
    if parts is None:
        raise UserError(f"{place} was expected to be called name/config:split, as in wiki40b/ko:train.")
    import tensorflow_datasets as tfds

    split = parts["split"] or "train"
    try:
        if Path(parts["name"]).is_dir():
            builder = tfds.builder_from_directory(parts["name"])
        else:
            builder = tfds.builder(parts["name"])
            builder.download_and_prepare()
    except Exception as error:  # of many kinds: unknown names, no network, a missing package
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise UserError(f"{place} could neither be found nor prepared ({reason}); check its name.") from error
    try:
        builder.info.splits[split]
    except (KeyError, ValueError) as error:
        there = ", ".join(builder.info.splits)
        raise UserError(
            f"{place} has no split {split!r}; there are {there}, and slices such as train[:10%]."
        ) from error
    return builder, split


def text_of(fields, text_field, place):
    """Returns the text that stands in a field.

    Args:
        fields: a dict of what JSON or TFDS knows.
        text_field: its key, or keys with dots between them where dicts lie within dicts.
        place: what an error is to name.

    Returns:
        A str; of a list of texts the texts, joined by line ends.

    Raises:
        UserError: there is no such field, or it holds something else.

    >>> text_of({"id": 3, "page": {"text": ["One.", "Two."]}}, "page.text", "a.jsonl, line 1")
    'One.\\nTwo.'
    """
    found = fields
    for name in [text_field] if text_field in fields else text_field.split("."):
        if not isinstance(found, dict) or name not in found:
            raise _no_field(place, text_field, fields)
        found = found[name]
    found = found.tolist() if hasattr(found, "tolist") else found  # NumPy's
    parts = [part.decode(errors="replace") if isinstance(part, bytes) else part for part in _as_list(found)]
    if not all(isinstance(part, str) for part in parts):
        raise UserError(
            f"{place}: the field {text_field!r} must hold a text or a list of texts. Received: {str(found)[:60]!r}."
        )
    return "\n".join(parts)


def _as_list(found):
    return found if isinstance(found, list) else [found]


def _no_field(place, text_field, fields):
    there = ", ".join(map(repr, list(fields)[:20])) or "none"
    return UserError(f"{place} has no field {text_field!r}; there are {there}. Choose one with --text_field.")


def lay_out(text):
    r"""Yields a document in the layout, behind a blank line; nothing if it is blank.

    >>> list(lay_out(" One.\n \nTwo.\n"))
    ['\n\nOne.\nTwo.']
    """
    text = BLANK_LINES.sub("\n", text).strip()
    if text:
        yield "\n\n" + text
