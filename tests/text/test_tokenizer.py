"""The tokenizer in Python: ids, offsets, inputs of the model, decoding, files."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bert.errors import UserError
from keras_bert.text.layout import truncated
from keras_bert.text.normalize import basic_tokenize
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.conftest import GOLDEN

OURS = Vocabulary.from_file(GOLDEN / "tokenization" / "vocab.txt")


@pytest.fixture
def tokenizer(small_vocabulary):
    return Tokenizer(small_vocabulary)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The unaffable!", "the un ##aff ##able !"),
        ("Don't run, running.", "don ' t run , run ##ning ."),
        ("NAÏVE xyzzy 東京", "naive [UNK] 東 京"),
        ("[MASK]", "[ mask ]"),
        ("", ""),
    ],
)
def test_by_hand(tokenizer, text, tokens):
    assert tokenizer.tokenize(text) == tokens.split()
    assert tokenizer.token_ids(text) == tokenizer.ids(tokens.split())


def test_cased(small_vocabulary):
    assert Tokenizer(small_vocabulary, do_lower_case=False).tokenize("café The") == ["café", "[UNK]"]
    assert Tokenizer(small_vocabulary, strip_accents=False).tokenize("CAFÉ THE") == ["café", "the"]


def test_bytes_lose_what_is_not_utf_8(tokenizer):
    assert tokenizer.tokenize(b"the r\xffun \xe6\x9d\xb1\xe4\xba") == ["the", "run", "東"]


def test_special_tokens_are_kept_when_asked(small_vocabulary):
    tokenizer = Tokenizer(small_vocabulary, keep=("[MASK]", "[SEP]"))
    assert tokenizer.tokenize("The [MASK]run[MASK][SEP] [mask] [CLS]") == (
        "the [MASK] run [MASK] [SEP] [ mask ] [ [UNK] ]".split()
    )
    assert Tokenizer(small_vocabulary, keep="[MASK]").tokenize("[MASK]") == ["[MASK]"]
    with pytest.raises(UserError, match=r"'\[NONE\]' is not among"):
        Tokenizer(small_vocabulary, keep=("[NONE]",))


def test_copies_and_pickles_answer_alike(tokenizer):
    ids = tokenizer.token_ids("the unaffable")
    assert copy.deepcopy(tokenizer).token_ids("the unaffable") == ids
    assert pickle.loads(pickle.dumps(tokenizer)).token_ids("the unaffable") == ids


# Offsets.


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("The unaffable!", ["The", "un", "aff", "able", "!"]),
        ("  don't\n", ["don", "'", "t"]),
        ("NAI\u0308VE, café", ["NAI\u0308VE", ",", "café"]),
        ("un\u200baff\xadable", ["un", "aff", "able"]),
        ("xyzzy東京", ["xyzzy", "東", "京"]),
    ],
)
def test_offsets_slice_the_text_as_it_was_given(tokenizer, text, places):
    ids, offsets = tokenizer.token_ids_with_offsets(text)
    assert ids == tokenizer.token_ids(text)
    assert [text[start:end] for start, end in offsets] == places


def test_offsets_of_kept_tokens(small_vocabulary):
    text = "the [MASK]run"
    ids, offsets = Tokenizer(small_vocabulary, keep=("[MASK]",)).token_ids_with_offsets(text)
    assert ids == Tokenizer(small_vocabulary, keep=("[MASK]",)).token_ids(text)
    assert [text[start:end] for start, end in offsets] == ["the", "[MASK]", "run"]


TEXTS = st.text() | st.lists(st.sampled_from([*" aAéÉΣσßİ한東.,'#\u0301\u0323\u200b\x00\ufffd\u2028"])).map("".join)


@given(TEXTS, st.booleans())
def test_offsets_belong_to_the_ids_and_never_go_back(text, lower_case):
    tokenizer = Tokenizer(OURS, do_lower_case=lower_case)
    ids, offsets = tokenizer.token_ids_with_offsets(text)
    assert ids == tokenizer.token_ids(text)
    starts = [start for start, _ in offsets]
    assert starts == sorted(starts)
    for index, (start, end) in zip(ids, offsets, strict=True):
        assert 0 <= start < end <= len(text)
        token = OURS.token(index).removeprefix("##")
        if token.isascii() and index != tokenizer.unk_id:  # the place holds what the piece spells, and marks perhaps
            place = basic_tokenize(text[start:end], do_lower_case=lower_case)
            assert "".join(place).startswith(token[0])


# Inputs of the model.


def test_encode_one_text(tokenizer):
    inputs = tokenizer.encode("the run!", max_seq_length=8)
    ids = tokenizer.ids("[CLS] the run ! [SEP] [PAD] [PAD] [PAD]".split())
    np.testing.assert_array_equal(inputs["input_ids"], ids)
    np.testing.assert_array_equal(inputs["input_mask"], [1, 1, 1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(inputs["segment_ids"], [0] * 8)
    assert {array.dtype for array in inputs.values()} == {np.dtype("int32")}


def test_encode_a_pair(tokenizer):
    inputs = tokenizer.encode("the run!", "un run", max_seq_length=9, return_offsets=True)
    ids = tokenizer.ids("[CLS] the run ! [SEP] un run [SEP] [PAD]".split())
    np.testing.assert_array_equal(inputs["input_ids"], ids)
    np.testing.assert_array_equal(inputs["input_mask"], [1] * 8 + [0])
    np.testing.assert_array_equal(inputs["segment_ids"], [0] * 5 + [1] * 3 + [0])
    places = [(0, 0), (0, 3), (4, 7), (7, 8), (0, 0), (0, 2), (3, 6), (0, 0), (0, 0)]
    np.testing.assert_array_equal(inputs["offsets"], places)


def test_encode_without_a_length(tokenizer):
    assert len(tokenizer.encode("the run!")["input_ids"]) == 5
    assert len(tokenizer.encode("", "")["input_ids"]) == 3


def test_the_longer_text_is_cut_and_of_equal_ones_the_second(tokenizer):
    cut = tokenizer.encode("the run ! , .", "un t", max_seq_length=7)["input_ids"]
    assert list(cut) == tokenizer.ids("[CLS] the run [SEP] un t [SEP]".split())
    assert truncated([[1, 2, 3], [4, 5, 6]], 5) == [[1, 2, 3], [4, 5]]
    assert truncated([[1, 2, 3], [4, 5, 6]], 0) == [[], []]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 40))
def test_truncation_keeps_all_that_fits(first, second, most):
    parts = truncated([list(range(first)), list(range(second))], most)
    assert sum(map(len, parts)) == min(most, first + second)
    assert parts == [list(range(len(part))) for part in parts]
    if first + second > most:
        shorter = min(first, second, most // 2)
        assert sorted(map(len, parts)) == [shorter, most - shorter]


@pytest.mark.parametrize(("pair", "length"), [(None, 1), ("b", 2), (None, 0), (None, -3)])
def test_lengths_without_room(tokenizer, pair, length):
    with pytest.raises(UserError, match=f"max_seq_length must be at least .*Received: {length}"):
        tokenizer.encode("a", pair, max_seq_length=length)


# Ids to text.


def test_decode(tokenizer):
    ids = tokenizer.encode("The unaffable, [xyzzy]!", max_seq_length=16)["input_ids"]
    assert tokenizer.decode(ids) == "the unaffable , [ [UNK] ] !"
    assert tokenizer.decode(ids, skip_special_tokens=False).startswith("[CLS] the unaffable")
    assert tokenizer.decode([tokenizer.mask_id, *tokenizer.ids(["##able", "##aff"])]) == "[MASK]ableaff"
    assert tokenizer.decode(tokenizer.ids(["##able"])) == "##able"
    assert tokenizer.decode([]) == ""


@given(st.lists(st.sampled_from("the quick brown fox hello world naive strasse 2026 . , ! ( )".split())))
def test_decoding_undoes_tokenizing_of_plain_words(words):
    tokenizer = Tokenizer(OURS)
    assert tokenizer.decode(tokenizer.token_ids(" ".join(words))) == " ".join(words)


# Files.


def test_round_trip(small_vocabulary, tmp_path):
    tokenizer = Tokenizer(small_vocabulary, False, strip_accents=True, tokenize_chinese_chars=False)
    tokenizer.save_pretrained(tmp_path / "model")
    again = Tokenizer.from_pretrained(tmp_path / "model")
    assert again.vocabulary.tokens == small_vocabulary.tokens
    assert (again.do_lower_case, again.strip_accents, again.tokenize_chinese_chars) == (False, True, False)
    assert Tokenizer.from_pretrained(tmp_path / "model", do_lower_case=True).do_lower_case


def test_a_checkpoint_prefix_and_what_the_vocabulary_looks_like(small_vocabulary, tmp_path):
    small_vocabulary.save(tmp_path / "vocab.txt")
    assert Tokenizer.from_pretrained(tmp_path / "bert_model.ckpt").do_lower_case
    Vocabulary([*small_vocabulary.tokens, "The"]).save(tmp_path / "vocab.txt")
    assert not Tokenizer.from_pretrained(tmp_path).do_lower_case
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    assert Tokenizer.from_pretrained(tmp_path).do_lower_case


def test_directories_that_hold_no_tokenizer(small_vocabulary, tmp_path):
    with pytest.raises(UserError, match=rf"no vocab\.txt and no tokenizer\.json in {tmp_path};"):
        Tokenizer.from_pretrained(tmp_path)
    small_vocabulary.save(tmp_path / "vocab.txt")
    for content, message in (("{", "is not JSON"), ("[]", "holds a list")):
        (tmp_path / "tokenizer_config.json").write_text(content)
        with pytest.raises(UserError, match=message):
            Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"none\.txt does not exist"):
        Tokenizer(tmp_path / "none.txt")


def test_a_call_gives_padded_arrays(small_vocabulary):
    tokenizer = Tokenizer(small_vocabulary)
    batch = tokenizer(("the un", "run"), pair=np.array(["the", "!"]), max_seq_length=7)
    assert tokenizer(np.array("the"))["input_ids"].tolist() == tokenizer("the")["input_ids"].tolist()
    assert {(name, array.dtype.name, array.shape) for name, array in batch.items()} == {
        (name, "int32", (2, 7)) for name in ("input_ids", "input_mask", "segment_ids")
    }
    for row, texts in enumerate((("the un", "the"), ("run", "!"))):
        for name, array in tokenizer.encode(*texts, 7).items():
            np.testing.assert_array_equal(batch[name][row], array)
    assert tokenizer(["the the the", "run"])["input_mask"].sum(axis=1).tolist() == [5, 3]
    assert tokenizer("the")["input_ids"].shape == (1, 3)  # one text is a batch of one


def test_length_and_repr(small_vocabulary):
    tokenizer = Tokenizer(small_vocabulary, tokenize_chinese_chars=False)
    assert len(tokenizer) == tokenizer.vocab_size == len(small_vocabulary)
    assert repr(tokenizer) == f"Tokenizer({len(tokenizer)} tokens, lower-cased, ideographs stay in their words)"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda t: t.tokenize(["a"]),
            r"a string\. Received: \['a'\] \(list\); tokenizer\(texts\) takes a list",
        ),
        (lambda t: t.token_ids(None), r"text must be a string\. Received: None \(NoneType\)"),
        (lambda t: t.basic_tokens(5), "text must be a string"),
        (lambda t: t.token_ids_with_offsets(b"a"), "text must be a string"),
        (lambda t: t.encode(["a", "b"]), "text must be a string"),
        (lambda t: t.encode("a", 5), "text must be a string"),
        (lambda t: t.encode("a", max_seq_length="5"), "max_seq_length must be a whole number"),
        (lambda t: t(5), r"text must be a string or a list of strings\. Received: 5 \(int\)"),
        (lambda t: t(["a", float("nan")]), r"Entry 1 is nan \(float\)"),
        (lambda t: t({"text": "a"}), "text must be a string or a list of strings"),
        (lambda t: t(["a"], pair=["a", "b"]), r"pair must be as many as text\. Received: 2 and 1"),
        (lambda t: t([]), "at least one string"),
        (lambda t: t.decode("abc"), "ids must be one row of whole numbers"),
        (lambda t: t.decode([[2, 3]]), r"An entry is \[2, 3\] \(list\)"),
        (lambda t: t.decode(np.ones((2, 2), int)), "ids must be one row of whole numbers"),
        (lambda t: t.ids("the"), "tokens must be a list of tokens"),
        (lambda t: Tokenizer(t.vocabulary, "false"), r"do_lower_case must be True or False\. Received: 'false'"),
        (
            lambda t: Tokenizer(t.vocabulary, tokenize_chinese_chars=None),
            "tokenize_chinese_chars must be True or False",
        ),
    ],
)
def test_what_is_given_is_checked(small_vocabulary, call, sentence):
    with pytest.raises(UserError, match=sentence):
        call(Tokenizer(small_vocabulary))
