"""Files of gs:// and other remote places, through TensorFlow's gfile: fetched before a run, mirrored during it.

The library itself reads and writes local files. What is fetched lies under the cache folder by its own remote path,
so that files of two buckets never meet.
"""

import fnmatch
import os
from pathlib import Path

from keras_bert.data.checking import COMPANIONS
from keras_bert.data.records import stem_of
from keras_bert.errors import UserError
from keras_bert.outputs import atomic_path

LAST = "notes.json"  # a checkpoint of a run is whole once it has this
RUN = "run.json"  # and a run that is over once this says so
NANOSECONDS = 10**9  # of a second
BESIDE_MODELS = ("*.json", "vocab.txt")  # what stands beside a checkpoint's prefix


def is_remote(path):
    """Says whether a path has a scheme.

    >>> is_remote("gs://bucket/records-*"), is_remote("records-*")
    (True, False)
    """
    return "://" in os.fspath(path)


def fetched(patterns, cache_folder, *, progress=None):
    """Copies the remote records among `patterns` here, with the manifests and vocabularies beside them.

    Files are copied whole or not at all; those that are here already, of the same size and no older, are left.

    Args:
        patterns: path, glob or folder, a list of them, or one string with commas between them.
        cache_folder: where the copies go.
        progress: called as progress("fetch", files done, files in all, "files", note=name of the file).

    Returns:
        List of local paths, of the records alone; local ones among the patterns as they were given.

    Raises:
        UserError: a pattern that matches nothing, or a place that cannot be read.
    """
    entries = [patterns] if isinstance(patterns, (str, os.PathLike)) else patterns
    parts = [part for entry in map(os.fspath, entries) for part in entry.split(",") if part]
    records, wanted = [], []
    for part in parts:
        if not is_remote(part):
            records.append(part)
            continue
        matches = sorted(_guarded(part, "read", _matches, part))
        if not matches:
            raise UserError(f"No file matches {part!r}; check the path, and quote the glob for the shell.")
        mine = [path for path in matches if not path.endswith(COMPANIONS)]
        records += [str(local_path(path, cache_folder)) for path in mine]
        wanted += mine + _guarded(part, "read", _companions, mine)
    wanted = sorted(set(wanted))
    for done, path in enumerate(wanted, 1):
        _fetch(path, local_path(path, cache_folder))
        if progress:
            progress("fetch", done, len(wanted), "files", note=path.rpartition("/")[2])
    return list(dict.fromkeys(records))


def fetched_model(path, cache_folder):
    """Copies a remote model here: a folder, or a checkpoint's prefix with the config and vocabulary beside it.

    Returns:
        The local folder or prefix as a string; a local path as it was given.

    Raises:
        UserError: nothing is there, or it cannot be read.
    """
    path = os.fspath(path)
    if not is_remote(path):
        return path
    path = path.rstrip("/")
    matches = _guarded(path, "read", _model_files, path)
    if not matches:
        raise UserError(f"{path} holds no model; give the folder of one, or a checkpoint's prefix.")
    for each in matches:
        _fetch(each, local_path(each, cache_folder))
    return str(local_path(path, cache_folder))


def local_path(path, cache_folder):
    """Returns where a remote file is copied to.

    >>> print(local_path("gs://bucket/wiki/a.tfrecord", "cache"))
    cache/gs/bucket/wiki/a.tfrecord
    """
    scheme, _, place = path.partition("://")
    return Path(cache_folder, scheme, *(part for part in place.split("/") if part not in ("", ".", "..")))


class Mirror:
    """Keeps a remote folder like a local one: `push` after each checkpoint, `pull` before a run is resumed.

    Hidden files and what is still being written (`*.partial`) are left out.

    Args:
        local_folder: the run's output folder.
        remote_folder: a remote path; it is made when it is first written to.
    """

    def __init__(self, local_folder, remote_folder):
        self.local, self.remote = Path(local_folder), os.fspath(remote_folder).rstrip("/")
        self._pushed = {}  # {relative path: (bytes, second of its last change here)} of what lies there

    def push(self):
        """Copies what is new or changed, `notes.json` of checkpoints and then `run.json` last; then removes what it had
        pushed and is gone here.

        Raises:
            UserError: the remote folder cannot be written.
        """
        _guarded(self.remote, "written", self._push)

    def pull(self):
        """Copies here what is missing, or older and of another size; checkpoints whole, those without notes not at all.

        Raises:
            UserError: the remote folder cannot be read.
        """
        _guarded(self.remote, "read", self._pull)

    def _push(self):
        here = _local_files(self.local)
        there = None
        for name in sorted(here, key=lambda name: (name == RUN, name.endswith(f"/{LAST}"), name)):
            if self._pushed.get(name) == here[name]:
                continue
            there = _remote_files(self.remote) if there is None else there
            size, changed = here[name]
            if name not in there or there[name][0] != size or there[name][1] < changed:
                _gfile().makedirs(f"{self.remote}/{name}".rpartition("/")[0])
                _gfile().copy(str(self.local / name), f"{self.remote}/{name}", overwrite=True)
            self._pushed[name] = here[name]
        gone = sorted(self._pushed.keys() - here.keys(), key=lambda name: not name.endswith(f"/{LAST}"))
        for name in gone:
            _gfile().remove(f"{self.remote}/{name}")
            del self._pushed[name]

    def _pull(self):
        here, there = _local_files(self.local), _remote_files(self.remote)
        checkpoints = {name.removesuffix(f"/{LAST}") for name in there if name.endswith(f"/{LAST}")}
        for folder in sorted(checkpoints):
            names = [name for name in there if name.rpartition("/")[0] == folder]
            if not all(_is_current(here.get(name), there[name]) for name in names):
                with atomic_path(self.local / folder) as temporary:
                    temporary.mkdir()
                    for name in names:
                        _copy_here(f"{self.remote}/{name}", temporary / name.rpartition("/")[2])
        unfinished = {name.rpartition("/")[0] for name in there if name.startswith("checkpoints/")} - checkpoints
        for name in sorted(there):
            if name.rpartition("/")[0] not in checkpoints | unfinished and not _is_current(here.get(name), there[name]):
                with atomic_path(self.local / name) as temporary:
                    _copy_here(f"{self.remote}/{name}", temporary)
        self._pushed = {name: value for name, value in _local_files(self.local).items() if name in there}


def _gfile():
    import tensorflow as tf

    return tf.io.gfile


def _guarded(place, verb, function, *args):
    """Calls a function, and makes a UserError of what gfile raises."""
    import tensorflow as tf

    try:
        return function(*args)
    except tf.errors.OpError as error:
        raise UserError(
            f"{place} cannot be {verb} ({str(error).splitlines()[0].strip()}); check its name, the network and your "
            "right to it."
        ) from error


def _matches(pattern):
    """Returns the files that a remote path, glob or folder names."""
    gfile = _gfile()
    if gfile.isdir(pattern):
        return [f"{pattern.rstrip('/')}/{name}" for name in _remote_files(pattern)]
    return [path for path in gfile.glob(pattern) if not gfile.isdir(path)]


def _companions(records):
    """Returns the manifests and vocabularies that stand beside records."""
    stems = {(path.rpartition("/")[0], stem_of(path).name) for path in records}
    beside = {folder: set(_gfile().listdir(folder)) for folder, _ in stems}
    names = [(folder, f"{stem}{suffix}") for folder, stem in stems for suffix in COMPANIONS]
    return [f"{folder}/{name}" for folder, name in names if name in beside[folder]]


def _model_files(path):
    """Returns the files of a model folder, or those of a prefix and what stands beside it."""
    gfile = _gfile()
    if gfile.isdir(path):
        return [f"{path}/{name}" for name in _remote_files(path)]
    folder = path.rpartition("/")[0]
    found = gfile.glob(f"{path}*")
    names = gfile.listdir(folder) if found else []
    return found + [f"{folder}/{name}" for each in BESIDE_MODELS for name in fnmatch.filter(names, each)]


def _remote_files(folder):
    """Returns {relative path: (bytes, second of its last change)} of a remote folder, {} if it does not exist."""
    gfile, found = _gfile(), {}
    for place, _, names in gfile.walk(folder.rstrip("/")):
        for name in names:
            path = f"{place.rstrip('/')}/{name}"
            relative = path.removeprefix(f"{folder.rstrip('/')}/")
            if name and not relative.startswith("."):
                found[relative] = _size_and_time(path)
    return found


def _local_files(folder):
    """Returns the same of a local folder, without hidden files and those being written."""
    found = {}
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") or part.endswith(".partial") for part in relative.parts):
            status = path.stat()
            found[relative.as_posix()] = (status.st_size, status.st_mtime_ns // NANOSECONDS)
    return found


def _size_and_time(path):
    """Returns the same of one remote file. Some file systems keep whole seconds, some no time at all, which is 0."""
    status = _gfile().stat(path)
    return status.length, status.mtime_nsec // NANOSECONDS


def _is_current(here, there):
    """Says whether a local file need not be fetched: of the same size and no older than there, or changed since."""
    return here is not None and (here[1] >= there[1] or here[0] == there[0])


def _fetch(path, local):
    """Copies a remote file, unless it is here."""
    size, changed = _guarded(path, "read", _size_and_time, path)
    if local.is_file() and local.stat().st_size == size and local.stat().st_mtime >= changed:
        return
    with atomic_path(local) as temporary:
        _guarded(path, "read", _copy_here, path, temporary)


def _copy_here(path, local):
    """Copies a remote file, and makes sure that all of it came."""
    _gfile().copy(path, str(local), overwrite=True)
    size = _gfile().stat(path).length
    if local.stat().st_size != size:
        raise UserError(f"{path} came in part ({local.stat().st_size} of {size} bytes); try again.")
