"""Texts of thousands of tokens as they are served: the memory that they take, where they end, and what pads them."""

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from benchmarks import long_serving
from keras_bert.errors import UserError
from keras_bert.serving.export import export
from tests.serving.test_every_family import model_of

SCORES = 12 * 8192**2 * 4 / 1e6  # megabytes of the scores of one layer of base size, held all at once: 3,221


@pytest.mark.nightly
def test_a_text_of_8192_tokens_takes_a_part_of_its_scores_memory():
    """Two copies of the scores are the least that a softmax needs; a first block's full layer, and a local one."""
    figures = long_serving.measure("modernbert-base", layers=2, vocab_size=1000)
    assert figures["peak_mb"] - figures["loaded_mb"] < SCORES / 3
    assert figures["peak_mb"] < 4 * 2**30 / 1e6


@pytest.fixture(scope="module")
def long_model(tokenizer):
    """An encoder that reads 2,048 tokens."""
    return model_of("modernbert", "embed", tokenizer, max_position_embeddings=2048)


@pytest.mark.nightly
@pytest.mark.parametrize("length", [16, 300, 1500])
def test_served_texts_of_any_length_are_python_s(long_model, tokenizer, tmp_path, length):
    path = export(long_model, tokenizer, tmp_path / "1", max_seq_length=2048).path
    texts = ["paris is the capital " * (length // 4), "of", "a b c " * (length // 3)]
    found = tf.saved_model.load(str(path)).signatures["serving_default"](text=tf.constant(texts))["embedding"]
    np.testing.assert_allclose(found, kb.embed(long_model, tokenizer, texts, max_seq_length=2048), atol=1e-5)


@pytest.mark.slow
def test_a_text_longer_than_the_model_is_cut(long_model, tokenizer, tmp_path):
    """As a BERT's is; and a short text is padded to its own length, not to the model's."""
    path = export(long_model, tokenizer, tmp_path / "1", max_seq_length=64).path
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    text = "paris is the capital of france " * 30
    cut, kept = (signature(text=tf.constant([each]))["embedding"] for each in (text, " ".join(text.split()[:62])))
    np.testing.assert_allclose(cut, kept, atol=1e-6)
    with pytest.raises(UserError, match=r"max_seq_length must be from 3, .* to 2048, the most .* Received: 2049"):
        export(long_model, tokenizer, tmp_path / "2", max_seq_length=2049)


@pytest.mark.slow
def test_ids_past_the_last_place_and_too_many_global_tokens_are_refused(tokenizer, tmp_path):
    """Where nothing else would fail: rotary places have no end, and Longformer would answer NaN."""
    asked = {
        "modernbert": "longer than the 64 tokens that the model reads",
        "longformer": "at most 3 tokens of",
    }
    for family, sentence in asked.items():
        model = model_of(family, "classify", tokenizer, max_global_tokens=3)
        path = export(model, tokenizer, tmp_path / family, inputs="ids", max_seq_length=40).path
        signature = tf.saved_model.load(str(path)).signatures["serving_default"]

        def answer(length, count):
            ids = np.full((2, length), 7, np.int32)
            every = {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
            every["global_attention_mask"] = (np.arange(length) < [[1], [count]]).astype(np.int32)
            return signature(**{name: tf.constant(every[name]) for name in model.input})["probabilities"]  # noqa: B023

        assert np.isfinite(answer(20, 3)).all()
        with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
            answer(65 if family == "modernbert" else 20, 4)
