"""From a prediction's tokens back to the original text, and to its place there."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_bert.tasks.answer import Context, final_text
from keras_bert.tasks.answer.original_text import Texts
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


@pytest.mark.parametrize(
    ("predicted", "original", "expected"),
    [
        ("steve smith", "Steve Smith's", "Steve Smith"),
        ("1895", "(1895-1943).", "1895"),
        ("1895 - 1943", "(1895-1943).", "1895-1943"),
        ("france", "France", "France"),
        ("cafe", "Café,", "Café"),  # one character for one, the accent dropped
        ("u . s", "the U.S.", "U.S"),
        ("10 , 000", "10,000", "10,000"),
        ("a", "b A", "A"),
        ("rollo", "Gisla", "Gisla"),  # not there
        ("strasse", "Straße", "Straße"),  # not there either: ß stays
        ("ii", "İi x", "İi"),  # its lower case is an i with a dot above, which is dropped
        ("", "Rollo", "Rollo"),
        ("ab", "a\u200db", "a\u200db"),  # the joiner is dropped, so the lengths differ
        ("東 京", "東京都", "東京"),
        ("a b", "a\u00a0b", "a\u00a0b"),  # a space that Google's code does not count as one: the lengths differ
    ],
)
def test_final_text_by_hand(predicted, original, expected):
    assert final_text(predicted, original, Tokenizer(Vocabulary(SPECIAL_TOKENS))) == expected


def test_a_cased_tokenizer_keeps_case():
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "Steve"]), do_lower_case=False)
    assert final_text("Steve", "Steve's", tokenizer) == "Steve"
    assert final_text("steve", "Steve's", tokenizer) == "Steve's"


def find(tokenizer, context, pieces, first, last, **options):
    ids = [tokenizer.vocabulary.id(piece) for piece in pieces.split()]
    words = np.linspace(first, last, len(ids)).astype(int)
    features = SimpleNamespace(ids=np.array(ids), words=words)
    return Texts(tokenizer, **options).find(features, Context(context), 0, len(ids) - 1)


def test_the_place_is_that_of_the_text(tokenizer):
    context = "Where was\n  Rollo's  Normandy?"
    assert find(tokenizer, context, "rollo", 2, 2) == ("Rollo", 12, 17)
    assert find(tokenizer, context, "who who", 2, 3) == ("Rollo's Normandy?", 12, 30)  # not there: both words
    assert find(tokenizer, context, "norman ##dy", 3, 3) == ("Normandy", 21, 29)
    assert context[21:29] == "Normandy"


def test_white_space_in_the_text_is_single_and_in_the_place_as_it_was(tokenizer):
    context = "the\n\n norse   leader."
    text, start, end = find(tokenizer, context, "the norse leader", 0, 2)
    assert text == "the norse leader"
    assert context[start:end] == "the\n\n norse   leader"


def test_pieces_are_joined_to_words(tokenizer):
    texts = Texts(tokenizer)
    ids = [tokenizer.vocabulary.id(piece) for piece in "##dy norman ##dy ##s ( 911 )".split()]
    assert texts.joined(ids) == "dy normandys ( 911 )"


def test_what_cannot_be_aligned_is_told(tokenizer):
    said = []
    assert find(tokenizer, "in France", "[UNK]", 1, 1, log=said.append) == ("France", 3, 9)
    assert said == ["Unable to find text: '[UNK]' in 'France'"]
    assert find(tokenizer, "in Fran\u200bce", "france", 1, 1, log=said.append)[0] == "Fran\u200bce"
    assert said[1].startswith("Length not equal after stripping spaces")
