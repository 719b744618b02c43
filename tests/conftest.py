"""Fixtures for all tests: where the reference data lie, if they do."""

import os
import shutil
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # libtpu, which here only compiles, would have JAX look for a TPU
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
SHARED = Path(__file__).resolve().parents[2] / "shared"
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def shared():
    """The folder with reference outputs and real data beside the checkout; skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip("the reference data (../shared beside the checkout) are not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def golden():
    """The project's own small golden files."""
    return GOLDEN


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with all that the examples name, and the names that those in Python take for given."""
    from tests.world import make_world

    folder = tmp_path_factory.mktemp("world")
    return folder, make_world(folder)


@pytest.fixture
def world_folder(world, tmp_path, monkeypatch):
    """A copy of the world of one test's own, as the working directory. Returns the given names."""
    folder, names = world
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BERT_BASE_DIR", "uncased_L-12_H-768_A-12")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    return dict(names)
