"""Files as users name them: globs and compressed text in, whole-or-nothing results out."""

import bz2
import codecs
import contextlib
import errno
import functools
import glob
import gzip
import json
import lzma
import os
import re
import shutil
import socket
import time
import zlib
from pathlib import Path

from keras_bert.errors import ResourceError, UserError
from keras_bert.kinds import no_text
from keras_bert.locks import is_alive

OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
# How such files begin, whatever they are called.
MAGIC = {
    ".gz": re.compile(rb"\x1f\x8b"),
    ".xz": re.compile(rb"\xfd7zXZ\0"),
    ".bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
}
# What to do where the system does not let us write, by the number of its error.
REMEDIES = {
    errno.ENOSPC: "free space",
    errno.EDQUOT: "free space within your quota",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.EIO: "check the disk",
}
PARTLY_WRITTEN = re.compile(r"\d+ requested and \d+ written")  # NumPy's words for a full disk, without a number
# What `atomic_path` writes: .NAME.PID-MACHINE.partial, and .old for a folder that is being replaced.
LEFT = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d{1,9})(?:-(?P<machine>[0-9a-f]{8}))?(?:-\w+)?\.(?P<kind>partial|old)")
FOREIGN_SECONDS = 24 * 3600  # after which another machine's process counts as dead
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
            lines that end with CR alone, or something else that is no text.
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
    """Raises a UserError if a file begins like something that is no text, or whose lines end in another way."""
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


def refuse_existing(path, *, what, remedy="remove it, or choose another place"):
    """Raises a UserError if something already stands at `path`."""
    if Path(path).exists():
        raise UserError(f"{what}: {path} exists already; {remedy}.")


@contextlib.contextmanager
def atomic_path(path):
    """Gives a temporary sibling of `path` to write a file or folder to, and renames it there at the end.

    If the body raises, Ctrl-C included, the sibling is removed and nothing stands at `path` but
    what stood there before. What killed processes left of the same `path` is cleared first.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_path(f"{folder}/a.txt") as temporary:
        ...         _ = temporary.write_text("all of it")
        ...     print(Path(folder, "a.txt").read_text(), os.listdir(folder))
        all of it ['a.txt']

    Raises:
        ResourceError: the folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    temporary = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_left(path.parent, path.name)
        _remove(temporary)  # of a killed process that had our number, as in a container the next one may
        yield temporary
        if temporary.is_dir() and path.is_dir():
            _replace_folder(temporary, path)
        else:
            os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error, temporary) from error
    except ResourceError as error:  # of a file that is written whole or not at all inside of this one
        raise ResourceError(error.reason.replace(str(temporary), str(path)), error.remedy, errno=error.errno) from error
    finally:
        _remove(temporary)


def cannot_write(path, error, temporary=None):
    """Returns the ResourceError that says why `path` could not be written, and a remedy for that.

    Args:
        path: what was to be written.
        error: the OSError.
        temporary: under what name it was written, which the error may mention.

    >>> print(cannot_write("a.txt", OSError(errno.ENOSPC, "No space left on device", ".a.txt.7.partial")))
    Cannot write a.txt (No space left on device: '.a.txt.7.partial'); free space, or choose another place.
    """
    number, reason = error.errno, str(error).removeprefix(f"[Errno {error.errno}] ")
    if PARTLY_WRITTEN.fullmatch(reason):
        number, reason = errno.ENOSPC, "the disk took only a part of it"
    if temporary is not None:
        reason = reason.replace(str(temporary), str(path)).removesuffix(f": {str(path)!r}")
    remedy = "".join(f"{todo}, or " for todo in [REMEDIES.get(number)] if todo) + "choose another place"
    return ResourceError(f"Cannot write {path} ({reason})", remedy, errno=number)


def partial_path(path):
    """Returns the sibling under which this process writes what is to become `path`, or removes what was."""
    path = Path(path)
    return path.with_name(f".{path.name}.{os.getpid()}-{_machine()}.partial")


def clear_left(folder, name=None):
    """Clears what killed processes left of their unfinished files and folders (see `atomic_path`).

    What living processes are writing stays, and of other machines what was changed within a day. A folder that was
    moved away to be replaced, and was not, is moved back.

    Args:
        folder: where to look; folders in it are not entered.
        name: look for those that were to become this file or folder; None for all.
    """
    try:
        entries = [Path(folder, entry) for entry in os.listdir(folder) if entry.endswith((".partial", ".old"))]
    except OSError:
        return
    for path in entries:
        match = LEFT.fullmatch(path.name)
        if not match or name not in (None, match["name"]) or not _is_dead(match, path):
            continue
        place = path.with_name(match["name"])
        if match["kind"] == "old" and not place.exists():
            with contextlib.suppress(OSError):
                path.rename(place)
        else:
            _remove(path)


def _is_dead(match, path):
    """Says whether the process that made an unfinished file is gone, by the file's name."""
    pid, machine = int(match["pid"]), match["machine"]
    if machine is None:  # of an earlier version of this code
        return pid == os.getpid() or not is_alive(pid)
    if machine == _machine():
        return not is_alive(pid)
    try:
        changed = max(os.stat(each).st_mtime for each in (path, *(path.iterdir() if path.is_dir() else ())))
    except OSError:
        return False
    return time.time() - changed > FOREIGN_SECONDS


@functools.cache
def _machine():
    """Returns 8 hexadecimal digits that another machine or container, with its own process numbers, has others of."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{zlib.crc32((socket.gethostname() + space).encode()):08x}"


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
