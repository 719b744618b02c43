"""Tables as examples: classes, several labels and numbers, what is held out, and what is refused."""

import json

import numpy as np
import pytest

from keras_bert.errors import UserError, UserNote
from keras_bert.tasks.classify.examples import Examples, read_examples, read_inputs


def write_rows(path, *rows):
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_classes_come_from_the_training_set(tmp_path):
    train = write_rows(tmp_path / "train.tsv", ("text", "label"), ("a", "yes"), ("b", "no"), ("c", "maybe"))
    dev = write_rows(tmp_path / "dev.tsv", ("text", "label"), ("d", "yes"), ("e", "no"))
    unlabelled = write_rows(tmp_path / "test.tsv", ("text",), ("f",))
    classes, train, dev, test = read_examples(train, dev, unlabelled)
    assert classes == ["maybe", "no", "yes"]
    assert train.labels.tolist() == [2, 1, 0]
    assert dev.labels.tolist() == [2, 1]
    assert (train.kind, dev.kind) == ("classes", "classes")
    assert (test.texts, test.labels, len(test)) == (["f"], None, 1)
    assert train.weights is None


def test_a_label_that_training_lacks_and_a_single_class(tmp_path):
    train = write_rows(tmp_path / "train.tsv", ("text", "label"), ("a", "yes"), ("b", "no"))
    dev = write_rows(tmp_path / "dev.tsv", ("text", "label"), ("d", "yes"), ("e", "No"))
    with pytest.raises(UserError, match=r"dev.tsv, line 3: the label 'No' is not one of the training set's: no, yes"):
        read_examples(train, dev)
    unlabelled = write_rows(tmp_path / "test.tsv", ("text",), ("f",))
    with pytest.raises(UserError, match=r"test.tsv has no column 'label'; its columns are 'text'"):
        read_examples(train, unlabelled)
    (tmp_path / "commas.tsv").write_text("text,label\na,yes\n")
    with pytest.raises(UserError, match=r"its columns are 'text,label'; if commas part them, call the file \.csv"):
        read_examples(tmp_path / "commas.tsv")
    train = write_rows(tmp_path / "train.tsv", ("text", "label"), ("a", "yes"), ("b", "yes"))
    with pytest.raises(UserError, match="all 2 rows have the label 'yes'; a classifier needs two or more"):
        read_examples(train, dev)


def test_several_labels(tmp_path):
    train = tmp_path / "train.jsonl"
    rows = [{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": []}, {"text": "c", "label": ["z"]}]
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dev = write_rows(tmp_path / "dev.tsv", ("text", "label"), ("d", "z|x"), ("e", ""))
    options = {"kind": "multi_label", "label_separator": "|"}
    classes, train, dev, _ = read_examples(train, dev, class_weights="balanced", **options)
    assert classes == ["x", "y", "z"]
    assert train.labels.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert train.weights.tolist() == [[2, 2, 1], [1, 1, 1], [1, 1, 2]]
    assert dev.labels.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert dev.kind == "multi_label"
    same = write_rows(tmp_path / "same.tsv", ("text", "label"), ("d", "z|x"), ("e", "x|z"))
    with pytest.raises(UserError, match=r"all 2 rows have the label 'x\|z'"):
        read_examples(same, same, **options)


def test_numbers(tmp_path):
    train = write_rows(tmp_path / "train.tsv", ("text", "score"), ("a", "1.5"), ("b", "-2"))
    dev = write_rows(tmp_path / "dev.tsv", ("text", "score"), ("d", "7"))
    options = {"kind": "regression", "label_column": "score"}
    classes, train, dev, _ = read_examples(train, dev, **options)
    assert (classes, train.kind) == ([], "regression")
    assert (train.labels.tolist(), dev.labels.tolist()) == ([1.5, -2.0], [7.0])
    bad = write_rows(tmp_path / "bad.tsv", ("text", "score"), ("d", "high"))
    with pytest.raises(UserError, match=r"bad.tsv, line 2: the label 'high' is not a number"):
        read_examples(bad, bad, **options)
    same = write_rows(tmp_path / "same.tsv", ("text", "score"), ("d", "3"), ("e", "3.0"))
    with pytest.raises(UserError, match=r"all 2 rows have the label 3.0; a regression needs two or more"):
        read_examples(same, same, **options)
    with pytest.raises(UserError, match="class_weights are for classes"):
        read_examples(tmp_path / "train.tsv", class_weights="balanced", **options)


def test_without_a_held_out_table_a_share_of_the_other_is(tmp_path):
    rows = [(f"text {i}", "ab"[i % 2]) for i in range(40)]
    path = write_rows(tmp_path / "train.tsv", ("text", "label"), *rows)
    classes, train, dev, _ = read_examples(path, eval_share=0.25, seed=4, class_weights={"b": 2.0})
    assert (classes, len(train), len(dev)) == (["a", "b"], 30, 10)
    assert np.bincount(dev.labels).tolist() == [5, 5]
    assert not set(train.texts) & set(dev.texts)
    assert train.weights.tolist() == (1.0 + train.labels).tolist()
    assert dev.weights is None
    assert read_examples(path, eval_share=0.25, seed=5)[2].texts != dev.texts


def test_inputs_are_a_table_or_lines(tmp_path):
    table = write_rows(tmp_path / "t.tsv", ("no", "left", "right"), ("7", "a", "b"))
    inputs = read_inputs(table, text_column="left", pair_column="right", id_column="no")
    assert inputs == Examples(["a"], ["b"], ids=["7"])
    (tmp_path / "t.txt").write_text("a\tb\n\n  c \n", encoding="utf-8")
    assert read_inputs(tmp_path / "t.txt") == Examples(["a\tb", "", "c"])
    for name in ("pair_column", "id_column", "label_column"):
        with pytest.raises(UserError, match=r"t\.txt is read as one text a line, which has no column 'right'"):
            read_inputs(tmp_path / "t.txt", **{name: "right"})
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(UserError, match=r"empty\.txt is empty; one text a line"):
        read_inputs(tmp_path / "empty.txt")
    with pytest.raises(UserError, match=r"nowhere does not exist"):
        read_inputs(tmp_path / "nowhere")


def test_numbers_that_are_equal_are_one_class(tmp_path):
    rows = [(f"text {i}", label) for i, label in enumerate(["0", "0.0", "1", "1.0", "1e0", "b"] * 4)]
    path = write_rows(tmp_path / "train.tsv", ("text", "label"), *rows)
    dev = write_rows(tmp_path / "dev.tsv", ("text", "label"), ("d", "1.00"), ("e", "0"))
    with pytest.warns(
        UserNote, match=r"one label, however they are written: '0\.0' is '0', '1\.0' is '1', '1e0' is '1'"
    ):
        classes, train, dev, _ = read_examples(path, dev)
    assert classes == ["0", "1", "b"]
    assert np.bincount(train.labels).tolist() == [8, 12, 4]
    assert dev.labels.tolist() == [1, 0]
    inputs = read_inputs(tmp_path / "dev.tsv", label_column="label", classes=["b", "0", "1"])
    assert inputs.labels.tolist() == [2, 1]
    lists = write_rows(tmp_path / "lists.tsv", ("text", "label"), ("a", "0,1.0"), ("b", "1,0.0"), ("c", "1"))
    with pytest.warns(UserNote, match="one label"):
        classes, train, *_ = read_examples(lists, lists, kind="multi_label")
    assert (classes, train.labels.tolist()) == (["0", "1"], [[1, 1], [1, 1], [0, 1]])


def test_a_word_for_a_missing_value_is_noted(tmp_path):
    rows = [("a", "x"), ("b", "nan"), ("c", "nan")]
    path = write_rows(tmp_path / "train.tsv", ("text", "label"), *rows)
    with pytest.warns(
        UserNote, match=r"the label 'nan' \(2 rows\) is taken as a class, and is what programs write for"
    ):
        assert read_examples(path, path)[0] == ["nan", "x"]


def test_classes_of_one_row_are_named(tmp_path):
    path = write_rows(tmp_path / "t.tsv", ("text", "label"), *((f"text {i}", f"c{i}") for i in range(9)))
    with pytest.raises(UserError, match=r"each of its 9 classes has one row: 'c0', .* check label_column"):
        read_examples(path)
    path = write_rows(tmp_path / "t.tsv", ("text", "label"), *((f"text {i}", f"{i / 7}") for i in range(9)))
    with pytest.raises(UserError, match=r"one row.*for numbers give --regression"):
        read_examples(path)
    path = write_rows(tmp_path / "t.tsv", ("text", "label"), *((f"text {i}", "ab"[i > 0]) for i in range(9)))
    with pytest.warns(UserNote, match="1 classes have one row, and so are not measured: 'a'"):
        read_examples(path, eval_share=0.3)


def test_columns_of_labels_are_the_classes(tmp_path):
    rows = [("a", "0", "1", "0"), ("b", "1", "1", "0"), ("c", "0", "0", "0")]
    path = write_rows(tmp_path / "t.tsv", ("text", "toxic", "rude", "threat"), *rows)
    classes, train, *_ = read_examples(path, path, kind="multi_label", label_column="toxic,rude, threat")
    assert classes == ["toxic", "rude", "threat"]  # one that never is 1, too
    assert train.labels.tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 0]]
    inputs = read_inputs(path, kind="multi_label", label_column="toxic,rude", classes=["rude", "toxic"])
    assert inputs.labels.tolist() == [[1, 0], [1, 1], [0, 0]]
    with pytest.raises(UserError, match="the column 'threat' is not one of the labels rude, toxic"):
        read_inputs(path, kind="multi_label", label_column="toxic,threat", classes=["rude", "toxic"])
    with pytest.raises(UserError, match="rude of the model's labels have no column among those named: toxic, threat"):
        read_inputs(path, kind="multi_label", label_column="toxic,threat", classes=["rude", "toxic", "threat"])


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (["TRUE", "True", "false", "FALSE"], ["True", "false"], [0, 0, 1, 1]),
        (["true", "1", "0", "False"], ["0", "1"], [1, 1, 0, 0]),
    ],
)
def test_truths_are_one_class_however_they_are_written(tmp_path, labels, classes, numbers):
    path = write_rows(tmp_path / "t.tsv", ("text", "label"), *(("a", label) for label in labels))
    with pytest.warns(UserNote, match="labels of one value are one label"):
        found, train, evaluation, _ = read_examples(path, path)
    assert (found, train.labels.tolist(), evaluation.labels.tolist()) == (classes, numbers, numbers)


@pytest.mark.parametrize("alike", [("Pos", "pos"), ("\uae0d", "\u1100\u1173\u11bc"), ("so so", "so  so")])
def test_labels_that_look_alike_are_noted(tmp_path, alike):
    path = write_rows(tmp_path / "t.tsv", ("text", "label"), *(("a", label) for label in alike))
    with pytest.warns(UserNote, match="are labels of their own; write them alike if they are one"):
        assert read_examples(path, path)[0] == sorted(alike)
