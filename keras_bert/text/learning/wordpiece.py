"""Learning a WordPiece vocabulary from a corpus: the alphabet, then the most frequent pairs of pieces, one by one.

Google never published its learner; as everywhere since, the pairs are chosen by byte-pair encoding (Sennrich et al.
2016) within words. The merging is done by the `tokenizers` library on word counts of our own: words cut by the very
rules that the tokenizer follows, each distinct one normalized once.

The library gives ids to "##x" pieces in the order of a randomly seeded hash map and breaks ties by id, so that the same
corpus gives another vocabulary each time. Handing it these pieces first, in an order of ours, makes it deterministic.
"""

from collections import Counter

import numpy as np

from keras_bert.errors import UserError
from keras_bert.text.learning.counting import count_words
from keras_bert.text.vocabulary import CLS, MASK, PAD, SEP, SPECIAL_TOKENS, UNK

GOOGLES_UNUSED = 99  # [unused0] ... [unused98] stand between [PAD] and [UNK], so that [UNK] is 100 and [MASK] 103
MAX_PIECE_BYTES = 256  # of UTF-8, "##" apart; the graph tokenizer takes no longer ones
MAX_OCCURRENCES = 100_000_000  # of words; the counts of a larger corpus are divided, so that joining ends in a minute


def default_num_unused(vocab_size):
    """Returns the number of [unusedN] slots that `learn_vocab` leaves: 99, but at most one entry in fifty.

    >>> default_num_unused(30522), default_num_unused(2000)
    (99, 40)
    """
    return min(GOOGLES_UNUSED, vocab_size // 50)


def special_layout(num_unused):
    """Returns the first entries of a vocabulary: the specials, at Google's places if there are [unusedN] enough.

    >>> special_layout(2)
    ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '[unused0]', '[unused1]']
    >>> special_layout(99).index("[UNK]"), special_layout(994).index("[MASK]")
    (100, 103)
    """
    unused = [f"[unused{number}]" for number in range(num_unused)]
    before = GOOGLES_UNUSED if num_unused >= GOOGLES_UNUSED else 0
    return [PAD, *unused[:before], UNK, CLS, SEP, MASK, *unused[before:]]


def learn_vocab(lines, *, do_lower_case=True, **options):
    """Learns a WordPiece vocabulary: the same entries for the same lines, on every run and machine.

    Args:
        lines: an iterable of str, read once.
        do_lower_case: learn from lower-cased words without accents.
        **options: see `vocab_from_counts`; `vocab_size` is required.

    Returns:
        The list of tokens.

    >>> learn_vocab(["low low lower lower newer"], vocab_size=18, num_unused=0)[5:]
    ['e', 'l', 'o', 'r', 'w', '##e', '##o', '##r', '##w', '##ow', 'low', '##er', 'lower']
    """
    return vocab_from_counts(count_words(lines, do_lower_case=do_lower_case), **options)


def vocab_from_counts(
    counts, *, vocab_size, num_unused=None, min_frequency=2, min_char_frequency=None, special_tokens=()
):
    """Learns a WordPiece vocabulary from words and their counts.

    Args:
        counts: a Counter of words, from `count_words`.
        vocab_size: the number of entries, specials and unused included.
        num_unused: the number of [unusedN] slots; None means `default_num_unused(vocab_size)`.
        min_frequency: how often a pair of pieces must stand in the corpus to become an entry.
        min_char_frequency: how often a character must stand in the corpus to be covered, at the beginning of a word
            or inside of one; None means `default_min_char_frequency`, and at least `min_frequency`. Words with a
            rarer character are not learned from. If the alphabet alone is too large for `vocab_size`, its most
            frequent part is taken.
        special_tokens: further tokens of the vocabulary, such as "[SUBJ]", which are no words of the corpus.

    Returns:
        The list of tokens, none of over 256 bytes: specials and unused, the alphabet ("a", "##a"), then what was
        joined, the most frequent first.

    Raises:
        UserError: the corpus has no words or yields too few entries, or `vocab_size` is too small.
    """
    if not counts:
        raise UserError("The corpus has no words to learn a vocabulary from; check that its files hold text.")
    specials = special_layout(default_num_unused(vocab_size) if num_unused is None else num_unused)
    specials += [token for token in dict.fromkeys(special_tokens) if token not in specials]
    room = vocab_size - len(specials)
    if room < 1:
        raise UserError(
            f"A vocabulary of {vocab_size} entries has no room beside {len(SPECIAL_TOKENS)} special and "
            f"{len(specials) - len(SPECIAL_TOKENS)} [unusedN] tokens"
            f"{' or --special_tokens' if special_tokens else ''}; ask for a larger --vocab_size."
        )
    if min_char_frequency is None:
        min_char_frequency = max(min_frequency, default_min_char_frequency(counts, room))
    heads, tails = _alphabet(counts, room, min_char_frequency)
    if len(heads) + len(tails) >= room:  # no room to join anything
        return [*specials, *heads, *tails]
    joined = _join_pairs(counts, heads, tails, room - len(heads) - len(tails), min_frequency)
    tokens = [*specials, *heads, *tails, *joined]
    if len(tokens) < vocab_size:
        learned = len(tokens) - len(specials)
        largest = _largest_size(learned + len(set(special_tokens)), num_unused)
        raise UserError(
            f"The corpus is too small for a vocabulary of {vocab_size} entries: {learned} could be learned from it; "
            f"ask for --vocab_size={largest} or less, or give more text."
        )
    return tokens


def default_min_char_frequency(counts, room):
    """Returns how often a character must stand in a corpus to be worth one of `room` entries.

    As often as the least frequent word would, were the entries whole words; so the alphabet takes the less the smaller
    the vocabulary is, and leaves room for words in Korean too. Taking a word lost as [UNK] to be as bad as ten pieces,
    that was within 1.5 % of the best of six thresholds from 2 to 64 on held-out English and Korean at 2,000 to 8,000
    entries.

    >>> default_min_char_frequency(Counter(the=900, cat=40, sat=30, down=8), 3)
    30
    """
    if len(counts) <= room:
        return 1
    frequencies = np.fromiter(counts.values(), np.int64, len(counts))
    return int(np.partition(frequencies, -room)[-room])


def _alphabet(counts, room, min_frequency):
    """Returns the pieces of one character, sorted: those that begin a word, and those that go on in one ("##a").

    What counts for "a" is how often it stands anywhere, so that it can stand alone; for "##a", how often inside a word.
    """
    frequency = Counter()
    for word, count in counts.items():
        for char in word:
            frequency[char] += count
        for char in word[1:]:
            frequency[f"##{char}"] += count
    ordered = sorted(frequency.items(), key=lambda item: (-item[1], len(item[0]), item[0]))  # "a" before "##a"
    pieces = sorted(piece for piece, count in ordered[:room] if count >= min_frequency)
    return [piece for piece in pieces if len(piece) == 1], [piece for piece in pieces if len(piece) > 1]


def _join_pairs(counts, heads, tails, number, min_frequency):
    """Returns up to `number` pieces made by joining the most frequent pair of neighbours, again and again."""
    heads_only, tails_only = set(heads), {tail[2:] for tail in tails}
    scale = 1 + counts.total() // MAX_OCCURRENCES
    words = [
        (word, counts[word] // scale)
        for word in sorted(counts)
        if len(word) > 1 and word[0] in heads_only and tails_only.issuperset(word[1:])
    ]
    too_long = 0
    while True:
        joined = _join(words, heads, tails, number + too_long, max(1, min_frequency // scale))
        fitting = [piece for piece in joined if len(piece.removeprefix("##").encode()) <= MAX_PIECE_BYTES]
        if len(fitting) >= number or len(joined) < number + too_long:
            return fitting[:number]
        too_long += 2 * (number - len(fitting))  # as good as never: only words of over 256 bytes give such pieces


def _join(words, heads, tails, number, min_frequency):
    """Returns up to `number` pieces, whatever their length, from a list of words and their counts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    model = Tokenizer(models.WordPiece())
    model.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    trainer = trainers.WordPieceTrainer(
        vocab_size=len(heads) + len(tails) + number,
        min_frequency=min_frequency,
        special_tokens=tails,  # not special at all: this is how they get their ids first (see the top of the file)
        initial_alphabet=heads,
        limit_alphabet=len(heads),
        show_progress=False,
    )
    model.train_from_iterator(repeated(words), trainer)
    ids = model.get_vocab()
    known = {*heads, *tails}
    return [token for token in sorted(ids, key=ids.get) if token not in known]


def repeated(words, limit=100_000):
    """Yields each word of a list of words and counts as often as it was counted, at most `limit` times at once."""
    for word, count in words:
        whole, rest = divmod(count, limit)
        for times in [limit] * whole + [rest] * (rest > 0):
            yield f"{word} " * times


def _largest_size(learned, num_unused):
    """Returns the largest vocab_size that `learned` entries fill."""
    if num_unused is not None:
        return learned + len(special_layout(num_unused))
    size = learned + len(special_layout(GOOGLES_UNUSED))
    while size > learned + len(special_layout(default_num_unused(size))):
        size -= 1
    return size
