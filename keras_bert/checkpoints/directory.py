"""Our older model directory, and task.json.

Before they were Hugging Face directories, ours had bert_config.json and model.safetensors with arrays in
google-research/bert's names and layout; they are read still. task.json says what config.json cannot.
"""

import math
from pathlib import Path

from keras_bert.checkpoints.base import only_floats
from keras_bert.checkpoints.opening import class_labels, known_names, make_checkpoint
from keras_bert.checkpoints.parts import head_task
from keras_bert.checkpoints.resolving import resolve, unwrap
from keras_bert.checkpoints.safetensors import open_arrays
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.files import read_json

# What else task.json may say: what it must be, in words and as a check.
POSITIVE = ("a whole number of at least 1", lambda value: type(value) is int and value > 0)
TEXT = ("a string", lambda value: isinstance(value, str))
FLAG = ("true or false", lambda value: isinstance(value, bool))
NAMES = ("a list of names", lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value))
SETTINGS = {
    "head": TEXT,
    "objectives": NAMES,
    "pair": FLAG,
    "multi_label": FLAG,
    "null_score_diff_threshold": ("a number", lambda value: type(value) in (int, float) and math.isfinite(value)),
    "reading": ("an object of settings", lambda value: isinstance(value, dict)),
}
READING = {
    **dict.fromkeys(("max_seq_length", "max_query_length", "max_answer_length", "doc_stride"), POSITIVE),
    **dict.fromkeys(("long_texts", "label_separator"), TEXT),
    "by_character": FLAG,
}
CONFIG, WEIGHTS, TASK = "bert_config.json", "model.safetensors", "task.json"
# What task.json called tasks until version 0.1.
OLDER_WORDS = {
    "pretraining": "fill_mask",
    "classification": "classify",
    "token_classification": "tag",
    "question_answering": "answer",
    "multiple_choice": "choose",
}
OWN = "task.safetensors"  # arrays for which transformers' class has no place, by their neutral names
TODAY = "config.json"  # today's, which goes before


def find_directory(path):
    """Returns the path if it is one of our older model directories, or None."""
    path = Path(path)
    is_older = (path / WEIGHTS).is_file() and (path / CONFIG).is_file() and not (path / TODAY).is_file()
    return path if is_older else None


def open_directory(folder):
    """Opens one of our older model directories.

    Raises:
        UserError: a file is damaged, or task.json does not fit the weights.
    """
    config = Config.from_file(folder / CONFIG).replace(tie_word_embeddings=True)  # no other was written
    spans, notes = only_floats(unwrap(open_arrays(folder / WEIGHTS)), known_names(config).__contains__)
    sources = resolve(spans, lambda name: None)

    def task(shapes):
        return checked_task(folder / TASK, read_task(folder), shapes)

    return make_checkpoint(folder, config, sources, task=task, notes=notes)


def read_task(folder):
    """Returns the contents of a directory's task.json, or {}."""
    path = folder / TASK
    task = read_json(path, what="The model's task") if path.exists() else {}
    kind = task.get("task")
    return task | {"task": OLDER_WORDS[kind]} if isinstance(kind, str) and kind in OLDER_WORDS else task


def checked_task(path, task, shapes):
    """Returns a task.json's contents, names of classes as strings.

    Raises:
        UserError: it says what cannot be, or another number of classes than the weights.
    """
    kind, num_classes, labels = task.get("task"), task.get("num_classes"), task.get("labels")
    if not isinstance(kind, str | None):
        raise UserError(f"{path}: task must be a name such as 'classify'. Received: {kind!r}.")
    if num_classes is not None and (type(num_classes) is not int or num_classes < 1):
        raise UserError(f"{path}: num_classes must be a whole number of at least 1. Received: {num_classes!r}.")
    if not isinstance(labels, list | None):
        raise UserError(f"{path}: labels must be a list of names. Received: {labels!r:.80}.")
    _check_settings(path, task, SETTINGS)
    _check_settings(path, task.get("reading") or {}, READING)
    if labels is not None:
        task["labels"] = labels = class_labels(labels, what=f"{path}: labels")
    stored = shapes.get("output_weights", (None,))[0]
    counts = {"num_classes": num_classes, "labels": None if labels is None else len(labels), "output_weights": stored}
    counts = {name: count for name, count in counts.items() if count is not None}
    if len(set(counts.values())) > 1 and head_task(task) != "choose":
        said = ", ".join(f"{count} by {name}" for name, count in counts.items())
        raise UserError(f"{path} and the weights differ in the number of classes: {said}; save the model again.")
    return task


def _check_settings(path, fields, expected):
    for name, (words, is_one) in expected.items():
        if fields.get(name) is not None and not is_one(fields[name]):
            raise UserError(f"{path}: {name} must be {words}. Received: {fields[name]!r:.80}.")
