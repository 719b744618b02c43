"""Which piece has a word's tag, with each kind of tokenizer."""

import numpy as np
import pytest

from keras_bert.tasks.tag.pieces import encode_words
from tests.text.kinds import fuzzed, small_tokenizer

WORDS = [
    "The",
    "lazy",
    "isn't",
    "東京",
    "한국어",
    "\u0301x",
    "e\u0301te\u0301",
    "👩\u200d👧",
    "½",
    "\u200b",
    "\u0301",
    "\x07",
    "...",
]
WORDS += ["'s", "1,000,", "<mask>", "x</s>y", "▁", "Ġ", "a\u00a0b", "\u3000", "\u2028", "end"]


@pytest.mark.slow
def test_byte_pairs_are_aligned_as_transformers_does(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer = small_tokenizer("roberta")
    tokenizer.save_pretrained(tmp_path)
    theirs = transformers.RobertaTokenizerFast.from_pretrained(tmp_path, add_prefix_space=True)
    special = tokenizer.vocabulary.spelling.special
    words = [word for word in WORDS if not any(token in word for token in special)]  # which they cut otherwise
    for text in fuzzed(300, tokenizer):
        words += [word for word in text.split() if not any(token in word for token in special)]
    encoded = theirs(words, is_split_into_words=True)
    pieces = encode_words([words], tokenizer, max_seq_length=100_000)
    assert pieces.rows["input_ids"][0].tolist() == encoded["input_ids"]
    first = {}
    for place, word in enumerate(encoded.word_ids()):
        first.setdefault(word, place)
    assert pieces.column.tolist() == [first.get(word, -1) for word in range(len(words))]
    assert not pieces.shares.any() and len(words) > 700


# {kind: the token that has the tag of each word, None for a word of which nothing is left}
BY_HAND = {
    "roberta": {"The": "Ġ", "lazy": "Ġlazy", "\u0301x": "Ġ", "\u200b": "Ġ", "end": "Ġ"},
    "albert": {"The": "▁the", "lazy": "▁", "\u0301x": "▁", "\u0301": None, "\u200b": None, "\x07": None},
    "xlm_roberta": {"The": "▁The", "lazy": "▁", "\u200b": None, "▁": None, "\u3000": None, "½": "▁1"},
    "kobert": {"The": "▁The", "한국어": "▁", "\u0301x": "▁", "\u200b": None, "½": "▁1"},
}


@pytest.mark.parametrize("kind", ["roberta", *(pytest.param(k, marks=pytest.mark.slow) for k in list(BY_HAND)[1:])])
def test_the_first_piece_of_a_word_has_its_tag(kind):
    tokenizer = small_tokenizer(kind)
    pieces = encode_words([WORDS], tokenizer, max_seq_length=500)
    tags = [f"B-{number}" for number in range(len(WORDS))]
    [labels], ids = pieces.token_labels([tags], tags), pieces.rows["input_ids"][0]
    begin = 1
    for number, word in enumerate(WORDS):  # the pieces of the words, one word after the other
        size = len(tokenizer.word_ids(word))
        assert ids[begin : begin + size].tolist() == tokenizer.word_ids(word)
        assert labels[begin : begin + size].tolist() == [number, *[-100] * (size - 1)][:size]
        if word in BY_HAND[kind]:
            assert (tokenizer.vocabulary.token(int(ids[begin])) if size else None) == BY_HAND[kind][word], word
        begin += size
    assert begin == len(ids) - 1
    said, _ = pieces.word_tags([np.eye(len(WORDS))[np.maximum(labels, 0)]], tags)
    assert [tag for tag, word in zip(said[0], WORDS, strict=True) if tokenizer.word_ids(word)] == [
        tag for tag, word in zip(tags, WORDS, strict=True) if tokenizer.word_ids(word)
    ]
