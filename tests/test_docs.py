"""The pages say what is there: their flags, names, messages and links exist, and each command is run or says why not.

What they show to be run is run by tests/test_docs_examples.py.
"""

import ast
import functools
import importlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

import keras_bert as kb
from keras_bert.cli.main import every_command
from tests.pages import (
    ALL,
    DOCS,
    EXCUSED,
    FENCE,
    LINK,
    PAGES,
    ROOT,
    RUN_ELSEWHERE,
    anchors_of,
    blocks_of,
    commands_of,
    flags_of,
    name_of,
    our_command,
    parser_of,
    spans_of,
)

NAME = re.compile(r"\bkb\.(\w+(?:\.\w+)*)")
# Flags in code spans that are other programs': pip's, docker's, TensorFlow Serving's.
FOREIGN = {"--no-deps", "--dry-run", "--force-reinstall", "--enable_batching"}
# Flags of benchmarks/ and of Beam in code spans.
OURS_ELSEWHERE = {"--inference", "--accumulation", "--beam_options", "--do_"}
ENOUGH = 0.6  # of a message that must be one text in the code; the rest may come from another


def each_page(check):
    """Makes a test of all pages, which ends with a list of complaints, from a check of one."""

    def test():
        complaints = []
        for path in ALL:
            try:
                check(path)
            except (AssertionError, pytest.fail.Exception) as error:
                complaints.append(f"{name_of(path)}: {error}")
        assert not complaints, "\n".join(complaints)

    test.__doc__ = check.__doc__
    return test


@each_page
def test_every_command_line_is_one_that_its_parser_takes(path):
    for block in blocks_of(path):
        if block.language == "console":
            for line in commands_of(block.code):
                words = our_command(line)
                if words is not None:
                    check_command(words, f"{block}: {line}", whole="..." not in line)


@each_page
def test_every_command_and_flag_in_a_sentence_exists(path):
    known = {flag for words in every_command() for flag in parser_of(tuple(words)).flags()}
    for span in spans_of(path):
        words = our_command(span) or []
        if words and words[0].islower():
            check_command(words, f"{name_of(path)}: {span}", whole=False)
        elif span.startswith("--"):
            for flag in set(flags_of(shlex.split(span.replace("'", "")))) - FOREIGN - OURS_ELSEWHERE:
                assert flag in known, f"{name_of(path)}: no command has {flag}"


def check_command(words, where, *, whole):
    """Asserts that a command exists and has the flags, and with `whole` that it takes them and misses none."""
    parser = parser_of(tuple(words[:2]))
    assert parser is not None, f"there is no command {words[0]} ({where})"
    for flag in flags_of(words[1:]):
        assert flag in parser.flags(), f"{parser.prog} has no {flag} ({where})"
    if whole:
        try:
            parser.parse_args(words[len(parser.prog.split()) - 1 :])
        except SystemExit:
            pytest.fail(f"{parser.prog} does not take {where}")


@each_page
def test_every_name_of_the_library_exists(path):
    for name in set(NAME.findall(path.read_text(encoding="utf-8"))):
        found = kb
        for part in name.split("."):
            assert hasattr(found, part), f"{name_of(path)}: kb.{name} does not exist"
            found = getattr(found, part)


@each_page
def test_every_link_leads_somewhere(path):
    for link in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{name_of(path)}: {link}"
        if anchor:
            assert anchor in anchors_of(target), f"{name_of(path)}: {link}"


@each_page
def test_every_block_is_run_or_says_why_not(path):
    page = name_of(path)
    for block in blocks_of(path):
        if block.language == "text" or page in EXCUSED or (page, block.language) in RUN_ELSEWHERE:
            continue
        assert block.language in ("console", "python"), f"{block}: a block in {block.language or 'no language'}"
        kind, _, reason = block.marker.partition(" ")
        if kind == "not":
            assert re.match(r"run: \S.{9,}", reason), f"{block} must say why it is not run"
        elif block.marker.startswith("run by "):
            assert (ROOT / block.marker.removeprefix("run by ")).is_file(), f"{block}: {block.marker}"
        else:
            assert not block.marker, f"{block}: {block.marker} says neither"


def test_what_is_excused_is_there():
    names = {name_of(path) for path in PAGES}
    assert set(EXCUSED) <= names
    for (page, language), file in RUN_ELSEWHERE.items():
        assert any(block.language == language for block in blocks_of(DOCS / page))
        assert page in (ROOT / file).read_text(encoding="utf-8")


MESSAGES = [block for block in blocks_of(DOCS / "troubleshooting.md") if block.marker.startswith("message of ")]


def test_every_message_of_ours_is_in_the_code():
    shares = {str(block): covered(" ".join(block.code.split()), block.marker.split()[-1]) for block in MESSAGES}
    assert [f"{block}: {share:.2f}" for block, share in shares.items() if share <= ENOUGH] == []
    assert shares


def covered(message, file):
    """Returns the largest share of a message that a text in a file accounts for."""
    found = (re.search(pattern, message) for pattern in message_patterns(file))
    return max((len(match[0]) for match in found if match), default=0) / len(message)


@functools.cache
def message_patterns(file):
    """Returns regular expressions for the longer texts of a file: anything may stand where a text has a value."""
    tree, patterns = ast.parse((ROOT / file).read_text(encoding="utf-8")), []
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and is_text(node.value)
    }
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        fixed = [part.value if is_text(part) else constants.get(name_in(part)) for part in parts]
        if sum(len(part or "") for part in fixed) >= 20:
            patterns.append("".join(".+?" if part is None else re.escape(part) for part in fixed))
    return patterns


def is_text(node):
    """Says whether a node of a syntax tree is a constant string."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def name_in(part):
    """Returns the name in the braces of an f-string's part, or None."""
    return getattr(getattr(part, "value", None), "id", None)


def test_messages_are_told_apart_from_others():
    assert covered("A worker process was killed by somebody.", "tfrecords/runners.py") < ENOUGH
    assert covered("model is of another run, batch: 1 there; go on.", "keras_bert/training/run_checkpoints.py") < ENOUGH


def test_all_twenty_complaints_have_their_section():
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    sections = re.split(r"^## (\d+)\. .*$", text, flags=re.MULTILINE)
    assert [int(number) for number in sections[1::2]] == list(range(1, 21))
    for number, section in zip(sections[1::2], sections[2::2], strict=True):
        assert re.search(r"^```(console|python)$", section, re.MULTILINE), f"section {number} has no remedy that runs"


def nav_files(nav):
    """Returns the files that a nav of mkdocs.yml names."""
    if isinstance(nav, str):
        return [nav]
    return [file for entry in (nav.values() if isinstance(nav, dict) else nav) for file in nav_files(entry)]


def test_every_page_is_in_the_navigation():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(nav_files(config["nav"])) == sorted(map(name_of, PAGES))


def test_the_reference_has_every_public_name_and_no_other():
    named = [name for path in PAGES for name in re.findall(r"^::: (\S+)$", path.read_text(encoding="utf-8"), re.M)]
    assert len(set(named)) == len(named)
    for name in named:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
    modules = [kb, kb.glue, kb.squad, kb.ner, kb.swag]
    public = {f"{value.__module__}.{value.__qualname__}" for each in modules for value in public_objects(each)}
    assert public - set(named) == set()


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    for package in ("mkdocs", "mkdocstrings", "griffe"):
        pytest.importorskip(package)
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", f"--site-dir={tmp_path}"]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "reference" / "text" / "index.html").read_text(encoding="utf-8")
    assert 'id="keras_bert.text.tokenizer.Tokenizer.encode"' in page
    assert "<p>&gt;&gt;&gt;" not in page  # an example that was taken for prose


def public_objects(module):
    """Returns the functions and classes of this library among a module's `__all__`."""
    values = (getattr(module, name) for name in module.__all__)
    return [value for value in values if getattr(value, "__module__", "").startswith("keras_bert")]
