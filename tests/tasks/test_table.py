"""Tables: three formats give the same rows, and each mistake is named with its line."""

import csv
import gzip
import json

import pytest

from keras_bert.errors import UserError, UserNote
from keras_bert.tasks.classify.labels import read_labels, read_number
from keras_bert.tasks.table import check_writable, is_table, read_table, write_table, write_tsv

ROWS = [
    ('a "fine" day', "go, out", "good"),
    ("it rains", "stay in", "bad"),
    ("눈이 와요", "naïve", "good"),
]


def write_text(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.fixture
def tables(tmp_path):
    """The same three rows as TSV, CSV and JSONL, whose columns stand in another order than they are asked for."""
    header = ("label", "second", "id", "first")
    cells = [(label, second, str(i), first) for i, (first, second, label) in enumerate(ROWS)]
    tsv = write_text(tmp_path / "t.tsv", "".join("\t".join(row) + "\n" for row in [header, *cells]))
    with open(tmp_path / "t.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *cells])
    lines = [json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False) for row in cells]
    jsonl = write_text(tmp_path / "t.jsonl", "\n".join(lines) + "\n")
    return {"tsv": tsv, "csv": tmp_path / "t.csv", "jsonl": jsonl}


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
def test_the_formats_give_the_same_rows(tables, kind):
    texts, pairs, labels, ids = read_table(tables[kind], text_column="first", pair_column="second", id_column="id")
    assert list(zip(texts, pairs, labels, strict=True)) == ROWS
    assert ids == ["0", "1", "2"]
    texts, pairs, labels, ids = read_table(tables[kind], text_column="second", label_column=None)
    assert (texts, pairs, labels, ids) == ([row[1] for row in ROWS], None, None, None)


def test_a_tsv_has_no_quotes_and_may_carry_a_bom_and_crlf(tmp_path):
    path = write_text(tmp_path / "t.tsv", b'\xef\xbb\xbftext\tlabel\r\n"a\tx\r\n\r\nb"\ty\r\n')
    assert read_table(path) == (['"a', 'b"'], None, ["x", "y"], None)


def test_a_csv_cell_may_hold_commas_quotes_and_line_ends(tmp_path):
    path = write_text(tmp_path / "t.csv", 'text,label\n"a, ""b""\nc",x\n\nd,y\n')
    assert read_table(path) == (['a, "b"\nc', "d"], None, ["x", "y"], None)


def test_a_compressed_table(tmp_path):
    path = write_text(tmp_path / "t.tsv.gz", gzip.compress(b"text\tlabel\na\tx\n"))
    assert read_table(path) == (["a"], None, ["x"], None)


def test_jsonl_labels_may_be_numbers_and_booleans(tmp_path):
    path = write_text(
        tmp_path / "t.jsonl", '{"text": "a", "label": 1}\n\n{"text": "b", "label": true, "other": null}\n'
    )
    assert read_table(path)[2] == ["1", "true"]


def test_empty_texts_are_texts(tmp_path):
    path = write_text(tmp_path / "t.tsv", "text\tlabel\n\tx\n")
    assert read_table(path) == ([""], None, ["x"], None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.tsv", "", "is empty; a first line that names the columns text, label"),
        ("t.csv", "", "is empty"),
        ("t.jsonl", "", "has no rows"),
        ("t.tsv", "text\tlabel\n\n", "has no rows; a table with the columns text, label"),
        ("t.tsv", "sentence\tlabel\na\tx\n", "no column 'text'; its columns are 'sentence', 'label'"),
        ("t.csv", "text,class\na,x\n", "no column 'label'; its columns are 'text', 'class'"),
        ("t.jsonl", '{"text": "a"}\n', "no column 'label'; its columns are 'text'"),
        ("t.tsv", "text\ttext\tlabel\na\tb\tx\n", "2 columns called 'text'"),
        ("t.tsv", "text\tlabel\na\tx\nb\n", "line 3: 1 columns, where the first line names 2; fill in the missing"),
        ("t.csv", "text,label\na,x\nb\n", "line 3: 1 columns, where the first line names 2"),
        ("t.tsv", "text\tlabel\na\tb\tx\n", "line 2: 3 columns, where the first line names 2; a text with a tab"),
        ("t.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}\n', "line 2: 'label' is missing"),
        ("t.jsonl", '{"text": null, "label": "x"}\n', "line 1: 'text' is null"),
        ("t.jsonl", '{"text": "a", "label": "x"}\n{"text": \n', "line 2: not JSON"),
        ("t.jsonl", '["a", "x"]\n', "line 1: .* is not a JSON object"),
        ("t.csv", 'text,label\n"a,x\n', "line 2: not CSV"),
        ("t.tsv", "text\tlabel\na\t\n", "line 2: the label is empty"),
        ("t.jsonl", '{"text": "a", "label": ["x"]}\n', "line 1: the label is the list .*; one class was expected"),
        ("t.jsonl", '{"text": ["a"], "label": "x"}\n', "line 1: 'text' is \\["),
        ("t.tsv", "text\tlabel\na\tx\nb\tz\n", "line 3: the label 'z' is not one of the training set's: x, y"),
        ("t.csv", "text,label\n\na,x\nb,z\n", "line 4: the label 'z'"),
        ("t.jsonl", '{"text": "a", "label": "z"}\n', "line 1: the label 'z'"),
        ("t.tsv", b"text\tlabel\na\tx\n\xff\xfe\tx\n", "is not UTF-8 text: line 3"),
        ("t.txt", "text\tlabel\na\tx\n", "the name of a table ends in .tsv, .csv, .jsonl"),
    ],
)
def test_bad_tables(tmp_path, name, content, message):
    path = write_text(tmp_path / name, content)
    with pytest.raises(UserError, match=message) as caught:
        read_table(path, classes=["x", "y"])
    assert str(path) in str(caught.value)


def test_a_table_that_is_missing_or_a_directory(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_table(tmp_path / "t.tsv")
    with pytest.raises(UserError, match="is a directory"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", 'text\tlabel\na\ty, x\nb\t\nc\t["y", 3]\n'),
        ("t.csv", 'text,label\na,"x,y,x"\nb,\nc,"[""y"", 3]"\n'),
        ("t.jsonl", '{"text": "a", "label": ["y", "x"]}\n{"text": "b", "label": []}\n{"text": "c", "label": "3,y"}\n'),
    ],
)
def test_several_labels_in_a_cell(tmp_path, name, content):
    path = write_text(tmp_path / name, content)
    options = {"read_label": read_labels, "classes": ["3", "x", "y"]}
    assert read_table(path, **options)[2] == [("x", "y"), (), ("3", "y")]
    with pytest.raises(UserError, match=r"line \d: the label 'x' is not one of the training set's: 3, y"):
        read_table(path, read_label=read_labels, classes=["3", "y"])


@pytest.mark.parametrize(
    ("read_label", "cell", "message"),
    [
        (read_labels, "[1", "the label '\\[1' is not a JSON list"),
        (read_labels, '[["a"]]', "is not a list of strings or numbers"),
        (read_number, "four", "the label 'four' is not a number, which a regression needs"),
        (read_number, "", "the label '' is not a number"),
        (read_number, "nan", "the label 'nan' is not a number"),
    ],
)
def test_cells_that_hold_no_such_label(tmp_path, read_label, cell, message):
    path = write_text(tmp_path / "t.tsv", f"text\tlabel\na\t{cell}\n")
    with pytest.raises(UserError, match=f"line 2: .*{message}"):
        read_table(path, read_label=read_label)


def test_numbers(tmp_path):
    path = write_text(tmp_path / "t.jsonl", '{"text": "a", "label": -1.5}\n{"text": "b", "label": "2e3"}\n')
    assert read_table(path, read_label=read_number)[2] == [-1.5, 2000.0]


def test_what_is_written_can_be_read(tmp_path):
    write_tsv(tmp_path / "t.tsv", {"text": ["a\tb\n c", '"d"'], "label": ["x", "y"]})
    assert read_table(tmp_path / "t.tsv") == (["a b c", '"d"'], None, ["x", "y"], None)
    assert [file.name for file in tmp_path.iterdir()] == ["t.tsv"]


COLUMNS = {
    "text": ["a\tb", "c"],
    "labels": [["x", "y"], []],
    "score": [0.5, 2.0],
    "probabilities": [{"x": 0.25, "y": 1.0}, {"x": 0.125, "y": 0.0}],
}


def test_a_tsv_of_predictions_is_flat(tmp_path):
    write_table(tmp_path / "t.tsv", COLUMNS, separator="|")
    assert (tmp_path / "t.tsv").read_text() == (
        "text\tlabels\tscore\tprobability of x\tprobability of y\n"
        "a b\tx|y\t0.500000\t0.250000\t1.000000\n"
        "c\t\t2.000000\t0.125000\t0.000000\n"
    )


def test_jsonl_of_predictions_keeps_what_they_are(tmp_path):
    write_table(tmp_path / "t.jsonl", COLUMNS)
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert rows == [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    assert [file.name for file in tmp_path.iterdir()] == ["t.jsonl"]


def test_what_a_name_says_of_a_file():
    assert [is_table(name) for name in ("a.tsv", "a.CSV", "b/a.jsonl.xz", "a.txt", "a")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(UserError, match=r"--output_file: a\.csv must end in \.tsv or \.jsonl"):
        check_writable("a.csv", what="--output_file")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text;label\na, b;x\nc;y\n", "separated by semicolons"),
        ("text\tlabel\na, b\tx\nc\ty\n", "separated by tabs"),
        ('text|label\n"a, b"|x\nc|y\n', "separated by bars"),
    ],
)
def test_a_csv_may_be_separated_in_another_way(tmp_path, content, said):
    with pytest.warns(UserNote, match=said):
        assert read_table(write_text(tmp_path / "t.csv", content)) == (["a, b", "c"], None, ["x", "y"], None)


def test_a_column_that_a_semicolon_csv_lacks_is_named_among_its_own(tmp_path):
    path = write_text(tmp_path / "t.csv", "text;class\na;x\n")
    with pytest.warns(UserNote), pytest.raises(UserError, match="no column 'label'; its columns are 'text', 'class'"):
        read_table(path)


def test_a_blank_before_a_quote_is_no_part_of_the_cell(tmp_path):
    path = write_text(tmp_path / "t.csv", 'text, label\n"a, b", "0"\nc, 1\n')
    assert read_table(path) == (["a, b", "c"], None, ["0", "1"], None)


def test_a_long_cell_of_a_csv(tmp_path):
    limit = csv.field_size_limit()
    path = write_text(tmp_path / "t.csv", f'text,label\n"{"a " * limit}",x\n')
    assert len(read_table(path)[0][0]) == 2 * limit - 1
    assert csv.field_size_limit() == limit


def test_a_quote_that_never_closes_is_named_by_its_own_line(tmp_path):
    path = write_text(tmp_path / "t.csv", 'text,label\na,x\n"b,y\nc,x\n')
    with pytest.raises(UserError, match="line 3: not CSV"):
        read_table(path)


@pytest.mark.parametrize("texts", [('"a ""b"""', "c"), ('"a"', '"c"')])
def test_quotes_in_a_tsv_are_noted(tmp_path, texts):
    path = write_text(tmp_path / "t.tsv", "text\tlabel\n" + "".join(f"{text}\tx\n" for text in texts))
    with pytest.warns(UserNote, match=r"of 2 texts are quoted as in a CSV, .* call the file \.csv"):
        assert read_table(path)[0] == list(texts)
    path = write_text(tmp_path / "t2.tsv", '"text"\t"label"\n"a"\t"x"\n')
    with pytest.raises(UserError, match=r"a TSV has no quotes: call the file \.csv"):
        read_table(path)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("column", ["text", "label", "id"])
def test_json_s_nan_is_no_value(tmp_path, column, value):
    row = {"text": '"a"', "label": '"x"', "id": "1", column: value}
    line = ", ".join(f'"{name}": {cell}' for name, cell in row.items())
    path = write_text(tmp_path / "t.jsonl", '{"text": "a", "label": "x", "id": 1}\n{' + line + "}\n")
    with pytest.raises(UserError, match=f"line 2: '{column}' is {value}, not a value"):
        read_table(path, id_column="id")


def test_a_number_may_be_written_in_another_way_than_its_class(tmp_path):
    path = write_text(tmp_path / "t.csv", "text,label\na,1.0\nb,0\nc,1\n")
    assert read_table(path, classes=["0", "1"])[2] == ["1", "0", "1"]
    assert read_table(path, classes=["0.0", "1", "1.0"])[2] == ["1.0", "0.0", "1"]
    options = {"read_label": read_labels, "classes": ["0", "1"]}
    assert read_table(path, **options)[2] == [("1",), ("0",), ("1",)]


def test_a_column_a_label(tmp_path):
    path = write_text(tmp_path / "t.csv", "text,toxic,rude\na,0,1.0\nb,True,1\nc,0,0\n")
    assert read_table(path, label_column=["toxic", "rude"])[2] == [("rude",), ("rude", "toxic"), ()]
    with pytest.raises(UserError, match="if each of them is a label, 0 or 1, give --multi_label --label_column=toxic,"):
        read_table(path)
    path = write_text(tmp_path / "t.csv", "text,toxic,rude\na,0,1\nb,-1,1\n")
    with pytest.raises(UserError, match="line 3: the column 'toxic' holds '-1', where a label's column holds 0 or 1"):
        read_table(path, label_column=["toxic", "rude"])


def test_an_id_of_several_rows_is_noted(tmp_path):
    path = write_text(tmp_path / "t.csv", "text,no\na,7\nb,7\nc,8\n")
    with pytest.warns(UserNote, match="several rows have the same no: '7'; each is answered"):
        assert read_table(path, label_column=None, id_column="no")[3] == ["7", "7", "8"]


def test_excel_names_the_separator_in_a_line_of_its_own(tmp_path):
    path = write_text(tmp_path / "t.csv", '\ufeffsep=;\r\n\r\ntext;label\r\n"a; b";x\r\n"c\r\n')
    with pytest.warns(UserNote, match="semicolons"), pytest.raises(UserError, match="line 5: not CSV"):
        read_table(path)
    write_text(path, '\n"sep=^"\ntext^label\na, b^x\n')
    with pytest.warns(UserNote, match="separated by '\\^'"):
        assert read_table(path)[0] == ["a, b"]


def test_rows_that_r_numbers_are_named_for_what_they_are(tmp_path):
    with pytest.raises(UserError, match=r"if the first is a row number, as R writes it, .*row\.names=FALSE"):
        read_table(write_text(tmp_path / "t.tsv", "text\tlabel\n1\ta\tx\n2\tb\ty\n"))


def test_half_a_character_of_json_becomes_one_that_can_be_written(tmp_path):
    path = write_text(tmp_path / "t.jsonl", '{"text": "a \\ud83d", "label": ["\\udc00"]}\n')
    assert read_table(path, read_label=read_labels)[::2] == (["a \ufffd"], [("\ufffd",)])


@pytest.mark.parametrize("cell", ['["a"]', '{"choices": ["a"]}'])
def test_a_class_is_no_json(tmp_path, cell):
    path = write_text(tmp_path / "t.tsv", f"text\tlabel\na\t{cell}\n")
    with pytest.raises(UserError, match=r"line 2: the label is .*one class was expected"):
        read_table(path)
    write_text(path, "text\tlabel\na\t[joy]\n")
    assert read_table(path)[2] == ["[joy]"]


def test_what_label_studio_and_pandas_make_of_several_labels_is_named(tmp_path):
    for cell, said in (('{"choices": ["a", "b"]}', "write its list alone"), ("['a', 'b']", "write it as JSON does")):
        with pytest.raises(UserError, match=said):
            read_table(write_text(tmp_path / "t.tsv", f"text\tlabel\na\t{cell}\n"), read_label=read_labels)
