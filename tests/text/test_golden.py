"""The tokenizer gives the ids of google-research/bert on every golden string: no exceptions."""

import unicodedata

import pytest

from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.text import reference

CASINGS = pytest.mark.parametrize("casing", ["uncased", "cased"])


@CASINGS
def test_tokens_and_ids(golden_tokenization, casing):
    vocab, cases = golden_tokenization
    tokenizer = Tokenizer(vocab, do_lower_case=casing == "uncased")
    for case in cases:
        assert tokenizer.tokenize(case["text"]) == case[casing], case["text"]
        assert tokenizer.token_ids(case["text"]) == case[f"{casing}_ids"], case["text"]


@CASINGS
def test_ids_beside_offsets(golden_tokenization, casing):
    vocab, cases = golden_tokenization
    tokenizer = Tokenizer(vocab, do_lower_case=casing == "uncased")
    for case in cases:
        ids, offsets = tokenizer.token_ids_with_offsets(case["text"])
        assert ids == case[f"{casing}_ids"], case["text"]
        assert len(offsets) == len(ids)


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="asks Python's own table, which must be Unicode 14")
@CASINGS
def test_the_second_reading_of_the_rules_agrees_with_the_golden_files(golden_tokenization, casing):
    vocab, cases = golden_tokenization
    ids = Vocabulary.from_file(vocab)._ids
    for case in cases:
        assert reference.tokenize(case["text"], ids, casing == "uncased") == case[casing], case["text"]


def test_our_golden_file_is_that_of_its_maker(golden):
    vocabulary = Vocabulary.from_file(golden / "tokenization" / "vocab.txt")
    assert list(vocabulary.tokens) == reference.golden_vocabulary()
