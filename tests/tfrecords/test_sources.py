"""Text files, JSON lines and data sets of TFDS become text in one layout."""

import functools
import gzip
import json
import subprocess
import sys

import numpy as np
import pytest

from keras_bert.errors import UserError, UserNote
from tfrecords.sources import lay_out, read_csv, read_jsonl, read_text, read_tfds, read_tsv, text_of


def no_progress(done, size):
    assert 0 <= done <= size


def documents(read, source, text_field="text"):
    """Returns the documents of a source, each a list of lines."""
    text = "".join(read(source, text_field=text_field, progress=no_progress)).strip("\n")
    return [document.split("\n") for document in text.split("\n\n")] if text else []


def write_jsonl(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        ("\n \n\t\n", []),
        ("one", [["one"]]),
        ("\n\none\ntwo\n", [["one", "two"]]),
        ("one\n\n\n\ntwo\n \t\u3000\nthree", [["one"], ["two"], ["three"]]),
        ("one\r\ntwo\r\n\r\nthree\r\n", [["one", "two"], ["three"]]),
        ("\ufeffone\n  two\n\n  three", [["one", "  two"], ["  three"]]),
        ("one\u2028\x85still one\n\u2028\ntwo", [["one\u2028\x85still one"], ["two"]]),
    ],
)
@pytest.mark.parametrize("block", [1, 2, 5, 1 << 16])
def test_in_text_blank_lines_end_documents(tmp_path, monkeypatch, block, content, expected):
    monkeypatch.setattr("keras_bert.files.BLOCK_BYTES", block)
    path = tmp_path / "a.txt"
    path.write_bytes(content.encode())
    pieces = list(read_text(path, progress=no_progress))
    assert documents(read_text, path) == expected
    assert "\n\n\n" not in "".join(pieces)
    assert all(not piece[-1].isspace() for piece in pieces)


def test_white_space_without_end_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_bert.files.BLOCK_BYTES", 1 << 10)
    path = tmp_path / "a.txt"
    path.write_text("one\n" + "  \n" * 100_000 + "two" + "\n" * 100_000)
    assert list(read_text(path, progress=no_progress)) == ["one", "\n\ntwo"]


def test_a_json_line_is_a_document_whatever_stands_in_it(tmp_path):
    path = write_jsonl(
        tmp_path / "a.jsonl",
        {"text": "One. Two.\n\n \nThree.", "id": 1},
        {"text": " \n"},
        {"text": ["Four.", "Five.\nSix."]},
        {"text": []},
        {"text": "\u2028한국어\r\n\r\n\ud83d😀\ud83d"},
    )
    path.write_text("\n" + path.read_text() + "  \n")
    expected = [["One. Two.", "Three."], ["Four.", "Five.", "Six."], ["한국어\r", "\ufffd😀\ufffd"]]
    assert documents(read_jsonl, path) == expected
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert documents(read_jsonl, packed) == expected


@pytest.mark.parametrize(
    ("fields", "field", "expected"),
    [
        ({"text": "one"}, "text", "one"),
        ({"a": {"b": {"c": "deep"}}}, "a.b.c", "deep"),
        ({"a.b": "flat", "a": {"b": "deep"}}, "a.b", "flat"),
        ({"text": [b"\xed\x95\x9c", "two"]}, "text", "한\ntwo"),
    ],
)
def test_a_field_is_found_by_its_path(fields, field, expected):
    assert text_of(fields, field, "here") == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"body": "x", "id": 3}', "has no field 'text'; there are 'body', 'id'. Choose one with --text_field."),
        ("{}", "has no field 'text'; there are none"),
        ('{"text": null}', "the field 'text' must hold a text or a list of texts. Received: 'None'"),
        ('{"text": 3}', "must hold a text or a list of texts. Received: '3'"),
        ('{"text": {"a": "b"}}', "must hold a text or a list of texts"),
        ('{"text": ["a", 2]}', "must hold a text or a list of texts"),
        ('["text"]', "a JSON object on a line of its own was expected. Received: '[\"text\"]'"),
        ('"text"', "a JSON object on a line of its own was expected"),
        ("plain text", "a JSON object on a line of its own was expected. Received: 'plain text'"),
        ('{"text": "x"', "a JSON object on a line of its own was expected"),
        ("[" * 100_000, "a JSON object on a line of its own was expected"),
        ('{"text": ' + "9" * 5000 + "}", "a JSON object on a line of its own was expected"),
    ],
)
def test_a_json_line_without_a_text_is_named(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n\n' + line + "\n")
    with pytest.raises(UserError) as raised:
        documents(read_jsonl, path)
    assert str(raised.value).startswith(f"{path}, line 3")
    assert message in str(raised.value)
    assert len(str(raised.value)) < 300 and "\n" not in str(raised.value)


def test_a_field_is_missing_where_its_path_leads_nowhere():
    for fields in ({"a": "text"}, {"a": {"c": "text"}}, {"a": ["text"]}):
        with pytest.raises(UserError, match=r"here has no field 'a\.b'; there are 'a'"):
            text_of(fields, "a.b", "here")


def test_lay_out_leaves_no_blank_line_inside():
    assert list(lay_out("one\n\n\n two\n\t\nthree ")) == ["\n\none\n two\nthree"]
    assert list(lay_out("\n \n")) == []


OF_A_TABLE = [["One, two."], ["It rained.", "We left."], ["Three"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,text\n1,"One, two."\n2,"It rained.\n\nWe left."\n3,Three\n'),
        ("a.csv", '\ufeffid, text\r\n1, "One, two."\r\n\r\n2,"It rained.\r\nWe left."\r\n3,Three\r\n4,\r\n'),
        ("a.csv", 'text;id\nOne, two.;1\n"It rained.\nWe left.";2\nThree;3\n'),
        ("a.csv", 'text\tid\nOne, two.\t1\n"It rained.\nWe left."\t2\nThree\t3\n'),
        ("a.csv", 'text\n"One, two."\n"It rained.\nWe left."\n" "\nThree\n'),
    ],
)
def test_a_row_of_a_table_is_a_document(tmp_path, name, content):
    (tmp_path / name).write_bytes(content.encode())
    assert documents(read_csv, tmp_path / name) == OF_A_TABLE


def test_a_tsv_is_unquoted(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('id\tbody\n1\t"One" two "three\n\n2\tfour\t\n')
    assert documents(read_tsv, path, "body") == [['"One" two "three'], ["four"]]


def test_a_cell_may_be_longer_than_the_csv_module_s_limit(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "word " * 40_000 + "\n")
    assert [len(line) for (line,) in documents(read_csv, path)] == [199_999]


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_csv, "review,label\na,1\n", "has no column 'text'; its first line names 'review', 'label'. Choose one"),
        (read_csv, "review;label\na;1\n", "has no column 'text'; its first line names 'review', 'label'. Choose one"),
        (
            read_tsv,
            "One text. Two\nThree\n",
            "names 'One text. Two'. Choose one with --text_field, or add a first line",
        ),
        (read_csv, "", "has no column 'text'; its first line names no column"),
        (read_csv, "text,text\na,b\n", "has several columns 'text'"),
        (read_csv, "id,text\n1,one\n2,two, three\n", "line 3: 3 cells, where the first line names 2 columns"),
        (read_csv, "id,text\n1\n", "line 2: 1 cells, where the first line names 2 columns"),
        (read_tsv, "id\ttext\n1\tone\ttwo\n", "line 2: 3 cells, where the first line names 2 columns"),
        (read_csv, 'text\n"one" two\n', "line 2: not CSV"),
        (read_csv, 'text\n"one\ntwo\n', "not CSV"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path, read, content, message):
    path = tmp_path / "a.table"
    path.write_text(content)
    with pytest.raises(UserError) as raised:
        documents(read, path)
    assert str(path) in str(raised.value) and message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "jq"),
    [
        ('[{"text": "x"}, {"text": "y"}]', "jq -c '.[]'"),
        ('[\n{"text": "x"}\n]', "jq -c '.[]'"),
        ('{\n"text": "x"\n}', "jq -c ."),
    ],
)
def test_json_over_many_lines_is_told_how_to_become_json_lines(tmp_path, text, jq):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        documents(read_jsonl, path)
    assert f"expected; write one object a line ({jq})." in str(raised.value)


WIKI = (
    "\n_START_ARTICLE_\nA title\n_START_SECTION_\nHistory\n_START_PARAGRAPH_\nIt rained. It poured."
    "_NEWLINE_The sun came out.\n_START_PARAGRAPH_\nThe end."
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """The folder of a prepared data set `mine`: five documents to train on, in shards of two, and one to test on."""
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = tmp_path_factory.mktemp("tfds") / "mine" / "1.0.0"
    folder.mkdir(parents=True)
    features = {
        "text": tfds.features.Text(),
        "number": tfds.features.Scalar(np.int64),
        "page": {"body": tfds.features.Text(), "lines": tfds.features.Sequence(tfds.features.Text())},
    }
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name="mine", version=tfds.core.Version("1.0.0"), data_dir=str(folder), module_name=__name__
        ),
        features=tfds.features.FeaturesDict(features),
    )

    def example(text):
        return {"text": text, "number": 1, "page": {"body": "Body.", "lines": ["One.", "Two."]}}

    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=2)
    writer.initialize_splits(["train", "test"])
    writer.add_examples({"train": [example(f"Nr. {n} 한국어.\n\n둘.") for n in range(5)], "test": [example(WIKI)]})
    writer.close_all()
    return folder


@pytest.fixture
def named(dataset, monkeypatch):
    """Lets TFDS find `mine` by its name."""
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds, "builder", functools.partial(tfds.builder, data_dir=str(dataset.parents[1])))


@pytest.mark.parametrize(
    ("split", "numbers"),
    [("", range(5)), (":train", range(5)), (":1.0.0:train[:40%]", range(2)), (":train[3:]", range(3, 5))],
)
def test_a_tfds_data_set_is_read_in_order(named, split, numbers):
    assert documents(read_tfds, "mine" + split) == [[f"Nr. {n} 한국어.", "둘."] for n in numbers]


def test_a_folder_of_tfds_and_its_fields(dataset):
    assert documents(read_tfds, f"{dataset}:test", "page.body") == [["Body."]]
    assert documents(read_tfds, f"{dataset}:test", "page.lines") == [["One.", "Two."]]


def test_the_markers_of_wiki40b_become_line_ends(dataset):
    expected = ["A title", "History", "It rained. It poured.", "The sun came out.", "The end."]
    assert documents(read_tfds, f"{dataset}:test") == [expected]


def test_the_progress_of_a_tfds_data_set_ends_where_it_is_complete(dataset):
    seen = []
    list(read_tfds(str(dataset), text_field="text", progress=lambda *pair: seen.append(pair)))
    assert len(seen) == 5
    assert seen[-1][0] == seen[-1][1] == 5 * seen[0][0]
    assert {total for _, total in seen} == {seen[-1][1]}  # five documents of one length


@pytest.mark.parametrize(
    ("name", "field", "message"),
    [
        ("not_there", "text", r"data set 'not_there' could neither be found nor prepared \(.*not_there not found"),
        ("bad name!", "text", r"'bad name!' could neither be found nor prepared"),
        (":train", "text", "was expected to be called name/config:split"),
        (
            "mine:validation",
            "text",
            r"'mine:validation' has no split 'validation'; there are train, test, and slices such as",
        ),
        ("mine:train[:x%]", "text", r"has no split 'train\[:x%\]'"),
        ("mine", "body", r"'mine' has no field 'body'; there are 'number', 'page', 'text'\. Choose one"),
        ("mine", "page.nothing", r"'mine' has no field 'page\.nothing'"),
        ("mine", "number", r"'mine': the field 'number' must hold a text or a list of texts\. Received: '1'"),
        ("mine", "page", r"the field 'page' must hold a text"),
    ],
)
def test_what_tfds_does_not_have_is_one_sentence(named, name, field, message):
    with pytest.raises(UserError, match=message) as raised:
        documents(read_tfds, name, field)
    assert "\n" not in str(raised.value)


def test_a_data_set_that_cannot_be_downloaded_is_one_sentence(monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")

    class Unreachable:
        def download_and_prepare(self):
            raise ConnectionError("Max retries exceeded.\nand a long story")

    monkeypatch.setattr(tfds, "builder", lambda name: Unreachable())
    with pytest.raises(UserError, match=r"neither be found nor prepared \(Max retries exceeded\); check its name\.$"):
        documents(read_tfds, "imdb_reviews")


def test_text_is_read_without_tensorflow_datasets(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one")
    script = (
        "import sys\nfrom tfrecords.documents import read_documents\n"
        f"list(read_documents([{str(path)!r}], input_format='text'))\n"
        "print([name for name in ('tensorflow', 'tensorflow_datasets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_quotes_of_a_tsv_are_noted(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('id\ttext\n1\t"One."\n2\t"Two."\n')
    with pytest.warns(UserNote, match="2 of 2 texts are quoted as in a CSV"):
        assert documents(read_tsv, path) == [['"One."'], ['"Two."']]
    path.write_text('"id"\t"text"\n"1"\t"One."\n')
    with pytest.raises(UserError, match=r"A TSV has no quotes: call the file \.csv"):
        documents(read_tsv, path)


def test_another_separator_of_a_csv_is_read_and_noted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('sep=;\n"id";text\n1;"One; two"\n')
    with pytest.warns(UserNote, match="separated by semicolons"):
        assert documents(read_csv, path) == [["One; two"]]
