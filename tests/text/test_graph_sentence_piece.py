"""SentencePiece in the graph gives the ids of the engine in Python, ties included, and in a fresh process."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text.sentence_piece.engine import SentencePieceEngine
from keras_bert.text.sentence_piece.fast_model import unfit
from keras_bert.text.sentence_piece.graph import GraphSentencePiece
from keras_bert.text.sentence_piece.model import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, read_model, write_model
from keras_bert.text.sentence_piece.pieces import SentencePiece
from keras_bert.text.sentence_piece.rules import FAMILIES
from tests.text.kinds import slow_but
from tests.text.nasty import NastyTexts
from tests.text.sentence_piece_models import GOLDEN, SMALL, golden_cases, golden_engine, small_engine

STRINGS = tf.TensorSpec([None], tf.string)
# Ways to spell them have equal scores, or the sum's last bit decides.
TIES = ["+1 (555) 010-0199", "555", "???", "-" * 33, "a" * 79, "ㅋㅋㅋㅋㅋ 555 – £555", "1999, 2,000, 55555", "." * 100]
SEEN = ["", " ", "☃☃ ☃ a☃b", "가\u11bd 가ㄳ ㄱㅏ", "ΑΣ ΟΔΟΣ. Ϲ 𝚺", "``a''", "a\0b É\0", "İ ﬁ ℡ Å", "x▁y▁", "9,9, 1,"]


def in_graph(engine):
    layer = GraphSentencePiece(engine)
    function = tf.function(layer, input_signature=[STRINGS])
    return lambda texts: function(tf.constant(texts, tf.string, shape=[len(texts)])).to_list()


@pytest.mark.parametrize("name", slow_but(["albert"], SMALL))
def test_fuzzed_texts(name):
    engine = small_engine(name)
    ids_of = in_graph(engine)
    maker = NastyTexts(random.Random(3), engine.tokens)
    for texts in (TIES, SEEN, *map(maker.batch, [1, 1, 32, 400, 1500])):
        check(engine, ids_of, texts)


def check(engine, ids_of, texts):
    for text, ids in zip(texts, ids_of(texts), strict=True):
        assert ids == engine.ids(text), text


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GOLDEN])
def test_golden_texts(shared, name):
    engine = golden_engine(shared, name)
    ids_of = in_graph(engine)
    check(engine, ids_of, [text for text, _ in golden_cases(shared, name)] + TIES + SEEN)
    maker = NastyTexts(random.Random(4), engine.tokens)
    for size in (1, 300, 1500):
        check(engine, ids_of, maker.batch(size))


@pytest.mark.nightly
@pytest.mark.parametrize("name", [*GOLDEN])
def test_a_million_fuzzed_texts(shared, name):
    engine = golden_engine(shared, name)
    ids_of = in_graph(engine)
    rng, done = random.Random(5), 0
    strings = 1_000_000 // len(GOLDEN)  # a million of all
    maker = NastyTexts(rng, engine.tokens)
    while done < strings:
        texts = maker.batch(rng.choice([1, 10, 100, 2000]))
        done += len(texts)
        check(engine, ids_of, texts)
        expected = [engine.ids(text) for text in texts]
        ids, lengths = engine.bulk(texts)
        assert [row.tolist() for row in np.split(ids, np.cumsum(lengths)[:-1])] == expected


@pytest.mark.parametrize("name", slow_but(["albert"], [name for name in SMALL if name != "big_bird"]))
def test_places(name):
    engine = small_engine(name)
    layer = GraphSentencePiece(engine)
    function = tf.function(lambda texts: layer.pieces(texts), input_signature=[STRINGS])
    texts = [*SEEN, "The  model\treads", "Zürich, ½ 한국어 ☃☃ 1999, 9,9", "``a'' été", "\0 b ", "학교에 간다."]
    texts += NastyTexts(random.Random(7), engine.tokens).batch(300)
    found = [ragged.to_list() for ragged in function(tf.constant(texts))]
    exact = 0
    for text, ids, starts, ends in zip(texts, *found, strict=True):
        expected, offsets = engine.ids_with_offsets(text)
        assert ids == expected, text
        places = list(zip(starts, ends, strict=True))
        assert all(0 <= start <= end <= len(text) for start, end in places)
        assert places == offsets or not text.isascii(), text
        exact += places == offsets
    assert exact > len(texts) / 2


def changed(name, family="big_bird", **flags):
    """Returns a small model as one of another family, or one without its normalization or with other flags."""
    model = small_engine(name).model
    fields = {"kind": model.kind, "unk_id": model.unk_id, "charsmap": model.charsmap} | flags
    space = "▁" if fields.get("escape_whitespaces", True) else " "
    data = write_model([piece.replace("▁", space) for piece in model.pieces], model.scores, model.types, **fields)
    return SentencePiece(data, FAMILIES[family])


MARKS = pytest.mark.slow, pytest.mark.nightly
# Models whose ids come from SentencepieceTokenizer.
OFFSETS = {
    "big_bird": lambda: small_engine("big_bird"),
    "albert_bpe": lambda: changed("big_bird", "albert"),
    "albert_bpe_without_normalization": lambda: changed("big_bird", "albert", charsmap=b""),
    "xlnet_bpe_that_keeps_spaces": lambda: changed("big_bird", "xlnet", remove_extra_whitespaces=False),
    "bpe_without_prefix": lambda: changed("big_bird", add_dummy_prefix=False, remove_extra_whitespaces=False),
    "unigram_without_normalization": lambda: changed("xlm_roberta", "xlm_roberta", charsmap=b""),
    "unigram_that_does_not_escape_spaces": lambda: changed("xlm_roberta", "xlm_roberta", escape_whitespaces=False),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS[name != "big_bird"]) for name in OFFSETS])
def test_places_by_offsets_are_those_of_python(name):
    engine = SentencePieceEngine(OFFSETS[name]())
    layer = GraphSentencePiece(engine.model)
    assert layer.why_slow
    texts = [" \t a \t", "a \u0301 b", "x ''  ``y", "▁\u0487 ▁", "9,\u035e10²", "\u0326\u030b \u200a ㄳ ½", "  "]
    for each in (TIES + SEEN + texts, *map(NastyTexts(random.Random(8), engine.model.tokens).batch, [1, 32, 3000])):
        check_places(engine, layer, each)
    assert [each.to_list() for each in layer.pieces(tf.constant([], tf.string))] == [[]] * 3


def check_places(engine, layer, texts):
    function = tf.function(layer.pieces, input_signature=[STRINGS])
    found = (each.to_list() for each in function(tf.constant(texts)))
    same_ids = 0
    for text, ids, starts, ends in zip(texts, *found, strict=True):
        expected, offsets = engine.ids_with_offsets(text)
        if engine.model.model.kind == "bpe":
            assert ids == expected, text
        if ids == expected:  # Unigram's ties may be told apart in another way
            assert list(zip(starts, ends, strict=True)) == offsets, text
            same_ids += 1
    assert same_ids > 0.9 * len(texts)


@pytest.mark.slow
def test_golden_places_of_a_bpe_model(shared):
    name = "big_bird_selftrained"
    engine = SentencePieceEngine(golden_engine(shared, name))
    layer = GraphSentencePiece(engine.model)
    check_places(engine, layer, [text for text, _ in golden_cases(shared, name)])
    lines = (shared / "data/corpora/wikitext-2/valid.txt").read_text(encoding="utf-8").splitlines()
    check_places(engine, layer, lines[:1500])
    check_places(engine, layer, NastyTexts(random.Random(9), engine.model.tokens).batch(3000))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["big_bird", "albert"])
def test_blanks_are_all_characters_that_leave_no_text(name):
    engine = small_engine(name)
    joins, prefix, blanks = engine.rules.joins_spaces, engine.prefix, set()
    for code in [*range(0xD800), *range(0xE000, 0x110000)]:
        left = engine.normalize(f"a{chr(code)}a").removeprefix(prefix)
        if left in ("aa", "a▁a") or (joins and chr(code).isspace()):
            blanks.add(code)
    assert set(engine.blanks()) == blanks
    assert {0x20, 0x200B, 0x2581, 0x3000} <= blanks


def test_every_unigram_family_sums_as_sentencepiece_does():
    layers = {name: GraphSentencePiece(small_engine(name)) for name in SMALL}
    assert {name for name, layer in layers.items() if layer.why_slow} == {"big_bird"}


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_user_defined_pieces_score_as_in_sentencepiece(length):
    rng = random.Random(6)
    pieces = ["<unk>", "<s>", "</s>", "q" * length, "▁", "5", "55", *"abcd", "▁a", "▁b", "ab"]
    scores = [0.0] * 4 + [-rng.uniform(2, 9) for _ in pieces[4:]]
    types = [UNKNOWN, CONTROL, CONTROL, USER_DEFINED] + [NORMAL] * len(pieces[4:])
    charsmap = small_engine("xlm_roberta").model.charsmap
    data = write_model(pieces, scores, types, charsmap=charsmap)
    engine = SentencePiece(data, FAMILIES["xlm_roberta"])
    texts = ["".join(rng.choices(["a", "b", "c", " ", "q" * length], k=12)) + "555" for _ in range(500)]
    check(engine, in_graph(engine), texts)


def test_models_that_the_fast_op_gets_wrong_go_through_the_other():
    model = small_engine("xlm_roberta").model
    plain = read_model(write_model(model.pieces, model.scores, model.types))
    for changed in (plain, read_model(write_model(model.pieces, model.scores, model.types, escape_whitespaces=False))):
        engine = SentencePiece(changed.data, FAMILIES["xlm_roberta"])
        assert unfit(engine.model, engine.normalize)
        check(engine, in_graph(engine), ["the model reads", "a\tb c", "9,9 x"])


@pytest.mark.slow
def test_two_saved_models_in_one_and_in_a_fresh_process(tmp_path):
    texts, expected = [*TIES, *SEEN[2:]], {}
    module = tf.Module()
    module.layers = {}
    for name in ("albert", "deberta_v2"):
        module.layers[name] = GraphSentencePiece(small_engine(name))
        setattr(module, name, tf.function(module.layers[name], input_signature=[STRINGS]))
        expected[name] = [small_engine(name).ids(text) for text in texts]
    tf.saved_model.save(module, str(tmp_path / "model"))
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    program = """
import json, sys
import tensorflow as tf, tensorflow_text
module, texts = tf.saved_model.load(sys.argv[1]), json.load(open(sys.argv[2]))
print(json.dumps({name: getattr(module, name)(tf.constant(texts)).to_list() for name in ("albert", "deberta_v2")}))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "model"), str(tmp_path / "texts.json")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == expected
