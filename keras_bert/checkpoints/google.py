"""Google's TF1 checkpoints: bert_config.json beside bert_model.ckpt.index and .data-00000-of-00001."""

from pathlib import Path

from keras_bert.checkpoints.base import Checkpoint
from keras_bert.config import BertConfig
from keras_bert.errors import UserError

# What an optimizer or the session leaves in a training checkpoint beside the model.
NOT_WEIGHTS = ("adam_m", "adam_v", "AdamWeightDecayOptimizer", "global_step", "LAMBOptimizer")


def find_prefix(path):
    """Returns the checkpoint prefix that `path` means (a prefix, or a folder that holds one), or None.

    A folder with several checkpoints gives bert_model.ckpt, or else the one of the highest step.
    """
    path = Path(path)
    if Path(f"{path}.index").is_file():
        return path
    if not path.is_dir():
        return None
    prefixes = [p.with_suffix("") for p in path.glob("*.index")]

    def rank(prefix):
        step = prefix.name.rpartition("-")[2]
        return (prefix.name == "bert_model.ckpt", int(step) if step.isdigit() else -1, prefix.name)

    return max(prefixes, key=rank, default=None)


def open_google(prefix):
    """Opens a TF1 (or TF2 name-based) checkpoint by its prefix.

    Raises:
        UserError: bert_config.json is missing beside it, or the files are damaged.
    """
    import tensorflow as tf

    unreadable = (tf.errors.OpError, IndexError, RuntimeError, ValueError)  # as TensorFlow translates its statuses
    config = BertConfig.from_file(prefix.parent / "bert_config.json")
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = {
            name: tuple(shape)
            for name, shape in reader.get_variable_to_shape_map().items()
            if not any(part in name.split("/") for part in NOT_WEIGHTS)
        }
    except unreadable as error:
        raise UserError(f"{prefix} cannot be read as a TensorFlow checkpoint ({error}); fetch it again.") from error

    def read(name):
        try:
            return reader.get_tensor(name)
        except unreadable as error:
            raise UserError(f"{prefix}: {name} cannot be read ({error}); fetch the checkpoint again.") from error

    task = {"num_classes": shapes["output_weights"][0]} if "output_weights" in shapes else {}
    return Checkpoint(prefix, config, task, shapes, read)
