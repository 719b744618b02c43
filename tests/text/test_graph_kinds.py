"""Tokenizers of every kind inside the graph: the ids and places that Python gives."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.text.kinds import FIRST, KINDS, TEXTS, fuzzed, slow_but, small_tokenizer


@pytest.fixture(scope="module", params=slow_but(FIRST, KINDS))
def tokenizer(request):
    return small_tokenizer(request.param)


@pytest.fixture(scope="module")
def layer(tokenizer):
    return tokenizer.graph_layer()


@pytest.fixture(scope="module")
def texts(tokenizer):
    return [*TEXTS, *fuzzed(400, tokenizer, seed=2)]


def test_ids_are_those_of_python(tokenizer, layer, texts):
    assert layer(texts).to_list() == [tokenizer.token_ids(text) for text in texts]
    assert layer(tf.constant([], tf.string)).to_list() == []
    assert layer([b"\xffa", "a"]).to_list() == [tokenizer.token_ids("a")] * 2


def test_words_are_those_of_python(tokenizer, layer):
    words = ["the", "don't", "é", "x" * 30, "1,000,", "東京", "🙂"]
    assert layer.of_words(tf.constant(words)).to_list() == [tokenizer.word_ids(word) for word in words]


def test_places_are_those_of_python(tokenizer, layer, texts):
    if tokenizer.kind == "wordpiece":
        pytest.skip("WordPiece says how long its pieces are (test_graph.py)")
    ids, starts, ends = (each.to_list() for each in tf.function(layer.pieces)(tf.constant(texts)))
    wrong = {}
    for text, *found in zip(texts, ids, starts, ends, strict=True):
        expected_ids, offsets = tokenizer.token_ids_with_offsets(text)
        assert found[0] == expected_ids
        places = list(zip(found[1], found[2], strict=True))
        if places != offsets:
            wrong[text] = places, offsets
    if tokenizer.kind == "bpe" or layer.graph.why_slow:  # byte-level, or SentencePiece's
        assert wrong == {}
    # Of Unigram a piece that ends in the middle of a character, such as "㌢", that normalization makes three of, ends
    # before it in Python and after it in the graph.
    assert not set(wrong) & set(TEXTS)
    assert len(wrong) < 0.06 * len(texts)


def test_it_is_made_again_of_its_configuration(tokenizer, layer, texts, tmp_path):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again(texts[:50]).to_list() == layer(texts[:50]).to_list()


def ids_of(layer):
    """Returns the function from strings to padded ids, to save."""
    return tf.function(lambda text: layer(text).to_tensor(-1), input_signature=[tf.TensorSpec([None], tf.string)])


@pytest.mark.slow
def test_saved_models_of_all_kinds_in_one_process_that_does_not_know_this_library(tmp_path):
    texts, expected = TEXTS, {}
    for kind in KINDS:
        tokenizer = small_tokenizer(kind)
        layer = tokenizer.graph_layer()
        module = tf.Module()
        module.layer = layer
        module.ids = ids_of(layer)
        tf.saved_model.save(module, str(tmp_path / kind), signatures=module.ids.get_concrete_function())
        expected[kind] = layer(texts).to_tensor(-1).numpy().tolist()
    script = (
        "import sys, json\nimport tensorflow as tf, tensorflow_text\n"
        f"texts, folder = json.loads(sys.argv[1]), {str(tmp_path)!r}\n"
        f"for kinds in ({KINDS!r}, {KINDS[::-1]!r}):\n"
        "    loaded = {kind: tf.saved_model.load(f'{folder}/{kind}').signatures['serving_default'] for kind in kinds}\n"
        "    print(json.dumps({kind: list(f(text=tf.constant(texts)).values())[0].numpy().tolist() for kind, f in "
        "loaded.items()}))\n"
    )
    command = [sys.executable, "-c", script, json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for line in done.stdout.splitlines()[-2:]:
        assert json.loads(line) == expected


@pytest.mark.parametrize("kind", slow_but((), KINDS))
def test_many_strings(kind):
    tokenizer = small_tokenizer(kind)
    layer, texts = tokenizer.graph_layer(), fuzzed(10_000, tokenizer, seed=3)
    expected = [tokenizer.token_ids(text) for text in texts]
    ids, lengths = tokenizer.bulk().token_ids(texts)
    assert [row.tolist() for row in np.split(ids, np.cumsum(lengths)[:-1])] == expected
    found = [row for start in range(0, len(texts), 500) for row in layer(texts[start : start + 500]).to_list()]
    assert {t: (f, e) for t, f, e in zip(texts, found, expected, strict=True) if f != e} == {}
