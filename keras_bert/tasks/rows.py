"""The table of tasks, by the one word of each.

A task is a folder here of that name: its `task` module has the row of it, `graph` how it answers when served, and
`job`, where it is fine-tuned, what its command does. Imports nothing of them before it is asked.
"""

import importlib

from keras_bert.errors import UserError

# What `keras-bert WORD` fine-tunes; None where no Job does.
WORDS = {
    "embed": None,
    "classify": "fine-tune a classifier on your own table",
    "fill_mask": None,
    "tag": "fine-tune a tagger of named entities, or of other tags, on CoNLL-style files",
    "answer": "fine-tune on questions about texts, SQuAD's files, and answer such",
    "choose": "fine-tune on questions with several answers, as SWAG or CODAH",
}


def tasks():
    """Returns {word: Task}."""
    return {word: importlib.import_module(f"keras_bert.tasks.{word}.task").TASK for word in WORDS}


def fine_tuned():
    """Returns {word: what its command does} of the tasks that have a Job."""
    return {word: what for word, what in WORDS.items() if what is not None}


def find_task(name):
    """Returns the Task of a name, today's or an older one, or raises a UserError."""
    for task in tasks().values():
        if name in (task.name, *task.older):
            return task
    raise UserError(f"Unknown task {name!r}; choose one of {', '.join(WORDS)}.")


def task_saved_as(kind):
    """Returns the Task that task.json calls so, or None."""
    return next((task for task in tasks().values() if task.saved_as == kind), None)


def task_of(model):
    """Returns the Task that a model does, or raises a UserError."""
    task = task_saved_as(getattr(model, "TASK", None))
    if task is not None and isinstance(model, task.model):
        return task
    known = ", ".join(task.model.__name__ for task in tasks().values())
    raise UserError(f"The model must be one of {known}. Received: {type(model).__name__}.")
