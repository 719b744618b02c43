"""Hugging Face directories, which ours are: config.json, and model.safetensors in PyTorch's names and layout.

What config.json cannot say is in task.json, and arrays that transformers' class does not have are in task.safetensors:
so it loads ours without a warning. The names of each family's weights and heads are in families/.
"""

import dataclasses
import functools
from pathlib import Path

from keras_bert.checkpoints.base import Plan, only_floats
from keras_bert.checkpoints.directory import OWN, TASK, checked_task, read_task
from keras_bert.checkpoints.opening import class_labels, known_names, make_checkpoint
from keras_bert.checkpoints.parts import WORDS, head_task
from keras_bert.checkpoints.refusals import check_floats, check_plain
from keras_bert.checkpoints.resolving import resolve, unwrap
from keras_bert.checkpoints.safetensors import open_arrays, write_arrays
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.families import FAMILIES, Place, find_family
from keras_bert.files import read_json
from keras_bert.text.wordpiece.files import transformer_folder

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
MULTI_LABEL = "multi_label_classification"  # the problem_type of classes that do not exclude each other
LABELLED = ("ForSequenceClassification", "ForTokenClassification")
CLASSES = ("output_weights", "output_bias", "output_dense/")  # a head's, however many classes it has
POOLER = "bert/pooler/"
CONSTANTS = ("embeddings.position_ids", "embeddings.token_type_ids")  # 0, 1, 2, ... and 0, 0, 0, ... in some files
OLD_NORM = {"gamma": "weight", "beta": "bias"}  # of LayerNorms, before transformers 1.0
SETTINGS = "config"  # in task.json: the fields of Config that config.json cannot say
SHOWN_NAMES = 5


def find_huggingface(path):
    """Returns the path if it is a Hugging Face directory (of old sentence-transformers: a folder in it), or None.

    A config.json without its weights may lie beside a checkpoint of Google's, which then is what is meant.
    """
    folder = transformer_folder(path)
    if not (folder / CONFIG).is_file():
        return None
    has_weights = any((folder / name).is_file() for name in (WEIGHTS, INDEX))
    return folder if has_weights or not any(folder.glob("*.index")) else None


def open_huggingface(folder):
    """Opens a Hugging Face directory. Only safetensors are read: a pickle can run code.

    Raises:
        UserError: it is not of a known family, there are no safetensors, they are quantized, or they are damaged.
    """
    path = folder / CONFIG
    fields = read_json(path, what="The model's configuration")
    check_plain(path, fields)
    said = read_task(folder)
    config = _config(path, fields, said.get(SETTINGS))
    row = find_family(config.family)
    own = open_arrays(folder / OWN) if (folder / OWN).is_file() else {}
    stored = unwrap({**_open_stored(folder), **own})
    config = row.settle(config, stored)
    table, neutral = file_table(row, config, _named_head(path, fields, row)), known_names(config)
    check_floats(stored)
    stored = renamed(stored, {*table, *row.decoder_of(config), *CONSTANTS}, row.names.prefix)
    stored = {name: span for name, span in stored.items() if name not in CONSTANTS}
    stored, no_floats = only_floats(stored, lambda name: name in table or name in neutral)
    stored, notes = _tie(stored, config, row)
    left = {name for head in row.heads for name in head.table if notes and _is_masked_lm(head)}

    def translate(name):
        if name in left:
            return None  # what we do not know is reported as unused, under its own name
        return table.get(name) or ((Place(name),) if name in neutral else None)

    sources = resolve(stored, translate, heads=config.num_attention_heads)
    unused = _unused(fields, row, sources)
    is_other = _is_multiple_regression(fields, _shapes(sources))
    if is_other:  # whatever is made of it has a head of its own
        sources = {name: source for name, source in sources.items() if not name.startswith(CLASSES)}
    if row.pools_by_head and f"{POOLER}dense/kernel" in sources:
        config = config.replace(pooler="tanh")

    def task(shapes):
        told = {} if is_other else _task(path, fields, row, shapes)
        told |= {name: value for name, value in said.items() if name != SETTINGS}
        told = {name: value for name, value in told.items() if value is not None}
        return checked_task(folder / TASK, told, shapes) if said else told

    notes = (*notes, *no_floats, *unused)
    prefix = row.names.prefix if any(name.startswith(row.names.prefix) for name in stored) else ""
    named = {prefix + name: places for name, places in row.names.table(config).items()}
    return make_checkpoint(folder, config, sources, task=task, notes=notes, table=named)


def _config(path, fields, settings):
    """Returns the Config of a config.json, changed by what task.json says it cannot say."""
    try:
        config = Config.from_huggingface(fields)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if not isinstance(settings, dict):
        return config
    known = {field.name for field in dataclasses.fields(config)} - {"family", "extra"}
    try:
        return config.replace(**{name: value for name, value in settings.items() if name in known})
    except UserError as error:
        raise UserError(f"{path.parent / TASK}: {SETTINGS}: {error}") from error


def file_table(row, config, head=None):
    """Returns {array of a file: Places} of a family's encoder, with and without its prefix, and of all its heads.

    Args:
        row: the Family.
        config: the Config.
        head: the Head that the file says it has; an array may have another meaning in each of ModernBERT's.
    """
    encoder = row.names.table(config)
    heads = {**row.head_table(config), **(head.table if head else {})}
    decoder, _, _ = row.decoder_of(config)
    if config.tie_word_embeddings:
        heads = {name: places for name, places in heads.items() if name != decoder}
    return {**heads, **encoder, **{row.names.prefix + name: places for name, places in encoder.items()}}


def _named_head(path, fields, row):
    """Returns the Head that a config.json's architectures name, or None."""
    architectures = fields.get("architectures") or []
    if not isinstance(architectures, list):
        raise UserError(f"{path}: architectures must be a list of names. Received: {architectures!r:.80}.")
    return next((head for head in row.heads if row.architecture + head.suffix in architectures), None)


def renamed(stored, known, prefix):
    """Returns {name: Span} by today's names: LayerNorms once had a gamma, and what wraps a model doubles its prefix.

    >>> list(renamed({"bert.bert.pooler.gamma": None}, {"bert.pooler.weight"}, "bert."))
    ['bert.pooler.weight']
    """
    found = {}
    for name, span in stored.items():
        module, dot, last = name.rpartition(".")
        new = bare = module + dot + OLD_NORM.get(last, last)
        while prefix and bare not in known and bare.startswith(prefix):
            bare = bare.removeprefix(prefix)
        new = bare if bare in known else new
        found[name if new in stored or new in found else new] = span
    return found


def _is_masked_lm(head):
    """Says whether a Head predicts masked tokens and nothing else."""
    return all(place.name.startswith("cls/predictions/") for places in head.table.values() for place in places)


def _tie(stored, config, row):
    """Resolves the tied arrays of the masked-LM head as transformers does (PreTrainedModel.tie_weights).

    One that is there alone is both. Of two biases that differ the decoder's is added. Output weights of its own a head
    has only where the config unties them.

    Returns:
        {name: Span} with each of them once, and a note if the head cannot be loaded.
    """
    stored = dict(stored)
    decoder, decoder_bias, bias = row.decoder_of(config)
    [words] = [name for name, places in row.names.outside.items() if places[0].name == WORDS]
    found = next((name for name in (row.names.prefix + words, words) if name in stored), None)
    if decoder in stored and config.tie_word_embeddings:
        if found is not None and not stored[found].holds_same_as(stored[decoder]):
            return stored, (f"its masked-LM head is not loaded, as it has output weights of its own ({decoder})",)
        span = stored.pop(decoder)
        stored.setdefault(found or row.names.prefix + words, span)
    if decoder_bias in stored:
        stored[bias] = stored.pop(decoder_bias)
    return stored, ()


def _open_stored(folder):
    """Returns {Hugging Face's name: Span} of model.safetensors, or of the shards that its index names."""
    if (folder / WEIGHTS).is_file():
        return open_arrays(folder / WEIGHTS)
    if not (folder / INDEX).is_file():
        raise UserError(
            f"{folder} has a config.json but no model.safetensors; save it again with safe_serialization=True "
            "(pickled weights are never loaded)."
        )
    shard_of = read_json(folder / INDEX, what="The index of the shards").get("weight_map")
    if not isinstance(shard_of, dict) or not all(isinstance(name, str) for name in shard_of.values()):
        raise UserError(f"{folder / INDEX} has no weight_map from names to files; fetch it again.")
    shards = {}
    for name in sorted(set(shard_of.values())):
        if Path(name).name != name or not (folder / name).is_file():
            raise UserError(f"{folder / INDEX} names the shard {name}, which is not in {folder}; fetch it too.")
        shards[name] = open_arrays(folder / name)
    missing = [name for name, shard in shard_of.items() if name not in shards[shard]]
    if missing:
        raise UserError(
            f"{folder / shard_of[missing[0]]} lacks {missing[0]}, which {INDEX} says it has; fetch it again."
        )
    return {name: shards[shard][name] for name, shard in shard_of.items()}


def _task(path, fields, row, shapes):
    """Returns what task.json would say of the head: its kind, its number of classes and their names."""
    head = _named_head(path, fields, row)
    kind = head.task if head else None
    task = {"task": kind} if kind else {}
    if kind == "fill_mask" and "masked_lm" not in row.objectives and _is_masked_lm(head):
        task["objectives"] = ["masked_lm"]  # of ELECTRA's generator
    if "output_weights" in shapes and kind != "choose":
        task["num_classes"] = num_classes = shapes["output_weights"][0]
        names = fields.get("id2label") or {}
        if not isinstance(names, dict):
            raise UserError(f"{path}: id2label must have a name for each class by its number. Received: {names!r:.80}.")
        labels = [names[str(index)] for index in range(num_classes) if str(index) in names]
        if len(labels) == num_classes == len(names):
            task["labels"] = class_labels(labels, what=f"{path}: id2label")
        if kind in (None, "classify") and fields.get("problem_type") == MULTI_LABEL:
            task["multi_label"] = True
    return task


def _has(shapes, starts):
    """Says whether for each of some beginnings there is an array whose name begins so."""
    return all(any(name.startswith(start) for name in shapes) for start in starts)


def _classes(row):
    """Returns the names of transformers' classes of a family, that of the bare encoder first."""
    return [row.architecture + suffix for suffix in ("Model", *(head.suffix for head in row.heads))]


def _shapes(sources):
    return {name: source.shape for name, source in sources.items()}


def _is_multiple_regression(fields, shapes):
    """Says whether the head gives several numbers for a text, which a Classifier would take for classes."""
    return fields.get("problem_type") == "regression" and shapes.get("output_weights", ())[:1] not in ((), (1,))


def _unused(fields, row, sources):
    """Returns notes on what config.json says of the head and is not used."""
    shapes = _shapes(sources)
    [classes] = shapes.get("output_weights", ())[:1] or (0,)
    names, architectures = fields.get("id2label"), fields.get("architectures")
    notes = []
    if _is_multiple_regression(fields, shapes):
        notes.append(f"its head is a regression to {classes} numbers, which no model here is: only its encoder is used")
    known = _classes(row)
    named = [name for name in architectures or () if isinstance(name, str)] if isinstance(architectures, list) else []
    others = [other.title for other in FAMILIES.values() if set(named) & set(_classes(other))]
    if named and not set(named) & set(known) and others:
        notes.append(
            f"its architectures name {named[0]:.60}, which is {others[0]}'s, but its model_type is {row.name!r}: it is "
            f"read as {row.title}"
        )
    elif named and not set(named) & set(known):
        notes.append(f"its head is a {named[0]:.60}, which is not known here; {row.title}'s are {', '.join(known[1:])}")
    labelled = isinstance(architectures, list) and any(row.architecture + s in architectures for s in LABELLED)
    if not notes and labelled and isinstance(names, dict) and classes not in (0, len(names)):
        notes.append(f"its id2label names {len(names)} classes, but its head has {classes}: the names are not used")
    return notes


def plan_model(checkpoint):
    """Returns the Plan of writing a model directory: what transformers reads, and task.json for what it cannot say.

    Arrays for which transformers' class has no place keep their neutral names, in a file of their own.
    """
    plan, rest, unplaced, architecture = _plan(checkpoint)
    notes = [*plan.notes]
    if lost := [name for name in unplaced if not name.startswith(POOLER)]:  # which the head does not read
        notes.append(
            f"transformers' {architecture} has no place for {_shown(lost)}: kept in {OWN} for keras_bert alone"
        )
    if SETTINGS in rest:
        changed = ", ".join(f"{name}={value!r}" for name, value in rest[SETTINGS].items())
        notes.append(
            f"transformers' config.json cannot say {changed}, and transformers takes values of its own; kept in {TASK}"
        )
    files = plan.files | ({TASK: rest} if rest else {})
    arrays = plan.arrays | {name: (Place(name),) for name in unplaced}
    write = functools.partial(_write, own=unplaced)
    return dataclasses.replace(plan, files=files, arrays=arrays, write=write, notes=tuple(notes))


def plan_huggingface(checkpoint):
    """Returns the Plan of writing a Checkpoint as transformers would, and nothing else."""
    plan, rest, unplaced, architecture = _plan(checkpoint)
    rest = {**{name: value for name, value in rest.items() if value is not None}, **rest.pop(SETTINGS, {})}
    lost = [f"the task's {name}={value}" for name, value in rest.items()] + ([_shown(unplaced)] if unplaced else [])
    notes = (f"transformers' {architecture} has no place for {', '.join(lost)}",) if lost else ()
    return dataclasses.replace(plan, notes=(*plan.notes, *notes))


def _shown(names):
    """Returns the first of some names, and how many more there are."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def _plan(checkpoint):
    """Returns the Plan, what of the task it does not hold, arrays it has no place for, and the class."""
    config, shapes = checkpoint.config, checkpoint.shapes
    row = find_family(config.family)
    head = _head(row, checkpoint)
    architecture = row.architecture + (head.suffix if head else "Model")
    fields = {"architectures": [architecture], **config.to_huggingface()}
    if head and head.suffix in LABELLED:
        names = checkpoint.task.get("labels") or [f"LABEL_{i}" for i in range(shapes["output_weights"][0])]
        fields["id2label"] = {str(index): name for index, name in enumerate(names)}
        fields["label2id"] = {name: index for index, name in enumerate(names)}
    if checkpoint.task.get("multi_label") and head and head.task == "classify":
        fields["problem_type"] = MULTI_LABEL
    told = _task(Path(CONFIG), fields, row, shapes)
    rest = {name: value for name, value in checkpoint.task.items() if told.get(name) != value}
    if "output_weights" in shapes:  # config.json has to name a head and its classes, though nobody did
        rest |= {name: None for name in ("task", "labels") if name in told and name not in checkpoint.task}
    if config.not_in_huggingface():
        rest[SETTINGS] = config.not_in_huggingface()
    arrays = _arrays(row, head, config, shapes)
    placed = {place.name for places in arrays.values() for place in places}
    tokenizer = {"tokenizer_class": "BertTokenizer", "model_max_length": config.max_length}
    if not config.has_segments:  # or transformers' tokenizer gives numbers that its model has no segments for
        tokenizer["model_input_names"] = ["input_ids", "attention_mask"]
    notes = ()
    if head is None and f"{POOLER}dense/kernel" not in shapes and _names_pooler(row):
        notes = (f"transformers' {architecture} adds a pooler of random weights, which this encoder does not have",)
    unplaced = [name for name in shapes if name not in placed]
    return Plan({CONFIG: fields}, arrays, _write, tokenizer, notes), rest, unplaced, architecture


def _names_pooler(row):
    return any(place.name.startswith(POOLER) for places in row.names.outside.values() for place in places)


def _head(row, checkpoint):
    """Returns the Head of a family that a checkpoint's arrays and task fit, or None."""
    task = head_task(checkpoint.task)
    for head in row.heads_of(checkpoint.config):
        if task in (None, head.task) and _has(checkpoint.shapes, head.starts):
            return head
    return None


def _arrays(row, head, config, shapes):
    """Returns {array of the file: Places} of what a checkpoint has of a family's encoder and of a head."""
    prefix = row.names.prefix if head else ""
    table = {prefix + name: places for name, places in row.names.table(config).items()}
    table |= dict(head.table) if head else {}
    decoder, decoder_bias, bias = row.decoder_of(config)
    if config.tie_word_embeddings:
        table.pop(decoder, None)
    elif decoder in table and decoder_bias is not None:
        table[decoder_bias] = table[bias]  # which counts there; the other one is not read
    if head and not head.pooler and not head.stores_pooler:
        table = {name: places for name, places in table.items() if not places[0].name.startswith(POOLER)}
    return {name: places for name, places in table.items() if all(place.name in shapes for place in places)}


def _write(folder, shapes, read, *, own=()):
    """Writes model.safetensors, and the arrays in `own` beside it."""
    theirs = {name: shape for name, shape in shapes.items() if name not in own}
    write_arrays(folder / WEIGHTS, theirs, read, made_for="pt")
    if own:
        write_arrays(folder / OWN, {name: shapes[name] for name in own}, read, made_for="np")
