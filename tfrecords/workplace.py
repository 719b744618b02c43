"""The folder in which a run keeps what it has done so far, so that the same command continues where it was stopped.

It lies beside the outputs, `.wiki.unfinished` for wiki.tfrecord, and is removed with the last of them. A run of other
settings, of another vocabulary or of files that have changed finds nothing in it that it could use, and starts afresh.
"""

import contextlib
import errno
import json
import shutil

from keras_bert.data.records import stem_of
from keras_bert.errors import ResourceError, UserError
from keras_bert.files import parse_json
from keras_bert.locks import lock_beside, locked
from keras_bert.outputs import atomic_path, cannot_write

FORMAT = 1  # of what lies in the folder; a version of the tool that changes it goes up by one
IDENTITY = "run.json"
PATIENCE = 5.0  # seconds to wait for the lock: workers of a killed run hold it for a moment longer than that


class Workplace:
    """A run's folder.

    Args:
        first_output: path of the first file to write; the folder lies beside it.
        identity: what makes two runs the same, as a dict for JSON.
        others: paths of further files to write that are called otherwise than the first.

    Attributes:
        folder: its Path.
        resumed: whether an earlier run of the same identity has left its work there. None until the lock is held, as
            only then nobody else can change it.
        space_needed: callable() -> about how many bytes are still to be written, or None where that is not known.
    """

    def __init__(self, first_output, identity, *, others=()):
        self._stems = sorted({stem_of(path) for path in (first_output, *others)})
        stem = stem_of(first_output)
        self.folder = stem.with_name(f".{stem.name}.unfinished")
        self._identity = json.loads(json.dumps({"format": FORMAT, **identity}))
        self.resumed = None
        self.space_needed = lambda: None

    def _read_identity(self):
        with contextlib.suppress(OSError, ValueError):
            return parse_json((self.folder / IDENTITY).read_bytes())
        return None

    @contextlib.contextmanager
    def locked(self):
        """Holds the outputs and the folder for this process alone, and only then looks at what lies there.

        The lock files lie beside the folder, so that removing it lets nobody else in.

        Raises:
            UserError: another process is at work there.
        """
        with contextlib.ExitStack() as locks:
            for stem in self._stems:
                what = f"--output_file: {stem} (its records, manifest and vocabulary)"
                remedy = "wait until it ends, or name another output"
                locks.enter_context(locked(lock_beside(stem), what=what, remedy=remedy, patience=PATIENCE))
            self.resumed = self._read_identity() == self._identity
            yield

    @contextlib.contextmanager
    def opened(self):
        """Makes the folder, or takes it over; the lock must be held. Removed at the end, and after a UserError.

        What ends the process otherwise (Ctrl-C, a kill, a bug), or stops it by no fault of the input (a full disk, a
        killed worker), leaves it for the next run.

        Raises:
            ResourceError: a full disk and the like; it says what is kept.
        """
        try:
            self._enter()
            yield self.folder
        except BrokenPipeError:  # the reader of our messages has gone, which is no fault of the folder's
            raise
        except ResourceError as error:
            raise self._stopped(error) from error
        except UserError:
            self.remove()
            raise
        except OSError as error:
            raise self._stopped(cannot_write(self.folder, error)) from error
        self.remove()

    def remove(self):
        """Removes the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _enter(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.resumed:
            for partial in list(self.folder.rglob(".*.partial")):  # of processes that are dead, as the lock is ours
                if partial.is_dir():
                    shutil.rmtree(partial, ignore_errors=True)
                else:
                    partial.unlink(missing_ok=True)
            return
        (self.folder / IDENTITY).unlink(missing_ok=True)  # first, or a kill would leave it with half of the rest
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        write_json(self.folder / IDENTITY, self._identity)

    def _stopped(self, error):
        """Returns a ResourceError that says what is kept as well; a folder without finished work goes."""
        if not self._holds_work():
            self.remove()
            return error
        missing = self._missing_space(error.errno)
        needed = f", about {missing / 1e6:,.2f} MB more" if missing else ""
        kept = f"the finished work is kept in {self.folder}, and the same command continues from it"
        remedy = error.remedy.removesuffix(", or choose another place")
        return ResourceError(error.reason, f"{remedy}{needed}: {kept}", errno=error.errno)

    def _holds_work(self):
        """Says whether a stage has left anything there: each has a folder of its own, and what is none is hidden."""
        with contextlib.suppress(OSError):
            return any(path.is_dir() and not path.name.startswith(".") for path in self.folder.iterdir())
        return True

    def _missing_space(self, number):
        """Returns how many bytes more the disk needs to have free, or None where that is not known."""
        with contextlib.suppress(OSError):
            needed = self.space_needed() if number in (errno.ENOSPC, errno.EDQUOT) else None
            if needed is not None:  # what a quota leaves free is not known
                free = shutil.disk_usage(self.folder).free if number == errno.ENOSPC else 0
                return max(0, needed - free)
        return None


def write_json(path, value):
    """Writes JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value), encoding="utf-8")
