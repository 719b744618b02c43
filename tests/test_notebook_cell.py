"""The cell that installs keras_bert, run in folders of its own, with pip and git faked: no network."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.notebook_cell import CELL

CODE = CELL.read_text(encoding="utf-8")


@pytest.fixture
def run_cell(tmp_path, monkeypatch):
    """A function that runs the cell in a folder and returns what pip and git were called with.

    Without `installed` or `on_path`, keras_bert cannot be imported. Its other arguments take the places of values of
    the cell.
    """
    for name in ("TPU_ACCELERATOR_TYPE", "TPU_NAME", "KERAS_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "keras_bert", None)  # `import` raises ImportError

    def run(folder=tmp_path, *, installed=False, on_path=False, on_tpu=False, **values):
        monkeypatch.chdir(folder)
        if installed:
            monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [name] * (name == "keras3-bert"))
        elif on_path:
            monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [])
        if installed or on_path:
            monkeypatch.setitem(sys.modules, "keras_bert", ModuleType("keras_bert"))
            sys.modules["keras_bert"].__version__ = "1.2.3"
        if on_tpu:
            monkeypatch.setenv("TPU_NAME", "local")
        calls, code = [], CODE

        def called(command, check):
            assert check
            calls.append(command[3:] if command[0] == sys.executable else command)
            if command[:2] == ["git", "clone"]:
                if "wrong" in command[-2]:
                    raise subprocess.CalledProcessError(128, command)
                make_clone(Path(command[-1]))

        for name, value in {"PUBLISHED": "", **values}.items():
            code, count = re.subn(rf'^{name} = "[^"]*"', f"{name} = {value!r}", code, flags=re.MULTILINE)
            assert count == 1
        monkeypatch.setattr(subprocess, "run", called)
        exec(compile(code, CELL, "exec"), {})
        return calls

    return run


def make_clone(folder):
    (folder / "keras_bert").mkdir(parents=True)
    (folder / "keras_bert" / "errors.py").touch()
    (folder / "requirements-tpu.txt").touch()
    return folder


def installs(*packages):
    return ["install", "--quiet", *packages]


def test_the_form_is_folded_and_says_which_runtime_to_choose():
    form = re.findall(r"^(?:(\w+) = .*  )?(#@\w+)(.*)$", CODE, flags=re.MULTILINE)
    assert form[0][1] == "#@title"
    assert CODE.startswith("#@title")
    words = "".join(text for _, kind, text in form if kind == "#@markdown")
    assert "Runtime > Change runtime type" in words
    assert "TPU" in words and "GPU" in words and "CPU" in words
    assert [name for name, kind, _ in form if kind == "#@param"] == ["SOURCE", "TPU_BACKEND"]
    assert 'SOURCE = ""' in CODE


def test_what_is_installed_is_taken(run_cell, tmp_path, capsys):
    make_clone(tmp_path / "clone")
    assert run_cell(tmp_path / "clone", installed=True, PUBLISHED="https://example.org/a.zip") == []
    assert capsys.readouterr().out == "keras_bert 1.2.3 is installed.\n"
    assert run_cell(installed=True, SOURCE="https://example.org/ours.git") == []
    assert "SOURCE was not read" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["", "colab"])
def test_then_the_clone_that_the_notebook_lies_in(run_cell, tmp_path, place):
    clone = make_clone(tmp_path / "clone")
    (clone / "colab").mkdir()
    assert run_cell(clone / place, PUBLISHED="https://example.org/a.whl") == [installs(str(clone))]
    assert run_cell(clone / place, on_path=True) == [installs(str(clone))]  # importable, without what it needs


def test_then_the_published_address(run_cell):
    assert run_cell(PUBLISHED="https://example.org/a.whl") == [installs("https://example.org/a.whl")]


def test_then_it_asks_in_one_sentence(run_cell):
    with pytest.raises(
        SystemExit, match=r"^keras_bert is not installed, .* into SOURCE above, and run this cell again\.$"
    ):
        run_cell()


def test_nothing_is_installed_by_a_name(run_cell):
    assert re.search(r'^PUBLISHED = "(\w+://\S+)?"  # .* the one place', CODE, flags=re.MULTILINE)
    for name in ("keras-bert", "keras3-bert", "none.whl", "none.zip"):
        with pytest.raises(
            SystemExit, match=f"^SOURCE must be an address or a path that exists, .* Received: '{name}'"
        ):
            run_cell(SOURCE=name)


@pytest.mark.parametrize(
    "address", ["https://example.org/ours", "git+https://example.org/ours.git", "git@example.org:o.git"]
)
def test_a_git_address_is_cloned(run_cell, address):
    clone, install = run_cell(SOURCE=f" {address} ")
    assert clone[:-1] == ["git", "clone", "--quiet", "--depth=1", address.removeprefix("git+")]
    assert install == installs(clone[-1])


def test_a_zip_is_unpacked_and_a_wheel_is_taken(run_cell, tmp_path, monkeypatch):
    clone = make_clone(tmp_path / "repository-main")
    with zipfile.ZipFile(tmp_path / "main.zip", "w") as archive:
        for path in clone.rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    (tmp_path / "ours.whl").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(urllib.request, "urlretrieve", lambda _, to: (shutil.copy(tmp_path / "main.zip", to), None))
    for source in (str(tmp_path / "main.zip"), "https://example.org/archive/main.zip?raw=1"):
        [install] = run_cell(tmp_path / "elsewhere", SOURCE=source)
        assert Path(install[-1], "keras_bert").is_dir()
    assert run_cell(SOURCE="ours.whl") == [installs("ours.whl")]
    assert run_cell(SOURCE=str(clone)) == [installs(str(clone))]


def test_what_cannot_be_installed_is_named(run_cell, tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("other/setup.py", "")
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    for source in ("https://example.org/wrong", "other.zip", "broken.zip"):
        with pytest.raises(SystemExit, match=f"^keras_bert cannot be installed from {source} .*; check SOURCE above"):
            run_cell(SOURCE=source)


def test_the_older_project_is_named(run_cell, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [name])
    with pytest.raises(SystemExit, match="!pip uninstall -y keras-bert`, then this cell again"):
        run_cell()


def test_a_tpu_is_driven_by_jax_or_by_tensorflow(run_cell, tmp_path):
    clone = str(make_clone(tmp_path / "clone"))
    assert run_cell(SOURCE=clone, on_tpu=True) == [installs("jax[tpu]==0.10.2", clone)]
    assert os.environ.pop("KERAS_BACKEND") == "jax"
    assert run_cell(SOURCE=clone, on_tpu=True, TPU_BACKEND="tensorflow") == [
        installs("-r", f"{clone}/requirements-tpu.txt"),
        installs("--no-deps", "tensorflow-text==2.20.1", clone),
    ]
    assert "KERAS_BACKEND" not in os.environ
    with pytest.raises(SystemExit, match=r"a \.whl lacks requirements-tpu\.txt"):
        run_cell(SOURCE="https://example.org/a.whl", on_tpu=True, TPU_BACKEND="tensorflow")
