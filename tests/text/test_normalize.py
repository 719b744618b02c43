"""Text to basic tokens, rule by rule, and the table of characters behind the rules."""

import unicodedata
from functools import partial

import pytest

from keras_bert.text import characters
from keras_bert.text.normalize import basic_tokenize, basic_tokens, decompose, lower, split_words
from tests.text import reference

combining, nfd = unicodedata.combining, partial(unicodedata.normalize, "NFD")

UNICODE_14 = pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="compares with Python's own table, which must be Unicode 14"
)
EVERY_CHARACTER = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
KNOWN = [char for char in EVERY_CHARACTER if unicodedata.category(char) not in ("Cn", "Co")]


@pytest.mark.parametrize(
    ("text", "uncased", "cased"),
    [
        ("Hello, World!", "hello , world !", "Hello , World !"),
        ("don't $5.00", "don ' t $ 5 . 00", "don ' t $ 5 . 00"),
        ("Naïve façade", "naive facade", "Naïve façade"),
        ("nai\u0308ve", "naive", "nai\u0308ve"),
        ("straße ﬁn", "straße ﬁn", "straße ﬁn"),  # no folding
        ("東京tower", "東 京 tower", "東 京 tower"),
        ("한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "한국"),
        ("a\u200bb\xadc\x00d\ufffde", "abcde", "abcde"),
        ("a\u2028b\xa0c\u3000d", "a b c d", "a b c d"),
        ("a\x0bb\x85c\x1cd", "abcd", "abcd"),
        ("ΟΔΟΣ ΣΑΣ", "οδος σας", "ΟΔΟΣ ΣΑΣ"),
        ("İI", "ii", "İI"),
        ("[MASK]", "[ mask ]", "[ MASK ]"),
        ("\u0301", "", "\u0301"),
        ("\u037e\u1fef", "; `", "\u037e \u1fef"),  # punctuation before or after NFD
        (" \t\n", "", ""),
    ],
)
def test_by_hand(text, uncased, cased):
    assert basic_tokenize(text) == uncased.split()
    assert basic_tokenize(text, do_lower_case=False) == cased.split()


def test_strip_accents_apart_from_lower_case():
    assert basic_tokens("Été", do_lower_case=True, strip_accents=False) == ["été"]
    assert basic_tokens("Été", do_lower_case=False, strip_accents=True) == ["Ete"]


def test_ideographs_may_stay_together():
    assert split_words("東京タワー", tokenize_chinese_chars=False) == ["東京タワー"]
    assert split_words("東京タワー") == ["東", "京", "タワー"]


@pytest.mark.parametrize("marks", [1, 300])
def test_what_nfd_sorts_in_words_short_and_long(marks):
    """U+034F, dropped after NFD as a mark, keeps the two letters that count as marks from changing places before it."""
    letters = "\u302e\U0001d165"
    assert basic_tokens(f"a{letters}{marks * chr(0x301)}") == ["a\U0001d165\u302e"]
    assert basic_tokens(f"a\u302e{marks * chr(0x301)}\u034f\U0001d165") == [f"a{letters}"]
    assert len(basic_tokens(f"{marks * letters}!")[0]) > (200 if marks == 300 else 1)


@pytest.mark.parametrize("char", ["\ua7cb", "\U0001e4ee", "\U00011383", "\U000105c9", "\u0897"])
def test_characters_newer_than_unicode_14_are_plain_letters(char):
    """Newer Pythons know a lower case, a decomposition or a category of each of these."""
    assert basic_tokenize(f"A{char}\u0301B") == [f"a{char}b"]
    assert lower(f"ΑΣ{char}Α") == f"ας{char}α"
    assert decompose(f"{char}é") == f"{char}e\u0301"


def ranges(condition):
    """The inclusive ranges of the characters that meet a condition."""
    found = []
    for code in (ord(char) for char in EVERY_CHARACTER if condition(char)):
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


@UNICODE_14
@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("SPACES", lambda char: unicodedata.category(char) == "Zs"),
        ("LINE_SEPARATORS", lambda char: unicodedata.category(char) in ("Zl", "Zp")),
        ("CONTROL", lambda char: unicodedata.category(char) in ("Cc", "Cf") and char not in "\t\n\r"),
        ("MARKS", lambda char: unicodedata.category(char) == "Mn"),
        ("SORTED_MARKS", lambda char: unicodedata.category(char) == "Mn" and all(map(combining, nfd(char)))),
        ("SORTED_LETTERS", lambda char: unicodedata.category(char) != "Mn" and combining(char)),
        ("PUNCTUATION", reference.is_punctuation),
        ("UNASSIGNED", lambda char: unicodedata.category(char) == "Cn"),
    ],
)
def test_the_table_is_that_of_unicode_14(name, condition):
    assert getattr(characters, name) == ranges(condition)


def test_the_ideographs_are_those_of_google():
    assert sorted(characters.CJK) == sorted(reference.IDEOGRAPHS)


@UNICODE_14
@pytest.mark.parametrize("pattern", ["{}", "ΑΣ{}Α", "ΑΣ{}", "{}Σ", "Α{}Σ", "Α{0}Σ{0}", "Α{0}Σ{0}Α"])
def test_every_character_lower_cases_as_in_python_alone_and_beside_a_sigma(pattern):
    text = " ".join(pattern.format(char) for char in KNOWN)
    pairs = zip(lower(text).split(), text.lower().split(), strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
