"""What every engine of a Tokenizer does; wordpieces.py, byte_pairs.py and sentence_pieces.py are the three kinds."""


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
    """

    separator = ""
    word_start = ""
    normalizers = (as_it_is, with_places)
    lower_cases = False
    described = "cased"

    def ids(self, text):
        """Returns the ids of a str, a list of int."""
        raise NotImplementedError

    def ids_with_offsets(self, text):
        """Returns the ids of a str, and (start, end) of each in its characters, white space apart."""
        raise NotImplementedError

    def bulk(self, texts):
        """Returns the ids of many str, uint16 or int32 (N,), and how many each has, int64."""
        raise NotImplementedError

    def text(self, ids):
        """Returns the text of ids of no added tokens."""
        raise NotImplementedError

    def save(self, folder, vocabulary):
        """Writes the files of the tokenizer into a folder, in place of another tokenizer's.

        Args:
            folder: path of a directory.
            vocabulary: the Vocabulary with all that was added.
        """
        raise NotImplementedError
