"""What the Python and the graph road share: checks of what the caller gave, and batches of encoded texts.

B batch, S sequence.
"""

import numpy as np

from keras_bert.errors import UserError
from keras_bert.text.given import check_tokenizer
from keras_bert.text.layout import BERT, LENGTH_MULTIPLE
from keras_bert.text.vocabulary import MASK, check_fits, check_special_ids


def check_vocabulary(config, tokenizer):
    """Raises a UserError if the tokenizer is none, has more entries than the model has rows, or pads otherwise."""
    check_tokenizer(tokenizer)
    check_fits(len(tokenizer), config.vocab_size)
    check_special_ids(tokenizer, config)


def check_length(config, max_seq_length, *, pair=False, layout=BERT):
    """Raises a UserError if the model has fewer positions, or if nothing fits beside the layout's special tokens."""
    special = layout.num_special(2 if pair else 1)
    least = special + 1
    if not least <= max_seq_length <= config.max_length:
        raise UserError(
            f"max_seq_length must be from {least}, to hold {special} special tokens and a token of text, to "
            f"{config.max_length}, the most tokens that the model reads. Received: {max_seq_length}."
        )


def check_given(given, kind, *, what):
    """Raises a UserError if what a function was given is not of a class."""
    if not isinstance(given, kind):
        raise UserError(f"{what} must be {kind.__name__}. Received: {type(given).__name__}.")


def check_labelled(given, kind, *, what, labels="labels"):
    """Raises a UserError if rows of a file are not of a class, or have no labels."""
    check_given(given, kind, what=what)
    if getattr(given, labels) is None:
        raise UserError(f"{what} has no {labels}, to learn or to measure; read a file that has them.")


def check_masked_lm(model):
    """Raises a UserError if a model does not predict masked tokens."""
    if "masked_lm" in (model.output if isinstance(model.output, dict) else {}):
        return
    objectives = getattr(model, "objectives", None)
    if objectives is None:
        said = "load a pre-trained model as kb.Pretrainer, or ask this one by kb.predict"
    else:
        said = f"it was made for {', '.join(objectives)}: load one made for masked_lm, such as ELECTRA's generator"
    raise UserError(f"{type(model).__name__} knows no words behind {MASK}; {said}.")


def check_top_k(config, tokenizer, top_k):
    """Raises a UserError if `top_k` tokens cannot be had from the vocabulary."""
    most = int(tokenizer.vocabulary.has_piece(config.vocab_size).sum())
    if not 1 <= top_k <= most:
        raise UserError(f"top_k must be from 1 to {most}, the vocabulary's size. Received: {top_k}.")


def check_texts(texts, *, what="texts"):
    """Returns `texts` as a list, or raises a UserError if it is not a list of strings."""
    if isinstance(texts, (str, bytes)):
        raise UserError(f"{what} must be a list of strings. Received one: {texts!r:.80}.")
    if isinstance(texts, dict) or not hasattr(texts, "__iter__") or getattr(texts, "ndim", 1) == 0:
        raise UserError(f"{what} must be a list of strings. Received: {texts!r:.80}.")
    texts = list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(f"{what} must be a list of strings. Entry {number} is {text!r:.80}.")
    return texts


def batches(tokenizer, texts, pairs=None, *, max_seq_length, batch_size):
    """Yields the encoder's inputs for `texts`, in order.

    Args:
        tokenizer: a Tokenizer.
        texts: list of str.
        pairs: list of as many str, or None.
        max_seq_length: longer texts are cut to it.
        batch_size: the largest B.

    Yields:
        {"input_ids", "input_mask", "segment_ids"}: int32 arrays (B, S).
    """
    pairs = [None] * len(texts) if pairs is None else pairs
    for start in range(0, len(texts), batch_size):
        chosen = slice(start, start + batch_size)
        encoded = [tokenizer.encode(*both, max_seq_length) for both in zip(texts[chosen], pairs[chosen], strict=True)]
        stacked = {name: np.stack([inputs[name] for inputs in encoded]) for name in encoded[0]}
        longest = int(stacked["input_mask"].sum(axis=1).max())
        length = min(max_seq_length, -(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE)
        yield {name: array[:, :length] for name, array in stacked.items()}
