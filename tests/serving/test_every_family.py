"""Families whose blocks or attention are not BERT's: SavedModels of strings against Python, with every head."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import Config
from keras_bert.models import Classifier, Encoder, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.serving.export import export
from tests.families.rows import OWN, SIZES, kinds_of
from tests.serving.asking import assert_same, in_python, requests
from tests.serving.conftest import TAGS, export_all
from tests.serving.fresh import ask

FAMILIES = ("mobilebert", "deberta", "deberta-v2", "modernbert", "longformer", "big_bird")
HEADS = {  # {name of a model in asking.py: (task, how it is made of an Encoder)}
    "embed": (None, lambda encoder: encoder),
    "classify": ("classify", functools.partial(Classifier, num_classes=3, labels=["good", "bad", "schön"])),
    "pair": ("classify", functools.partial(Classifier, num_classes=2)),
    "fill_mask": ("fill_mask", functools.partial(Pretrainer, objectives=["masked_lm"])),
    "ner": ("tag", functools.partial(TokenClassifier, num_classes=len(TAGS), labels=TAGS)),
    "squad": ("answer", functools.partial(SpanLabeler, null_score_diff_threshold=0.0)),
    "multiple_choice": ("choose", MultipleChoice),
}
# MobileBERT's last token reads the one after it: padding, or nothing where the row ends. Its choices, of many lengths,
# are 2e-4 apart where one side pads a row that fills the other's.
# Which blocks a token of BigBird's sees depends on how many there are, those of padding among them.
WIDTH_MATTERS = {("mobilebert", "multiple_choice"), ("big_bird", "multiple_choice")}
MODELS = [
    pytest.param(family, name, marks=pytest.mark.slow if name == "classify" else pytest.mark.nightly)
    for family in FAMILIES
    for name, (task, _) in HEADS.items()
    if (task is None or task in kinds_of(family)) and (family, name) not in WIDTH_MATTERS
]


def model_of(family, name, tokenizer, **changes):
    """Returns a model whose texts differ in their answers."""
    keras.utils.set_random_seed(7)
    sizes = {"hidden_size": 36, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48}
    sizes |= {"max_position_embeddings": 64, "initializer_range": 0.3, "vocab_size": tokenizer.vocab_size}
    own = {**sizes, **OWN.get(family, {}), "pad_token_id": tokenizer.pad_id, **changes}
    own |= {} if Config.from_name(SIZES[family]).sep_token_id is None else {"sep_token_id": tokenizer.sep_id}
    model = HEADS[name][1](Encoder(Config.from_name(SIZES[family], **own)))
    for weight in model.weights:  # biases and norms that are not what they begin as
        if len(weight.shape) == 1:
            weight.assign(weight + 0.2 * keras.random.normal(weight.shape, seed=len(weight.path)))
    return model


@pytest.mark.parametrize(("family", "name"), MODELS)
def test_strings_are_answered_as_python_does(family, name, tokenizer, texts, tmp_path):
    model = model_of(family, name, tokenizer)
    request = requests([text.replace("\x00", "") for text in texts])[name]
    path = export_all({name: model}, tokenizer, tmp_path)[name].path
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    expected = in_python(name, model, tokenizer, request)
    for rows in (None, 2):  # padded to the longest of all, and to that of few
        found = ask(signature, request, rows)
        assert_same(found, expected, f"{family}, {name}")
    first = next(output for output in ("embedding", "probabilities", "score") if output in found[0])
    assert len({str(np.round(row[first], 4)) for row in found}) > 3  # answers that are all alike would show nothing


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.nightly
def test_ids_are_answered_as_the_model_does(family, tokenizer, tmp_path):
    """Padding inside a row, a row of padding alone, and no rows at all."""
    model = model_of(family, "classify", tokenizer)
    path = export(model, tokenizer, tmp_path / "1", inputs="ids").path
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    mask = np.ones((4, 21), np.int32)
    mask[0, 5:], mask[1, 3:6], mask[2] = 0, 0, 0
    ids = np.where(mask, np.random.default_rng(0).integers(5, 60, mask.shape), tokenizer.pad_id)
    every = {"input_ids": ids, "input_mask": mask, "segment_ids": np.zeros_like(mask)}
    every["global_attention_mask"] = (np.arange(21) == [[0], [4], [2], [7]]).astype(np.int32)
    inputs = {name: tf.constant(every[name], tf.int32) for name in model.input}
    found = signature(**inputs)["probabilities"]
    np.testing.assert_allclose(found, tf.nn.softmax(model(inputs, training=False)), atol=1e-5)
    assert np.isfinite(found).all()
    assert signature(**{name: each[:0] for name, each in inputs.items()})["probabilities"].shape == (0, 3)
