"""Ids, segments, positions and lengths that the model does not have: one sentence, both numbers, before any NaN."""

import keras
import numpy as np
import pytest

from keras_bert.errors import UserError
from tests.models.conftest import KINDS, inputs_of, labels_of, make


def changed(x, name, value):
    array = np.array(x[name])
    array[..., -1] = value
    return {**x, name: array}


WRONG = {
    "input_ids": (24, "input_ids has an id of 24, but the model has vocab_size=24. Tokenize with the vocabulary"),
    "segment_ids": (2, "segment_ids has a segment of 2, but the model has type_vocab_size=2. Number the segments"),
    "masked_lm_positions": (10, "masked_lm_positions has a position of 10, but the sequence has 10 tokens"),
}
WAYS = {
    "call": lambda model, x, batch: model(x),
    "call_with_tensors": lambda model, x, batch: model(keras.tree.map_structure(keras.ops.convert_to_tensor, x)),
    "predict": lambda model, x, batch: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x, batch: model.predict_on_batch(x),
    "evaluate": lambda model, x, batch: model.evaluate(x, *batch[1:], verbose=0),
    "test_on_batch": lambda model, x, batch: model.test_on_batch(x, *batch[1:]),
    "train_on_batch": lambda model, x, batch: model.train_on_batch(x=x, y=batch[1]),
    "fit": lambda model, x, batch: model.fit(x, batch[1], verbose=0),
    "validation": lambda model, x, batch: model.fit(*batch[:2], validation_data=(x, *batch[1:]), verbose=0),
}


@pytest.fixture(scope="module")
def model(config):
    model = make("pretrainer", config)
    model.compile("sgd", run_eagerly=True)
    return model


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", WRONG)
def test_numbers_that_the_model_does_not_have_are_refused(model, batch, way, name):
    value, sentence = WRONG[name]
    weights = model.get_weights()
    with pytest.raises(UserError) as caught:
        WAYS[way](model, changed(batch[0], name, value), batch)
    assert str(caught.value).startswith(sentence)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", WRONG)
def test_negative_numbers_are_refused(model, batch, name):
    with pytest.raises(UserError, match=rf"{name} has an? \w+ of -1, but"):
        model(changed(batch[0], name, -1))


@pytest.mark.parametrize("way", WAYS)
def test_a_longer_sequence_is_refused(model, batch, way):
    x = {name: array if "masked" in name else np.pad(array, ((0, 0), (0, 3))) for name, array in batch[0].items()}
    with pytest.raises(UserError, match=r"^The sequence has 13 tokens, but the model has max_position_embeddings=12"):
        WAYS[way](model, x, batch)


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_looks_at_its_inputs_and_lets_the_largest_pass(config, batch, kind):
    model = make(kind, config)
    x = inputs_of(model, batch)
    model(changed(changed(x, "input_ids", 23), "segment_ids", 1))
    with pytest.raises(UserError, match="input_ids has an id of 99, but the model has vocab_size=24"):
        model.predict_on_batch(changed(x, "input_ids", 99))


def test_lists_and_empty_batches(model, batch):
    with pytest.raises(UserError, match="id of 24"):
        model({name: array.tolist() for name, array in changed(batch[0], "input_ids", 24).items()})
    outputs = model({name: array[:0] for name, array in batch[0].items()})
    assert outputs["next_sentence"].shape == (0, 2)


@pytest.mark.parametrize("way", ["generator", "dataset"])
def test_validation_data_need_not_be_arrays(config, tokens, way):
    model = make("classifier", config)
    model.compile("sgd")
    data = tokens, labels_of("classifier")
    if way == "dataset":
        validation_data = pytest.importorskip("tensorflow").data.Dataset.from_tensors(data)
    else:
        validation_data = (each for each in [data])
    history = model.fit(*data, validation_data=validation_data, validation_steps=1, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's datasets and graphs")
def test_a_dataset_s_wrong_id_is_named_by_tensorflow_on_a_cpu(config, tokens):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("a GPU takes zeros for it")
    model = make("classifier", config)
    model.compile("sgd")
    dataset = tf.data.Dataset.from_tensors((changed(tokens, "input_ids", 24), labels_of("classifier")))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"= 24 is not in \[0, 24\)"):
        model.fit(dataset, verbose=0)


LABELS = {
    "classifier": ("labels", 3),
    "token_classifier": ("labels", 4),
    "span_labeler": ("end_logits", 10),
    "pretrainer": ("masked_lm", 24),
    "multiple_choice": ("labels", None),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_are_no_class_are_refused_where_our_loss_reads_them(config, batch, kind):
    name, classes = LABELS[kind]
    model, labels = make(kind, config), batch[1] if kind == "pretrainer" else labels_of(kind)
    x = inputs_of(model, batch)
    classes = x["input_ids"].shape[1] if classes is None else classes
    model.compile("sgd", run_eagerly=True)
    model.train_on_batch(x, labels)
    array = np.array(labels[name] if isinstance(labels, dict) else labels)
    for value in (classes, -1):
        array[0] = value
        wrong = {**labels, name: array} if isinstance(labels, dict) else array
        sentence = f"{name} has a class of {value}, but the model has {classes}. Number them from 0."
        for call in (model.train_on_batch, model.fit):
            with pytest.raises(UserError) as caught:
                call(x, y=wrong)
            assert str(caught.value) == sentence
    if kind != "token_classifier":
        return
    array[0] = -100
    model.train_on_batch(x, array)


def test_one_number_a_class_is_refused_unless_the_loss_is_the_caller_s(config, batch):
    model = make("classifier", config)
    x, one_hot = inputs_of(model, batch), np.eye(3)[[0, 1, 2, 0]]
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(UserError, match=r"labels has shape \(4, 3\), a number for each class; give .*argmax\(-1\)"):
        model.fit(x, one_hot, verbose=0)
    model.compile("sgd", loss=keras.losses.CategoricalCrossentropy(from_logits=True), run_eagerly=True)
    model.fit(x, one_hot, verbose=0)


def test_what_a_dict_holds_besides_the_inputs_is_passed_over(config, batch):
    model = make("classifier", config)
    x = inputs_of(model, batch)
    more = {**x, "label_ids": np.ones_like(x["input_ids"]), "attention": np.ones_like(x["input_ids"])}
    np.testing.assert_array_equal(model(more), model(x))
    np.testing.assert_array_equal(model.predict(more, verbose=0), model.predict(x, verbose=0))


def test_options_that_do_not_exist_are_refused(config):
    from keras_bert.models import BertClassifier, BertEncoder

    with pytest.raises(TypeError, match=r"Encoder takes config, return_all_layers, .*, and no return_atention_scores"):
        BertEncoder(config, return_atention_scores=True)
    with pytest.raises(TypeError, match=r"Classifier takes encoder, num_classes, .*, and no num_clases"):
        BertClassifier(BertEncoder(config), 2, num_clases=3)
    with pytest.raises(TypeError, match=r"config must be a Config, .* Received: 'tiny'"):
        BertEncoder("tiny")


def test_positions_past_the_sequence_are_refused(config, batch):
    encoder = make("encoder", config)
    with pytest.raises(UserError, match="positions has a position of 10, but the sequence has 10 tokens"):
        encoder(inputs_of(encoder, batch), positions=np.array([[0, 10]] * 4))
