"""What an answer must be whatever was asked: probabilities that are some, labels that there are, places in the text.

A row is {output: value} as fresh.py gives it, and what was asked for it {input: str, or list of str}.
"""

import math

import numpy as np
import pytest

from keras_bert.tasks.answer.answers import NO_WINDOW
from keras_bert.tasks.tag.tagging import word_places
from keras_bert.text.vocabulary import MASK
from tests.serving.asking import has_pieces, known
from tests.serving.conftest import MAX_SEQ_LENGTH

SPACES = " \t\r\n\u202f"  # run_squad.py's


def check_rows(name, rows, inputs, model, tokenizer):
    """Checks the answers of a model of conftest.py to a request."""
    asked = [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]
    for row, given in zip(rows, asked, strict=True):
        try:
            CHECKS[name](row, given, model, tokenizer)
        except AssertionError as error:
            raise AssertionError(f"{name} answered {row!r:.500} to {given!r:.300}: {error}") from error


def _embedding(row, given, model, tokenizer):
    assert np.linalg.norm(row["embedding"]) == _near(1)


def _score(row, given, model, tokenizer):
    assert math.isfinite(row["score"])


def _classes(row, given, model, tokenizer):
    names, probabilities = list(map(str, model.labels)), row["probabilities"]
    assert row["labels"] == names
    assert all(0 <= each <= 1 for each in probabilities) and len(probabilities) == len(names)
    if model.multi_label:
        assert row["label"] == ",".join(name for name, each in zip(names, probabilities, strict=True) if each >= 0.5)
    else:
        assert sum(probabilities) == _near(1)
        assert row["label"] == names[int(np.argmax(probabilities))]


def _masks(row, given, model, tokenizer):
    ids = tokenizer.keeping((MASK,)).encode(known(given["text"]), max_seq_length=MAX_SEQ_LENGTH)["input_ids"]
    assert row["num_masks"] == (ids == tokenizer.mask_id).sum() == len(row["tokens"]) == len(row["probabilities"])
    for tokens, probabilities in zip(row["tokens"], row["probabilities"], strict=True):
        assert len(set(tokens)) == 4 and set(tokens) <= set(tokenizer.vocabulary.tokens)
        assert sum(probabilities) <= 1.00001 and probabilities == sorted(probabilities, reverse=True)
        assert probabilities[-1] >= 0


def _tags(row, given, model, tokenizer):
    text = known(given["text"])
    places = list(zip(row["start"], row["end"], strict=True))
    assert places == word_places(text)
    assert row["tokens"] == [text[start:end] for start, end in places]
    assert row["num_tokens"] == len(places)
    assert set(row["label"]) <= set(model.labels) and len(row["label"]) == len(places)
    for word, score in zip(row["tokens"], row["score"], strict=True):
        assert (1 / len(model.labels) - 1e-6 <= score <= 1.00001) if tokenizer.token_ids(word) else score == 0


def _spans(row, given, model, tokenizer):
    context, threshold = known(given["context"]), model.null_score_diff_threshold
    assert 0 <= row["score"] <= 1.00001 and math.isfinite(row["null_score"])
    if not has_pieces(tokenizer, context):
        assert (row["score"], row["null_score"], row["start"]) == (1, NO_WINDOW, -1)
    if row["start"] < 0:
        assert (row["text"], row["start"], row["end"]) == ("", -1, -1) and row["null_score"] > threshold
    else:
        assert row["text"] == context[row["start"] : row["end"]] and row["end"] <= len(context)
        assert row["text"] and not {row["text"][0], row["text"][-1]} & set(SPACES)
        assert row["null_score"] <= threshold


def _choice(row, given, model, tokenizer):
    probabilities = row["probabilities"]
    assert len(probabilities) == len(given["choices"])
    assert all(0 <= each <= 1 for each in probabilities) and sum(probabilities) == _near(1)
    assert row["choice"] == np.argmax(probabilities)


def _near(value):
    return pytest.approx(value, abs=1e-5)


CHECKS = {
    "embed": _embedding,
    "classify": _classes,
    "pair": _classes,
    "multi_label": _classes,
    "score": _score,
    "fill_mask": _masks,
    "ner": _tags,
    "squad": _spans,
    "multiple_choice": _choice,
}
