"""Vocabularies: files, ids, and what is wrong with some of them."""

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

SPECIALS = "\n".join(SPECIAL_TOKENS)


def test_tokens_and_ids():
    vocabulary = Vocabulary([*SPECIAL_TOKENS, "a", "##b", "[unused7]", "c"])
    assert len(vocabulary) == 9
    assert "##b" in vocabulary and "b" not in vocabulary
    assert [vocabulary.id(token) for token in ("[PAD]", "a", "c")] == [0, 5, 8]
    assert vocabulary.token(6) == "##b"
    assert vocabulary.special_ids == (0, 1, 2, 3, 4)
    np.testing.assert_array_equal(vocabulary.replacement_ids, [5, 6, 8])
    np.testing.assert_array_equal(np.flatnonzero(vocabulary.is_continuation), [6])


def test_unknown_tokens_and_ids():
    vocabulary = Vocabulary([*SPECIAL_TOKENS, "a"])
    with pytest.raises(UserError, match="'zebra' is not among the 6"):
        vocabulary.id("zebra")
    for index in (-1, 6):
        with pytest.raises(UserError, match=f"{index} is outside"):
            vocabulary.token(index)


def test_what_it_looks_like():
    assert not Vocabulary([*SPECIAL_TOKENS, "a", "<S>", "[unused1]"]).looks_cased
    assert Vocabulary([*SPECIAL_TOKENS, "a", "##B"]).looks_cased


def test_round_trip(tmp_path):
    vocabulary = Vocabulary([*SPECIAL_TOKENS, "é", "##국", "\u2028", "#", "##"])
    vocabulary.save(tmp_path / "new" / "vocab.txt")
    assert (tmp_path / "new" / "vocab.txt").read_bytes().count(b"\n") == len(vocabulary)
    again = Vocabulary.from_file(tmp_path / "new" / "vocab.txt")
    assert again.tokens[:7] == vocabulary.tokens[:7]
    assert again.tokens[-2:] == ("#", "##")


def test_files_of_windows(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"\xef\xbb\xbf" + f"{SPECIALS}\na\n".replace("\n", "\r\n").encode())
    vocabulary = Vocabulary.from_file(tmp_path / "vocab.txt")
    assert vocabulary.tokens == (*SPECIAL_TOKENS, "a")
    assert vocabulary.fingerprint == Vocabulary([*SPECIAL_TOKENS, "a"]).fingerprint
    assert vocabulary.fingerprint != Vocabulary([*SPECIAL_TOKENS, "b"]).fingerprint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; a vocabulary has one token a line"),
        (b"\n\n", "is empty"),
        (f"{SPECIALS}\nab\ncd\nab\n".encode(), "has 'ab' twice, in lines 6 and 8"),
        (SPECIALS.replace("[MASK]", "mask").encode(), r"lacks \[MASK\];"),
        (b"one\ntwo\n", r"lacks \[PAD\] \[UNK\] \[CLS\] \[SEP\] \[MASK\]"),
        (b"fine\n\xff\n", "is not UTF-8 text: line 2"),
    ],
)
def test_files_that_are_no_vocabulary(tmp_path, content, message):
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"broken.txt.*{message}"):
        Vocabulary.from_file(path)


def test_places_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"--vocab_file: .*none.txt does not exist"):
        Vocabulary.from_file(tmp_path / "none.txt")
    with pytest.raises(UserError, match=r"--other: .* is a directory"):
        Vocabulary.from_file(tmp_path, what="--other")
    with pytest.raises(UserError, match="is empty"):
        Vocabulary([])
