"""Hugging Face directories: config.json and model.safetensors; PyTorch's names and layout into Google's."""

import re

from keras_bert.checkpoints.base import Checkpoint
from keras_bert.checkpoints.safetensors import open_arrays
from keras_bert.config import HUGGINGFACE_ACTIVATIONS, BertConfig
from keras_bert.errors import UserError
from keras_bert.files import read_json

# What config.json must say, where it says anything: other values mean other arithmetic.
BERT = (("model_type", "bert"), ("position_embedding_type", "absolute"), ("is_decoder", False))

# Hugging Face's parameter -> Google's variable. A "^T" means that the matrix is stored the other way round.
NAMES = [
    (r"embeddings\.(word|position|token_type)_embeddings\.weight", r"bert/embeddings/\1_embeddings"),
    (r"embeddings\.LayerNorm\.(weight|gamma)", r"bert/embeddings/LayerNorm/gamma"),
    (r"embeddings\.LayerNorm\.(bias|beta)", r"bert/embeddings/LayerNorm/beta"),
    (
        r"encoder\.layer\.(\d+)\.(attention\.self\.query|attention\.self\.key|attention\.self\.value|"
        r"attention\.output\.dense|intermediate\.dense|output\.dense)\.weight",
        r"bert/encoder/layer_\1/\2/kernel^T",
    ),
    (
        r"encoder\.layer\.(\d+)\.(attention\.self\.query|attention\.self\.key|attention\.self\.value|"
        r"attention\.output\.dense|intermediate\.dense|output\.dense)\.bias",
        r"bert/encoder/layer_\1/\2/bias",
    ),
    (
        r"encoder\.layer\.(\d+)\.(attention\.output|output)\.LayerNorm\.(weight|gamma)",
        r"bert/encoder/layer_\1/\2/LayerNorm/gamma",
    ),
    (
        r"encoder\.layer\.(\d+)\.(attention\.output|output)\.LayerNorm\.(bias|beta)",
        r"bert/encoder/layer_\1/\2/LayerNorm/beta",
    ),
    (r"pooler\.dense\.weight", r"bert/pooler/dense/kernel^T"),
    (r"pooler\.dense\.bias", r"bert/pooler/dense/bias"),
    (r"cls\.predictions\.transform\.dense\.weight", r"cls/predictions/transform/dense/kernel^T"),
    (r"cls\.predictions\.transform\.dense\.bias", r"cls/predictions/transform/dense/bias"),
    (r"cls\.predictions\.transform\.LayerNorm\.(weight|gamma)", r"cls/predictions/transform/LayerNorm/gamma"),
    (r"cls\.predictions\.transform\.LayerNorm\.(bias|beta)", r"cls/predictions/transform/LayerNorm/beta"),
    (r"cls\.predictions\.bias", r"cls/predictions/output_bias"),
    (r"cls\.seq_relationship\.weight", r"cls/seq_relationship/output_weights"),
    (r"cls\.seq_relationship\.bias", r"cls/seq_relationship/output_bias"),
    (r"classifier\.weight", r"output_weights"),
    (r"classifier\.bias", r"output_bias"),
    (r"qa_outputs\.weight", r"cls/squad/output_weights"),
    (r"qa_outputs\.bias", r"cls/squad/output_bias"),
]


def google_name(name):
    """Returns Google's name for a Hugging Face parameter and whether it is transposed, or None.

    >>> google_name("bert.encoder.layer.3.attention.self.query.weight")
    ('bert/encoder/layer_3/attention/self/query/kernel', True)
    """
    bare = name.removeprefix("bert.")
    for pattern, target in NAMES:
        match = re.fullmatch(pattern, bare)
        if match:
            google = match.expand(target).replace(".", "/")
            return google.removesuffix("^T"), google.endswith("^T")
    return None


def open_huggingface(folder):
    """Opens a Hugging Face directory. Only safetensors are read: a pickle can run code."""
    fields = read_json(folder / "config.json", what="The model's configuration")
    for name, expected in BERT:
        if fields.get(name, expected) != expected:
            raise UserError(f"{folder} is no BERT: its {name} is {fields[name]!r}, and {expected!r} was expected.")
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise UserError(
            f"{folder} has a config.json but no model.safetensors; save it again with safe_serialization=True "
            "(pickled weights are never loaded)."
        )
    config = BertConfig.from_dict(fields, activations=HUGGINGFACE_ACTIVATIONS)
    shapes, read_raw = open_arrays(weights)
    sources, known = {}, {}
    for name, shape in shapes.items():
        target = google_name(name)
        if target is None:
            known[name] = shape  # reported as unused, under its own name
        else:
            sources[target[0]] = (name, target[1])
            known[target[0]] = shape[::-1] if target[1] else shape

    def read(name):
        source, transposed = sources.get(name, (name, False))
        array = read_raw(source)
        return array.T if transposed else array

    return Checkpoint(folder, config, _task(fields, known), known, read)


def _task(fields, shapes):
    """Returns what our task.json would say of a classifier's head: its number of classes and their names."""
    if "output_weights" not in shapes:
        return {}
    names = fields.get("id2label") or {}
    labels = [names[key] for key in sorted(names, key=int)]
    num_classes = shapes["output_weights"][0]
    return {"num_classes": num_classes, **({"labels": labels} if len(labels) == num_classes else {})}
