"""A tokenised corpus as three flat arrays, in memory or mapped from files, so that its size does not matter.

tokens     7 8 9 | 5 | ...     the ids of all sentences, one after the other
sentences  0   2   3 ...       where each sentence begins in tokens
documents  0       2 ...       where each document begins in sentences
"""

import dataclasses
import mmap
from array import array
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

FILES = ("tokens", "sentences", "documents")
TOKENS_AT_ONCE = 1 << 22
ROWS_AT_ONCE = 1 << 10  # a row may map 64 kB of the file, which count as memory until they are given back


def id_dtype(vocab_size):
    """Returns the numpy type that holds the ids of a vocabulary: uint16, or int32 for more than 65,536 entries."""
    return np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.int32)


@dataclasses.dataclass(frozen=True)
class TokenCorpus:
    """A tokenised corpus.

    Attributes:
        tokens: uint16 or int32 (T,), the ids of all sentences one after the other.
        sentences: int64 (number of sentences + 1,), where each begins in `tokens`.
        documents: int64 (number of documents + 1,), where each begins in `sentences`.
    """

    tokens: np.ndarray
    sentences: np.ndarray
    documents: np.ndarray
    _maps: tuple = dataclasses.field(default=(), repr=False)

    def __len__(self):
        return len(self.documents) - 1

    @classmethod
    def from_documents(cls, documents, *, vocab_size):
        """Builds a corpus in memory.

        Args:
            documents: an iterable of documents, each a list of sentences, each a list of ids. Empty
                sentences and documents are left out.
            vocab_size: V, which decides the integers' width.

        Example:
            >>> corpus = TokenCorpus.from_documents([[[7, 8], [9]], [], [[], [5]]], vocab_size=10)
            >>> corpus.tokens.tolist(), corpus.sentences.tolist(), corpus.documents.tolist()
            ([7, 8, 9, 5], [0, 2, 3, 4], [0, 2, 3])
        """
        tokens, lengths, counts = array("i"), array("i"), array("i")
        for document in documents:
            before = len(lengths)
            for sentence in filter(None, document):
                tokens.extend(sentence)
                lengths.append(len(sentence))
            if len(lengths) > before:
                counts.append(len(lengths) - before)
        return cls(np.array(tokens, id_dtype(vocab_size)), _offsets(lengths), _offsets(counts))

    @classmethod
    def open(cls, folder, *, vocab_size):
        """Maps the files that a CorpusWriter wrote into `folder`."""
        dtypes = (id_dtype(vocab_size), np.dtype(np.int64), np.dtype(np.int64))
        maps = [_map_file(Path(folder, name)) for name in FILES]
        return cls(*(np.frombuffer(m, d) for m, d in zip(maps, dtypes, strict=True)), tuple(maps))

    def windows(self, starts, size):
        """Reads so many tokens from each of some places on, which may lie anywhere.

        They are read in the order in which they lie, and pages are given back on the way.

        Args:
            starts: int64 (B,), where to begin in `tokens`.
            size: S, how many tokens to read.

        Returns:
            (B, S). What would lie outside of the corpus is any token of it.
        """
        rows = np.empty((len(starts), size), self.tokens.dtype)
        order = np.argsort(starts)
        last = len(self.tokens) - size
        for first in range(0, len(order), ROWS_AT_ONCE):
            at = order[first : first + ROWS_AT_ONCE]
            inside = at[(starts[at] >= 0) & (starts[at] <= last)]
            if len(inside):
                rows[inside] = sliding_window_view(self.tokens, size)[starts[inside]]  # copies whole rows
            outside = np.setdiff1d(at, inside)
            if len(outside):
                places = np.clip(starts[outside, None] + np.arange(size), 0, len(self.tokens) - 1)
                rows[outside] = self.tokens[places]
            self.release()
        return rows

    def release(self):
        """Gives the pages that were read back to the system, which keeps them at hand but counts them no more."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for each in self._maps:
                each.madvise(mmap.MADV_DONTNEED)


def with_separators(corpus, separator, writer):
    """Writes a corpus once more, with a token at the end of each document, as part of its last sentence.

    Args:
        corpus: a TokenCorpus.
        separator: the token's id.
        writer: a CorpusWriter.

    Example:
        >>> import tempfile
        >>> corpus = TokenCorpus.from_documents([[[7, 8], [9]], [[5]]], vocab_size=10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with CorpusWriter(folder, vocab_size=10) as writer:
        ...         with_separators(corpus, 3, writer)
        ...     again = TokenCorpus.open(folder, vocab_size=10)
        ...     again.tokens.tolist(), again.sentences.tolist(), again.documents.tolist()
        ([7, 8, 9, 3, 5, 3], [0, 2, 4, 6], [0, 2, 3])
    """
    starts = corpus.sentences[corpus.documents]  # in tokens, and where the last one ends
    first = 0
    while first < len(corpus):
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + TOKENS_AT_ONCE, side="right")) - 1)
        bounds = corpus.documents[first : last + 1]
        lengths = np.diff(corpus.sentences[bounds[0] : bounds[-1] + 1])
        lengths[bounds[1:] - bounds[0] - 1] += 1
        tokens = np.insert(
            corpus.tokens[starts[first] : starts[last]], starts[first + 1 : last + 1] - starts[first], separator
        )
        writer.add(tokens, lengths, np.diff(bounds), complete=True)
        corpus.release()
        first = last


class CorpusWriter:
    """Writes a TokenCorpus to files, piece by piece.

    Args:
        folder: an existing folder.
        vocab_size: V, which decides the integers' width.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with CorpusWriter(folder, vocab_size=10) as writer:
        ...         writer.add([7, 8, 9], [2, 1], [2], complete=False)
        ...         writer.add([5, 6], [1, 1], [1, 1], complete=True)
        ...     corpus = TokenCorpus.open(folder, vocab_size=10)
        ...     corpus.tokens.tolist(), corpus.sentences.tolist(), corpus.documents.tolist()
        ([7, 8, 9, 5, 6], [0, 2, 3, 4, 5], [0, 3, 4])
    """

    def __init__(self, folder, *, vocab_size):
        self._streams = [open(Path(folder, name), "wb") for name in FILES]  # noqa: SIM115
        self._dtype = id_dtype(vocab_size)
        self._tokens = self._sentences = self._last_end = 0
        for stream in self._streams[1:]:
            stream.write(np.int64(0).tobytes())

    def add(self, tokens, lengths, counts, *, complete):
        """Adds the documents of a chunk.

        Args:
            tokens: (T,) ids.
            lengths: (number of sentences,), at least 1 each and T in all.
            counts: (number of documents,), how many sentences each has; those of none are left out.
            complete: whether the last document ends here; otherwise the next chunk's first goes on with it.
        """
        tokens_file, sentences_file, documents_file = self._streams
        tokens_file.write(np.asarray(tokens, self._dtype).tobytes())
        sentences_file.write((self._tokens + np.cumsum(lengths, dtype=np.int64)).tobytes())
        ends = self._sentences + np.cumsum(counts, dtype=np.int64)
        self._tokens += len(tokens)
        self._sentences += len(lengths)
        ends = np.unique(np.append(ends, self._sentences) if complete else ends[:-1])
        ends = ends[ends > self._last_end]
        documents_file.write(ends.tobytes())
        self._last_end = ends[-1] if len(ends) else self._last_end

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for stream in self._streams:
            stream.close()


def _offsets(lengths):
    """Returns where each part begins and the last one ends: [2, 1] -> [0, 2, 3]."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _map_file(path):
    """Returns the file's bytes, mapped; an empty file, which cannot be, as no bytes."""
    with open(path, "rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
