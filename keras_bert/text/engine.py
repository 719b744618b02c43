"""What every engine of a Tokenizer does; the engine.py of wordpiece, bpe and sentence_piece are the three kinds."""


def as_it_is(text):
    """Returns a text."""
    return text


def with_places(text):
    """Returns a text and the (start, end) of each of its characters."""
    return text, [(place, place + 1) for place in range(len(text))]


class Engine:
    """Text without added tokens to ids and back. It is fixed once made, and a pickle makes it again.

    Attributes:
        kind: "wordpiece", "bpe" or "sentencepiece".
        spelling: the Spelling of its tokens.
        separator: what joins words and added tokens in a decoded text.
        word_start: what to put before a word to tokenize it as it stands inside a text.
        normalizers: the two functions by which added tokens are found in normalized text, see `KeptTokens`.
        lower_cases: whether it lower-cases text.
        described: its rules in words.
        identity: bytes that are equal for equal rules and models alone.

    Each kind has these methods:
        ids(text): the ids of a str, a list of int.
        ids_with_offsets(text): the same, and (start, end) of each in characters of the text, without white space.
        bulk(texts): the ids of many str, uint16 or int32 (N,), and how many each has, int64. WordPiece has
            its own, wordpiece/bulk.py.
        text(ids): the text of ids that are not of added tokens.
        save(folder, vocabulary): writes the tokenizer's files, those of the Vocabulary's added tokens too.
    """

    separator = ""
    word_start = ""
    normalizers = (as_it_is, with_places)
    lower_cases = False
    described = "cased"
