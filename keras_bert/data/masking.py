"""Masked-LM corruption (Devlin et al. 2018, section 3.1; create_masked_lm_predictions in google-research/bert).

Legend: B instances, S sequence, P predictions.
"""

import dataclasses

import numpy as np

# Of the chosen tokens 80 % become [MASK], 10 % stay, 10 % become a random token.
MASKED, KEPT, RANDOM = ACTIONS = ("masked", "kept", "random")
ACTION_BOUNDS = (0.8, 0.9)

NEVER = np.uint32(0xFFFFFFFF)  # the sort key of what may not be chosen


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


def mask_tokens(tokens, vocabulary, *, rate=0.15, max_predictions=20, whole_word=False, rng):
    """Chooses tokens to predict and hides most of them.

    Any token but [CLS], [SEP] and [PAD] may be chosen. Of an instance of n tokens (those two counted),
    max(1, round(n * rate)) are, and at most max_predictions.

    Args:
        tokens: int (B, S), padded with [PAD].
        vocabulary: a keras_bert.text.vocabulary.Vocabulary.
        rate: share of the tokens to choose.
        max_predictions: P.
        whole_word: choose words with all of their pieces, or not at all. A word that no longer fits
            the number is passed over, so that a few instances stay below it.
        rng: a numpy Generator.

    Returns:
        A MaskedBatch.

    Example:
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> vocabulary = Vocabulary([*SPECIAL_TOKENS, "the", "cat", "sat"])
        >>> batch = mask_tokens([[2, 5, 6, 7, 3, 0]], vocabulary, rate=0.2, max_predictions=2,
        ...                     rng=np.random.default_rng(1))
        >>> batch.input_ids.tolist(), batch.positions.tolist(), batch.ids.tolist(), batch.weights.tolist()
        ([[2, 7, 6, 7, 3, 0]], [[1, 0]], [[5, 0]], [[1.0, 0.0]])
    """
    tokens = np.asarray(tokens, np.int32)
    fixed = (tokens == vocabulary.pad_id) | (tokens == vocabulary.cls_id) | (tokens == vocabulary.sep_id)
    sizes = (tokens != vocabulary.pad_id).sum(axis=1)
    wanted = np.minimum(max_predictions, np.maximum(1, np.rint(sizes * rate).astype(np.int64)))
    starts = word_starts(tokens, fixed, vocabulary) if whole_word else ~fixed
    positions, count = choose_words(starts, ~fixed, wanted, max_predictions, rng=rng)
    valid = np.arange(max_predictions) < count[:, None]  # (B, P)
    positions[~valid] = 0
    labels = np.where(valid, np.take_along_axis(tokens, positions, axis=1), 0)

    actions = np.searchsorted(ACTION_BOUNDS, rng.random(valid.shape), side="right").astype(np.int8)
    replacements = rng.choice(vocabulary.replacement_ids, valid.shape)
    hidden = np.choose(actions, (np.int32(vocabulary.mask_id), labels, replacements))
    rows, slots = np.nonzero(valid)
    corrupted = tokens.copy()
    corrupted[rows, positions[rows, slots]] = hidden[rows, slots]
    return MaskedBatch(
        input_ids=corrupted,
        positions=positions.astype(np.int32),
        ids=labels,
        weights=valid.astype(np.float32),
        actions=np.where(valid, actions, np.int8(-1)),
    )


def word_starts(tokens, fixed, vocabulary):
    """Returns bool (B, S): where a word begins, a piece "##..." right behind [CLS] or [SEP] included.

    Args:
        tokens: int (B, S).
        fixed: bool (B, S), the tokens that are never chosen.
        vocabulary: a keras_bert.text.vocabulary.Vocabulary.
    """
    follows_fixed = np.zeros_like(fixed)
    follows_fixed[:, 1:] = fixed[:, :-1]
    return ~fixed & (~vocabulary.is_continuation[tokens] | follows_fixed)


def choose_words(starts, candidates, wanted, max_predictions, *, rng):
    """Chooses words in random order, as long as they fit the number wanted.

    Args:
        starts: bool (B, S), where a word begins; each candidate belongs to the last start before it.
        candidates: bool (B, S), the tokens that may be chosen.
        wanted: int (B,), how many tokens to choose, at most max_predictions.
        max_predictions: P.
        rng: a numpy Generator.

    Returns:
        positions: int64 (B, P), ascending; only the first `count` of a row mean anything.
        count: int (B,).
    """
    seq_length = starts.shape[1]
    bits = max(1, (seq_length - 1).bit_length())
    places = np.arange(seq_length, dtype=np.uint32)
    # A random number above the place: sorting gives a random order, and the place is read back from the key.
    keys = rng.integers(1 << (32 - bits), size=starts.shape, dtype=np.uint32) << np.uint32(bits) | places
    keys[~starts] = NEVER
    if np.array_equal(starts, candidates):  # each word is one token: the smallest keys are the choice
        count = np.minimum(wanted, starts.sum(axis=1))
        width = min(max_predictions, seq_length)
        chosen = np.partition(keys, width - 1, axis=1)[:, :width] if width < seq_length else keys
        chosen.sort(axis=1)
        positions = (chosen & np.uint32((1 << bits) - 1)).astype(np.int64)
        positions[np.arange(width) >= count[:, None]] = seq_length
        positions = np.pad(positions, ((0, 0), (0, max_predictions - width)), constant_values=seq_length)
        positions.sort(axis=1)
        return positions, count
    return _choose_long_words(keys, starts, candidates, wanted, max_predictions, bits)


def _choose_long_words(keys, starts, candidates, wanted, max_predictions, bits):
    """Goes through the words of all rows at once, in the order of their keys, and takes those that still fit."""
    seq_length = starts.shape[1]
    rows = np.arange(len(starts))
    word_of = np.maximum.accumulate(np.where(starts, np.arange(seq_length), 0), axis=1)  # (B, S) place of the start
    flat = (word_of + rows[:, None] * seq_length)[candidates]
    sizes = np.bincount(flat, minlength=starts.size).reshape(starts.shape)  # pieces of the word that starts here
    order = (np.sort(keys, axis=1) & np.uint32((1 << bits) - 1)).astype(np.int64)
    words = starts.sum(axis=1)
    taken = np.zeros_like(starts)
    count = np.zeros(len(starts), np.int64)
    for turn in range(int(words.max(initial=0))):
        place = order[:, turn]
        size = sizes[rows, place]
        fits = (turn < words) & (count + size <= wanted)
        taken[rows[fits], place[fits]] = True
        count += np.where(fits, size, 0)
        if np.array_equal(count, wanted):
            break
    chosen = candidates & np.take_along_axis(taken, word_of, axis=1)
    positions = np.where(chosen, np.arange(seq_length), seq_length)
    positions.sort(axis=1)
    positions = np.pad(positions, ((0, 0), (0, max(0, max_predictions - seq_length))), constant_values=seq_length)
    return positions[:, :max_predictions], count
