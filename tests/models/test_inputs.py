"""Inputs as people give them: other names, more or fewer keys, texts in the place of ids."""

import collections

import keras
import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.models.inputs import has_strings
from tests.models.conftest import KINDS, inputs_of, labels_of, make

THEIRS = {"input_ids": "input_ids", "input_mask": "attention_mask", "segment_ids": "token_type_ids"}


@pytest.fixture(scope="module")
def plain(tokens):
    """Inputs whose mask is what their padding says, id 0, and whose segments are all 0."""
    mask = tokens["input_mask"]
    ids = np.where(mask == 1, np.maximum(tokens["input_ids"], 1), 0)
    return {"input_ids": ids, "input_mask": mask, "segment_ids": np.zeros_like(ids)}


@pytest.fixture(scope="module")
def model(config):
    model = make("classifier", config)
    model.compile("sgd")
    return model


def renamed(x):
    return {THEIRS[name]: array for name, array in x.items()}


@pytest.mark.parametrize("way", ["call", "predict", "call in a graph"])
def test_names_and_keys(model, plain, tokens, way):
    function = {
        "call": model,
        "predict": lambda x: model.predict(x, verbose=0),
        "call in a graph": lambda x: model.predict(dataset_of(x), verbose=0),
    }[way]
    if way == "call in a graph" and keras.backend.backend() != "tensorflow":
        pytest.skip("of tf.data")
    expected = function(tokens)
    np.testing.assert_array_equal(function({**renamed(tokens), "aaa": tokens["input_ids"] + 1}), expected)
    expected = function(plain)
    for left_out in (["input_mask"], ["segment_ids"], ["input_mask", "segment_ids"]):
        x = {name: array for name, array in plain.items() if name not in left_out}
        np.testing.assert_array_equal(function(x), expected)
        np.testing.assert_array_equal(function(renamed(x)), expected)


def dataset_of(*parts):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensors(parts if len(parts) > 1 else parts[0])


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_fills_in_what_is_left_out(config, batch, plain, kind):
    model = make(kind, config)
    x = inputs_of(model, ({**batch[0], **plain},))
    less = {name: array for name, array in x.items() if name not in ("input_mask", "segment_ids")}
    for one, two in zip(*(keras.tree.flatten(model(inputs)) for inputs in (x, less)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_model_trains_on_them_is_saved_and_cloned(config, plain, tmp_path):
    tf = pytest.importorskip("tensorflow")
    model = make("classifier", config)
    model.compile("sgd", jit_compile=False)
    less = {"input_ids": plain["input_ids"], "special_tokens_mask": plain["input_ids"]}
    labels = labels_of("classifier")
    if keras.backend.backend() == "tensorflow":
        model.fit(tf.data.Dataset.from_tensors((less, labels)), validation_data=(less, labels), verbose=0)
    else:
        model.fit(less, labels, verbose=0)
    expected = model.predict(plain, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (loaded, clone):
        np.testing.assert_allclose(other.predict(less, verbose=0), expected, atol=1e-6)


def test_the_config_says_which_id_is_padding(config, plain):
    encoder = make("encoder", config)
    other = make("encoder", type(config).from_dict({**config.to_dict(), "pad_token_id": 7}))
    other.set_weights(encoder.get_weights())
    ids = np.where(plain["input_mask"] == 1, 5, 7)
    expected = encoder({"input_ids": ids, "input_mask": plain["input_mask"]})["sequence_output"]
    np.testing.assert_array_equal(other({"input_ids": ids})["sequence_output"], expected)


def test_a_mapping_that_is_no_dict(model, plain):
    np.testing.assert_array_equal(model(collections.UserDict(renamed(plain))), model(plain))


def test_ids_that_are_missing_are_named(model, plain):
    x = {"input_mask": plain["input_mask"], "tokens": plain["input_ids"]}
    for call in (model, model.predict, lambda x: model.fit(dataset_of(x, labels_of("classifier")))):
        with pytest.raises(UserError, match=r"Classifier needs input_ids, .* Received: input_mask, tokens"):
            call(x)


TEXTS = ["a film", "rain"]


@pytest.mark.parametrize(
    "texts", ["a film", TEXTS, [TEXTS], np.array(TEXTS), np.array(TEXTS, object), {"input_ids": TEXTS}], ids=repr
)
def test_texts_for_a_model_are_one_sentence(model, texts):
    for call in (model, lambda x: model.predict(x), lambda x: model.fit(x, [0, 1])):
        with pytest.raises(UserError, match=r"Classifier reads token ids, and strings were given; ask it by kb\.pre"):
            call(texts)


def test_tensors_and_datasets_of_texts(model):
    tf = pytest.importorskip("tensorflow")
    assert has_strings(tf.constant(TEXTS))
    for texts in (tf.constant(TEXTS), dataset_of(tf.constant(TEXTS), np.array([0, 1]))):
        with pytest.raises(UserError, match="Classifier reads token ids, and strings were given"):
            model.fit(texts)


def test_labels_that_are_texts_or_fractions(model, plain):
    labels = labels_of("classifier")
    with pytest.raises(UserError, match=r"labels are strings; give the classes' numbers, or kb\.text_dataset"):
        model.fit(plain, np.array(["a", "b", "c", "a"]), verbose=0)
    for value, shown in ((0.9, "0.9"), (np.nan, "nan")):
        wrong = np.where(np.arange(4) == 2, value, labels)
        with pytest.raises(UserError, match=f"labels has {shown}, which is not a class of the 3; give whole numbers"):
            model.fit(plain, wrong, verbose=0)
        if keras.backend.backend() == "tensorflow":
            with pytest.raises(UserError, match=f"labels has {shown}, which is not a class"):
                model.fit(dataset_of(plain, wrong.astype(np.float32)), verbose=0)
    model.evaluate(plain, labels.astype(np.float32), verbose=0)
