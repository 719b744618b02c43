"""A command between real pipes: answers while the input goes on, and an end without a word when nobody reads them."""

import json
import os
import signal
import subprocess
import sys

import pytest

from keras_bert.config import BertConfig
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

PATIENCE = 120  # seconds; generous, as TensorFlow starts slowly on a busy machine


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The directory of a classifier with random weights."""
    folder = tmp_path_factory.mktemp("pipes") / "classifier"
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *"abc"]))
    config = BertConfig.from_name("L-1_H-16", vocab_size=tokenizer.vocab_size, max_position_embeddings=16)
    BertClassifier(BertEncoder(config), 2, labels=["x", "y"]).save_pretrained(folder, tokenizer=tokenizer)
    return folder


def heeding_ctrl_c():
    """Undoes what a shell does to programs in the background, whose children would not heed Ctrl-C either."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start(model):
    """A function that starts predict with standard input and output as pipes; what still runs at the end is killed."""
    started = []

    def start():
        command = [sys.executable, "-m", "keras_bert.cli.main", "predict", f"--model_dir={model}", "--max_seq_length=8"]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        started.append(subprocess.Popen(command, **pipes, env=environment, preexec_fn=heeding_ctrl_c))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ask(process, line):
    """Writes a line and reads its answer, while the input goes on."""
    process.stdin.write(line + b"\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_each_line_is_answered_while_the_input_goes_on(start):
    process = start()
    answers = [ask(process, line) for line in (b"a", b"", "b é".encode())]
    assert [answer["text"] for answer in answers] == ["a", "", "b é"]
    assert all(list(answer["probabilities"]) == ["x", "y"] for answer in answers)
    output, error = process.communicate(b"c\n\xff\na\n", timeout=PATIENCE)
    assert [json.loads(line)["text"] for line in output.splitlines()] == ["c"]
    assert error.decode().splitlines()[-1].startswith("keras-bert predict: standard input, line 5: not UTF-8")
    assert process.returncode == 2


@pytest.mark.slow
def test_it_ends_quietly_when_nobody_reads_and_when_it_is_interrupted(start):
    unread, interrupted = start(), start()
    ask(unread, b"a")
    unread.stdout.close()
    unread.stdin.write(b"a\n" * 10)
    unread.stdin.flush()
    assert unread.wait(timeout=PATIENCE) == 141
    assert b"Traceback" not in unread.stderr.read()
    ask(interrupted, b"a")
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(timeout=PATIENCE) == 130
    assert b"Traceback" not in interrupted.stderr.read()
