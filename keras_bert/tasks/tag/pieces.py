"""Words to pieces and tags back (Devlin et al. 2018, section 5.3; run_classifier.py has no such task).

    words     Jim    Henson      was  a      puppeteer
    pieces    jim    hen ##son   was  a      puppet ##eer
    labels    B-PER  I-PER -100  O    O      O      -100

The first piece of a word has its label and says its tag. Where words stand together as they are (KLUE's characters) a
piece may hold several: it has the label of the first, which the others go on. A sentence that is too long becomes
overlapping windows, and each piece counts in the one where it has most context. Imports no TensorFlow.

Legend: N sentences, T words of all of them, R rows, S_r pieces of a row with special tokens, C tags.
"""

import dataclasses
from itertools import chain, pairwise

import numpy as np

from keras_bert.data.batches import IGNORED_LABEL
from keras_bert.errors import UserError
from keras_bert.tasks.table import shorten
from keras_bert.tasks.tag.conll_tags import OUTSIDE, join_tag, split_tag
from keras_bert.text.given import check_length
from keras_bert.text.layout import window_count, window_middle, window_step


@dataclasses.dataclass(frozen=True)
class WordPieces:
    """N sentences as rows for the encoder, and where each word is in them.

    Attributes:
        rows: {"input_ids", "segment_ids"}: lists of R int32 arrays (S_r,), special tokens among them.
        row, column: int64 (T,), the piece that says a word's tag; -1 for a word that has none, such as a space.
        shares: bool (T,), whether it is the piece of the word before as well.
        ends: int64 (N,), how many words the sentences up to each have.
    """

    rows: dict[str, list[np.ndarray]]
    row: np.ndarray
    column: np.ndarray
    shares: np.ndarray
    ends: np.ndarray

    def token_labels(self, tags, names):
        """Returns a label for each piece, R int32 arrays (S_r,): -100 (IGNORED_LABEL) but for those that say a tag.

        Args:
            tags: lists of N sentences' tags.
            names: the tags' names, whose places are their labels.

        Raises:
            UserError: a tag that is not one of them.
        """
        number = {name: label for label, name in enumerate(names)}
        unknown = {tag for of_one in tags for tag in of_one} - number.keys()
        if unknown:
            raise UserError(f"The tag {min(unknown)!r} is not one of the model's: {shorten(names)}; correct it.")
        labels = np.fromiter((number[tag] for tag in chain.from_iterable(tags)), np.int32, len(self.row))
        flat = np.full(sum(map(len, self.rows["input_ids"])), IGNORED_LABEL, np.int32)
        taught = (self.row >= 0) & ~self.shares
        flat[self._places()[taught]] = labels[taught]
        return np.split(flat, np.cumsum([len(ids) for ids in self.rows["input_ids"]])[:-1])

    def word_tags(self, logits, names):
        """Returns the tags that a model says, and their probabilities.

        Args:
            logits: R float arrays (S_r, C).
            names: the C tags' names.

        Returns:
            Lists of N sentences' tags and of their probabilities; a word without a piece has no probability (NaN).
            It is outside of entities, unless what follows goes on with the one before.
        """
        has_piece = self.row >= 0
        scores = np.full(len(self.row), np.nan)
        tags = [None] * len(self.row)
        if has_piece.any():
            chosen = np.concatenate(logits)[self._places()[has_piece]].astype(np.float64)
            answers = chosen.argmax(axis=1)
            best = chosen[np.arange(len(chosen)), answers]
            scores[has_piece] = 1 / np.exp(chosen - best[:, None]).sum(axis=1)
            later_tag = going_on(names)
            shares = self.shares[has_piece]
            for word, answer, later in zip(np.flatnonzero(has_piece).tolist(), answers, shares, strict=True):
                tags[word] = later_tag[answer] if later else names[answer]
        starts = [0, *self.ends[:-1].tolist()]
        sentences = [tags[start:end] for start, end in zip(starts, self.ends.tolist(), strict=True)]
        if not has_piece.all():
            outside = OUTSIDE if OUTSIDE in names else names[0]
            sentences = [_filled(tags, outside) if None in tags else tags for tags in sentences]
        return sentences, np.split(scores, self.ends[:-1])

    def cross_entropy(self, logits, tags, names):
        """Returns the mean cross-entropy, in nats, of the words that say a tag; see `token_labels` and `word_tags`."""
        labels = np.concatenate(self.token_labels(tags, names))
        taught = np.flatnonzero(labels != IGNORED_LABEL)
        chosen = np.concatenate(logits)[taught].astype(np.float64)
        best = chosen.max(axis=1)
        totals = best + np.log(np.exp(chosen - best[:, None]).sum(axis=1))
        return float((totals - chosen[np.arange(len(taught)), labels[taught]]).mean()) if len(taught) else 0.0

    def _places(self):
        """Returns each word's place among the pieces of all rows, int64 (T,)."""
        lengths = np.array([len(ids) for ids in self.rows["input_ids"]])
        return (np.cumsum(lengths) - lengths)[self.row] + self.column


def encode_words(sentences, tokenizer, *, max_seq_length=128, joined=False):
    """Makes rows of pieces of sentences of words.

    Args:
        sentences: a list of str a sentence.
        tokenizer: a Tokenizer.
        max_seq_length: the pieces of a row at most, with the special tokens.
        joined: whether the words stand together as they are, spaces among them, and are cut into pieces as one text.

    Returns:
        WordPieces.

    Raises:
        UserError: no room for a piece.
    """
    layout = tokenizer.layout
    check_length(max_seq_length, layout, texts=1, tokens=1)
    room, gaps = layout.room(max_seq_length, texts=1), layout.gaps(tokenizer, texts=1)
    first_place, _ = layout.starts(0)
    cut = _cut_joined if joined else _cut
    ids, counts, first, shares = cut(sentences, tokenizer)  # (P,), (N,), (T,), (T,)
    rows, row, column = {"input_ids": [], "segment_ids": []}, *(np.empty(len(ids), np.int64) for _ in range(2))
    for begin, count in zip((np.cumsum(counts) - counts).tolist(), counts.tolist(), strict=True):
        for start, end, own_start, own_end in windows(count, room):
            row[begin + own_start : begin + own_end] = len(rows["input_ids"])
            column[begin + own_start : begin + own_end] = np.arange(own_start, own_end) - start + first_place
            for name, each in zip(rows, layout.assemble([ids[begin + start : begin + end]], gaps), strict=True):
                rows[name].append(each)
    has_piece, ends = first >= 0, np.cumsum([len(words) for words in sentences])
    both = [np.where(has_piece, array[first] if len(array) else -1, -1) for array in (row, column)]
    return WordPieces(rows, *both, shares, ends.astype(np.int64))


def windows(count, room):
    """Returns the windows over `count` pieces: (start, end, and of these the part that counts, its start and end).

    They overlap by half; each piece counts where the nearer end of the window is farthest.

    >>> windows(3, 4), windows(7, 4)
    ([(0, 3, 0, 3)], [(0, 4, 0, 3), (2, 6, 3, 5), (3, 7, 5, 7)])
    """
    if count <= room:
        return [(0, count, 0, count)]
    step = int(window_step(room))
    starts = [min(number * step, count - room) for number in range(window_count(count, room, step))]
    middles = [window_middle(start, following, room) for start, following in pairwise(starts)]
    bounds = [0, *middles, count]
    return [(start, start + room, *bounds[number : number + 2]) for number, start in enumerate(starts)]


def _cut(sentences, tokenizer):
    """Returns pieces of words cut one by one: ids (P,), how many a sentence has (N,), a word's first, none shared."""
    words = list(chain.from_iterable(sentences))
    ids_of = {word: tokenizer.word_ids(word) for word in set(words)}
    lengths = np.fromiter((len(ids_of[word]) for word in words), np.int64, len(words))
    ids = np.fromiter(chain.from_iterable(map(ids_of.__getitem__, words)), np.int32, lengths.sum())
    ends = np.cumsum(lengths)
    counts = np.diff(np.concatenate([[0], ends])[np.cumsum([0, *map(len, sentences)])])
    return ids, counts, np.where(lengths > 0, ends - lengths, -1), np.zeros(len(words), bool)


def _cut_joined(sentences, tokenizer):
    """Returns what `_cut` does, of words that make one text as they stand."""
    all_ids, counts, firsts, all_shares, total = [], [], [], [], 0
    for words in sentences:
        ids, offsets = tokenizer.token_ids_with_offsets("".join(words))
        word_at = np.repeat(np.arange(len(words)), [len(word) for word in words])  # (characters,)
        first, shares = np.full(len(words), -1, np.int64), np.zeros(len(words), bool)
        for piece, (start, end) in enumerate(offsets):
            touched = (
                range(word_at[start], word_at[end - 1] + 1) if start < end else ()
            )  # some pieces are of no character
            fresh = [word for word in touched if first[word] < 0]
            first[fresh] = piece + total
            shares[fresh[1:]] = True
        all_ids += ids
        counts.append(len(ids))
        firsts.append(first)
        all_shares.append(shares)
        total += len(ids)
    return np.array(all_ids, np.int32), np.array(counts, np.int64), np.concatenate(firsts), np.concatenate(all_shares)


def going_on(names):
    """Returns for each tag that of a word which goes on with it: I for B and I, else the same."""
    parts = [split_tag(name) for name in names]
    after = [join_tag("I", part[1]) if part is not None and part[0] != OUTSIDE else None for part in parts]
    return [name if inside not in names else inside for name, inside in zip(names, after, strict=True)]


def _filled(tags, outside):
    """Returns a sentence's tags, and for None `outside` or, between the words of one entity, its I.

    >>> _filled(["B-DT", None, "I-DT", None, "B-DT", None], "O")
    ['B-DT', 'I-DT', 'I-DT', 'O', 'B-DT', 'O']
    """
    following, after = [], outside
    for tag in reversed(tags):
        after = after if tag is None else tag
        following.append(after)
    filled = [outside]
    for tag, after in zip(tags, reversed(following), strict=True):
        filled.append((after if goes_on(filled[-1], after) else outside) if tag is None else tag)
    return filled[1:]


def goes_on(before, tag):
    """Says whether a tag goes on with the entity that the one before it belongs to."""
    before, tag = split_tag(before), split_tag(tag)
    return None not in (before, tag) and before[0] != OUTSIDE and tag[0] == "I" and before[1] == tag[1]
