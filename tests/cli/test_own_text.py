"""A user's own text as a corpus: both input formats, the split, and the table of passages."""

import json
import lzma

import pytest

from keras_bert.cli.corpus import Document
from keras_bert.cli.own_text import passage_tables, passages, write_own_corpus
from keras_bert.errors import UserError

COMMON = "All the documents have this very sentence in common."


def document(number, sentences):
    return [f"Document {number} says in sentence {i} that the river is wide." for i in range(sentences)]


def prose(documents, *, in_paragraph=5):
    """Returns running text: one paragraph a line, a blank line between documents."""
    lines = []
    for sentences in documents:
        lines += [" ".join(sentences[i : i + in_paragraph]) for i in range(0, len(sentences), in_paragraph)] + [""]
    return "\n".join(lines)


def written(folder, name):
    return [d.split("\n") for d in (folder / f"{name}.txt").read_text(encoding="utf-8").split("\n\n") if d]


def test_prose_sentences_and_json_lines_give_the_same_files(tmp_path):
    documents = [[*document(n, 12), COMMON] for n in range(60)]
    (tmp_path / "prose.txt").write_text(prose(documents))
    with lzma.open(tmp_path / "sentences.txt.xz", "wt") as stream:
        stream.write("\n\n".join("\n".join(d) for d in documents))
    (tmp_path / "jsonl" / "deep").mkdir(parents=True)
    for part, of_part in (("a.jsonl", documents[:30]), ("deep/b.jsonl", documents[30:])):
        (tmp_path / "jsonl" / part).write_text("".join(json.dumps({"text": " ".join(d)}) + "\n" for d in of_part))
    for name in ("prose.txt", "sentences.txt.xz", "jsonl"):
        write_own_corpus(str(tmp_path / name), tmp_path / f"of {name}")
    for name in ("train.txt", "heldout.txt"):
        texts = {
            (tmp_path / f"of {source}" / name).read_text() for source in ("prose.txt", "sentences.txt.xz", "jsonl")
        }
        assert len(texts) == 1 and len(texts.pop()) > 1000


def test_every_document_is_on_one_side_and_shared_sentences_are_only_in_the_training_text(tmp_path):
    documents = [[*document(n, 12), COMMON] for n in range(60)]
    (tmp_path / "a.txt").write_text(prose(documents[:30]))
    (tmp_path / "b.txt").write_text(prose(documents[30:]))
    statistics = write_own_corpus(str(tmp_path / "*.txt"), tmp_path / "corpus")
    train, heldout = written(tmp_path / "corpus", "train"), written(tmp_path / "corpus", "heldout")
    assert statistics["train_documents"] + statistics["heldout_documents"] == 60
    assert len(train) > len(heldout) >= 2
    assert sorted([*train, *([*d, COMMON] for d in heldout)]) == sorted(documents)


def test_of_four_documents_two_are_held_out(tmp_path):
    (tmp_path / "a.txt").write_text(prose([document(n, 6) for n in range(4)]))
    statistics = write_own_corpus(str(tmp_path / "a.txt"), tmp_path / "corpus")
    assert (statistics["train_documents"], statistics["heldout_documents"]) == (2, 2)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_too_few_documents_are_one_sentence_and_leave_nothing(tmp_path, number):
    (tmp_path / "few.txt").write_text(prose([document(n, 6) for n in range(number)]))
    with pytest.raises(UserError, match=r"few\.txt.*needs 2; give more text") as caught:
        write_own_corpus(str(tmp_path / "few.txt"), tmp_path / "corpus")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["few.txt"]


def test_text_that_repeats_itself_has_nothing_to_hold_out(tmp_path):
    (tmp_path / "a.txt").write_text(prose([[COMMON, COMMON, f"Number {n}."] for n in range(40)]))
    with pytest.raises(UserError, match=r"held-out text has 0 usable documents"):
        write_own_corpus(str(tmp_path / "a.txt"), tmp_path / "corpus")


def test_passages_are_whole_sentences_of_about_sixty_words():
    sentences = [f"Sentence number {i} has exactly nine words in it." for i in range(30)]
    found = passages(sentences)
    assert [len(passage.split()) for passage in found] == [63] * 4
    assert " ".join(found) == " ".join(sentences[:28])


def test_passages_of_a_script_without_spaces():
    assert [len(passage) for passage in passages(["这是一个没有空格的句子。" * 2] * 100)] == [249] * 10


def test_test_passages_come_from_later_in_the_document():
    heldout = [Document("", str(n), tuple(document(n, 6 * length))) for n, length in enumerate([30, 25, 20, 15, 3])]
    train, test = passage_tables(heldout)
    labels = {f"{n}: Document {n - 1} says in sentence 0" for n in (1, 2, 3)}
    assert {label for _, label in train} == {label for _, label in test} == labels
    assert (len(train), len(test)) == (36, 24)  # 60 % and the rest of the shortest one's 20, three times

    def places(rows, number):
        return [int(text.split()[5]) for text, label in rows if label.startswith(f"{number}:")]

    for number in (1, 2, 3):
        assert max(places(train, number)) < min(places(test, number))


def test_short_documents_are_used_when_there_are_no_longer_ones_and_none_when_it_is_impossible(tmp_path):
    def heldout(*lengths):
        return [Document("", str(n), tuple(document(n, 6 * length))) for n, length in enumerate(lengths)]

    train, test = passage_tables(heldout(30, 6, 5, 4))
    assert (len(train), len(test)) == (9, 6)  # three classes, three and two of the shortest one's five
    assert passage_tables(heldout(30, 4)) is None
    assert passage_tables([]) is None
    (tmp_path / "a.txt").write_text(prose([document(n, 6) for n in range(40)]))
    assert "classes" not in write_own_corpus(str(tmp_path / "a.txt"), tmp_path / "corpus")
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == ["heldout.txt", "train.txt"]
