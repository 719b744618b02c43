"""The split of documents, and the search for sentences that stand in both texts."""

import random

import pytest

from keras_bert.cli import corpus
from keras_bert.cli.corpus import Document, balanced_table, first_words, is_heldout, shared_sentences, write_split
from keras_bert.errors import UserError

LETTERS = "abcdefghij "


def test_about_a_tenth_is_held_out():
    assert 850 < sum(is_heldout(f"package.module{n}") for n in range(10_000)) < 1150


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 22])
def test_shared_sentences_are_those_that_a_plain_search_finds(monkeypatch, chunk):
    monkeypatch.setattr(corpus, "CHUNK", chunk)
    rng = random.Random(3)
    text = "".join(rng.choices(LETTERS, k=3000)).replace("j", "\n") + "한국어 문장이 여기에 하나 있습니다. " * 3
    flat = text.replace("\n", " ")
    inside = [flat[start : start + rng.randint(25, 90)] for start in rng.sample(range(2900), 40)]
    changed = [sentence[:-1] + ("x" if sentence[-1] != "x" else "y") for sentence in inside]
    sentences = [*inside, *changed, "한국어 문장이 여기에 하나 있습니다. 한국어 문장이 여기에", flat[-40:]]
    expected = {s for s in sentences if len(s) > 30 and s in flat}
    assert len(expected) > 20
    assert shared_sentences(sentences, text.encode()) == expected


def test_the_border_is_thirty_characters():
    thirty, thirty_one = "x" * 29 + ".", "y" * 30 + "."
    assert shared_sentences([thirty, thirty_one], f"{thirty} {thirty_one}".encode()) == {thirty_one}


def test_a_text_shorter_than_a_sentence():
    assert shared_sentences(["a sentence of more than thirty characters"], b"") == set()
    assert shared_sentences(["a sentence of more than thirty characters"], b"a short text") == set()


def test_held_out_documents_lose_what_they_share(tmp_path):
    common = "This sentence is longer than thirty characters."
    documents = [
        Document("p", "train", (common, "Only here.")),
        Document("p", "train", ("Another document.", "It has two.")),
        Document("p", "held", (common, "First one.", "Second one.")),
        Document("p", "held", (common, "Alone then.")),
        Document("p", "held", ("Short one.", "Only here.")),
    ]
    statistics, heldout = write_split(tmp_path, documents, heldout="held".__eq__)
    assert [d.sentences for d in heldout] == [("First one.", "Second one."), ("Short one.", "Only here.")]
    assert (tmp_path / "heldout.txt").read_text() == "First one.\nSecond one.\n\nShort one.\nOnly here.\n\n"
    assert (tmp_path / "train.txt").read_text().startswith(f"{common}\nOnly here.\n\nAnother document.\n")
    assert statistics["train_documents"] == statistics["heldout_documents"] == 2
    assert statistics["heldout_sentences"] == 4
    assert statistics["heldout_bytes"] == (tmp_path / "heldout.txt").stat().st_size


@pytest.mark.parametrize(("modules", "side"), [("tthh", None), ("thh", "training"), ("tth", "held-out"), ("", "train")])
def test_two_documents_on_each_side_are_needed(tmp_path, modules, side):
    documents = [Document("p", m, (f"The first of {i}.", f"The second of {i}.")) for i, m in enumerate(modules)]
    if side is None:
        assert write_split(tmp_path, documents, heldout="h".__eq__)[0]["heldout_documents"] == 2
        return
    with pytest.raises(UserError, match=f"{side}.* text has .* needs 2") as caught:
        write_split(tmp_path, documents, heldout="h".__eq__)
    assert caught.value.exit_status == 2


def test_first_words_keep_whole_sentences_and_cut_a_long_first_one():
    assert first_words(["a b c", "d e", "f"], max_words=5) == "a b c d e"
    assert first_words(["a b c", "d e f", "g"], max_words=5) == "a b c"
    assert first_words(["a b c d e f"], max_words=5) == "a b c d e"


def test_a_balanced_table_does_not_depend_on_the_order_of_its_examples():
    examples = [(f"text {i}", "abc"[i % 3]) for i in range(60)]
    table = balanced_table(examples, per_label=5)
    assert sorted(label for _, label in table) == ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    assert table == balanced_table(examples[::-1], per_label=5)
    assert [label for _, label in table] != sorted(label for _, label in table)
