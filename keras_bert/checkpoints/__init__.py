"""Checkpoints as arrays by name, with no model in sight. Names and shapes are google-research/bert's throughout."""

from keras_bert.checkpoints.formats import (
    FORMATS,
    check_format,
    check_place,
    check_tokenizer,
    check_vocabulary,
    find_format,
    open_checkpoint,
    save_checkpoint,
    write_checkpoint,
)
from keras_bert.checkpoints.growing import grow_checkpoint
from keras_bert.checkpoints.lengthening import lengthen_checkpoint

__all__ = [
    "FORMATS",
    "check_format",
    "check_place",
    "check_tokenizer",
    "check_vocabulary",
    "find_format",
    "grow_checkpoint",
    "lengthen_checkpoint",
    "open_checkpoint",
    "save_checkpoint",
    "write_checkpoint",
]
