"""The Makefile finds a fitting Python, or says which is needed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def clone(tmp_path):
    """A folder with the Makefile and a distribution that has nothing to install but a stand-in for pytest."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "setup.py").write_text("")
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "bin").mkdir()
    return tmp_path


def make(clone, *arguments):
    """Runs make with the clone's bin first in the search path."""
    environment = {"PATH": f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(clone)}
    command = [shutil.which("make"), *arguments]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, env=environment)


def add_program(clone, name, script):
    path = clone / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


# Stands in for a Python that fits: it passes the check, and as `-m venv` leaves itself in .venv.
FITTING = """
case "$2" in
  venv) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  pip) echo "pip $*" >> pip.log ;;
  pytest) echo "pytest ran with $*" ;;
esac
exit 0
"""


def test_help_names_every_target(clone):
    done = make(clone)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "help",
        "quickstart",
        "test",
        "test-slow",
        "test-nightly",
        "test-versions",
        "lint",
        "docs",
        "clean",
    ]


@pytest.mark.parametrize("named", ["/nonexistent/python", "a-program-that-fails"])
def test_a_python_that_does_not_fit_is_refused_in_one_sentence(clone, named):
    add_program(clone, "a-program-that-fails", "exit 127")
    done = make(clone, "test", f"PYTHON={named}")
    assert done.returncode == 2
    assert f"needs Python 3.11, 3.12 or 3.13 with venv and ensurepip, and none of '{named}' is one" in done.stderr
    assert not (clone / ".venv").exists()


def test_shims_that_fail_are_passed_over(clone):
    for name in ("python3.11", "python3.12"):
        add_program(clone, name, "echo no such version >&2; exit 127")
    add_program(clone, "python3.13", FITTING)
    done = make(clone, "test")
    assert done.returncode == 0, done.stderr
    assert re.search("pytest ran with -m pytest .*-m not slow and not nightly", done.stdout)
    assert "-c constraints.txt -e .[dev]" in (clone / "pip.log").read_text()


def test_it_installs_once_and_again_when_the_requirements_change(clone):
    add_program(clone, "python3.11", FITTING)
    for expected in (1, 1):
        assert make(clone, "test").returncode == 0
        assert len((clone / "pip.log").read_text().splitlines()) == expected
    later = (clone / ".venv" / "installed").stat().st_mtime + 10
    os.utime(clone / "constraints.txt", (later, later))
    assert make(clone, "test").returncode == 0
    assert len((clone / "pip.log").read_text().splitlines()) == 2


def test_the_lowest_and_the_newest_versions_are_both_tested(clone):
    add_program(clone, "python3.11", FITTING.replace("pytest) ", "pytest) [ ! -e broken ] || exit 1; "))
    done = make(clone, "test-versions")
    assert done.returncode == 0, done.stderr
    assert len(re.findall("pytest ran with -m pytest .*-m not slow and not nightly", done.stdout)) == 2
    installed = (clone / "pip.log").read_text()
    for which in ("lowest", "newest"):
        assert f"the {which} versions" in done.stdout
        assert f"-c build/{which}.txt -e .[dev]" in installed
    (clone / "broken").touch()
    failed = make(clone, "test-versions")
    assert failed.returncode != 0
    assert "failed on these versions: lowest newest" in failed.stderr


def test_an_installation_that_fails_is_tried_again(clone):
    add_program(clone, "python3.11", FITTING.replace("pip) ", "pip) [ -e ready ] || exit 1; "))
    assert make(clone, "test").returncode != 0
    (clone / "ready").touch()
    assert make(clone, "test").returncode == 0


def test_extras_are_installed_at_once_or_else_one_by_one_and_those_that_fail_are_named(clone):
    add_program(clone, "python3.11", FITTING)
    done = make(clone, "test-nightly")
    assert "pytest ran with -m pytest --dist=loadfile" in done.stdout
    assert "-m nightly" in done.stdout
    assert "the lowest versions" in done.stdout  # a night tests those, too
    first, extras, *_ = (line.split()[-1] for line in (clone / "pip.log").read_text().splitlines())
    assert first == ".[dev]"
    assert {"dev", "notebooks", "jax", "beam", "tpu-compile"} < set(extras[2:-1].split(","))

    shutil.rmtree(clone / ".venv")
    add_program(clone, "python3.11", FITTING.replace("pip) ", 'pip) case "$*" in *onnx*) exit 1 ;; esac; '))
    (clone / "pip.log").unlink()
    done = make(clone, "test-slow")
    assert done.returncode == 0
    assert "make: cannot be installed here: onnx; the tests that need it will be skipped" in done.stderr
    assert "-m slow and not nightly" in done.stdout
    installed = [line.split()[-1] for line in (clone / "pip.log").read_text().splitlines()]
    assert installed == [".[dev]", *(f".[dev,{extra}]" for extra in ("docs", "litert", "parity"))]


def test_the_check_accepts_the_python_that_runs_this_test(clone):
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("FITS := "))
    fits = subprocess.run([sys.executable, "-c", line.removeprefix("FITS := ")])
    assert fits.returncode == 0
