"""A WordPiece vocabulary and its file, google-research/bert's vocab.txt: one token a line, its number the id."""

import dataclasses
import functools
import hashlib
import re

import numpy as np

from keras_bert.errors import UserError
from keras_bert.files import atomic_path, read_lines, require_file
from keras_bert.text.normalize import decompose, drop_marks, lower

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
STRAY = 0.01  # so small a share of the entries says nothing about the casing of a vocabulary
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
        if path.suffix == ".json":
            raise UserError(
                f"{what}: {path} is no vocab.txt, one token a line; keras-bert convert makes one of a tokenizer.json."
            )
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
    def unused_ids(self):
        """The ids of the [unusedN] slots, in their order.

        >>> Vocabulary([*SPECIAL_TOKENS, "[unused0]", "a", "[unused1]"]).unused_ids
        (5, 7)
        """
        return tuple(index for index, token in enumerate(self.tokens) if _UNUSED.fullmatch(token))

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
        words = (self.tokens[index].removeprefix("##") for index in self.replacement_ids.tolist())
        words = [word for word in words if not word.startswith(("[", "<"))]
        return _Casing(
            entries=len(words),
            upper=[word for word in words if word != word.lower()],
            lower=[word for word in words if word == word.lower() != word.upper()],
            lost=[word for word in words if drop_marks(decompose(lower(word))) != word],
        )

    @functools.cached_property
    def fingerprint(self):
        """SHA-256 of the tokens joined by LF, in hex: equal for equal vocabularies whatever the file's line ends."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()


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
