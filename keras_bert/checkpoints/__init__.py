"""Checkpoints as arrays by name, with no model in sight. Names and shapes are google-research/bert's throughout."""

from keras_bert.checkpoints.directory import open_checkpoint, save_checkpoint

__all__ = ["open_checkpoint", "save_checkpoint"]
