"""Fixtures for all tests: where the reference data lie, if they do, and what makes tests cheaper."""

import gc
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.sharing import made_once

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # libtpu, which here only compiles, would have JAX look for a TPU
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # there is a process a core already
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
SHARED = Path(__file__).resolve().parents[2] / "shared"
GOLDEN = Path(__file__).parent / "golden"
# The files that take longest. Workers take whole files in this order, so that a long one is not the last.
LONGEST_FIRST = (
    *("test_notebooks.py", "training/test_tpu_compile.py", "test_docs_examples.py", "test_help.py"),
    *("serving/test_robust.py", "training/test_resume.py", "cli/test_quickstart.py", "tasks/test_runs.py"),
    *("training/test_finetune.py", "serving/test_encoder.py", "cli/test_classify.py", "cli/test_pretrain_run.py"),
    *("cli/test_pretrain.py", "training/test_pretrain.py", "models/test_saving.py", "serving/test_native.py"),
    *("families/test_golden.py", "families/test_models.py"),
    *("text/test_fuzz.py", "cli/test_predict_heads.py", "test_readme.py", "serving/test_formats.py"),
    *("models/test_fresh_process.py", "models/test_golden.py", "data/test_stream.py", "models/test_cloning.py"),
    *("serving/test_tags.py", "serving/test_export.py", "models/test_precision.py", "models/test_heads.py"),
)
gc.set_threshold(20_000, 25, 50)  # graphs are many small objects: the defaults spend a tenth of the time on them


def pytest_collection_modifyitems(items):
    """Puts the files that take longest first."""
    places = {str(Path(__file__).parent / name): place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(str(item.path), len(places)))


@pytest.fixture(scope="module", autouse=True)
def tidy():
    """Frees what a file's tests leave behind, and takes what remains from the collector's list."""
    yield
    if "tensorflow" in sys.modules:
        gc.collect()
        gc.freeze()


@pytest.fixture
def eagerly():
    """Runs a test's tf.functions without tracing, which takes a small model longer than some ten steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def quick_runs():
    """Makes a module's pre-training runs cheap: see tests/quick_runs.py."""
    from tests.quick_runs import shared_graphs

    with shared_graphs():
        yield


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


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with all that the examples name, and the names that those in Python take for given."""
    from tests.world import make_world

    return made_once(tmp_path_factory, "world", make_world)


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
