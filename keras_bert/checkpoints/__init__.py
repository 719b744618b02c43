"""Checkpoints as arrays by name, with no model in sight. Names and shapes are google-research/bert's throughout."""

from keras_bert.checkpoints.directory import check_tokenizer, open_checkpoint, save_checkpoint
from keras_bert.checkpoints.growing import grow_checkpoint

__all__ = ["check_tokenizer", "grow_checkpoint", "open_checkpoint", "save_checkpoint"]
