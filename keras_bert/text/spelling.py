"""How each kind of tokenizer writes its tokens: which are special, and what shows where a word begins.

WORDPIECE       [CLS] un ##aff ##able [SEP]      what goes on inside a word is marked
BYTE_LEVEL      <s> un aff able Ġword </s>       what begins a word after a space is marked
SENTENCE_PIECE  <s> ▁un aff able ▁word </s>      likewise
"""

import dataclasses
import re

ROLES = ("pad", "unk", "cls", "sep", "mask")
PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ANGLED = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
_UNUSED = re.compile(r"[\[<]unused\d+[\]>]|madeupword\d{4}")


@dataclasses.dataclass(frozen=True)
class Spelling:
    """The marks of a kind of tokens.

    Attributes:
        special: the tokens of the roles in ROLES: padding, unknown, what begins and what ends a sequence, masked.
        inside: how a token begins that goes on inside a word; None where those that begin a word are marked.
        start: how a token begins that begins a word, where `inside` is None.

    >>> [WORDPIECE.continues(token) for token in ("un", "##able", "[CLS]")]
    [False, True, False]
    >>> [SENTENCE_PIECE.continues(token) for token in ("▁un", "able", "</s>")]
    [False, True, False]
    """

    special: tuple[str, ...] = SPECIAL_TOKENS
    inside: str | None = "##"
    start: str = ""

    def continues(self, token):
        """Says whether a token goes on inside a word."""
        if self.inside is not None:
            return token.startswith(self.inside)
        return not token.startswith(self.start) and token not in self.special

    def body(self, token):
        """Returns a token without its mark.

        >>> WORDPIECE.body("##able"), SENTENCE_PIECE.body("▁un")
        ('able', 'un')
        """
        return token.removeprefix(self.start if self.inside is None else self.inside)


WORDPIECE = Spelling()
BYTE_LEVEL = Spelling(ANGLED, None, "Ġ")
SENTENCE_PIECE = Spelling(ANGLED, None, "▁")


def is_unused(token):
    """Says whether a token is a free slot of a vocabulary: [unused12], <unused12>, or fairseq's madeupword0001."""
    return _UNUSED.fullmatch(token) is not None
