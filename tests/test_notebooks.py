"""The notebooks of colab/: what can be read off them, and (slow) each one run on a CPU in its small setting."""

import ast
import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

import keras_bert as kb
from keras_bert.cli.main import COMMANDS, command_parser
from tests.notebook_cell import METADATA, with_cell

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("pretrain_tpu", "finetune_glue", "finetune_squad", "korean", "serve")
OURS = ("keras_bert", "tfrecords")
PIN = re.compile(r"([A-Za-z_-]+)(?:\[\w+\])?==([\w.]+)")
FLAG = re.compile(r"(--\w+)(?:=.*)?", flags=re.S)
SECONDS = 3600  # for one cell, on any machine: a cell that hangs


def read(name):
    return json.loads((ROOT / "colab" / f"{name}.ipynb").read_text(encoding="utf-8"))


def sources(name, kind="code"):
    """Returns the text of each cell of a kind."""
    return ["".join(cell["source"]) for cell in read(name)["cells"] if cell["cell_type"] == kind]


def split_commands(source):
    r"""Parts a cell into Python, `pass` standing for each line of the shell, and these lines, each joined to one.

    >>> split_commands("if x:\n    !ls \\\n      -l\n")
    ('if x:\n    pass\n', ['ls       -l'])
    """
    python, commands = [], []
    lines = iter(source.splitlines())
    for line in lines:
        shell = re.fullmatch(r"(\s*)!(.*)", line)
        if shell is None:
            python.append(line)
            continue
        command = shell[2]
        while command.endswith("\\"):
            command = command[:-1] + next(lines)
        python.append(f"{shell[1]}pass")
        commands.append(command)
    return "\n".join(python) + "\n", commands


def trees(name):
    return [ast.parse(split_commands(source)[0]) for source in sources(name)]


def keras_bert_commands(name):
    """Returns the words of each `!keras-bert` line of a notebook, from the command's name on."""
    lines = [command for source in sources(name) for command in split_commands(source)[1]]
    words = (shlex.split(line.split("|")[0]) for line in lines)
    return [line[1:] for line in words if line[0] == "keras-bert"]


def complaints(tree):
    """Yields what code uses of the library beyond `import keras_bert as kb` and the public names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                public = (alias.name, alias.asname) == ("keras_bert", "kb")
                if alias.name.partition(".")[0] in OURS and not public:
                    yield f"import {alias.name}"
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in OURS:
                yield f"from {node.module} import"
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            if owner == "kb" and node.attr not in kb.__all__:
                yield f"kb.{node.attr}"
            elif owner in ("kb.glue", "kb.ner", "kb.squad", "kb.swag"):
                if node.attr not in getattr(kb, owner.removeprefix("kb.")).__all__:
                    yield f"{owner}.{node.attr}"
            elif node.attr.startswith("_") and not node.attr.startswith("__"):
                yield f"the private {node.attr}"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import keras_bert as kb\nkb.squad.answer(kb.BertEncoder)", None),
        ("import keras_bert", "import keras_bert"),
        ("import keras_bert.models as kb", "import keras_bert.models"),
        ("from keras_bert import BertEncoder", "from keras_bert import"),
        ("def f():\n    from keras_bert.text.tokenizer import Tokenizer", "from keras_bert.text.tokenizer import"),
        ("import tfrecords.writer", "import tfrecords.writer"),
        ("kb.open_checkpoint('x')", "kb.open_checkpoint"),
        ("kb.squad.load_json('x')", "kb.squad.load_json"),
        ("tokenizer._cache", "the private _cache"),
    ],
)
def test_the_walk_finds_what_is_not_public(source, complaint):
    assert list(complaints(ast.parse(source))) == ([] if complaint is None else [complaint])


def test_the_folder_holds_the_five():
    assert sorted(path.stem for path in (ROOT / "colab").glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_notebook_without_outputs(name):
    notebook = read(name)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    identities = [cell["id"] for cell in notebook["cells"]]
    assert len(set(identities)) == len(identities)
    assert notebook["cells"][0]["cell_type"] == "markdown"
    installs = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    for cell in notebook["cells"]:
        assert cell["metadata"] == (METADATA if cell is installs else {})
        assert cell["source"]
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid_by_its_schema(name):
    nbformat = pytest.importorskip("nbformat", reason="the notebooks' schema is in nbformat (the dev extra)")
    nbformat.validate(nbformat.read(ROOT / "colab" / f"{name}.ipynb", as_version=4))


@pytest.mark.parametrize("name", NAMES)
def test_the_first_cell_of_code_alone_installs(name):
    text = (ROOT / "colab" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text == with_cell(text), "run python -m tests.notebook_cell"
    assert not any(re.search(r"\bpip\b", source) for source in sources(name)[1:])


@pytest.mark.parametrize("name", NAMES)
def test_the_versions_are_those_of_the_documentation(name):
    known = (ROOT / "requirements-tpu.txt").read_text() + (ROOT / "docs" / "tpu.md").read_text()
    pins = {match.groups() for match in PIN.finditer("\n".join(sources(name)))}
    assert pins <= {match.groups() for match in PIN.finditer(known)}
    assert pins or name == "serve"


@pytest.mark.parametrize("name", NAMES)
def test_it_uses_the_public_names_alone(name):
    assert [complaint for tree in trees(name) for complaint in complaints(tree)] == []


@pytest.mark.parametrize("name", NAMES)
def test_its_commands_have_the_flags_that_they_are_given(name):
    commands = keras_bert_commands(name)
    assert commands
    for command, *words in commands:
        assert command in COMMANDS
        known = command_parser([command, *words])[0].flags()
        for word in words:
            assert not word.startswith("--") or FLAG.fullmatch(word)[1] in known, (command, word)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_unless_told_and_mounts_nothing_unasked(name):
    assigned, asked, mounts = {}, [], 0
    for tree in trees(name):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                assigned.setdefault(node.targets[0].id, node.value)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "DRIVE":
                asked.append("\n".join(map(ast.unparse, node.body)))
            mounts += isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".mount")
    assert ast.literal_eval(assigned["SETTING"]) == "small"
    assert ast.literal_eval(assigned["DRIVE"]) is False
    assert mounts == sum(body.count(".mount(") for body in asked) == 1
    assert all(len(row) == 2 for row in ast.literal_eval(assigned["TABLE"]).values())


@pytest.mark.parametrize("name", NAMES)
def test_it_names_no_place_of_this_machine(name):
    text = (ROOT / "colab" / f"{name}.ipynb").read_text(encoding="utf-8")
    for place in (str(ROOT), str(Path.home()), "/home/", "/tmp/"):
        assert place not in text


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_with_assertions(name):
    last = ast.parse(sources(name)[-1])
    assert sum(isinstance(node, ast.Assert) for node in ast.walk(last)) >= 2


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_from_top_to_bottom_without_a_network(name, tmp_path, monkeypatch):
    reason = "notebooks are run by nbclient and ipykernel (the dev extra)"
    nbformat = pytest.importorskip("nbformat", reason=reason)
    nbclient = pytest.importorskip("nbclient", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # for !keras-bert
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # where nobody answers: what is downloaded fails
    notebook = nbformat.read(ROOT / "colab" / f"{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3  # curves, attention, examples
    printed = "".join(output.get("text", "") for output in outputs)
    assert "Traceback" not in printed
    assert not re.search(rf"^keras-bert (?:{'|'.join(COMMANDS)}): ", printed, flags=re.M)  # how an error begins
