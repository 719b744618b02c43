"""The corpus as flat arrays, in memory and on disk."""

import numpy as np
import pytest

from tfrecords.corpus import CorpusWriter, TokenCorpus


def test_flat_arrays_are_the_sentences():
    corpus = TokenCorpus.from_documents([[[7, 8], [9]], [[10, 11, 12]]], vocab_size=20)
    assert len(corpus) == 2
    assert corpus.tokens.tolist() == [7, 8, 9, 10, 11, 12]
    assert corpus.sentences.tolist() == [0, 2, 3, 6]
    assert corpus.documents.tolist() == [0, 2, 3]


@pytest.mark.parametrize(("vocab_size", "dtype"), [(30522, np.uint16), (65536, np.uint16), (119547, np.int32)])
def test_ids_take_as_few_bytes_as_the_vocabulary_allows(vocab_size, dtype):
    corpus = TokenCorpus.from_documents([[[vocab_size - 1]]], vocab_size=vocab_size)
    assert corpus.tokens.dtype == dtype
    assert corpus.tokens.tolist() == [vocab_size - 1]


def write(folder, chunks, **options):
    with CorpusWriter(folder, **{"vocab_size": 100, **options}) as writer:
        for tokens, lengths, counts, complete in chunks:
            writer.add(tokens, lengths, counts, complete=complete)
    return TokenCorpus.open(folder, **{"vocab_size": 100, **options})


def test_a_document_may_go_on_over_several_chunks(tmp_path):
    corpus = write(
        tmp_path,
        [
            ([1, 2, 3], [2, 1], [1, 1], False),
            ([4], [1], [1], False),
            ([5, 6, 7], [3], [1, 0], True),  # the last document has nothing left after tokenising
            ([], [], [], True),
            ([8], [1], [0, 1], True),
        ],
    )
    assert corpus.tokens.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert corpus.sentences.tolist() == [0, 2, 3, 4, 7, 8]
    assert corpus.documents.tolist() == [0, 1, 4, 5]


def test_nothing_of_the_document_that_went_on(tmp_path):
    """Its end is told by the next chunk, even if that has no sentence of it."""
    corpus = write(tmp_path, [([1, 2], [2], [1], False), ([3], [1], [0, 1], True)])
    assert corpus.documents.tolist() == [0, 1, 2]


def test_random_chunks_are_the_whole(tmp_path):
    rng = np.random.default_rng(0)
    documents = [[rng.integers(0, 99, rng.integers(1, 6)).tolist() for _ in range(n)] for n in rng.integers(1, 9, 50)]
    whole = TokenCorpus.from_documents(documents, vocab_size=100)
    chunks = []
    for first in range(0, 50, 7):
        sentences = [s for d in documents[first : first + 7] for s in d]
        counts = [len(d) for d in documents[first : first + 7]]
        chunks.append(([t for s in sentences for t in s], [len(s) for s in sentences], counts, True))
    mapped = write(tmp_path, chunks)
    for name in ("tokens", "sentences", "documents"):
        np.testing.assert_array_equal(getattr(mapped, name), getattr(whole, name))
    before = mapped.tokens.copy()
    mapped.release()
    np.testing.assert_array_equal(mapped.tokens, before)


def test_an_empty_corpus(tmp_path):
    corpus = write(tmp_path, [([], [], [], True)], vocab_size=100_000)
    assert len(corpus) == 0
    assert corpus.tokens.dtype == np.int32


@pytest.mark.parametrize("rows", [1, 3, 1024])
def test_windows_are_the_tokens_from_each_place_on(tmp_path, monkeypatch, rows):
    monkeypatch.setattr("tfrecords.corpus.ROWS_AT_ONCE", rows)
    corpus = write(tmp_path, [(list(range(50)), [50], [1], True)])
    starts = np.array([7, -2, 46, 0, 45, 30, 7])
    read = corpus.windows(starts, 5)
    for start, row in zip(starts, read, strict=True):
        inside = [i for i in range(5) if 0 <= start + i < 50]
        assert row[inside].tolist() == [start + i for i in inside]
    assert corpus.windows(np.array([-1]), 60)[0, 1:51].tolist() == list(range(50))
