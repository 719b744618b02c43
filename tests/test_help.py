"""The examples that --help shows: each command has some, and they run one after the other, but for sizes."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

import keras_bert as kb
from keras_bert.cli.main import COMMANDS, command_parser
from tests.pages import INDENTED, commands_of
from tests.running import SMALLER, run_command
from tests.tasks.glue.data import write_glue

OUTPUT = re.compile(r"(?:--output_(?:dir|file)[= ]|--vocab_file=|> )(\S+)")
MINUTES = "quickstart"  # its examples are `make quickstart`, and that on another text


def examples_of(words):
    """Returns the command lines that `keras-bert COMMAND --help` shows, those of `inspect records` and its like too."""
    blocks = [block for block in INDENTED.findall(command_parser(words)[1].__doc__) if "keras-bert " in block]
    return [line for block in blocks for line in commands_of(block)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_examples_of_its_own_command(command):
    lines = examples_of([command])
    assert lines
    assert all(f"keras-bert {command}" in line for line in lines)


@pytest.fixture
def named(world_folder, tmp_path):
    """The world's folder, with what else the examples name."""
    shutil.copy("train.tsv", "dev.tsv")
    shutil.copy("sentences.txt", "reviews.txt")
    (tmp_path / "texts.txt").write_text("It was the [MASK] day.\n", encoding="utf-8")
    (tmp_path / "texts.jsonl").write_text('{"text": "Ann saw Rome."}\n', encoding="utf-8")
    choices = '{"context": "He sat down.", "choices": ["He ate.", "He flew."]}\n'
    (tmp_path / "questions.jsonl").write_text(choices, encoding="utf-8")
    tokenizer = kb.Tokenizer.from_pretrained("model")
    reader = kb.BertSpanLabeler(kb.BertEncoder.from_pretrained("model"))
    reader.save_pretrained("reader", tokenizer=tokenizer)
    shutil.rmtree("glue")
    write_glue(tmp_path / "glue")
    mnli = "keras-bert glue --task_name MNLI --data_dir glue/MNLI --init_checkpoint model --output_dir out/MNLI"
    run_command(mnli, SMALLER, where="before the examples")


@pytest.mark.slow
def test_the_examples_of_every_help_run_in_order(named):
    lines = [line for command in COMMANDS if command != MINUTES for line in examples_of([command])]
    if importlib.util.find_spec("tf2onnx") is None:
        lines = [line for line in lines if "--format=onnx" not in line]
    for line in lines:
        run_command(line, SMALLER, where="--help")
        for path in OUTPUT.findall(line):
            assert Path(path).exists(), f"{line}\nwrote no {path}"
    assert Path("out", "submission.zip").stat().st_size > 0
