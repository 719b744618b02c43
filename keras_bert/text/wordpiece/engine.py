"""The WordPiece engine of a Tokenizer: google-research/bert's rules (tokenization.py, FullTokenizer).

    text -> split_words -> (cache: word -> ids) -> ids        normalize.py, pieces.py

What follows the split looks at one word alone, so each distinct word is worked out once and then looked up.
"""

import json
from itertools import chain
from pathlib import Path

from keras_bert.text.added import normalizers
from keras_bert.text.engine import Engine
from keras_bert.text.normalize import basic_tokens, split_words
from keras_bert.text.rules import FLAGS
from keras_bert.text.spelling import UNK, WORDPIECE
from keras_bert.text.tokenizer_config import VOCAB_NAME, write_config
from keras_bert.text.wordpiece.alignment import aligned_tokens, placed_words
from keras_bert.text.wordpiece.pieces import WordPiece

CACHE_WORDS = 200_000  # about 50 MB; a million words of Wikipedia have about 100,000 distinct ones


class WordCache(dict):
    """Words and their ids, worked out by `compute` on first sight; starts afresh when full."""

    def __init__(self, compute):
        super().__init__()
        self.compute = compute

    def __missing__(self, word):
        ids = self.compute(word)
        if len(word) <= 100:  # what is longer hardly comes again
            if len(self) >= CACHE_WORDS:
                self.clear()
            self[word] = ids
        return ids

    def __reduce__(self):
        return WordCache, (self.compute,)  # a copy or a pickle starts empty


class WordPieces(Engine):
    """Google's tokenizer, without added tokens.

    Args:
        vocabulary: the Vocabulary.
        rules: the TokenizerRules.
    """

    kind = "wordpiece"
    spelling = WORDPIECE
    separator = " "

    def __init__(self, vocabulary, rules):
        self.vocabulary, self.rules = vocabulary, rules
        flags = {name: getattr(rules, name) for name in FLAGS}
        self.lower_cases = rules.do_lower_case
        self.normalizers = normalizers(rules)
        self._split = {"tokenize_chinese_chars": flags.pop("tokenize_chinese_chars")}
        self._flags = flags
        self._wordpiece = WordPiece({token: (index,) for token, index in vocabulary.pieces.items()}, unknown=UNK)
        self._cache = WordCache(self._word_ids)
        self._aligned_cache = WordCache(self._word_ids_with_offsets)

    @property
    def described(self):
        """The rules in words."""
        return self.rules.described

    @property
    def identity(self):
        """The rules, as bytes."""
        return json.dumps({name: getattr(self.rules, name) for name in FLAGS}).encode()

    def ids(self, text):
        """Returns the ids of a text, a list of int."""
        words = split_words(text, tokenize_chinese_chars=self.rules.tokenize_chinese_chars)
        return list(chain.from_iterable(map(self._cache.__getitem__, words)))

    def ids_with_offsets(self, text):
        """Returns ids, and (start, end) of each in characters of the text, without white space."""
        ids, offsets = [], []
        for start, word in placed_words(text, **self._split):
            for index, first, last in self._aligned_cache[word]:
                ids.append(index)
                offsets.append((start + first, start + last))
        return ids, offsets

    def text(self, ids):
        """Joins ids to text: pieces to words, words by spaces."""
        words = []
        for token in map(self.vocabulary.token, ids):
            if token.startswith("##") and words:
                words[-1].append(token[2:])
            elif token:
                words.append([token])
        return " ".join(map("".join, words))

    def basic_tokens(self, text):
        """Returns the words and punctuation marks of a text, normalized, before WordPiece."""
        return [token for word in split_words(text, **self._split) for token in basic_tokens(word, **self._flags)]

    def save(self, folder, vocabulary):
        """Writes vocab.txt and tokenizer_config.json into a folder, in place of another tokenizer's files."""
        vocabulary.save(Path(folder) / VOCAB_NAME)
        fields = {name: getattr(self.rules, name) for name in FLAGS}
        write_config(Path(folder), vocabulary, fields, keep=(VOCAB_NAME,))

    def _word_ids(self, word):
        rules = self.rules  # named one by one: unpacking a dict would take as long as a short word
        tokens = basic_tokens(word, do_lower_case=rules.do_lower_case, strip_accents=rules.strip_accents)
        return tuple(chain.from_iterable(map(self._wordpiece, tokens)))

    def _word_ids_with_offsets(self, word):
        """Returns (id, start, end) of each piece of one word, counted from the word's start."""
        placed = []
        for token in aligned_tokens(word, **self._flags):
            ids = self._wordpiece(token.text)
            spans = token.spans([self.vocabulary.tokens[index] for index in ids])
            placed += [(index, *span) for index, span in zip(ids, spans, strict=True)]
        return tuple(placed)
