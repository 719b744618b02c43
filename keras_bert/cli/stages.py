"""Stages of a chain: each is run once, remembered with its time, and run again when anything before it has changed."""

import hashlib
import json
import shlex
import time
from pathlib import Path

from keras_bert.files import parse_json
from keras_bert.outputs import atomic_path


class Stages:
    """Runs stages in order and remembers the finished ones in a folder, so that a second run reuses them.

    A stage is known by its own command and by all stages before it: where one has changed, it and
    everything after it is done again.

    Args:
        folder: where the finished stages are noted.
        start: text that the whole chain depends on, such as versions.
        log: callable(line).

    Attributes:
        seconds: {stage: seconds it took, when it was run}.
        reused: names of the stages that were not run again.
        interrupted: whether the stage that runs is one that was begun before, by the same command on the same input.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for command in ("echo a", "echo a", "echo b"):
        ...         stages = Stages(Path(folder), "v1", print)
        ...         _ = stages.run("greet", command, lambda: {"said": command[-1]}, outputs=[])
        == greet
        == greet: reused, as it was done before by the same command on the same input
        == greet: done again, since its command or input has changed
    """

    def __init__(self, folder, start, log):
        self.folder, self.log = Path(folder), log
        self.chain = hashlib.sha256(start.encode()).hexdigest()
        self.seconds, self.reused, self.interrupted = {}, [], False

    def run(self, name, key, work, *, outputs):
        """Runs one stage, or gives back what it returned when it was run before.

        Args:
            name: the stage's name.
            key: text that says what it does, such as its command line.
            work: callable() -> result fit for JSON.
            outputs: paths that must stand for the stage to count as done.
        """
        self.chain = hashlib.sha256(f"{self.chain}\n{name}\n{key}".encode()).hexdigest()
        note = self.folder / f"{name}.json"
        known = _read(note)
        same, over = known.get("chain") == self.chain, "result" in known
        self.interrupted = same and not over
        if same and over and all(Path(output).exists() for output in outputs):
            self.log(f"== {name}: reused, as it was done before by the same command on the same input")
            self.reused.append(name)
        else:
            again = ": once more, as it was interrupted" if self.interrupted else ""
            if over:
                again = ": done again, since its command or input has changed"
            self.log(f"== {name}{again}")
            _write(note, {"chain": self.chain})
            start = time.monotonic()
            result = work()
            known = {"chain": self.chain, "seconds": round(time.monotonic() - start, 1), "result": result}
            _write(note, known)
        self.seconds[name] = known["seconds"]
        return known["result"]


def _write(path, note):
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(note, indent=1), encoding="utf-8")


def _read(path):
    """Returns the note of a stage, with its "result" if it was finished, or {} if none can be read."""
    try:
        note = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def command_line(argv):
    r"""Returns a command as it is typed, a flag a line where it is long.

    >>> print(command_line(["train_vocab", "--input_file=a b.txt"]))
    $ keras-bert train_vocab --input_file='a b.txt'
    """
    parts = [f"{flag}={shlex.quote(value)}" if eq and flag.startswith("--") else shlex.quote(flag + eq + value)
             for flag, eq, value in (str(arg).partition("=") for arg in argv)]  # fmt: skip
    line = " ".join(["$ keras-bert", *parts])
    return line if len(line) <= 110 else "$ keras-bert " + " \\\n      ".join([parts[0], *parts[1:]])
