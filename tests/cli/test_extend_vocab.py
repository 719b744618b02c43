"""The command train_vocab with an old vocabulary that it extends."""

import pytest

from keras_bert.cli.main import dispatch, main
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.cli.vocabularies import expect_error


@pytest.fixture
def old_file(tmp_path):
    """A vocabulary of letters and a few words, with three slots."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789."
    words = [*"[PAD] [unused0] [unused1] [UNK] [CLS] [SEP] [MASK] [unused2]".split(), *letters]
    words += [f"##{letter}" for letter in letters] + ["the", "year", "stood", "##er"]
    Vocabulary(words).save(tmp_path / "old.txt")
    return tmp_path / "old.txt"


def extending(text_file, old_file, *more):
    vocab_file = old_file.with_name("new.txt")
    named = [f"--input_file={text_file}", f"--init_vocab_file={old_file}", f"--vocab_file={vocab_file}"]
    return ["train_vocab", *named, *more]


def test_a_vocabulary_is_extended(text_file, old_file, capsys):
    old = Vocabulary.from_file(old_file)
    figures = dispatch(extending(text_file, old_file))
    new = Vocabulary.from_file(old_file.with_name("new.txt"))
    assert [index for index, token in enumerate(old.tokens) if new.tokens[index] != token] == [1, 2, 7]
    assert len(new) == len(old) == figures["vocab_size"] and figures["new_entries"] == 3
    before, after = (Tokenizer(each) for each in (old, new))
    text = text_file.read_text()
    words = sum(not piece.startswith("##") for piece in after.tokenize(text))
    assert figures["pieces_per_word_before"] == pytest.approx(len(before.token_ids(text)) / words)
    assert figures["pieces_per_word"] == pytest.approx(len(after.token_ids(text)) / words)
    assert figures["pieces_per_word"] < figures["pieces_per_word_before"]
    output = capsys.readouterr().out
    for part in (
        "3 [unusedN] to fill, 0 to append",
        "  before: ",
        "  after: ",
        "new: 3 entries; every other has the id",
        f"--init_checkpoint=MODEL --output_dir=extended; MODEL is the checkpoint that goes with {old_file}",
    ):
        assert part in output


def test_the_next_commands_fit_this_one(text_file, old_file, capsys):
    (old_file.parent / "config.json").touch()
    table = text_file.with_name("a.csv")
    table.write_text("body\n" + "".join(f'"{line}"\n' for line in text_file.read_text().splitlines() if line))
    dispatch(extending(table, old_file, "--text_field=body", "--input_format=csv"))
    output = capsys.readouterr().out
    assert f"--vocab_file={old_file.with_name('new.txt')} --input_format=csv --text_field=body\n" in output
    assert f"--init_checkpoint={old_file.parent} --output_dir=extended; the word embeddings grow there\n" in output


def test_entries_are_appended_up_to_the_size(text_file, old_file):
    old = Vocabulary.from_file(old_file)
    assert main(extending(text_file, old_file, f"--vocab_size={len(old) + 20}")) == 0
    new = Vocabulary.from_file(old_file.with_name("new.txt"))
    assert len(new) == len(old) + 20 and not new.unused_ids
    assert sum(token not in old for token in new.tokens) == 23


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--num_unused=5"], ["--num_unused", "no meaning with --init_vocab_file"]),
        (["--min_char_frequency=5"], ["--min_char_frequency", "no meaning with --init_vocab_file"]),
        (["--vocab_size=20"], ["has 86 entries, more than --vocab_size=20"]),
        (["--vocab_size=9000"], ["too small to extend the vocabulary to 9000 entries"]),
        (["--do_lower_case=False"], ["old.txt: The vocabulary has entries in lower case", "pass --do_lower_case."]),
    ],
)
def test_flags_that_do_not_fit_a_vocabulary_to_extend(text_file, old_file, capsys, flags, parts):
    expect_error(capsys, extending(text_file, old_file, *flags), *parts)
    assert not old_file.with_name("new.txt").exists()


def test_vocabularies_that_cannot_be_extended(text_file, old_file, capsys):
    tokens = Vocabulary.from_file(old_file).tokens
    Vocabulary([token.replace("[unused", "unused") for token in tokens]).save(old_file)
    expect_error(capsys, extending(text_file, old_file), "no [unusedN] entries to fill", "--vocab_size")
    Vocabulary([*tokens, "The", "##ED"]).save(old_file)
    expect_error(capsys, extending(text_file, old_file), "such as 'The'", "pass --do_lower_case=False.")
    expect_error(capsys, extending(text_file, old_file, f"--vocab_file={old_file}"), "is --vocab_file too")
    assert Vocabulary.from_file(old_file).tokens == (*tokens, "The", "##ED")
    old_file.unlink()
    expect_error(capsys, extending(text_file, old_file), "--init_vocab_file", "does not exist")
