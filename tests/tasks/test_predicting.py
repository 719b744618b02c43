"""Outputs in the rows' order and structure, equal to what each row gives alone."""

import keras
import numpy as np
import pytest

from keras_bert.config import BertConfig
from keras_bert.models import BertClassifier, BertEncoder, BertMultipleChoice, BertSpanLabeler, BertTokenClassifier
from keras_bert.tasks.predicting import predict_rows

CONFIG = BertConfig.from_name("L-1_H-16", vocab_size=30, max_position_embeddings=40, initializer_range=0.2)


@pytest.fixture
def rows():
    """Nine rows of 3 to 33 ids, in no order."""
    rng = np.random.default_rng(0)
    lengths = [9, 3, 33, 17, 17, 8, 25, 4, 16]
    ids = [rng.integers(5, 30, length).tolist() for length in lengths]
    return {"input_ids": ids, "segment_ids": [[0] * 2 + [1] * (len(row) - 2) for row in ids]}


def alone(model, rows, number):
    ids, segments = (np.array([rows[name][number]]) for name in ("input_ids", "segment_ids"))
    outputs = model({"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": segments}, training=False)
    return keras.tree.map_structure(lambda tensor: np.asarray(tensor)[0], outputs)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def test_an_answer_a_row(rows):
    model, seen = BertClassifier(BertEncoder(CONFIG), 3), []
    progress = {"progress": lambda *args: seen.append(args), "stage": "asking"}
    logits = predict_rows(model, rows, batch_size=4, max_seq_length=40, pad_id=0, **progress)
    assert (logits.shape, logits.dtype) == ((9, 3), np.float32)
    for number in range(9):
        np.testing.assert_allclose(logits[number], alone(model, rows, number), atol=1e-5)
    assert seen == [("asking", done, 9, "example") for done in (4, 8, 9)]


def test_answers_for_tokens(rows):
    model, seen = BertTokenClassifier(BertEncoder(CONFIG), 4), []
    logits = predict_rows(
        model,
        rows,
        batch_size=2,
        max_seq_length=40,
        pad_id=0,
        per_token=True,
        progress=lambda *args: seen.append(args[1]),
    )
    assert [row.shape for row in logits] == [(len(ids), 4) for ids in rows["input_ids"]]
    for number in range(9):
        np.testing.assert_allclose(logits[number], alone(model, rows, number), atol=1e-5)
    assert seen == [2, 4, 6, 8, 9]


def test_several_outputs_for_tokens(rows):
    model = BertSpanLabeler(BertEncoder(CONFIG))
    outputs = predict_rows(model, rows, batch_size=3, max_seq_length=33, pad_id=0, per_token=True)
    assert set(outputs) == {"start_logits", "end_logits"}
    for number in range(9):
        for name, expected in alone(model, rows, number).items():
            assert outputs[name][number].dtype == np.float32
            np.testing.assert_allclose(outputs[name][number], expected, atol=1e-5)


def test_choices(rows):
    model = BertMultipleChoice(BertEncoder(CONFIG))
    scores = predict_rows(model, rows, batch_size=2, max_seq_length=40, pad_id=0, num_choices=3)
    assert scores.shape == (3, 3)
    for number, score in enumerate(scores.ravel()):
        one = {name: [[values[number]]] for name, values in rows.items()}  # one example of one choice
        np.testing.assert_allclose(score, alone(model, one, 0)[0], atol=1e-5)
