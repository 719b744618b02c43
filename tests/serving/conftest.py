"""Small models with random weights and a vocabulary of our own, and their SavedModels."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import BertConfig, Config
from keras_bert.models import (
    BertClassifier,
    BertEncoder,
    BertMultipleChoice,
    BertPretrainer,
    BertSpanLabeler,
    BertTokenClassifier,
)
from keras_bert.serving.export import export
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.sharing import made_once
from tests.small import small_shape
from tests.text.kinds import small_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ("the", "capital", "of", "paris", "france", "is", "한국", "東", "京")
MARKS = '"#$%&()*+-/:;<=>@\\^_`{|}~。、'
# Digits, Greek, Cyrillic, and the letters that NFD takes Korean syllables apart to.
SCRIPTS = [(0x30, 0x39), (0x3B1, 0x3C9), (0x430, 0x44F), (0x1100, 0x1112), (0x1161, 0x1175), (0x11A8, 0x11C2)]
SPELLED = [*(chr(code) for first, last in SCRIPTS for code in range(first, last + 1)), *"日本語中国人のはい"]
MAX_SEQ_LENGTH = 40  # no multiple of 16, and less than the models' positions
OPTIONS = {"sentence": {"pooling": ["cls", "max"], "normalize": True, "prompt": "the "}}
SHAPES = {"roberta": "roberta-base", "albert": "albert-base"}  # by the kind of tokenizer
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


@pytest.fixture(scope="session")
def tokenizer():
    pieces = [*LETTERS, *(f"##{c}" for c in LETTERS), *".,!?[]'", *WORDS]
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *pieces, *SPELLED, *(f"##{c}" for c in SPELLED), *MARKS]))


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
    return every_head(config)


def every_head(config):
    """Returns {name: model} of every kind of head, with the same weights each time."""
    keras.utils.set_random_seed(7)
    return {
        "embed": BertEncoder(config),
        "classify": BertClassifier(BertEncoder(config), 3, labels=["good", "bad", "schön"]),
        "pair": BertClassifier(BertEncoder(config), 2),
        "score": BertClassifier(BertEncoder(config), 1),
        "fill_mask": BertPretrainer(BertEncoder(config)),
        "multi_label": BertClassifier(BertEncoder(config), 3, labels=["good", "bad", "schön"], multi_label=True),
        "ner": tagger(config),
        "squad": BertSpanLabeler(BertEncoder(config), null_score_diff_threshold=0.0),
        "multiple_choice": BertMultipleChoice(BertEncoder(config)),
    }


def tagger(config):
    """Returns a model that says every tag of some word or other."""
    model = BertTokenClassifier(BertEncoder(config), len(TAGS), labels=TAGS)
    ids = np.random.default_rng(0).integers(5, config.vocab_size, (8, 16))
    inputs = {"input_ids": ids, "input_mask": np.ones_like(ids)}
    inputs |= {"segment_ids": np.zeros_like(ids)} if "segment_ids" in model.input else {}
    model.head.bias.assign(-np.mean(model(inputs), axis=(0, 1)))
    return model


@pytest.fixture(scope="session")
def exported(models, tokenizer, tmp_path_factory):
    """{name: Exported} of the same models, which have the same weights in every process."""
    return made_once(tmp_path_factory, "serving", lambda folder: export_all(models, tokenizer, folder))[1]


def export_all(models, tokenizer, folder):
    """Exports {name: model} into a folder. Returns {name: Exported}."""
    sizes = {"max_seq_length": MAX_SEQ_LENGTH, "top_k": 4}
    return {
        name: export(model, tokenizer, folder / name / "1", pair=name == "pair", **sizes, **OPTIONS.get(name, {}))
        for name, model in models.items()
    }


@dataclasses.dataclass(frozen=True)
class OfKind:
    """Models of all heads with one kind of tokenizer; `exported(name)` writes one when first asked for its Exported."""

    tokenizer: Tokenizer
    models: dict
    exported: Callable


@pytest.fixture(scope="session")
def of_kind(tmp_path_factory):
    """A function from a kind of tokenizer (tests/text/kinds.py) to its OfKind."""

    @functools.cache
    def made(kind):
        tokenizer = small_tokenizer(kind)
        sizes = small_shape(max_position_embeddings=70, initializer_range=0.5, vocab_size=len(tokenizer))
        models = every_head(Config.from_name(SHAPES.get(kind, "base"), **sizes, pad_token_id=tokenizer.pad_id))
        models["sentence"] = models["embed"]

        @functools.cache
        def exported(name):
            make = functools.partial(export_all, {name: models[name]}, tokenizer)
            return made_once(tmp_path_factory, f"serving_{kind}_{name}", make)[1][name]

        return OfKind(tokenizer, models, exported)

    return made


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
