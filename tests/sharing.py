"""What several files or worker processes need alike: made by the first that asks, read by all others."""

import contextlib
import os
import pickle
import shutil


def made_once(tmp_path_factory, name, make):
    """Returns (folder, result) of `make(folder)`, which is called once in a run of pytest, in whichever process.

    Nobody changes the folder: copy what is to be changed.

    Args:
        tmp_path_factory: pytest's.
        name: of the folder.
        make: callable(empty folder) -> a result that can be pickled.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of all workers
    folder, result = root / "made" / name, root / "made" / f"{name}.pickle"
    folder.parent.mkdir(exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        if not result.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            result.write_bytes(pickle.dumps(make(folder)))
    return folder, pickle.loads(result.read_bytes())


@contextlib.contextmanager
def locked(path):
    """Keeps other processes out, where the system has locks of this kind."""
    with open(path, "w") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
