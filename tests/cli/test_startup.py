"""TensorFlow's start-up notes are hidden, and nothing else is."""

import os

from keras_bert_cli.startup import hidden_notes


def test_notes_are_hidden_and_other_lines_are_shown(capfd):
    with hidden_notes():
        os.write(2, b"I0000 00:00:17.1 17 port.cc:153] oneDNN custom operations are on.\n")
        os.write(2, b"E0000 00:00:17.1 17 cuda_platform.cc:52] failed call to cuInit\n")
        os.write(2, b"F0000 00:00:17.1 17 check.cc:1] Check failed\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "F0000 00:00:17.1 17 check.cc:1] Check failed\nafter\n"
