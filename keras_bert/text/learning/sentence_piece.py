"""Learning a SentencePiece Unigram model from a corpus (Kudo 2018), by sentencepiece, with a family's special pieces.

    text -> words between white space, counted -> the family's cleaning -> sentencepiece's trainer -> a Tokenizer

The trainer itself cuts sentences into such words and counts them, so that counts give it all that it learns from. It
sums in floating point, thread by thread: with a fixed number of threads the model is the same on any machine.
"""

import functools
import io
import re
from collections import Counter
from dataclasses import dataclass

from keras_bert.errors import UserError
from keras_bert.text.added import KeptTokens
from keras_bert.text.engine import as_it_is, with_places
from keras_bert.text.layout import BERT
from keras_bert.text.learning.counting import count_distinct, without_kept
from keras_bert.text.rules import as_added_tokens
from keras_bert.text.sentence_piece.cleaning import clean
from keras_bert.text.sentence_piece.engine import LAYOUTS, SentencePieceEngine
from keras_bert.text.sentence_piece.pieces import SentencePiece
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary

CHARACTER_COVERAGE = 0.9995  # sentencepiece's default
MAX_WORDS = 4_000_000  # distinct ones; the trainer takes ten times the memory of their counts
MAX_WORD_CHARS = 1000  # longer words are cut: the trainer leaves out what has over 4,192 bytes
THREADS = 16  # sentencepiece's default
_TOO_MANY = re.compile(r"Vocabulary size too high .*<= (\d+)")
_TOO_FEW = re.compile(r"(\d+) vs (\d+)\. Increase vocab_size")


@dataclass(frozen=True)
class UnigramPieces:
    """The special pieces of a family's models.

    Attributes:
        ids: {"pad", "unk", "bos" or "eos": the piece of this id}, as the trainer names them; others are left out.
        control: pieces that get the ids after these.
    """

    ids: dict[str, tuple[int, str]]
    control: tuple[str, ...] = ()

    def flags(self):
        """Returns the trainer's arguments."""
        flags = {"control_symbols": list(self.control)}
        for name in ("pad", "unk", "bos", "eos"):
            index, piece = self.ids.get(name, (-1, None))
            flags |= {f"{name}_id": index} | ({f"{name}_piece": piece} if piece else {})
        return flags


_MASKED = ("[CLS]", "[SEP]", "[MASK]")
_PLAIN = UnigramPieces({"unk": (0, "<unk>"), "bos": (1, "<s>"), "eos": (2, "</s>")})
FAMILIES = {
    "albert": UnigramPieces({"pad": (0, "<pad>"), "unk": (1, "<unk>")}, _MASKED),
    "big_bird": UnigramPieces(
        {"pad": (0, "<pad>"), "eos": (1, "</s>"), "bos": (2, "<s>"), "unk": (3, "<unk>")}, _MASKED
    ),
    "camembert": _PLAIN,
    "deberta_v2": UnigramPieces({"pad": (0, "[PAD]"), "bos": (1, "[CLS]"), "eos": (2, "[SEP]"), "unk": (3, "[UNK]")}),
    "kobert": UnigramPieces({"unk": (0, "[UNK]"), "pad": (1, "[PAD]")}, _MASKED),
    "xlm_roberta": _PLAIN,
}


def count_spaced_words(texts, rules, *, special_tokens=(), max_words=MAX_WORDS, mapper=map):
    """Counts the words between white space of a corpus, cleaned as a family cleans its texts.

    Args:
        texts: an iterable of str, of a line or of many, read once.
        rules: the family's SentencePieceRules.
        special_tokens: tokens to keep whole, which are not counted; nor are the family's own.
        max_words, mapper: see `count_words`.

    Returns:
        A Counter of str.

    >>> from keras_bert.text.sentence_piece.rules import FAMILIES as RULES
    >>> sorted(count_spaced_words(["Un café, un thé."], RULES["albert"]).items())
    [('cafe,', 1), ('the.', 1), ('un', 2)]
    """
    kept = as_added_tokens([*rules.added_tokens(), *special_tokens])
    count, add = functools.partial(_count_raw, kept), functools.partial(_add_cleaned, rules)
    return count_distinct(texts, count, add, max_words=max_words, mapper=mapper)


def sentence_pieces_from_counts(counts, rules, *, vocab_size, character_coverage=CHARACTER_COVERAGE, special_tokens=()):
    """Learns a Unigram model from words and their counts: the same for the same counts, on every run and machine.

    Args:
        counts: a Counter of words, from `count_spaced_words`.
        rules: the SentencePieceRules of a family in `FAMILIES`, which the tokenizer gets.
        vocab_size: the number of tokens, special ones and `special_tokens` included.
        character_coverage: the share of the text's characters that the pieces must cover.
        special_tokens: tokens that are kept whole, such as "[SUBJ]"; they get the last ids.

    Returns:
        A Tokenizer.

    Raises:
        UserError: the corpus has no words or yields too few pieces, or `vocab_size` is too small for its characters.
    """
    if not counts:
        raise UserError("The corpus has no words to learn a vocabulary from; check that its files hold text.")
    own = {token.content for token in rules.added_tokens()}
    more = [token for token in as_added_tokens(special_tokens) if token.content not in own]
    outside = rules.shift + len(rules.after) + len(more)  # tokens that are no pieces of the model
    data = _train(counts, FAMILIES[rules.family], vocab_size, outside, character_coverage)
    engine = SentencePieceEngine(SentencePiece(data, rules, source="The learned SentencePiece model"))
    vocabulary = Vocabulary(engine.model.tokens, spelling=engine.spelling).with_added([*engine.model.added, *more])
    return Tokenizer.of_engine(engine, vocabulary.with_layout(LAYOUTS.get(rules.family, BERT)))


def _train(counts, family, vocab_size, outside, character_coverage):
    """Returns the bytes of a model of `vocab_size - outside` pieces."""
    import sentencepiece

    special = len(family.ids) + len(family.control)
    if vocab_size - outside <= special:
        raise UserError(
            f"A vocabulary of {vocab_size} entries has no room beside {special + outside} special tokens; ask for a "
            "larger --vocab_size."
        )
    words = sorted(counts, key=lambda word: (-counts[word], word))  # equal scores follow the order of the words
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(f"{word}\t{counts[word]}" for word in words),
            input_format="tsv",
            model_writer=written,
            model_type="unigram",
            vocab_size=vocab_size - outside,
            character_coverage=character_coverage,
            num_threads=THREADS,
            minloglevel=2,
            **family.flags(),
        )
    except RuntimeError as error:
        raise _explained(str(error), vocab_size, outside) from error
    return written.getvalue()


def _explained(message, vocab_size, outside):
    """Returns the UserError that a message of the trainer's stands for."""
    if found := _TOO_MANY.search(message):
        largest = int(found[1]) + outside
        return UserError(
            f"The corpus is too small for a vocabulary of {vocab_size} entries: it yields {largest}; ask for "
            f"--vocab_size={largest} or less, or give more text."
        )
    if found := _TOO_FEW.search(message):
        least = int(found[2]) + outside
        return UserError(
            f"A vocabulary of {vocab_size} entries has no room for its {least} characters and special tokens; ask for "
            f"--vocab_size={least} or more, or lower --character_coverage."
        )
    return UserError(
        f"sentencepiece cannot learn from this corpus ({message.strip()[:200]}); check that its files hold text."
    )


def _count_raw(kept, text):
    counts = Counter()
    for part in without_kept(text, _kept(kept)):
        counts.update(part.split())
    return counts


@functools.lru_cache(maxsize=1)
def _kept(tokens):
    return KeptTokens(tokens, as_it_is, with_places)


def _add_cleaned(rules, counts, raw):
    for word, count in raw.items():
        for each in clean(word, rules).split() if rules.cleans else (word,):
            for start in range(0, len(each), MAX_WORD_CHARS):
                counts[each[start : start + MAX_WORD_CHARS]] += count
