"""The command train_vocab, from a text to a vocabulary that spells it, and what it says when that cannot be."""

import gzip
import os

import pytest

from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert_cli.main import dispatch, main

SIZE = 300


def arguments(text_file, vocab_file, *more):
    return ["train_vocab", f"--input_file={text_file}", f"--vocab_file={vocab_file}", f"--vocab_size={SIZE}", *more]


def expect_error(capsys, argv, *parts):
    """The command ends with status 2 and one sentence, the last line of stderr, that has all `parts`."""
    assert main(argv) == 2
    errors = capsys.readouterr().err.splitlines()
    assert not any("Traceback" in line for line in errors)
    error = errors[-1]
    assert error.startswith("keras-bert train_vocab: ")
    for part in parts:
        assert part in error


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
    expect_error(capsys, arguments(tmp_path, output), str(tmp_path), "is a directory")
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

    monkeypatch.setattr("keras_bert.text.learning.vocab_from_counts", interrupt)
    assert main(arguments(text_file, tmp_path / "vocab.txt")) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [text_file.name]
