"""Files as users name them: globs and compressed text in, whole-or-nothing results out."""

import bz2
import contextlib
import glob
import gzip
import lzma
import os
import shutil
from pathlib import Path

from keras_bert.errors import UserError

OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def expand_inputs(patterns, *, what="--input_file"):
    """Returns the sorted, distinct files that `patterns` name.

    Args:
        patterns: one string, in which commas separate paths and globs, or a list of such strings.
        what: the flag or argument to name in an error.

    Raises:
        UserError: a pattern that matches nothing, or that names a directory.
    """
    if isinstance(patterns, (str, os.PathLike)):
        patterns = [patterns]
    found = set()
    for pattern in (p for entry in patterns for p in os.fspath(entry).split(",") if p):
        matches = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
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
    except (gzip.BadGzipFile, lzma.LZMAError, EOFError) as error:
        raise UserError(f"{path} is damaged after line {number} ({error}); fetch or compress it again.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error


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
        yield temporary
        if temporary.is_dir() and path.is_dir():  # a folder cannot be renamed over a full one
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"Cannot write {path} ({error}); free space, or choose another place.") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
