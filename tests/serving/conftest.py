"""Small models with random weights and a vocabulary of our own, and their SavedModels."""

import keras
import pytest
import tensorflow as tf

from keras_bert.config import BertConfig
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.serving.export import export
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ("the", "capital", "of", "paris", "france", "is", "한국", "東", "京")
MAX_SEQ_LENGTH = 40  # no multiple of 16, and less than the models' positions


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *LETTERS, *(f"##{c}" for c in LETTERS), *".,!?[]'", *WORDS]))


@pytest.fixture(scope="session")
def config(tokenizer):
    """Two layers whose weights are large enough for texts to differ in their answers."""
    return BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
    )


@pytest.fixture(scope="session")
def models(config):
    """{name: model} of every kind of head."""
    keras.utils.set_random_seed(7)
    return {
        "embed": BertEncoder(config),
        "classify": BertClassifier(BertEncoder(config), 3, labels=["good", "bad", "schön"]),
        "pair": BertClassifier(BertEncoder(config), 2),
        "score": BertClassifier(BertEncoder(config), 1),
        "fill_mask": BertPretrainer(BertEncoder(config)),
    }


@pytest.fixture(scope="session")
def exported(models, tokenizer, tmp_path_factory):
    """{name: Exported} of the same models."""
    folder = tmp_path_factory.mktemp("serving")
    return {
        name: export(model, tokenizer, folder / name / "1", max_seq_length=MAX_SEQ_LENGTH, top_k=4, pair=name == "pair")
        for name, model in models.items()
    }


@pytest.fixture(scope="session")
def signatures(exported):
    """{name: the loaded signature `serving_default`} of the same models."""
    return {name: tf.saved_model.load(str(each.path)).signatures["serving_default"] for name, each in exported.items()}


@pytest.fixture(scope="session")
def texts():
    """Texts that are short, empty, long, strange and masked."""
    return [
        "Paris is the capital of France.",
        "",
        "   ",
        "the " * 100,
        "Ünïcödé, 東京 한국!",
        "[MASK] is the [MASK] of France",
        "a\x00b\u200bc�",
        "paris" * 60,
        "[mask] [MASK]",
    ]
