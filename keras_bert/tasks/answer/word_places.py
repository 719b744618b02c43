"""Where the tokens of words stand in them."""


class WordPlaces(dict):
    """{word: [(start, end) of each of its tokens]}, found when first asked for.

    Args:
        tokenizer: a Tokenizer.

    Example:
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> WordPlaces(Tokenizer(Vocabulary([*SPECIAL_TOKENS, "ha", "-"])))["Ha-ha"]
        [(0, 2), (2, 3), (3, 5)]
    """

    def __init__(self, tokenizer):
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, word):
        self[word] = places = self._tokenizer.word_ids_with_offsets(word)[1]
        return places
