"""Filled masks in Python: the same numbers as the exported SavedModel gives.

Runs on any Keras backend. B batch, S sequence, M masks, V vocabulary.
"""

import numpy as np
from scipy.special import softmax

from keras_bert.errors import UserError
from keras_bert.tasks.inputs import (
    batches,
    check_length,
    check_masked_lm,
    check_texts,
    check_top_k,
    check_vocabulary,
)


def fill_mask(model, tokenizer, texts, *, top_k=5, max_seq_length=None, batch_size=32):
    """Guesses the tokens behind every [MASK], or whatever the tokenizer's `mask_token` is.

    Args:
        model: a Pretrainer.
        tokenizer: its Tokenizer.
        texts: list of str, each with at least one [MASK].
        top_k: guesses for each [MASK].
        max_seq_length: longer texts are cut to it; None cuts where the model ends.
        batch_size: texts that the model reads at a time.

    Returns:
        One list a text, which holds one list a [MASK], in order: [{"token": str, "probability": float}, ...],
        best first.

    Raises:
        UserError: a text without [MASK], or with one past `max_seq_length`.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Encoder, Pretrainer
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> model = Pretrainer(Encoder(Config.from_name("tiny", vocab_size=7)))
        >>> [answer] = fill_mask(model, tokenizer, ["[MASK] or [MASK]"], top_k=2)
        >>> len(answer), sorted(answer[0][0])
        (2, ['probability', 'token'])
    """
    check_masked_lm(model)
    texts = check_texts(texts)
    max_seq_length = model.bert_config.max_length if max_seq_length is None else max_seq_length
    check_vocabulary(model.bert_config, tokenizer)
    check_length(model.bert_config, max_seq_length, layout=tokenizer.layout)
    check_top_k(model.bert_config, tokenizer, top_k)
    mask = tokenizer.mask_token
    for text in texts:
        if mask not in text:
            raise UserError(f"No {mask} in {_shortened(text)}; write {mask} where a word is to be guessed.")
    tokenizer = tokenizer.keeping([mask])
    has_piece = tokenizer.vocabulary.has_piece(model.bert_config.vocab_size)  # (V,)
    answers = []
    for inputs in batches(tokenizer, texts, max_seq_length=max_seq_length, batch_size=batch_size):
        is_mask = inputs["input_ids"] == tokenizer.mask_id  # (B, S)
        counts = is_mask.sum(axis=1)
        positions = np.zeros((len(counts), counts.max()), np.int32)  # (B, M)
        for row, chosen in enumerate(is_mask):
            text = texts[len(answers) + row]
            if counts[row] < text.count(mask):
                raise UserError(
                    f"A {mask} of {_shortened(text)} stands past the first {max_seq_length} tokens, where the text is "
                    "cut; shorten the text."
                )
            positions[row, : counts[row]] = np.flatnonzero(chosen)
        logits = model.predict_on_batch({**inputs, "masked_lm_positions": positions})["masked_lm"]  # (B, M, V)
        probabilities = softmax(logits, axis=-1)
        answers += [
            [_best(np.where(has_piece, each, -1.0), tokenizer, top_k) for each in row[:count]]
            for row, count in zip(probabilities, counts, strict=True)
        ]
    return answers


def _best(probabilities, tokenizer, top_k):
    """Returns the `top_k` likeliest tokens; of equally likely ones the lower id comes first, as in tf.math.top_k."""
    order = np.argsort(-probabilities, kind="stable")[:top_k]
    return [{"token": tokenizer.shown(int(i)), "probability": float(probabilities[i])} for i in order]


def _shortened(text):
    return repr(text if len(text) <= 60 else text[:57] + "...")
