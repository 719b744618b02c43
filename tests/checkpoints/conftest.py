"""One small model in each of the three formats, written without the code under test."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests import reference_bert

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


def huggingface_name(name):
    """Hugging Face's name of a Google variable, by rewriting (the code under test has a table the other way round)."""
    name = re.sub(r"layer_(\d+)", r"layer.\1", name)
    for old, new in (
        ("_embeddings", "_embeddings.weight"),
        ("LayerNorm/gamma", "LayerNorm.weight"),
        ("LayerNorm/beta", "LayerNorm.bias"),
        ("cls/predictions/output_bias", "cls.predictions.bias"),
        ("seq_relationship/output_bias", "seq_relationship.bias"),
        ("output_weights", "weight"),
        ("kernel", "weight"),
        ("/", "."),
    ):
        name = name.replace(old, new)
    return name


def write_huggingface(folder, arrays, **fields):
    """Writes config.json and model.safetensors as transformers does."""
    folder.mkdir(exist_ok=True)
    config = {**CONFIG, "model_type": "bert", "transformers_version": "4.46.0", **fields}
    (folder / "config.json").write_text(json.dumps(config))
    stored = {
        huggingface_name(name): np.ascontiguousarray(array.T if name.endswith("kernel") else array)
        for name, array in arrays.items()
    }
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def huggingface_folder(tmp_path, arrays):
    """A Hugging Face directory of a pre-training model."""
    return write_huggingface(tmp_path / "huggingface", arrays)
