"""The models as Keras models: shapes, default losses, training on one batch, and what Keras offers besides."""

import keras
import numpy as np
import pytest

from keras_bert.config import BertConfig
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer, SparseCrossEntropy
from keras_bert.training.optimizers import adamw
from tests.models.conftest import as_batch
from tests.small import batch_loss


def test_the_encoder_gives_a_sequence_and_a_pooled_output(config, tokens):
    outputs = BertEncoder(config)(tokens)
    assert {name: tuple(x.shape) for name, x in outputs.items()} == {
        "sequence_output": (4, 10, 8),
        "pooled_output": (4, 8),
    }
    every = BertEncoder(config, return_all_layers=True)(tokens)
    assert tuple(every["embedding_output"].shape) == (4, 10, 8)
    assert len(every["encoder_outputs"]) == 2
    np.testing.assert_array_equal(every["encoder_outputs"][-1], every["sequence_output"])


def test_padding_does_not_change_what_stands_before_it(config, tokens):
    encoder = BertEncoder(config)
    longer = {name: np.pad(array, ((0, 0), (0, 2))) for name, array in tokens.items()}
    short, long = encoder(tokens), encoder(longer)
    np.testing.assert_allclose(np.asarray(long["sequence_output"])[:, :10], short["sequence_output"], atol=1e-5)
    np.testing.assert_allclose(long["pooled_output"], short["pooled_output"], atol=1e-5)


def test_a_sequence_longer_than_the_positions_is_refused_with_both_numbers(config):
    ones = np.ones((1, 13), int)
    with pytest.raises(ValueError, match=r"13 tokens, but the model has max_position_embeddings=12"):
        BertEncoder(config)({"input_ids": ones, "input_mask": ones, "segment_ids": 0 * ones})


@pytest.mark.parametrize("dtype", [None, "mixed_bfloat16"])
def test_heads_give_float32_logits(config, batch, tokens, dtype):
    encoder = BertEncoder(config, dtype=dtype)
    outputs = BertPretrainer(encoder)(batch[0])
    assert tuple(outputs["masked_lm"].shape) == (4, 4, 24)
    assert tuple(outputs["next_sentence"].shape) == (4, 2)
    logits = BertClassifier(encoder, 3)(tokens)
    assert tuple(logits.shape) == (4, 3)
    for x in (*outputs.values(), logits):
        assert keras.backend.standardize_dtype(x.dtype) == "float32"
    assert {variable.dtype for variable in encoder.variables} == {"float32"}


def test_the_output_weights_are_the_token_embeddings(config, batch):
    model = BertPretrainer(BertEncoder(config))
    tables = [v for v in model.trainable_variables if 24 in v.shape]
    assert sorted(tuple(v.shape) for v in tables) == [(24,), (24, 8)]  # the bias and one table
    before = np.asarray(model(batch[0])["masked_lm"])
    table = model.encoder.token_embedding.embeddings
    change = np.zeros((24, 8), np.float32)
    change[1, 0] = 1.0  # a word that stands in no input
    assert not (batch[0]["input_ids"] == 1).any()
    table.assign(table + change)
    moved = np.abs(np.asarray(model(batch[0])["masked_lm"]) - before).max(axis=(0, 1))
    assert moved[1] > 1e-3
    assert not np.delete(moved, 1).any()


def test_compile_without_a_loss_takes_bert_s_own(config):
    encoder = BertEncoder(config)
    pretrainer, classifier, regressor = BertPretrainer(encoder), BertClassifier(encoder, 3), BertClassifier(encoder, 1)
    for model in (pretrainer, classifier, regressor):
        model.compile("adam")
    assert {type(loss) for loss in pretrainer.loss.values()} == {SparseCrossEntropy}
    assert set(pretrainer.loss) == {"masked_lm", "next_sentence"}
    assert type(classifier.loss) is SparseCrossEntropy
    assert regressor.loss == "mse"
    classifier.compile("adam", loss="sparse_categorical_crossentropy")
    assert classifier.loss == "sparse_categorical_crossentropy"


@pytest.mark.slow
def test_a_two_layer_model_learns_one_batch_by_heart(batch):
    keras.utils.set_random_seed(3)
    config = BertConfig.from_name(
        *("tiny",),
        **{"vocab_size": 24, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64},
        max_position_embeddings=12,
    )
    model = BertPretrainer(BertEncoder(config))
    model.compile(adamw(3e-3, num_train_steps=150, num_warmup_steps=15), jit_compile=False)
    x, y, weights = batch
    first = batch_loss(model, x, y, weights)
    for _ in range(149):
        model.train_on_batch(x, y, sample_weight=weights)
    assert first > 3.0
    assert model.evaluate(x, y, sample_weight=weights, verbose=0)[0] < 0.05
    logits = model.predict(x, verbose=0)
    right = logits["masked_lm"].argmax(-1) == y["masked_lm"]
    assert right[weights["masked_lm"] == 1].all()
    assert (logits["next_sentence"].argmax(-1) == y["next_sentence"]).all()


def test_padding_slots_do_not_train(config, instances):
    model = BertPretrainer(BertEncoder(config))
    model.compile("sgd", run_eagerly=True)
    losses, start = [], model.get_weights()
    results = []
    for change in (0, 7):
        other = {name: array.copy() for name, array in instances.items()}
        free = other["masked_lm_weights"] == 0
        assert free.sum() == 1
        other["masked_lm_ids"][free] += change
        other["masked_lm_positions"][free] += change
        model.set_weights(start)
        x, y, weights = as_batch(other)
        losses.append(batch_loss(model, x, y, weights))
        results.append(model.get_weights())
    assert losses[0] == losses[1]
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-7)


def test_a_classifier_learns_from_token_ids_with_fit(config, tokens):
    keras.utils.set_random_seed(1)
    model = BertClassifier(BertEncoder(config.replace(num_hidden_layers=1)), 3)
    model.compile(adamw(1e-2), metrics=["accuracy"])
    history = model.fit(tokens, np.array([0, 2, 1, 2]), batch_size=2, epochs=25, verbose=0)
    assert history.history["accuracy"][-1] == 1.0


def test_a_regressor_s_loss_is_the_mean_squared_error(config, tokens):
    model = BertClassifier(BertEncoder(config), 1)
    model.compile(run_eagerly=True)
    targets = np.array([0.5, -1.0, 2.0, 0.0], np.float32)
    numbers = np.asarray(model(tokens))[:, 0]
    loss = model.evaluate(tokens, targets, verbose=0)
    assert loss == pytest.approx(((numbers - targets) ** 2).mean(), rel=1e-5)  # (4, 1) and (4,) are not broadcast


def test_labels_name_the_classes(config):
    encoder = BertEncoder(config)
    assert BertClassifier(encoder, 3).labels == ["0", "1", "2"]
    assert BertClassifier(encoder, 2, labels=["no", "yes"]).labels == ["no", "yes"]
    with pytest.raises(ValueError, match=r"one name a class\. Received: 3 for 2 classes"):
        BertClassifier(encoder, 2, labels=["no", "yes", "maybe"])


def test_dropout_comes_from_the_config_and_is_on_in_training_alone(config, batch):
    model = BertPretrainer(BertEncoder(config.replace(hidden_dropout_prob=0.5)))
    still, moving = model(batch[0]), model(batch[0], training=True)
    np.testing.assert_array_equal(model(batch[0], training=False)["masked_lm"], still["masked_lm"])
    assert np.abs(np.asarray(moving["masked_lm"]) - np.asarray(still["masked_lm"])).max() > 1e-3
