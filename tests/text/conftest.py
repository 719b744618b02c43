"""Vocabularies and golden files for the tests of strings to ids."""

import json

import pytest

from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


@pytest.fixture
def small_vocabulary():
    """A vocabulary to work examples by hand with."""
    words = "the un ##aff ##able run ##ning ! , . ' don t naive [ ] mask café 東 京".split()
    return Vocabulary([*SPECIAL_TOKENS, *words])


@pytest.fixture(scope="session", params=["ours", "google"])
def golden_tokenization(request, golden):
    """The path of a vocabulary, and what it makes of texts: our small file, and the one of Google's own code."""
    if request.param == "ours":
        folder = golden / "tokenization"
        vocab, path = folder / "vocab.txt", folder / "tokenization.json"
    else:
        shared = request.getfixturevalue("shared")
        vocab = shared / "data" / "vocab" / "bert-base-uncased" / "vocab.txt"
        path = shared / "golden" / "tokenization" / "google_tokenization.json"
    cases = json.loads(path.read_text(encoding="utf-8"))
    assert len(cases) > 50
    return vocab, cases
