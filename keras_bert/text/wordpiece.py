"""One word to WordPieces: greedy longest match first (WordpieceTokenizer in google-research/bert's tokenization.py)."""

MAX_CHARS_PER_WORD = 200  # Google's default; longer words become the unknown token


def wordpieces(word, vocabulary, *, unknown="[UNK]", max_chars=MAX_CHARS_PER_WORD):
    """Splits a word into the longest pieces that the vocabulary knows, from the left.

    Args:
        word: one basic token, no white space in it.
        vocabulary: anything with `in` over its tokens; pieces inside a word begin with "##".
        unknown: what a word becomes that cannot be spelled, or is longer than `max_chars` characters.

    Returns:
        A list of tokens.

    >>> wordpieces("unaffable", {"un", "##aff", "##able", "##a"})
    ['un', '##aff', '##able']
    >>> wordpieces("unknown", {"un", "##kn"})
    ['[UNK]']
    """
    if len(word) > max_chars:
        return [unknown]
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            piece = prefix + word[start:end]
            if piece in vocabulary:
                pieces.append(piece)
                start = end
                break
        else:
            return [unknown]
    return pieces
