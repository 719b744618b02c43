"""A SentencePiece engine gives transformers' slow tokenizers' ids, in bulk too, and offsets into the given text."""

import pickle
import random

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.text.sentence_piece.cleaning import clean, clean_with_places
from keras_bert.text.sentence_piece.cleaning_bulk import BulkCleaner
from keras_bert.text.sentence_piece.model import CONTROL, NORMAL, UNKNOWN, read_model, write_model
from keras_bert.text.sentence_piece.pieces import SentencePiece
from keras_bert.text.sentence_piece.rules import FAMILIES
from tests.text.nasty import NastyTexts
from tests.text.sentence_piece_models import (
    GOLDEN,
    SMALL,
    golden_cases,
    golden_engine,
    ids_with_kept,
    small_engine,
    small_model,
)

GOLDENS = pytest.mark.parametrize("name", [*GOLDEN])
SMALLS = pytest.mark.parametrize("name", [*SMALL])


def test_small_example_by_hand():
    pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁the", "▁cat", "s", "▁9", ",", "▁9,", "9"]
    types = [CONTROL, UNKNOWN, CONTROL, CONTROL, CONTROL] + [NORMAL] * 7
    scores = [0, 0, 0, 0, 0, -2, -3, -4, -5, -5, -1, -6]
    engine = SentencePiece(write_model(pieces, scores, types, unk_id=1), FAMILIES["albert"])
    assert engine.ids("THE cats") == [5, 6, 7]
    assert engine.ids("9,9") == [8, 9, 11]  # not ▁9, and 9: the comma rule
    assert engine.commas == {10: [8, 9]}
    assert engine.ids("the ☃☃") == engine.ids("the ☃") != []
    assert engine.ids_with_offsets(" the\tcats") == ([5, 6, 7], [(1, 4), (5, 8), (8, 9)])
    assert engine.special == {"pad": "<pad>", "unk": "<unk>", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    assert engine.is_continuation.tolist() == [False] * 7 + [True, False, True, False, True]
    assert engine.text([2, 5, 6, 7, 3]) == "[CLS] the cats [SEP]"


@GOLDENS
def test_golden_ids(shared, name):
    engine = golden_engine(shared, name)
    for text, ids in golden_cases(shared, name):
        assert ids_with_kept(engine, text) == ids, text


@GOLDENS
def test_golden_texts_in_bulk_and_with_offsets(shared, name):
    engine = golden_engine(shared, name)
    texts = [text for text, _ in golden_cases(shared, name)]
    assert len(texts) > 100
    check_bulk(engine, texts)
    check_offsets(engine, texts)


@SMALLS
def test_fuzzed_texts(name):
    engine = small_engine(name)
    maker = NastyTexts(random.Random(0), engine.tokens)
    for size in (1, 30, 300, 1000):
        texts = maker.batch(size)
        check_bulk(engine, texts)
        check_offsets(engine, texts[:100])


def check_bulk(engine, texts):
    expected = [engine.ids(text) for text in texts]
    ids, lengths = engine.bulk(texts)
    assert lengths.tolist() == [len(row) for row in expected]
    for text, found, right in zip(texts, np.split(ids, np.cumsum(lengths)[:-1]), expected, strict=True):
        assert found.tolist() == right, text


def check_offsets(engine, texts):
    for text in texts:
        ids, offsets = engine.ids_with_offsets(text)
        assert ids == engine.ids(text), text
        assert len(offsets) == len(ids)
        for start, end in offsets:
            assert 0 <= start <= end <= len(text)
            for char in text[start : start + (end > start)] + text[end - (end > start) : end]:
                assert not char.isspace() or f"{char}" in engine.normalize(f"a{char}a"), (text, start, end)


@GOLDENS
def test_offsets_of_plain_words_are_the_pieces(shared, name):
    engine = golden_engine(shared, name)
    text = "the  quick brown fox\njumps over lazy dogs"
    ids, offsets = engine.ids_with_offsets(text)
    unknown = {index for index, token in enumerate(engine.tokens) if index == engine.unk_id}
    spelt = ["".join(engine.tokens[index].split("▁")) for index in ids if index not in unknown]
    assert spelt == [text[start:end] for (start, end), index in zip(offsets, ids, strict=True) if index not in unknown]
    assert "".join(text[start:end] for start, end in offsets) == "".join(text.split())


@GOLDENS
def test_offsets_are_sentencepieces_own(shared, name):
    engine = golden_engine(shared, name)
    if engine.rules.cleans:
        pytest.skip("its offsets are those of another string")
    for text, _ in golden_cases(shared, name):
        own = engine.processor.encode(text, return_type="offset_mapping")["offsets"]
        _, offsets = engine.ids_with_offsets(text)
        for (start, end), (first, last) in zip(offsets, own, strict=True):
            assert first <= start <= last or start == end, text
            assert text[start:end] in text[first : last + 1], text


def test_pieces_of_one_character_share_its_place():
    engine = small_engine("albert")
    ids, offsets = engine.ids_with_offsets("a ½ b")
    assert len(ids) > 3
    assert {place for place in offsets if place[0] == 2} <= {(2, 3), (2, 2)}
    assert (2, 3) in offsets


def test_decoding():
    engine = small_engine("xlm_roberta")
    text = "the model reads text"
    assert engine.text(engine.ids(text)) == text
    assert engine.text([0, *engine.ids(text), 2]) == f"<s> {text} </s>"


@SMALLS
def test_pickled_engine_is_the_same(name):
    engine = small_engine(name)
    again = pickle.loads(pickle.dumps(engine))
    assert again.ids("the model, 1999, 9") == engine.ids("the model, 1999, 9")
    assert again.tokens == engine.tokens


def test_families_number_their_tokens():
    engine = small_engine("xlm_roberta")
    assert engine.tokens[:4] == ("<s>", "<pad>", "</s>", "<unk>")
    assert engine.tokens[-1] == "<mask>"
    assert len(engine.tokens) == len(engine.model.pieces) + 2
    assert engine.ids("☃☃")[-1] == engine.unk_id == 3
    assert small_engine("deberta_v2").tokens[-1] == "[MASK]"
    assert small_engine("kobert").unk_id == 0
    camembert = SentencePiece(small_model("xlm_roberta"), FAMILIES["camembert"])
    assert camembert.tokens[3:7] == ("<unk>", "<unk>NOTUSED", "<s>", "</s>")
    assert camembert.ids("the") == [index + 3 for index in engine.ids("the")]
    assert camembert.ids("☃☃")[-1] == 3


def test_rows_of_a_vocabulary_beside_the_model_number_the_pieces():
    engine = small_engine("kobert")
    rows = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", *sorted(engine.tokens[5:])]
    other = SentencePiece(small_model("kobert"), FAMILIES["kobert"].replaced(rows=tuple(rows)))
    text = "the model reads 한국어"
    assert [other.tokens[index] for index in other.ids(text)] == [engine.tokens[index] for index in engine.ids(text)]
    assert other.ids(text) != engine.ids(text)


def test_lone_surrogates_are_replaced():
    engine = small_engine("kobert")
    assert engine.ids("a\ud800b") == engine.ids("a\ufffdb")
    check_bulk(engine, ["a\ud800b", "c"])


def test_nothing_gives_nothing():
    engine = small_engine("albert")
    assert engine.ids("") == engine.ids(" \t ") == []
    assert engine.ids_with_offsets(" ") == ([], [])
    ids, lengths = engine.bulk([])
    assert (len(ids), len(lengths)) == (0, 0)
    assert engine.bulk(["", " "])[1].tolist() == [0, 0]


def test_cleaning_lower_cases_each_character_by_itself():
    rules = FAMILIES["albert"]
    assert clean("ΟΔΟΣ Ϲ ﬁ ℡ İ", rules) == "οδοσ ς fi tel i"
    assert clean("Crème", rules.replaced(do_lower_case=False)) == "Creme"
    assert clean("Crème", rules.replaced(keeps_accents=True)) == "crème"


@pytest.mark.parametrize("changes", [{}, {"do_lower_case": False}, {"keeps_accents": True}, {"joins_spaces": False}])
def test_cleaning_with_places_and_in_bulk_agree(changes):
    rules = FAMILIES["albert"].replaced(**changes)
    bulk = BulkCleaner(rules, odd_spaces="\x0b\x0c\x1c\x1d\x1e\x1f\x85")
    for texts in map(NastyTexts(random.Random(1)).batch, [1, 50, 400]):
        for text, cleaned in zip(texts, bulk(texts), strict=True):
            expected = clean(text, rules)
            found, places = clean_with_places(text, rules)
            assert found == expected
            assert len(places) == len(found)
            assert " ".join(cleaned.decode().split()) == " ".join(expected.split())


@pytest.mark.parametrize("cut", [0, 1, 100, 5000, -1, -40])
def test_damaged_models_are_refused(cut):
    with pytest.raises(UserError, match=r"m\.model.* (damaged|must have|lacks)"):
        SentencePiece(small_model("albert")[:cut], FAMILIES["albert"], source="m.model")


@pytest.mark.parametrize("data", [b"not a model", b"\n" * 50, bytes(100), b"\xff" * 1000])
def test_other_files_are_refused(data):
    with pytest.raises(UserError, match="damaged or no SentencePiece model"):
        read_model(data)


def test_a_model_without_the_family_s_special_tokens_is_refused():
    with pytest.raises(UserError, match=r"lacks '\[CLS\]', which is the cls token of its family, albert"):
        SentencePiece(small_model("xlm_roberta"), FAMILIES["albert"].replaced(special=(("cls", "[CLS]"),)))


def test_models_of_unsupported_kinds_are_refused():
    model = read_model(small_model("xlm_roberta"))
    for kind in ("word", "char"):
        data = write_model(model.pieces, model.scores, model.types, kind=kind)
        with pytest.raises(UserError, match=f"model_type that is not supported, '{kind}'"):
            read_model(data)


def test_a_model_written_again_gives_the_same_ids():
    engine = small_engine("xlm_roberta")
    model = engine.model
    data = write_model(model.pieces, model.scores, model.types, unk_id=model.unk_id, charsmap=model.charsmap)
    again = SentencePiece(data, engine.rules)
    for text in NastyTexts(random.Random(2), engine.tokens).batch(100):
        assert again.ids(text) == engine.ids(text)
