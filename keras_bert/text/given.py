"""What callers give a tokenizer, checked: strings, lists of strings, ids."""

import numbers

import numpy as np

from keras_bert.errors import UserError


def received(value):
    """Says in a few words what was given.

    >>> received(["a", "b"]), received(5)
    ("['a', 'b'] (list)", '5 (int)')
    """
    shown = repr(value)
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'} ({type(value).__name__})"


def as_str(text):
    """Decodes bytes as UTF-8 and drops what is not; a str stays as it is. Anything else is a UserError."""
    if isinstance(text, str):
        return text
    if isinstance(text, bytes):
        return text.decode("utf-8", "ignore")
    hint = "; tokenizer(texts) takes a list" if isinstance(text, (list, tuple, np.ndarray)) else ""
    raise UserError(f"text must be a string. Received: {received(text)}{hint}.")


def check_str(text):
    """Raises a UserError if a text is not a str."""
    if not isinstance(text, str):
        raise UserError(f"text must be a string. Received: {received(text)}.")


def as_texts(texts, *, what):
    """Returns one string or several (any iterable but a dict or a set) as a list of str, or raises a UserError.

    >>> as_texts("a", what="text"), as_texts(np.array(["a", "b"]), what="text")
    (['a'], ['a', 'b'])
    """
    texts = texts.tolist() if isinstance(texts, np.ndarray) else texts
    if isinstance(texts, (str, bytes)):
        return [as_str(texts)]
    if isinstance(texts, (dict, set, frozenset)) or not hasattr(texts, "__iter__"):  # a set has no order
        raise UserError(f"{what} must be a string or a list of strings. Received: {received(texts)}.")
    texts = list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, (str, bytes)):
            raise UserError(f"{what} must be a string or a list of strings. Entry {number} is {received(text)}.")
    return [str(as_str(text)) for text in texts]


def as_ids(ids):
    """Returns ids as a list of int, or raises a UserError; arrays of one dimension and tensors are taken too."""
    if not isinstance(ids, (list, tuple)):
        ids = np.asarray(ids)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise UserError(f"ids must be one row of whole numbers. Received: {received(ids.tolist())}.")
    for index in ids:
        if not isinstance(index, numbers.Integral) or isinstance(index, bool):
            raise UserError(f"ids must be one row of whole numbers. An entry is {received(index)}.")
    return [int(index) for index in ids]


def check_length(max_seq_length, layout, *, texts, tokens=0):
    """Raises a UserError if a length, None being any, is too small for the special tokens and some of each text.

    Args:
        max_seq_length: what was given.
        layout: the Layout.
        texts: 1, or 2 for pairs.
        tokens: how many tokens of each text must fit.
    """
    if max_seq_length is None:
        return
    if not isinstance(max_seq_length, numbers.Integral) or isinstance(max_seq_length, bool):
        raise UserError(f"max_seq_length must be a whole number. Received: {received(max_seq_length)}.")
    special = layout.num_special(texts)
    if max_seq_length < special + texts * tokens:
        beside = f" and {tokens} of {'each' if texts > 1 else 'the'} text" if tokens else ""
        raise UserError(
            f"max_seq_length must be at least {special + texts * tokens} to hold the {special} special tokens{beside}. "
            f"Received: {max_seq_length}."
        )


def check_tokenizer(tokenizer):
    """Raises a UserError if something else than a tokenizer was given in its place.

    >>> check_tokenizer(["good"])
    Traceback (most recent call last):
    keras_bert.errors.UserError: tokenizer must be a keras_bert.Tokenizer. Received: ['good'] (list).
    """
    if not hasattr(tokenizer, "token_ids"):
        raise UserError(f"tokenizer must be a keras_bert.Tokenizer. Received: {received(tokenizer)}.")
