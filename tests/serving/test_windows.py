"""A classifier that reads long texts in windows, in the graph as in Python."""

import json
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.serving.export import export
from keras_bert.serving.loading import load
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.classify.graph import classified
from keras_bert.tasks.classify.graph_windows import cut
from keras_bert.tasks.classify.kinds import KINDS
from keras_bert.tasks.classify.training import predict_logits
from keras_bert.tasks.served import Options, Server
from keras_bert.tasks.windows import encode_texts

LENGTH = 12
HEADS = {
    "classes": {"num_classes": 3},
    "multi_label": {"num_classes": 3, "multi_label": True},
    "regression": {"num_classes": 1},
}


@pytest.fixture(scope="module")
def long_texts(texts):
    """Texts whose pieces differ: the words of each window are others."""
    draw = random.Random(5)
    words = [
        [draw.choice(["the", "capital", "of", "paris", "france", "is", "a", "b"]) for _ in range(n)]
        for n in (30, 9, 11)
    ]
    return [*texts, *(" ".join(each) for each in words)]


@pytest.mark.parametrize("stride", [None, 1, 3, 50])
@pytest.mark.parametrize("texts_a_row", [1, 2])
def test_the_windows_are_python_s(tokenizer, stride, texts_a_row):
    draw = random.Random(texts_a_row)
    columns = [["a " * draw.choice([0, 1, 3, 4, 5, 8, 9, 10, 17, 40]) for _ in range(60)] for _ in range(texts_a_row)]
    options = {"max_seq_length": LENGTH, "doc_stride": stride}
    rows, counts = encode_texts(
        columns[0], columns[1] if texts_a_row == 2 else None, tokenizer, long_texts="windows", **options
    )
    numbered = [
        tf.ragged.constant([list(range(100 * i, 100 * i + len(t.split()))) for t in column], dtype=tf.int32)
        for i, column in enumerate(columns)
    ]
    windows, text = cut(numbered, **options)
    assert np.bincount(text.numpy(), minlength=60).tolist() == counts.tolist()
    for row, (ids, segments) in enumerate(zip(rows["input_ids"], rows["segment_ids"], strict=True)):
        lengths = [len(part[row]) for part in windows]
        assert sum(lengths) + 1 + texts_a_row == len(ids)
        assert lengths[0] == np.sum(segments == 0) - 2
    for part, column in zip(windows, columns, strict=True):  # each starts where the stride says and ends with the text
        for number, longest in enumerate(column):
            mine = [ids for ids, of in zip(part.to_list(), text.numpy(), strict=True) if of == number]
            assert all(ids == list(range(ids[0], ids[-1] + 1)) for ids in mine if ids)
            starts = [ids[0] for ids in mine if ids]
            if len(set(starts)) > 1:
                width = len(mine[0])
                step = min(width, max(1, width // 2) if stride is None else stride)
                assert np.diff(starts).tolist() == [step] * (len(starts) - 1)
                assert mine[-1][-1] % 100 == len(longest.split()) - 1


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("kind", HEADS)
def test_the_graph_answers_as_python_does(config, tokenizer, long_texts, kind, pair):
    keras.utils.set_random_seed(4)
    model = BertClassifier(BertEncoder(config), **HEADS[kind], pair=pair)
    columns = [long_texts, long_texts[::-1]] if pair else [long_texts]
    options = {"max_seq_length": LENGTH, "long_texts": "windows", "doc_stride": 4}
    server = Server(model, tokenizer, tokenizer.graph_layer(), Options(**options))
    served = classified(server, *map(tf.constant, columns))
    examples = Examples(texts=long_texts, pairs=columns[1] if pair else None)
    logits = predict_logits(model, examples, tokenizer, **options)
    cut_logits = predict_logits(model, examples, tokenizer, max_seq_length=LENGTH)
    assert np.abs(logits - cut_logits).max() > 0.01  # the windows do say something else
    if kind == "regression":
        np.testing.assert_allclose(served["score"], logits[:, 0], atol=1e-5)
        return
    answers = KINDS[kind].answers(logits, model.labels)
    expected = [list(row.values()) for row in answers["probabilities"]]
    np.testing.assert_allclose(served["probabilities"], expected, atol=2e-5)


def test_a_model_is_served_as_it_was_trained(config, tokenizer, long_texts, tmp_path):
    keras.utils.set_random_seed(4)
    model = BertClassifier(BertEncoder(config), 2, labels=["no", "yes"])
    model.save_pretrained(tmp_path / "model", tokenizer=tokenizer)
    file, reading = (
        tmp_path / "model" / "task.json",
        {"max_seq_length": LENGTH, "long_texts": "windows", "doc_stride": 4},
    )
    file.write_text(json.dumps({"reading": reading}))
    loaded = load(tmp_path / "model")
    assert loaded.settings == reading
    exported = export(loaded.model, tokenizer, tmp_path / "served" / "1", **loaded.settings)
    served = tf.saved_model.load(str(exported.path)).signatures["serving_default"](text=tf.constant(long_texts))
    logits = predict_logits(model, Examples(texts=long_texts), tokenizer, **reading)
    assert [label.decode() for label in served["label"].numpy()] == [model.labels[i] for i in logits.argmax(axis=1)]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"long_texts": "split"}, "long_texts must be cut or windows. Received: 'split'"),
        ({"long_texts": "windows", "doc_stride": 0}, "doc_stride must be at least 1. Received: 0"),
    ],
)
def test_options_that_cannot_be(models, tokenizer, tmp_path, options, match):
    with pytest.raises(UserError, match=match):
        export(models["classify"], tokenizer, tmp_path / "1", **options)
