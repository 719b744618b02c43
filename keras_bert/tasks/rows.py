"""The table of tasks, by the one word of each."""

from keras_bert.errors import UserError
from keras_bert.tasks.answer.task import ANSWER
from keras_bert.tasks.choose.task import CHOOSE
from keras_bert.tasks.classify.task import CLASSIFY
from keras_bert.tasks.embed.task import EMBED
from keras_bert.tasks.fill_mask.task import FILL_MASK
from keras_bert.tasks.tag.task import TAG

TASKS = {task.name: task for task in (EMBED, CLASSIFY, FILL_MASK, TAG, ANSWER, CHOOSE)}


def find_task(name):
    """Returns the Task of a name, today's or an older one, or raises a UserError."""
    for task in TASKS.values():
        if name in (task.name, *task.older):
            return task
    raise UserError(f"Unknown task {name!r}; choose one of {', '.join(TASKS)}.")


def task_saved_as(kind):
    """Returns the Task that task.json calls so, or None."""
    return next((task for task in TASKS.values() if task.saved_as == kind), None)


def task_of(model):
    """Returns the Task that a model does, or raises a UserError."""
    for task in TASKS.values():
        if isinstance(model, task.model):
            return task
    known = ", ".join(task.model.__name__ for task in TASKS.values())
    raise UserError(f"The model must be one of {known}. Received: {type(model).__name__}.")
