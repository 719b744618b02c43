"""A WordPiece vocabulary and its file, google-research/bert's vocab.txt: one token a line, its number the id."""

import functools
import hashlib
import re

import numpy as np

from keras_bert.errors import UserError
from keras_bert.files import atomic_path, read_lines, require_file

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_UNUSED = re.compile(r"\[unused\d+\]")


class Vocabulary:
    """Tokens and their ids.

    Args:
        tokens: the tokens in the order of their ids.
        source: how an error names the vocabulary.

    Example:
        >>> vocabulary = Vocabulary([*SPECIAL_TOKENS, "un", "##aff", "##able"])
        >>> len(vocabulary), "un" in vocabulary, vocabulary.id("##aff"), vocabulary.token(4)
        (8, True, 6, '[MASK]')

    Raises:
        UserError: no tokens, a token twice, or one of [PAD] [UNK] [CLS] [SEP] [MASK] missing.
    """

    def __init__(self, tokens, *, source="The vocabulary"):
        self.tokens = tuple(tokens)
        self._ids = {token: index for index, token in enumerate(self.tokens)}
        _check(self.tokens, self._ids, source)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = map(self._ids.get, SPECIAL_TOKENS)

    @classmethod
    def from_file(cls, path, *, what="--vocab_file"):
        """Reads a vocab.txt. As in Google's load_vocab each line is stripped of white space.

        Args:
            path: a UTF-8 text file, one token a line.
            what: the flag or argument to name in an error.

        Raises:
            UserError: the file is missing, a directory, empty, not UTF-8, or no BERT vocabulary.
        """
        path = require_file(path, what=what)
        tokens = [line.strip() for line in read_lines(path)]
        if not any(tokens):
            raise UserError(f"{what}: {path} is empty; a vocabulary has one token a line (keras-bert train_vocab).")
        return cls(tokens, source=f"{what}: {path}")

    def save(self, path):
        """Writes a vocab.txt, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_bytes("".join(f"{token}\n" for token in self.tokens).encode())

    def __len__(self):
        return len(self.tokens)

    def __contains__(self, token):
        return token in self._ids

    def id(self, token):
        """Returns the id of a token; a token that is not in the vocabulary is a UserError."""
        try:
            return self._ids[token]
        except KeyError:
            raise UserError(f"The token {token!r} is not among the {len(self)} of the vocabulary.") from None

    def token(self, index):
        """Returns the token of an id; an id out of range is a UserError."""
        if not 0 <= index < len(self):
            raise UserError(f"The id {index} is outside of the vocabulary, which has {len(self)} tokens.")
        return self.tokens[index]

    @property
    def special_ids(self):
        """The ids of [PAD] [UNK] [CLS] [SEP] [MASK], in that order."""
        return (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id)

    @functools.cached_property
    def replacement_ids(self):
        """int32 array: the ids that may stand in for a masked token at random; no special and no [unusedN].

        >>> Vocabulary([*SPECIAL_TOKENS, "[unused0]", "a", "b"]).replacement_ids
        array([6, 7], dtype=int32)
        """
        ordinary = (
            index
            for index, token in enumerate(self.tokens)
            if token not in SPECIAL_TOKENS and not _UNUSED.fullmatch(token)
        )
        return np.fromiter(ordinary, np.int32)

    @functools.cached_property
    def is_continuation(self):
        """bool array (V,): whether a token goes on inside a word ("##able")."""
        return np.array([token.startswith("##") for token in self.tokens])

    @functools.cached_property
    def looks_cased(self):
        """Whether an entry, bracketed ones such as [CLS] or <S> apart, has an upper-case letter."""
        return any(token != token.lower() and token[0] not in "[<" for token in self.tokens)

    @functools.cached_property
    def fingerprint(self):
        """SHA-256 of the tokens joined by LF, in hex: equal for equal vocabularies whatever the file's line ends."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()


def _check(tokens, ids, source):
    if not tokens:
        raise UserError(f"{source} is empty; a vocabulary has one token a line.")
    if len(ids) != len(tokens):
        first = next(index for index, token in enumerate(tokens) if ids[token] != index)
        token = tokens[first]
        raise UserError(f"{source} has {token!r} twice, in lines {first + 1} and {ids[token] + 1}; remove one of them.")
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        raise UserError(
            f"{source} lacks {' '.join(missing)}; a BERT vocabulary has all of {' '.join(SPECIAL_TOKENS)}: "
            "add the missing as lines of their own at the end, or learn a vocabulary with keras-bert train_vocab."
        )
