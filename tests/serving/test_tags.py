"""Tagged words of raw strings inside the graph: those that `keras_bert.ner.tag` and `predict_tags` find in Python."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import BertConfig
from keras_bert.models import BertEncoder, BertTokenClassifier
from keras_bert.tasks.served import Options, Server
from keras_bert.tasks.tag.graph import tagged_words
from keras_bert.tasks.tag.tagging import predict_tags, word_places
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import small_shape

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TEXTS = [
    "Paris isn't in the U.S.",
    "",
    "   ",
    "한국은 東京!",
    "a\x00b \x00 c \u200b \x07 d",
    "one two three four five six seven eight nine ten " * 5,
    "x" * 300,
    "ab " * 7,
]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(
        Vocabulary([*SPECIAL_TOKENS, *LETTERS, *(f"##{c}" for c in LETTERS), *".,!'", "한국", "##은", "東"])
    )


@pytest.fixture(scope="module", params=[TAGS, ["DT", "NN", "VB"]], ids=["entities", "plain"])
def model(request, tokenizer):
    keras.utils.set_random_seed(3)
    shape = small_shape(max_position_embeddings=32) | {"initializer_range": 0.5}
    config = BertConfig(vocab_size=tokenizer.vocab_size, **shape)
    model = BertTokenClassifier(BertEncoder(config), len(request.param), labels=request.param)
    ids = np.random.default_rng(0).integers(5, tokenizer.vocab_size, (8, 16))
    inputs = {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
    model.head.bias.assign(-np.mean(model(inputs), axis=(0, 1)))  # for all tags to be said
    return model


def serve(model, tokenizer, texts, **options):
    """Returns the outputs of the graph, as lists without padding."""
    server = Server(model, tokenizer, tokenizer.graph_layer(), Options(**options))
    answer = tf.function(lambda text: tagged_words(server, text), autograph=False)
    outputs = {name: each.numpy() for name, each in answer(tf.constant(texts, tf.string)).items()}
    counts = outputs.pop("num_tokens")
    assert all(each.shape == (len(texts), max([*counts, 0])) for each in outputs.values())
    return {name: [row[:count] for row, count in zip(each, counts, strict=True)] for name, each in outputs.items()}


@pytest.mark.parametrize("max_seq_length", [17, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 8, 32))])
@pytest.mark.parametrize("by_character", [False, True])
def test_the_graph_tags_as_python_does(model, tokenizer, max_seq_length, by_character):
    found = serve(model, tokenizer, TEXTS, max_seq_length=max_seq_length, by_character=by_character)
    places = [word_places(text, by_character) for text in TEXTS]
    words = [[text[start:end] for start, end in each] for text, each in zip(TEXTS, places, strict=True)]
    tags, scores = predict_tags(model, tokenizer, words, max_seq_length=max_seq_length, joined=by_character)
    assert [[word.decode() for word in row] for row in found["tokens"]] == words
    spans = [list(zip(*each, strict=True)) for each in zip(found["start"], found["end"], strict=True)]
    assert spans == places
    assert [[tag.decode() for tag in row] for row in found["label"]] == tags
    for ours, theirs in zip(found["score"], scores, strict=True):
        np.testing.assert_allclose(ours, np.nan_to_num(theirs), atol=1e-5)
    assert len({tag for row in tags for tag in row}) > 2


def test_more_windows_than_are_read_at_once(model, tokenizer, monkeypatch):
    expected = serve(model, tokenizer, TEXTS, max_seq_length=8)
    monkeypatch.setattr("keras_bert.text.graph_packing.ROWS_AT_ONCE", 5)
    found = serve(model, tokenizer, TEXTS, max_seq_length=8)
    for name, rows in expected.items():
        for ours, theirs in zip(found[name], rows, strict=True):
            np.testing.assert_array_equal(ours, theirs) if name != "score" else np.testing.assert_allclose(
                ours, theirs, atol=1e-6
            )


def test_no_texts_and_texts_of_nothing(model, tokenizer):
    assert serve(model, tokenizer, [], max_seq_length=8)["label"] == []
    assert [len(row) for row in serve(model, tokenizer, ["", " "], max_seq_length=8)["label"]] == [0, 0]
    assert [row.tolist() for row in serve(model, tokenizer, [b"\xff\xfe"], max_seq_length=8)["tokens"]] == [[]]
