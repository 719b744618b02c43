"""The predict command: tables and lines in, the answers of a saved classifier out, and what it refuses."""

import json

import numpy as np
import pytest

from keras_bert.cli.main import main
from keras_bert.models import BertClassifier
from keras_bert.serving.loading import load
from keras_bert.tasks.classify.arrays import predict as ask
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.classify.kinds import KINDS
from keras_bert.tasks.classify.training import predict_logits
from keras_bert.tasks.table import read_table, write_tsv
from keras_bert.text.tokenizer import Tokenizer
from tests.cli.classifiers import TEXTS, expected, make_classifiers

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    make_classifiers(folder)
    return folder


def predict(folder, model, output, *flags, source="t.tsv"):
    """Runs the command."""
    places = [f"--model_dir={folder / model}", f"--input_file={folder / source}", f"--output_file={output}"]
    return main(["predict", *places, *flags])


@pytest.mark.parametrize("source", ["t.tsv", "t.txt"])
def test_a_table_and_lines_give_the_same(folder, tmp_path, capsys, source):
    assert predict(folder, "single", tmp_path / "p.tsv", source=source) == 0
    printed = capsys.readouterr().out
    assert "answers with one of 3 classes: a, b, c" in printed
    assert f"input: 4 texts of {folder / source}; longer than 8: cut" in printed
    texts, _, labels, chosen = read_table(tmp_path / "p.tsv", id_column="probability of b")
    answer = expected(folder, "single")
    assert (texts, labels) == (TEXTS, answer["label"])
    np.testing.assert_allclose(np.array(chosen, float), answer["probabilities"][:, 1], atol=2e-6)


def test_pairs_and_ids(folder, tmp_path):
    assert predict(folder, "pair", tmp_path / "p.jsonl", "--id_column=no") == 0
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    answer = expected(folder, "pair", TEXTS[::-1])
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["pair"] for row in rows] == TEXTS[::-1]
    assert [row["label"] for row in rows] == answer["label"]
    np.testing.assert_allclose([row["probabilities"]["yes"] for row in rows], answer["probabilities"][:, 1], atol=2e-6)


def test_several_labels_with_their_separator(folder, tmp_path):
    assert predict(folder, "several", tmp_path / "p.tsv") == 0
    labels = read_table(tmp_path / "p.tsv", label_column=None, id_column="labels")[3]
    assert [label.replace("|", ",") for label in labels] == expected(folder, "several")["label"]
    assert any("|" in label for label in labels)


def test_numbers_in_windows(folder, tmp_path):
    flags = ["--long_texts=windows", "--doc_stride=1", "--max_seq_length=5"]
    assert predict(folder, "number", tmp_path / "p.tsv", *flags) == 0
    numbers = np.array(read_table(tmp_path / "p.tsv", label_column=None, id_column="score")[3], float)
    cut = expected(folder, "number", length=5)["score"]
    np.testing.assert_allclose(numbers[:3], cut[:3], atol=2e-6)
    model, tokenizer = BertClassifier.from_pretrained(folder / "number"), Tokenizer.from_pretrained(folder / "number")
    words = TEXTS[3].split()
    windows = [" ".join(words[start : start + 3]) for start in range(4)]
    mean = ask(model, tokenizer, windows, max_seq_length=5)["score"].mean()
    assert numbers[3] == pytest.approx(mean, abs=1e-5)
    assert numbers[3] != pytest.approx(cut[3], abs=1e-4)


@pytest.mark.parametrize(
    ("model", "labels", "figures"),
    [
        ("single", ["a", "b", "c", "a"], ["accuracy", "f1_macro"]),
        ("several", ["a|c", "b", "c", "c"], ["f1_micro", "f1_macro"]),
        ("number", ["1", "2.5", "-1", "0"], ["pearson", "mean_squared_error"]),
    ],
)
def test_labels_of_the_table_measure_the_answers(folder, tmp_path, capsys, model, labels, figures):
    write_tsv(tmp_path / "t.tsv", {"sentence": TEXTS, "truth": labels})
    assert predict(folder, model, tmp_path / "p.tsv", "--label_column=truth", source=tmp_path / "t.tsv") == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("measured by the column truth")]
    loaded = load(folder / model)
    kind = KINDS[loaded.model.kind]
    cells = [tuple(label.split("|")) for label in labels] if model == "several" else labels
    cells = [float(label) for label in labels] if model == "number" else cells
    reading = {name: loaded.model.reading[name] for name in ("max_seq_length", "long_texts", "doc_stride")}
    logits = predict_logits(loaded.model, Examples(TEXTS), loaded.tokenizer, **reading)
    known = kind.measure(kind.numbers(cells, loaded.model.labels), logits)
    assert line.endswith(kind.describe(known))
    assert all(f"{name} {known[name]:.4f}" in line for name in figures)
    if model == "single":
        found = read_table(tmp_path / "p.tsv")[2]
        assert known["accuracy"] == pytest.approx(np.mean(np.array(found) == labels))


def test_labels_want_a_table_and_a_place_for_the_answers(folder, tmp_path, capsys):
    asked = ["predict", f"--model_dir={folder / 'single'}", "--label_column=no"]
    assert main([*asked, "red dog", f"--output_file={tmp_path / 'p.tsv'}"]) == 2
    assert "is not read as a table" in capsys.readouterr().err
    assert main([*asked, f"--input_file={folder / 't.tsv'}"]) == 2
    assert (
        "--label_column: only a classifier's table of answers is measured; give --output_file."
        in capsys.readouterr().err
    )
    assert not (tmp_path / "p.tsv").exists()


def test_columns_by_flags(folder, tmp_path):
    assert predict(folder, "single", tmp_path / "p.tsv", "--text_column=other") == 0
    assert read_table(tmp_path / "p.tsv")[0] == TEXTS[::-1]


def test_an_output_that_stands_is_replaced_by_force_alone(folder, tmp_path, capsys):
    (tmp_path / "p.tsv").write_text("mine")
    assert predict(folder, "single", tmp_path / "p.tsv") == 2
    assert "--output_file" in capsys.readouterr().err
    assert (tmp_path / "p.tsv").read_text() == "mine"
    assert predict(folder, "single", tmp_path / "p.tsv", "--force") == 0
    assert read_table(tmp_path / "p.tsv")[0] == TEXTS


@pytest.mark.parametrize(
    ("model", "output", "source", "flags", "words"),
    [
        ("encoder", "p.tsv", "t.tsv", [], ["encoder has no answers to predict", "keras-bert fill_mask", "embed"]),
        ("single", "p.tsv", "t.txt", ["--id_column=no"], ["t.txt is read as one text a line", "'no'"]),
        ("single", "p.tsv", "t.txt", ["--input_format=json"], ["t.txt, line 1: not JSON", '"sentence"']),
        ("single", "p.tsv", "t.txt", ["a text"], ["give one of both"]),
        ("single", "p.tsv", "t.tsv", ["--max_query_length=4"], ["--max_query_length means nothing", "a Classifier"]),
        ("nowhere", "p.tsv", "t.tsv", [], ["nowhere does not exist"]),
        ("single", "p.csv", "t.tsv", [], ["--output_file", "p.csv must end in .tsv or .jsonl"]),
        ("single", "p.tsv", "nowhere.tsv", [], ["nowhere.tsv does not exist"]),
        ("single", "p.tsv", "t.tsv", ["--text_column=text"], ["no column 'text'", "'no', 'sentence', 'other'"]),
        ("single", "p.tsv", "t.tsv", ["--max_seq_length=17"], ["17", "to 16"]),
        ("single", "p.tsv", "t.txt", ["--pair_column=b"], ["t.txt is read as one text a line", "'b'"]),
        ("pair", "p.tsv", "t.txt", [], ["trained on pairs", "pair_column"]),
        ("single", "t.tsv/p.tsv", "t.tsv", [], ["is a file where a directory was expected"]),
        ("single", "p.tsv", "t.tsv", ["--label_column=no"], ["t.tsv, line 2: the label '1'", "not one of", "a, b, c"]),
        ("single", "p.tsv", "t.tsv", ["--label_column=gold"], ["no column 'gold'", "'no', 'sentence', 'other'"]),
        ("single", "p.tsv", "t.txt", ["--label_column=no"], ["--label_column: ", "t.txt is not read as a table"]),
        ("single", "p.tsv", "t.txt", ["--label_column=no", "--input_format=json"], ["is not read as a table"]),
        ("single", "p.tsv", "t.tsv", ["--label_column=no", "--input_format=text"], ["is not read as a table"]),
        ("single", "p.csv", "t.tsv", ["--label_column=no"], ["p.csv must end in .tsv or .jsonl"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(folder, capsys, tmp_path, model, output, source, flags, words):
    if output == "t.tsv/p.tsv":
        (tmp_path / "t.tsv").write_text("")
    assert predict(folder, model, tmp_path / output, *flags, source=source) == 2
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    assert all(word in error for word in words), error
    assert not (tmp_path / output).exists()
