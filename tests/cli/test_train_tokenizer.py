"""train_vocab --model=bpe and --model=unigram: what they write, say and refuse."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_bert.cli.main import dispatch, main
from keras_bert.cli.vocabulary_models import FAMILIES
from keras_bert.text.learning.bpe import FAMILIES as BPE_FAMILIES
from keras_bert.text.learning.sentence_piece import FAMILIES as UNIGRAM_FAMILIES
from keras_bert.text.tokenizer import Tokenizer
from tests.cli.vocabularies import expect_error

SIZE = 300
ROOT = Path(__file__).resolve().parents[2]


def arguments(text_file, vocab_file, *more):
    named = [f"--input_file={text_file}", f"--vocab_file={vocab_file}", f"--vocab_size={SIZE}"]
    return ["train_vocab", *named, *more]


FILES = {
    "bpe": ["merges.txt", "tokenizer_config.json", "vocab.json"],
    "unigram": ["spiece.model", "tokenizer_config.json"],
}


def kind_arguments(model, text_file, folder, *more):
    size = {"bpe": SIZE, "unigram": 120}[model]
    named = [f"--model={model}", f"--input_file={text_file}", f"--vocab_file={folder}", f"--vocab_size={size}"]
    return ["train_vocab", *named, *more]


@pytest.mark.parametrize("model", FILES)
def test_other_kinds_end_to_end(model, text_file, tmp_path, capsys):
    folder = tmp_path / "new" / "tokenizer"
    figures = dispatch(kind_arguments(model, text_file, folder))
    output = capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == FILES[model]
    assert [path.name for path in folder.parent.iterdir()] == ["tokenizer"]
    tokenizer = Tokenizer.from_pretrained(folder)
    text = text_file.read_text()
    pieces = sum(len(tokenizer.token_ids(line)) for line in text.split("\n") if line)
    words = len(re.findall(r"\w+|[^\w\s]", text))
    assert figures == {"vocab_size": len(tokenizer), "pieces_per_word": pieces / words, "unknown_share": 0}
    said = f"{pieces / words:.3f} pieces a word, 0.0000% <unk>"
    for part in (str(text_file), f"{len(tokenizer)} entries, {model} as {FAMILIES[model][0]} has it", said):
        assert part in output
    assert f"--input_file={text_file} --output_file=pretraining.tfrecord --vocab_file={folder}\n" in output


@pytest.mark.slow
@pytest.mark.parametrize("model", FILES)
def test_who_counts_does_not_matter_for_other_kinds(model, text_file, tmp_path):
    text_file.write_text("\n\n".join(f"{text_file.read_text()}\nnumber {number} {number}" for number in range(65)))
    made = []
    for workers, seed in ((1, "0"), (3, "2024")):
        folder = tmp_path / str(workers)
        command = [sys.executable, "-m", "keras_bert.cli.main", *kind_arguments(model, text_file, folder)]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        subprocess.run([*command, f"--num_workers={workers}"], check=True, env=environment, capture_output=True)
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1] and sorted(made[0]) == FILES[model]


def test_the_next_command_reads_what_was_written(text_file, tmp_path):
    for model in FILES:
        assert main(kind_arguments(model, text_file, tmp_path / model)) == 0
        records = tmp_path / f"{model}.tfrecord"
        argv = [f"--input_file={text_file}", f"--output_file={records}", f"--vocab_file={tmp_path / model}"]
        assert main(["create_pretraining_data", *argv, "--max_seq_length=32", "--dupe_factor=1"]) == 0
        assert records.exists()


def test_a_family_and_special_tokens(text_file, tmp_path, capsys):
    argv = kind_arguments("unigram", text_file, tmp_path / "x", "--family=xlm-roberta", "--special_tokens=[SUBJ]")
    assert main(argv) == 0
    tokenizer = Tokenizer.from_pretrained(tmp_path / "x")
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [
        "sentencepiece.bpe.model",
        "tokenizer_config.json",
    ]
    assert (tokenizer.cls_id, tokenizer.pad_id, tokenizer.sep_id, tokenizer.unk_id) == (0, 1, 2, 3)
    assert len(tokenizer) == 120 and tokenizer.tokenize("a [SUBJ]")[-1] == "[SUBJ]"
    assert "as it is (cased)" in capsys.readouterr().out


def test_the_families_are_those_that_can_be_learned():
    assert sorted(FAMILIES["bpe"]) == sorted(BPE_FAMILIES)
    assert sorted(FAMILIES["unigram"]) == sorted(UNIGRAM_FAMILIES)


@pytest.mark.parametrize(
    ("model", "flag", "parts"),
    [
        ("bpe", "--family=albert", ["--family=albert does not go with --model=bpe", "--model=unigram"]),
        ("unigram", "--family=roberta", ["does not go with --model=unigram", "--model=bpe"]),
        ("unigram", "--family=nobody", ["--family=nobody does not go", "xlm-roberta", "name one of these"]),
        ("bpe", "--num_unused=0", ["--num_unused has no meaning for --model=bpe"]),
        ("bpe", "--init_vocab_file=v.txt", ["--init_vocab_file has no meaning"]),
        ("bpe", "--min_char_frequency=2", ["--min_char_frequency has no meaning"]),
        ("bpe", "--strip_accents=False", ["--strip_accents has no meaning"]),
        ("bpe", "--do_lower_case", ["--do_lower_case has no meaning", "keeps upper case"]),
        ("bpe", "--character_coverage=1", ["--character_coverage has no meaning"]),
        ("bpe", "--tokenize_chinese_chars", ["--tokenize_chinese_chars has no meaning"]),
        ("unigram", "--min_frequency=2", ["--min_frequency has no meaning for --model=unigram"]),
        ("unigram", "--num_unused=3", ["--num_unused has no meaning"]),
    ],
)
def test_flags_without_meaning_for_a_kind(model, flag, parts, text_file, tmp_path, capsys):
    expect_error(capsys, kind_arguments(model, text_file, tmp_path / "new", flag), *parts)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("flag", ["--do_lower_case", "--strip_accents"])
def test_flags_without_meaning_for_a_family(flag, text_file, tmp_path, capsys):
    argv = kind_arguments("unigram", text_file, tmp_path / "new", "--family=camembert", flag)
    expect_error(capsys, argv, f"{flag} has no meaning for --family=camembert")


def test_character_coverage_is_for_unigram(text_file, tmp_path, capsys):
    argv = arguments(text_file, tmp_path / "vocab.txt", "--character_coverage=1")
    expect_error(capsys, argv, "--character_coverage has no meaning for --model=wordpiece")
    with pytest.raises(SystemExit):
        main(kind_arguments("unigram", text_file, tmp_path / "new", "--character_coverage=2"))
    assert "up to 1" in capsys.readouterr().err


def test_places_for_a_folder(text_file, tmp_path, capsys):
    expect_error(
        capsys, kind_arguments("bpe", text_file, tmp_path / "v.txt"), "v.txt is a file's name", "name a folder"
    )
    expect_error(capsys, kind_arguments("bpe", text_file, text_file), "is a file's name")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert main(kind_arguments("bpe", text_file, folder)) == 0
    expect_error(
        capsys, kind_arguments("unigram", text_file, folder), "has a tokenizer already (vocab.json)", "--force"
    )
    assert main(kind_arguments("unigram", text_file, folder, "--force")) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", *FILES["unigram"]]


@pytest.mark.parametrize("model", FILES)
def test_nothing_is_left_where_a_kind_cannot_be_learned(model, text_file, tmp_path, capsys):
    expect_error(capsys, kind_arguments(model, text_file, tmp_path / "new", "--vocab_size=9000"), "too small for a")
    (tmp_path / "empty.txt").write_text(" \n\n")
    expect_error(capsys, kind_arguments(model, tmp_path / "empty.txt", tmp_path / "new"), "no words")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt", "text.txt"]


def test_warnings_of_unigram(tmp_path, capsys):
    (tmp_path / "ja.txt").write_text("がくせい です \n" * 50, encoding="utf-8")
    (tmp_path / "other.txt").write_text("★☆ です\n", encoding="utf-8")
    argv = kind_arguments("unigram", tmp_path / "ja.txt", tmp_path / "new", "--vocab_size=12", "--force")
    assert main([*argv, f"--heldout_file={tmp_path}/other.txt"]) == 0
    output = capsys.readouterr().out
    assert "warning: 100% of the words are Japanese" in output and "--strip_accents=False keeps them" in output
    assert re.search(r"warning: \d\d% of the words are <unk>.* raise --character_coverage", output)
    assert main([*argv, "--strip_accents=False"]) == 0
    assert "warning:" not in capsys.readouterr().out
    assert "が" in "".join(Tokenizer.from_pretrained(tmp_path / "new").vocabulary.tokens)
