"""The same request to a SavedModel in a process of its own and to the functions of Python, and whether both agree.

Requests and answers are those of fresh.py: {input: rows}, and a list of {output: value}, one a row.
"""

import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import keras_bert as kb
from keras_bert.tasks.answer.answering import Answerer
from keras_bert.tasks.answer.examples import Context
from keras_bert.tasks.choose.choices import predict_choices
from keras_bert.tasks.choose.files import Questions
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.fill_mask.filling import fill_mask
from keras_bert.tasks.tag.tagging import predict_tags, word_places
from keras_bert.text.vocabulary import MASK
from tests.serving.conftest import MAX_SEQ_LENGTH, OPTIONS

PROGRAM = Path(__file__).with_name("fresh.py")
SIZES = {"max_seq_length": MAX_SEQ_LENGTH}


def requests(texts, pairs=None, mask=MASK):
    """Returns {name of a model of conftest.py: its request}, made of texts.

    Args:
        texts: list of str.
        pairs: list of (question, context); None makes them of the texts.
        mask: the tokenizer's mask token.
    """
    others = texts[::-1]
    one = {"text": texts}
    questions, contexts = (others, texts) if pairs is None else map(list, zip(*pairs, strict=True))
    following = texts[1:] + texts[:1]
    return {
        **dict.fromkeys(("embed", "classify", "score", "multi_label", "ner"), one),
        "pair": {"text": texts, "pair": others},
        "fill_mask": {"text": [text if mask in text else f"{mask} {text}" for text in texts]},
        "squad": {"question": questions, "context": contexts},
        "multiple_choice": {
            "context": texts,
            "choices": [list(choices) for choices in zip(others, following, texts, strict=True)],
        },
    }


def in_fresh_process(requests, folder, *flags):
    """Asks SavedModels in a process of its own.

    Args:
        requests: {path: request}.
        folder: where the process works.
        *flags: those of fresh.py.

    Returns:
        A list of answers, in the order of the requests; with `--together` two of them.
    """
    files = [folder / name for name in ("requests.json", "answers.json")]
    files[0].write_text(json.dumps({str(path): inputs for path, inputs in requests.items()}))
    done = subprocess.run([sys.executable, PROGRAM, *files, *flags], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(files[1].read_text())
    found = [[each[str(path)] for path in requests] for each in answers]
    return found if "--together" in flags else found[0]


def known(text):
    """Returns what is left of a text without the bytes that are no UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="ignore")


def in_python(name, model, tokenizer, inputs):
    """Returns what Python's own functions answer to a request, without `null_score`, which they do not give."""
    inputs = {key: [_known(row) for row in rows] for key, rows in inputs.items()}
    return PYTHON[name](model, tokenizer, **inputs)


def _known(row):
    return known(row) if isinstance(row, str) else [known(each) for each in row]


def _by_row(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _embeddings(model, tokenizer, text, **options):
    return _by_row({"embedding": kb.embed(model, tokenizer, text, **SIZES, **options)})


def _classes(model, tokenizer, text, pair=None):
    found = predict(model, tokenizer, text, pair, **SIZES)
    if "label" in found:
        found["labels"] = [list(map(str, model.labels))] * len(text)
    return _by_row(found)


def _masks(model, tokenizer, text):
    guesses = fill_mask(model, tokenizer, text, top_k=4, **SIZES)
    columns = {"tokens": "token", "probabilities": "probability"}
    return [
        {name: [[guess[key] for guess in mask] for mask in masks] for name, key in columns.items()}
        | {"num_masks": len(masks)}
        for masks in guesses
    ]


def _tags(model, tokenizer, text):
    places = [word_places(each) for each in text]
    words = [[each[start:end] for start, end in of_one] for each, of_one in zip(text, places, strict=True)]
    labels, scores = predict_tags(model, tokenizer, words, joined=False, **SIZES)
    columns = {
        "tokens": words,
        "start": [[start for start, _ in of_one] for of_one in places],
        "end": [[end for _, end in of_one] for of_one in places],
        "label": labels,
        "score": [np.nan_to_num(each) for each in scores],  # a word without a piece has none
        "num_tokens": list(map(len, words)),
    }
    return _by_row(columns)


def has_pieces(tokenizer, context):
    """Says whether a context has anything to answer from, without which Python raises a UserError."""
    return any(tokenizer.token_ids(word) for word in Context(context).words)


def _spans(model, tokenizer, question, context):
    asked = [row for row, each in enumerate(context) if has_pieces(tokenizer, each)]
    answerer = Answerer(model, tokenizer, **SIZES)
    found = answerer([question[row] for row in asked], [context[row] for row in asked])
    answers = [{"text": "", "score": 1.0, "start": -1, "end": -1} for _ in question]
    for row, answer in zip(asked, found, strict=True):
        start, end = (-1, -1) if answer.start is None else (answer.start, answer.end)
        answers[row] = {"text": answer.text, "score": answer.score, "start": start, "end": end}
    return answers


def _choices(model, tokenizer, context, choices):
    probabilities = predict_choices(model, tokenizer, Questions(context, [""] * len(context), choices), **SIZES)
    return _by_row({"choice": probabilities.argmax(axis=1), "probabilities": probabilities})


PYTHON = {
    "embed": _embeddings,
    "sentence": functools.partial(_embeddings, **OPTIONS["sentence"]),
    "classify": _classes,
    "pair": _classes,
    "score": _classes,
    "multi_label": _classes,
    "fill_mask": _masks,
    "ner": _tags,
    "squad": _spans,
    "multiple_choice": _choices,
}


def assert_same(answers, expected, what):
    """Compares answers row by row: numbers within 1e-5, all else exactly.

    Args:
        answers: list of {output: value}.
        expected: as many, with the same outputs or fewer.
        what: named where they differ.
    """
    for number, (found, known) in enumerate(zip(answers, expected, strict=True)):
        assert known.keys() <= found.keys(), f"{what}: {list(found)}"
        for name, value in known.items():
            alike = _alike(found[name], value)
            assert alike, f"{what}, row {number}: {name} is {found[name]!r:.300}, and not {value!r:.300}"


def _alike(found, value):
    found, value = np.asarray(found), np.asarray(value)
    if value.dtype.kind == "f" and found.shape == value.shape:
        return np.allclose(found, value, rtol=1e-6, atol=1e-5)
    return found.tolist() == value.tolist()
