"""A small corpus in which each document has words of its own, so that a pair's origin can be read off its tokens."""

import numpy as np
import pytest

from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.tfrecords.tool import SMALL
from tfrecords.create_pretraining_data import create_pretraining_data

DOCUMENTS, WORDS = 12, 30
ROOTS = ("ka", "lo", "mi", "nu", "pe", "ra", "si", "to", "vu", "we", "zo", "ba")


def word(document, number):
    """The word of a document, "ka01" and so on; every third is spelled by two pieces, "ka" "##03"."""
    return f"{ROOTS[document]}{number:02d}"


@pytest.fixture(scope="session")
def vocabulary():
    """Specials, two unused, the documents' words and pieces."""
    whole = [word(d, n) for d in range(DOCUMENTS) for n in range(WORDS) if n % 3]
    return Vocabulary(
        [*SPECIAL_TOKENS, "[unused0]", "[unused1]", *ROOTS, *(f"##{n:02d}" for n in range(0, WORDS, 3)), *whole]
    )


@pytest.fixture(scope="session")
def documents():
    """Twelve documents of 1 to 40 sentences of 1 to 14 words."""
    rng = np.random.default_rng(0)
    return [
        [
            " ".join(word(document, n) for n in rng.integers(0, WORDS, rng.integers(1, 15)))
            for _ in range(1 if document == 0 else rng.integers(3, 41))
        ]
        for document in range(DOCUMENTS)
    ]


@pytest.fixture
def corpus_file(documents, tmp_path):
    """The documents in Google's input format."""
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n".join("\n".join(document) for document in documents) + "\n")
    return path


@pytest.fixture
def vocab_file(vocabulary, tmp_path):
    path = tmp_path / "vocab.txt"
    vocabulary.save(path)
    return path


@pytest.fixture
def make(corpus_file, vocab_file, tmp_path):
    """Returns a function that writes records of the corpus to out/NAME and returns the manifest."""

    def run(name="a.tfrecord", **options):
        return create_pretraining_data(
            str(corpus_file), f"{tmp_path}/out/{name}", str(vocab_file), **{**SMALL, **options}
        )

    return run
