"""Small models and batches."""

import keras
import numpy as np
import pytest

from keras_bert.config import BertConfig
from keras_bert.models import (
    BertClassifier,
    BertEncoder,
    BertMultipleChoice,
    BertPretrainer,
    BertSpanLabeler,
    BertTokenClassifier,
)
from tests import reference_bert

INPUTS = ("input_ids", "input_mask", "segment_ids")
KINDS = {
    "encoder": lambda encoder: encoder,
    "pretrainer": BertPretrainer,
    "classifier": lambda encoder: BertClassifier(encoder, 3, labels=["a", "b", "c"]),
    "regressor": lambda encoder: BertClassifier(encoder, 1, pair=True),
    "span_labeler": BertSpanLabeler,
    "token_classifier": lambda encoder: BertTokenClassifier(encoder, 4, labels=["O", "B", "I", "E"]),
    "multiple_choice": BertMultipleChoice,
}


def make(kind, config, **options):
    """Returns a model of one of KINDS, whose encoder is called "mine"."""
    return KINDS[kind](BertEncoder(config, name="mine", **options))


def randomise(model, seed=0):
    """Gives every variable, biases and norms too, numbers of its own."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if "seed_generator" not in variable.path:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


def inputs_of(model, batch):
    """Returns of a batch what a model takes; of four instances multiple choice makes two with two choices."""
    shape = (2, 2, 10) if len(model.input["input_ids"].shape) == 3 else (4, -1)
    return {name: batch[0][name].reshape(shape) for name in model.input}


def labels_of(kind):
    """Returns labels for `inputs_of`, in the shape that the model's own loss takes."""
    places = np.array([0, 2, 1, 3])
    return {
        "classifier": np.array([0, 1, 2, 0]),
        "regressor": np.array([0.5, -1.0, 2.0, 0.0], np.float32),
        "span_labeler": {"start_logits": places, "end_logits": places + 1},
        "token_classifier": np.where(np.arange(10) < 2, -100, np.arange(40).reshape(4, 10) % 4),
        "multiple_choice": np.array([1, 0]),
    }[kind]


def flat_outputs(model, x):
    """Returns a model's outputs as a flat list of arrays."""
    return [np.asarray(array) for array in keras.tree.flatten(model.predict(x, verbose=0))]


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
