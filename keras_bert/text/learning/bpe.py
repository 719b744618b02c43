"""Learning a byte-level BPE from a corpus (Sennrich et al. 2016; Radford et al. 2019): the most frequent pairs, joined.

    text -> GPT-2's words, counted -> the letters of their bytes -> merges, by the `tokenizers` library -> a Tokenizer

The words are cut by the very pattern that the tokenizer follows. The library breaks ties between pairs by their ids,
and here the ids depend on nothing but the counts: the 256 letters come first, in an order of their own.
"""

import functools
import json
from collections import Counter
from dataclasses import dataclass

from keras_bert.errors import UserError
from keras_bert.text.added import KeptTokens
from keras_bert.text.bpe.byte_pairs import ALPHABET, BytePairs
from keras_bert.text.bpe.engine import BRACKETED, SPECIAL, BytePairEngine, nfc, nfc_with_places
from keras_bert.text.engine import as_it_is, with_places
from keras_bert.text.layout import BERT, ROBERTA, Layout
from keras_bert.text.learning.counting import MAX_WORDS, count_distinct, without_kept
from keras_bert.text.learning.wordpiece import MAX_OCCURRENCES, repeated
from keras_bert.text.rules import AddedToken, as_added_tokens
from keras_bert.text.spelling import ROLES
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary

MAX_WORD_LETTERS = 1000  # of bytes; longer words are nothing to learn from


@dataclass(frozen=True)
class BytePairFamily:
    """What a family's byte-level BPE has besides its merges.

    Attributes:
        special: {role: AddedToken}.
        first: the roles whose tokens come before all others, in their order; the other roles' come last.
        layout: the Layout of its sequences.
        normalizer: None or "NFC".
    """

    special: dict[str, AddedToken]
    first: tuple[str, ...]
    layout: Layout
    normalizer: str | None = None


_ROBERTA = BytePairFamily(SPECIAL, ("cls", "pad", "sep", "unk"), ROBERTA)
_TAKES_SPACE = BRACKETED | {"mask": AddedToken("[MASK]", lstrip=True)}
FAMILIES = {
    "roberta": _ROBERTA,
    "longformer": _ROBERTA,
    "deberta": BytePairFamily(BRACKETED, ("pad", "cls", "sep", "unk"), BERT),
    "modernbert": BytePairFamily(_TAKES_SPACE, (), BERT.without_segments(), "NFC"),
}


def count_byte_words(texts, *, family="roberta", special_tokens=(), max_words=MAX_WORDS, mapper=map):
    """Counts GPT-2's words of a corpus, line by line, in the letters of their bytes.

    Args:
        texts: an iterable of str, of a line or of many, read once.
        family: a name in `FAMILIES`.
        special_tokens: tokens to keep whole, which are not counted; nor are the family's own.
        max_words, mapper: see `count_words`.

    Returns:
        A Counter of str. Words over 1,000 bytes are left out.

    >>> sorted(count_byte_words(["the café, the cafe's"]).items())
    [("'s", 1), (',', 1), ('the', 1), ('Ġcafe', 1), ('ĠcafÃ©', 1), ('Ġthe', 1)]
    """
    normalizer = FAMILIES[family].normalizer
    kept = as_added_tokens([*FAMILIES[family].special.values(), *special_tokens])
    count = functools.partial(_count_chunks, kept, normalizer)
    return count_distinct(texts, count, _add_words, max_words=max_words, mapper=mapper)


def byte_pairs_from_counts(counts, *, vocab_size, family="roberta", min_frequency=2, special_tokens=()):
    """Learns a byte-level BPE from words and their counts: the same for the same counts, on every run and machine.

    Args:
        counts: a Counter of words, from `count_byte_words`.
        vocab_size: the number of tokens, special ones and `special_tokens` included.
        family: a name in `FAMILIES`, whose special tokens, layout and normalization the tokenizer gets.
        min_frequency: how often a pair must occur in the corpus to be joined.
        special_tokens: tokens that are kept whole, such as "[SUBJ]"; they get the last ids.

    Returns:
        A Tokenizer.

    Raises:
        UserError: the corpus has no words or yields too few tokens, or `vocab_size` is too small.

    >>> counts = count_byte_words(["low low lower lower newer"])
    >>> byte_pairs_from_counts(counts, vocab_size=266).tokenize("lower low")
    ['low', 'er', 'Ġlow']
    """
    if not counts:
        raise UserError("The corpus has no words to learn a vocabulary from; check that its files hold text.")
    row = FAMILIES[family]
    first = [row.special[role].content for role in row.first]
    last = [row.special[role].content for role in ROLES if role not in row.first]
    more = [token for token in as_added_tokens(special_tokens) if token.content not in {*first, *last, *ALPHABET}]
    fixed = len(first) + len(last) + len(more)
    number = vocab_size - fixed - len(ALPHABET)
    if number < 1:
        raise UserError(
            f"A vocabulary of {vocab_size} entries has no room beside the {len(ALPHABET)} bytes and {fixed} special "
            f"tokens; ask for a --vocab_size of more than {len(ALPHABET) + fixed}."
        )
    learned, merges = _join(counts, number, min_frequency)
    if len(learned) < len(ALPHABET) + number:
        raise UserError(
            f"The corpus is too small for a vocabulary of {vocab_size} entries: {len(learned) - len(ALPHABET)} pairs "
            f"could be joined; ask for --vocab_size={len(learned) + fixed} or less, or give more text."
        )
    rows = dict.fromkeys([*first, *learned, *last, *(token.content for token in more)])
    model = BytePairs(rows, merges, normalizer=row.normalizer)
    engine = BytePairEngine(model, [row.special[role].content for role in ROLES])
    vocabulary = Vocabulary(model.tokens, spelling=engine.spelling).with_layout(row.layout)
    return Tokenizer.of_engine(engine, vocabulary.with_added([*row.special.values(), *more]))


def _count_chunks(kept, normalizer, text):
    """Counts what stands between single spaces, each with the space before it; GPT-2's pattern cuts nowhere else."""
    counts, after_space = Counter(), Counter()
    splitter = _kept(kept, normalizer)
    for line in text.split("\n"):
        for part in without_kept(line, splitter):
            part = nfc(part) if normalizer else part
            spaced = part.split()
            if " ".join(spaced) == part:
                counts.update(spaced[:1])
                after_space.update(spaced[1:])
            else:  # the words of other white space depend on what is around it
                counts.update(part[start:end] for _, (start, end) in _words(part))
    for chunk, count in after_space.items():
        counts[f" {chunk}"] += count
    return counts


@functools.lru_cache(maxsize=1)
def _kept(tokens, normalizer):
    return KeptTokens(tokens, *((nfc, nfc_with_places) if normalizer else (as_it_is, with_places)))


def _add_words(counts, raw):
    for chunk, count in raw.items():
        for word, _ in _words(chunk):
            if len(word) <= MAX_WORD_LETTERS:
                counts[word] += count


def _words(text):
    """Returns GPT-2's words of a text, in the letters of their bytes, and (start, end) of each."""
    return _splitter().pre_tokenize_str(text)


@functools.cache
def _splitter():
    from tokenizers import pre_tokenizers

    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def _join(counts, number, min_frequency):
    """Returns the 256 letters with up to `number` tokens made of pairs, in the order of their ids, and the merges."""
    from tokenizers import Tokenizer as Library
    from tokenizers import models, pre_tokenizers, trainers

    scale = 1 + counts.total() // MAX_OCCURRENCES
    words = [(word, counts[word] // scale) for word in sorted(counts) if len(word) > 1]
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")  # which is no letter of a byte
    trainer = trainers.BpeTrainer(
        vocab_size=len(ALPHABET) + number,
        min_frequency=max(1, min_frequency // scale),
        initial_alphabet=list(ALPHABET),
        show_progress=False,
    )
    library.train_from_iterator(repeated(words), trainer)
    model = json.loads(library.to_str())["model"]
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    return sorted(model["vocab"], key=model["vocab"].get), merges
