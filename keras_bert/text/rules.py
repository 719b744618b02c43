"""The rules of a WordPiece tokenizer, as one value: what decides its ids besides the vocabulary."""

import dataclasses

import numpy as np

from keras_bert.errors import UserError
from keras_bert.text.given import received


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that is kept whole where it occurs in a text, as transformers' `AddedToken`.

    Attributes:
        content: the token, such as "[SUBJ]".
        special: whether it is a marker and no word: `decode` leaves it out as it does [SEP].
        single_word: keep it only where no letter, digit or underscore is next to it.
        lstrip, rstrip: let it cover the white space before or after it, which shows in its offsets alone.
        normalized: look for it in the normalized text, so that "[subj]" is found where text is lower-cased;
            None means only where it is not special.

    >>> AddedToken("[SUBJ]").normalized, AddedToken("covid", special=False).normalized
    (False, True)

    Raises:
        UserError: the content is not a string or has no characters, or a flag is neither True nor False.
    """

    content: str
    special: bool = True
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None

    def __post_init__(self):
        if not isinstance(self.content, str) or not self.content:
            raise UserError(f"An added token must be a string such as '[SUBJ]'. Received: {self.content!r:.80}.")
        if any("\ud800" <= char <= "\udfff" for char in self.content):
            raise UserError(f"An added token must be text that UTF-8 has. Received: {self.content!r:.80}.")
        if self.normalized is None:
            object.__setattr__(self, "normalized", not self.special)
        for name in ("special", "single_word", "lstrip", "rstrip", "normalized"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise UserError(
                    f"{name} of the added token {self.content!r} must be True or False. Received: {value!r:.80}."
                )

    def to_dict(self):
        """Returns its fields by name, as tokenizer_config.json has them."""
        return dataclasses.asdict(self)


def as_added_tokens(tokens):
    """Returns tokens (str, which are special, dicts of fields, or AddedToken; or one of them) as AddedTokens.

    Of several with one content the first counts.

    >>> [token.content for token in as_added_tokens(["[A]", AddedToken("[B]"), "[A]"])]
    ['[A]', '[B]']
    """
    made = [token if isinstance(token, AddedToken) else _made(token) for token in as_tokens(tokens)]
    first = {token.content: token for token in reversed(made)}
    return tuple(first[content] for content in dict.fromkeys(token.content for token in made))


def as_tokens(tokens):
    """Returns one token or several as a tuple, or raises a UserError if they are something else.

    >>> as_tokens("[A]"), as_tokens(["[A]", {"content": "[B]"}])
    (('[A]',), ('[A]', {'content': '[B]'}))
    """
    if isinstance(tokens, (str, AddedToken, dict)):
        return (tokens,)
    if isinstance(tokens, (bytes, set, frozenset)) or not hasattr(tokens, "__iter__"):  # a set has no order
        raise UserError(f"Tokens must be given as a list, such as ['[SUBJ]']. Received: {received(tokens)}.")
    return tuple(tokens)


def _made(token):
    """Makes an AddedToken of a str, or of a dict of its fields."""
    fields = token if isinstance(token, dict) else {"content": token}
    unknown = fields.keys() - {field.name for field in dataclasses.fields(AddedToken)}
    if unknown or "content" not in fields:
        raise UserError(f"An added token has a content, and flags such as lstrip. Received: {received(token)}.")
    return AddedToken(**fields)


@dataclasses.dataclass(frozen=True)
class TokenizerRules:
    """What decides a tokenizer's ids besides its vocabulary.

    Attributes:
        do_lower_case: lower-case the text, and drop its accents unless `strip_accents` says otherwise.
        strip_accents: drop accents; None follows `do_lower_case`, as in Google's code.
        tokenize_chinese_chars: make each CJK ideograph a word of its own, as in Google's code.
        added_tokens: AddedTokens to keep whole, or their contents.

    >>> TokenizerRules(do_lower_case=False, added_tokens=["[SUBJ]"]).described
    'cased, keeps [SUBJ]'

    Raises:
        UserError: a rule is neither True nor False.
    """

    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    added_tokens: tuple[AddedToken, ...] = ()

    def __post_init__(self):
        for name in FLAGS:
            value = getattr(self, name)
            if not isinstance(value, (bool, np.bool_)) and not (value is None and name == "strip_accents"):
                raise UserError(f"{name} must be True or False. Received: {value!r:.80}.")
            object.__setattr__(self, name, value if value is None else bool(value))
        object.__setattr__(self, "added_tokens", as_added_tokens(self.added_tokens))

    def replace(self, **changes):
        """Returns rules with some of them changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self):
        """Returns the rules by name, for JSON."""
        return {name: getattr(self, name) for name in FLAGS} | {
            "added_tokens": [token.to_dict() for token in self.added_tokens]
        }

    @property
    def drops_accents(self):
        """Whether combining marks are dropped, after NFD."""
        return self.do_lower_case if self.strip_accents is None else self.strip_accents

    @property
    def described(self):
        """The rules in words: what differs from Google's defaults, and the casing."""
        words = ["lower-cased" if self.do_lower_case else "cased"]
        if self.drops_accents != self.do_lower_case:
            words.append("without accents" if self.drops_accents else "with accents")
        words += [] if self.tokenize_chinese_chars else ["ideographs stay in their words"]
        if self.added_tokens:
            words.append(f"keeps {shortened([token.content for token in self.added_tokens])}")
        return ", ".join(words)


def rules_for(vocabulary, *stated):
    """Returns the TokenizerRules that go with a vocabulary, its added tokens included.

    The one place that says which source of a rule counts. Where none says the casing, a vocabulary without any
    upper-case letter is a lower-cased one; of the other rules the defaults are Google's.

    Args:
        vocabulary: a Vocabulary.
        *stated: dicts {rule: value}, the one that counts most first: what the user asked for, what the manifest of
            records says, what the files of a checkpoint say.
    """
    rules = {"do_lower_case": not vocabulary.looks_cased}
    for each in reversed(stated):
        rules |= {name: each[name] for name in FLAGS if name in each}
    return TokenizerRules(**rules, added_tokens=vocabulary.added)


FLAGS = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")


def shortened(tokens, most=5):
    """Writes tokens into a sentence, the first few of many.

    >>> shortened(["[A]", "[B]", "[C]"], most=2)
    '[A] [B] and 1 more'
    """
    return " ".join(tokens[:most]) + (f" and {len(tokens) - most} more" if len(tokens) > most else "")
