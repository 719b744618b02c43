"""Our model directory, and telling the formats apart.

A directory is a model: bert_config.json, model.safetensors (arrays in google-research/bert's names and
layout), vocab.txt and tokenizer_config.json, and task.json for what sits on the encoder.
"""

import json
from pathlib import Path

from keras_bert.checkpoints.base import Checkpoint
from keras_bert.checkpoints.google import find_prefix, open_google
from keras_bert.checkpoints.huggingface import open_huggingface
from keras_bert.checkpoints.safetensors import open_arrays, write_arrays
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.files import atomic_path, read_json

WEIGHTS = "model.safetensors"


def open_checkpoint(path):
    """Opens a checkpoint of any known format and returns it as a Checkpoint.

    Args:
        path: our model directory, a Google TF1 checkpoint (directory or prefix) or a Hugging Face directory.

    Raises:
        UserError: nothing of the kind is there, or it is damaged.
    """
    path = Path(path)
    if (path / WEIGHTS).is_file() and (path / "bert_config.json").is_file():
        return _open_ours(path)
    prefix = find_prefix(path)
    if prefix is not None:
        return open_google(prefix)
    if (path / "config.json").is_file():
        return open_huggingface(path)
    state = "holds no model" if path.is_dir() else "does not exist"
    raise UserError(
        f"{path} {state}; expected a model directory (bert_config.json and {WEIGHTS}), a Google checkpoint "
        "(bert_config.json and bert_model.ckpt.*) or a Hugging Face directory (config.json and model.safetensors)."
    )


def _open_ours(folder):
    config = BertConfig.from_file(folder / "bert_config.json")
    task = folder / "task.json"
    shapes, read = open_arrays(folder / WEIGHTS)
    return Checkpoint(folder, config, read_json(task, what="The model's task") if task.exists() else {}, shapes, read)


def check_tokenizer(tokenizer, config):
    """Raises a UserError if a tokenizer (None passes) has another number of entries than the model."""
    if tokenizer is not None and tokenizer.vocab_size != config.vocab_size:
        raise UserError(
            f"The tokenizer has {tokenizer.vocab_size} entries, but the model's vocab_size is {config.vocab_size}; "
            "save the tokenizer that the model was trained with."
        )


def save_checkpoint(path, config, arrays, *, task=None, tokenizer=None):
    """Writes our model directory: whole or not at all where it is new, file by file where it stands already.

    Args:
        path: the directory.
        config: the BertConfig.
        arrays: {name: numpy array}.
        task: the contents of task.json; none is written if empty.
        tokenizer: a Tokenizer to save beside the weights.

    Raises:
        UserError: the vocabulary's size is not the config's, or nothing can be written there.
    """
    check_tokenizer(tokenizer, config)
    path = Path(path)
    place = path / ".new" if path.is_dir() else path
    with atomic_path(place) as folder:
        folder.mkdir()
        (folder / "bert_config.json").write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
        write_arrays(folder / WEIGHTS, arrays)
        if task:
            (folder / "task.json").write_text(json.dumps(task, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
    if place != path:
        _move_files(place, path, stale=() if task else ("task.json",))


def _move_files(source, folder, *, stale):
    """Moves the files of `source` into `folder`, which keeps what else it holds but for the `stale` ones."""
    try:
        for file in source.iterdir():
            file.replace(folder / file.name)
        for name in stale:
            (folder / name).unlink(missing_ok=True)
        source.rmdir()
    except OSError as error:
        raise UserError(f"Cannot write {folder} ({error}); free space, or choose another place.") from error
