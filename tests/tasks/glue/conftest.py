"""GLUE's directories in small, and a model's vocabulary and shape."""

import pytest

from keras_bert.config import BertConfig
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.tasks.glue.data import write_glue

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write_glue(tmp_path_factory.mktemp("glue"))


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *LETTERS, *(f"##{c}" for c in LETTERS), *".,\"'"]))


@pytest.fixture(scope="session")
def config(tokenizer):
    shape = {"max_position_embeddings": 64, "initializer_range": 0.2, "hidden_dropout_prob": 0.0}
    return BertConfig.from_name("L-1_H-16", vocab_size=tokenizer.vocab_size, **shape)
