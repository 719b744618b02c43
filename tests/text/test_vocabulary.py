"""Vocabularies: files, ids, and what is wrong with some of them."""

from collections import Counter

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.text.learning.extension import extend_vocab
from keras_bert.text.rules import AddedToken
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary, casing_problem
from keras_bert.text.wordpiece.bulk import BulkTokenizer

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
    assert vocabulary.unused_ids == (7,)


def test_unknown_tokens_and_ids():
    vocabulary = Vocabulary([*SPECIAL_TOKENS, "a"])
    with pytest.raises(UserError, match="'zebra' is not among the 6"):
        vocabulary.id("zebra")
    for index in (-1, 6):
        with pytest.raises(UserError, match=f"{index} is outside"):
            vocabulary.token(index)


LOWER = "the of and to in a is was he for".split()
HANGUL = "한 국 어 를 위 한다 ##는 ##에 ##다".split()


@pytest.mark.parametrize(
    ("words", "cased", "lower_casing", "no_lower_casing"),
    [
        ([*LOWER, "<S>", "[X]", "[unused1]"], False, None, "such as 'the' and none with upper-case letters"),
        ([*LOWER, "##B"], True, "never leaves 1 of the vocabulary's 11 entries, such as 'B';", None),
        (["THE", "OF", "##ED", "7", "."], True, "no entries in lower case, only such as 'THE'", None),
        # a stray few of thousands say nothing
        ([*LOWER, *(f"a{n}" for n in range(500)), "COVID"], False, None, "next to none with upper-case letters"),
        # accents were kept and nothing else: a text that was lower-cased before
        ([*LOWER, "café", "été"], False, None, None),
        # neither case nor accents
        (["一", "二", "7", ".", "##"], False, None, None),
        ([*"一二三四五六七八九十百千万", "app", "the"], False, None, None),
        # lower-casing takes syllables apart
        (HANGUL, True, "never leaves 9 of the vocabulary's 9 entries, such as '한';", None),
        ([*HANGUL, "the", "tv"], True, "never leaves 9 of the vocabulary's 11 entries", None),
        ([], False, None, None),
    ],
)
def test_casing(words, cased, lower_casing, no_lower_casing):
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *words])
    assert vocabulary.looks_cased is cased
    for do_lower_case, expected, remedy in (
        (True, lower_casing, "; pass --do_lower_case=False."),
        (False, no_lower_casing, "; pass --do_lower_case."),
    ):
        problem = casing_problem(vocabulary, do_lower_case)
        if expected is None:
            assert problem is None
        else:
            assert expected in problem and problem.endswith(remedy)


@pytest.mark.parametrize(
    ("name", "lower_casing", "no_lower_casing"),
    [
        ("bert-base-uncased", True, False),
        ("bert-base-cased", False, True),
        ("bert-base-chinese", True, True),
        ("bert-base-multilingual-cased", False, True),
        ("koelectra-v3", False, True),
    ],
)
def test_casing_of_published_vocabularies(shared, name, lower_casing, no_lower_casing):
    vocabulary = Vocabulary.from_file(shared / "data" / "vocab" / name / "vocab.txt")
    assert (casing_problem(vocabulary, True) is None) == lower_casing
    assert (casing_problem(vocabulary, False) is None) == no_lower_casing
    assert vocabulary.looks_cased is not lower_casing


def test_round_trip(tmp_path):
    vocabulary = Vocabulary([*SPECIAL_TOKENS, "é", "##국", "\u2028", "#", "##"])
    vocabulary.save(tmp_path / "new" / "vocab.txt")
    assert (tmp_path / "new" / "vocab.txt").read_bytes().count(b"\n") == len(vocabulary)
    again = Vocabulary.from_file(tmp_path / "new" / "vocab.txt")
    assert again.tokens[:7] == vocabulary.tokens[:7]
    assert again.tokens[-2:] == ("#", "##")


def test_rows_keep_their_numbers(tmp_path):
    """Doubles, blank rows and odd white space: ids as Google's load_vocab gives them, and the same file again."""
    rows = [*SPECIAL_TOKENS, "ab", "\u2028", "\u3000", "cd", "\xa0", "", "ab", "ef ", "", " "]
    path = tmp_path / "vocab.txt"
    path.write_bytes("".join(f"{row}\n" for row in rows).encode())
    vocabulary = Vocabulary.from_file(path)
    assert [vocabulary.id(token) for token in ("cd", "ab", "ef")] == [8, 11, 12]
    assert (len(vocabulary), vocabulary.token(5), vocabulary.token(10)) == (13, "ab", "")
    assert vocabulary.replacement_ids.tolist() == [8, 11, 12]
    assert "" not in vocabulary and "\u3000" not in vocabulary
    tokenizer = Tokenizer(vocabulary)
    assert tokenizer.token_ids("ab\u3000cd \u2028 ef") == [11, 8, 12]
    assert BulkTokenizer(tokenizer).token_ids(["ab cd"])[0].tolist() == [11, 8]
    vocabulary.save(tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_bytes() == path.read_bytes()
    assert extend_vocab(vocabulary, Counter(cdef=9), vocab_size=14).rows == (*rows[:13], "cdef")


def test_added_tokens_follow_after_the_rows(tmp_path):
    vocabulary = Vocabulary([*SPECIAL_TOKENS, "a", ""])
    added = vocabulary.with_added(["[S]", AddedToken("covid", special=False), "a", "[S]"])
    assert added.tokens == (*SPECIAL_TOKENS, "a", "", "[S]", "covid")  # the blank row keeps its number
    assert (len(vocabulary), len(added), added.id("covid"), added.fingerprint) == (6, 9, 8, vocabulary.fingerprint)
    assert added.replacement_ids.tolist() == [8]  # "a" is special now
    added.save(tmp_path / "vocab.txt")
    assert Vocabulary.from_file(tmp_path / "vocab.txt").rows == vocabulary.rows


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


def test_a_tokenizer_json_is_no_vocab_txt(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(
        UserError, match=r"tokenizer\.json is not a vocab\.txt, one token a line; keras-bert convert makes"
    ):
        Vocabulary.from_file(tmp_path / "tokenizer.json")
