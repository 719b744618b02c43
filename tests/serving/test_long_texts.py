"""Longformer and BigBird as they are served: Keras' layers in the graph, and the answers that Python gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import Config
from keras_bert.errors import UserNote
from keras_bert.models import Classifier, Encoder, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.serving.encoder import ServedEncoder
from keras_bert.serving.export import export
from keras_bert.tasks.asking import predict
from keras_bert.tasks.classify.arrays import predict as probabilities
from keras_bert.tasks.embed.embedding import embed

SIZES = {
    **{"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "num_hidden_layers": 2},
    **{"max_position_embeddings": 64, "initializer_range": 0.5},
}
OWN = {
    "longformer": {"attention_window": (2, 4)},
    "big_bird": {"block_sparse": {"block_size": 2, "random_blocks": 1}},  # in full up to 14 tokens, which none is
}
HEADS = {
    "classify": lambda encoder: Classifier(encoder, 3),
    "answer": SpanLabeler,
    "choose": MultipleChoice,
    "tag": lambda encoder: TokenClassifier(encoder, 3),
    "pretrain": Pretrainer,
    "embed": lambda encoder: encoder,
}
TEXTS = ["the capital of france is paris", "", "a " * 50, "is paris the capital of 한국 or of france ?"]


def model_of(family, head, tokenizer, **changes):
    keras.utils.set_random_seed(3)
    known = {"vocab_size": tokenizer.vocab_size, "pad_token_id": tokenizer.pad_id, "sep_token_id": tokenizer.sep_id}
    return HEADS[head](Encoder(Config.of_family(family, **SIZES, **known, **OWN[family], **changes)))


def served(model, tokenizer, folder, given, **options):
    with pytest.warns(UserNote, match=r"Keras' own layers compute the exported encoder.*: its attention is '"):
        exported = export(model, tokenizer, folder / "1", **options)
    answer = tf.saved_model.load(str(exported.path)).signatures["serving_default"]
    return {name: each.numpy() for name, each in answer(**{n: tf.constant(x) for n, x in given.items()}).items()}


@pytest.mark.slow
@pytest.mark.parametrize("family", OWN)
def test_texts_are_classified_as_in_python(family, tokenizer, tmp_path):
    model = model_of(family, "classify", tokenizer)
    assert not ServedEncoder.can_compute(model)
    found = served(model, tokenizer, tmp_path, {"text": TEXTS}, max_seq_length=40)["probabilities"]
    expected = probabilities(model, tokenizer, TEXTS, max_seq_length=40)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.05


@pytest.mark.parametrize("family", OWN)
@pytest.mark.nightly
def test_questions_are_answered_as_in_python(family, tokenizer, tmp_path):
    model = model_of(family, "answer", tokenizer)
    questions, contexts = ["is paris in france ?", "which capital ?"], ["paris is the capital of france", "a b c " * 30]
    lengths = {"max_seq_length": 40, "doc_stride": 8, "max_query_length": 10}
    given = {"question": questions, "context": contexts}
    found = served(model, tokenizer, tmp_path, given, **lengths)
    expected = predict(model, tokenizer, questions, contexts, **lengths)
    assert [text.decode() for text in found["text"]] == [each["text"] for each in expected]
    np.testing.assert_allclose(found["score"], [each["score"] for each in expected], atol=1e-5)


@pytest.mark.parametrize("family", OWN)
@pytest.mark.nightly
def test_choices_are_made_as_in_python(family, tokenizer, tmp_path):
    model = model_of(family, "choose", tokenizer)
    contexts, choices = ["the capital of france", "a " * 30], [["is paris", "is 東 京 !"], ["b c d", "e"]]
    found = served(model, tokenizer, tmp_path, {"context": contexts, "choices": choices}, max_seq_length=40)
    expected = predict(model, tokenizer, contexts, choices, max_seq_length=40)
    np.testing.assert_allclose(found["probabilities"], [each["probabilities"] for each in expected], atol=1e-5)


@pytest.mark.parametrize("family", OWN)
@pytest.mark.nightly
def test_vectors_are_those_of_python(family, tokenizer, tmp_path):
    model, options = model_of(family, "embed", tokenizer), {"pooling": "mean", "normalize": True, "max_seq_length": 40}
    found = served(model, tokenizer, tmp_path, {"text": TEXTS}, **options)["embedding"]
    np.testing.assert_allclose(found, embed(model, tokenizer, TEXTS, **options, batch_size=4), atol=1e-5)


@pytest.mark.parametrize(
    "head", ["classify", *(pytest.param(h, marks=pytest.mark.nightly) for h in ("tag", "pretrain"))]
)
@pytest.mark.slow
@pytest.mark.parametrize("family", OWN)
def test_ids_are_given_with_their_global_tokens(family, head, tokenizer, tmp_path):
    model = model_of(family, head, tokenizer)
    rng = np.random.default_rng(0)
    mask = (np.arange(20) < np.array([[20], [7]])).astype(np.int32)
    x = {
        "input_ids": np.where(mask, rng.integers(5, 60, mask.shape), model.bert_config.pad_token_id),
        "input_mask": mask,
    }
    x |= {"segment_ids": (np.arange(20) > 4) * mask, "masked_lm_positions": np.array([[1, 2], [3, 0]])}
    x |= {"global_attention_mask": (np.arange(20) % 7 == 1) * mask}
    x = {name: x[name].astype(np.int32) for name in model.input}
    assert ("global_attention_mask" in x) == (family == "longformer")
    found = served(model, tokenizer, tmp_path, x, inputs="ids", max_seq_length=40)
    expected = model(x)
    expected = expected if isinstance(expected, dict) else {"logits": expected}
    if head == "classify":
        np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(expected["logits"]), atol=1e-5)
        return
    for name, array in expected.items():
        array, ours = np.asarray(array), found[name]
        per_token = array.shape[:2] == mask.shape
        np.testing.assert_allclose(
            ours[mask == 1] if per_token else ours, array[mask == 1] if per_token else array, atol=1e-4
        )


@pytest.mark.slow
def test_without_a_tokenizer_an_example_is_made_all_the_same(tokenizer, tmp_path):
    model = model_of("longformer", "tag", tokenizer)
    with pytest.warns(UserNote):
        exported = export(model, None, tmp_path / "1", inputs="ids", max_seq_length=40)
    assert exported.example["global_attention_mask"].tolist() == [[1, 0, 0]]
