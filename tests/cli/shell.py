"""Commands as the shell runs them: bytes on standard input, lines of JSON on standard output."""

import io
import json
import sys
import types

from keras_bert.cli.main import main


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def stdin(data, *, isatty=False):
    """Returns what stands for sys.stdin: bytes that are there at once."""
    return types.SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: isatty)


def lines(objects):
    """Returns objects as JSON lines, bytes."""
    return "".join(json.dumps(each) + "\n" for each in objects).encode()


class Shell:
    """Runs commands in this process.

    Args:
        monkeypatch, capsys: pytest's.
        folder: where the models are.
    """

    def __init__(self, monkeypatch, capsys, folder):
        self.monkeypatch, self.capsys, self.folder = monkeypatch, capsys, folder
        self.error = ""

    def __call__(self, command, model, *words, data=b"", isatty=False, status=0):
        """Runs a command, asserts its exit status and returns its answers; `error` has what it said beside them."""
        self.monkeypatch.setattr(sys, "stdin", stdin(data, isatty=isatty))
        self.capsys.readouterr()
        assert main([command, f"--model_dir={self.folder / model}", *map(str, words)]) == status
        captured = self.capsys.readouterr()
        self.error = captured.err
        assert captured.out == "" or captured.out.endswith("\n")
        return [json.loads(line) for line in captured.out.split("\n")[:-1]]

    def refused(self, command, model, *words, **options):
        """Runs a command that is to fail. Returns its one sentence and the answers before it."""
        answers = self(command, model, *words, status=2, **options)
        sentence = self.error.splitlines()[-1]
        assert sentence.startswith(f"keras-bert {command}: ")
        assert "Traceback" not in self.error
        return sentence, answers
