"""A held-out share of one table: by seed, each class in its proportion, the same text never on both sides.

N examples.
"""

import numpy as np

from keras_bert.errors import UserError


def split_examples(examples, *, share=0.1, seed=12345):
    """Splits examples with labels in two.

    Rows with the same text (and second text), but for white space, stay together. Classes keep their proportions as
    far as whole rows allow, and none leaves the training set altogether; of several labels a row, and of numbers, any
    row is as good as another.

    Args:
        examples: Examples with labels.
        share: of the rows that are held out.
        seed: int; the same one gives the same split.

    Returns:
        (train, held out), two Examples in the order of the rows.

    Raises:
        UserError: a share that is not between 0 and 1, or with which either side has no row.

    Example:
        >>> from keras_bert.tasks.classify.examples import Examples
        >>> train, held_out = split_examples(Examples(list("abcdefgh"), labels=np.array([0, 1] * 4)), share=0.25)
        >>> sorted(held_out.labels.tolist()), len(train)
        ([0, 1], 6)
    """
    if not 0 < share < 1:
        raise UserError(f"eval_share must be between 0 and 1. Received: {share}.")
    strata = examples.labels if examples.kind == "classes" else np.zeros(len(examples), np.int32)
    held_out = _choose(_groups(examples), strata, share, np.random.default_rng(seed))
    if not held_out.any() or held_out.all():
        side = "all" if held_out.all() else "none"
        raise UserError(
            f"A share of {share:g} of {len(examples)} rows holds {side} of them out; give another (--eval_share), or a "
            "table of its own to measure on (--eval_file)."
        )
    return examples.take(np.flatnonzero(~held_out)), examples.take(np.flatnonzero(held_out))


def count_shared(train, held_out):
    """Returns how many held-out texts stand among those of the training too, but for white space.

    Args:
        train, held_out: iterables of str, or of tuples of str.

    >>> count_shared(["a b", "c"], ["a  b", "d", "a b"])
    2
    """
    known = set(map(_key, train))
    return sum(_key(text) in known for text in held_out)


def _key(text):
    return tuple(" ".join(part.split()) for part in ((text,) if isinstance(text, str) else text))


def _groups(examples):
    """Returns a number for each example, int (N,), the same for those of the same text."""
    numbers = {}
    rows = examples.texts if examples.pairs is None else zip(examples.texts, examples.pairs, strict=True)
    return np.array([numbers.setdefault(_key(text), len(numbers)) for text in rows])


def _choose(groups, strata, share, rng):
    """Returns which examples are held out, bool (N,).

    The groups are gone through stratum by stratum, in an order drawn at random. A group is held out when half of its
    rows or more are due, so that of each stratum, and of all, about the share is.
    """
    sizes = np.bincount(groups)
    of_group = np.empty(len(sizes), strata.dtype)
    of_group[groups] = strata  # of rows with the same text and different labels, the last one's
    order = rng.permutation(len(sizes))
    order = order[np.argsort(of_group[order], kind="stable")]
    left = np.bincount(of_group)
    chosen, due = np.zeros(len(sizes), bool), 0.0
    for group in order:
        due += share * sizes[group]
        if due >= sizes[group] / 2 and left[of_group[group]] > 1:
            chosen[group] = True
            left[of_group[group]] -= 1
            due -= sizes[group]
    return chosen[groups]
