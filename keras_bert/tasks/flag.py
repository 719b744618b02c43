"""A flag of a task's command, as data; keras_bert/cli/finetune_flags.py makes argparse's of it."""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of a command, as data.

    Attributes:
        name: without hyphens.
        help: one line; the default is added to it where there is one.
        kind: str, int, float, bool, or callable(text) -> value, which raises argparse.ArgumentTypeError.
        default: where the flag is not given.
        group: what the help lists it under.
        rare: whether --help leaves it to --help_all.
        choices: the values that there are; None for any.
        least: the smallest number.
        required: whether it must be given.
        reading: whether it says how texts are read, a number that is kept with the model and is its default then.
        many: whether it takes several values, which the help calls so; None for one.
        metavar: what the help calls its value; None for its name.
    """

    name: str
    help: str
    kind: Callable = str
    default: Any = None
    group: str = "data"
    rare: bool = False
    choices: tuple | None = None
    least: int | None = None
    required: bool = False
    reading: bool = False
    many: str | None = None
    metavar: str | None = None
