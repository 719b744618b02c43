"""Extending a vocabulary with the words of a domain: the entries that save the most pieces, one after the other.

Each word of the corpus is spelled with the vocabulary as it is. What can be added is any stretch of its pieces, from
the beginning of the word or inside of it:

    my ##oca ##rdial   ->   myoca, ##ocardial, myocardial

An entry saves (pieces of the stretch - 1) x occurrences. The one that saves the most is taken, the words that hold it
are spelled anew, and so on. That is byte-pair encoding which starts from the vocabulary's own pieces and may join
several of them at once: an entry that is only a step on the way to a longer one takes no slot.
"""

import heapq
from collections import Counter

from keras_bert.errors import UserError
from keras_bert.text.learning.wordpiece import MAX_PIECE_BYTES
from keras_bert.text.vocabulary import UNK, Vocabulary
from keras_bert.text.wordpiece.pieces import WordPiece

MAX_PIECES = 8  # of a stretch
MAX_STRETCHES = 3_000_000  # to look at, of the most frequent words: 500,000 words or so; what is rarer saves little
MISSING = 10  # pieces that a character counts for which the vocabulary lacks: its word is lost as [UNK]
CANDIDATES_PER_SLOT = 20  # most are parts of others, and worth nothing once these are taken


def extend_vocab(vocabulary, counts, *, vocab_size=None, min_frequency=2, special_tokens=()):
    """Adds the entries to a vocabulary that save the most pieces on a corpus; every old entry keeps its id.

    The [unusedN] slots are filled first, in their order; then entries are appended. The same vocabulary and counts
    give the same result on every run and machine.

    Args:
        vocabulary: the Vocabulary to extend.
        counts: a Counter of words, from `count_words` with the casing of the vocabulary.
        vocab_size: the number of entries that the result shall have; None fills [unusedN] slots alone, as many as
            there is something for.
        min_frequency: how often a new entry must stand in the corpus.
        special_tokens: entries to add before all others, such as "[SUBJ]", which are no words of the corpus.

    Returns:
        A Vocabulary.

    Raises:
        UserError: `vocab_size` is less than the vocabulary has, or more than the corpus yields.

    >>> old = Vocabulary("[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] my heart ##oca ##rdial ##itis".split())
    >>> extend_vocab(old, Counter(myocardial=3, myocarditis=1, heart=9)).tokens[:3]
    ('[PAD]', 'myocardial', '[UNK]')
    """
    size = len(vocabulary) if vocab_size is None else vocab_size
    if size < len(vocabulary):
        raise UserError(
            f"The vocabulary to extend has {len(vocabulary)} entries already; ask for a --vocab_size of at least "
            f"that many. Received: {vocab_size}."
        )
    slots = [*vocabulary.unused_ids, *range(len(vocabulary), size)]
    special = [token for token in dict.fromkeys(special_tokens) if token not in vocabulary]
    if len(special) > len(slots):
        raise UserError(
            f"The vocabulary has {len(slots)} entries for {len(special)} special tokens; ask for a --vocab_size of at "
            f"least {size + len(special) - len(slots)}."
        )
    new = _Choice(vocabulary, counts, len(slots), min_frequency).take(len(slots) - len(special))
    new = [*special, *new]
    tokens = [*vocabulary.tokens, *[None] * (size - len(vocabulary))]
    for slot, token in zip(slots, new, strict=False):
        tokens[slot] = token
    if None in tokens:
        raise UserError(
            f"The corpus is too small to extend the vocabulary to {size} entries: {len(new)} could be learned from it, "
            f"{len(vocabulary.unused_ids)} of them for [unusedN] slots; ask for --vocab_size={tokens.index(None)} or "
            "less, or give more text."
        )
    old_rows = zip(vocabulary.rows, vocabulary.tokens, strict=False)
    rows = [row if tokens[index] == old else tokens[index] for index, (row, old) in enumerate(old_rows)]
    return Vocabulary(tokens, rows=[*rows, *tokens[len(rows) :]])


class _Choice:
    """The stretches that can be added, and what each saves with those that were taken before.

    A word is a list of (length, cost) of its pieces; the cost of a piece is 1, or MISSING for a character that the
    vocabulary lacks.
    """

    def __init__(self, vocabulary, counts, slots, min_frequency):
        self.min_frequency = min_frequency
        self.words, saved, seen = [], Counter(), 0
        spell = _speller(vocabulary, counts)
        for text, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            word = (text, count, list(spell(text)))
            stretches = list(_stretches(word))
            if stretches:
                self.words.append(word)
            for piece, saving in stretches:
                saved[piece] += saving
            seen += len(stretches)
            if seen > MAX_STRETCHES:
                break
        best = heapq.nsmallest(CANDIDATES_PER_SLOT * slots, saved, key=lambda piece: (-saved[piece], piece))
        self.saved = {piece: saved[piece] for piece in best}
        self.frequency = dict.fromkeys(best, 0)
        self.holders = {piece: [] for piece in best}
        for index, word in enumerate(self.words):
            for piece, _ in _stretches(word):
                if piece in self.saved:
                    self.frequency[piece] += word[1]
                    self.holders[piece].append(index)

    def take(self, number):
        """Returns up to `number` new entries, the one that saves the most first."""
        heap, taken = [(-saving, piece) for piece, saving in self.saved.items()], []
        heapq.heapify(heap)
        while heap and len(taken) < number:
            saving, piece = heapq.heappop(heap)
            if self.frequency[piece] < self.min_frequency:
                continue
            if self.saved[piece] < -saving:  # others were taken since; it can only have become less
                heapq.heappush(heap, (-self.saved[piece], piece))
                continue
            taken.append(piece)
            for index in self.holders[piece]:
                self._spell_anew(self.words[index], piece)
        return taken

    def _spell_anew(self, word, piece):
        """Makes one piece of a stretch wherever it stands in a word, and corrects what others still save there."""
        self._count(word, -1)
        text, _, pieces = word
        inside, body = piece.startswith("##"), piece.removeprefix("##")
        first, start = 0, 0
        while first < len(pieces):
            last, end = first, start
            while last < len(pieces) and end < start + len(body):
                end += pieces[last][0]
                last += 1
            if text[start:end] == body and (first > 0) == inside:
                pieces[first:last] = [(len(body), 1)]
            start += pieces[first][0]
            first += 1
        self._count(word, 1)

    def _count(self, word, sign):
        for piece, saving in _stretches(word):
            if piece in self.saved:
                self.saved[piece] += sign * saving
                self.frequency[piece] += sign * word[1]


def _speller(vocabulary, words):
    """Returns a function from a word to the (length, cost) of its pieces, which knows every character of the words."""
    characters = set()
    for word in words:
        characters.add(word[0])
        characters.update(f"##{char}" for char in word[1:])
    pieces = {token: ((len(token.removeprefix("##")), 1),) for token in vocabulary.tokens}
    pieces |= {char: ((1, MISSING),) for char in characters if char not in vocabulary}
    return WordPiece(pieces, unknown=UNK)


def _stretches(word):
    """Yields the stretches of a word that could be an entry, and what each would save over all its occurrences.

    Of those that overlap with one of their own kind ("##aba" in "babababa") the first counts.
    """
    text, count, pieces = word
    start, free_from = 0, {}
    for first in range(len(pieces)):
        end, cost = start, 0
        for length, each in pieces[first : first + MAX_PIECES]:
            end += length
            cost += each
            body = text[start:end]
            if cost > 1 and (len(body) <= MAX_PIECE_BYTES // 4 or len(body.encode()) <= MAX_PIECE_BYTES):
                piece = f"##{body}" if first else body
                if start >= free_from.get(piece, 0):
                    free_from[piece] = end
                    yield piece, (cost - 1) * count
        start += pieces[first][0]
