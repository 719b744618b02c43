"""Inputs of any size -> chunks of whole documents -> documents, lists of sentences.

Reading is one thing and splitting another: `read_chunks` only looks for the ends of documents, in one process and in
memory for one chunk; `split_chunk` is the work, and any number of processes can do it.
"""

import csv
import itertools
import json
import re
from pathlib import Path
from typing import NamedTuple

from keras_bert.errors import UserError
from keras_bert.files import OPENERS, expand_inputs, read_lines, require_file
from keras_bert.text.sentences import split_sentences
from tfrecords.sources import read_csv, read_jsonl, read_one_a_line, read_text, read_tfds, read_tsv

CHUNK_BYTES = 1 << 20  # of UTF-8, or a little more
LARGEST_BYTES = 4 * CHUNK_BYTES  # what a document of a text file has at most in one chunk, but for a longer line
SAMPLE_FILES, SAMPLE_LINES = 8, 100  # what "auto" looks at: so many files, so many lines of each
TABLE_LINES = 3  # that a file must have to be taken for a table by them
COLUMN_NAME = re.compile(r"\w{1,40}")
# Formats that the name of a file shows.
BY_NAME = dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl") | {".csv": "csv", ".tsv": "tsv"}
CALLED = {"jsonl": "JSON lines", "csv": "a CSV table", "tsv": "a TSV table"}
# What the first line of a file shows to be no prose, in lower case, and what it is called.
MARKUP = {
    "<!doctype html": "HTML",
    "<html": "HTML",
    "<mediawiki": "a dump of a wiki in XML",
    "<doc ": "the output of WikiExtractor, which marks each document by tags (its --json writes JSON lines)",
    "<?xml": "XML",
}


def one_sentence_a_line(line):
    """Returns the sentences of a line in Google's input format: the line, stripped.

    >>> one_sentence_a_line(" It rains. It pours. ")
    ['It rains. It pours.']
    """
    return [line.strip()]


# How sources are read, and how a line of what was read becomes sentences.
READERS = {
    "sentences": read_text,
    "text": read_text,
    "lines": read_one_a_line,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
    "tfds": read_tfds,
}
SPLITTERS = dict.fromkeys(READERS, split_sentences) | {"sentences": one_sentence_a_line}
INPUT_FORMATS = ("auto", *READERS)


class Chunk(NamedTuple):
    """Some documents of one source: lines of text, with one blank line between documents.

    Attributes:
        source: which of the sources.
        text: str, of about 1 MB.
        complete: False if the last document goes on in the next chunk.
    """

    source: int
    text: str
    complete: bool


def resolve_sources(input_files, input_format):
    """Returns (sources, format): what to read, and how.

    Args:
        input_files: a list, or one string with commas: paths, globs and directories; for "tfds" names.
        input_format: one of INPUT_FORMATS. "auto" takes .jsonl, .ndjson and .json for JSON lines, .csv and .tsv for
            tables, and tells sentences from prose.

    Returns:
        A list of Paths, or of str for "tfds"; and a key of READERS.

    Raises:
        UserError: an unknown format, nothing to read, or for "auto" files of several formats or of none.
    """
    if input_format not in INPUT_FORMATS:
        raise UserError(f"--input_format must be one of {', '.join(INPUT_FORMATS)}. Received: {input_format!r}.")
    if input_format == "tfds":
        entries = [input_files] if isinstance(input_files, str) else input_files
        names = [name.strip() for entry in entries for name in str(entry).split(",") if name.strip()]
        if not names:
            raise UserError("--input_file names no data set; give one of TFDS, such as wiki40b/ko:train.")
        return names, "tfds"
    files = expand_inputs(input_files, directories=True)
    return files, detect_format(files) if input_format == "auto" else input_format


def detect_format(files):
    """Tells JSON lines and tables by their names, and sentences from prose, which keeps most text in lines of several.

    Args:
        files: paths of text files, plain or compressed.

    Returns:
        "jsonl", "csv", "tsv", "sentences" or "text".

    Raises:
        UserError: files of several formats, HTML and the like, whose tags are no text, or a table of another name.
    """
    formats = {path: BY_NAME.get(_suffix(path)) for path in files}
    single = several = 0
    plain = [path for path in files if formats[path] is None]
    for path in plain[:: -(-len(plain) // SAMPLE_FILES)] if plain else ():
        lines = list(itertools.islice(filter(str.strip, read_lines(path)), SAMPLE_LINES))
        if lines and all(map(_is_object, lines)):
            formats[path] = "jsonl"
            continue
        _check_markup(path, lines)
        _check_table(path, lines)
        for line in lines:
            if len(split_sentences(line)) > 1:
                several += len(line)
            else:
                single += len(line)
    named = next((path for path in files if formats[path]), None)
    if named is None:
        return "text" if several > single else "sentences"
    other = next((path for path in files if formats[path] != formats[named]), None)
    if other is not None:
        raise UserError(f"--input_file: {named} is {CALLED[formats[named]]} and {other} is not; read them in two runs.")
    return formats[named]


def _is_object(line):
    """Says whether a line is a JSON object."""
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _check_markup(path, lines):
    """Raises a UserError if the first line of a file shows that it is HTML or the like."""
    first = lines[0].lstrip().lower() if lines else ""
    for beginning, kind in MARKUP.items():
        if first.startswith(beginning):
            raise UserError(
                f"--input_file: {path} is {kind}; extract its text first, or read its tags as text with "
                "--input_format=text."
            )


def _check_table(path, lines):
    """Raises a UserError if lines are the rows of a table, which a name such as train.txt does not show."""
    if len(lines) < TABLE_LINES:
        return
    tabs = {line.count("\t") for line in lines}
    names = [name.strip() for name in lines[0].split(",")]
    if len(tabs) == 1 and tabs != {0}:
        kind, what = "tsv", "tabs"
    elif len(names) > 1 and all(map(COLUMN_NAME.fullmatch, names)) and _are_rows(lines, len(names)):
        kind, what = "csv", "commas"
    else:
        return
    raise UserError(
        f"--input_file: {path} is a table, whose cells are separated by {what}; read a column of it with "
        f"--input_format={kind} --text_field=NAME, or its lines as text with --input_format=sentences."
    )


def _are_rows(lines, columns):
    """Says whether each line has so many cells of a CSV."""
    try:
        return all(len(row) == columns for row in csv.reader(lines, skipinitialspace=True, strict=True))
    except csv.Error:
        return False


def _suffix(path):
    return next((suffix.lower() for suffix in reversed(Path(path).suffixes) if suffix not in OPENERS), "")


def read_chunks(sources, *, input_format, text_field="text", progress=None):
    """Yields the sources' documents in order, in Chunks of about 1 MB.

    A chunk has whole documents of one source; only those of text files that are larger than 4 MB are cut, at ends of
    lines. Where the cuts fall depends on the input alone.

    Args:
        sources: what `resolve_sources` returned: paths of UTF-8 files, plain or .gz/.xz/.bz2, or names of data sets.
        input_format: "sentences" (one a line) or "text" (a paragraph a line), with blank lines between documents;
            "lines" (a document a line), "jsonl" (an object a line), "csv" and "tsv" (a row each) or "tfds".
        text_field: which field or column holds the document, for the last four.
        progress: called now and then as progress(bytes done, bytes in all), as they lie on the disk.

    Raises:
        UserError: a source that cannot be read, or an unknown format.
    """
    if input_format not in READERS:
        raise UserError(f"input_format must be one of {', '.join(READERS)}. Received: {input_format!r}.")
    sizes = [
        0 if input_format == "tfds" else require_file(source, what="--input_file").stat().st_size for source in sources
    ]
    meter = _Meter(progress, sizes)
    for number, source in enumerate(sources):
        pieces = READERS[input_format](source, text_field=text_field, progress=meter.tell)
        for text, complete in _gather(pieces):
            yield Chunk(number, text, complete)
        meter.next()


def _gather(pieces):
    """Yields (text, complete?) of about 1 MB each from pieces of any size in the layout of tfrecords.sources."""
    over, going = [], []  # texts of documents that are over; pieces of the one that goes on
    over_bytes = going_bytes = 0
    for piece in pieces:
        ended, separator, rest = piece.rpartition("\n\n")
        if separator:
            over.append("".join([*going, ended]))
            over_bytes += going_bytes + _num_bytes(ended)
            going, going_bytes = [], 0
        going.append(rest)
        going_bytes += _num_bytes(rest)
        if over_bytes and over_bytes + going_bytes >= CHUNK_BYTES:
            yield "\n\n".join(filter(None, over)), True
            over, over_bytes = [], 0
        if going_bytes > LARGEST_BYTES and len(going) > 1:  # a line ends between two pieces
            text, going = "".join(going[:-1]), [piece.lstrip()]
            going_bytes = _num_bytes(piece)
            yield text, False
    if over_bytes or going:
        yield "\n\n".join(filter(None, [*over, "".join(going)])), True


def _num_bytes(text):
    """Returns the length of a str in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


class _Meter:
    """The progress over all sources, from that of each; what is not known of their sizes comes while reading."""

    def __init__(self, progress, sizes):
        self.progress, self.sizes = progress, iter(sizes)
        self.before, self.total = 0, sum(sizes)
        self.size = next(self.sizes, 0)

    def tell(self, done, size):
        """Takes that `done` bytes of the `size` bytes of the source are read."""
        self.total += size - self.size
        self.size = size
        if self.progress:
            self.progress(self.before + done, self.total)

    def next(self):
        """Takes that the source is read to its end."""
        self.before += self.size
        self.size = next(self.sizes, 0)


def split_chunk(text, *, input_format):
    r"""Splits a chunk's text into its documents, and these into sentences.

    Args:
        text: Chunk.text.
        input_format: as for `read_chunks`.

    Returns:
        A list of documents, lists of sentences (str).

    >>> split_chunk("It rains. It pours.\nA new line.\n\nThe sun came out.", input_format="text")
    [['It rains.', 'It pours.', 'A new line.'], ['The sun came out.']]
    """
    split = SPLITTERS[input_format]
    documents = (document.split("\n") for document in text.split("\n\n"))
    return [[sentence for line in lines for sentence in split(line)] for lines in documents]


def read_documents(sources, *, input_format, text_field="text", progress=None):
    """Yields the sources' documents in order, each whole, as a list of sentences. See `read_chunks`.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.txt")
        ...     _ = path.write_text("It rains. It pours.\\n\\nThe sun came out.\\n")
        ...     print(list(read_documents([path], input_format="text")))
        [['It rains.', 'It pours.'], ['The sun came out.']]
    """
    begun = []
    for chunk in read_chunks(sources, input_format=input_format, text_field=text_field, progress=progress):
        documents = split_chunk(chunk.text, input_format=input_format)
        begun += documents[0]
        documents[0] = begun
        begun = [] if chunk.complete else documents.pop()
        yield from documents
