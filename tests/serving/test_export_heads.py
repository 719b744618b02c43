"""SavedModels that take ids, in a process without this library and tensorflow-text; and options of the heads."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.models import BertEncoder
from keras_bert.serving.export import export
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.embed.embedding import embed
from keras_bert.tasks.embed.vectors import POOLINGS
from keras_bert.text.tokenizer import Tokenizer
from tests.serving.asking import in_fresh_process

LENGTH = 40  # as in conftest.py
TEXTS = ["Paris is the capital of France.", "", "東京 [MASK] 한국 " * 20]
IDS = ("ner", "squad", "multiple_choice", "embed", "classify", "fill_mask")


@pytest.mark.slow
def test_ids_need_no_tensorflow_text(models, tokenizer, tmp_path):
    options = {"inputs": "ids", "max_seq_length": LENGTH, "pooling": "cls", "normalize": False}
    paths = {name: export(models[name], tokenizer, tmp_path / name, **options).path for name in IDS}
    rows = [tokenizer.encode(text, None, LENGTH) for text in TEXTS]
    ids = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    masked, choices = np.array([[1, 2]] * 3), {name: np.stack([each, each[::-1]], axis=1) for name, each in ids.items()}
    requests = dict.fromkeys(IDS, ids) | {
        "fill_mask": {**ids, "masked_lm_positions": masked},
        "multiple_choice": choices,
    }
    lists = {paths[name]: {key: each.tolist() for key, each in inputs.items()} for name, inputs in requests.items()}
    answers = dict(zip(IDS, in_fresh_process(lists, tmp_path, "--ids"), strict=True))

    def answered(name, output):
        return [row[output] for row in answers[name]]

    np.testing.assert_allclose(
        answered("embed", "embedding"),
        embed(models["embed"], tokenizer, TEXTS, pooling="cls", normalize=False, max_seq_length=LENGTH),
        atol=1e-5,
    )
    expected = predict(models["classify"], tokenizer, TEXTS, max_seq_length=LENGTH)
    assert answered("classify", "label") == expected["label"]
    np.testing.assert_allclose(answered("classify", "probabilities"), expected["probabilities"], atol=1e-5)
    real = ids["input_mask"] == 1  # at padding the numbers mean nothing
    assert not real.all()
    np.testing.assert_allclose(np.array(answered("ner", "logits"))[real], models["ner"](ids).numpy()[real], atol=1e-5)
    for name in ("start_logits", "end_logits"):
        logits = models["squad"](ids)[name].numpy()
        np.testing.assert_allclose(np.array(answered("squad", name))[real], logits[real], atol=1e-5)
    logits, real = models["fill_mask"](requests["fill_mask"])["masked_lm"], np.take_along_axis(real, masked, axis=1)
    np.testing.assert_allclose(np.array(answered("fill_mask", "masked_lm"))[real], logits.numpy()[real], atol=1e-4)
    probabilities = tf.nn.softmax(models["multiple_choice"](choices))
    np.testing.assert_allclose(answered("multiple_choice", "probabilities"), probabilities, atol=1e-5)
    for name, path in paths.items():
        assert b"TF>" not in (path / "saved_model.pb").read_bytes(), name  # tensorflow-text's names of operations
        extras = path / "assets.extra"
        assert Tokenizer.from_pretrained(extras).vocabulary.tokens == tokenizer.vocabulary.tokens
        assert json.loads((extras / "task.json").read_text()).get("task") == getattr(models[name], "TASK", None)


def test_embeddings_of_every_pooling_and_a_prompt(models, tokenizer, tmp_path):
    """The graph puts the model's default prompt before each text, and leaves its tokens out of the pooling."""
    said = {"pooling": list(POOLINGS), "normalize": True, "max_seq_length": LENGTH, "include_prompt": False,
            "prompts": {"query": "the capital: "}, "default_prompt_name": "query"}  # fmt: skip
    model = BertEncoder(models["embed"].bert_config, sentence_vectors=said)
    model.set_weights(models["embed"].get_weights())
    path = export(model, tokenizer, tmp_path / "1").path
    served = tf.saved_model.load(str(path)).signatures["serving_default"](text=tf.constant(TEXTS))["embedding"]
    np.testing.assert_allclose(served, embed(model, tokenizer, TEXTS), atol=1e-5)
    with pytest.raises(UserError, match="takes ids cannot put the prompt 'the capital: ' before the texts"):
        export(model, tokenizer, tmp_path / "2", inputs="ids")


def test_lengths_where_nobody_says(models, tokenizer, tmp_path):
    assert export(models["embed"], tokenizer, tmp_path / "embed").path.exists()  # 64, all that the model reads
    assert export(models["squad"], tokenizer, tmp_path / "squad").path.exists()


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("squad", {"max_query_length": 40}, "max_seq_length must be greater than max_query_length"),
        ("squad", {"doc_stride": 0}, "doc_stride must be at least 1"),
        ("squad", {"pair": True}, "takes no pairs of texts"),
        ("ner", {"inputs": "words"}, "inputs must be one of text, ids. Received: 'words'"),
        ("multiple_choice", {"max_seq_length": 3}, "must be from 4"),
    ],
)
def test_options_that_cannot_be_are_user_errors(models, tokenizer, tmp_path, name, options, match):
    with pytest.raises(UserError, match=match):
        export(models[name], tokenizer, tmp_path / "1", **{"max_seq_length": LENGTH, **options})
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_pooling_is_a_user_error(models, tokenizer, tmp_path):
    with pytest.raises(UserError, match=r"pooling must be one of mean, cls, max, .*\. Received: 'sum'"):
        export(models["embed"], tokenizer, tmp_path / "1", max_seq_length=LENGTH, pooling="sum")
