"""One small model in each of the three formats, written without the code under test."""

import numpy as np
import pytest

from tests import reference_bert
from tests.reference_huggingface import write_huggingface

CONFIG = reference_bert.CONFIG


@pytest.fixture(scope="session")
def arrays():
    """{Google's name: float32 array}."""
    return reference_bert.random_arrays(CONFIG, rng=np.random.default_rng(5))


@pytest.fixture
def google_folder(tmp_path, arrays):
    """A Google TF1 checkpoint."""
    reference_bert.write_google(tmp_path / "google", CONFIG, arrays)
    return tmp_path / "google"


@pytest.fixture
def huggingface_folder(tmp_path, arrays):
    """A Hugging Face directory of a pre-training model."""
    return write_huggingface(tmp_path / "huggingface", arrays)
