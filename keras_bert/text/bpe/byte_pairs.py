"""Byte-level BPE in Python (Sennrich et al. 2016 over bytes; Radford et al. 2019), by the `tokenizers` library.

    text -> NFC, if asked for -> words (GPT-2's pattern) -> bytes, each a printable letter -> merges -> ids

The ids are those of transformers' RoBERTa tokenizer between its special tokens. Added and special tokens are no matter
of this file: whoever looks for them in a text hands on what is between them.
"""

import dataclasses
import functools
import unicodedata
from bisect import bisect_right

import numpy as np

from keras_bert.errors import UserError

SPACE_MARKER = "Ġ"  # how the alphabet writes a space
NORMALIZERS = (None, "NFC")


def _byte_alphabet():
    """Returns the letter of each byte, as GPT-2's bytes_to_unicode: itself where it is printable in Latin-1."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte) if byte in printable else chr(next(others)) for byte in range(256))


ALPHABET = _byte_alphabet()
BYTES = {letter: byte for byte, letter in enumerate(ALPHABET)}
_LETTERS = str.maketrans(dict(enumerate(ALPHABET)))
NEVER_IN_UTF8 = {0xC0, 0xC1, *range(0xF5, 0x100)}


@dataclasses.dataclass(frozen=True, eq=False)
class BytePairs:
    """A byte-level BPE model: text to ids and back. A pickle or a copy is made anew of the same fields.

    Attributes:
        tokens: the tokens in the order of their ids, in GPT-2's letters ("Ġthe" is " the"). Rows that are not of the
            model, such as "<mask>", may be among them: text never gives them.
        merges: (left, right) in the order in which they are merged.
        normalizer: None, or "NFC".
        add_prefix_space: put a space before a text that does not begin with one.

    Example:
        >>> engine = BytePairs([*ALPHABET, "th", "the", "Ġthe"], [("t", "h"), ("th", "e"), ("Ġ", "the")])
        >>> engine.ids("the the")
        [257, 258]
        >>> engine.ids_with_offsets("the the")
        ([257, 258], [(0, 3), (4, 7)])
        >>> engine.text([257, 258])
        'the the'

    Raises:
        UserError: a token is empty or there twice, the letter of a byte is missing, or a merge's parts or its result
            are no tokens.
    """

    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    normalizer: str | None = dataclasses.field(default=None, kw_only=True)
    add_prefix_space: bool = dataclasses.field(default=False, kw_only=True)

    def __post_init__(self):
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "merges", tuple(map(tuple, self.merges)))
        if self.normalizer not in NORMALIZERS:
            raise UserError(f"normalizer must be None or 'NFC'. Received: {self.normalizer!r:.80}.")
        if not isinstance(self.add_prefix_space, bool):
            raise UserError(f"add_prefix_space must be True or False. Received: {self.add_prefix_space!r:.80}.")
        _check(self.tokens, self.token_ids, self.merges)

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self):
        return f"BytePairs({len(self.tokens):,} tokens, {len(self.merges):,} merges)"

    @functools.cached_property
    def token_ids(self):
        """{token: id}."""
        return {token: index for index, token in enumerate(self.tokens)}

    @functools.cached_property
    def in_model(self):
        """bool array (V,): whether a token is the letter of a byte or the result of a merge."""
        made = {*ALPHABET, *map("".join, self.merges)}
        return np.array([token in made for token in self.tokens])

    @functools.cached_property
    def is_continuation(self):
        """bool array (V,): whether a token of the model goes on inside a word, so that it does not begin with "Ġ".

        The first token of a text has no space before it either, unless `add_prefix_space` puts it there.
        """
        return self.in_model & np.array([not token.startswith(SPACE_MARKER) for token in self.tokens])

    @functools.cached_property
    def token_bytes(self):
        """The bytes that each token stands for, a tuple (V,); those of a row that is not of the model are its own."""
        return tuple(
            bytes(map(BYTES.__getitem__, token)) if is_known else token.encode()
            for token, is_known in zip(self.tokens, self.in_model.tolist(), strict=True)
        )

    @functools.cached_property
    def spaces(self):
        """How many spaces each token begins and ends with, a list of pairs (V,)."""
        bare = [token.lstrip(SPACE_MARKER) for token in self.tokens]
        return [
            (len(token) - len(rest), len(rest) - len(rest.rstrip(SPACE_MARKER)))
            for token, rest in zip(self.tokens, bare, strict=True)
        ]

    def ids(self, text):
        """Returns the ids of a text, a str, as a list of int; lone surrogates, which are not UTF-8, are dropped."""
        return self.library.encode(without_surrogates(text), add_special_tokens=False).ids

    def ids_with_offsets(self, text):
        """Returns the ids of a text and where each token is in it.

        An offset counts characters of the text as it was given, under NFC too. The spaces at either end of a token
        are no part of its place, as with RoBERTa's trim_offsets; other white space is, and a token of spaces alone has
        an empty place after them. The tokens of one character share its place.

        Args:
            text: a str.

        Returns:
            ids, a list of int, and offsets, a list of as many (start, end).
        """
        clean = without_surrogates(text)
        encoding = self.library.encode(clean, add_special_tokens=False)
        ids, offsets = encoding.ids, encoding.offsets
        if self.normalizer is not None and not unicodedata.is_normalized(self.normalizer, clean):
            offsets = _without_gaps(offsets, len(clean))
        spaces = [self.spaces[index] for index in ids]
        if self.add_prefix_space and ids and not clean.startswith(" "):
            spaces[0] = (spaces[0][0] - 1, spaces[0][1])  # the first space is not of the text
        offsets = [
            (min(start + leading, end), max(end - trailing, min(start + leading, end)))
            for (start, end), (leading, trailing) in zip(offsets, spaces, strict=True)
        ]
        if len(clean) != len(text):
            kept = [place for place, char in enumerate(text) if not _is_surrogate(char)] + [len(text)]
            offsets = [(kept[start], kept[end - 1] + 1 if end > start else kept[start]) for start, end in offsets]
        return ids, offsets

    def bulk(self, texts):
        """Returns the ids of many texts, one after the other, and how many each text has.

        Args:
            texts: a list of str.

        Returns:
            ids, uint16 (N,), or int32 with a vocabulary over 65,536, and lengths, int64 (len(texts),), whose sum is N.
        """
        return self._bulk.token_ids(texts)

    def prepared(self, text):
        """Returns a text as it is cut to words: valid, normalized, with a space before it if that is asked for."""
        text = without_surrogates(text)
        if self.normalizer is not None and not text.isascii():
            text = self.library.normalizer.normalize_str(text)
        return f" {text}" if self.add_prefix_space and text and not text.startswith(" ") else text

    def spell(self, word):
        """Returns the ids of a word given in the letters of the alphabet, whatever characters it has."""
        return [token.id for token in self.library.model.tokenize(word)]

    def spell_bytes(self, word):
        """Returns the ids of a word given as bytes."""
        return self.spell(word.decode("latin-1").translate(_LETTERS))

    def text(self, ids):
        """Joins the bytes of ids to a text; what is not UTF-8 in them becomes U+FFFD.

        Args:
            ids: a list or array of ids.
        """
        return b"".join([self.token_bytes[index] for index in ids]).decode("utf-8", "replace")

    @functools.cached_property
    def _bulk(self):
        from keras_bert.text.bpe.bulk import BulkBytePairs

        return BulkBytePairs(self)

    @functools.cached_property
    def library(self):
        import tokenizers  # on first use

        library = tokenizers.Tokenizer(tokenizers.models.BPE(self.token_ids, list(self.merges)))
        if self.normalizer == "NFC":
            library.normalizer = tokenizers.normalizers.NFC()
        library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=self.add_prefix_space)
        return library


def _check(tokens, ids, merges):
    """Raises a UserError if a model cannot be made of tokens and merges."""
    wrong = next((token for token in tokens if not isinstance(token, str) or not token), None)
    if wrong is not None:
        raise UserError(f"A token of a byte-level BPE must be a string with characters. Received: {wrong!r:.80}.")
    if len(ids) != len(tokens):
        double = next(token for index, token in enumerate(tokens) if ids[token] != index)
        raise UserError(f"The vocabulary has the token {double!r:.80} twice; each must have one id.")
    for byte, letter in enumerate(ALPHABET):
        if letter not in ids and byte not in NEVER_IN_UTF8:
            raise UserError(
                f"The vocabulary lacks {letter!r}, the letter of byte {byte}, so that some texts could not be spelled; "
                "a byte-level BPE has all 256."
            )
    for number, merge in enumerate(merges):
        if len(merge) != 2 or not all(isinstance(part, str) and part for part in merge):
            raise UserError(f"Merge {number} must be two tokens. Received: {merge!r:.80}.")
        missing = next((token for token in (*merge, "".join(merge)) if token not in ids), None)
        if missing is not None:
            raise UserError(
                f"Merge {number}, {' '.join(merge)!r:.80}, does not fit the vocabulary, which has no token "
                f"{missing!r:.80}; take both from the same model."
            )
        if not set("".join(merge)) <= BYTES.keys():
            raise UserError(
                f"Merge {number}, {' '.join(merge)!r:.80}, has characters that stand for no byte; only byte-level BPE "
                "is supported."
            )


def _without_gaps(offsets, length):
    """Lets tokens end where the next begins: to the library, "e" and a mark that are composed to "é" are at the "e"."""
    starts = [*sorted({start for start, _ in offsets}), length]
    return [(start, max(end, starts[bisect_right(starts[:-1], start)])) for start, end in offsets]


def _is_surrogate(char):
    return "\ud800" <= char <= "\udfff"


def without_surrogates(text):
    """Drops lone surrogates, which UTF-8 does not have."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="ignore").decode()
    return text
