"""Answers to questions inside the graph: those that `keras_bert.squad.Answerer` finds in Python."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import BertConfig
from keras_bert.models import BertEncoder, BertSpanLabeler
from keras_bert.tasks.answer.answering import Answerer
from keras_bert.tasks.answer.graph import answers
from keras_bert.tasks.answer.graph_names import Names, numbered
from keras_bert.tasks.answer.graph_texts import NOWHERE, characters, find_first
from keras_bert.tasks.served import Options, Server
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import small_shape

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CONTEXTS = [
    "Rollo came to Normandy in 911 (the year), as Steve Smith's ha-ha ha-ha wrote.",
    "Où est l'été?  Ça, c'est Ünïcödé  東京, e\u0301t\u0301e\u0301.",
    "one two three four five six seven eight nine ten eleven twelve " * 4,
    "a",
    "A\tB\nC \u3000 D\u2003E \u202f F - 1-2-1-2.",
    "\x07x y\x00z  q " + "w" * 120 + " end ŒUVRE İstanbul ß",
]
QUESTIONS = ["Who came?", "", "What does a very long question ask that is cut to its first few words?", "?", "x", "İ"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *LETTERS, *(f"##{c}" for c in LETTERS), *"().,-'?", "東", "ha", "1"]))


@pytest.fixture(scope="module")
def model(tokenizer):
    keras.utils.set_random_seed(3)
    shape = small_shape(max_position_embeddings=64) | {"initializer_range": 0.5}
    config = BertConfig(vocab_size=tokenizer.vocab_size, **shape)
    return BertSpanLabeler(BertEncoder(config))


def serve(model, tokenizer, questions, contexts, **options):
    server = Server(model, tokenizer, tokenizer.graph_layer(), Options(**options))
    answer = tf.function(lambda *given: answers(server, *given), autograph=False)
    given = (tf.constant(each, tf.string) for each in (questions, contexts))
    return {name: each.numpy() for name, each in answer(*given).items()}


THRESHOLDS = (None, 0.0, -3.0, 5.0)
LENGTHS = ((64, 16, 24), (24, 3, 8), (20, 1, 10), (40, 100, 4))
CASES = [  # each threshold and each lengths once; all pairs of both take a minute
    pytest.param(threshold, lengths, marks=[] if i == j else pytest.mark.slow, id=f"{threshold}-{lengths}")
    for i, threshold in enumerate(THRESHOLDS)
    for j, lengths in enumerate(LENGTHS)
]


@pytest.mark.parametrize(("threshold", "lengths"), CASES)
def test_the_graph_answers_as_python_does(model, tokenizer, threshold, lengths):
    lengths = dict(zip(("max_seq_length", "doc_stride", "max_query_length"), lengths, strict=True))
    pairs = [(question, context) for question in QUESTIONS for context in CONTEXTS]
    found = serve(model, tokenizer, *zip(*pairs, strict=True), threshold=threshold, **lengths)
    expected = Answerer(model, tokenizer, threshold=threshold, **lengths)(*map(list, zip(*pairs, strict=True)))
    assert [text.decode() for text in found["text"]] == [each.text for each in expected]
    places = [(-1, -1) if each.start is None else (each.start, each.end) for each in expected]
    assert list(zip(found["start"].tolist(), found["end"].tolist(), strict=True)) == places
    np.testing.assert_allclose(found["score"], [each.score for each in expected], atol=1e-5)
    assert len({each.text for each in expected}) > 4
    if threshold == 0.0:
        assert {each.start is None for each in expected} == {True, False}


def test_null_scores(model, tokenizer):
    from keras_bert.tasks.answer.examples import Context, Example
    from keras_bert.tasks.answer.training import Questions

    examples = [Example(str(n), "Who?", Context(context)) for n, context in enumerate(CONTEXTS)]
    lengths = {"max_seq_length": 24, "doc_stride": 5, "max_query_length": 8}
    asked = Questions(examples, tokenizer, version_2_with_negative=True, **lengths)
    odds = [prediction.null_odds for prediction in asked.predict(model)]
    found = serve(model, tokenizer, ["Who?"] * len(CONTEXTS), CONTEXTS, threshold=0.0, **lengths)
    np.testing.assert_allclose(found["null_score"], odds, atol=1e-4)


def thue_morse(letters, power=10):
    """Returns 2 ** power letters; a polynomial hash modulo 2 ** 64 is the same for "ab" and "ba" from 1,024 on."""
    return "".join(letters[number.bit_count() % 2] for number in range(2**power))


def test_texts_of_one_polynomial_hash_are_different_answers(model, tokenizer):
    one, other = thue_morse("ab"), thue_morse("ba")
    lengths = {"max_seq_length": 40, "doc_stride": 20, "max_query_length": 8}
    contexts = [f"{one} {other}", f"{one} {other} {one}", f"{other}-{one} x", f"a {other} {one}, a"]
    found = serve(model, tokenizer, ["Who?"] * len(contexts), contexts, **lengths)
    expected = Answerer(model, tokenizer, **lengths)(["Who?"] * len(contexts), contexts)
    assert [text.decode() for text in found["text"]] == [each.text for each in expected]
    np.testing.assert_allclose(found["score"], [each.score for each in expected], atol=1e-5)


def test_a_needle_is_found_where_it_is_and_not_where_a_hash_is_the_same():
    one, other = thue_morse("ab"), thue_morse("ba")
    texts, needles = characters(tf.constant([other + one])), characters(tf.constant([one, "x", "bb", other + "bb"]))
    stretch = [tf.fill([4], value) for value in (0, 2048, 2048)]
    assert find_first(needles, texts, *stretch).numpy().tolist() == [1024, NOWHERE, (other + one).find("bb"), NOWHERE]


def test_names_are_equal_for_equal_stretches_alone():
    text = np.random.default_rng(0).integers(0, 2, 40)
    places = [(start, size) for start in range(40) for size in range(41 - start)]
    starts, sizes = (tf.constant(each, tf.int32) for each in zip(*places, strict=True))
    numbers = numbered(*Names.of(tf.constant(text), sizes).columns(starts, sizes)).numpy().tolist()
    stretches = [text[start : start + size].tobytes() for start, size in places]
    assert len(set(zip(numbers, stretches, strict=True))) == len(set(numbers)) == len(set(stretches)) > 100


@pytest.mark.parametrize("threshold", [pytest.param(None, marks=pytest.mark.slow), 0.0])
def test_contexts_of_nothing_have_no_answer(model, tokenizer, threshold):
    options = {"threshold": threshold, "max_seq_length": 40, "doc_stride": 128}
    found = serve(model, tokenizer, ["Who?"] * 3, ["", "  ", b"\xff\x00"], **options)
    assert found["text"].tolist() == [b""] * 3
    assert (found["start"].tolist(), found["end"].tolist()) == ([-1] * 3, [-1] * 3)
    assert found["score"].tolist() == [1.0] * 3
    assert serve(model, tokenizer, [], [], **options)["text"].tolist() == []
