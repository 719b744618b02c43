"""A vocabulary, and WordPiece's file of it, google-research/bert's vocab.txt: one token a line, its number the id.

A vocabulary is a list of rows. A row may be blank, and a token may have several: the last one is its id, as in Google's
load_vocab and in Hugging Face's. They differ in one thing, in which Google is followed: Google strips a line of white
space on both sides, Hugging Face of its line end alone. No text has a word with white space in it, so that ids of texts
differ for rows such as "word " only.
"""

import copy
import dataclasses
import functools
import hashlib
import numbers

import numpy as np

from keras_bert.errors import UserError, note
from keras_bert.files import read_lines, require_file
from keras_bert.outputs import atomic_path
from keras_bert.text.given import received
from keras_bert.text.layout import BERT, Layout
from keras_bert.text.normalize import decompose, drop_marks, lower
from keras_bert.text.rules import as_added_tokens
from keras_bert.text.spelling import CLS, MASK, PAD, ROLES, SEP, SPECIAL_TOKENS, UNK, WORDPIECE, is_unused

__all__ = ["CLS", "FITTING", "MASK", "PAD", "SEP", "SPECIAL_TOKENS", "UNK", "Vocabulary", "casing_problem"]
__all__ += ["check_fits", "check_special_ids", "sizes_for"]

STRAY = 0.01  # so small a share of the entries says nothing about the casing of a vocabulary
FITTING = "use the vocab.txt that the model was trained with."


class Vocabulary:
    """Tokens and their ids.

    Args:
        tokens: the tokens in the order of their ids. Blank ones ("") have an id and are never found; those at the end
            do not count.
        source: how an error names the vocabulary.
        rows: what to write for each token, where that is not the token itself.
        spelling: the Spelling of its tokens.

    Attributes:
        tokens: the tokens in the order of their ids, those that were added past the file's included.
        rows: the file's rows, as they are written.
        pieces: {token: id} of the rows, which are what words are spelled with.
        added: the AddedTokens, see `with_added`.
        layout: the Layout of sequences: where special tokens stand in them.
        pad_id, unk_id, cls_id, sep_id, mask_id: the ids of the special tokens.

    Example:
        >>> vocabulary = Vocabulary([*SPECIAL_TOKENS, "un", "##aff", "##able"])
        >>> len(vocabulary), "un" in vocabulary, vocabulary.id("##aff"), vocabulary.token(4)
        (8, True, 6, '[MASK]')

    Raises:
        UserError: no tokens, or one of the special ones ([PAD] [UNK] [CLS] [SEP] [MASK]) missing.
    """

    layout = BERT

    def __init__(self, tokens, *, source="The vocabulary", rows=None, spelling=WORDPIECE):
        tokens = tuple(tokens)
        self.rows = tokens if rows is None else tuple(rows)
        self.tokens = tokens[: next((size for size in range(len(tokens), 0, -1) if tokens[size - 1]), 0)]
        self.pieces = {token: index for index, token in enumerate(self.tokens) if token}  # the last of several counts
        self.added = ()
        self.spelling = spelling
        self._ids = self.pieces
        _check(self.tokens, self._ids, source, spelling.special)
        for role, token in zip(ROLES, spelling.special, strict=True):
            setattr(self, f"{role}_id", self._ids[token])

    @classmethod
    def from_file(cls, path, *, what="--vocab_file"):
        """Reads a vocab.txt as Google's load_vocab does: lines end at LF, and each is stripped of white space.

        Args:
            path: a UTF-8 text file, one token a line.
            what: the flag or argument to name in an error.

        Raises:
            UserError: the file is missing, a directory, empty, not UTF-8, or no BERT vocabulary.
        """
        path = require_file(path, what=what)
        if path.suffix == ".json":
            raise UserError(
                f"{what}: {path} is not a vocab.txt, one token a line; keras-bert convert makes it from tokenizer.json."
            )
        rows = list(read_lines(path))
        tokens = [row.strip() for row in rows]
        if not any(tokens):
            raise UserError(f"{what}: {path} is empty; a vocabulary has one token a line (keras-bert train_vocab).")
        return cls(tokens, source=f"{what}: {path}", rows=rows)

    def save(self, path):
        """Writes a vocab.txt, whole or not at all: the rows that were read. Tokens that were added have no row."""
        with atomic_path(path) as temporary:
            temporary.write_bytes("".join(row.replace("\n", " ") + "\n" for row in self.rows).encode())

    def with_added(self, added):
        """Returns a vocabulary that knows more tokens: those of its rows keep their ids, others follow after them.

        Ids are given as transformers does: one past another, the first as high as the number of the file's rows.

        Args:
            added: AddedTokens, or their contents; those that it has already keep their flags.

        >>> vocabulary = Vocabulary([*SPECIAL_TOKENS, "a", "[S]"]).with_added(["[S]", "[O]"])
        >>> vocabulary.id("[S]"), vocabulary.id("[O]"), len(vocabulary), len(vocabulary.rows)
        (6, 7, 8, 7)
        """
        known = {token.content for token in self.added}
        added = [token for token in as_added_tokens(added) if token.content not in known]
        if not added:
            return self
        new = copy.copy(self)
        for name in ("replacement_ids", "is_continuation", "unused_ids", "looks_cased", "_casing", "fingerprint"):
            new.__dict__.pop(name, None)
        new.added = (*self.added, *added)
        missing = [token.content for token in added if token.content not in self]
        if missing:
            free = max(len(self.tokens), len(set(self.rows)))  # rows that end in a blank one leave that free
            new.tokens = (*self.tokens, *[""] * (free - len(self.tokens)), *missing)
            new._ids = {**self._ids, **{token: free + number for number, token in enumerate(missing)}}
        return new

    def with_layout(self, layout):
        """Returns a vocabulary of the same tokens whose sequences have another Layout."""
        if not isinstance(layout, Layout):
            raise UserError(f"layout must be a Layout, such as layout.BERT. Received: {received(layout)}.")
        new = copy.copy(self)
        new.layout = layout
        return new

    def __len__(self):
        return len(self.tokens)

    def __contains__(self, token):
        return token in self._ids

    def id(self, token):
        """Returns the id of a token; a token that is not in the vocabulary is a UserError."""
        try:
            return self._ids[token]
        except (KeyError, TypeError):  # TypeError: a list, say
            raise UserError(f"The token {token!r:.80} is not among the {len(self)} of the vocabulary.") from None

    def token(self, index):
        """Returns the token of an id; an id out of range, or something else than an id, is a UserError."""
        if not isinstance(index, numbers.Integral) or isinstance(index, bool):
            raise UserError(f"An id must be a whole number. Received: {received(index)}.")
        if not 0 <= index < len(self):
            raise UserError(f"The id {index} is outside of the vocabulary, which has {len(self)} tokens.")
        return self.tokens[index]

    @property
    def special_ids(self):
        """The ids of the special tokens, in the order of ROLES: [PAD] [UNK] [CLS] [SEP] [MASK]."""
        return (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id)

    @functools.cached_property
    def replacement_ids(self):
        """int32 array: the ids that may stand in for a masked token at random: of pieces, no special and no [unusedN].

        >>> Vocabulary([*SPECIAL_TOKENS, "[unused0]", "a", "b"]).replacement_ids
        array([6, 7], dtype=int32)
        """
        special = {*self.spelling.special, *(token.content for token in self.added if token.special)}
        ordinary = (
            index
            for index, token in enumerate(self.tokens)
            if self._ids.get(token) == index and token not in special and not is_unused(token)
        )
        return np.fromiter(ordinary, np.int32)

    @functools.cached_property
    def is_continuation(self):
        """bool array (V,): whether a token goes on inside a word ("##able")."""
        added = {token.content for token in self.added}
        return np.array([self.spelling.continues(token) and token not in added for token in self.tokens])

    @functools.cached_property
    def unused_ids(self):
        """The ids of the [unusedN] slots, in their order.

        >>> Vocabulary([*SPECIAL_TOKENS, "[unused0]", "a", "[unused1]"]).unused_ids
        (5, 7)
        """
        return tuple(index for index, token in enumerate(self.tokens) if is_unused(token))

    @functools.cached_property
    def looks_cased(self):
        """Whether it was made of text that was not lower-cased.

        Then more than a stray few of its entries have upper-case letters, or most of them are such as lower-casing
        never leaves ("한", which NFD takes apart). Bracketed entries such as [CLS] or <S> do not count.

        >>> [Vocabulary([*SPECIAL_TOKENS, *words.split()]).looks_cased for words in ("a ##B", "a ##b", "한 국 a")]
        [True, False, True]
        """
        casing = self._casing
        return len(casing.upper) > STRAY * casing.entries or len(casing.lost) > casing.entries / 2

    @functools.cached_property
    def _casing(self):
        words = (self.spelling.body(self.tokens[index]) for index in self.replacement_ids.tolist())
        words = [word for word in words if not word.startswith(("[", "<"))]
        return _Casing(
            entries=len(words),
            upper=[word for word in words if word != word.lower()],
            lower=[word for word in words if word == word.lower() != word.upper()],
            lost=[word for word in words if drop_marks(decompose(lower(word))) != word],
        )

    @functools.cached_property
    def fingerprint(self):
        """SHA-256 of the file's tokens joined by LF, in hex: equal for equal files whatever their line ends."""
        return hashlib.sha256("\n".join(self.tokens[: self.num_rows]).encode()).hexdigest()

    @property
    def num_rows(self):
        """How many rows the file has, without blank ones at its end."""
        return 1 + max(self.pieces.values())

    def has_piece(self, size):
        """bool array (size,): which ids of a model with `size` rows mean a token; a blank or missing row does not.

        >>> Vocabulary([*SPECIAL_TOKENS, "", "a"]).has_piece(8).tolist()
        [True, True, True, True, True, False, True, False]
        """
        found = np.zeros(max(size, len(self)), bool)
        found[: len(self)] = [bool(token) for token in self.tokens]
        return found[:size]


@dataclasses.dataclass(frozen=True)
class _Casing:
    """The ordinary entries of a vocabulary, without "##", by what lower-casing does to them.

    Attributes:
        entries: how many there are.
        upper: those with upper-case letters.
        lower: those with letters that have a case, all in lower case.
        lost: those that lower-casing, as the tokenizer does it, never leaves: upper case, accents, Hangul syllables.
    """

    entries: int
    upper: list[str]
    lower: list[str]
    lost: list[str]


def casing_problem(vocabulary, do_lower_case):
    """Says what is wrong with using a vocabulary with or without lower-casing.

    Chinese and the like, which have no case, go with either; a stray few entries of the other case are let pass.

    Returns:
        A sentence that names what was found and the remedy, or None.

    >>> casing_problem(Vocabulary([*SPECIAL_TOKENS, "the", "The", "THE"]), True)
    "Lower-casing never leaves 2 of the vocabulary's 3 entries, such as 'The'; pass --do_lower_case=False."
    """
    casing = vocabulary._casing
    if do_lower_case and vocabulary.looks_cased:
        if casing.upper and not casing.lower:
            found = f"The vocabulary has no entries in lower case, only such as {casing.upper[0]!r}"
        else:
            example = (casing.upper or casing.lost)[0]
            found = (
                f"Lower-casing never leaves {len(casing.lost):,} of the vocabulary's {casing.entries:,} entries, "
                f"such as {example!r}"
            )
        return f"{found}; pass --do_lower_case=False."
    has_case = len(casing.lower) > casing.entries / 2
    kept = max(len(casing.upper), len(casing.lost)) > STRAY * casing.entries
    if not do_lower_case and has_case and not kept:
        return (
            f"The vocabulary has entries in lower case such as {casing.lower[0]!r} and "
            f"{'next to none' if casing.upper else 'none'} with upper-case letters, so that capitalised words would "
            "become [UNK]; pass --do_lower_case."
        )
    return None


def check_fits(entries, vocab_size, *, what="The vocabulary", model="model", remedy=FITTING):
    """Raises a UserError if a vocabulary has more entries than a model has rows; a model may have more rows.

    Args:
        entries: how many the vocabulary has.
        vocab_size: the model's rows.
        what, model: how the error names both.
        remedy: what it advises.
    """
    if entries > vocab_size:
        raise UserError(f"{what} has {entries} entries, but the {model}'s vocab_size is {vocab_size}; {remedy}")


def sizes_for(tokenizer):
    """Returns the fields of Config that a tokenizer decides, for a size that is named."""
    return {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_id, "sep_token_id": tokenizer.sep_id}


def check_special_ids(tokenizer, config):
    """Compares the ids of a tokenizer's padding and separator with those of a model's configuration.

    A model that counts positions by ids would count wrongly. Others go by the mask, which is made of the ids only
    where none is given, so that a note is enough. Longformer and BigBird's answers find the question by separators.

    Args:
        tokenizer: a Tokenizer.
        config: a Config.

    Raises:
        UserError: they differ, and the model goes by them.
    """
    remedy = "take the vocabulary that the model was trained with, or correct {} in its config.json."
    pad_id, sep_id = tokenizer.pad_id, tokenizer.sep_id
    reads_separators = config.attention == "global_local" or config.span_masks_question
    if reads_separators and config.sep_token_id != sep_id:
        raise UserError(
            f"The tokenizer's separator is token {sep_id}, but the model's sep_token_id is {config.sep_token_id}, by "
            f"which it tells a question from its context; {remedy.format('sep_token_id')}"
        )
    if pad_id == config.pad_token_id:
        return
    differ = f"The tokenizer's padding is token {pad_id}, but the model's pad_token_id is {config.pad_token_id}"
    if config.positions_from_ids:
        raise UserError(f"{differ}, which its positions are counted by; {remedy.format('pad_token_id')}")
    note(f"{differ}; give input_mask with ids of your own, since without it token {config.pad_token_id} is masked.")


def _check(tokens, ids, source, special):
    if not tokens:
        raise UserError(f"{source} is empty; a vocabulary has one token a line.")
    missing = [token for token in special if token not in ids]
    if missing and special == SPECIAL_TOKENS:
        raise UserError(
            f"{source} lacks {' '.join(missing)}; a BERT vocabulary has all of {' '.join(SPECIAL_TOKENS)}: "
            "add the missing as lines of their own at the end, or learn a vocabulary with keras-bert train_vocab."
        )
    if missing:
        raise UserError(
            f"{source} lacks {' '.join(missing)}; sequences need all of {' '.join(special)}: "
            "take the tokenizer files that the model was trained with."
        )
