"""Answers in Python, against the models asked one text at a time and against weights set by hand."""

import types

import keras
import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.embed.embedding import embed
from keras_bert.tasks.fill_mask.filling import fill_mask
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


@pytest.fixture(scope="module")
def biased(config, tokenizer):
    """A model that scores nothing but its output bias: "paris" 3, "france" 2, all else 0."""
    model = BertPretrainer(BertEncoder(config))
    table = model.encoder.token_embedding.embeddings
    table.assign(np.zeros(table.shape))
    bias = np.zeros(config.vocab_size)
    bias[tokenizer.ids(["paris", "france"])] = 3, 2
    model.masked_lm_bias.bias.assign(bias)
    return model


def test_the_bias_alone_gives_known_probabilities(biased, tokenizer, config):
    total = np.e**3 + np.e**2 + config.vocab_size - 2
    [[guesses]] = fill_mask(biased, tokenizer, ["The [MASK]."], top_k=3)
    assert [guess["token"] for guess in guesses] == ["paris", "france", "[PAD]"]  # of equals, the lowest id
    expected = [np.e**3 / total, np.e**2 / total, 1 / total]
    np.testing.assert_allclose([guess["probability"] for guess in guesses], expected, rtol=1e-5)


def test_one_entry_a_mask_each_from_its_own_position(models, tokenizer, config):
    model, text = models["fill_mask"], "[MASK] is the [MASK] of [MASK]!"
    keeping = Tokenizer(tokenizer.vocabulary, keep=("[MASK]",))
    inputs = {name: each[None] for name, each in keeping.encode(text).items()}
    positions = np.flatnonzero(inputs["input_ids"][0] == tokenizer.mask_id)
    assert positions.tolist() == [1, 4, 6]
    logits = model({**inputs, "masked_lm_positions": positions[None]}, training=False)["masked_lm"]
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]
    [answer] = fill_mask(model, tokenizer, [text], top_k=config.vocab_size)
    assert len(answer) == 3
    for guesses, probabilities in zip(answer, expected, strict=True):
        found = {guess["token"]: guess["probability"] for guess in guesses}
        np.testing.assert_allclose([found[token] for token in tokenizer.vocabulary.tokens], probabilities, atol=1e-6)
        assert [g["probability"] for g in guesses] == sorted(found.values(), reverse=True)
    assert answer[0][0]["probability"] != pytest.approx(answer[1][0]["probability"])


def test_neighbours_in_a_batch_change_nothing(models, tokenizer):
    texts = ["the [MASK]", "[MASK] " * 20, "paris is the [MASK] of " + "france " * 30, "a [MASK]"]
    together = fill_mask(models["fill_mask"], tokenizer, texts, top_k=2, batch_size=3)
    assert [len(answer) for answer in together] == [1, 20, 1, 1]
    for text, answer in zip(texts, together, strict=True):
        [alone] = fill_mask(models["fill_mask"], tokenizer, [text], top_k=2)
        for one, other in zip(alone, answer, strict=True):
            assert [guess["token"] for guess in one] == [guess["token"] for guess in other]
            assert [g["probability"] for g in one] == pytest.approx([g["probability"] for g in other], abs=1e-5)


def test_fill_mask_of_nothing(models, tokenizer):
    assert fill_mask(models["fill_mask"], tokenizer, []) == []


@pytest.mark.parametrize(
    ("texts", "options", "match"),
    [
        (["the [MASK]", "the [mask]"], {}, r"No \[MASK\] in 'the \[mask\]'"),
        ([""], {}, r"No \[MASK\] in ''"),
        ("the [MASK]", {}, "must be a list of strings"),
        (["the [MASK]", 3], {}, "Entry 1 is 3"),
        (["the " * 70 + "[MASK]"], {}, "stands past the first 64 tokens"),
        (["the the the [MASK]"], {"max_seq_length": 5}, "stands past the first 5 tokens"),
        (["[MASK]"], {"max_seq_length": 65}, "to 64, the most tokens that the model reads. Received: 65"),
        (["[MASK]"], {"max_seq_length": 2}, "must be from 3"),
        (["[MASK]"], {"top_k": 0}, "top_k must be from 1"),
        (["[MASK]"], {"top_k": 1000}, "Received: 1000"),
    ],
)
def test_what_cannot_be_filled_is_a_user_error(models, tokenizer, texts, options, match):
    with pytest.raises(UserError, match=match):
        fill_mask(models["fill_mask"], tokenizer, texts, **options)


def test_a_vocabulary_larger_than_the_model_is_a_user_error(models, config):
    other = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *(f"w{number}" for number in range(999))]))
    with pytest.raises(UserError, match=f"1004 entries, but the model's vocab_size is {config.vocab_size}"):
        fill_mask(models["fill_mask"], other, ["[MASK]"])


def test_a_row_without_a_piece_is_no_answer(models):
    """A model of more rows than the vocabulary, which has a blank one, too: of all guesses seven have a piece."""
    few = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "the", "", "cat"]))
    [[guesses]] = fill_mask(models["fill_mask"], few, ["[MASK]"], top_k=7)
    assert {guess["token"] for guess in guesses} == {*SPECIAL_TOKENS, "the", "cat"}
    with pytest.raises(UserError, match="top_k must be from 1 to 7, the vocabulary's size"):
        fill_mask(models["fill_mask"], few, ["[MASK]"], top_k=8)


def test_a_row_without_a_piece_is_no_answer_of_a_server():
    tf = pytest.importorskip("tensorflow")
    from keras_bert.tasks.fill_mask.graph import filled_masks

    few = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "the", "", "cat"]))
    logits = tf.range(10, dtype=tf.float32)[None, None]  # likeliest are two rows past the vocabulary, then "cat"
    server = types.SimpleNamespace(
        tokenizer=few, model=lambda *_, **__: {"masked_lm": logits}, options=types.SimpleNamespace(top_k=3)
    )
    answer = filled_masks(server, {"input_ids": tf.constant([[few.mask_id]])})
    assert answer["tokens"].numpy().tolist() == [[[b"cat", b"the", b"[MASK]"]]]


def test_an_embedding_is_the_mean_over_the_real_tokens(models, tokenizer, texts):
    model = models["embed"]
    plain = embed(model, tokenizer, texts, normalize=False, max_seq_length=40, batch_size=4)
    normal = embed(model, tokenizer, texts, max_seq_length=40)
    for text, mean, unit in zip(texts, plain, normal, strict=True):
        unpadded = tokenizer.encode(text)
        inputs = {name: each[None, :] for name, each in tokenizer.encode(text, max_seq_length=40).items()}
        inputs = {name: each[:, : len(unpadded["input_ids"])] for name, each in inputs.items()}  # no padding
        expected = np.asarray(model(inputs, training=False)["sequence_output"])[0].mean(axis=0)
        np.testing.assert_allclose(mean, expected, atol=1e-5)
        np.testing.assert_allclose(unit, expected / np.linalg.norm(expected), atol=1e-5)
    assert normal.dtype == np.float32


def test_classes_and_scores_are_the_models(models, tokenizer, texts):
    others = texts[::-1]
    for name, pairs in (("classify", None), ("pair", others), ("score", None)):
        answer = predict(models[name], tokenizer, texts, pairs, max_seq_length=40, batch_size=4)
        for row, text in enumerate(texts):
            inputs = tokenizer.encode(text, None if pairs is None else pairs[row], max_seq_length=40)
            logits = models[name]({key: each[None] for key, each in inputs.items()}, training=False)[0]
            if name == "score":
                assert answer["score"][row] == pytest.approx(float(logits[0]), abs=1e-5)
            else:
                expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
                np.testing.assert_allclose(answer["probabilities"][row], expected, atol=1e-5)
                assert answer["label"][row] == models[name].labels[expected.argmax()]


def test_pairs_must_be_as_many_as_texts(models, tokenizer):
    with pytest.raises(UserError, match="Received: 1 and 2"):
        predict(models["pair"], tokenizer, ["a", "b"], ["c"])
