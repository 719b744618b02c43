"""Texts in, answers out: what is read when, in which portions, and what becomes of mistakes. No model is needed."""

import argparse
import io
import itertools
import json
import os
import sys
import types

import pytest

from keras_bert import files
from keras_bert.cli import streams
from keras_bert.cli.json_lines import Field, read_object, to_json, write_json_lines
from keras_bert.errors import UserError
from tests.cli.shell import Terminal, stdin

FIELDS = {"question": Field(("question", "q")), "choices": Field(("choices",), "a list of two or more strings")}


def read_all(monkeypatch, data, **options):
    monkeypatch.setattr(sys, "stdin", stdin(data))
    return [each for each in streams.Source([]).given("a text", **options) if each is not None]


def test_lines_end_at_line_feeds_alone(monkeypatch):
    data = "\ufeffa\r\n\n b\t\n\u2028c\x0b\r d\x85\n\0e".encode()
    assert [text for _, text in read_all(monkeypatch, data)] == ["a", "", " b\t", "\u2028c\x0b\r d\x85", "\0e"]
    skipped = read_all(monkeypatch, data, skip_blank=True)
    assert [place for place, _ in skipped] == [f"standard input, line {n}" for n in (1, 3, 4, 5)]
    assert read_all(monkeypatch, b"") == []
    monkeypatch.setattr(sys, "stdin", None)  # as after <&-
    assert list(streams.Source([]).given("a text")) == []
    assert read_all(monkeypatch, b"a\n\n") == [("standard input, line 1", "a"), ("standard input, line 2", "")]


def test_lines_across_the_blocks_that_are_read(monkeypatch):
    monkeypatch.setattr(streams, "BLOCK_BYTES", 3)
    texts = ["", "a", "bc", "def", "가나다라", "", "ghijklmnop"]
    assert [text for _, text in read_all(monkeypatch, "\n".join(texts).encode())] == texts


def test_the_command_line_and_files(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo")
    (tmp_path / "b.txt").write_text("three\n")
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    given = list(streams.Source([], paths).given("a text", skip_blank=True))
    places = [f"{paths[0]}, line 1", f"{paths[0]}, line 3", f"{paths[1]}, line 1"]
    assert given == list(zip(places, ["one", "two", "three"], strict=True))
    assert list(streams.Source(["x", "y"]).given("a text")) == [("text 1", "x"), ("text 2", "y")]
    assert [str(streams.Source(*each)) for each in ((["x"],), ([], ["a", "b"]), ([],))] == [
        "the command line",
        "a, b",
        "standard input",
    ]
    with pytest.raises(UserError, match="give one of both"):
        streams.Source(["x"], paths)
    with pytest.raises(UserError, match="text 2: character 1 is none that UTF-8 can hold"):
        list(streams.Source(["x", "\udce9"]).given("a text"))


def test_who_types_is_told_what_and_may_press_enter(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", stdin(b"a\n\n \nb\n", isatty=True))
    assert [text for _, text in streams.Source([]).given("a text")] == ["a", "b"]
    assert capsys.readouterr().err == "Type a text and press Enter; Ctrl-D ends.\n"
    assert streams.Source([]).is_typed
    assert not streams.Source(["x"]).is_typed
    assert not streams.Source([], ["a.txt"]).is_typed


@pytest.mark.parametrize("data", [b"ab\n" + b"c" * 40, b"ab\n" + b"c" * 40 + b"\nd\n"])
def test_a_line_without_end_is_not_held(monkeypatch, data):
    monkeypatch.setattr(streams, "BLOCK_BYTES", 8)
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 16)
    source = stdin(data)
    monkeypatch.setattr(sys, "stdin", source)
    given = streams.Source([]).given("a text")
    assert next(given)[1] == "ab"
    with pytest.raises(UserError, match="standard input, line 2: more than"):
        next(given)
    assert source.buffer.tell() <= 3 + 16 + 2 * 8


def test_what_has_come_is_answered_before_more_is_waited_for(monkeypatch):
    read_end, write_end = os.pipe()
    with open(read_end) as source, open(write_end, "wb", buffering=0) as sink:
        monkeypatch.setattr(sys, "stdin", source)
        portions = []
        pairs = streams.answered(
            streams.Source([]).given("a text"), lambda texts: portions.append(texts) or texts, batch_size=32
        )
        sink.write(b"a\nb\nc")
        assert [next(pairs)[1], next(pairs)[1]] == ["a", "b"]
        sink.write(b"d\n")
        assert next(pairs)[1] == "cd"
        sink.write(b"e")
        sink.close()
        assert [answer for _, answer in pairs] == ["e"]
    assert portions == [["a", "b"], ["cd"], ["e"]]


def test_an_input_without_end_is_answered_and_never_held(monkeypatch):
    class Endless(io.RawIOBase):
        blocks = 0

        def read(self, size):
            self.blocks += 1
            return b"text\n" * 10

    endless = Endless()
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=endless, isatty=lambda: False))
    sizes = []
    pairs = streams.answered(
        streams.Source([]).given("a text"), lambda texts: sizes.append(len(texts)) or texts, batch_size=4
    )
    assert len(list(itertools.islice(pairs, 1000))) == 1000
    assert sizes[:6] == [4, 8, 16, 32, 64, 64]
    assert max(sizes) == 4 * streams.MOST_BATCHES
    assert 10 * endless.blocks <= 1000 + 64 + 10


def test_what_stands_before_a_mistake_is_answered(monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin(b"a\nb\n\xff\nc\n"))
    pairs = streams.answered(streams.Source([]).given("a text"), list, batch_size=32)
    assert [next(pairs)[1], next(pairs)[1]] == ["a", "b"]
    with pytest.raises(UserError, match="standard input, line 3: not UTF-8"):
        next(pairs)


@pytest.mark.parametrize("bad", [0, 1, 5, 10])
def test_an_answer_that_fails_names_its_line(bad):
    def answer(rows):
        if bad in rows:
            raise UserError("no answer.")
        return [-row for row in rows]

    seen = []
    with pytest.raises(UserError, match=f"^line {bad}: no answer"):
        for row, found in streams.answered(((f"line {n}", n) for n in range(11)), answer, batch_size=11):
            seen.append((row, found))
    assert seen == [(n, -n) for n in range(bad)]


def test_mistakes_of_who_types_are_told_and_passed_over(capsys):
    def read(text, place):
        if text == "x":
            raise UserError(f"{place}: no x.")
        return text.upper()

    def answer(rows):
        if "Y" in rows:
            raise UserError("no y.")
        return rows

    given = [("1", "a"), None, ("2", "x"), ("3", "y"), ("4", "b"), None]  # the last were pasted at once
    rows = streams.read_texts(given, read, typed=True)
    assert [row for row, _ in streams.answered(rows, answer, batch_size=8, typed=True)] == ["A", "B"]
    assert capsys.readouterr().err == "2: no x.\n3: no y.\n"
    with pytest.raises(UserError, match="2: no x"):
        list(streams.read_texts(given, read))


def test_answers_are_for_people_or_for_programs(monkeypatch):
    def shown(format, stream, texts=("t",)):
        monkeypatch.setattr(sys, "stdout", stream)
        args = argparse.Namespace(format=format, texts=texts)
        pairs = [("가", {"label": "나"}), ("b", {"label": "c"})]
        given = streams.print_answers(pairs, lambda row, answer: [row, f"  {answer['label']}"], args)
        assert given == ([answer for _, answer in pairs] if texts else [])
        return stream.getvalue()

    people, programs = "가\n  나\nb\n  c\n", '{"label": "나"}\n{"label": "c"}\n'
    assert shown("auto", Terminal()) == shown("text", io.StringIO(), ()) == people
    assert shown("auto", io.StringIO()) == shown("json", Terminal()) == programs


def test_a_stream_of_another_encoding_gets_escapes():
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert json.loads(to_json({"a": "나"}, latin).encode("ascii")) == {"a": "나"}
    assert to_json({"a": "나"}, io.TextIOWrapper(io.BytesIO(), encoding="UTF-8")) == '{"a": "나"}'


def test_a_file_of_lines_appears_whole_or_not_at_all(tmp_path):
    assert write_json_lines(tmp_path / "a.jsonl", iter([{"a": "\u2028"}, {"a": 1}])) == 2
    text = (tmp_path / "a.jsonl").read_bytes().decode()
    assert "\r" not in text
    assert [json.loads(line) for line in text.split("\n")[:-1]] == [{"a": "\u2028"}, {"a": 1}]

    def failing():
        yield {"a": 2}
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        write_json_lines(tmp_path / "a.jsonl", failing())
    assert (tmp_path / "a.jsonl").read_bytes().decode() == text
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_the_fields_of_an_object():
    line = '{"q": "a", "choices": ["b", "c"], "more": null}'
    assert read_object(line, "line 1", FIELDS) == {"question": "a", "choices": ["b", "c"]}
    both = '{"q": "second", "question": "first", "choices": ["b", "c"]}'
    assert read_object(both, "line 1", FIELDS)["question"] == "first"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a text", ["not JSON", '{"question": "...", "choices": ["...", "..."]} was expected']),
        ("", ["not JSON"]),
        ("[" * 100_000, ["not JSON"]),
        ('["a"]', ["not a JSON object"]),
        ('{"question": "a"}', ["'choices' is missing"]),
        ('{"choices": ["a", "b"]}', ["'question' is missing"]),
        ('{"q": 1, "choices": ["a", "b"]}', ["'q' is 1; a string was expected"]),
        ('{"q": "a", "choices": ["b"]}', ["'choices' is [\"b\"]; a list of two or more strings"]),
        ('{"q": "a", "choices": ["b", 1]}', ["'choices' is"]),
        ('{"q": "a", "choices": "bc"}', ["'choices' is \"bc\""]),
        (r'{"q": "a\ud83d", "choices": ["b", "c"]}', ["'q': character 2 is none that UTF-8 can hold"]),
        (r'{"q": "a", "choices": ["b", "\udc00"]}', ["'choices': character 1"]),
    ],
)
def test_an_object_that_does_not_fit_is_one_sentence(line, words):
    with pytest.raises(UserError) as caught:
        read_object(line, "line 7", FIELDS)
    sentence = str(caught.value)
    assert sentence.startswith("line 7")
    assert "\n" not in sentence
    assert all(word in sentence for word in words), sentence
