"""Files as users name them: globs, compressed text, JSON."""

import bz2
import codecs
import glob
import gzip
import json
import lzma
import os
import re
import zlib
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.kinds import no_text

OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
# How such files begin, whatever they are called.
MAGIC = {
    ".gz": re.compile(rb"\x1f\x8b"),
    ".xz": re.compile(rb"\xfd7zXZ\0"),
    ".bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
}
# "bert-base-uncased" or "google-bert/bert-base-uncased", not "./model", "a/b/c", "bert_model.ckpt" or "model.ckpt-100".
HUB_NAME = re.compile(r"(?:\w[\w.-]*/)?\w(?!.*\.[A-Za-z]+(?:-\d+)?$)[\w.-]*", re.ASCII)
MAX_JSON_BYTES = 1 << 26  # the largest tokenizer.json has a third of it
BLOCK_BYTES = 1 << 16  # read at a time: small enough to stay in the cache while it is decoded
MAX_LINE_BYTES = 1 << 24


def expand_inputs(patterns, *, what="--input_file", directories=False):
    """Returns the sorted, distinct files that `patterns` name.

    Args:
        patterns: one string, in which commas separate paths and globs, or a list of such strings. What
            stands there by that very name is taken as it is, with its commas and brackets.
        what: the flag or argument to name in an error.
        directories: whether a directory stands for all files in it and below it, hidden ones left out.

    Raises:
        UserError: a pattern that matches nothing, or a directory where none may stand or with no file in it.
    """
    if isinstance(patterns, (str, os.PathLike)):
        patterns = [patterns]
    patterns = [os.fspath(pattern) for pattern in patterns]
    found = set()
    for pattern in (p for entry in patterns for p in ([entry] if os.path.exists(entry) else entry.split(",")) if p):
        literal = os.path.exists(pattern) or not glob.has_magic(pattern)
        matches = [pattern] if literal else sorted(glob.glob(pattern, recursive=True))
        if "**" in pattern and not directories:  # it stands for folders too
            matches = [match for match in matches if not os.path.isdir(match)]
        if not matches:
            raise UserError(f"{what}: no file matches {pattern!r}; check the path, and quote the glob for the shell.")
        for match in map(Path, matches):
            if directories and match.is_dir():
                found.update(_files_below(match, what=what))
            else:
                found.add(require_file(match, what=what))
    if not found:
        raise UserError(f"{what} names no file; give a path or a quoted glob such as 'corpus/*.txt'.")
    return sorted(found)


def _files_below(folder, *, what):
    """Returns the files in a folder and in those below it, but for hidden ones; links to folders are not followed."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    found = [path for path in found if path.is_file()]
    if not found:
        raise UserError(f"{what}: there is no file in the directory {folder}; check the path.")
    return found


def require_file(path, *, what):
    """Returns `path` as a Path, or raises a UserError that names `what` if no file stands there."""
    if not isinstance(path, (str, os.PathLike)):
        raise UserError(f"{what}: the path of a file was expected. Received: {path!r:.80}.")
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{what}: {path} is a directory where a file was expected; name the file itself.")
    if not path.is_file():
        raise UserError(f"{what}: {path} does not exist; check the path.")
    return path


def read_lines(path, *, progress=None):
    """Yields the lines of a UTF-8 text file without their line ends. See `read_blocks`."""
    for block in read_blocks(path, progress=progress):
        lines = block.split("\n")
        if not lines[-1]:  # what follows the last line end
            lines.pop()
        yield from lines


def read_blocks(path, *, progress=None):
    """Yields a UTF-8 text file in blocks of whole lines, about 64 kB each; none is ever empty.

    The file may be packed as .gz, .xz or .bz2; its content tells, not its name. Lines end at LF alone (a CR before it
    is dropped), so that U+2028 and the like stay inside a line.

    Args:
        path: path of the file.
        progress: called after each block as progress(bytes of the file read so far, packed if it is).

    Raises:
        UserError: a line that is not UTF-8 or has more than 16 MiB (file and line number are named), a damaged archive,
            lines that end with CR alone, or not a text file.
    """
    path, number, data = Path(path), 1, b""
    try:
        with open(path, "rb") as file:
            suffix = next((suffix for suffix, magic in MAGIC.items() if magic.match(file.peek(16))), None)
            stream = OPENERS[suffix](file) if suffix else file
            for number, data in _whole_lines(stream, path):
                text = _decode(data.removeprefix(codecs.BOM_UTF8) if number == 1 else data, path, number)
                if progress:
                    progress(file.tell())
                if text:
                    yield text
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        if getattr(error, "errno", None) is not None:  # the system's; what bz2 and gzip raise themselves has none
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        lines = number - 1 + data.count(b"\n")
        raise UserError(f"{path} is damaged after line {lines} ({error}); fetch or compress it again.") from error


def _whole_lines(stream, path):
    """Yields (number of the first line, bytes) of pieces of whole lines; a line too long is not read to its end."""
    number, rest = 1, bytearray()
    while data := stream.read(BLOCK_BYTES):
        if number == 1 and not rest:
            _check_text(data, path)
        end = data.rfind(b"\n") + 1
        if len(rest) + (data.find(b"\n") if end else len(data)) > MAX_LINE_BYTES:
            raise UserError(
                f"{path}: line {number} has more than {MAX_LINE_BYTES >> 20} MiB; break it up, a paragraph a line."
            )
        if end:
            yield number, rest + data[:end]
            number += data.count(b"\n")
            rest = bytearray(data[end:])
        else:
            rest += data
    if rest:
        yield number, rest


def _check_text(head, path):
    """Raises a UserError if a file does not begin like text, or its lines end with CR alone."""
    if found := no_text(head):
        kind, remedy = found
        raise UserError(
            f"{path} is {kind} where UTF-8 text was expected, plain or packed as .gz, .xz or .bz2; {remedy}."
        )
    if b"\n" not in head and b"\r" in head.rstrip(b"\r"):
        raise UserError(
            f"{path}: its lines end with CR alone, as in old Mac files, where LF or CR LF was expected; convert it, "
            r"for example with tr '\r' '\n' < OLD > NEW."
        )


def _decode(data, path, number):
    """Returns bytes as text with LF line ends; `number` is that of the first line."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        number += data.count(b"\n", 0, error.start)
        place = error.start - data.rfind(b"\n", 0, error.start) - 1
        raise UserError(
            f"{path} is not UTF-8 text: line {number}, byte {place}; convert it, for example with iconv."
        ) from error
    return text.replace("\r\n", "\n").removesuffix("\r") if "\r" in text else text


def missing_directory_message(path):
    """Returns a sentence on a model directory that does not exist, with the way to fetch it if it is a hub's name.

    >>> missing_directory_message("org/none")  # doctest: +ELLIPSIS
    'org/none does not exist; ... by its name. Fetch it first: hf download org/none --local-dir org/none'
    >>> missing_directory_message("./none")
    './none does not exist; expected a model directory on this machine. Check the path.'
    """
    name = os.fspath(path)
    sentence = f"{name} does not exist; expected a model directory on this machine"
    folder, _, _ = name.rpartition("/")
    if HUB_NAME.fullmatch(name) and not (folder and os.path.isdir(folder)):
        fetch = f"hf download {name} --local-dir {name}"
        return f"{sentence}, as nothing is downloaded by its name. Fetch it first: {fetch}"
    return f"{sentence}. Check the path."


def no_permission(path):
    """Returns the UserError on a file that this user may not read."""
    return UserError(f"{path} may not be read by this user (permission denied); change its permissions, or copy it.")


def parse_json(data, *, unique=False):
    """Returns what JSON in UTF-8 holds, with or without a BOM.

    Args:
        data: bytes.
        unique: whether an object that has a name twice is refused; otherwise the last one counts.

    Raises:
        ValueError: it is not JSON, or too deep or too large to be read; the message says what is wrong.

    Example:
        >>> parse_json(b'{"a": [1, 2.5]}')
        {'a': [1, 2.5]}
    """
    try:
        found = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique_names if unique else None)
        if b"\\ud" in data.lower():  # half of a surrogate pair can be neither printed nor written
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:  # the exception's own traceback is as deep
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        if "integer string conversion" in str(error):  # Python's own sentence is advice to programmers
            raise ValueError("it holds a number of too many digits") from None
        raise
    return found


def _unique_names(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen = set()
        double = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"it has {double[:60]!r} twice")
    return fields


def read_json(path, *, what, expected=dict):
    """Returns what a JSON file holds.

    Args:
        path: the file.
        what: the thing to name in an error, such as "The model's configuration".
        expected: dict for an object of fields, or list.

    Raises:
        UserError: no file is there, it cannot be read, it is not JSON or too large, or it holds something else.
    """
    path = require_file(path, what=what)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except PermissionError as error:
        raise no_permission(path) from error
    except OSError as error:
        raise UserError(f"{what}: {path} cannot be read ({error.strerror}); fetch or write it again.") from error
    if len(data) > MAX_JSON_BYTES:
        raise UserError(f"{what}: {path} has more than {MAX_JSON_BYTES >> 20} MiB, too much for such a file.")
    try:
        fields = parse_json(data)
    except ValueError as error:
        raise UserError(f"{what}: {path} is not JSON ({error}); fetch or write it again.") from error
    if not isinstance(fields, expected):
        wanted = {dict: "an object of fields", list: "a list"}[expected]
        raise UserError(f"{what}: {path} holds a {type(fields).__name__} where {wanted} was expected.")
    return fields
