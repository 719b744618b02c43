"""Strings to rows of ids, and to batches for fine-tuning, evaluation and prediction.

Legend: B batch, S sequence, N texts.
"""

from collections.abc import Iterable, Mapping, Set

import numpy as np

from keras_bert.data.batches import padded_batches
from keras_bert.data.labels import as_labels as _as_labels
from keras_bert.errors import UserError
from keras_bert.text.given import check_length, check_tokenizer
from keras_bert.text.layout import truncated

WORTH_A_TABLE = 100  # texts from which on the bulk tokenizer, which makes tables first, is faster


def text_dataset(
    texts,
    labels,
    tokenizer,
    *,
    max_seq_length=128,
    batch_size=32,
    shuffle=None,
    seed=0,
    pairs=None,
    drop_remainder=False,
    pad_to_multiple=8,
    by_length=None,
    sample_weights=None,
    label_names=None,
    pack=False,
    max_texts_per_row=None,
):
    """Makes batches for fine-tuning, evaluation or prediction from strings. They are tokenised once, up front.

    Args:
        texts: list of str, or of (text, pair) tuples; a generator of such, a NumPy array or a pandas column is as good.
        labels: list or array of numbers, N in the first axis, or with `label_names` of names; None gives x alone.
        tokenizer: a keras_bert.text.tokenizer.Tokenizer.
        max_seq_length: longer texts are cut to it.
        batch_size: B.
        shuffle: a new order each time round. None shuffles where there are labels: predictions keep the order.
        seed: int; the same seed gives the same order.
        pairs: list of the second texts, instead of tuples.
        drop_remainder: leave out a last, smaller batch.
        pad_to_multiple: S is the longest of the batch, rounded up to a multiple of this, and at most
            max_seq_length; with max_seq_length itself all batches have one shape, as TPUs want it.
        by_length: makes batches of texts of like length. None does so where it shuffles and batches differ in length.
        sample_weights: float (N,), what each text counts in the loss; or None.
        label_names: the classes' names in the model's order, or the model itself, which has them: `labels` are then
            names, lists of names where a text may have several, or classes' numbers. Anything else is an error.
        pack: put several texts into each of the B rows, which are all of max_seq_length, for a model that was made
            with `packed=True`: each text sees itself alone. A batch then has some B * max_seq_length / mean length
            texts.
        max_texts_per_row: with `pack`, the most texts a row; None takes the fewest with which hardly any room is lost.

    Returns:
        A tf.data.Dataset of ({"input_ids", "input_mask", "segment_ids": int32 (B, S)}, labels (B, ...)):
        labels int32 or float32. With weights these follow. With `pack` it is what
        `keras_bert.data.packed_batches.packed_batches` returns: with the numbers and places of the texts, and labels
        and weights (B, texts a row).

    Raises:
        UserError: no texts, other things than strings, or labels that do not fit them or are no numbers.

    Example:
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> dataset = text_dataset(["good", "bad"], [1, 0], tokenizer, batch_size=2, pad_to_multiple=4, shuffle=False)
        >>> x, y = next(dataset.as_numpy_iterator())
        >>> x["input_ids"].tolist(), y.tolist()
        ([[2, 5, 3, 0], [2, 6, 3, 0]], [1, 0])
    """
    check_tokenizer(tokenizer)  # first: it is given in the place of the labels easily
    texts = _as_pairs(texts, pairs)
    labels = None if labels is None else _as_labels(labels, len(texts), label_names)
    return padded_batches(
        text_rows(texts, tokenizer, max_seq_length=max_seq_length),
        labels,
        batch_size=batch_size,
        max_seq_length=max_seq_length,
        pad_id=tokenizer.pad_id,
        sample_weights=sample_weights,
        shuffle=shuffle,
        seed=seed,
        by_length=by_length,
        pad_to_multiple=pad_to_multiple,
        drop_remainder=drop_remainder,
        pack=pack,
        max_texts_per_row=max_texts_per_row,
    )


def text_rows(texts, tokenizer, *, pairs=None, max_seq_length):
    """Tokenises many texts or pairs at once: the ids and segments that `Tokenizer.encode` gives, without padding.

    Args:
        texts: list of str, or of (text, pair) tuples.
        tokenizer: a Tokenizer.
        pairs: list of the second texts, instead of tuples.
        max_seq_length: longer texts are cut to it.

    Returns:
        {"input_ids": list of N int32 arrays, "segment_ids": list of N int32 arrays}.

    Raises:
        UserError: no texts, other things than strings, or a max_seq_length without room for the special tokens.

    Example:
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> rows = text_rows([("good", "bad")], tokenizer, max_seq_length=8)
        >>> [rows[name][0].tolist() for name in ("input_ids", "segment_ids")]
        [[2, 5, 3, 6, 3], [0, 0, 0, 1, 1]]
    """
    entries = _as_pairs(texts, pairs)
    layout = tokenizer.layout
    check_length(max_seq_length, layout, texts=1 + any(pair is not None for _, pair in entries))
    token_ids = _bulk_ids(tokenizer) if len(entries) >= WORTH_A_TABLE else _ids(tokenizer)
    parts = [token_ids([text or "" for text in column]) for column in zip(*entries, strict=True)]
    rows = {"input_ids": [], "segment_ids": []}
    gaps = {texts: layout.gaps(tokenizer, texts=texts) for texts in (1, 2)}
    room = {texts: layout.room(max_seq_length, texts=texts) for texts in (1, 2)}
    for (_, pair), first, second in zip(entries, *parts, strict=True):
        given = [first] if pair is None else [first, second]
        ids, segments = layout.assemble(truncated(given, room[len(given)]), gaps[len(given)])
        rows["input_ids"].append(ids)
        rows["segment_ids"].append(segments)
    return rows


def _ids(tokenizer):
    """Returns a function from strings to their ids, a list of int32 arrays."""
    return lambda texts: [np.array(tokenizer.token_ids(text), np.int32) for text in texts]


def _bulk_ids(tokenizer):
    """Returns a faster one, which takes some 20 ms to make."""
    bulk = tokenizer.bulk()

    def token_ids(texts):
        ids, lengths = bulk.token_ids(texts)
        return np.split(ids.astype(np.int32), np.cumsum(lengths)[:-1])

    return token_ids


def with_pairs(texts, pairs):
    """Returns the texts as a list; with pairs, a list of (text, pair). Raises a UserError if their numbers differ."""
    texts = list(texts)
    if pairs is None:
        return texts
    pairs = list(pairs)
    if len(pairs) != len(texts):
        raise UserError(f"pairs must be as many as texts. Received: {len(pairs)} and {len(texts)}.")
    return list(zip(texts, pairs, strict=True))


def _as_pairs(texts, pairs):
    """Returns [(text, pair or None), ...] or raises a UserError that names the first entry that is none."""
    if isinstance(texts, (str, bytes)):
        raise UserError(f"texts must be a list of strings. Received one: {texts!r:.80}.")
    if isinstance(texts, (Mapping, Set)) or not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) != 1:
        raise UserError(
            "texts must be a list of strings, or one column of a table, such as table['text']. Received: a "
            f"{type(texts).__name__}."
        )
    texts = with_pairs(texts, pairs)
    if not texts:
        raise UserError("texts is empty; give at least one string.")
    entries = [tuple(entry) if isinstance(entry, (tuple, list)) else (entry, None) for entry in texts]
    for number, entry in enumerate(entries):
        if len(entry) != 2 or not isinstance(entry[0], str) or not isinstance(entry[1], str | None):
            shown = str(texts[number])[:80]
            raise UserError(f"texts must hold strings or (text, pair) tuples of strings. Entry {number} is {shown!r}.")
    return entries
