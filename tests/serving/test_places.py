"""Where words and pieces stand, inside the graph: what Python's `re` and Tokenizer.token_ids_with_offsets say."""

import re

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.tasks.tag.pieces import encode_words
from keras_bert.tasks.tag.tagging import word_pattern
from keras_bert.text.characters import re2_class, regex_class
from keras_bert.text.graph_words import find_characters, find_words
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

TEXTS = [
    "Paris isn't in the U.S.",
    "",
    "  a\tb\nc\u2003d\u00a0e\x1cf\u3000",
    "東京へ行く、한국은 (좋다)!",
    "é e\u0301 ñ, \u0301x",
    "a\x00b\u200bc \ufffd �",
    "ΑΣ ΑΣ. straße ŒUVRE ǅ İi",
    "x" * 130 + " " + "y" * 99,
]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
JAMO = "".join(map(chr, range(0x1100, 0x1113))) + "".join(map(chr, range(0x1161, 0x1176))) + "ᆫᆯᆨᆼ"


@pytest.fixture(scope="module", params=[True, False], ids=["lower", "cased"])
def tokenizer(request):
    pieces = [*LETTERS, *JAMO, "é", "ñ", "東", "京", "한", "국", "은", "is", *".,!()'"]
    return Tokenizer(
        Vocabulary([*SPECIAL_TOKENS, *pieces, *(f"##{piece}" for piece in pieces)]), do_lower_case=request.param
    )


def test_words_are_those_of_python():
    python, graph = re.compile(word_pattern(regex_class)), word_pattern(re2_class)
    words, starts, ends = find_words(tf.constant(TEXTS), graph)
    expected = [[(match[0], *match.span()) for match in python.finditer(text)] for text in TEXTS]
    found = [
        [(word.decode(), start, end) for word, start, end in zip(*each, strict=True)]
        for each in zip(words.to_list(), starts.to_list(), ends.to_list(), strict=True)
    ]
    assert found == expected
    assert sum(map(len, expected)) > 30


@pytest.mark.parametrize("space", [" ", "[^ ]*"])
def test_of_no_texts_there_are_no_words(space):
    assert [each.to_list() for each in find_words(tf.constant([], tf.string), space)] == [[], [], []]


def characters_in_python(tokenizer, texts):
    """Returns of each text's characters the piece, -1 for none, and whether it is shared, as the tagger has them."""
    found = []
    for text in texts:
        pieces = encode_words([list(text)], tokenizer, max_seq_length=100_000, joined=True)
        found.append((np.where(pieces.row < 0, -1, pieces.column - 1).tolist(), pieces.shares.tolist()))
    return found


def test_characters_have_the_pieces_that_python_finds(tokenizer):
    characters, ids, piece, shares = find_characters(tf.constant(TEXTS), tokenizer.graph_layer())
    assert [[char.decode() for char in row] for row in characters.to_list()] == [list(text) for text in TEXTS]
    assert ids.to_list() == [tokenizer.token_ids(text) for text in TEXTS]
    expected = characters_in_python(tokenizer, TEXTS)
    assert piece.to_list() == [pieces for pieces, _ in expected]
    assert piece.with_values(shares).to_list() == [shared for _, shared in expected]
    assert any(any(shared) for _, shared in expected)


def test_characters_of_random_texts(tokenizer):
    rng = np.random.default_rng(5)
    alphabet = [*"abcXYZ ,.!", *"éñ한국은東京", "\u0301", "\u200b", "\x00", "\u3000", "ß", "Σ", "\n", *JAMO[:4], "z"]
    texts = ["".join(rng.choice(alphabet, rng.integers(0, 30))) for _ in range(300)]
    _, ids, piece, shares = find_characters(tf.constant(texts), tokenizer.graph_layer())
    expected = characters_in_python(tokenizer, texts)
    assert ids.to_list() == [tokenizer.token_ids(text) for text in texts]
    wrong = [
        (text, ours, theirs)
        for text, ours, (theirs, _) in zip(texts, piece.to_list(), expected, strict=True)
        if ours != theirs
    ]
    assert wrong == []
    assert piece.with_values(shares).to_list() == [shared for _, shared in expected]


def test_of_no_texts_there_are_no_characters(tokenizer):
    found = find_characters(tf.constant([], tf.string), tokenizer.graph_layer())
    assert [each.to_list() for each in found[:3]] == [[], [], []]
    assert found[3].shape == (0,)
