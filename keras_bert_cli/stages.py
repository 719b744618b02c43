"""Stages of a chain: each is run once, remembered with its time, and run again when anything before it has changed."""

import hashlib
import json
import shlex
import time
from pathlib import Path

from keras_bert.files import atomic_path


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
        self.seconds, self.reused = {}, []

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
        if known.get("chain") == self.chain and all(Path(output).exists() for output in outputs):
            self.log(f"== {name}: reused, as it was done before by the same command on the same input")
            self.reused.append(name)
        else:
            self.log(f"== {name}" + (": done again, since its command or input has changed" if known else ""))
            note.unlink(missing_ok=True)
            start = time.monotonic()
            result = work()
            known = {"chain": self.chain, "seconds": round(time.monotonic() - start, 1), "result": result}
            with atomic_path(note) as temporary:
                temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
        self.seconds[name] = known["seconds"]
        return known["result"]


def _read(path):
    """Returns the note of a finished stage, or {} where there is none that can be read."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
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
