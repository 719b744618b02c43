"""Words tagged, questions answered and masks filled by models with each kind of tokenizer: served as in Python."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import Config
from keras_bert.models import Encoder, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.tasks.answer.answering import Answerer
from keras_bert.tasks.answer.graph import answers
from keras_bert.tasks.fill_mask.filling import fill_mask
from keras_bert.tasks.fill_mask.graph import filled_masks
from keras_bert.tasks.served import Options, Server, on_inputs
from keras_bert.tasks.tag.graph import tagged_words
from keras_bert.tasks.tag.tagging import predict_tags, word_places
from tests.small import small_shape
from tests.text.kinds import slow_but, small_tokenizer

SIZES = {
    "roberta": "roberta-base",
    "xlm_roberta": "xlm-roberta-base",
    "albert": "albert-base",
    "kobert": "base",
    "big_bird": "base",
}
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TEXTS = ["Paris isn't in the U.S.", "", "   ", "한국은 東京!", "a\x00b \u200b é e\u0301", "one two three " * 12, "ﾊﾟ ½x"]
CONTEXTS = [
    "Rollo came to Normandy in 911 (the year), as Steve Smith's ha-ha ha-ha wrote.",
    "Où est l'été?  Ça, c'est Ünïcödé  東京, e\u0301t\u0301e\u0301.",
    "one two three four five six seven eight nine ten eleven twelve " * 4,
    "A\tB\nC \u3000 D\u2003E \u202f F - 1-2-1-2. ½ ﾊﾟ",
]
QUESTIONS = ["Who came?", "", "What does a very long question ask that is cut to its first few words?"]
LENGTH = 32


@pytest.fixture(scope="module", params=slow_but(["roberta"], SIZES))
def family(request):
    return request.param


@pytest.fixture(scope="module")
def tokenizer(family):
    return small_tokenizer(family)


@pytest.fixture(scope="module")
def encoder(family, tokenizer):
    keras.utils.set_random_seed(3)
    sizes = small_shape(max_position_embeddings=70) | {"initializer_range": 0.5, "vocab_size": len(tokenizer)}
    return Encoder(Config.from_name(SIZES[family], **sizes, pad_token_id=tokenizer.pad_id))


def serve(model, tokenizer, answer, *given, **options):
    """Returns the outputs of the graph for strings, as arrays."""
    server = Server(model, tokenizer, tokenizer.keeping([tokenizer.mask_token]).graph_layer(), Options(**options))
    traced = tf.function(lambda *given: answer(server, *given), autograph=False)
    return {name: each.numpy() for name, each in traced(*(tf.constant(each, tf.string) for each in given)).items()}


@pytest.mark.parametrize("by_character", [False, True])
def test_words_are_tagged_as_in_python(encoder, tokenizer, by_character):
    model = TokenClassifier(encoder, len(TAGS), labels=TAGS)
    found = serve(model, tokenizer, tagged_words, TEXTS, max_seq_length=LENGTH, by_character=by_character)
    places = [word_places(text, by_character) for text in TEXTS]
    words = [[text[start:end] for start, end in each] for text, each in zip(TEXTS, places, strict=True)]
    tags, scores = predict_tags(model, tokenizer, words, max_seq_length=LENGTH, joined=by_character)
    counts = found["num_tokens"].tolist()
    assert [[word.decode() for word in row[:n]] for row, n in zip(found["tokens"], counts, strict=True)] == words
    assert [[tag.decode() for tag in row[:n]] for row, n in zip(found["label"], counts, strict=True)] == tags
    for ours, theirs, n in zip(found["score"], scores, counts, strict=True):
        np.testing.assert_allclose(ours[:n], np.nan_to_num(theirs), atol=1e-5)
    assert len({tag for row in tags for tag in row}) > 1


@pytest.mark.parametrize("threshold", [None, 0.0])
def test_questions_are_answered_as_in_python(encoder, tokenizer, threshold):
    model = SpanLabeler(encoder)
    lengths = {"max_seq_length": 64, "doc_stride": 16, "max_query_length": 24}
    pairs = list(zip(*((question, context) for question in QUESTIONS for context in CONTEXTS), strict=True))
    found = serve(model, tokenizer, answers, *pairs, threshold=threshold, **lengths)
    expected = Answerer(model, tokenizer, threshold=threshold, **lengths)(*map(list, pairs))
    assert [text.decode() for text in found["text"]] == [each.text for each in expected]
    places = [(-1, -1) if each.start is None else (each.start, each.end) for each in expected]
    assert list(zip(found["start"].tolist(), found["end"].tolist(), strict=True)) == places
    np.testing.assert_allclose(found["score"], [each.score for each in expected], atol=1e-5)
    for context, each in zip(pairs[1], expected, strict=True):
        if each.start is not None:
            assert " ".join(context[each.start : each.end].split()) == " ".join(each.text.split())


def test_masks_are_filled_as_in_python(encoder, tokenizer):
    model = Pretrainer(encoder)
    texts = [f"the {tokenizer.mask_token} fox", f"{tokenizer.mask_token}, {tokenizer.mask_token}!"]
    found = serve(model, tokenizer, on_inputs(filled_masks), texts, max_seq_length=LENGTH, top_k=3)
    for row, answer in enumerate(fill_mask(model, tokenizer, texts, top_k=3, max_seq_length=LENGTH)):
        assert found["num_masks"][row] == len(answer)
        for guesses, tokens in zip(answer, found["tokens"][row], strict=False):
            assert [guess["token"] for guess in guesses] == [token.decode() for token in tokens]
