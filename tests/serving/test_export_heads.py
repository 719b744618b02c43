"""SavedModels of taggers, span labelers and choosers, and those that take ids: a fresh process without this library."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.models import BertEncoder, BertMultipleChoice, BertSpanLabeler, BertTokenClassifier
from keras_bert.serving.embed import embed
from keras_bert.serving.export import export
from keras_bert.serving.predict import predict
from keras_bert.tasks.choices import choice_logits
from keras_bert.tasks.choices_files import Questions
from keras_bert.tasks.squad.answering import Answerer
from keras_bert.tasks.tagging import _WORD, predict_tags
from keras_bert.text.tokenizer import Tokenizer

LENGTH = 40  # as in conftest.py
TEXTS = ["Paris is the capital of France.", "", "東京 [MASK] 한국 " * 20]
QUESTIONS = ["the capital?", "is", ""]
CHOICES = [["of France.", "Paris is."], ["", "a b c"], ["the", "the"]]

# What a server has: TensorFlow, and for raw strings tensorflow-text's operations.
SERVER = """
import json, sys
import tensorflow as tf
if {text}:
    import tensorflow_text
requests = json.loads(sys.argv[1])
answers = {{}}
for path, inputs in requests.items():
    serve = tf.saved_model.load(path).signatures["serving_default"]
    specs = serve.structured_input_signature[1]
    given = {{name: tf.constant(rows, specs[name].dtype) for name, rows in inputs.items()}}
    answers[path] = {{key: value.numpy().tolist() for key, value in serve(**given).items()}}
loaded = {{name.split(".")[0] for name in sys.modules}}
assert not loaded & {{"keras_bert", *(() if {text} else ("tensorflow_text",))}}
print(json.dumps(answers, default=bytes.decode))
"""


def ask(requests, *, text=True):
    """Asks SavedModels in a process of its own: {path: {input: rows}} -> {path: {output: rows}}."""
    command = [sys.executable, "-c", SERVER.format(text=text), json.dumps({str(p): i for p, i in requests.items()})]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    return [answers[str(path)] for path in requests]


@pytest.fixture(scope="module")
def heads(config):
    keras.utils.set_random_seed(2)
    labels = ["O", "B-LOC", "I-LOC"]
    heads = {
        "ner": BertTokenClassifier(BertEncoder(config), 3, labels=labels),
        "squad": BertSpanLabeler(BertEncoder(config)),
        "choice": BertMultipleChoice(BertEncoder(config)),
    }
    heads["squad"].null_score_diff_threshold = 0.0
    return heads


def test_every_head_answers_strings_as_python_does(heads, tokenizer, tmp_path):
    paths = {
        name: export(model, tokenizer, tmp_path / name, max_seq_length=LENGTH).path for name, model in heads.items()
    }
    tags, answers, choices = ask(
        {
            paths["ner"]: {"text": TEXTS},
            paths["squad"]: {"question": QUESTIONS, "context": [TEXTS[0], TEXTS[2], TEXTS[0]]},
            paths["choice"]: {"context": TEXTS, "choices": CHOICES},
        }
    )
    words = [[match[0] for match in _WORD.finditer(text)] for text in TEXTS]
    labels, scores = predict_tags(heads["ner"], tokenizer, words, max_seq_length=LENGTH)
    for row, text in enumerate(TEXTS):
        counted = {name: each[row][: tags["num_tokens"][row]] for name, each in tags.items() if name != "num_tokens"}
        assert counted["tokens"] == words[row]
        assert [text[start:end] for start, end in zip(counted["start"], counted["end"], strict=True)] == words[row]
        assert counted["label"] == labels[row]
        np.testing.assert_allclose(counted["score"], scores[row], atol=1e-5)
    answerer = Answerer(heads["squad"], tokenizer, max_seq_length=LENGTH)
    for row, expected in enumerate(answerer(QUESTIONS, [TEXTS[0], TEXTS[2], TEXTS[0]])):
        assert answers["text"][row] == expected.text
        assert answers["score"][row] == pytest.approx(expected.score, abs=1e-5)
    questions = Questions(TEXTS, [""] * 3, CHOICES)
    logits = choice_logits(heads["choice"], tokenizer, questions, max_seq_length=LENGTH)
    np.testing.assert_allclose(choices["probabilities"], tf.nn.softmax(logits), atol=1e-5)
    assert choices["choice"] == np.argmax(logits, axis=1).tolist()


def test_ids_need_no_tensorflow_text(heads, models, tokenizer, tmp_path):
    every = {**heads, **{name: models[name] for name in ("embed", "classify", "fill_mask")}}
    options = {"inputs": "ids", "max_seq_length": LENGTH, "pooling": "cls", "normalize": False}
    paths = {name: export(model, tokenizer, tmp_path / name, **options).path for name, model in every.items()}
    rows = [tokenizer.encode(text, None, LENGTH) for text in TEXTS]
    ids = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    requests = {paths[name]: dict(ids) for name in every}
    requests[paths["fill_mask"]]["masked_lm_positions"] = np.array([[1, 2]] * 3)
    requests[paths["choice"]] = {name: np.stack([each, each[::-1]], axis=1) for name, each in ids.items()}
    asked = {path: {name: each.tolist() for name, each in inputs.items()} for path, inputs in requests.items()}
    answers = dict(zip(every, ask(asked, text=False), strict=True))
    np.testing.assert_allclose(
        answers["embed"]["embedding"],
        embed(models["embed"], tokenizer, TEXTS, pooling="cls", normalize=False, max_seq_length=LENGTH),
        atol=1e-5,
    )
    expected = predict(models["classify"], tokenizer, TEXTS, max_seq_length=LENGTH)
    assert answers["classify"]["label"] == expected["label"]
    np.testing.assert_allclose(answers["classify"]["probabilities"], expected["probabilities"], atol=1e-5)
    np.testing.assert_allclose(answers["ner"]["logits"], heads["ner"](ids), atol=1e-5)
    for name in ("start_logits", "end_logits"):
        np.testing.assert_allclose(answers["squad"][name], heads["squad"](ids)[name], atol=1e-5)
    masked = models["fill_mask"]({**ids, "masked_lm_positions": np.array([[1, 2]] * 3)})
    np.testing.assert_allclose(answers["fill_mask"]["masked_lm"], masked["masked_lm"], atol=1e-4)
    logits = heads["choice"]({name: np.stack([each, each[::-1]], axis=1) for name, each in ids.items()})
    np.testing.assert_allclose(answers["choice"]["probabilities"], tf.nn.softmax(logits), atol=1e-5)
    for name, path in paths.items():
        assert b"TF>" not in (path / "saved_model.pb").read_bytes(), name  # tensorflow-text's names of operations
        extras = path / "assets.extra"
        assert Tokenizer.from_pretrained(extras).vocabulary.tokens == tokenizer.vocabulary.tokens
        assert json.loads((extras / "task.json").read_text()).get("task") == getattr(every[name], "TASK", None)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_embeddings_of_every_pooling(models, tokenizer, tmp_path, pooling):
    path = export(models["embed"], tokenizer, tmp_path / "1", max_seq_length=LENGTH, pooling=pooling).path
    served = tf.saved_model.load(str(path)).signatures["serving_default"](text=tf.constant(TEXTS))["embedding"]
    np.testing.assert_allclose(
        served, embed(models["embed"], tokenizer, TEXTS, pooling=pooling, max_seq_length=LENGTH), atol=1e-5
    )


def test_lengths_where_nobody_says(heads, models, tokenizer, tmp_path):
    assert export(models["embed"], tokenizer, tmp_path / "embed").path.exists()  # 64, all that the model reads
    assert export(heads["squad"], tokenizer, tmp_path / "squad").path.exists()


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("squad", {"max_query_length": 40}, "max_seq_length must be greater than max_query_length"),
        ("squad", {"doc_stride": 0}, "doc_stride must be at least 1"),
        ("squad", {"pair": True}, "takes no pairs of texts"),
        ("ner", {"inputs": "words"}, "inputs must be one of text, ids. Received: 'words'"),
        ("choice", {"max_seq_length": 3}, "must be from 4"),
    ],
)
def test_options_that_cannot_be_are_user_errors(heads, tokenizer, tmp_path, name, options, match):
    with pytest.raises(UserError, match=match):
        export(heads[name], tokenizer, tmp_path / "1", **{"max_seq_length": LENGTH, **options})
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_pooling_is_a_user_error(models, tokenizer, tmp_path):
    with pytest.raises(UserError, match=r"pooling must be one of mean, cls, max\. Received: 'sum'"):
        export(models["embed"], tokenizer, tmp_path / "1", max_seq_length=LENGTH, pooling="sum")
