"""Added tokens are kept whole as transformers keeps them: in Python, in bulk and with offsets, by ids written down."""

import json

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.text.normalize import normalized_text
from keras_bert.text.rules import AddedToken, as_added_tokens
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert.text.wordpiece.alignment import normalized_with_places
from keras_bert.text.wordpiece.bulk import BulkTokenizer

WORDS = "the cat sat ##s ann [ ] subj caf ##e cafe ##bar , . x 東 foo".split()
ROWS = [*SPECIAL_TOKENS, *WORDS]
THE, CAT, S, FOO, COMMA, X, EAST = 5, 6, 8, 21, 17, 19, 20
NEW = len(ROWS)  # 22
SINGLE = AddedToken("foo", single_word=True, lstrip=True, rstrip=True)
WORD, PHRASE, MIXED = (AddedToken(each, special=False) for each in ("Café", "the cat", "x東"))

# (added tokens, text, ids, offsets); of ids from transformers 5.23
CASES = [
    (["[SUBJ]"], "the [SUBJ]cat[SUBJ]s", [THE, NEW, CAT, NEW, 1], [(0, 3), (4, 10), (10, 13), (13, 19), (19, 20)]),
    (["[SUBJ]"], "[subj] [MASK]", [10, 12, 11, 10, 1, 11], None),  # it is special: in this case alone
    (["cat"], "cats", [CAT, 1], [(0, 3), (3, 4)]),  # a row of the vocabulary keeps its id
    (["[A", "[AB]"], "[AB][AB", [NEW + 1, NEW, 1], [(0, 4), (4, 6), (6, 7)]),  # the longest
    ([WORD], "CAFE\u0301s the", [NEW, 1, THE], [(0, 5), (5, 6), (7, 10)]),  # in the normalized text
    ([PHRASE], "The\tcat the  cat", [NEW, THE, CAT], [(0, 7), (8, 11), (13, 16)]),
    ([MIXED], "x東 東x", [NEW, EAST, X], [(0, 2), (3, 4), (4, 5)]),
    ([SINGLE], "the foo cat", [THE, FOO, CAT], [(0, 3), (3, 8), (8, 11)]),
    ([SINGLE], "foo,foobar foo_", [FOO, COMMA, FOO, 16, FOO, 1], None),
    ([], "", [], []),
]


@pytest.mark.parametrize(("added", "text", "ids", "offsets"), CASES, ids=lambda value: str(value)[:20])
def test_kept_whole(added, text, ids, offsets):
    tokenizer = Tokenizer(Vocabulary(ROWS), added_tokens=added)
    found, places = tokenizer.token_ids_with_offsets(text)
    assert tokenizer.token_ids(text) == found == ids
    assert offsets is None or places == offsets
    assert BulkTokenizer(tokenizer).token_ids([text, text])[0].tolist() == ids * 2


def test_the_two_normalizations_are_one():
    for text in ("Ça\t[SUBJ] 東京x\u200b", "ΟΔΥΣΣΕΥΣ\u3000a\u0323\u0301", "İ 한 ﬁ", ""):
        for flags in ({}, {"do_lower_case": False}, {"strip_accents": False, "tokenize_chinese_chars": False}):
            normal, places = normalized_with_places(text, **flags)
            assert normal == normalized_text(text, **flags) and len(places) == len(normal)


def test_in_a_batch_and_back():
    tokenizer = Tokenizer(Vocabulary(ROWS), added_tokens=["[SUBJ]", AddedToken("##x", special=False)], keep="[MASK]")
    batch = tokenizer(["the [SUBJ] [MASK]", "##x"])
    np.testing.assert_array_equal(batch["input_ids"], [[2, THE, NEW, 4, 3], [2, NEW + 1, 3, 0, 0]])
    assert tokenizer.decode(batch["input_ids"][0]) == "the [MASK]"
    assert tokenizer.decode([THE, NEW, NEW + 1], skip_special_tokens=False) == "the [SUBJ] ##x"
    assert tokenizer.ids(["[SUBJ]"]) == [NEW] and len(tokenizer) == NEW + 2


def test_a_saved_tokenizer_is_the_same(tmp_path):
    for name in ("tokenizer.json", "added_tokens.json", "special_tokens_map.json"):  # another tokenizer's
        (tmp_path / name).write_text(json.dumps({"additional_special_tokens": ["[OLD]"]}))
    tokens = ["[SUBJ]", SINGLE, WORD]
    tokenizer = Tokenizer(Vocabulary([*ROWS, "", ""]), False, strip_accents=True, added_tokens=tokens)
    tokenizer.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer_config.json", "vocab.txt"]
    again = Tokenizer.from_pretrained(tmp_path)
    assert again.rules.replace(added_tokens=()) == tokenizer.rules.replace(added_tokens=())
    assert set(again.vocabulary.added) == set(tokenizer.vocabulary.added)
    assert again.vocabulary.tokens == tokenizer.vocabulary.tokens
    assert again.vocabulary.rows == tokenizer.vocabulary.rows
    assert repr(again) == "Tokenizer(25 tokens, cased, without accents, keeps foo [SUBJ] Café)"


def test_what_is_no_token():
    for token, sentence in (
        ("", "must be a string"),
        (5, "must be a string"),
        ({"content": "a", "lstrip": 1}, "lstrip"),
    ):
        with pytest.raises(UserError, match=sentence):
            Tokenizer(Vocabulary(ROWS), added_tokens=[token])


@pytest.mark.slow
@pytest.mark.parametrize("do_lower_case", [True, False])
def test_transformers_gives_these_ids(do_lower_case):
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    rng = np.random.default_rng(5)
    parts = [
        "the",
        "cat",
        "[SUBJ]",
        "[subj]",
        " ",
        "CAFÉ",
        "cafe\u0301",
        "s",
        "foo",
        "_",
        "x東",
        "東",
        "[AB]",
        "[A",
        ",",
        "\t",
    ]
    texts = ["".join(rng.choice(parts, rng.integers(1, 10))) for _ in range(300)]
    for added in (["[SUBJ]", "cat"], ["[A", "[AB]"], [WORD, PHRASE, MIXED], [SINGLE, "[SUBJ]"]):
        ours = Tokenizer(Vocabulary(ROWS), do_lower_case, added_tokens=added, keep=SPECIAL_TOKENS)
        theirs = transformers.BertTokenizer(
            vocab={token: index for index, token in enumerate(ROWS)}, do_lower_case=do_lower_case
        )
        theirs.add_tokens([tokenizers.AddedToken(**token.to_dict()) for token in ours.vocabulary.added])
        for text in texts:
            assert ours.token_ids(text) == theirs(text, add_special_tokens=False)["input_ids"], text


def test_of_several_tokens_with_one_content_the_first_counts_however_many_there_are():
    tokens = [AddedToken(f"<{number % 50_000}>", lstrip=number < 50_000) for number in range(100_000)]
    made = as_added_tokens(tokens)  # hours, if each took a pass over all
    assert made == tuple(tokens[:50_000])
