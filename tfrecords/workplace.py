"""The folder in which a run keeps what it has done so far, so that the same command goes on where it was killed.

It lies beside the outputs, `.wiki.unfinished` for wiki.tfrecord, and is removed with the last of them. A run of other
settings, of another vocabulary or of files that have changed finds nothing in it that it could use, and starts afresh.
"""

import contextlib
import json
import shutil
import time

from keras_bert.data.records import stem_of
from keras_bert.errors import UserError
from keras_bert.files import atomic_path

FORMAT = 1  # of what lies in the folder; a version of the tool that changes it goes up by one
IDENTITY, LOCK = "run.json", "lock"
PATIENCE = 5.0  # seconds to wait for the lock


class Workplace:
    """A run's folder.

    Args:
        first_output: path of the first file to write; the folder lies beside it.
        identity: what makes two runs the same, as a dict for JSON.

    Attributes:
        folder: its Path.
        resumed: whether an earlier run of the same identity has left its work there.
    """

    def __init__(self, first_output, identity):
        stem = stem_of(first_output)
        self.folder = stem.with_name(f".{stem.name}.unfinished")
        self._identity = json.loads(json.dumps({"format": FORMAT, **identity}))
        self.resumed = self._read_identity() == self._identity

    def _read_identity(self):
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.folder / IDENTITY).read_text(encoding="utf-8"))
        return None

    @contextlib.contextmanager
    def opened(self):
        """Makes the folder, or takes it over, for this process alone. Removed at the end, and after a UserError.

        What ends the process otherwise (Ctrl-C, a kill, a bug) leaves it for the next run.

        Raises:
            UserError: another process is at work there, or the folder cannot be made.
        """
        with self._locked():
            try:
                if not self.resumed:
                    self._clear()
                    write_json(self.folder / IDENTITY, self._identity)
                yield self.folder
            except BrokenPipeError:  # the reader of our messages has gone, which is no fault of the folder's
                raise
            except UserError:
                self.remove()
                raise
            except OSError as error:
                self.remove()
                raise self._cannot_write(error) from error
            self.remove()

    def remove(self):
        """Removes the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self):
        """Makes the folder and locks it; the system lets go of the lock when the process ends, however it does."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = open(self.folder / LOCK, "wb")  # noqa: SIM115
        except OSError as error:
            raise self._cannot_write(error) from error
        with lock:
            self._take(lock)
            yield

    def _take(self, lock):
        """Takes the lock. The workers of a run that was killed hold it for a moment longer than that."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"Another process is writing these files, in {self.folder}; wait, or name another output."
                    ) from error
            time.sleep(PATIENCE / 50)

    def _cannot_write(self, error):
        return UserError(f"Cannot write to {self.folder} ({error}); free space, or choose another place.")

    def _clear(self):
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()


def write_json(path, value):
    """Writes JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value), encoding="utf-8")
