"""`keras-bert convert`: every format into every other, what is said on the way, and what is refused."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from keras_bert.checkpoints import FORMATS, find_format, open_checkpoint, write_checkpoint
from keras_bert.cli.main import main
from keras_bert.models import Encoder
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.reference_bert import write_google
from tests.reference_huggingface import write_huggingface, write_tokenizer

TOKENIZER = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *(f"word{i}" for i in range(19))]), do_lower_case=False)


def convert(*flags):
    return main(["convert", *map(str, flags)])


@pytest.fixture
def sources(golden, tmp_path):
    """A pre-trained model in each format, with a vocabulary that keeps upper case."""
    for format in FORMATS:
        checkpoint = open_checkpoint(golden / "model")
        write_checkpoint(checkpoint, tmp_path / format, tokenizer=TOKENIZER, format=format)
    return tmp_path


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_any_format_becomes_any_other(sources, capsys, source, target):
    assert convert("--init_checkpoint", sources / source, "--output_dir", sources / "new", "--format", target) == 0
    assert find_format(sources / "new") == ("google" if target == "google" else "huggingface")
    old, new = open_checkpoint(sources / source), open_checkpoint(sources / "new")
    assert new.config == old.config
    assert new.shapes == old.shapes
    for name in old.shapes:
        np.testing.assert_array_equal(new.read(name), old.read(name))
    again = Tokenizer.from_pretrained(sources / "new")
    assert again.vocabulary.tokens == TOKENIZER.vocabulary.tokens
    assert not again.do_lower_case
    output = capsys.readouterr().out
    number = sum(int(np.prod(shape)) for shape in old.shapes.values())
    what = FORMATS["google" if source == "google" else "huggingface"].what
    assert f"{what}: 2 layers of 8, vocabulary 24, gelu_tanh, {number:,} weights)" in output
    assert "vocabulary: 24 entries, cased" in output
    assert f"wrote {sources / 'new'} (0.0 MB): " in output
    assert output.splitlines()[-1].startswith("next: ")
    assert "note:" not in output


def test_labels_travel_and_what_has_no_place_is_named(golden, tmp_path, capsys):
    source = golden / "huggingface" / "token_classification"
    convert("--init_checkpoint", source, "--output_dir", tmp_path / "ours", "--format", "keras_bert")
    output = capsys.readouterr().out
    assert "head: tag, output_bias, output_weights, 5 classes" in output
    assert "vocabulary: none beside the checkpoint" in output
    assert f"next: keras-bert inspect {tmp_path / 'ours'}" in output
    convert("--init_checkpoint", tmp_path / "ours", "--output_dir", tmp_path / "theirs", "--format", "huggingface")
    fields = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert fields["id2label"] == {str(i): f"LABEL_{i}" for i in range(5)}
    assert "next: transformers.BertForTokenClassification.from_pretrained(" in capsys.readouterr().out
    convert("--init_checkpoint", tmp_path / "ours", "--output_dir", tmp_path / "google", "--format", "google")
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert "gelu is the exact one (erf)" in notes[0]
    assert "no place for the task's task=tag, labels=" in notes[1]
    assert len(notes) == 2


def next_line(capsys, *flags):
    assert convert(*flags) == 0
    return capsys.readouterr().out.splitlines()[-1]


def with_vocabulary(source, folder, task, *, lower=False):
    """Writes a golden Hugging Face model of a head as our directory, with a vocabulary."""
    tokenizer = Tokenizer(TOKENIZER.vocabulary, do_lower_case=lower)
    write_checkpoint(open_checkpoint(source / "huggingface" / task), folder, tokenizer=tokenizer)
    return folder


@pytest.mark.parametrize(
    ("head", "script", "has_vocabulary"),
    [
        ("pretraining", "run_pretraining.py", False),
        ("sequence_classification", "run_classifier.py", True),
        ("question_answering", "run_squad.py", True),
        ("token_classification", "run_classifier.py", True),
        ("multiple_choice", "run_classifier.py", True),
    ],
)
def test_the_next_command_is_one_that_the_head_can_do(golden, tmp_path, capsys, head, script, has_vocabulary):
    source = with_vocabulary(golden, tmp_path / "source", head)
    flags = ("--init_checkpoint", source, "--output_dir")
    assert next_line(capsys, *flags, tmp_path / "new", "--format", "keras_bert").startswith("next: keras-bert export ")
    line = next_line(capsys, *flags, tmp_path / "google", "--format", "google")
    assert line.startswith(
        f"next: python {script} --bert_config_file={tmp_path}/google/bert_config.json --init_checkpoint="
    )
    assert ("--vocab_file=" in line, "--do_lower_case=False" in line) == (has_vocabulary, has_vocabulary)
    source = with_vocabulary(golden, tmp_path / "lower", head, lower=True)
    line = next_line(capsys, "--init_checkpoint", source, "--output_dir", tmp_path / "low", "--format", "google")
    assert "do_lower_case" not in line


def test_what_is_proposed_for_export_is_what_serving_needs(golden, tmp_path, capsys):
    checkpoint = open_checkpoint(with_vocabulary(golden, tmp_path / "whole", "pretraining"))
    shapes = {name: shape for name, shape in checkpoint.shapes.items() if not name.startswith("cls/predictions/")}
    write_checkpoint(dataclasses.replace(checkpoint, shapes=shapes), tmp_path / "part", tokenizer=TOKENIZER)
    flags = ("--output_dir", tmp_path / "new", "--format", "keras_bert")
    assert "next: keras-bert inspect" in next_line(capsys, "--init_checkpoint", tmp_path / "part", *flags)


def test_only_what_was_written_is_listed(sources, capsys):
    (sources / "new").mkdir()
    (sources / "new" / "mine.txt").write_text("x" * 10**6)
    convert("--init_checkpoint", sources / "google", "--output_dir", sources / "new", "--format", "keras_bert")
    files = "config.json, model.safetensors, tokenizer_config.json, vocab.txt\n"
    assert f"wrote {sources / 'new'} (0.0 MB): {files}" in capsys.readouterr().out


def test_a_multi_label_classifier_stays_one_and_one_class_is_no_plural(golden, tmp_path, capsys):
    arrays = {name: open_checkpoint(golden / "model").read(name) for name in open_checkpoint(golden / "model").shapes}
    for number, classes in ((1, "1 class\n"), (3, "3 classes\n")):
        head = {"classifier/output_weights": np.zeros((number, 8), "f4"), "classifier/bias": np.zeros(number, "f4")}
        folder = write_huggingface(tmp_path / f"hf{number}", arrays | head, problem_type="multi_label_classification")
        convert("--init_checkpoint", folder, "--output_dir", tmp_path / f"{number}", "--format", "keras_bert")
        output = capsys.readouterr().out
        assert f", output_bias, output_weights, {classes}" in output
        assert open_checkpoint(tmp_path / f"{number}").task["multi_label"] is True


@pytest.mark.parametrize("place", ["new", "new/deep", "standing"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(sources, capsys, monkeypatch, place):
    (sources / "standing").mkdir()
    refused = sources / "standing" if place == "standing" else sources
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(refused) or mode != os.W_OK | os.X_OK)
    flags = ("--init_checkpoint", sources / "google", "--output_dir", sources / place, "--format", "keras_bert")
    assert convert(*flags) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"Cannot write {sources / place}: this user may not write to {refused}; choose another" in captured.err
    assert sorted(os.listdir(sources)) == sorted([*FORMATS, "standing"])


def test_the_vocabulary_comes_from_the_flag_where_it_is_given(golden, tmp_path, capsys):
    TOKENIZER.vocabulary.save(tmp_path / "vocab.txt")
    flags = ("--init_checkpoint", golden / "model", "--format", "huggingface", "--vocab_file", tmp_path / "vocab.txt")
    convert(*flags, "--output_dir", tmp_path / "lower")
    convert(*flags, "--output_dir", tmp_path / "cased", "--do_lower_case=False")
    assert Tokenizer.from_pretrained(tmp_path / "lower").do_lower_case
    assert not Tokenizer.from_pretrained(tmp_path / "cased").do_lower_case
    output = capsys.readouterr().out
    assert output.index("24 entries, lower-cased") < output.index("24 entries, cased")


@pytest.mark.parametrize("target", FORMATS)
def test_a_tokenizer_json_becomes_a_vocab_txt(sources, capsys, target):
    source = sources / "huggingface"
    for name in ("vocab.txt", "tokenizer_config.json"):
        (source / name).unlink()
    write_tokenizer(source, TOKENIZER.vocabulary.tokens, lowercase=False, handle_chinese_chars=False)
    convert("--init_checkpoint", source, "--output_dir", sources / "new", "--format", target)
    assert (sources / "new" / "vocab.txt").read_text().splitlines() == list(TOKENIZER.vocabulary.tokens)
    again = Tokenizer.from_pretrained(sources / "new")
    assert (again.do_lower_case, again.tokenize_chinese_chars) == (False, False)
    assert "vocabulary: 24 entries, cased" in capsys.readouterr().out


def test_what_is_left_out_of_a_training_checkpoint_is_said(golden, tmp_path, capsys):
    checkpoint = open_checkpoint(golden / "model")
    arrays = {name: checkpoint.read(name) for name in checkpoint.shapes}
    slots = {f"{name}/adam_m": array for name, array in arrays.items()}
    fields = json.loads((golden / "model" / "bert_config.json").read_text())
    write_google(tmp_path / "trained", fields, {**arrays, **slots, "global_step": np.array(20, np.int64)})
    convert("--init_checkpoint", tmp_path / "trained", "--output_dir", tmp_path / "new", "--format", "keras_bert")
    note = f"note: arrays of the optimizer that were left out: {len(arrays) + 1}\n"
    assert note in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            "--init_checkpoint {google} --output_dir {new} --format onnx",
            "format must be one of keras_bert, huggingface, google",
        ),
        ("--init_checkpoint {google}x --output_dir {new} --format google", "googlex does not exist; expected"),
        (
            "--init_checkpoint {google} --output_dir {google}/../google --format google",
            "is where --init_checkpoint lies",
        ),
        ("--init_checkpoint {google}/bert_model.ckpt --output_dir {google} --format keras_bert", "is where --init"),
        (
            "--init_checkpoint {google} --output_dir {ours} --format google",
            "holds a Hugging Face directory already",
        ),
        (
            "--init_checkpoint {google} --output_dir {new} --format google --vocab_file {short}",
            "tokenizer has 25 entries",
        ),
        ("--init_checkpoint {golden} --output_dir {new} --format google --do_lower_case", "needs a vocabulary"),
        (
            "--init_checkpoint {google} --output_dir {short}/new --format google",
            "short.txt is a file where a directory",
        ),
        ("--init_checkpoint {google} --output_dir {short} --format google", "short.txt is a file where a directory"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence(sources, golden, capsys, flags, sentence):
    Vocabulary([*TOKENIZER.vocabulary.tokens, "more"]).save(sources / "short.txt")
    places = {"google": sources / "google", "ours": sources / "keras_bert", "golden": golden / "model"}
    before = sorted(os.listdir(sources))
    assert convert(*flags.format(**places, new=sources / "new", short=sources / "short.txt").split()) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("keras-bert convert: ")
    assert error.count("\n") == 1
    assert sorted(os.listdir(sources)) == before


def test_a_vocabulary_larger_than_the_checkpoint_is_refused_with_both_numbers(sources, capsys):
    Vocabulary([*TOKENIZER.vocabulary.tokens, "more"]).save(sources / "google" / "vocab.txt")
    flags = ("--init_checkpoint", sources / "google", "--output_dir", sources / "new", "--format", "keras_bert")
    assert convert(*flags) == 2
    assert "vocab.txt has 25 entries, but the checkpoint's vocab_size is 24" in capsys.readouterr().err


def test_neither_tensorflow_nor_keras_is_started(sources):
    script = (
        "import sys\nfrom keras_bert.cli.main import main\n"
        f"assert main(['convert', '--init_checkpoint', {str(sources / 'google')!r}, '--format', 'huggingface', "
        f"'--output_dir', {str(sources / 'new')!r}]) == 0\n"
        "assert not {'tensorflow', 'keras', 'safetensors'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", ["keras_bert", "huggingface"])
def test_a_tokenizer_that_cannot_be_read_is_copied_unread(golden, tmp_path, capsys, target):
    source = shutil.copytree(golden / "huggingface" / "pretraining", tmp_path / "source")
    files = {"bpe.codes": "a b", "dict.txt": "a 1", "tokenizer_config.json": '{"tokenizer_class": "PhobertTokenizer"}'}
    for name, text in files.items():
        (source / name).write_text(text)
    flags = ("--init_checkpoint", source, "--output_dir", tmp_path / "new", "--format", target)
    assert convert(*flags) == 0
    said = "vocabulary: of a kind that cannot be read, PhobertTokenizer; copied unread: bpe.codes, dict.txt, "
    assert said + "tokenizer_config.json\n" in capsys.readouterr().out
    for name, text in files.items():
        assert (tmp_path / "new" / name).read_text() == text
    assert not (tmp_path / "new" / "vocab.txt").exists()
    assert Encoder.from_pretrained(tmp_path / "new").load_report.new == []
    assert convert(*flags[:2], "--output_dir", tmp_path / "other", "--format", target, "--do_lower_case") == 2
    assert "is of a kind that cannot be read, PhobertTokenizer (" in capsys.readouterr().err
