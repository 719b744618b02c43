"""Byte-level BPE in Python: ids, offsets, decoding, and what cannot be a model."""

import copy
import dataclasses
import pickle
import random
import unicodedata

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.text.bpe.bulk import BulkBytePairs
from keras_bert.text.bpe.byte_pairs import ALPHABET, BytePairs
from tests.text.byte_pairs import ByteTexts, golden_engine, golden_rows, odd_engine, small_engine

GOLDEN = {"roberta": 5, "modernbert_rebuilt": 29}  # how many strings have added tokens in them


@pytest.fixture(scope="module", params=GOLDEN)
def golden_model(request, shared, tmp_path_factory):
    """An engine, its golden rows of plain strings, and whether they were made with trim_offsets."""
    name = request.param
    engine = golden_engine(shared, name, tmp_path_factory.mktemp(name))
    model = np.flatnonzero(engine.in_model)
    rows = golden_rows(shared, name)
    plain = [row for row in rows if set(row[1]) <= set(model.tolist())]
    assert len(rows) - len(plain) == GOLDEN[name]
    return engine, plain, name == "roberta"


def test_golden_ids(golden_model):
    engine, rows, _ = golden_model
    assert [engine.ids(text) for text, _, _ in rows] == [ids for _, ids, _ in rows]
    flat, lengths = engine.bulk([text for text, _, _ in rows])
    assert flat.dtype == np.uint16 and lengths.dtype == np.int64
    assert flat.tolist() == [index for _, ids, _ in rows for index in ids]
    assert lengths.tolist() == [len(ids) for _, ids, _ in rows]


def trim(start, end, token):
    """Takes the spaces at the ends of a token from its place."""
    bare = token.lstrip("Ġ")
    return min(start + len(token) - len(bare), end), end - len(bare) + len(bare.rstrip("Ġ"))


def test_golden_offsets(golden_model):
    engine, rows, trimmed = golden_model
    for text, ids, golden in rows:
        if not trimmed:
            golden = [trim(*pair, engine.tokens[index]) for pair, index in zip(golden, ids, strict=True)]
        found = engine.ids_with_offsets(text)
        if unicodedata.is_normalized("NFC", text) or engine.normalizer is None:
            assert found == (ids, [tuple(pair) for pair in golden])
        assert [start for start, _ in found[1]] == [start for start, _ in golden]


def test_golden_decoding(golden_model):
    engine, rows, _ = golden_model
    for text, ids, _ in rows:
        assert engine.text(ids) == (unicodedata.normalize("NFC", text) if engine.normalizer else text)


def test_an_example_worked_by_hand():
    engine = odd_engine()
    assert [engine.tokens[index] for index in engine.ids("abc xyz's  111")] == [
        *("abc", "Ġxy", "z", "'s", "Ġ", "Ġ", "11", "1")
    ]  # "b c" comes first, so that it is "a bc" that makes "abc"; "x y" comes before "Ġ x" and leaves no "y z"


def test_offsets():
    engine = small_engine()
    text = "the  fox, é한 \n x "
    ids, offsets = engine.ids_with_offsets(text)
    assert ids == engine.ids(text)
    assert "".join(text[start:end] for start, end in dict.fromkeys(offsets)) == "thefox,é한\nx"
    assert all(text[start:end] == text[start:end].strip(" ") for start, end in offsets)
    assert engine.ids_with_offsets("") == ([], [])


def test_offsets_with_a_space_before_the_text():
    engine = small_engine(add_prefix_space=True)
    assert engine.ids("the fox") == engine.ids(" the fox") == small_engine().ids(" the fox")
    assert engine.ids_with_offsets("the")[1] == [(0, 3)]
    assert engine.ids_with_offsets(" the")[1] == [(1, 4)]
    assert engine.ids("") == []


def test_offsets_are_of_the_text_before_nfc():
    engine = small_engine("NFC")
    text = "e\u0301a \u1112\u1161\u11abx"
    ids, offsets = engine.ids_with_offsets(text)
    assert ids == small_engine().ids("éa 한x")
    assert {text[start:end] for start, end in offsets} >= {"e\u0301", "\u1112\u1161\u11ab"}
    assert offsets[-1] == (7, 8) and engine.text(ids) == "éa 한x"


def test_lone_surrogates_are_dropped():
    engine = small_engine()
    assert engine.ids("a\ud800b") == engine.ids("ab")
    ids, offsets = engine.ids_with_offsets("the \udcfffox\ud800")
    assert ids == engine.ids("the fox") and offsets[0] == (0, 1) and offsets[-1][1] == 8
    assert engine.bulk(["\ud800", "a\ud800b"])[1].tolist() == [0, len(engine.ids("ab"))]


def test_decoding():
    engine = small_engine()
    assert engine.text(engine.ids("한")[:-1]) != "한" and "\ufffd" in engine.text(engine.ids("한\U0001f1f0")[:-1])
    assert engine.text(np.array([0, *engine.ids("the"), 2])) == "<s>the</s>"
    assert engine.text([]) == ""


def test_what_goes_on_inside_a_word():
    engine = BytePairs([*ALPHABET, "ab", "Ġab", "<s>"], [("a", "b"), ("Ġ", "ab")])
    assert engine.is_continuation[-3:].tolist() == [True, False, False]
    assert engine.in_model[-3:].tolist() == [True, True, False]
    assert not engine.is_continuation[ALPHABET.index("Ġ")]


def test_bulk_is_the_same():
    engine = small_engine()
    texts = ByteTexts(random.Random(5), engine).batch(500)
    flat, lengths = engine.bulk(texts)
    assert flat.tolist() == [index for text in texts for index in engine.ids(text)]
    assert lengths.tolist() == [len(engine.ids(text)) for text in texts]
    assert [array.tolist() for array in engine.bulk([])] == [[], []]


def test_bulk_keeps_words_that_end_with_byte_0_apart():
    engine = small_engine()
    texts = ["a", "a\0", "\0", "a\0\0", "!\0 a", "!"]
    assert engine.bulk(texts)[0].tolist() == [index for text in texts for index in engine.ids(text)]


def test_bulk_in_several_batches(monkeypatch):
    monkeypatch.setattr("keras_bert.text.bulk_words.BATCH_CHARS", 10)
    engine = small_engine()
    texts = ["the fox"] * 5 + ["", "the quick brown fox", ""]
    assert engine.bulk(texts)[1].tolist() == [len(engine.ids(text)) for text in texts]


def test_a_pickle_makes_it_again():
    engine = small_engine("NFC", True)
    engine.ids("the")
    for again in (pickle.loads(pickle.dumps(engine)), copy.deepcopy(engine), dataclasses.replace(engine)):
        assert (again.tokens, again.merges) == (engine.tokens, engine.merges)
        assert (again.normalizer, again.add_prefix_space) == ("NFC", True)
        assert again.ids("the fo\u0301x") == engine.ids("the fo\u0301x")
    bulk = pickle.loads(pickle.dumps(BulkBytePairs(engine)))
    assert bulk.token_ids(["the fo\u0301x"])[0].tolist() == engine.ids("the fo\u0301x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        engine.normalizer = None


@pytest.mark.parametrize(
    ("tokens", "merges", "options", "message"),
    [
        ([*ALPHABET, ""], [], {}, "must be a string with characters. Received: ''"),
        ([*ALPHABET, "a"], [], {}, "has the token 'a' twice"),
        (ALPHABET[1:], [], {}, "lacks 'Ā', the letter of byte 0"),
        ([*ALPHABET, "ab"], [("a", "b"), ("ab", "c")], {}, "Merge 1, 'ab c', .* no token 'abc'"),
        ([*ALPHABET, "abc"], [("ab", "c")], {}, "Merge 0, 'ab c', .* no token 'ab'"),
        ([*ALPHABET, "ab"], [("a", "b", "c")], {}, "Merge 0 must be two tokens"),
        ([*ALPHABET, "한", "한a"], [("한", "a")], {}, "stand for no byte"),
        (ALPHABET, [], {"normalizer": "NFKC"}, "normalizer must be None or 'NFC'"),
        (ALPHABET, [], {"add_prefix_space": 1}, "add_prefix_space must be True or False"),
    ],
)
def test_what_cannot_be_a_model(tokens, merges, options, message):
    with pytest.raises(UserError, match=message):
        BytePairs(tokens, merges, **options)
