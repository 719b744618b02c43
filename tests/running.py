"""Runs the commands of pages and of --help, but for sizes."""

import os
import re
import shlex
import subprocess

from keras_bert.cli.main import main
from tests.pages import our_command

# {command: flags that make it small, or let it run twice}, in the place of its own.
SMALLER = {
    "train_vocab": "--vocab_size=160 --force",
    "create_pretraining_data": "--max_seq_length=32 --max_predictions_per_seq=5 --dupe_factor=2 --force",
    "pretrain": "--bert_config_file=tiny --train_batch_size=4 --num_train_steps=4 --num_warmup_steps=1 --force",
    "classify": "--max_seq_length=16 --num_train_epochs=1 --num_runs=1 --force",
    "glue": "--max_seq_length=32 --num_train_epochs=1 --force",
    "answer": "--max_seq_length=48 --max_query_length=8 --doc_stride=8 --num_train_epochs=1 --force",
    "tag": "--max_seq_length=16 --num_train_epochs=1 --force",
    "choose": "--max_seq_length=16 --num_train_epochs=1 --force",
    "predict": "--force",
    "embed": "--force",
    "export": "--force",
}
SMALLER |= {older: SMALLER[today] for older, today in (("squad", "answer"), ("ner", "tag"), ("swag", "choose"))}
SMALLER_WITH = {"--model=bpe": "--vocab_size=290"}  # {flag: further flags}; 256 bytes come first
NEEDS_A_PROCESS = re.compile(r"^[A-Z_]+=|--deterministic|[|<>&;]")  # a setting of the whole process, or a shell


def run_command(line, smaller, *, where):
    """Runs a command line, ours in this process where that is possible, and asserts that it ends well."""
    words = our_command(os.path.expandvars(line))
    small = smaller.get(words[0], "") if words else ""
    small = " ".join([small, *(more for flag, more in SMALLER_WITH.items() if words and flag in words)])
    if words and not NEEDS_A_PROCESS.search(line):
        assert main([*words, *shlex.split(small)]) == 0, f"{where}: {line}"
    else:
        done = subprocess.run(["bash", "-c", f"{line} {small}"], capture_output=True, text=True)
        assert done.returncode == 0, f"{where}: {line}\n{done.stderr[-3000:]}"
