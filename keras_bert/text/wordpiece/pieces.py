"""One word to WordPieces: greedy longest match first (WordpieceTokenizer in google-research/bert's tokenization.py)."""

MAX_CHARS_PER_WORD = 200  # Google's default; longer words become the unknown token


class WordPiece:
    """Splits a word into the longest pieces that a vocabulary knows, from the left.

    Args:
        vocabulary: a dict of the tokens and what stands for each in the result: tuples, or bytes, which are
            put one after the other. Pieces inside a word begin with "##".
        unknown: the token of a word that cannot be spelled, or is longer than `max_chars` characters.

    >>> wordpiece = WordPiece({"[UNK]": (0,), "un": (1,), "##aff": (2,), "##able": (3,), "##a": (4,)}, unknown="[UNK]")
    >>> wordpiece("unaffable"), wordpiece("una"), wordpiece("unknown")
    ((1, 2, 3), (1, 4), (0,))
    """

    def __init__(self, vocabulary, *, unknown, max_chars=MAX_CHARS_PER_WORD):
        self.max_chars = max_chars
        self._unknown = vocabulary[unknown]
        self._longest = max(map(len, vocabulary))
        self._find_first = dict(vocabulary).get
        self._find_inside = {token[2:]: value for token, value in vocabulary.items() if token.startswith("##")}.get

    def __call__(self, word):
        """Returns what stands for the pieces of one basic token, which has no white space in it."""
        length, longest, unknown = len(word), self._longest, self._unknown
        if length > self.max_chars:
            return unknown
        spelled, start, find = unknown[:0], 0, self._find_first
        while start < length:
            end = start + longest
            if end > length:  # quicker than min(): half of the work on a new corpus is done here
                end = length
            value = find(word[start:end])
            while value is None:
                end -= 1
                if end == start:
                    return unknown
                value = find(word[start:end])
            spelled += value
            start, find = end, self._find_inside
        return spelled
