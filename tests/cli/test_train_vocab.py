"""The command train_vocab, from a text to a vocabulary that spells it, and what it says when that cannot be."""

import errno
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_bert.cli.main import dispatch, main
from keras_bert.cli.vocabulary_models import FAMILIES
from keras_bert.text.learning.counting import HeldOut
from keras_bert.text.learning.wordpiece import learn_vocab
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.cli.vocabularies import expect_error

SIZE = 300
ROOT = Path(__file__).resolve().parents[2]


def arguments(text_file, vocab_file, *more):
    named = [f"--input_file={text_file}", f"--vocab_file={vocab_file}", f"--vocab_size={SIZE}"]
    return ["train_vocab", *named, *more]


def test_end_to_end(text_file, tmp_path, capsys):
    vocab_file = tmp_path / "new" / "vocab.txt"
    assert main(arguments(text_file, vocab_file)) == 0
    output = capsys.readouterr().out
    vocabulary = Vocabulary.from_file(vocab_file)
    assert len(vocabulary) == SIZE
    assert vocabulary.tokens[:5] == SPECIAL_TOKENS
    assert vocabulary.tokens[5:11] == tuple(f"[unused{number}]" for number in range(6))  # one entry in fifty
    assert {"captain", "butter", "the"} <= set(vocabulary.tokens)
    assert [path.name for path in vocab_file.parent.iterdir()] == ["vocab.txt"]

    tokenizer = Tokenizer(vocabulary)
    text = text_file.read_text()
    assert tokenizer.unk_id not in tokenizer.token_ids(text)
    for part in (str(text_file), "300 entries", "lower-cased", "0.0000% [UNK]", str(vocab_file)):
        assert part in output
    assert f"next: keras-bert create_pretraining_data --input_file={text_file}" in output
    assert f"--vocab_file={vocab_file}" in output


def test_the_figures_are_those_of_the_tokenizer(text_file, tmp_path):
    figures = dispatch(arguments(text_file, tmp_path / "vocab.txt"))
    tokenizer = Tokenizer(tmp_path / "vocab.txt")
    pieces = tokenizer.tokenize(text_file.read_text())
    words = sum(not piece.startswith("##") for piece in pieces)
    assert figures["vocab_size"] == SIZE
    assert figures["pieces_per_word"] == pytest.approx(len(pieces) / words)
    assert figures["unknown_share"] == 0


def test_the_same_text_gives_the_same_file_however_it_is_packed(text_file, tmp_path):
    text = text_file.read_bytes()
    half = text.index(b"\n\n", len(text) // 2)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.txt").write_bytes(text[:half])
    (tmp_path / "parts" / "b.txt.gz").write_bytes(gzip.compress(text[half:]))
    assert main(arguments(text_file, tmp_path / "one.txt")) == 0
    assert main(arguments(f"{tmp_path}/parts/*", tmp_path / "two.txt")) == 0
    assert (tmp_path / "one.txt").read_bytes() == (tmp_path / "two.txt").read_bytes()


def test_cased(text_file, tmp_path, capsys):
    vocab_file = tmp_path / "vocab.txt"
    assert main(arguments(text_file, vocab_file, "--nodo_lower_case")) == 0
    output = capsys.readouterr().out
    assert "The" in Vocabulary.from_file(vocab_file)
    assert output.rstrip().endswith("--do_lower_case=False")


def test_unused_entries_and_min_frequency(text_file, tmp_path):
    vocab_file = tmp_path / "vocab.txt"
    assert main(arguments(text_file, vocab_file, "--num_unused=99")) == 0
    assert Vocabulary.from_file(vocab_file).special_ids == (0, 100, 101, 102, 103)
    assert main(arguments(text_file, vocab_file, "--num_unused=0", "--force")) == 0
    assert not any(token.startswith("[unused") for token in Vocabulary.from_file(vocab_file).tokens)
    rare = tmp_path / "rare.txt"
    rare.write_text(text_file.read_text() + "\nß once\n", encoding="utf-8")
    assert main(arguments(rare, tmp_path / "2.txt")) == 0
    assert main(arguments(rare, tmp_path / "1.txt", "--min_frequency=1")) == 0
    assert "ß" not in Vocabulary.from_file(tmp_path / "2.txt")
    assert "ß" in Vocabulary.from_file(tmp_path / "1.txt")


def test_an_existing_vocabulary_is_replaced_by_force_only(text_file, tmp_path, capsys):
    vocab_file = tmp_path / "vocab.txt"
    vocab_file.write_text("mine")
    expect_error(capsys, arguments(text_file, vocab_file), str(vocab_file), "exists already", "--force")
    assert vocab_file.read_text() == "mine"
    assert main(arguments(text_file, vocab_file, "--force")) == 0
    assert len(Vocabulary.from_file(vocab_file)) == SIZE


def test_the_text_itself_is_not_replaced_even_by_force(text_file, capsys):
    before = text_file.read_bytes()
    expect_error(capsys, arguments(text_file, text_file, "--force"), "is one of the input files")
    assert text_file.read_bytes() == before


def test_who_counts_does_not_matter(text_file, tmp_path):
    """Nor the seed of Python's hashes, of which each process here has its own. The text makes three chunks."""
    text_file.write_text("\n\n".join(f"{text_file.read_text()}\nnumber {number} {number}" for number in range(65)))
    files = []
    for workers, seed in ((1, "0"), (2, "1"), (3, "2024")):
        files.append(tmp_path / f"{workers}.txt")
        command = [sys.executable, "-m", "keras_bert.cli.main", *arguments(text_file, files[-1])]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        subprocess.run([*command, f"--num_workers={workers}"], check=True, env=environment, capture_output=True)
    assert len({file.read_bytes() for file in files}) == 1
    sample = HeldOut()
    texts = list(sample.watch(text_file.read_text().split("\n\n")))
    assert sample.held_out
    assert Vocabulary.from_file(files[0]).tokens == tuple(learn_vocab(texts, vocab_size=SIZE))


def test_inputs_of_other_kinds(text_file, tmp_path):
    documents = [document.replace("\n", " ") for document in text_file.read_text().split("\n\n")]
    folder = tmp_path / "inputs" / "deep"
    folder.mkdir(parents=True)
    for number, half in enumerate((documents[:20], documents[20:])):
        lines = (json.dumps({"id": n, "body": document}) + "\n" for n, document in enumerate(half))
        (folder / f"{number}.jsonl").write_text("".join(lines))
    assert main(arguments(text_file, tmp_path / "lines.txt")) == 0
    assert main(arguments(tmp_path / "inputs", tmp_path / "json.txt", "--text_field=body")) == 0
    assert (tmp_path / "json.txt").read_bytes() == (tmp_path / "lines.txt").read_bytes()


@pytest.fixture
def longer_file(tmp_path):
    """11,000 lines of two words: enough to hold some out. What stands in line 256 n stands there alone."""
    path = tmp_path / "longer.txt"
    lines = (f"word{n % 7} q{n}q q{n}q" if n % 256 == 0 else f"word{n % 7} other{n % 11}" for n in range(11_000))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_part_is_held_out(longer_file, tmp_path, capsys):
    figures = dispatch(
        ["train_vocab", f"--input_file={longer_file}", f"--vocab_file={tmp_path}/v.txt", "--vocab_size=60"]
    )
    output = capsys.readouterr().out
    assert "coverage, on 43 lines held out of the input:" in output
    tokenizer = Tokenizer(tmp_path / "v.txt")
    assert "q" not in tokenizer.vocabulary
    assert figures["unknown_share"] == 2 / 3  # word0, and two of which nothing was learned
    assert f"  1.000 pieces a word, {2 / 3:.4%} [UNK]" in output


def test_a_held_out_file(longer_file, text_file, tmp_path, capsys):
    argv = ["train_vocab", f"--input_file={longer_file}", f"--vocab_file={tmp_path}/v.txt", "--vocab_size=60"]
    figures = dispatch([*argv, f"--heldout_file={text_file}"])
    assert f"coverage, on {text_file}:" in capsys.readouterr().out
    tokenizer = Tokenizer(tmp_path / "v.txt")
    assert "q" in tokenizer.vocabulary  # then all of the input is learned from
    pieces = tokenizer.tokenize(text_file.read_text())
    words = sum(not piece.startswith("##") for piece in pieces)
    assert figures["pieces_per_word"] == pytest.approx(len(pieces) / words)
    assert figures["unknown_share"] == pytest.approx(pieces.count("[UNK]") / words)


def test_a_frequency_of_characters(text_file, tmp_path):
    vocab_file = tmp_path / "vocab.txt"
    assert main(arguments(text_file, vocab_file, "--min_char_frequency=400", "--vocab_size=60")) == 0
    few = [token for token in Vocabulary.from_file(vocab_file).tokens if len(token) == 1]
    assert main(arguments(text_file, vocab_file, "--min_char_frequency=2", "--vocab_size=60", "--force")) == 0
    assert len(few) < sum(len(token) == 1 for token in Vocabulary.from_file(vocab_file).tokens)


@pytest.mark.parametrize(
    ("text", "flags", "warned"),
    [
        ("나는 학교에 간다 ", [], "100% of the words are Korean"),
        ("나는 학교에 간다 ", ["--do_lower_case=False"], None),
        ("ฉันไปโรงเรียน one ", [], "50% of the words are Thai or Lao"),
        ("Où est le café ", [], None),
    ],
)
def test_scripts_that_lower_casing_harms_are_named(tmp_path, capsys, text, flags, warned):
    (tmp_path / "corpus.txt").write_text(text * 50, encoding="utf-8")
    argv = ["train_vocab", f"--input_file={tmp_path}/corpus.txt", f"--vocab_file={tmp_path}/v.txt", "--vocab_size=20"]
    assert main([*argv, "--num_unused=0", *flags]) == 0
    output = capsys.readouterr().out
    assert ("warning" in output) == (warned is not None)
    if warned:
        assert f"warning: {warned}, which" in output and "--do_lower_case=False" in output


def test_rules_and_special_tokens(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("der [SUBJ] Käse ist grün, der Käse ist gut [SUBJ]\n" * 50)
    flags = ["--strip_accents=False", "--special_tokens=[SUBJ]", "--num_unused=0"]
    assert main(arguments(text, tmp_path / "vocab.txt", *flags, "--vocab_size=39")) == 0
    tokens = Vocabulary.from_file(tmp_path / "vocab.txt").tokens
    assert tokens[5] == "[SUBJ]" and {"käse", "ist", ","} <= set(tokens)
    assert not {"[", "subj", "kase"} & set(tokens)  # neither cut nor without its accents
    assert "--strip_accents=False '--special_tokens=[SUBJ]'" in capsys.readouterr().out


def test_too_small_a_corpus_names_a_size_that_works(text_file, tmp_path, capsys):
    argv = ["train_vocab", f"--input_file={text_file}", f"--vocab_file={tmp_path / 'vocab.txt'}"]
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert "too small for a vocabulary of 30522 entries" in error
    size = int(error.partition("--vocab_size=")[2].split()[0])
    expect_error(capsys, [*argv, f"--vocab_size={size + 1}"], f"--vocab_size={size} ")
    assert not (tmp_path / "vocab.txt").exists()
    assert main([*argv, f"--vocab_size={size}"]) == 0
    assert len(Vocabulary.from_file(tmp_path / "vocab.txt")) == size


def test_too_small_a_size(text_file, tmp_path, capsys):
    argv = arguments(text_file, tmp_path / "vocab.txt", "--vocab_size=5")
    expect_error(capsys, argv, "vocabulary of 5 entries", "larger --vocab_size")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["no words"]),
        (b" \n\n\t\n", ["no words"]),
        (b"fine\n\xff\xfe\n", ["not UTF-8", "line 2", "corpus.txt"]),
    ],
)
def test_files_without_text(tmp_path, capsys, content, parts):
    (tmp_path / "corpus.txt").write_bytes(content)
    expect_error(capsys, arguments(tmp_path / "corpus.txt", tmp_path / "vocab.txt"), *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


def test_places_that_are_none(text_file, tmp_path, capsys):
    output = tmp_path / "vocab.txt"
    expect_error(capsys, arguments(tmp_path / "none.txt", output), "none.txt", "does not exist")
    expect_error(capsys, arguments(f"{tmp_path}/*.none", output), "*.none", "no file matches")
    (tmp_path / "empty").mkdir()
    expect_error(capsys, arguments(tmp_path / "empty", output), "empty", "no file")
    expect_error(capsys, arguments(text_file, output, f"--heldout_file={tmp_path}/none"), "--heldout_file", "not exist")
    (tmp_path / "empty").rmdir()
    expect_error(capsys, arguments(text_file, tmp_path), str(tmp_path), "is a directory")
    expect_error(capsys, arguments(text_file, text_file / "vocab.txt"), "Cannot write", str(text_file / "vocab.txt"))
    assert [path.name for path in tmp_path.iterdir()] == [text_file.name]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_must_not_be_written(text_file, tmp_path, capsys):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    expect_error(capsys, arguments(text_file, folder / "vocab.txt"), "Cannot write", str(folder))


@pytest.mark.parametrize("flag", ["--vocab_size=0", "--vocab_size=many", "--num_unused=-1", "--min_frequency=0"])
def test_figures_that_are_none(text_file, tmp_path, capsys, flag):
    with pytest.raises(SystemExit) as caught:
        main(arguments(text_file, tmp_path / "vocab.txt", flag))
    assert caught.value.code == 2
    assert flag.partition("=")[0] in capsys.readouterr().err


def test_interrupted(text_file, tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_bert.text.learning.wordpiece.vocab_from_counts", interrupt)
    assert main(arguments(text_file, tmp_path / "vocab.txt")) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [text_file.name]


def test_many_unknown_words_are_told_with_a_remedy(text_file, tmp_path, capsys):
    assert main(arguments(text_file, tmp_path / "tiny.txt", "--vocab_size=10")) == 0
    out = capsys.readouterr().out
    assert re.search(r"warning: \d\d% of the words are \[UNK\].* their characters; raise --vocab_size\.\n", out)
    assert main(arguments(text_file, tmp_path / "enough.txt")) == 0
    assert "warning" not in capsys.readouterr().out


def test_the_help_says_what_the_code_does(capsys):
    """default_min_char_frequency counts as often as the least frequent word, see tests/text/test_learning.py."""
    with pytest.raises(SystemExit):
        main(["train_vocab", "--help_all"])
    told = " ".join(capsys.readouterr().out.split())
    assert "(default: as often as the rarest word of a vocabulary of whole words, at least --min_frequency)" in told
    for families in FAMILIES.values():
        assert all(f" {family.replace('_', '-')}" in told for family in families)


def test_a_full_disk_is_one_sentence_and_changes_nothing(text_file, tmp_path, capsys, monkeypatch):
    vocab_file = tmp_path / "out" / "vocab.txt"
    assert main(arguments(text_file, vocab_file, "--vocab_size=60")) == 0
    before = vocab_file.read_bytes()

    def fill(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.write_bytes", fill)
    assert main(arguments(text_file, vocab_file, "--vocab_size=50", "--force")) == 2
    err = capsys.readouterr().err
    assert f"Cannot write {vocab_file} (No space left on device); free space" in err and "Traceback" not in err
    assert [path.name for path in vocab_file.parent.iterdir()] == ["vocab.txt"] and vocab_file.read_bytes() == before
