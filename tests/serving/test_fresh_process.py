"""Equal to Python: every head's SavedModel, moved, zipped and unpacked, in a process without this library."""

import json
import shutil

import pytest

import keras_bert as kb
from tests.serving.asking import SIZES, assert_same, in_fresh_process, in_python, requests

PARAGRAPHS = 60  # of each file of questions


@pytest.fixture(scope="module")
def unpacked(exported, tmp_path_factory):
    """{name: the SavedModel's path} after they were moved, packed and unpacked; nothing is left where they were."""
    folder = tmp_path_factory.mktemp("journey")
    for name, each in exported.items():
        shutil.copytree(each.path, folder / "copies" / name / "1")
    shutil.move(folder / "copies", folder / "moved")
    archive = shutil.make_archive(str(folder / "models"), "zip", folder / "moved")
    shutil.rmtree(folder / "moved")
    shutil.unpack_archive(archive, folder / "unpacked")
    return {name: folder / "unpacked" / name / "1" for name in exported}


@pytest.fixture
def compare(unpacked, models, tokenizer, tmp_path):
    """A function that asks every model in one process and Python, compares, and returns {name: answers}."""

    def asked(texts, pairs=None):
        every = requests(texts, pairs)
        assert every.keys() == models.keys() == unpacked.keys()
        found = in_fresh_process({unpacked[name]: each for name, each in every.items()}, tmp_path, "--rows", "64")
        answers = dict(zip(every, found, strict=True))
        for name, inputs in every.items():
            assert_same(answers[name], in_python(name, models[name], tokenizer, inputs), name)
        return answers

    return asked


@pytest.mark.slow
def test_difficult_texts(compare, texts, golden, models, tokenizer):
    cases = json.loads((golden / "tokenization" / "tokenization.json").read_text(encoding="utf-8"))
    texts = [*texts, *(case["text"] for case in cases)]
    answers = compare(texts)
    for text, found, expected in zip(
        texts, answers["ner"], kb.ner.tag(models["ner"], tokenizer, texts, **SIZES), strict=True
    ):
        places = [(found["start"][first], found["end"][last - 1]) for _, first, last in kb.ner.entities(found["label"])]
        assert places == [(each["start"], each["end"]) for each in expected]
        assert [text[start:end] for start, end in places] == [each["text"] for each in expected]
    # Answers that are all alike would show nothing.
    assert {row["label"] for row in answers["classify"]} == set(models["classify"].labels)
    assert len({row["label"] for row in answers["multi_label"]}) > 2
    assert {label for row in answers["ner"] for label in row["label"]} == set(models["ner"].labels)
    assert {row["start"] < 0 for row in answers["squad"]} == {True, False}
    assert {row["choice"] for row in answers["multiple_choice"]} == {0, 1, 2}
    assert {row["num_masks"] for row in answers["fill_mask"]} >= {1, 2}


@pytest.mark.slow
def test_golden_strings_and_real_texts(compare, shared):
    cases = json.loads((shared / "golden/tokenization/google_tokenization.json").read_text(encoding="utf-8"))
    lines = (shared / "data/corpora/wikitext-2/valid.txt").read_text(encoding="utf-8").splitlines()
    sentences = [sentence for line in lines[:400] for sentence in line.split(" . ") if len(sentence) > 40]
    pairs = []
    for name in ("squad/dev-v1.1.json", "korean/korquad/KorQuAD_v1.0_dev.json"):
        articles = json.loads((shared / "data" / name).read_text(encoding="utf-8"))["data"]
        paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]][:PARAGRAPHS]
        pairs += [(paragraph["qas"][0]["question"], paragraph["context"]) for paragraph in paragraphs]
    korean = [context for _, context in pairs[PARAGRAPHS:]]
    texts = [*(case["text"] for case in cases), *sentences[:200], *korean]
    assert len(texts) > 400 and len(pairs) == 2 * PARAGRAPHS
    answers = compare(texts, pairs)
    assert len({row["text"] for row in answers["squad"]}) > PARAGRAPHS // 2
