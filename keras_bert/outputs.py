"""What is written appears whole or not at all, and what killed processes left unfinished is cleared."""

import contextlib
import errno
import functools
import os
import re
import shutil
import socket
import time
import zlib
from pathlib import Path

from keras_bert.errors import ResourceError, UserError
from keras_bert.locks import is_alive

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
