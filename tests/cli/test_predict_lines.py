"""The predict command in the shell, for classifiers: texts and objects in, an answer a line out."""

import json

import numpy as np
import pytest

from keras_bert.cli.main import main
from keras_bert.cli.predict_inputs import _told_of_repeated
from keras_bert.tasks.table import read_table
from tests.cli.classifiers import HEADS, TEXTS, expected, make_classifiers
from tests.cli.shell import Shell, lines

pytestmark = pytest.mark.usefixtures("eagerly")

PAIRS = list(zip(TEXTS, TEXTS[::-1], strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    make_classifiers(folder)
    return folder


@pytest.fixture
def shell(folder, monkeypatch, capsys):
    return Shell(monkeypatch, capsys, folder)


def test_an_answer_for_each_line_blank_ones_among_them(shell):
    answers = shell("predict", "single", "--batch_size=2", data="\n".join(TEXTS).encode())
    answer = expected(shell.folder, "single")
    assert [each["text"] for each in answers] == TEXTS
    assert "" in TEXTS
    assert [each["label"] for each in answers] == answer["label"]
    assert [list(each) for each in answers] == [["text", "label", "probability", "probabilities"]] * len(TEXTS)
    assert all(list(each["probabilities"]) == HEADS["single"]["labels"] for each in answers)
    shares = [list(each["probabilities"].values()) for each in answers]
    np.testing.assert_allclose(shares, answer["probabilities"], atol=2e-6)
    assert "answers with one of 3 classes: a, b, c" in shell.error
    assert "input: standard input, a text a line; longer than 8: cut" in shell.error
    assert shell("predict", "single", *TEXTS) == answers
    assert shell("predict", "single", f"--input_file={shell.folder / 't.txt'}") == answers


def test_several_labels_and_numbers(shell):
    answers = shell("predict", "several", *TEXTS)
    assert [",".join(each["labels"]) for each in answers] == expected(shell.folder, "several")["label"]
    scores = [each["score"] for each in shell("predict", "number", *TEXTS)]
    np.testing.assert_allclose(scores, expected(shell.folder, "number")["score"], atol=2e-6)


@pytest.mark.parametrize(
    ("names", "flags"),
    [(("text", "pair"), []), (("sentence", "other"), []), (("one", "two"), ["--text_column=one", "--pair_column=two"])],
)
def test_pairs_are_objects_by_their_own_names_or_the_columns(shell, names, flags):
    answers = shell("predict", "pair", *flags, data=lines(dict(zip(names, pair, strict=True)) for pair in PAIRS))
    assert [(each["text"], each["pair"]) for each in answers] == PAIRS
    answer = expected(shell.folder, "pair", TEXTS[::-1])
    shares = [list(each["probabilities"].values()) for each in answers]
    np.testing.assert_allclose(shares, answer["probabilities"], atol=2e-6)


def test_what_begins_with_a_brace_is_a_text_unless_it_is_said_otherwise(shell):
    data = lines([{"text": "red dog"}, {"text": "blue cat dog"}])
    answers = shell("predict", "single", data=data)
    assert [each["text"] for each in answers] == data.decode().splitlines()
    note = "note: standard input, line 1 is an object, and is read as a text as it stands; --input_format=json reads"
    assert shell.error.count(note) == shell.error.count("note:") == 1
    assert shell("predict", "single", "--input_format=text", data=data) == answers
    assert "note" not in shell.error
    [answer] = shell("predict", "single", data=b"{red} dog\n")
    assert answer["text"] == "{red} dog"
    assert "note" not in shell.error
    objects = shell("predict", "single", "--input_format=json", data=data)
    assert objects == shell("predict", "single", "red dog", "blue cat dog")


def test_windows_as_in_the_file_mode(shell, tmp_path):
    flags = ["--long_texts=windows", "--doc_stride=1", "--max_seq_length=5"]
    places = [f"--model_dir={shell.folder / 'number'}", f"--input_file={shell.folder / 't.tsv'}"]
    assert main(["predict", *places, f"--output_file={tmp_path / 'p.jsonl'}", *flags]) == 0
    written = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    answers = shell("predict", "number", *flags, *TEXTS)
    assert [each["text"] for each in answers] == [each["text"] for each in written]
    np.testing.assert_allclose([a["score"] for a in answers], [w["score"] for w in written], atol=2e-6)
    assert "longer than 5: read in windows" in shell.error
    assert answers != shell("predict", "number", "--max_seq_length=5", *TEXTS)


def test_a_table_to_standard_output(shell):
    answers = shell("predict", "pair", f"--input_file={shell.folder / 't.tsv'}", "--id_column=no")
    assert [each["id"] for each in answers] == list("1234")
    objects = lines({"text": text, "pair": pair} for text, pair in PAIRS)
    for answer, same in zip(answers, shell("predict", "pair", data=objects), strict=True):
        assert answer["label"] == same["label"]
        assert answer["probability"] == pytest.approx(same["probability"], abs=2e-6)


def test_lines_to_a_table(shell, tmp_path):
    path = tmp_path / "p.tsv"
    answers = shell("predict", "single", *TEXTS)
    assert shell.capsys.readouterr().out == ""
    shell.monkeypatch.setattr("sys.stdin", None)  # which nobody reads where texts are given
    assert main(["predict", f"--model_dir={shell.folder / 'single'}", f"--output_file={path}", *TEXTS]) == 0
    assert f"{path}, 4 predictions" in shell.capsys.readouterr().out
    texts, _, labels, _ = read_table(path)
    assert (texts, labels) == (TEXTS, [each["label"] for each in answers])
    objects = [{"no": number, "sentence": text} for number, text in enumerate(TEXTS)]
    (tmp_path / "o.txt").write_bytes(lines(objects))
    flags = [f"--input_file={tmp_path / 'o.txt'}", "--input_format=json", "--id_column=no", "--force"]
    assert main(["predict", f"--model_dir={shell.folder / 'single'}", f"--output_file={path}", *flags]) == 0
    assert read_table(path, id_column="id")[3] == ["0", "1", "2", "3"]


def test_answers_to_read(shell, capsys):
    def shown(model, *words):
        assert main(["predict", f"--model_dir={shell.folder / model}", "--format=text", *words]) == 0
        return capsys.readouterr().out.splitlines()

    [answer] = shell("predict", "single", "red dog")
    best = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
    assert shown("single", "red dog") == [
        "red dog",
        "  " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in best),
    ]
    [answer] = shell("predict", "number", "red dog")
    assert shown("number", "red dog") == ["red dog", f"  {answer['score']:.4f}"]
    pair = json.dumps({"text": "red dog", "pair": "hen"})
    assert shown("pair", pair)[0] == "red dog | hen"
    named = [", ".join(answer["labels"]) or "none" for answer in shell("predict", "several", *TEXTS)]
    assert len(set(named)) > 1
    lines_shown = shown("several", *TEXTS)
    assert lines_shown[::2] == TEXTS
    assert [line.partition(": ")[0] for line in lines_shown[1::2]] == [f"  {names}" for names in named]


@pytest.mark.parametrize(
    ("model", "words", "data", "sentence", "before"),
    [
        ("pair", [], lines([{"text": "a", "pair": "b"}]) + b"a\n", "standard input, line 2: not JSON", 1),
        ("pair", [], lines([{"text": "a"}]), 'line 1: \'other\' is missing; {"sentence": "...", "other"', 0),
        ("pair", ["--pair_column=two"], lines([{"text": "a", "pair": "b"}]), "line 1: 'two' is missing", 0),
        ("pair", ["--input_format=text", "a"], b"", "asked by more than a text here; give objects", 0),
        ("single", ["--id_column=no", "a"], b"", "text 1: not JSON", 0),
        ("single", [], b"a\nb\n\xe9\n", "standard input, line 3: not UTF-8", 2),
        (
            "single",
            ["--input_format=json"],
            b'{"text": "a"}\n\n{"text": null}\n',
            "line 3: 'text' is null; a string",
            1,
        ),
        ("single", ["--max_seq_length=17", "a"], b"", "to 16", 0),
        ("single", ["--input_file={folder}/t.tsv", "--text_column=body"], b"", "no column 'body'", 0),
        ("single", ["--output_file={folder}/new.tsv"], b"", "standard input: nothing to answer; a text a line", 0),
    ],
)
def test_what_does_not_fit_is_one_sentence(shell, model, words, data, sentence, before):
    words = [word.replace("{folder}", str(shell.folder)) for word in words]
    said, answers = shell.refused("predict", model, *words, data=data)
    assert sentence in said
    assert len(answers) == before
    assert not (shell.folder / "new.tsv").exists()


def test_nothing_in_nothing_out(shell):
    assert shell("predict", "single", data=b"") == []
    assert shell("predict", "pair", data=b"\n") == []
    assert len(shell("predict", "single", data=b"\n")) == 1


def test_an_id_that_comes_again_is_noted_once(capsys):
    rows = [(f"line {n}", {"id": name}) for n, name in enumerate("abaab", 1)]
    assert list(_told_of_repeated(iter([*rows, None]))) == [*rows, None]
    assert capsys.readouterr().err.startswith("note: line 3 has the id of an earlier one, 'a'; each is answered")
