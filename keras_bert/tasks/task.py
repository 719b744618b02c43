"""What a task is: a row that says which model does it, what that is asked, and how it answers.

A further task is a folder with a task.py and a graph.py like those here, and its name in rows.py.
"""

import dataclasses
import importlib
from collections.abc import Callable

from keras_bert.checkpoints.parts import needed_weights

STRING, STRINGS = "a string", "a list of two or more strings"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One row.

    Attributes:
        name: the one word for it: its folder here, `export --task`.
        model: the model's class.
        older: other words for it that are read.
        fields: {key: what it is}, of a row that the model is asked; "pair" may be missing.
        asked: what such a row is, in words.
        reading: {name: value} of how it reads texts, where nobody says.
        made_by_settings: whether the model is made by what task.json says, its classes for instance.
        takes_pairs: whether it can take two texts, or one.
        answerer: (model, tokenizer, batch_size, **reading) -> callable(list of rows) -> list of as many dicts; None of
            what `kb.predict` does not ask.
        flags: those of `keras-bert predict` that mean something to it, beside the common ones.
        columns: {setting: value} of its tables, where nobody says; None if it answers none.
        to_read: (row, answer) -> lines for a person.
        says: model -> what it answers with, in words.
        longer: what becomes of longer texts, in words; None where flags say so.
    """

    name: str
    model: type
    older: tuple[str, ...] = ()
    fields: dict = dataclasses.field(default_factory=lambda: {"text": STRING})
    asked: str = STRING
    reading: dict = dataclasses.field(default_factory=lambda: {"max_seq_length": 128})
    made_by_settings: bool = False
    takes_pairs: bool = False
    answerer: Callable | None = None
    flags: tuple[str, ...] = ()
    columns: dict | None = None
    to_read: Callable | None = None
    says: Callable | None = None
    longer: str | None = "read in windows"

    @property
    def saved_as(self):
        """What task.json calls it; None for a bare encoder."""
        return getattr(self.model, "TASK", None)

    @property
    def served(self):
        """How it answers inside a graph, a Served; imports TensorFlow."""
        return importlib.import_module(f"keras_bert.tasks.{self.name}.graph").SERVED

    @property
    def takes_two(self):
        """Whether each row has two texts."""
        return len(self.fields) == 2 and not self.takes_pairs

    def weights(self, config, task):
        """Returns the names of the weights that the answer is computed from, beside the blocks'.

        Args:
            config: a Config.
            task: the contents of task.json.
        """
        objectives = task.get("objectives") if task.get("task") == self.saved_as else None
        return [] if self.saved_as is None else needed_weights(config, self.model.head_task(), objectives=objectives)

    def length(self, config):
        """Returns the longest row of tokens where nobody says."""
        return min(self.reading["max_seq_length"], config.max_length)


def percent(share):
    """Writes a share for a person.

    >>> percent(0.5)
    '50.0 %'
    """
    return f"{100 * share:.1f} %"
