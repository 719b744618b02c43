"""Asks SavedModels with TensorFlow alone: a program of its own, which knows nothing of this library.

    python fresh.py requests.json answers.json [--ids] [--rows 64] [--room BYTES] [--together]

A request is {input: rows} by the SavedModel's path. Its answer is a list of {output: value}, one a row, without the
padding that comes of other rows of the batch. A byte that is not UTF-8 is a lone surrogate in a string here, as
`bytes.decode(errors="surrogateescape")` has it.

The file gets a list of {path: answer}: one of them or, with `--together`, which loads all models before it asks the
first, two: loaded in the order of the requests and in the other.
"""

import argparse
import json
import resource
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

FOREIGN = ("keras_bert", "tfrecords", "tests")


def ask(signature, inputs, rows=None):
    """Asks a loaded signature.

    Args:
        signature: the signature.
        inputs: {name: list of str, of lists of str, or of lists of numbers}.
        rows: how many to ask at a time; None for all.

    Returns:
        A list of {output: value} without padding, strings as str.
    """
    specs = signature.structured_input_signature[1]
    count = len(next(iter(inputs.values())))
    answers = []
    for start in range(0, max(1, count), rows or max(1, count)):
        part = {name: _tensor(each[start : start + (rows or count)], specs[name]) for name, each in inputs.items()}
        answers += _rows({name: each.numpy() for name, each in signature(**part).items()})
    return answers


def _tensor(values, spec):
    values = np.array(values, object if spec.dtype == tf.string else None)
    if not len(values):
        values = values.reshape((0,) + (2,) * (spec.shape.rank - 1))
    if spec.dtype == tf.string and values.size:
        values = np.frompyfunc(lambda text: text.encode(errors="surrogateescape"), 1, 1)(values)
    return tf.constant(values.tolist(), spec.dtype, shape=values.shape)


def _rows(outputs):
    counts = next((each for name, each in outputs.items() if name.startswith("num_")), None)
    answers = []
    for row in range(len(next(iter(outputs.values())))):
        answer = {name: each[row] for name, each in outputs.items()}
        if counts is not None:
            answer = {name: each[: counts[row]] if each.ndim else each for name, each in answer.items()}
        answers.append({name: _plain(np.asarray(each, outputs[name].dtype).tolist()) for name, each in answer.items()})
    return answers


def _plain(value):
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def limit_memory(room):
    """Lets this process write so many bytes more than it can now."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    taken = int(status["VmData"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (taken + room, taken + room))


def loaded(path):
    """Returns the signature of a SavedModel."""
    return tf.saved_model.load(path).signatures["serving_default"]


def main():
    """Runs the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("requests", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--ids", action="store_true")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--room", type=int)
    parser.add_argument("--together", action="store_true")
    options = parser.parse_args()
    if not options.ids:
        import tensorflow_text  # noqa: F401
    if options.room:
        limit_memory(options.room)
    requests = json.loads(options.requests.read_text())
    if options.together:
        every = [{path: loaded(path) for path in order} for order in (list(requests), list(requests)[::-1])]
    else:
        every = [dict.fromkeys(requests)]
    answers = [
        {path: ask(models[path] or loaded(path), inputs, options.rows) for path, inputs in requests.items()}
        for models in every
    ]
    foreign = {name.split(".")[0] for name in sys.modules} & {*FOREIGN, *(["tensorflow_text"] if options.ids else [])}
    assert not foreign, foreign
    options.answers.write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
