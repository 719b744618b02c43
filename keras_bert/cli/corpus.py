"""From documents to the files of a quickstart: training text, held-out text, a labelled table.

A tenth of the documents is held out by a hash of their key, and what stands in both texts is
removed from the held-out one, so that a figure on held-out text says something about new text.
Text files are in google-research/bert's input format: one sentence a line, a blank line after each
document.
"""

import dataclasses
import hashlib
import mmap
from collections import Counter, defaultdict

import numpy as np

from keras_bert.errors import UserError

HELDOUT_PARTS = 10  # one part in ten is held out
SHARED_LENGTH = 31  # "over 30 characters": a held-out sentence as long as this may not stand in the training text
MIN_SENTENCES = 2  # a document with fewer has no next sentence to predict
MIN_DOCUMENTS = 2  # of each text: the wrong next sentences come from another document
CHUNK = 1 << 22  # bytes searched at a time
MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5, 0x85EBCA77C2B2AE63)


@dataclasses.dataclass(frozen=True)
class Document:
    """One document: where it comes from, and its sentences in order."""

    package: str  # the label of the classifier's table
    module: str  # the key of the split: documents of one module are all held out or none of them is
    sentences: tuple


def is_heldout(key):
    """Says whether what goes by `key` belongs to the held-out tenth: by its SHA-1, so on every machine alike.

    >>> [n for n in range(40) if is_heldout(f"module{n}")]
    [15, 32, 35, 37]
    """
    return int.from_bytes(hashlib.sha1(key.encode()).digest()[:8], "big") % HELDOUT_PARTS == 0


def write_split(folder, documents, *, heldout=is_heldout):
    """Writes train.txt and heldout.txt; no held-out sentence over 30 characters stands in train.txt.

    Args:
        folder: an existing folder.
        documents: an iterable of Documents. Only the held-out ones are kept in memory.
        heldout: says by a document's `module` whether it is held out.

    Returns:
        (statistics, held-out documents as written): a dict of numbers of documents, sentences,
        words and bytes by file, and a list.

    Raises:
        UserError: fewer than two documents on one of the sides.
    """
    held, counts = [], Counter()
    with open(folder / "train.txt", "wb") as stream:
        for document in documents:
            if heldout(document.module):
                held.append(document)
            else:
                stream.write(_format_document(document))
                _count(counts, "train", document)
    if counts["train_documents"] < MIN_DOCUMENTS:
        raise TooFewDocuments(counts["train_documents"], "training")
    with open(folder / "train.txt", "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        shared = shared_sentences((s for d in held for s in d.sentences), text)
    cleared = []
    for document in held:
        left = dataclasses.replace(document, sentences=tuple(s for s in document.sentences if s not in shared))
        if len(left.sentences) >= MIN_SENTENCES:
            cleared.append(left)
            _count(counts, "heldout", left)
    if len(cleared) < MIN_DOCUMENTS:
        raise TooFewDocuments(len(cleared), "held-out")
    (folder / "heldout.txt").write_bytes(b"".join(map(_format_document, cleared)))
    return dict(counts), cleared


class TooFewDocuments(UserError):
    """A text that is too small to train or to measure on."""

    def __init__(self, number, side):
        super().__init__(
            f"The {side} text has {number} usable documents and needs {MIN_DOCUMENTS}; give more text, with a blank "
            f"line between documents of {MIN_SENTENCES} sentences or more that do not repeat one another, or say "
            "--input_format=lines if each line is a document."
        )


def _format_document(document):
    return ("\n".join(document.sentences) + "\n\n").encode()


def _count(counts, side, document):
    counts[f"{side}_documents"] += 1
    counts[f"{side}_sentences"] += len(document.sentences)
    counts[f"{side}_words"] += sum(len(sentence.split()) for sentence in document.sentences)
    counts[f"{side}_bytes"] += len(_format_document(document))


def shared_sentences(sentences, text):
    r"""Returns the set of those sentences over 30 characters that stand word for word in `text`.

    A window of 31 bytes slides over the text, and only where its hash is that of a sentence's first
    31 bytes are the two compared: one pass for any number of sentences. Line ends count as spaces,
    so that a sentence broken over lines is found as well.

    Args:
        sentences: strings without line ends.
        text: bytes, or an mmap of a file larger than memory; UTF-8.

    Example:
        >>> text = b"It is a truth universally\nacknowledged. That is all."
        >>> shared_sentences(["It is a truth universally acknowledged.", "That is all."], text)
        {'It is a truth universally acknowledged.'}
    """
    waiting, longest = defaultdict(list), 0
    for sentence in {s for s in sentences if len(s) >= SHARED_LENGTH}:
        encoded = sentence.encode()
        waiting[int(_window_hashes(encoded)[0])].append(encoded)
        longest = max(longest, len(encoded))
    if not waiting:
        return set()
    sieve = np.zeros(1 << 24, bool)  # by a hash's top 24 bits: nearly every window falls through here
    sieve[np.fromiter(waiting, np.uint64, len(waiting)) >> np.uint64(40)] = True
    found = set()
    for start in range(0, len(text), CHUNK):
        chunk = text[start : start + CHUNK + longest].replace(b"\n", b" ")
        hashes = _window_hashes(chunk[: CHUNK + SHARED_LENGTH - 1])
        for position in np.flatnonzero(sieve[hashes >> np.uint64(40)]):
            key = int(hashes[position])
            matches = [s for s in waiting.get(key, ()) if chunk.startswith(s, position)]
            if matches:
                found.update(s.decode() for s in matches)
                waiting[key] = [s for s in waiting[key] if s not in matches]
    return found


def _window_hashes(data):
    """Returns the hashes (uint64, modulo 2**64) of every run of 31 bytes, by doubling: 1, 2, 4, 8, 16, 16 and 16."""
    hashes = np.frombuffer(data, np.uint8).astype(np.uint64)
    for step, multiplier in zip((1, 2, 4, 8, SHARED_LENGTH - 16), MULTIPLIERS, strict=True):
        hashes = hashes[:-step] * np.uint64(multiplier) + hashes[step:]
    return hashes * np.uint64(MULTIPLIERS[0])  # spreads the last bytes into the top bits


def first_words(sentences, *, max_words):
    """Returns the first sentences that make at most `max_words` words together; a longer first one is cut.

    >>> first_words(["It rains and rains.", "It pours."], max_words=5)
    'It rains and rains.'
    """
    words = []
    for sentence in sentences:
        more = sentence.split()
        if words and len(words) + len(more) > max_words:
            break
        words.extend(more)
    return " ".join(words[:max_words])


def balanced_table(examples, *, per_label):
    """Returns at most `per_label` examples of each label, chosen and ordered by a hash of the text.

    Args:
        examples: (text, label) pairs.
        per_label: how many of each label to keep.

    Example:
        >>> balanced_table([("a", "x"), ("b", "x"), ("c", "y")], per_label=1)
        [('c', 'y'), ('a', 'x')]
    """
    by_label = defaultdict(list)
    for text, label in set(examples):
        by_label[label].append((hashlib.sha1(text.encode()).digest(), text, label))
    chosen = [row for rows in by_label.values() for row in sorted(rows)[:per_label]]
    return [(text, label) for _, text, label in sorted(chosen)]


def write_tables(folder, tables):
    r"""Writes classify_train.tsv and classify_test.tsv: the header `text<TAB>label`, then the rows.

    Args:
        folder: an existing folder.
        tables: (train, test), lists of (text, label), or None where the text gives none. White space
            in them becomes single spaces.

    Returns:
        A dict: the classes, the numbers of examples, and the share of the commonest label in the
        test; an empty one for None.
    """
    if tables is None:
        return {}
    for name, rows in zip(("train", "test"), tables, strict=True):
        lines = ("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in [("text", "label"), *rows])
        (folder / f"classify_{name}.tsv").write_bytes("".join(lines).encode())
    train, test = tables
    labels = Counter(label for _, label in test)
    return {
        "classes": sorted(labels),
        "classify_train_examples": len(train),
        "classify_test_examples": len(test),
        "classify_majority_share": max(labels.values()) / len(test),
    }
