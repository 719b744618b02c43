"""Files as users name them: globs and compressed text in, whole-or-nothing results out."""

import bz2
import codecs
import contextlib
import glob
import gzip
import json
import lzma
import os
import re
import shutil
import zlib
from pathlib import Path

from keras_bert.errors import UserError

OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
# How such files begin, whatever they are called, and some others that are no text.
MAGIC = {
    ".gz": re.compile(rb"\x1f\x8b"),
    ".xz": re.compile(rb"\xfd7zXZ\0"),
    ".bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
}
NO_TEXT = {
    b"PK\3\4": "a zip archive",
    b"(\xb5/\xfd": "a zstd archive",
    b"PAR1\x15": "a Parquet file",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
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
            or something else that is no text.
    """
    path, number, data = Path(path), 1, b""
    try:
        with open(path, "rb") as file:
            suffix = next((suffix for suffix, magic in MAGIC.items() if magic.match(file.peek(16))), None)
            stream = OPENERS[suffix](file) if suffix else file
            for number, data in _whole_lines(stream, path):
                if suffix is None and number == 1:
                    _check_text(data, path)
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
    """Raises a UserError if a file begins like something that is no text."""
    for magic, kind in NO_TEXT.items():
        if head.startswith(magic):
            raise UserError(
                f"{path} is {kind} where UTF-8 text was expected, plain or packed as .gz, .xz or .bz2; convert it."
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


def read_json(path, *, what):
    """Returns the dict that a JSON file holds, or raises a UserError that names `what`."""
    path = require_file(path, what=what)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{what}: {path} is not JSON ({error}); fetch or write it again.") from error
    if not isinstance(fields, dict):
        raise UserError(f"{what}: {path} holds a {type(fields).__name__} where an object of fields was expected.")
    return fields


def missing_directory_message(path):
    """Returns a sentence on a directory that does not exist, with the command that fetches it if it looks like a hub's.

    >>> missing_directory_message("org/bert").split("; ")[1]
    'fetch it first: hf download org/bert --local-dir bert'
    """
    path = os.fspath(path)
    if re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", path):
        folder = path.rpartition("/")[2]
        return (
            f"{path} does not exist, and nothing is downloaded by its name; fetch it first: "
            f"hf download {path} --local-dir {folder}"
        )
    return f"{path} does not exist; give the path of a model directory."


def refuse_existing(path, *, what, remedy="remove it, or choose another place"):
    """Raises a UserError if something already stands at `path`."""
    if Path(path).exists():
        raise UserError(f"{what}: {path} exists already; {remedy}.")


@contextlib.contextmanager
def atomic_path(path):
    """Gives a temporary sibling of `path` to write a file or folder to, and renames it there at the end.

    If the body raises, Ctrl-C included, the sibling is removed and nothing stands at `path` but
    what stood there before.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_path(f"{folder}/a.txt") as temporary:
        ...         _ = temporary.write_text("all of it")
        ...     print(Path(folder, "a.txt").read_text(), os.listdir(folder))
        all of it ['a.txt']

    Raises:
        UserError: the folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)  # of a killed process that had our number, as in a container the next one may
        yield temporary
        if temporary.is_dir() and path.is_dir():
            _replace_folder(temporary, path)
        else:
            os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"Cannot write {path} ({error}); free space, or choose another place.") from error
    finally:
        _remove(temporary)


def _replace_folder(new, path):
    """Puts the folder `new` in the place of another one, which cannot be renamed over while it is full."""
    old = new.with_suffix(".old")
    _remove(old)
    path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        old.rename(path)
        raise
    _remove(old)


def _remove(path):
    """Removes a file or folder if it is there and can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
