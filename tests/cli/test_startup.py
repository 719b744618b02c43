"""TensorFlow's start-up notes are hidden, and nothing else is."""

import os
import sys

from keras_bert.cli.startup import hidden_notes
from tests.cli.shell import Terminal


def test_notes_are_hidden_and_other_lines_are_shown(capfd):
    with hidden_notes():
        os.write(2, b"I0000 00:00:17.1 17 port.cc:153] oneDNN custom operations are on.\n")
        os.write(2, b"E0000 00:00:17.1 17 cuda_platform.cc:52] failed call to cuInit\n")
        os.write(2, b"F0000 00:00:17.1 17 check.cc:1] Check failed\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "F0000 00:00:17.1 17 check.cc:1] Check failed\nafter\n"


def test_what_is_waited_for_is_shown_on_a_terminal_alone(monkeypatch, capfd):
    with hidden_notes(meanwhile="loading..."):
        pass
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", Terminal())
    with hidden_notes(meanwhile="loading..."):
        assert sys.stderr.getvalue() == "loading..."
    assert sys.stderr.getvalue() == "loading...\r          \r"
