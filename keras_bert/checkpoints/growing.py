"""Growing a checkpoint to an extended vocabulary (keras_bert/text/learning/extension.py): rows for the new entries.

The row of a new entry in the word embeddings, and in the masked-LM head its bias and, where these are not the word
embeddings, its output weights, is the mean of those of the pieces that spelled it before: "myocardial" begins where
"my", "##oca" and "##rdial" stood, and not at random.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np

from keras_bert.checkpoints.parts import all_head_weights, encoder_weights
from keras_bert.errors import UserError
from keras_bert.text.kinds import NAMES, WORDPIECE, kind_at, kind_of
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import UNK, Vocabulary, check_fits
from keras_bert.text.wordpiece.files import VOCAB_NAME, cannot_read, find_vocabulary
from keras_bert.text.wordpiece.pieces import WordPiece


def grow_checkpoint(checkpoint, vocabulary):
    """Returns the checkpoint as it is for another vocabulary, which extends its own.

    Args:
        checkpoint: an opened Checkpoint with the files of its tokenizer beside it.
        vocabulary: a Vocabulary, a Tokenizer with one, or the path of a vocab.txt or of a tokenizer. It has the entries
            of the checkpoint's at the same ids, but for [unusedN] that may have become others, and may have more.

    Returns:
        A Checkpoint whose arrays have a row for each entry, those of old entries bit for bit; the very same one
        if the vocabularies are equal, or if there is none to compare with and the size fits. Rows that the checkpoint
        has past its vocabulary are taken for new entries first.

    Raises:
        UserError: the vocabulary does not extend the checkpoint's, or is larger without one to compare with.
    """
    new, config, folder = _as_vocabulary(vocabulary), checkpoint.config, checkpoint.folder
    kind = kind_of(folder)
    if kind not in (*NAMES, None):
        raise cannot_read(folder, kind)
    if kind is None:
        if len(new) <= config.vocab_size:
            note = f"the vocabulary is taken as given, without a {VOCAB_NAME} in {folder} to compare it with"
            return dataclasses.replace(checkpoint, notes=(*checkpoint.notes, note))
        raise UserError(
            f"{folder} has no {VOCAB_NAME}, without which a vocabulary of {len(new)} entries cannot take the place of "
            f"the checkpoint's {config.vocab_size}; put the {VOCAB_NAME} there that belongs to the weights."
        )
    tokenizer = Tokenizer.from_pretrained(folder)
    old, path = tokenizer.vocabulary, find_vocabulary(folder) if kind == WORDPIECE else folder
    if new.tokens == old.tokens:
        return checkpoint
    remedy = "put the vocabulary there that belongs to the weights."
    check_fits(len(old), config.vocab_size, what=path, model="checkpoint", remedy=remedy)
    _check_extends(new, old, path)
    spelled = _spelled_before(new, tokenizer)
    growing = [name for name in _per_entry(config) if checkpoint.shapes.get(name, ())[:1] == (config.vocab_size,)]
    size = max(len(new), config.vocab_size)
    shapes = {name: (size, *checkpoint.shapes[name][1:]) for name in growing}

    def read(name):
        array = checkpoint.read(name)
        if name not in growing:
            return array
        grown = np.empty(shapes[name], array.dtype)
        grown[: len(array)] = array
        for index, pieces in spelled.items():
            grown[index] = array[pieces].mean(axis=0, dtype=np.float32)
        return grown

    return dataclasses.replace(
        checkpoint,
        config=config.replace(vocab_size=size),
        shapes={**checkpoint.shapes, **shapes},
        read=read,
        new_entries=tuple(new.tokens[index] for index in spelled),
    )


def _per_entry(config):
    """Returns the names of the weights that have a row or a number for each entry of the vocabulary."""
    one_more = config.replace(vocab_size=config.vocab_size + 1)
    pairs = zip(*([*encoder_weights(each), *all_head_weights(each)] for each in (config, one_more)), strict=True)
    return [before.name for before, after in pairs if before.shape != after.shape]


def _as_vocabulary(given):
    if isinstance(given, (str, os.PathLike)):
        if not Path(given).is_dir() and kind_at(given) == WORDPIECE:
            return Vocabulary.from_file(Path(given), what="vocabulary")
        given = Tokenizer.from_pretrained(given)
    return given.vocabulary if isinstance(given, Tokenizer) else given


def _check_extends(new, old, path):
    """Raises a UserError that names the first entry in which a vocabulary does not extend another."""
    free = set(old.unused_ids) - set(new.unused_ids)
    written = "" if path.name == VOCAB_NAME else f" (as the {VOCAB_NAME} that keras-bert convert writes)"
    remedy = f"extend {path}{written} with keras-bert train_vocab --init_vocab_file."
    if new.spelling != old.spelling:
        raise UserError(f"The vocabulary is of another kind than the checkpoint's in {path}; {remedy}")
    for index, (before, now) in enumerate(zip(old.tokens, new.tokens, strict=False)):
        if before != now and index not in free:
            raise UserError(
                f"The vocabulary does not extend the checkpoint's: line {index + 1} is {now!r} in place of {before!r}; "
                f"{remedy}"
            )
    if len(new) < len(old):
        raise UserError(
            f"The vocabulary does not extend the checkpoint's: it has {len(new)} entries and lacks "
            f"{old.tokens[len(new)]!r}, the next of {len(old)}; {remedy}"
        )


def _spelled_before(new, tokenizer):
    """Returns {id of a new entry: list of the old ids that spelled it}.

    A "##piece" is spelled as what goes on in a word. What could not be spelled was [UNK].
    """
    old, is_wordpiece = tokenizer.vocabulary, tokenizer.kind == WORDPIECE
    inside = {token: (index,) for index, token in enumerate(old.tokens) if token.startswith("##")}
    # A vocabulary in which what goes on may also begin.
    go_on = WordPiece({UNK: (old.unk_id,), **{token[2:]: ids for token, ids in inside.items()}, **inside}, unknown=UNK)
    spelled = {}
    for index, token in enumerate(new.tokens):
        if token and (index >= len(old) or token != old.tokens[index]):
            is_inside = is_wordpiece and token.startswith("##") and len(token) > 2
            ids = go_on(token[2:]) if is_inside else tokenizer.token_ids(token)
            spelled[index] = list(ids) or [old.unk_id]
    return spelled
