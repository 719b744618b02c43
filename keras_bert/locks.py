"""A lock on a folder or file that several processes could write: one holds it, the others learn who does.

The system releases the lock when its process ends, however that happens, so nothing is left to clean up by hand. The
lock file is removed by its holder alone, while it is locked, and whoever gets a lock checks that the file still lies
under its name: so a process that waited for a removed file cannot enter next to one that made a new file.
"""

import contextlib
import datetime
import errno
import json
import os
import shlex
import socket
import sys
import time
from pathlib import Path

from keras_bert.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: no locks there
    fcntl = None

NAME = ".lock"  # of the lock file in a folder
POLL_SECONDS = 0.1
TRIES = 100  # to make a folder that others remove
SHOWN = 160  # characters of the holder's command
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # a file system without locks


def lock_in(folder):
    """Returns the path of the lock file for what is written into a folder.

    >>> lock_in("run").as_posix()
    'run/.lock'
    """
    return Path(folder) / NAME


def lock_beside(path):
    """Returns the path of the lock file for a file or folder that appears as a whole.

    >>> lock_beside("models/film").as_posix()
    'models/.film.lock'
    """
    path = Path(path)
    return path.with_name(f".{path.name}{NAME}")


@contextlib.contextmanager
def locked(path, *, what, remedy="wait until it ends, or choose another place", patience=0.0):
    """Holds a lock file for this process alone while the body runs.

    Its folder is made if it is missing, and removed again if the body leaves nothing in it.

    Without a lock, the body runs all the same: in a remote place (`gs://...`), where no file can be made (so that the
    body's own error says why), on a file system without locks, and on Windows.

    Args:
        path: the lock file, as `lock_in` and `lock_beside` name it. Nothing else may be kept in it.
        what: what is locked, for the error, such as "--output_dir runs/film".
        remedy: the end of the error's sentence.
        patience: seconds to wait for another process.

    Yields:
        Whether the lock is held.

    Raises:
        UserError: another process holds the lock; the error names it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, locked(lock_in(folder), what="the folder") as held:
        ...     print(held, os.listdir(folder))
        True ['.lock']
    """
    if fcntl is None or "://" in os.fspath(path):
        yield False
        return
    path, owner = Path(path), os.getpid()
    missing = [folder for folder in path.parents if not os.path.exists(folder)]  # the deepest first
    file = _acquire(path, what, remedy, time.monotonic() + patience)
    try:
        yield file is not None
    finally:
        if os.getpid() == owner:  # a forked child shares the lock, but must not release it
            if file is not None:
                _release(file, path)
            for folder in missing:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def is_alive(pid):
    """Says whether a process of this machine is running."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        pass
    return True


def _acquire(path, what, remedy, deadline):
    """Returns the open, locked file; None where there can be no lock."""
    vain = 0
    while True:
        try:
            file = _open(path)
        except OSError as error:
            vain += 1
            # The folder was removed after it was made, or after it was found to exist.
            if error.errno in (errno.ENOENT, errno.EEXIST) and vain < TRIES:
                continue
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_under(path, file):
                _write_holder(file)
                return file
            os.close(file)  # its last holder has removed it: start again with the file that lies there now
        except OSError as error:
            holder = _holder(file)
            os.close(file)
            if error.errno in NO_LOCKS:
                return None
            if time.monotonic() >= deadline:
                raise UserError(f"{what} is in use by {holder}; {remedy}.") from error
            time.sleep(POLL_SECONDS)


def _open(path):
    """Returns a descriptor of the lock file, for reading alone if it is another user's."""
    standing = next(place for place in path.parents if place.exists())
    if not os.access(standing, os.W_OK | os.X_OK) and not os.path.exists(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(standing))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:
        if not os.path.exists(path):
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _release(file, path):
    """Removes the lock file, if it is still ours, and lets go of it; a child that shares it loses it too."""
    with contextlib.suppress(OSError):
        if _is_under(path, file):
            path.unlink()
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)
    with contextlib.suppress(OSError):
        os.close(file)


def _is_under(path, file):
    """Says whether an open file is the one that lies at a path."""
    try:
        there, here = os.stat(path), os.fstat(file)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _write_holder(file):
    """Notes in the lock file who holds it; on a full disk nobody is named."""
    command = shlex.join([os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]])
    started = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
    note = {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "started": started}
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(note).encode(), 0)


def _holder(file):
    """Returns in words who holds a lock, as far as its file says."""
    try:
        note = json.loads(os.pread(file, 1 << 20, 0))
        pid, host, command = int(note["pid"]), str(note["host"]), str(note["command"])
        started = str(note["started"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # not written yet, or on a full disk
        return "another process"
    command = command if len(command) <= SHOWN else f"{command[:SHOWN]}..."
    # Forked children share a lock and can outlive its holder.
    child = "a child of the ended " if host == socket.gethostname() and not is_alive(pid) else ""
    return f"{child}process {pid} on {host} ({command}; since {started})"
