"""Files as users name them: globs and compressed text in, whole-or-nothing results out."""

import bz2
import contextlib
import glob
import gzip
import json
import lzma
import os
import shutil
import zlib
from pathlib import Path

from keras_bert.errors import UserError

OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def expand_inputs(patterns, *, what="--input_file"):
    """Returns the sorted, distinct files that `patterns` name.

    Args:
        patterns: one string, in which commas separate paths and globs, or a list of such strings. What
            stands there by that very name is taken as it is, with its commas and brackets.
        what: the flag or argument to name in an error.

    Raises:
        UserError: a pattern that matches nothing, or that names a directory.
    """
    if isinstance(patterns, (str, os.PathLike)):
        patterns = [patterns]
    patterns = [os.fspath(pattern) for pattern in patterns]
    found = set()
    for pattern in (p for entry in patterns for p in ([entry] if os.path.exists(entry) else entry.split(",")) if p):
        literal = os.path.exists(pattern) or not glob.has_magic(pattern)
        matches = [pattern] if literal else sorted(glob.glob(pattern, recursive=True))
        if "**" in pattern:  # which stands for folders too
            matches = [match for match in matches if not os.path.isdir(match)]
        if not matches:
            raise UserError(f"{what}: no file matches {pattern!r}; check the path, and quote the glob for the shell.")
        for match in matches:
            require_file(match, what=what)
        found.update(map(Path, matches))
    if not found:
        raise UserError(f"{what} names no file; give a path or a quoted glob such as 'corpus/*.txt'.")
    return sorted(found)


def require_file(path, *, what):
    """Returns `path` as a Path, or raises a UserError that names `what` if no file stands there."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{what}: {path} is a directory where a file was expected; name the file itself.")
    if not path.is_file():
        raise UserError(f"{what}: {path} does not exist; check the path.")
    return path


def read_lines(path):
    """Yields the lines of a UTF-8 text file, plain or .gz/.xz/.bz2, without their line ends.

    Lines end at LF alone (a CR before it is dropped), so that U+2028 and the like stay inside a line.

    Raises:
        UserError: a line that is not UTF-8 (file and line number are named), or a damaged archive.
    """
    path = Path(path)
    number = 0
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                yield line.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text: line {number}, byte {error.start}; convert it, for example with iconv."
        ) from error
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        if getattr(error, "errno", None) is not None:  # the system's; what bz2 and gzip raise themselves has none
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        raise UserError(f"{path} is damaged after line {number} ({error}); fetch or compress it again.") from error


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
