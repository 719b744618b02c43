"""Masked-LM corruption (Devlin et al. 2018, section 3.1; create_masked_lm_predictions in google-research/bert).

Legend: B instances, S sequence, P predictions, N tokens chosen in all.
"""

import dataclasses

import numpy as np

from keras_bert.data.draws import ACTION, TURN, BatchDraws, RecordDraws
from keras_bert.errors import UserError

# Of the chosen tokens 80 % become [MASK], 10 % stay, 10 % become a random token. That is drawn for each token by
# itself, in whole words (google-research/bert) and n-grams (google-research/albert) as well.
MASKED, KEPT, RANDOM = ACTIONS = ("masked", "kept", "random")
ACTION_BOUNDS = (0.8, 0.9)

NEVER = np.uint32(0xFFFFFFFF)  # the sort key of what may not be chosen
TOKENS_AT_ONCE = 1 << 16  # of which words are chosen, so that what it takes stays in the processor's cache


@dataclasses.dataclass(frozen=True)
class Masking:
    """What is chosen together.

    Attributes:
        whole_words: words with all of their pieces; otherwise each token is a word of its own.
        weights: entry n - 1 says how often n words in a row are tried, in proportion.
    """

    whole_words: bool
    weights: tuple = (1,)


MASKINGS = {
    "token": Masking(whole_words=False),
    "whole_word": Masking(whole_words=True),
    "ngram": Masking(whole_words=True, weights=(1, 1 / 2, 1 / 3)),  # ALBERT (Lan et al. 2019, section 4.1)
}


@dataclasses.dataclass(frozen=True)
class MaskedBatch:
    """What mask_tokens returns. Slots past an instance's own are 0 throughout.

    Attributes:
        input_ids: int32 (B, S), the corrupted tokens.
        positions: int32 (B, P), the chosen places in ascending order.
        ids: int32 (B, P), the tokens that stood there.
        weights: float32 (B, P), 1 for a chosen place, 0 past them.
        actions: int8 (B, P), index into ACTIONS of what happened there, -1 past them.
    """

    input_ids: np.ndarray
    positions: np.ndarray
    ids: np.ndarray
    weights: np.ndarray
    actions: np.ndarray


def mask_tokens(tokens, vocabulary, *, rate=0.15, max_predictions=20, masking="token", rng):
    """Chooses tokens to predict and hides most of them.

    Any token but the layout's special ones and padding may be chosen. Of an instance of n tokens, special ones counted
    but not padding, max(1, round(n * rate)) are, and at most max_predictions.

    Args:
        tokens: int (B, S), padded with [PAD].
        vocabulary: a keras_bert.text.vocabulary.Vocabulary.
        rate: share of the tokens to choose, at most 1.
        max_predictions: P, at least 1.
        masking: "token"; "whole_word", words with all of their pieces or not at all; or "ngram", one to three
            whole words in a row. What no longer fits the number is passed over (see `choose`), so that a few
            instances stay below it.
        rng: a numpy Generator, or a RecordDraws, by which an instance's masks depend on nothing else in the batch.

    Returns:
        A MaskedBatch.

    Raises:
        UserError: no such masking.

    Example:
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> vocabulary = Vocabulary([*SPECIAL_TOKENS, "the", "cat", "sat"])
        >>> batch = mask_tokens([[2, 5, 6, 7, 3, 0]], vocabulary, rate=0.2, max_predictions=2,
        ...                     rng=np.random.default_rng(2))
        >>> batch.input_ids.tolist(), batch.positions.tolist(), batch.ids.tolist(), batch.weights.tolist()
        ([[2, 5, 4, 7, 3, 0]], [[2, 0]], [[6, 0]], [[1.0, 0.0]])
    """
    if masking not in MASKINGS:
        raise UserError(f"masking must be one of {', '.join(MASKINGS)}. Received: {masking!r}.")
    kind = MASKINGS[masking]
    tokens = np.asarray(tokens, np.int32)
    count, seq_length = tokens.shape
    candidates = real = tokens != vocabulary.pad_id
    for special in vocabulary.layout.special_ids(vocabulary):
        if special != vocabulary.pad_id:
            candidates = candidates & (tokens != special)
    wanted = np.rint(np.count_nonzero(real, axis=1) * rate).astype(np.int64)
    wanted = np.minimum(max_predictions, np.maximum(1, wanted))
    starts = word_starts(tokens, candidates, vocabulary) if kind.whole_words else candidates
    step = max(1, TOKENS_AT_ONCE // seq_length)
    blocks = [slice(first, first + step) for first in range(0, max(1, count), step)]
    draws = rng if isinstance(rng, RecordDraws) else BatchDraws(rng)
    chosen = [choose(starts[b], candidates[b], wanted[b], weights=kind.weights, draws=draws[b]) for b in blocks]
    places = np.concatenate([b.start * seq_length + c for b, c in zip(blocks, chosen, strict=True)])  # (N,)

    labels = tokens.reshape(-1)[places]
    rows, columns = places // seq_length, places % seq_length
    dice = draws.uniform(ACTION, rows, columns)
    actions = sum((dice >= bound).view(np.int8) for bound in ACTION_BOUNDS)
    corrupted = tokens.flatten()
    corrupted[places[actions == ACTIONS.index(MASKED)]] = vocabulary.mask_id
    at_random = actions == ACTIONS.index(RANDOM)
    replacements = draws.choice(vocabulary.replacement_ids, rows[at_random], columns[at_random])
    corrupted[places[at_random]] = replacements

    counts = np.bincount(rows, minlength=count)
    valid = np.arange(max_predictions) < counts[:, None]  # (B, P), N of them

    def in_slots(values, dtype, *, empty=0):
        slots = np.full(valid.shape, empty, dtype)
        slots[valid] = values
        return slots

    return MaskedBatch(
        input_ids=corrupted.reshape(tokens.shape),
        positions=in_slots(columns, np.int32),
        ids=in_slots(labels, np.int32),
        weights=valid.astype(np.float32),
        actions=in_slots(actions, np.int8, empty=-1),
    )


def word_starts(tokens, candidates, vocabulary):
    """Returns bool (B, S): where a word begins, a piece "##..." that follows no candidate included.

    Args:
        tokens: int (B, S).
        candidates: bool (B, S), the tokens that may be chosen.
        vocabulary: a keras_bert.text.vocabulary.Vocabulary.
    """
    starts = ~vocabulary.is_continuation[tokens]
    starts[:, 0] = True
    starts[:, 1:] |= ~candidates[:, :-1]
    return starts & candidates


def choose(starts, candidates, wanted, *, weights=(1,), draws):
    """Chooses words, or n-grams of words, in random order, as long as they fit the number of tokens wanted.

    A word that does not fit what is left is passed over. N-grams are chosen as by create_masked_lm_predictions of
    google-research/albert: in a random order of their first words; each draws its n, and has fewer words where its
    segment ends; one that does not fit backs off to fewer words, down to one; one that then holds a word chosen
    before is passed over. (ALBERT's own may go on past a [SEP]; these do not.)

    Args:
        starts: bool (B, S), where a word begins; the candidates up to the next start are its other pieces.
        candidates: bool (B, S), the tokens that may be chosen. The first of a row is a start, if it is one.
        wanted: int64 (B,), from 1 to S.
        weights: entry n - 1 is the probability of n words, in proportion.
        draws: a BatchDraws or RecordDraws of the B instances.

    Returns:
        int64 (N,): the chosen of the B * S tokens, in ascending order.
    """
    seq_length = starts.shape[1]
    keys = _random_keys(starts, draws)
    order = np.sort(keys, axis=1)
    rows = np.arange(len(starts))
    if len(weights) == 1 and np.array_equal(starts, candidates):  # words of one token: those with the smallest keys
        return np.flatnonzero(starts & (keys <= order[rows, wanted - 1][:, None]))

    order = np.minimum(order & _place_bits(seq_length), seq_length - 1)
    choice = _Choice(starts, candidates, wanted, order, longest=len(weights))
    if len(weights) == 1:
        choice.take_leading()
    choice.take_in_turns(weights, draws)
    return choice.places()


def _place_bits(seq_length):
    """Returns the bits that hold a place, as a mask."""
    return np.uint32((1 << (seq_length - 1).bit_length()) - 1)


def _random_keys(starts, draws):
    """Returns uint32 (B, S): a random number above the place, so that sorting gives a random order of the places."""
    low = _place_bits(starts.shape[1])
    keys = draws.bits(starts.shape)
    keys &= ~low
    keys |= np.arange(starts.shape[1], dtype=np.uint32)
    np.putmask(keys, ~starts, NEVER)
    return keys


class _Choice:
    """Words of a batch, on their way to being chosen.

    The B * S tokens fall into units: the words, and each other token by itself. Unit u has the places edges[u] to
    edges[u + 1] - 1.

    Args:
        starts, candidates, wanted: as in `choose`.
        order: uint32 (B, S), the places where words begin, in the order in which they are to be taken.
        longest: the number of words in the longest n-gram.
    """

    def __init__(self, starts, candidates, wanted, order, *, longest):
        size = starts.size
        edge = np.ones(size + longest, bool)  # past the end too, so that one may look `longest` units ahead
        edge[:size] = (starts | ~candidates).reshape(-1)
        self._edges = np.flatnonzero(edge)
        self._unit_of = np.cumsum(edge[:size], dtype=np.int32) - np.int32(1)  # by place
        self._continues = np.zeros(len(edge), bool)  # by place: whether a word begins there, not the first of a row
        self._continues[:size].reshape(starts.shape)[:, 1:] = starts[:, 1:]
        self._taken = np.zeros(len(self._edges), bool)  # by unit
        self._order = order
        self._words = np.count_nonzero(starts, axis=1)  # (B,) how many there are
        self._turn = np.zeros(len(starts), np.int64)  # (B,) how many have been looked at
        self._room = wanted  # (B,) how many more tokens are wanted

    def _units(self, rows, turn):
        return self._unit_of[self._order[rows, turn] + rows * self._order.shape[1]]

    def take_leading(self):
        """Takes the first words of each row, up to one that does not fit."""
        turns = np.arange(self._room.max(initial=0))  # no more words than that fit: each has a token at least
        units = self._units(np.arange(len(self._order))[:, None], turns)
        sizes = self._edges[units + 1] - self._edges[units]
        fits = (np.cumsum(sizes, axis=1) <= self._room[:, None]) & (turns < self._words[:, None])
        self._taken[units[fits]] = True
        self._turn = np.count_nonzero(fits, axis=1)
        self._room = self._room - (sizes * fits).sum(axis=1)

    def take_in_turns(self, weights, draws):
        """Goes on with one word a row at a time, or an n-gram that begins with it, until each row has what it wants."""
        rows, turn, room, words = np.arange(len(self._order)), self._turn, self._room, self._words
        upto = np.cumsum(weights)[:-1] / np.sum(weights)
        ahead = np.arange(len(weights))
        while True:
            left = (room > 0) & (turn < words)
            rows, turn, room, words = rows[left], turn[left], room[left], words[left]
            if not len(rows):
                return
            unit = self._units(rows, turn)
            near = unit[:, None] + ahead  # (rows, n)
            ends = self._edges[near + 1]
            sizes = ends - self._edges[unit][:, None]  # of n-grams of 1, 2, ... words
            fits = sizes <= room[:, None]
            if len(weights) > 1:
                drawn = np.searchsorted(upto, draws.uniform(TURN, rows, turn), side="right")  # n - 1
                fits &= ahead <= drawn[:, None]
                fits[:, 1:] &= self._continues[ends[:, :-1]]
                fits = np.logical_and.accumulate(fits, axis=1)
                fits &= ~(fits & self._taken[near]).any(axis=1, keepdims=True)
            self._taken[near[fits]] = True
            room = room - (sizes * fits).max(axis=1)
            turn = turn + 1

    def places(self):
        """Returns int64 (N,): the tokens of what was taken, in ascending order."""
        units = np.flatnonzero(self._taken)
        begin = self._edges[units]
        sizes = self._edges[units + 1] - begin
        before = np.cumsum(sizes) - sizes
        return np.repeat(begin - before, sizes) + np.arange(sizes.sum())
