"""Globs, compressed text and JSON in; whatever else is named."""

import bz2
import gzip
import lzma
import re
import tracemalloc
from pathlib import Path

import pytest

from keras_bert import files
from keras_bert.errors import UserError
from keras_bert.files import (
    MAX_LINE_BYTES,
    expand_inputs,
    missing_directory_message,
    read_blocks,
    read_json,
    read_lines,
    require_file,
)

COMPRESS = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}


@pytest.fixture
def corpus(tmp_path):
    """a.txt, b.txt, "c,d.txt", "e[1].txt" and deep/f.txt; returns the folder."""
    (tmp_path / "deep").mkdir()
    for name in ("a.txt", "b.txt", "c,d.txt", "e[1].txt", "deep/f.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


def names(paths):
    return [path.name for path in paths]


def test_a_user_error_is_a_value_error_of_exit_status_2():
    with pytest.raises(ValueError, match="as such"):
        raise UserError("caught as such")
    assert UserError.exit_status == 2


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("{}/a.txt", ["a.txt"]),
        ("{}/b.txt,{}/a.txt", ["a.txt", "b.txt"]),
        ("{}/b.txt,,{}/./b.txt,{}/?.txt", ["a.txt", "b.txt"]),
        ("{}/*.txt", ["a.txt", "b.txt", "c,d.txt", "e[1].txt"]),
        ("{}/**/f*", ["f.txt"]),
        ("{}/**", ["a.txt", "b.txt", "c,d.txt", "f.txt", "e[1].txt"]),
        ("{}/c,d.txt", ["c,d.txt"]),
        ("{}/e[1].txt", ["e[1].txt"]),
    ],
)
def test_paths_and_globs_name_files(corpus, patterns, expected):
    patterns = patterns.replace("{}", str(corpus))
    assert names(expand_inputs(patterns)) == expected
    assert names(expand_inputs([patterns])) == expected


def test_a_list_of_paths_names_each_file_once(corpus):
    assert names(expand_inputs([corpus / "b.txt", f"{corpus}/[ab].txt"])) == ["a.txt", "b.txt"]
    assert names(expand_inputs(corpus / "a.txt")) == ["a.txt"]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ("{}/none.txt", "--input_file: {}/none.txt does not exist"),
        ("{}/a.txt,{}/none.txt", "{}/none.txt does not exist"),
        ("{}/*.csv", "no file matches '{}/*.csv'"),
        ("{}/deep", "{}/deep is a directory where a file was expected"),
        ("{}/*", "{}/deep is a directory"),
        ("", "names no file"),
        (",", "names no file"),
        ([], "names no file"),
    ],
)
def test_what_names_no_file_is_a_user_error(corpus, patterns, message):
    patterns = patterns.replace("{}", str(corpus)) if isinstance(patterns, str) else patterns
    with pytest.raises(UserError) as raised:
        expand_inputs(patterns)
    assert message.replace("{}", str(corpus)) in str(raised.value)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("{}", ["a.txt", "b.txt", "c,d.txt", "f.txt", "e[1].txt"]),
        ("{}/,{}/deep", ["a.txt", "b.txt", "c,d.txt", "f.txt", "e[1].txt"]),
        ("{}/*", ["a.txt", "b.txt", "c,d.txt", "f.txt", "e[1].txt"]),
        ("{}/deep,{}/a.txt", ["a.txt", "f.txt"]),
        ("{}/.hidden", ["g.txt"]),
    ],
)
def test_a_directory_stands_for_the_files_in_it_but_for_hidden_ones(corpus, patterns, expected):
    (corpus / ".hidden").mkdir()
    (corpus / ".hidden" / "g.txt").write_text("hidden")
    (corpus / "deep" / ".DS_Store").write_text("hidden")
    (corpus / "deep" / "loop").symlink_to(corpus / "deep")
    (corpus / "deep" / "dangling").symlink_to(corpus / "none")
    assert names(expand_inputs(patterns.replace("{}", str(corpus)), directories=True)) == expected


def test_a_glob_of_directories_stands_for_the_files_in_them(corpus):
    assert names(expand_inputs(f"{corpus}/**/d*", directories=True)) == ["f.txt"]
    assert names(expand_inputs(f"{corpus}/**", directories=True)) == names(expand_inputs(f"{corpus}/**"))


def test_a_directory_without_files_is_a_user_error(corpus):
    (corpus / "empty" / ".hidden").mkdir(parents=True)
    with pytest.raises(UserError, match=r"--input_file: there is no file in the directory .*empty"):
        expand_inputs(corpus / "empty", directories=True)


def test_require_file_names_what_was_asked_for(corpus):
    assert require_file(str(corpus / "a.txt"), what="--vocab_file") == corpus / "a.txt"
    with pytest.raises(UserError, match=r"--vocab_file: .*g\.txt does not exist"):
        require_file(corpus / "g.txt", what="--vocab_file")


def test_lines_are_the_text_without_line_ends(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufefféin\r\nzwei\u2028still zwei\x85\n\n \n\ufeffdrei".encode())
    assert list(read_lines(path)) == ["éin", "zwei\u2028still zwei\x85", "", " ", "\ufeffdrei"]
    path.write_bytes(b"")
    assert list(read_lines(path)) == []


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_text_reads_as_plain(tmp_path, suffix):
    path = tmp_path / f"text.txt{suffix}"
    path.write_bytes(COMPRESS[suffix]("eins\nzwei ✓\n".encode()))
    assert list(read_lines(path)) == ["eins", "zwei ✓"]


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
@pytest.mark.parametrize("name", ["text.txt", "text.gz", "text.xz", "text.bz2"])
def test_the_content_tells_how_a_file_is_packed(tmp_path, name, suffix):
    path = tmp_path / name
    path.write_bytes(COMPRESS.get(suffix, bytes)("BZh, eins\nzwei ✓".encode()))
    assert list(read_lines(path)) == ["BZh, eins", "zwei ✓"]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_an_archive_of_several_members_is_read_to_its_end(tmp_path, suffix):
    path = tmp_path / "text"
    path.write_bytes(COMPRESS[suffix](b"eins\nzw") + COMPRESS[suffix](b"") + COMPRESS[suffix](b"ei\n"))
    assert list(read_lines(path)) == ["eins", "zwei"]
    path.write_bytes(COMPRESS[suffix](b""))
    assert list(read_lines(path)) == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04\x14", "a zip archive"),
        (b"\x28\xb5\x2f\xfd\x04", "a zstd archive"),
        (b"PAR1\x15\x04", "a Parquet file"),
        ("text".encode("utf-16"), "UTF-16"),
        ("text\n".encode("utf-32"), "UTF-32"),
        ("Où est le café ?\n".encode("utf-16-le"), "UTF-16"),
        ("Où est le café ?\n".encode("utf-16-be"), "UTF-16"),
        (b"%PDF-1.7\n%\xe2\xe3\n", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
        (b"\xff\xff\xff\xff\x50\1\0\0", "an Arrow stream"),
        (b"\x2a\0\0\0\0\0\0\0\1\2\3\4\n\x28\n", "a TFRecord file"),
        (b"\1\0\2\0\0\0\3\n" * 9, "binary data"),
        (b"name".ljust(257, b"x") + b"ustar\0" + b"one\ntwo\n", "a tar archive"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_is_no_text_is_called_by_its_name(tmp_path, content, kind, pack):
    path = tmp_path / "text.txt"
    path.write_bytes(pack(content))
    with pytest.raises(UserError, match=rf"text\.txt is {kind}.* where UTF-8 text was expected"):
        list(read_lines(path))


def test_strange_text_is_text(tmp_path):
    path = tmp_path / "text.txt"
    for text in ("a\0b\n", "\ufeff\n", "\u4e00\u0100\n", "10%\r20%\rdone\n", "one\r", "BZh, GIFs and PDFs"):
        path.write_text(text, encoding="utf-8", newline="")
        assert len(list(read_lines(path))) == 1


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_that_end_with_cr_alone_are_named(tmp_path, pack):
    path = tmp_path / "text.txt"
    path.write_bytes(pack(b"one\rtwo\r\rthree\r"))
    with pytest.raises(UserError, match=r"text\.txt: its lines end with CR alone.*tr '.r' '.n' < OLD > NEW"):
        list(read_lines(path))


@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_blocks_are_whole_lines_whatever_is_read_at_a_time(tmp_path, monkeypatch, block):
    monkeypatch.setattr(files, "BLOCK_BYTES", block)
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffä\r\n\n✓✓\u2028✓\r\nend\r".encode())
    blocks = list(read_blocks(path))
    assert "".join(blocks) == "ä\n\n✓✓\u2028✓\nend"
    assert all(text.endswith("\n") for text in blocks[:-1])
    assert list(read_lines(path)) == ["ä", "", "✓✓\u2028✓", "end"]
    path.write_bytes(b"fine\n\nna\xefve\n")
    with pytest.raises(UserError, match="line 3, byte 2"):
        list(read_blocks(path))


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_progress_ends_with_the_size_on_the_disk(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(files, "BLOCK_BYTES", 1 << 16)
    path = tmp_path / "text"
    path.write_bytes(COMPRESS.get(suffix, bytes)(b"".join(b"%d\n" % (n * n) for n in range(30_000))))
    seen = []
    assert sum(1 for _ in read_lines(path, progress=seen.append)) == 30_000
    assert seen == sorted(seen) and len(seen) >= 3 and seen[-1] == path.stat().st_size


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_a_line_that_is_too_long_is_not_read_to_its_end(tmp_path, monkeypatch, suffix):
    """The same with a limit that tests reach sooner: of a line of 20 MB, whose archive is small, 1 MB is read."""
    assert MAX_LINE_BYTES == 16 << 20
    monkeypatch.setattr(files, "MAX_LINE_BYTES", limit := 1 << 20)
    monkeypatch.setattr(files, "BLOCK_BYTES", 1 << 16)
    path = tmp_path / "text"
    compress = COMPRESS.get(suffix, bytes)
    path.write_bytes(compress(b"one\n" + b"a" * limit + b"\n\nfour"))
    assert [len(line) for line in read_lines(path)] == [3, limit, 0, 4]
    for length in (limit + 1, 20_000_000):
        path.write_bytes(compress(b"one\n" + b"a" * length + b"\n\nfour"))
        tracemalloc.start()
        try:
            with pytest.raises(UserError, match=r"text: line 2 has more than 1 MiB; break it up"):
                list(read_lines(path))
            assert tracemalloc.get_traced_memory()[1] < 14e6  # of which xz takes 9 for itself
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("damage", ["cut", 10, 12, "middle"])
def test_a_damaged_archive_is_a_user_error(tmp_path, suffix, damage):
    lines = b"".join(b"line %d %d\n" % (n, n * n * 7919 % 65537) for n in range(20000))
    data = COMPRESS[suffix](lines)
    if damage == "cut":
        data = data[: len(data) // 2]
    else:
        at = len(data) // 2 if damage == "middle" else damage
        data = data[:at] + bytes(255 - byte for byte in data[at : at + 20]) + data[at + 20 :]
    path = tmp_path / f"text{suffix}"
    path.write_bytes(data)
    seen = []
    with pytest.raises(UserError) as raised:
        seen.extend(read_lines(path))
    assert re.search(rf"text\.\w+ is damaged after line {len(seen)} \(.+\); fetch or compress it", str(raised.value))
    if (suffix, damage) == (".gz", "cut"):  # the others give nothing before they notice
        assert 5000 < len(seen) < 15000


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_text_that_is_not_utf8_is_named_by_line_and_byte(tmp_path, suffix):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(COMPRESS.get(suffix, bytes)(b"fine\nna\xefve\n"))
    with pytest.raises(UserError, match=r"text\S* is not UTF-8 text: line 2, byte 2; convert it"):
        list(read_lines(path))


def test_a_file_that_cannot_be_opened_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"none\.txt cannot be read: No such file"):
        list(read_lines(tmp_path / "none.txt"))
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        list(read_lines(tmp_path))


def test_json_is_read_as_a_dict_or_refused_by_name(tmp_path):
    path = tmp_path / "task.json"
    path.write_text('{"task": "classify"}')
    assert read_json(path, what="The task") == {"task": "classify"}
    for text, message in ((b"{", "is not JSON"), (b"\xff", "is not JSON"), (b"[1]", "holds a list")):
        path.write_bytes(text)
        with pytest.raises(UserError, match=rf"The task: .*task\.json {message}"):
            read_json(path, what="The task")


@pytest.mark.parametrize("name", ["bert-base-uncased", "google-bert/bert-base-uncased", "BAAI/bge-small-en-v1.5"])
def test_a_missing_model_by_a_hub_s_name_gives_the_line_that_fetches_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    message = missing_directory_message(Path(name))
    assert message.startswith(f"{name} does not exist; expected a model directory")
    assert message.endswith(f"hf download {name} --local-dir {name}")


@pytest.mark.parametrize("name", ["/a/b", "./bert", "../bert", "a/b/c", "runs/model", "bert.ckpt", "a.ckpt-100", ""])
def test_a_missing_path_is_not_taken_for_a_hub_s_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert missing_directory_message(name) == (
        f"{name} does not exist; expected a model directory on this machine. Check the path."
    )


def test_json_may_begin_with_a_bom(tmp_path):
    (tmp_path / "a.json").write_bytes('\ufeff{"ä": 1}'.encode())
    assert read_json(tmp_path / "a.json", what="It") == {"ä": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[" * 200_000, r"a\.json is not JSON \(it is nested too deeply\)"),
        (b'{"a": %s}' % (b"9" * 10_000), r"a\.json is not JSON \(it holds a number of too many digits\)"),
        (b'{"a": "\\uD800"}', r"a\.json is not JSON \(.*surrogates not allowed"),
        (b'{"a": "\xff"}', r"a\.json is not JSON \(.*can't decode byte 0xff"),
        (b"", r"a\.json is not JSON"),
        (b"[]", r"a\.json holds a list where an object of fields was expected"),
        (b" " * ((1 << 26) + 1), r"a\.json has more than 64 MiB"),
    ],
)
def test_hostile_json_is_one_sentence(tmp_path, data, message):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_json(tmp_path / "a.json", what="It")
