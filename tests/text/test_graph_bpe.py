"""Byte-level BPE inside the graph gives the ids of the engine in Python, on every string."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from tests.text.byte_pairs import ByteTexts, golden_engine, golden_rows, odd_engine, small_engine

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_text")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a TensorFlow layer holds it")

from keras_bert.text.bpe.as_sentence_piece import token_ranks  # noqa: E402
from keras_bert.text.bpe.graph_ids import GraphBytePairs  # noqa: E402
from keras_bert.text.wordpiece.graph import drop_invalid  # noqa: E402

SIGNATURE = [tf.TensorSpec([None], tf.string)]
ENGINES = {
    "plain": lambda: small_engine(),
    "NFC and a space before": lambda: small_engine("NFC", True),
    "odd": odd_engine,
    "NFC": lambda: small_engine("NFC"),
    "a space before": lambda: small_engine(add_prefix_space=True),
}
SLOW = ("NFC", "a space before")
UNITS = ["a", "한", "\u0344\u1abf\u0334"]
UNITS += [
    pytest.param(unit, marks=pytest.mark.slow)
    for unit in ("ab ", " ", "\n", "'s", "é", "1", "=", " \u3000", "\u0301", "\u0301\u0323")
]


class Rival:
    """The graph of an engine, to compare with it."""

    def __init__(self, engine):
        self.engine, self.graph = engine, GraphBytePairs(engine)
        self.ids = tf.function(lambda texts: self.graph(drop_invalid(texts)), input_signature=SIGNATURE)
        self.pieces = tf.function(self.graph.pieces, input_signature=SIGNATURE)

    def differing(self, texts):
        """Returns the number of tokens, and [(text, right ids, the graph's)] of texts that differ, in bulk too."""
        right = [self.engine.ids(text) for text in texts]
        found = self.ids(tf.constant(texts, tf.string, shape=[len(texts)])).to_list()
        flat, lengths = self.engine.bulk(texts)
        assert np.array_equal(lengths, [len(ids) for ids in right])
        assert np.array_equal(flat, [index for ids in right for index in ids])
        return len(flat), [triple for triple in zip(texts, right, found, strict=True) if triple[1] != triple[2]]


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in ENGINES]
)
def rival(request):
    return Rival(ENGINES[request.param]())


@pytest.fixture(scope="module", params=["roberta", pytest.param("modernbert_rebuilt", marks=pytest.mark.slow)])
def golden_rival(request, shared, tmp_path_factory):
    return request.param, Rival(golden_engine(shared, request.param, tmp_path_factory.mktemp(request.param)))


def compare(rival, *, texts, seed):
    maker, tokens = ByteTexts(random.Random(seed), rival.engine), 0
    while texts > 0:
        batch = maker.batch(maker.rng.choice([1, 3, 60, 300, 1000]))
        count, found = rival.differing(batch)
        assert not found, f"{len(found)} texts differ, for example {found[0]}"
        texts -= len(batch)
        tokens += count
    return tokens


def test_random_texts(rival):
    assert compare(rival, texts=2000, seed=1) > 20_000


def test_golden_strings(shared, golden_rival):
    name, rival = golden_rival
    texts = [text for text, _, _ in golden_rows(shared, name)]
    assert not rival.differing(texts)[1]
    assert not any(rival.differing([text])[1] for text in texts)  # what else is in the batch must not matter


def test_random_texts_with_the_vocabularies_that_people_use(golden_rival):
    assert compare(golden_rival[1], texts=2000, seed=2) > 20_000


@pytest.mark.nightly
def test_a_million_random_texts_with_the_vocabularies_that_people_use(golden_rival):
    assert compare(golden_rival[1], texts=10**6 // 2, seed=3) > 10**6  # a million of both


@pytest.mark.nightly
def test_many_random_texts(rival):
    assert compare(rival, texts=10**5, seed=4) > 10**6


def every_character(rival, codes):
    every = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    texts = [f"{char} a{char}{char}1 '{char}!{char}'s{char}\u0301" for char in every]
    assert not rival.differing(texts)[1]


def test_characters_of_many_scripts(rival):
    every_character(rival, [*range(0, 0x3100, 5), *range(0xA000, 0x12000, 50), *range(0x1D000, 0x20000, 50), 0x10FFFF])


@pytest.mark.slow
@pytest.mark.parametrize("plane", range(4))
def test_every_character(rival, plane):
    every_character(rival, range(plane << 16, plane + 1 << 16))


@pytest.mark.slow
def test_every_character_of_plane_14(rival):
    every_character(rival, range(0xE0000, 0xE0200))


def test_bytes_that_are_not_utf8(rival):
    texts = ByteTexts(random.Random(6), rival.engine).broken_batch(500)
    found = rival.ids(tf.constant(texts)).to_list()
    assert found == [rival.engine.ids(text.decode(errors="ignore")) for text in texts]


def test_every_token(rival):
    texts = [rival.engine.text([index]) for index in range(len(rival.engine.tokens))]
    texts += [f"a{text}b" for text in texts]
    assert not rival.differing([text.replace("\ufffd", "") for text in texts])[1]


def test_empty_batches_and_texts(rival):
    assert rival.ids(tf.constant([], tf.string)).to_list() == []
    assert rival.ids(tf.constant(["", "", ""])).to_list() == [[], [], []]
    assert not rival.differing(["", " ", "", "a", ""])[1]
    assert [ragged.to_list() for ragged in rival.pieces(tf.constant(["", ""]))] == [[[], []], [[], []]]


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
def test_a_long_text(rival, unit):
    """A quadratic step anywhere would take minutes here."""
    assert not rival.differing([f"the {unit * (100_000 // len(unit))} the", "b"])[1]


def test_lengths_add_up(rival):
    texts = ByteTexts(random.Random(7), rival.engine).batch(300)
    ids, lengths = rival.pieces(tf.constant(texts))
    assert ids.to_list() == [rival.engine.ids(text) for text in texts]
    for text, of_text, tokens in zip(texts, lengths.to_list(), ids.to_list(), strict=True):
        prefixed = rival.engine.add_prefix_space and bool(text) and not text.startswith(" ")
        assert sum(of_text) == len(rival.engine.text(tokens)) - prefixed


def test_lengths_of_characters_of_several_tokens():
    rival = Rival(odd_engine())
    ids, lengths = rival.pieces(tf.constant(["abc한 é"]))
    assert [rival.engine.tokens[index] for index in ids.to_list()[0]] == ["abc", "íķ", "ľ", "Ġ", "Ã", "©"]
    assert lengths.to_list() == [[3, 1, 0, 1, 1, 0]]


def test_what_it_returns(rival):
    ids = rival.graph(tf.constant(["a b", "c"]))
    assert isinstance(ids, tf.RaggedTensor) and ids.dtype == tf.int32 and ids.shape.as_list() == [2, None]
    assert not rival.differing([])[1]


def test_ranks_are_of_the_last_merge():
    engine = odd_engine()
    ranks, rank_of = token_ranks(engine), {pair: rank for rank, pair in enumerate(engine.merges)}
    assert ranks["abc"] == rank_of["a", "bc"] and ranks["def"] == rank_of["d", "ef"]
    assert "never" not in ranks and "<s>" not in ranks and "\u00ff" not in ranks


@pytest.mark.slow
def test_saved_models_in_a_fresh_process(tmp_path):
    engines = {"first": small_engine("NFC", True), "second": odd_engine()}
    texts = [text for engine in engines.values() for text in ByteTexts(random.Random(8), engine).batch(200)]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    for name, engine in engines.items():
        _save(GraphBytePairs(engine), tmp_path / name)
    program = (
        "import json, sys, tensorflow as tf, tensorflow_text\n"
        "texts = tf.constant(json.load(open('texts.json')))\n"
        "serve = {name: tf.saved_model.load(name).signatures['serving_default'] for name in ('second', 'first')}\n"
        "found = {name: serve[name](texts) for name in serve}\n"
        "assert 'keras_bert' not in sys.modules\n"
        "print(json.dumps({name: [parts[part].numpy().tolist() for part in ('ids', 'splits')] for name, parts in "
        "found.items()}))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    for name, engine in engines.items():
        ids, splits = found[name]
        right = [engine.ids(text) for text in texts]
        assert ids == [index for row in right for index in row], name
        assert splits == [0, *np.cumsum(list(map(len, right))).tolist()]


def _save(graph, folder):
    """Writes a SavedModel of a layer that holds a graph."""
    layer = keras.layers.Layer()
    layer.graph = graph

    def serve(texts):
        ids = layer.graph(texts)
        return {"ids": ids.values, "splits": ids.row_splits}

    tf.saved_model.save(layer, folder, signatures=tf.function(serve, input_signature=SIGNATURE))
