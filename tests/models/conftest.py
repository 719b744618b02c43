"""Small models and batches."""

import numpy as np
import pytest

from keras_bert.config import BertConfig
from tests import reference_bert

INPUTS = ("input_ids", "input_mask", "segment_ids")


@pytest.fixture(scope="session")
def config():
    """Two layers, no dropout."""
    return BertConfig.from_dict(reference_bert.CONFIG)


@pytest.fixture(scope="session")
def instances():
    """B = 4 pre-training instances of S = 10, with padding and a free slot in the last."""
    return reference_bert.random_batch(reference_bert.CONFIG, rng=np.random.default_rng(1), batch=4)


@pytest.fixture(scope="session")
def tokens(instances):
    """The encoder's inputs."""
    return {name: instances[name] for name in INPUTS}


@pytest.fixture(scope="session")
def batch(instances):
    """(x, y, sample_weight) as pretraining_dataset gives them."""
    return as_batch(instances)


def as_batch(instances):
    """Returns (x, y, sample_weight) of pre-training instances by feature."""
    x = {name: instances[name] for name in (*INPUTS, "masked_lm_positions")}
    y = {"masked_lm": instances["masked_lm_ids"], "next_sentence": instances["next_sentence_labels"][:, 0]}
    ones = np.ones(len(y["next_sentence"]), np.float32)
    return x, y, {"masked_lm": instances["masked_lm_weights"], "next_sentence": ones}
