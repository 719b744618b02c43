"""What families do to a text before their SentencePiece model and to the ids after it, as transformers 4.57 does.

Truth: tokenization_albert.py, _xlnet.py, _xlm_roberta.py, _camembert.py, _deberta_v2.py and _big_bird.py.
"""

import dataclasses

from keras_bert.errors import UserError
from keras_bert.text.rules import AddedToken
from keras_bert.text.spelling import ROLES

FLAGS = ("joins_spaces", "replaces_quotes", "keeps_accents", "do_lower_case", "splits_commas")


@dataclasses.dataclass(frozen=True)
class SentencePieceRules:
    """What decides a family's ids besides its model.

    Attributes:
        family: the name in `FAMILIES`.
        joins_spaces: words are joined by single spaces, at the ends there is none.
        replaces_quotes: `` and '' become ".
        keeps_accents: if not, NFKD, and combining characters are dropped.
        do_lower_case: lower-case, after that.
        splits_commas: a piece that ends in a digit and a comma is spelt anew without the comma.
        before: tokens whose ids come before all pieces.
        shift: what is added to a piece's id.
        unknown: the token whose id stands for the model's unknown piece; None for that piece's own id.
        after: tokens that get ids after all pieces where the model does not have them.
        special: ((role, token), ...) of pad, unk, cls, sep, mask.
        kept: more tokens that transformers keeps whole in a text.
        mask_takes_space: whether the mask token takes the white space before it (lstrip).
        rows: the tokens in the order of their ids, of a vocab.txt beside the model; None where the model numbers them.

    Raises:
        UserError: a flag is neither True nor False.
    """

    family: str
    joins_spaces: bool = False
    replaces_quotes: bool = False
    keeps_accents: bool = True
    do_lower_case: bool = False
    splits_commas: bool = False
    before: tuple[str, ...] = ()
    shift: int = 0
    unknown: str | None = None
    after: tuple[str, ...] = ()
    special: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()
    mask_takes_space: bool = True
    rows: tuple[str, ...] | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self):
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"{name} must be True or False. Received: {getattr(self, name)!r:.80}.")

    @property
    def cleans(self):
        """Whether a text is changed before it goes into the model."""
        return self.joins_spaces or self.replaces_quotes or not self.keeps_accents or self.do_lower_case

    def replaced(self, **changes):
        """Returns rules that differ in some attributes.

        >>> FAMILIES["albert"].replaced(do_lower_case=False).do_lower_case
        False
        """
        return dataclasses.replace(self, **changes)

    def with_special(self, special):
        """Returns rules with other special tokens, {role: token}; those of the old names are no longer kept whole."""
        names = {} if self.before else {old: special[role] for role, old in self.special if role in special}
        return dataclasses.replace(
            self,
            special=tuple((role, special.get(role, old)) for role, old in self.special),
            after=tuple(dict.fromkeys(names.get(token, token) for token in self.after)),
        )

    def special_tokens(self):
        """Returns {role: AddedToken}, with the flags of transformers' own class."""
        return {role: AddedToken(each, lstrip=role == "mask" and self.mask_takes_space) for role, each in self.special}

    def added_tokens(self):
        """Returns the AddedTokens that transformers' own class keeps whole in a text."""
        special = {token.content: token for token in self.special_tokens().values()}
        return (*special.values(), *(AddedToken(each) for each in self.kept if each not in special))


def _special(pad, unk, cls, sep, mask):
    return tuple(zip(ROLES, (pad, unk, cls, sep, mask), strict=True))


_BERT = _special("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CLEANED = {"joins_spaces": True, "replaces_quotes": True, "keeps_accents": False, "splits_commas": True}
_ROBERTA = _special("<pad>", "<unk>", "<s>", "</s>", "<mask>")
_XLNET = _special("<pad>", "<unk>", "<cls>", "<sep>", "<mask>")
# What XLNet's class adds to a model that lacks it, in its order; its own models have all but <mask>'s neighbours.
_XLNET_ADDED = ("<s>", "</s>", "<unk>", "<sep>", "<pad>", "<cls>", "<mask>", "<eop>", "<eod>")
_CAMEMBERT = ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED")

FAMILIES = {
    rules.family: rules
    for rules in (
        SentencePieceRules(
            "albert", **_CLEANED, do_lower_case=True, special=_special("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
        ),
        SentencePieceRules(
            "big_bird", special=_special("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"), kept=("<s>", "</s>")
        ),
        SentencePieceRules(
            "camembert",
            before=_CAMEMBERT,
            shift=4,
            unknown="<unk>",
            after=("<mask>",),
            special=_ROBERTA,
            kept=("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"),
        ),
        SentencePieceRules("deberta_v2", after=("[MASK]",), special=_BERT, mask_takes_space=False),
        SentencePieceRules("kobert", **_CLEANED, special=_BERT),
        SentencePieceRules(
            "xlm_roberta",
            before=("<s>", "<pad>", "</s>", "<unk>"),
            shift=1,
            unknown="<unk>",
            after=("<mask>",),
            special=_ROBERTA,
        ),
        SentencePieceRules(
            "xlnet", **_CLEANED, after=_XLNET_ADDED, special=_XLNET, kept=("<s>", "</s>", "<eop>", "<eod>")
        ),
    )
}
