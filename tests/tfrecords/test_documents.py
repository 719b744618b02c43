"""Input files become documents, in both formats and however they are packed."""

import bz2
import gzip
import lzma

import pytest

from keras_bert.errors import UserError
from tfrecords.documents import detect_format, read_documents

PROSE = """It rained all day. Nobody went out. The street was empty.
Then the sun came. We left.

Another story begins. It ends.
"""
SENTENCES = "It rained all day.\nNobody went out.\n\nAnother story begins.\nIt ends.\n"


def write(path, text, opener=open):
    with opener(path, "wb") as stream:
        stream.write(text.encode())
    return path


def read(*files, input_format="sentences"):
    return list(read_documents(files, input_format=input_format))


def test_one_sentence_a_line(tmp_path):
    path = write(tmp_path / "a.txt", SENTENCES)
    assert read(path) == [["It rained all day.", "Nobody went out."], ["Another story begins.", "It ends."]]


def test_prose_is_split_and_paragraphs_stay_in_their_document(tmp_path):
    path = write(tmp_path / "a.txt", PROSE)
    assert read(path, input_format="text") == [
        ["It rained all day.", "Nobody went out.", "The street was empty.", "Then the sun came.", "We left."],
        ["Another story begins.", "It ends."],
    ]


def test_blank_lines_of_any_kind_and_number_separate(tmp_path):
    path = write(tmp_path / "a.txt", "\n\n one \r\n\t \n\r\ntwo\n\n\n")
    assert read(path) == [["one"], ["two"]]


def test_a_file_ends_its_document(tmp_path):
    files = [write(tmp_path / "a.txt", "one\ntwo"), write(tmp_path / "b.txt", ""), write(tmp_path / "c.txt", "three")]
    assert read(*files) == [["one", "two"], ["three"]]


@pytest.mark.parametrize(("suffix", "opener"), [(".gz", gzip.open), (".xz", lzma.open), (".bz2", bz2.open)])
def test_compressed(tmp_path, suffix, opener):
    path = write(tmp_path / f"a.txt{suffix}", SENTENCES, opener)
    assert len(read(path)) == 2
    assert detect_format([path]) == "sentences"


def test_auto_tells_the_formats_apart(tmp_path):
    assert detect_format([write(tmp_path / "a.txt", PROSE)]) == "text"
    assert detect_format([write(tmp_path / "b.txt", SENTENCES)]) == "sentences"
    assert detect_format([write(tmp_path / "c.txt", "")]) == "sentences"


def test_auto_looks_at_more_than_the_first_file(tmp_path):
    files = [write(tmp_path / "a.txt", "A title\n")] + [write(tmp_path / f"b{i}.txt", PROSE) for i in range(20)]
    assert detect_format(files) == "text"


def test_progress_ends_at_the_size_of_the_files(tmp_path):
    files = [write(tmp_path / "a.txt", SENTENCES), write(tmp_path / "b.txt.gz", SENTENCES, gzip.open)]
    seen = []
    list(read_documents(files, input_format="sentences", progress=lambda done, total: seen.append((done, total))))
    total = sum(path.stat().st_size for path in files)
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        (b"good\n\xff\xfe bad\n", ".txt", "not UTF-8 text: line 2"),
        (gzip.compress(SENTENCES.encode() * 1000)[:-20], ".txt.gz", "is damaged"),
        (b"no gzip at all", ".txt.gz", "is damaged"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, content, suffix, message):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"broken.*{message}"):
        read(path)


def test_unknown_format(tmp_path):
    with pytest.raises(UserError, match="input_format"):
        read(write(tmp_path / "a.txt", ""), input_format="jsonl")
