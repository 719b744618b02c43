"""How a sequence is put together: which special tokens stand where, segments, the room that is left, windows.

    BERT       [CLS] a [SEP] b [SEP]     segments 0 and 1 (Devlin et al. 2018, figure 2)
    ROBERTA    <s> a </s></s> b </s>     all of segment 0 (Liu et al. 2019; transformers' RobertaTokenizer)

All that assembles sequences reads one of these values, which it asks of its tokenizer or vocabulary (`layout`). Special
tokens have roles here, and a tokenizer or vocabulary says their ids: "sep" is its `sep_id`. What takes `xp` computes
with NumPy's arrays and numbers, or with `xp=tensorflow` inside a graph.

B rows, S sequence.
"""

import dataclasses
from itertools import chain

import numpy as np

LENGTH_MULTIPLE = 16  # a batch is padded to its longest text, rounded up to this: few shapes, little padding


@dataclasses.dataclass(frozen=True)
class Layout:
    """The order of one text or two, their special tokens and their segments.

    Attributes:
        before, between, after: roles of the special tokens before the first text, between two, and after the last.
        segments: whether the second text and what follows it are of segment 1; otherwise all is of segment 0.

    Example:
        >>> BERT.num_special(1), BERT.num_special(2), ROBERTA.num_special(2)
        (2, 3, 4)
        >>> ROBERTA.room(128, texts=2), ROBERTA.starts(5)
        (124, (1, 8))
    """

    before: tuple[str, ...]
    between: tuple[str, ...]
    after: tuple[str, ...]
    segments: bool

    def without_segments(self):
        """Returns the layout of a model that has no segments: all tokens are of segment 0."""
        return dataclasses.replace(self, segments=False)

    def num_special(self, texts):
        """Returns how many special tokens stand around 1 text or 2."""
        return sum(map(len, self._gaps(texts)))

    def room(self, max_seq_length, *, texts):
        """Returns how many tokens of 1 text or 2 a sequence holds beside the special ones; less than 0 for none."""
        return max_seq_length - self.num_special(texts)

    def starts(self, first_length):
        """Returns the places where the first text begins and, if there is one, the second.

        Args:
            first_length: the tokens of the first text: an int, or an array or tensor of them.
        """
        first = len(self.before)
        return first, first + first_length + len(self.between)

    def special_ids(self, holder):
        """Returns the ids of the special tokens that the layout uses, and of padding, in order.

        Args:
            holder: what knows the ids: a Tokenizer or a Vocabulary.
        """
        roles = {"pad", *self.before, *self.between, *self.after}
        return sorted(getattr(holder, f"{role}_id") for role in roles)

    def gaps(self, holder, *, texts):
        """Returns the ids before, between and after 1 text or 2: texts + 1 int32 arrays. See `assemble`."""
        return [np.array([getattr(holder, f"{role}_id") for role in gap], np.int32) for gap in self._gaps(texts)]

    def assemble(self, parts, gaps):
        """Makes the ids and segments of a row.

        Args:
            parts: the ids of one text or two, lists or arrays of int.
            gaps: what `gaps` gives for as many texts.

        Returns:
            ids, segment_ids: int32 arrays (S,), without padding.

        Example:
            >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
            >>> vocabulary = Vocabulary([*SPECIAL_TOKENS, "a", "b"])
            >>> [row.tolist() for row in BERT.assemble([[5], [6]], BERT.gaps(vocabulary, texts=2))]
            [[2, 5, 3, 6, 3], [0, 0, 0, 1, 1]]
            >>> [row.tolist() for row in ROBERTA.assemble([[5], [6]], ROBERTA.gaps(vocabulary, texts=2))]
            [[2, 5, 3, 3, 6, 3], [0, 0, 0, 0, 0, 0]]
        """
        pieces = chain.from_iterable(zip(parts, gaps[1:], strict=True))
        ids = np.concatenate([gaps[0], *pieces], dtype=np.int32, casting="unsafe")  # an empty list is one of floats
        segment_ids = np.zeros(len(ids), np.int32)
        if self.segments and len(parts) == 2:
            segment_ids[self.starts(len(parts[0]))[1] :] = 1
        return ids, segment_ids

    def special_places(self, holder, *lengths):
        """Yields the id and the place of each special token of many rows at once.

        Args:
            holder: a Tokenizer or a Vocabulary.
            *lengths: int arrays (B,), the tokens of each text: one array, or two.

        Yields:
            (id, place), the place an int array (B,), or an int if it is the same in all rows.
        """
        place = 0
        for gap, length in zip(self.gaps(holder, texts=len(lengths)), (*lengths, 0), strict=True):
            for token in gap.tolist():
                yield token, place
                place = place + 1
            place = place + length

    def texts_of(self, ids, segment_ids, holder):
        """Takes a row apart.

        Args:
            ids, segment_ids: int arrays (S,), without padding.
            holder: a Tokenizer or a Vocabulary.

        Returns:
            A list of the texts' ids, int arrays; with segments the special tokens are among them.
        """
        if self.segments:
            return [ids[segment_ids == segment] for segment in np.unique(segment_ids)]
        is_text = ~np.isin(ids, self.special_ids(holder))
        edges = np.flatnonzero(np.diff(is_text, prepend=False, append=False))
        return [ids[start:end] for start, end in edges.reshape(-1, 2)]

    def _gaps(self, texts):
        return (self.before, self.after) if texts == 1 else (self.before, self.between, self.after)


BERT = Layout(before=("cls",), between=("sep",), after=("sep",), segments=True)
ROBERTA = Layout(before=("cls",), between=("sep", "sep"), after=("sep",), segments=False)


def padded(rows, pad_id):
    """Makes a batch of rows of different lengths.

    Args:
        rows: a list of dicts of int arrays (S,), "input_ids" among them.
        pad_id: what fills up the "input_ids"; zeros fill up the rest.

    Returns:
        A dict of int32 arrays (B, S), S that of the longest row.

    >>> padded([{"input_ids": [2, 3]}, {"input_ids": [2]}], 1)["input_ids"].tolist()
    [[2, 3], [2, 1]]
    """
    length = max(len(row["input_ids"]) for row in rows)
    batch = {name: np.zeros((len(rows), length), np.int32) for name in rows[0]}
    batch["input_ids"] += pad_id
    for number, row in enumerate(rows):
        for name, values in row.items():
            batch[name][number, : len(values)] = values
    return batch


def kept_lengths(lengths, room, *, xp=np):
    """Says how much of one text or two stays where they do not fit (Google's _truncate_seq_pair, in one step).

    A single text keeps `room` tokens. Of two the longer one loses its last token until both fit, of equal ones the
    second: a text shorter than its half stays whole, and an odd room gives the first one more.

    Args:
        lengths: list of one or two ints, arrays or tensors: the tokens of each text.
        room: the tokens that fit, int.
        xp: numpy or tensorflow.

    Returns:
        A list of as many.

    >>> [kept.tolist() for kept in kept_lengths([np.array([9, 2]), np.array([8, 9])], 5)]
    [[3, 2], [2, 3]]
    """
    if len(lengths) == 1:
        return [xp.minimum(lengths[0], room)]
    first, second = lengths
    second = xp.minimum(second, xp.maximum(room - first, room // 2))
    return [xp.minimum(first, room - second), second]


def truncated(parts, room):
    """Returns one text or two without their ends where they do not fit; see `kept_lengths`.

    >>> truncated([[1, 2, 3, 4], [5, 6]], 4)
    [[1, 2], [5, 6]]
    """
    lengths = [len(part) for part in parts]
    if sum(lengths) <= room:
        return parts
    return [part[:kept] for part, kept in zip(parts, kept_lengths(lengths, room), strict=True)]


def window_step(width, stride=None, *, xp=np):
    """Returns how many tokens after a window the next one begins: `stride` or half a window, skipping no token."""
    return xp.minimum(xp.maximum(1, width // 2) if stride is None else stride, width)


def window_count(size, width, step, *, xp=np):
    """Returns how many windows of a width read `size` tokens: the last is the first to reach the end.

    >>> window_count(np.array([0, 4, 5, 9]), 4, 2).tolist()
    [1, 1, 2, 4]
    """
    return 1 + xp.maximum(0, -(-(size - width) // step))


def window_middle(start, following, width):
    """Returns from which token on the window that begins at `following` has more around it than that at `start`."""
    return (start + width + following + 1) // 2


@dataclasses.dataclass(frozen=True)
class WindowPlan:
    """How texts or pairs that do not fit are read in windows. Of a pair the longer text is, each time with the other.

    Attributes:
        is_read: for each text of a row bool (B,), whether it is the one that is read in windows.
        kept: int (B,) likewise, how much of it each window has if it is not.
        width, step, counts: int (B,): the tokens of a window, from one to the next, and how many there are.
    """

    is_read: list
    kept: list
    width: np.ndarray
    step: np.ndarray
    counts: np.ndarray


def plan_windows(lengths, room, stride=None, *, xp=np):
    """Plans the windows of texts or pairs.

    The text beside the one that is read keeps at most half of the room. Of two equally long ones the second is read.

    Args:
        lengths: list of one or two int arrays (B,), the tokens of each text.
        room: the tokens that fit, int.
        stride: tokens from one window to the next; None for half a window.
        xp: numpy or tensorflow.

    Returns:
        A WindowPlan.
    """
    fits = sum(lengths) <= room
    is_read = [~fits]
    if len(lengths) == 2:
        is_read = [~fits & (lengths[0] > lengths[1]), ~fits & (lengths[0] <= lengths[1])]
    kept = [xp.where(fits, length, xp.minimum(length, room // 2)) for length in lengths]
    width = room - sum(xp.where(read, 0, keep) for read, keep in zip(is_read, kept, strict=True))
    step = window_step(width, stride, xp=xp)
    longest = sum(xp.where(read, length, 0) for read, length in zip(is_read, lengths, strict=True))
    counts = window_count(longest, width, xp.maximum(1, step), xp=xp)  # what fits may leave a window without width
    return WindowPlan(is_read, kept, width, step, counts)


def layout_of(tokenizer):
    """Returns the layout of a Tokenizer; a model that takes ids may go without one, and then it does not matter."""
    return BERT if tokenizer is None else tokenizer.layout
