"""Hugging Face directories: config.json and model.safetensors, PyTorch's names and layout, and Google's back."""

import functools
from pathlib import Path

from keras_bert.checkpoints.base import Plan, only_floats
from keras_bert.checkpoints.names import google_name, huggingface_name
from keras_bert.checkpoints.opening import class_labels, make_checkpoint
from keras_bert.checkpoints.resolving import resolve, unwrap
from keras_bert.checkpoints.safetensors import open_arrays, write_arrays
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.text.tokenizer_files import transformer_folder

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
# transformers' class, the task it is for, and how the names of its head begin; the first that fits is written.
HEADS = (
    ("BertForPreTraining", "pretraining", ("cls/predictions/", "cls/seq_relationship/")),
    ("BertForMaskedLM", "pretraining", ("cls/predictions/",)),
    ("BertForNextSentencePrediction", "pretraining", ("cls/seq_relationship/",)),
    ("BertForQuestionAnswering", "question_answering", ("cls/squad/",)),
    ("BertForSequenceClassification", "classification", ("output_",)),
    ("BertForTokenClassification", "token_classification", ("output_",)),
    ("BertForMultipleChoice", "multiple_choice", ("output_",)),
)
MULTI_LABEL = "multi_label_classification"  # the problem_type of classes that do not exclude each other
LABELLED = ("BertForSequenceClassification", "BertForTokenClassification")
# The masked-LM head's output weights and bias are tied to others, so that a file may hold either or both.
DECODER, DECODER_BIAS = "cls.predictions.decoder.weight", "cls.predictions.decoder.bias"
WORDS, BIAS = "bert.embeddings.word_embeddings.weight", "cls.predictions.bias"
CONSTANTS = ("embeddings.position_ids", "bert.embeddings.position_ids")  # 0, 1, 2, ... in older files


def find_huggingface(path):
    """Returns the path if it is a Hugging Face directory (of old sentence-transformers: a folder in it), or None."""
    folder = transformer_folder(path)
    return folder if (folder / CONFIG).is_file() else None


def open_huggingface(folder):
    """Opens a Hugging Face directory. Only safetensors are read: a pickle can run code.

    Raises:
        UserError: it is not a BERT model, there are no safetensors, or they are damaged.
    """
    fields = read_json(folder / CONFIG, what="The model's configuration")
    try:
        config = BertConfig.from_huggingface(fields)
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}") from error
    stored = {name: span for name, span in unwrap(_open_stored(folder)).items() if name not in CONSTANTS}
    stored, no_floats = only_floats(stored, lambda name: google_name(name) or huggingface_name(name))
    stored, notes = _tie(stored, fields, folder / CONFIG)

    def translate(name):
        if notes and name.startswith("cls.predictions."):
            return None  # what we do not know is reported as unused, under its own name
        return google_name(name) or (huggingface_name(name) and (name, False))

    sources = resolve(stored, translate)
    task = functools.partial(_task, folder / CONFIG, fields)
    notes = (*notes, *no_floats, *_unused(fields, sources))
    return make_checkpoint(folder, config, sources, task=task, notes=notes)


def _tie(stored, fields, path):
    """Resolves the tied arrays of the masked-LM head as transformers does (PreTrainedModel.tie_weights).

    One that is there alone is both. Of two biases that differ the decoder's is added, and output weights that are not
    the word embeddings are the head's own.

    Returns:
        {name: Span} with each of them once, and a note if the head cannot be loaded.
    """
    stored, tied = dict(stored), fields.get("tie_word_embeddings", True)
    if not isinstance(tied, bool | None):
        raise UserError(f"{path}: tie_word_embeddings must be true or false. Received: {tied!r:.80}.")
    words = next((name for name in (WORDS, WORDS.removeprefix("bert.")) if name in stored), None)
    if DECODER in stored:
        if tied is False or (words is not None and not stored[words].holds_same_as(stored[DECODER])):
            return stored, (f"its masked-LM head is not loaded, as it has output weights of its own ({DECODER})",)
        decoder = stored.pop(DECODER)
        stored.setdefault(words or WORDS, decoder)
    if DECODER_BIAS in stored:
        stored[BIAS] = stored.pop(DECODER_BIAS)
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


def _task(path, fields, shapes):
    """Returns what our task.json would say of the head: its kind, its number of classes and their names."""
    architectures = fields.get("architectures") or []
    if not isinstance(architectures, list):
        raise UserError(f"{path}: architectures must be a list of names. Received: {architectures!r:.80}.")
    kind = next((kind for name, kind, _ in HEADS if name in architectures), None)
    task = {"task": kind} if kind else {}
    if _is_multiple_regression(fields, shapes):
        return {}
    if "output_weights" in shapes and kind != "multiple_choice":
        task["num_classes"] = num_classes = shapes["output_weights"][0]
        names = fields.get("id2label") or {}
        if not isinstance(names, dict):
            raise UserError(f"{path}: id2label must have a name for each class by its number. Received: {names!r:.80}.")
        labels = [names[str(index)] for index in range(num_classes) if str(index) in names]
        if len(labels) == num_classes == len(names):
            task["labels"] = class_labels(labels, what=f"{path}: id2label")
        if kind in (None, "classification") and fields.get("problem_type") == MULTI_LABEL:
            task["multi_label"] = True
    return task


def _is_multiple_regression(fields, shapes):
    """Says whether the head gives several numbers for a text, which BertClassifier would take for classes."""
    return fields.get("problem_type") == "regression" and shapes.get("output_weights", ())[:1] not in ((), (1,))


def _unused(fields, sources):
    """Returns notes on what config.json says of the head and is not used."""
    shapes = {name: source.shape for name, source in sources.items()}
    [classes] = shapes.get("output_weights", ())[:1] or (0,)
    names, architectures = fields.get("id2label"), fields.get("architectures")
    notes = []
    if _is_multiple_regression(fields, shapes):
        notes.append(f"its head is a regression to {classes} numbers, which no model here is: only its encoder is used")
    labelled = isinstance(architectures, list) and any(each in LABELLED for each in architectures)
    if not notes and labelled and isinstance(names, dict) and classes not in (0, len(names)):
        notes.append(f"its id2label names {len(names)} classes, but its head has {classes}: the names are not used")
    return notes


def plan_huggingface(checkpoint):
    """Returns the Plan of writing a Checkpoint as transformers would."""
    architecture, starts = _architecture(checkpoint)
    fields = checkpoint.config.to_dict()
    fields["hidden_act"] = {"gelu_tanh": "gelu_new", "gelu_erf": "gelu"}.get(fields["hidden_act"], fields["hidden_act"])
    fields = {"architectures": [architecture], "model_type": "bert", **fields}
    told = {"task", "num_classes"}
    if architecture in LABELLED:
        told |= {"labels"}
        names = checkpoint.task.get("labels") or [f"LABEL_{i}" for i in range(checkpoint.shapes["output_weights"][0])]
        fields["id2label"] = {str(index): name for index, name in enumerate(names)}
        fields["label2id"] = {name: index for index, name in enumerate(names)}
    if checkpoint.task.get("multi_label"):
        told |= {"multi_label"}
        fields["problem_type"] = MULTI_LABEL
    arrays, unplaced = {}, [f"the task's {k}={v}" for k, v in checkpoint.task.items() if k not in told]
    for name in checkpoint.shapes:
        known = huggingface_name(name)
        if known is None or not name.startswith(("bert/", *starts)):
            unplaced.append(name)
            continue
        prefix = "bert." if name.startswith("bert/") and starts else ""
        arrays[prefix + known[0]] = (name, known[1])
    notes = (f"transformers' {architecture} has no place for {', '.join(unplaced)}",) if unplaced else ()
    length = checkpoint.config.max_position_embeddings
    tokenizer = {"tokenizer_class": "BertTokenizer", "model_max_length": length}
    return Plan({CONFIG: fields}, arrays, _write, tokenizer, notes)


def _architecture(checkpoint):
    """Returns the name of transformers' class for a checkpoint, and how the names of its head begin."""
    task = checkpoint.task.get("task")
    for name, kind, starts in HEADS:
        has_all = all(any(array.startswith(start) for array in checkpoint.shapes) for start in starts)
        if task in (None, kind) and has_all:
            return name, starts
    return "BertModel", ()


def _write(folder, shapes, read):
    write_arrays(folder / WEIGHTS, shapes, read, made_for="pt")
