"""What --help and --help_all show of every command: short, whole, grouped, with defaults, examples at the end."""

import argparse
import re

import pytest

from keras_bert.cli import finetune_flags, pretrain_flags
from keras_bert.cli.flags import BoolAction, Group, add_bool
from keras_bert.cli.help import COLUMN, GROUPS, MAIN, invocation, shown, text_of
from keras_bert.cli.main import FINE_TUNED, OLDER, build_parser, command_parser, every_command, main
from keras_bert.cli.parser import Parser
from tests.pages import DOCS, commands_of, our_command, parser_of
from tests.test_help import examples_of

EVERY = [pytest.param(tuple(words), id="-".join(words)) for words in every_command()]
IGNORED = {*finetune_flags.OLD_FLAGS, *pretrain_flags.OLD_FLAGS}  # somewhere
MOST_LINES, LONGEST_TEXT = 79, 160
DEFAULT = re.compile(r"\(default: [^()]+\)$")


def page_of(capsys, monkeypatch, words, flag, width):
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as end:
        main([*words, flag])
    assert end.value.code == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def sections(page):
    """Returns {title: {what a line shows as a flag or argument: its text}} of a page, and the lines of its examples."""
    found, title = {}, None
    page, _, examples = page.partition("\nexamples:\n")
    for line in page.splitlines():
        if re.fullmatch(r"[a-z ]+:", line):
            title = found.setdefault(line[:-1], {})
        elif title is not None and re.match(r"  \S", line):
            name = re.split(r"  +", line.strip())[0]
            assert name not in title
            title[name] = line.strip()[len(name) :].strip()
        elif title is not None and line.strip():
            title[name] = f"{title[name]} {line.strip()}".strip()
    return found, examples


def effective(words):
    parser, _ = command_parser(list(words))
    return [action for action in parser.arguments if action.help is not argparse.SUPPRESS]


@pytest.mark.parametrize("words", EVERY)
def test_the_help_is_short_and_begins_with_what_matters(words, capsys, monkeypatch):
    for width in (80, 120):
        page = page_of(capsys, monkeypatch, words, "--help", width)
        lines = page.splitlines()
        assert len(lines) <= MOST_LINES and max(map(len, lines)) <= width
        assert re.match(rf"usage: keras-bert {' '.join(words)} \[flags\]( \S.*)?\n\n", page)
        found, _ = sections(page)
        first = [name for name in found[MAIN] if name.startswith("--")]
        assert next(iter(found)) == MAIN and 3 <= len(first) <= 7
        groups = list(found)[1:]
        assert groups == sorted(groups, key=GROUPS.index)
        names = [name for group in found.values() for name in group]
        assert len(set(names)) == len(names)
        left = {invocation(action) for action in effective(words)} - set(names)
        count = sum(bool(action.option_strings) for action in effective(words))
        last = f"keras-bert {' '.join(words)} --help_all shows all {count} flags."
        assert (lines[-1] == last) == bool(left) and page.count("--help_all") == bool(left)


@pytest.mark.parametrize("words", EVERY)
def test_every_flag_that_has_an_effect_is_shown_once_with_its_default(words, capsys, monkeypatch):
    for width in (80, 120):
        page = page_of(capsys, monkeypatch, words, "--help_all", width)
        assert max(map(len, page.splitlines())) <= width
        found, _ = sections(page)
        shown_flags = [(name, text) for group in found.values() for name, text in group.items()]
        assert sorted(shown_flags) == sorted((invocation(each), text_of(each)) for each in effective(words))
    for action in effective(words):
        text = text_of(action)
        assert action.help and len(text) <= LONGEST_TEXT, (action.dest, len(text), text)
        assert all(re.search(rf"\b{re.escape(choice)}\b", text) for choice in action.choices or ()), text
        if action.required and action.option_strings:
            assert text.endswith(" (required)") and "(default" not in text
        elif action.default not in (None, "", (), []):
            assert text.endswith(f"(default: {shown(action.default)})") and text.count("(default") == 1
            assert "(default" not in action.help  # the parser puts it there
        elif isinstance(action, BoolAction):
            assert DEFAULT.search(text), f"{action.dest}: what decides where nobody says?"
        assert text.count("(default") == ("(default" in text)


@pytest.mark.parametrize("words", EVERY)
def test_what_is_ignored_is_taken_and_shown_nowhere(words, capsys, monkeypatch):
    parser, _ = command_parser(list(words))
    hidden = {each.dest for each in parser.arguments if each.help is argparse.SUPPRESS} - {argparse.SUPPRESS}
    pages = [page_of(capsys, monkeypatch, words, flag, 80) for flag in ("--help", "--help_all")]
    for name in hidden:
        assert name in IGNORED or name == "use_tpu"
        assert not any(re.search(rf"--(\[no\])?{name}\b", page) for page in pages)
    is_old = {**dict.fromkeys((*FINE_TUNED, *OLDER, "glue"), finetune_flags), "pretrain": pretrain_flags}
    assert set(getattr(is_old.get(words[0]), "OLD_FLAGS", ())) == hidden - {"use_tpu"}


@pytest.mark.parametrize("words", EVERY)
def test_the_examples_stand_at_the_end_and_parse(words, capsys, monkeypatch):
    for width in (80, 120):
        _, examples = sections(page_of(capsys, monkeypatch, words, "--help", width))
        block = examples.partition("\n\n")[0]
        lines = [" ".join(line.split()) for line in commands_of(block)]
        assert lines and lines == [" ".join(line.split()) for line in examples_of(words)]
        for line in lines:
            parts = [our_command(part) for part in re.split(r" \| | > ", line)]
            for typed in filter(None, parts):
                parser = parser_of(tuple(typed[:2]))
                parser.parse_args(typed[len(parser.prog.split()) - 1 :])


def test_the_docs_name_the_flags_that_are_ignored():
    page = next(line for line in (DOCS / "migrating.md").read_text().split("\n- ") if "taken and ignored" in line)
    own, _, fine_tuning = page.partition(";")
    assert {flag[2:] for flag in re.findall(r"`(--\w+)`", own)} == {*pretrain_flags.OLD_FLAGS, "help_all"}
    rest = set(finetune_flags.OLD_FLAGS) - set(pretrain_flags.OLD_FLAGS) | {"use_tpu"}
    assert {flag[2:] for flag in re.findall(r"`(--\w+)`", fine_tuning)} == rest


def test_the_list_of_commands_fits_a_page(capsys, monkeypatch):
    for width in (80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        assert main(["--help"]) == main(["--help_all"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= MOST_LINES and max(map(len, lines)) <= width
    assert build_parser().format_help().startswith("usage: keras-bert COMMAND [flags]\n")


def test_a_page_is_as_wide_as_the_terminal_within_bounds(capsys, monkeypatch):
    widest = {width: max(map(len, page_of(capsys, monkeypatch, ["pretrain"], "--help", width).splitlines()))
              for width in (20, 80, 100, 120, 300)}  # fmt: skip
    assert widest[20] == widest[80] <= 80 < widest[100] <= 100 < widest[120] == widest[300] <= 120


def test_a_page_of_one_s_own(capsys):
    parser = Parser(prog="keras-bert x", description="Does it.\n\n    keras-bert x --a=1\n\nMore.", main=("a",))
    Group(parser, "runs").add_argument("--b", type=float, default=5e-5, help="a rate of 10%%")
    Group(parser, "data", rare=True).add_argument("--c", choices=("d", "e"), help="kinds")
    Group(parser, "data").add_argument("--a", type=int, default=0, help="a number")
    add_bool(Group(parser, "data"), "f", default=True, help="a switch")
    parser.add_argument("--old", help=argparse.SUPPRESS)
    assert parser.format_help() == (
        "usage: keras-bert x [flags]\n\nDoes it.\n\nMore.\n\n"
        f"{MAIN}:\n  --a N{' ' * (COLUMN - 7)}a number (default: 0)\n\n"
        f"data:\n  --[no]f{' ' * (COLUMN - 9)}a switch (default: true)\n\n"
        f"runs:\n  --b X{' ' * (COLUMN - 7)}a rate of 10% (default: 5e-5)\n\n"
        "examples:\n  keras-bert x --a=1\n\n"
        "keras-bert x --help_all shows all 4 flags.\n"
    )
    with pytest.raises(SystemExit):
        parser.parse_args(["--help_all"])
    everything = capsys.readouterr().out
    assert f"  --c NAME{' ' * (COLUMN - 10)}kinds: d or e\n" in everything and "--old" not in everything
    assert parser.parse_args(["--old=1"]).old == "1"
