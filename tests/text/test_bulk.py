"""Thousands of texts at once get the ids that each gets alone."""

import copy
import pickle

import numpy as np
import pytest

from keras_bert.text import bulk_words
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert.text.wordpiece.bulk import BulkTokenizer
from tests.text.fuzzing import spelling_vocabulary

SPELLING = spelling_vocabulary()


def rows(ids, lengths):
    return [row.tolist() for row in np.split(ids, np.cumsum(lengths)[:-1])]


def test_by_hand(small_vocabulary):
    ids, lengths = BulkTokenizer(Tokenizer(small_vocabulary)).token_ids(["The unaffable!", "", "NAÏVE xyzzy東京"])
    tokens = [small_vocabulary.token(index) for index in ids]
    assert tokens == "the un ##aff ##able ! naive [UNK] 東 京".split()
    assert lengths.tolist() == [5, 0, 4]
    assert (ids.dtype, lengths.dtype) == (np.uint16, np.int64)


@pytest.mark.parametrize("casing", ["uncased", "cased"])
def test_golden(golden_tokenization, casing):
    vocab, cases = golden_tokenization
    tokenizer = BulkTokenizer(Tokenizer(vocab, do_lower_case=casing == "uncased"))
    expected = [case[f"{casing}_ids"] for case in cases]
    texts = [case["text"] for case in cases]
    assert rows(*tokenizer.token_ids(texts)) == expected
    assert [rows(*tokenizer.token_ids([text]))[0] for text in texts] == expected


def test_kept_tokens_are_found_before_anything_else():
    keep = ("[MASK]", "ab", "Σ'", "é")
    vocabulary = Vocabulary([*SPELLING.tokens, "Σ'"])
    alone = Tokenizer(vocabulary, keep=keep)
    texts = ["[MASK][MASK] [MA\x00SK] [mask]", "xaby AB a\x01b", "ΑΣ'Α ΑΣab ΑΣ\x01ab ΑΣ.a", "é e\u0301 É", "[MASK"]
    assert rows(*BulkTokenizer(alone).token_ids(texts)) == [alone.token_ids(text) for text in texts]
    assert alone.token_ids(texts[0]).count(vocabulary.mask_id) == 2


def test_bytes_are_welcome():
    alone = Tokenizer(SPELLING)
    texts = [b"a\xffb \xe6\x9d\xb1\xe4\xba", "a\ud800b \udcff", b"\xfe0 \xff", b"\xed\xa0\x80"]
    assert rows(*BulkTokenizer(alone).token_ids(texts)) == [alone.token_ids(text) for text in texts]


@pytest.mark.parametrize(("size", "dtype"), [(65_535, np.uint16), (65_536, np.uint16), (65_537, np.int32)])
def test_the_type_of_ids(size, dtype):
    """The last id of a vocabulary with 65,536 entries is the greatest of the type."""
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *(f"w{n}" for n in range(size - len(SPECIAL_TOKENS)))])
    ids, lengths = BulkTokenizer(Tokenizer(vocabulary)).token_ids([vocabulary.token(size - 1), "w0"])
    assert ids.dtype == dtype and ids.tolist() == [size - 1, 5] and lengths.tolist() == [1, 1]


def test_no_texts_and_no_words():
    tokenizer = BulkTokenizer(Tokenizer(SPELLING))
    for texts in ([], [""], ["", " \n", "\u200b\x00", ""]):
        ids, lengths = tokenizer.token_ids(texts)
        assert (ids.size, ids.dtype, lengths.tolist(), lengths.dtype) == (0, np.uint16, [0] * len(texts), np.int64)


def test_where_the_texts_are_cut_into_batches_makes_no_difference(monkeypatch):
    texts = ["a b", "", "é" * 30, "ΑΣ", "c, d"] * 3
    expected = BulkTokenizer(Tokenizer(SPELLING)).token_ids(texts)
    for chars, words in ((1, 1), (7, 2), (30, 10**6), (10**6, 1), (10**6, 3)):
        monkeypatch.setattr(bulk_words, "BATCH_CHARS", chars)
        monkeypatch.setattr(bulk_words, "CHUNK_WORDS", words)
        found = BulkTokenizer(Tokenizer(SPELLING)).token_ids(texts)
        assert all(map(np.array_equal, found, expected))


def test_the_table_of_words_is_bounded(monkeypatch):
    monkeypatch.setattr(bulk_words, "MAX_WORDS", 50)
    monkeypatch.setattr(bulk_words, "CHUNK_WORDS", 30)
    monkeypatch.setattr("keras_bert.text.wordpiece.bulk.MAX_CHARACTERS", 7)
    alone = Tokenizer(SPELLING)
    many = BulkTokenizer(alone)
    texts = [f"word{n} é{n}{chr(0x370 + n)} the {'x' * 101}{n} {'long' * 9}{n}" for n in range(300)]
    assert rows(*many.token_ids(texts)) == [alone.token_ids(text) for text in texts]
    assert rows(*many.token_ids([" ".join(texts)])) == [alone.token_ids(" ".join(texts))]
    assert len(many._bounds) <= 50 + 1
    assert len(many._ids) < 51 * 40
    assert 0 < len(many._characters) <= 7
    many.token_ids(texts[:1])
    assert many._long and max(map(len, many._long)) <= 100


def test_copies_and_pickles_answer_alike_and_start_empty():
    many = BulkTokenizer(Tokenizer(SPELLING, do_lower_case=False, keep=("[MASK]",)))
    texts = ["The [MASK] é", "Été"]
    expected = many.token_ids(texts)
    assert len(many._bounds) > 2
    for again in (copy.deepcopy(many), pickle.loads(pickle.dumps(many))):
        assert len(again._bounds) == 2  # the end of a text alone
        assert all(map(np.array_equal, again.token_ids(texts), expected))
