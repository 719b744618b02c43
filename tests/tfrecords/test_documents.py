"""Inputs become chunks, and chunks documents, in every format, however they are packed and wherever they are cut."""

import bz2
import gzip
import itertools
import json
import lzma
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_bert import files
from keras_bert.errors import UserError
from tfrecords import documents
from tfrecords.documents import Chunk, detect_format, read_chunks, read_documents, resolve_sources, split_chunk

PROSE = """It rained all day. Nobody went out. The street was empty.
Then the sun came. We left.

Another story begins. It ends.
"""
SENTENCES = "It rained all day.\nNobody went out.\n\nAnother story begins.\nIt ends.\n"
OF_PROSE = [
    ["It rained all day.", "Nobody went out.", "The street was empty.", "Then the sun came.", "We left."],
    ["Another story begins.", "It ends."],
]


def write(path, text, opener=open):
    with opener(path, "wb") as stream:
        stream.write(text.encode())
    return path


def write_jsonl(path, *texts):
    return write(path, "".join(json.dumps({"text": text}) + "\n" for text in texts))


def read(*sources, input_format="sentences"):
    return list(read_documents(sources, input_format=input_format))


@pytest.fixture
def small(monkeypatch):
    """Makes blocks and chunks so small that short texts are cut."""
    monkeypatch.setattr(files, "BLOCK_BYTES", 16)
    monkeypatch.setattr(documents, "CHUNK_BYTES", 50)
    monkeypatch.setattr(documents, "LARGEST_BYTES", 200)


def test_one_sentence_a_line(tmp_path):
    path = write(tmp_path / "a.txt", SENTENCES)
    assert read(path) == [["It rained all day.", "Nobody went out."], ["Another story begins.", "It ends."]]


def test_prose_is_split_and_paragraphs_stay_in_their_document(tmp_path):
    assert read(write(tmp_path / "a.txt", PROSE), input_format="text") == OF_PROSE


def test_documents_of_json_lines_are_split_like_prose(tmp_path):
    first, second = PROSE.split("\n\n")
    path = write_jsonl(tmp_path / "a.jsonl", first.replace("\n", "\n\n"), second)
    assert read(path, input_format="jsonl") == OF_PROSE


def test_blank_lines_of_any_kind_and_number_separate(tmp_path):
    path = write(tmp_path / "a.txt", "\n\n one \r\n\t \n\r\ntwo\n\n\n")
    assert read(path) == [["one"], ["two"]]


def test_a_file_ends_its_document(tmp_path):
    sources = [write(tmp_path / "a.txt", "one\ntwo"), write(tmp_path / "b.txt", ""), write(tmp_path / "c.txt", "three")]
    assert read(*sources) == [["one", "two"], ["three"]]
    assert list(read_chunks(sources, input_format="sentences")) == [
        Chunk(0, "one\ntwo", complete=True),
        Chunk(2, "three", complete=True),
    ]


@pytest.mark.parametrize(("suffix", "opener"), [(".gz", gzip.open), (".xz", lzma.open), (".bz2", bz2.open)])
def test_packed_text_gives_the_same_chunks(tmp_path, small, suffix, opener):
    plain = write(tmp_path / "a.txt", SENTENCES * 5)
    packed = write(tmp_path / f"b.txt{suffix}", SENTENCES * 5, opener)
    chunks = list(read_chunks([packed], input_format="sentences"))
    assert chunks == list(read_chunks([str(plain)], input_format="sentences"))
    assert len(chunks) > 3
    assert detect_format([packed]) == "sentences"


def of_lines(text):
    """Groups the lines of a text, as a plain loop would."""
    groups = itertools.groupby(text.split("\n"), key=lambda line: not line.strip())
    return [[line.strip() for line in lines] for blank, lines in groups if not blank]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(["\n", "\n\n", " ", "a", "bcd ", "é한\U0001f600", "ten words " * 10, "\u2028", "\t"])))
def test_chunks_hold_the_documents_whatever_their_size(tmp_path, small, parts):
    text = "".join(parts)
    path = write(tmp_path / "a.txt", text)
    chunks = list(read_chunks([path], input_format="sentences"))
    assert read(path) == of_lines(text)
    longest_line = max(len(line.encode()) for line in text.split("\n"))
    for chunk, following in itertools.zip_longest(chunks, chunks[1:]):
        assert len(chunk.text.encode()) < 50 + 200 + 16 + longest_line
        assert chunk.text.strip("\n") == chunk.text != ""
        assert "\n\n\n" not in chunk.text
        assert following or chunk.complete
    assert sum(len(split_chunk(c.text, input_format="sentences")) - (not c.complete) for c in chunks) == len(read(path))


def test_a_chunk_ends_where_a_document_does_but_for_one_of_four_chunks(tmp_path, small):
    lines = [f"line {n} of a long one" for n in range(25)]
    path = write(tmp_path / "a.txt", "\n\n".join(["short", "\n".join(lines), *["short as well"] * 10]))
    chunks = list(read_chunks([path], input_format="sentences"))
    assert [chunk.complete for chunk in chunks] == [True, False, False, *[True] * 5]
    assert chunks[0].text == "short"
    first, second, third = (chunk.text for chunk in chunks[1:4])
    assert f"{first}\n{second}\n{third}" == "\n".join(lines)
    assert all(170 < len(text) < 220 for text in (first, second))
    assert read(path) == [["short"], lines, *[["short as well"]] * 10]


def test_a_line_is_never_cut(tmp_path, small):
    line = "word " * 1000 + "end."
    path = write(tmp_path / "a.txt", f"{line}\n  {line}\nnext\n\n{line}")
    assert read(path) == [[line, line, "next"], [line]]
    assert [chunk.complete for chunk in read_chunks([path], input_format="sentences")] == [False, False, True, True]
    jsonl = write_jsonl(tmp_path / "a.jsonl", line, f"{line}\n{line}", "last")
    assert [len(document) for document in read(jsonl, input_format="jsonl")] == [1, 2, 1]
    assert all(chunk.complete for chunk in read_chunks([jsonl], input_format="jsonl"))


@pytest.mark.parametrize(
    ("input_format", "unit"),
    [
        ("sentences", "A sentence of some words stands here.\n" * 50 + "\n"),
        ("text", "한국어 문장은 여기에 있다. 그리고 또 하나. " * 30 + "\n"),  # one document
        ("jsonl", json.dumps({"text": "A sentence of some words. " * 100}) + "\n"),
    ],
)
def test_memory_stays_flat(tmp_path, input_format, unit):
    """60 MB go through a few chunks' worth of memory, be they one document or many."""
    path = tmp_path / "a"
    with open(path, "w", encoding="utf-8") as stream:
        for _ in range(60):
            stream.write(unit * (1_000_000 // len(unit.encode())))
    tracemalloc.start()
    try:
        chunks = sum(1 for _ in read_chunks([path], input_format=input_format))
        assert tracemalloc.get_traced_memory()[1] < 5 * documents.LARGEST_BYTES
    finally:
        tracemalloc.stop()
    assert 12 < chunks < 62


def test_auto_tells_the_formats_apart(tmp_path):
    assert detect_format([write(tmp_path / "a.txt", PROSE)]) == "text"
    assert detect_format([write(tmp_path / "b.txt", SENTENCES)]) == "sentences"
    assert detect_format([write(tmp_path / "c.txt", "")]) == "sentences"
    for name in ("d.jsonl", "e.ndjson.gz", "f.2024.JSON", "g.json.xz.bz2"):
        assert detect_format([tmp_path / name]) == "jsonl"


def test_auto_tells_tables_by_their_names_and_json_lines_by_their_content(tmp_path):
    assert detect_format([tmp_path / "a.csv", tmp_path / "b.CSV.gz"]) == "csv"
    assert detect_format([tmp_path / "a.tsv"]) == "tsv"
    assert detect_format([write_jsonl(tmp_path / "c.txt", "One. Two.", "Three.")]) == "jsonl"
    assert detect_format([write(tmp_path / "d.txt", '{"text": "x"}\n{a brace} begins this line.\n')]) == "sentences"
    with pytest.raises(UserError, match=r"a\.csv is a CSV table and .*d\.txt is not; read them in two runs"):
        detect_format([tmp_path / "a.csv", tmp_path / "d.txt"])
    with pytest.raises(UserError, match=r"c\.txt is JSON lines and .*d\.txt is not"):
        detect_format([tmp_path / "c.txt", tmp_path / "d.txt"])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<!DOCTYPE html>\n<p>One.", "HTML"),
        ('\n <HTML lang="en">', "HTML"),
        ('<mediawiki xmlns="x">\n', "a dump of a wiki in XML"),
        ('<doc id="12" title="Rome">\nRome\n\nIt is old.\n</doc>\n', "the output of WikiExtractor"),
        ('<?xml version="1.0"?>', "XML"),
    ],
)
def test_auto_refuses_markup_and_a_format_reads_it(tmp_path, text, kind):
    path = write(tmp_path / "a.txt", text)
    with pytest.raises(UserError, match=rf"a\.txt is {kind}.*; extract its text first, or .*--input_format=text"):
        resolve_sources(path, "auto")
    assert resolve_sources(path, "text") == ([path], "text")


def test_a_document_a_line(tmp_path):
    path = write(tmp_path / "a.txt", "It rained. We left.\n\nThe end.\r\n  \nOnce more.")
    assert read(path, input_format="lines") == [["It rained.", "We left."], ["The end."], ["Once more."]]


def test_auto_looks_at_more_than_the_first_file(tmp_path):
    paths = [write(tmp_path / "a.txt", "A title\n")] + [write(tmp_path / f"b{i}.txt", PROSE) for i in range(20)]
    assert detect_format(paths) == "text"


def test_sources_are_files_below_directories_or_names_of_data_sets(tmp_path):
    (tmp_path / "deep").mkdir()
    paths = [write_jsonl(tmp_path / "a.jsonl", "x"), write_jsonl(tmp_path / "deep" / "b.jsonl", "y")]
    assert resolve_sources(tmp_path, "auto") == (paths, "jsonl")
    assert resolve_sources([f"{tmp_path}/*.jsonl", f"{tmp_path}/deep"], "text") == (paths, "text")
    assert resolve_sources("wiki40b/ko:train, mine:train[:10%]", "tfds") == (
        ["wiki40b/ko:train", "mine:train[:10%]"],
        "tfds",
    )
    assert resolve_sources(["mine", "other,third"], "tfds") == (["mine", "other", "third"], "tfds")


@pytest.mark.parametrize(
    ("input_files", "input_format", "message"),
    [
        ("{}", "auto", r"a\.jsonl is JSON lines and .*b\.txt is not; read them in two runs"),
        (
            "{}",
            "pdf",
            "--input_format must be one of auto, sentences, text, lines, jsonl, csv, tsv, tfds. Received: 'pdf'",
        ),
        ("{}/*.csv", "auto", "no file matches"),
        (" ,", "tfds", "--input_file names no data set"),
    ],
)
def test_what_cannot_be_resolved_is_named(tmp_path, input_files, input_format, message):
    write_jsonl(tmp_path / "a.jsonl", "x")
    write(tmp_path / "b.txt", "x")
    with pytest.raises(UserError, match=message):
        resolve_sources(input_files.replace("{}", str(tmp_path)), input_format)


@pytest.mark.parametrize("input_format", ["sentences", "jsonl"])
def test_progress_ends_at_the_size_of_the_files(tmp_path, small, input_format):
    text = SENTENCES if input_format == "sentences" else '{"text": "x"}\n' * 9
    names = [("a", open), ("b.gz", gzip.open), ("c", open), ("d", open)]
    paths = [write(tmp_path / name, text * (name != "c"), opener) for name, opener in names]
    seen = []
    list(read_documents(paths, input_format=input_format, progress=lambda done, total: seen.append((done, total))))
    total = sum(path.stat().st_size for path in paths)
    assert seen[-1] == (total, total)
    assert {total for _, total in seen} == {total}
    assert seen == sorted(seen)
    assert len(set(seen)) > 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good\n\xff\xfe bad\n", "not UTF-8 text: line 2"),
        (gzip.compress(SENTENCES.encode() * 1000)[:-20], "is damaged"),
        (gzip.compress(b"good\n") + b"and more", "is damaged"),
        (b"PK\x03\x04", "is a zip archive"),
    ],
    ids=["not UTF-8", "cut gzip", "more than gzip", "zip"],  # gzip writes the time of day, which no name may hold
)
def test_files_that_cannot_be_read_are_named(tmp_path, content, message):
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"broken\.txt.*{message}"):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for missing in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(UserError, match=rf"--input_file: {missing} (is a directory|does not exist)"):
            read(missing)


def test_unknown_format(tmp_path):
    for input_format in ("auto", "pdf"):
        with pytest.raises(
            UserError, match="input_format must be one of sentences, text, lines, jsonl, csv, tsv, tfds"
        ):
            read(write(tmp_path / "a.txt", ""), input_format=input_format)


@pytest.mark.parametrize(
    ("text", "what"),
    [("id\tdocument\tlabel\n1\tOne.\t0\n2\tTwo.\t1\n", "tabs.*=tsv"), ('id,text\n1,One.\n2,"A, b."\n', "commas.*=csv")],
)
def test_auto_refuses_a_table_whose_name_does_not_show_it(tmp_path, text, what):
    path = write(tmp_path / "train.txt", text)
    with pytest.raises(
        UserError, match=rf"train\.txt is a table, whose cells are separated by {what} --text_field=NAME"
    ):
        resolve_sources(path, "auto")
    assert resolve_sources(path, "sentences") == ([path], "sentences")
    for prose in ("Well, yes.\nNo, sir.\nOh, my.\n", "One\ttab.\nNone.\nNone.\n", "Hello,world\nOne.\nTwo.\n"):
        assert resolve_sources(write(path, prose), "auto")[1] in ("text", "sentences")
