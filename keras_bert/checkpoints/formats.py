"""The formats by name: telling them apart, opening any, and writing any, one array at a time.

A new format is one file with find, open and plan, and one row here.
"""

import dataclasses
import json
import math
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

from keras_bert.checkpoints import directory
from keras_bert.checkpoints.base import Checkpoint, no_permission
from keras_bert.checkpoints.directory import OWN, TASK, WEIGHTS, find_directory, open_directory
from keras_bert.checkpoints.google import find_prefix, open_google, plan_google
from keras_bert.checkpoints.huggingface import (
    CONFIG,
    INDEX,
    find_huggingface,
    open_huggingface,
    plan_huggingface,
    plan_model,
)
from keras_bert.checkpoints.refusals import check_whole
from keras_bert.checkpoints.resolving import joined, joined_shape
from keras_bert.checkpoints.sentence_transformers import add_settings
from keras_bert.errors import UserError
from keras_bert.files import missing_directory_message, read_json
from keras_bert.outputs import atomic_path
from keras_bert.text.kinds import WORDPIECE, kind_of
from keras_bert.text.tokenizer_config import OWN_FILES
from keras_bert.text.vocabulary import check_fits, check_special_ids
from keras_bert.text.wordpiece.files import (
    CONFIG_NAME,
    as_directory,
    count_entries,
    find_vocabulary,
    transformer_folder,
)


@dataclasses.dataclass(frozen=True)
class Format:
    """One format of checkpoints.

    Attributes:
        what: its name in a sentence.
        find: path -> what `open` takes, or None if there is no checkpoint of the kind.
        open: -> Checkpoint.
        plan: Checkpoint -> Plan.
    """

    what: str
    find: Callable
    open: Callable
    plan: Callable


# In the order in which they are looked for.
FORMATS = {
    "keras_bert": Format("an older model directory of keras_bert", find_directory, open_directory, plan_model),
    "huggingface": Format("a Hugging Face directory", find_huggingface, open_huggingface, plan_huggingface),
    "google": Format("Google's TF1 checkpoint", find_prefix, open_google, plan_google),
}


# Files of a model that another one in its place leaves behind, by the format of the former.
STALE_OF = {"huggingface": (CONFIG, INDEX), "keras_bert": (directory.CONFIG,)}


def find_format(path):
    """Returns the name of the format that lies at a path, or None."""
    return next((name for name, format in FORMATS.items() if format.find(path) is not None), None)


def open_checkpoint(path, *, allow_missing=False, net=None, overrides=None):
    """Opens a checkpoint of any known format and returns it as a Checkpoint.

    Args:
        path: our model directory, a Google TF1 checkpoint (directory or prefix) or a Hugging Face directory.
        allow_missing: whether a Google checkpoint's index will do without its data, for names and shapes; the
            Checkpoint then lists the files under `missing`.
        net: which net of a Google ELECTRA checkpoint, "discriminator" (if None) or "generator".
        overrides: {field of Config: value} that a Google checkpoint's configuration does not say; None for none.

    Raises:
        UserError: nothing of the kind is there, it is damaged, not all of it is there, or it may not be read.
    """
    given, path = path, as_directory(path)
    try:
        check_whole(transformer_folder(path))
        name = find_format(path)
        if name is None:
            raise UserError(_no_model(path, given))
        options = {n: x for n, x in (("net", net), ("overrides", overrides)) if x is not None}
        if options and name != "google":
            named = ", ".join([*(["net"] if net is not None else []), *(overrides or {})])
            raise UserError(
                f"{named} is for checkpoints of Google's, and {path} is {FORMATS[name].what}; leave it out."
            )
        checkpoint = FORMATS[name].open(FORMATS[name].find(path), **options)
        checkpoint = dataclasses.replace(checkpoint, task=add_settings(checkpoint.task, path, checkpoint.config))
    except PermissionError as error:
        raise no_permission(error.filename or path) from error
    except OSError as error:
        raise UserError(f"{given} cannot be read ({error.strerror}); check the path.") from error
    if checkpoint.missing and not allow_missing:
        raise UserError(f"{checkpoint.missing[0]} is missing, which has the arrays that the index names; fetch it too.")
    return checkpoint


def _no_model(path, given):
    """Returns a sentence on a path at which no checkpoint lies."""
    if path.is_file():
        if path.suffix == ".keras":
            return f"{path} is a model in Keras' own format, not a model directory; keras.saving.load_model loads it."
        remedy = f"give {path.parent}" if find_format(path.parent) else "give that directory"
        return f"{path} is a file where a model directory was expected; {remedy}."
    weights = next((name for name in (WEIGHTS, INDEX) if (path / name).is_file()), None)
    if weights is not None:
        return (
            f"{path} has a {weights}, but no config.json (nor a bert_config.json, as older directories of keras_bert); "
            "put the one there that belongs to the weights."
        )
    if not path.exists():
        return missing_directory_message(given)
    return (
        f"{path} holds no model; expected a model directory, ours or Hugging Face's (config.json and "
        "model.safetensors), or a Google checkpoint (bert_config.json and bert_model.ckpt.*)."
    )


def check_tokenizer(tokenizer, config):
    """Raises a UserError if a tokenizer (None passes) has more entries than the model has rows, or pads otherwise."""
    if tokenizer is not None:
        remedy = "save the tokenizer that the model was trained with."
        check_fits(len(tokenizer), config.vocab_size, what="The tokenizer", remedy=remedy)
        check_special_ids(tokenizer, config)


def check_vocabulary(checkpoint):
    """Raises a UserError if a WordPiece vocabulary beside a checkpoint, where there is one, has more entries than rows.

    Those of other kinds are compared where they are used: to count their entries takes reading them whole.
    """
    if kind_of(checkpoint.folder) == WORDPIECE:
        path, remedy = find_vocabulary(checkpoint.folder), "put the vocabulary there that belongs to the weights."
        check_fits(count_entries(path), checkpoint.config.vocab_size, what=path, model="checkpoint", remedy=remedy)


def save_checkpoint(path, config, arrays, *, task=None, tokenizer=None, format="keras_bert", log=None):
    """Writes a model directory: whole or not at all where it is new, file by file where it stands already.

    Args:
        path: the directory.
        config: the Config.
        arrays: {neutral name (checkpoints/parts.py): numpy array}.
        task: the contents of task.json; none is written if empty.
        tokenizer: a Tokenizer to save beside the weights.
        format: "keras_bert", "google" or "huggingface".
        log: called with each thing that the format cannot hold, in words; None makes them warnings.

    Raises:
        UserError: the vocabulary's size is not the config's, the format is unknown, or nothing can be written there.
    """
    shapes = {name: array.shape for name, array in arrays.items()}
    checkpoint = Checkpoint(Path(path), config, task or {}, shapes, arrays.__getitem__)
    write_checkpoint(checkpoint, path, tokenizer=tokenizer, format=format, log=log)


def write_checkpoint(checkpoint, path, *, tokenizer=None, unread=(), format="keras_bert", progress=None, log=None):
    """Writes an opened Checkpoint in any format, reading one array at a time. See `save_checkpoint`.

    Args:
        checkpoint: the Checkpoint.
        path: the directory to write.
        tokenizer: a Tokenizer to save beside the weights.
        unread: paths of files to copy there as they are, such as those of a tokenizer that cannot be read.
        format: "keras_bert", "google" or "huggingface".
        progress: called as progress("writing", bytes, bytes in all, "B").
        log: called with each thing that the format cannot hold, in words; None makes them warnings.

    Returns:
        The sorted names of the files that it wrote.

    Raises:
        UserError: as in `save_checkpoint`; or a model in another format stands at `path`, which only "keras_bert",
            the format of trained models, goes over.
    """
    check_format(format)
    check_tokenizer(tokenizer, checkpoint.config)
    path = Path(path)
    check_place(path)
    standing = find_format(path)
    if format != "keras_bert" and standing not in (None, format):
        raise UserError(f"{path} holds {FORMATS[standing].what}; give another directory for the format {format!r}.")
    plan = FORMATS[format].plan(checkpoint)
    place = path / ".new" if path.is_dir() else path
    with atomic_path(place) as folder:
        folder.mkdir()
        for name, fields in plan.files.items():
            _write_json(folder / name, fields)
        shapes = {name: joined_shape(places, checkpoint.shapes) for name, places in plan.arrays.items()}
        plan.write(folder, shapes, _reader(checkpoint, plan.arrays, progress))
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
            if plan.tokenizer_fields:
                fields = read_json(folder / CONFIG_NAME, what="The tokenizer's configuration")
                _write_json(folder / CONFIG_NAME, {**plan.tokenizer_fields, **fields})  # a class that it names counts
        for file in unread:
            shutil.copyfile(file, folder / file.name)
        written = sorted(os.listdir(folder))
        others = [] if tokenizer is None else [name for name in OWN_FILES if name not in written]
    if place != path:
        stale = [TASK, OWN, *STALE_OF.get(standing, ())]
        if find_prefix(path) is not None:
            stale = [name for name in stale if name != directory.CONFIG]  # which Google's checkpoint there needs
        _move_files(place, path, stale=[*stale, *others])
    for note in plan.notes:
        warnings.warn(note, stacklevel=3) if log is None else log(note)
    return written


def check_place(path):
    """Raises a UserError if no directory can be written at a path: before the work, not after it."""
    path = Path(path)
    standing = next(place for place in (path, *path.parents) if os.path.exists(place))
    if not standing.is_dir():
        raise UserError(f"Cannot write {path}: {standing} is a file where a directory was expected; choose another.")
    if not os.access(standing, os.W_OK | os.X_OK):
        raise UserError(f"Cannot write {path}: this user may not write to {standing}; choose another place.")


def check_format(format):
    """Raises a UserError that lists the formats if none has that name."""
    if format not in FORMATS:
        raise UserError(f"format must be one of {', '.join(FORMATS)}. Received: {format!r}.")


def _reader(checkpoint, arrays, progress):
    """Returns the function that reads an array by its name in the new file, and tells how far it has come."""
    places, done = [place for each in arrays.values() for place in each], 0
    total = sum(4 * math.prod(checkpoint.shapes[place.name]) for place in places)

    def read(name):
        nonlocal done
        array = joined(arrays[name], checkpoint.read, checkpoint.config.num_attention_heads)
        done += 4 * array.size
        if progress is not None:
            progress("writing", done, total, "B")
        return array

    return read


def _write_json(path, fields):
    path.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _move_files(source, folder, *, stale):
    """Moves the files of `source` into `folder`, which keeps what else it holds but for the `stale` ones."""
    try:
        moved = [file.replace(folder / file.name).name for file in source.iterdir()]
        for name in set(stale) - set(moved):
            (folder / name).unlink(missing_ok=True)
        source.rmdir()
    except OSError as error:
        raise UserError(f"Cannot write {folder} ({error}); free space, or choose another place.") from error
