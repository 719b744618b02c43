"""The data tool as a command."""

import json
import subprocess
import sys

from keras_bert.cli.main import main
from tests.tfrecords.tool import REPOSITORY, command


def test_command_says_what_it_did(corpus_file, vocab_file, tmp_path, capsys):
    argv = command(corpus_file, vocab_file, tmp_path / "a.tfrecord", "--max_predictions_per_seq=5", "--num_shards=2")
    assert main(argv) == 0
    out, progress = capsys.readouterr()
    for expected in (
        "input format: sentences",
        "chosen by --input_format=auto",
        "12 documents",
        "example: [CLS]",
        "[MASK]",
        "next sentence:",
        "instances/s",
        "a.tfrecord-00000-of-00002",
        "a.manifest.json",
        "a.vocab.txt",
        "next: keras-bert pretrain --input_file",
    ):
        assert expected in out
    assert "writing" in progress
    assert main(argv) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*argv, "--force"]) == 0


def test_short_documents_are_told_of_their_padding(vocab_file, tmp_path, capsys):
    lines = [f"{word} dog ran." for word in ("a", "the", "one")] * 20
    for name, between in (("apart", "\n\n"), ("together", "\n")):
        (tmp_path / f"{name}.txt").write_text(between.join(lines) + "\n")
        flags = ["--sentence_task=none", "--max_seq_length=32", "--input_format=sentences"]
        assert main(command(tmp_path / f"{name}.txt", vocab_file, tmp_path / f"{name}.tfrecord", *flags)) == 0
        manifest = json.loads((tmp_path / f"{name}.manifest.json").read_text())
        filled = manifest["statistics"]["real_tokens"] / manifest["statistics"]["instances"]
        told = f"{filled:.0f} of 32 places are filled on average, since documents are short" in capsys.readouterr().out
        assert told == (name == "apart"), manifest["statistics"]


def test_command_takes_googles_flags(corpus_file, vocab_file, tmp_path, capsys):
    flags = "--do_lower_case=True --nodo_whole_word_mask --max_predictions_per_seq=6 --random_seed=7 --dupe_factor=2"
    more = [*flags.split(), "--masked_lm_prob=0.2", "--short_seq_prob=0.3", "--input_format=sentences"]
    assert main(command(corpus_file, vocab_file, tmp_path / "a.tfrecord", *more)) == 0
    manifest = json.loads((tmp_path / "a.manifest.json").read_text())
    assert (manifest["masked_lm_prob"], manifest["masking"]) == (0.2, "token")
    assert manifest["settings"] == {
        "input_files": [str(corpus_file)],
        "input_format": "sentences",
        "text_field": "text",
        "short_seq_prob": 0.3,
        "dupe_factor": 2,
        "random_seed": 7,
        "num_shards": 1,
    }
    more[1] = "--do_whole_word_mask"
    assert main(command(corpus_file, vocab_file, tmp_path / "b.tfrecord", *more)) == 0
    assert json.loads((tmp_path / "b.manifest.json").read_text())["masking"] == "whole_word"


def test_module_is_the_command_and_needs_no_tensorflow(corpus_file, vocab_file, tmp_path):
    probe = (
        "import runpy, sys\n"
        "try:\n    runpy.run_module('tfrecords.create_pretraining_data', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'tensorflow' not in sys.modules"
    )
    argv = command(corpus_file, vocab_file, tmp_path / "a.tfrecord")[1:]
    done = subprocess.run([sys.executable, "-c", probe, *argv], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.tfrecord").stat().st_size > 0
