"""Checkpoint: a config, a task, and arrays that are read by name when they are asked for."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_bert.config import BertConfig


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One opened checkpoint, whatever its format.

    Attributes:
        path: where it lies.
        config: its BertConfig.
        task: the contents of task.json, or {}.
        shapes: {name: shape}, in google-research/bert's names and layout.
        read: name -> numpy array; one array is read at a time, so that a large model is never held twice.
        new_entries: tokens for which it has grown, see growing.py.
        notes: what else is to be told of it, in words.
    """

    path: Path
    config: BertConfig
    task: dict
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]
    new_entries: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
