"""Hugging Face directories: config.json and model.safetensors, PyTorch's names and layout, and Google's back."""

from pathlib import Path

from keras_bert.checkpoints.base import Checkpoint, Plan, only_floats
from keras_bert.checkpoints.names import google_name, huggingface_name
from keras_bert.checkpoints.safetensors import open_arrays, write_arrays
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.text.tokenizer_files import transformer_folder

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
# What config.json must say, where it says anything: other values mean other arithmetic.
BERT = (("model_type", "bert"), ("position_embedding_type", "absolute"), ("is_decoder", False))
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
# Copies and constants that older files hold beside the weights they are copies of.
DECODER = "cls.predictions.decoder.weight"
COPIES = (DECODER, "cls.predictions.decoder.bias", "embeddings.position_ids", "bert.embeddings.position_ids")


def find_huggingface(path):
    """Returns the path if it is a Hugging Face directory (of old sentence-transformers: a folder in it), or None."""
    folder = transformer_folder(path)
    return folder if (folder / CONFIG).is_file() else None


def open_huggingface(folder):
    """Opens a Hugging Face directory. Only safetensors are read: a pickle can run code.

    Raises:
        UserError: it is no BERT, there are no safetensors, or they are damaged.
    """
    fields = read_json(folder / CONFIG, what="The model's configuration")
    for name, expected in BERT:
        if fields.get(name, expected) != expected:
            raise UserError(f"{folder} is no BERT: its {name} is {fields[name]!r}, and {expected!r} was expected.")
    config = BertConfig.from_huggingface(fields)
    stored = _open_stored(folder)
    notes, untied = (), DECODER in stored and fields.get("tie_word_embeddings") is False
    if untied:
        notes = (f"its masked-LM head is not loaded, as it has output weights of its own ({DECODER})",)
    else:
        stored = {name: span for name, span in stored.items() if name not in COPIES}
    stored, no_floats = only_floats(stored, google_name)
    sources, shapes = {}, {}
    for name, span in stored.items():
        known = None if untied and name.startswith("cls.predictions.") else google_name(name)
        google, transposed = known or (name, False)  # what we do not know is reported as unused, under its own name
        sources[google] = (span, transposed)
        shapes[google] = span.shape[::-1] if transposed else span.shape

    def read(name):
        span, transposed = sources[name]
        return span.read().T if transposed else span.read()

    return Checkpoint(folder, config, _task(fields, shapes), shapes, read, notes=(*notes, *no_floats))


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


def _task(fields, shapes):
    """Returns what our task.json would say of the head: its kind, its number of classes and their names."""
    architectures = fields.get("architectures") or ()
    kind = next((kind for name, kind, _ in HEADS if name in architectures), None)
    task = {"task": kind} if kind else {}
    if "output_weights" in shapes and kind != "multiple_choice":
        task["num_classes"] = num_classes = shapes["output_weights"][0]
        names = fields.get("id2label") or {}
        labels = [names[str(index)] for index in range(num_classes) if str(index) in names]
        if len(labels) == num_classes:
            task["labels"] = labels
        if kind in (None, "classification") and fields.get("problem_type") == MULTI_LABEL:
            task["multi_label"] = True
    return task


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
