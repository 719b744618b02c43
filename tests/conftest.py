"""Fixtures for all tests: where the reference data lie, if they do."""

import os
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
