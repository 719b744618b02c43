"""A user's own text as the corpus of a quickstart: the same files as the embedded one gives.

Documents are held out by a hash of their content. The labelled table asks which of the longest
held-out documents a passage comes from; its test passages come from later in the document.
"""

import functools
import hashlib
import heapq

from keras_bert.cli.corpus import Document, TooFewDocuments, balanced_table, write_split, write_tables
from keras_bert.errors import UserError
from keras_bert.outputs import atomic_path
from tfrecords.documents import read_documents, resolve_sources

MAX_CLASSES = 8  # as many of the longest held-out documents are told apart
PASSAGE_WORDS = 60
ENOUGH_PASSAGES, FEWEST_PASSAGES = 20, 5  # of a document: wanted, and needed (3 to train on, 2 to test on)
TRAIN_SHARE = 0.6  # of a document's passages, from its beginning
TRAIN_EXAMPLES, TEST_EXAMPLES = 50, 100  # of each class at most
BYTES_PER_WORD = 12  # at most, for the length of passages in scripts that put no spaces between words


def write_own_corpus(input_file, folder, *, input_format="auto", text_field="text", progress=None):
    """Writes train.txt, heldout.txt and, where the text allows, the classifier's tables.

    Args:
        input_file: paths, globs and directories: text, JSON lines or tables.
        folder: the folder to make, whole or not at all; one that exists is replaced.
        input_format: how they are laid out, see `tfrecords.documents.resolve_sources`.
        text_field: the field or column of the documents in JSON lines and tables.
        progress: called now and then as progress(bytes done, bytes in all).

    Returns:
        A dict of statistics, ready for JSON: see `write_split` and `write_tables`. It has no
        `classes` where fewer than two held-out documents are long enough to be told apart.

    Raises:
        UserError: a file that cannot be read, or fewer than two documents for either text.
    """
    files, input_format = resolve_sources(input_file, input_format)
    read = functools.partial(_documents, files, input_format, text_field, progress)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        try:
            statistics, heldout = write_split(temporary, read())
        except TooFewDocuments:  # of few documents the hash may hold out none, or all: two of them then
            picked = set(heapq.nsmallest(2, {document.module for document in read()}))
            try:
                statistics, heldout = write_split(temporary, read(), heldout=picked.__contains__)
            except TooFewDocuments as error:
                raise UserError(f"--input_file: {', '.join(map(str, files[:3]))}: {error}") from error
        return statistics | write_tables(temporary, passage_tables(heldout))


def _documents(files, input_format, text_field, progress):
    """Yields the files' documents, keyed by a hash of their content."""
    for sentences in read_documents(files, input_format=input_format, text_field=text_field, progress=progress):
        sentences = tuple(stripped for s in sentences if (stripped := " ".join(s.split())))
        if sentences:
            yield Document("", hashlib.sha1("\n".join(sentences).encode()).hexdigest(), sentences)


def passage_tables(heldout):
    """Returns (train rows, test rows) of (passage, document): which document does a passage come from?

    Args:
        heldout: Documents, none of whose text was trained on.

    Returns:
        Two lists of (text, label), both balanced, or None where no two documents are long enough.
    """
    cut = [(document, passages(document.sentences)) for document in heldout]
    cut.sort(key=lambda pair: (-len(pair[1]), pair[0].module))
    chosen = [pair for pair in cut[:MAX_CLASSES] if len(pair[1]) >= ENOUGH_PASSAGES]
    if len(chosen) < 2:
        chosen = [pair for pair in cut[:MAX_CLASSES] if len(pair[1]) >= FEWEST_PASSAGES]
    if len(chosen) < 2:
        return None
    train, test = [], []
    for number, (document, texts) in enumerate(chosen, 1):
        label = f"{number}: {' '.join(document.sentences[0].split()[:6])}"
        border = int(TRAIN_SHARE * len(texts))
        train += [(text, label) for text in texts[:border]]
        test += [(text, label) for text in texts[border:]]
    shortest = len(chosen[-1][1])
    border = int(TRAIN_SHARE * shortest)
    return (
        balanced_table(train, per_label=min(TRAIN_EXAMPLES, border)),
        balanced_table(test, per_label=min(TEST_EXAMPLES, shortest - border)),
    )


def passages(sentences):
    """Cuts a document into passages of whole sentences and about 60 words; a short rest is dropped.

    >>> [len(p.split()) for p in passages(["One two three four five six."] * 25)]
    [60, 60]
    """
    found, current, words = [], [], 0
    for sentence in sentences:
        current.append(sentence)
        words += max(len(sentence.split()), len(sentence.encode()) // BYTES_PER_WORD)
        if words >= PASSAGE_WORDS:
            found.append(" ".join(current))
            current, words = [], 0
    return found
