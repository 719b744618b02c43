"""The forms that an exported model can have: a SavedModel, an ONNX file, a LiteRT (TensorFlow Lite) file.

ONNX and LiteRT have no operations for strings as BERT needs them: they take ids, and give the numbers alone.
"""

import dataclasses
import importlib
import json
import logging
from collections.abc import Callable

import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.serving.warmup import write_warmup

OPSET = 18  # of ONNX: the first whose ReduceMean and the like take axes as onnxruntime of 2023 and later expects them


def write_saved_model(folder, module, answer, specs, example):
    """Writes `folder` as a SavedModel whose `serving_default` is `answer`, with a warm-up request.

    Args:
        folder: the directory to make.
        module: a tf.Module with all variables.
        answer: a tf.function of one signature.
        specs: {name: tf.TensorSpec} of what it takes, in order.
        example: {name: value}, one row of each.

    Returns:
        {name: tensor} of the signature's outputs.
    """
    signature = answer.get_concrete_function()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
    write_warmup(folder, specs, [example])
    return signature.structured_outputs


def write_onnx(folder, module, answer, specs, example):
    """Writes model.onnx into `folder`; all as in `write_saved_model`.

    Raises:
        UserError: tf2onnx is not installed.
    """
    try:
        tf2onnx = importlib.import_module("tf2onnx")
    except ImportError as error:
        raise UserError("ONNX wants tf2onnx, which is not installed: pip install 'keras3-bert[onnx]'.") from error
    folder.mkdir()
    numbers = _numbers(answer, specs)
    logger = logging.getLogger("tf2onnx")  # which tells of every pass
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        place = str(folder / "model.onnx")
        tf2onnx.convert.from_function(numbers, list(specs.values()), opset=OPSET, output_path=place)
    finally:
        logger.setLevel(level)
    return numbers.get_concrete_function().structured_outputs


def write_litert(folder, module, answer, specs, example):
    """Writes model.tflite into `folder`, of LiteRT's own operations alone; all as in `write_saved_model`.

    Raises:
        UserError: the converter refuses the model.
    """
    numbers = _numbers(answer, specs).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([numbers], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        model = converter.convert()
    except Exception as error:  # the converter raises what comes, with pages of text
        raise UserError(f"LiteRT's converter refuses the model: {str(error).splitlines()[0]}") from error
    folder.mkdir()
    (folder / "model.tflite").write_bytes(model)
    return numbers.structured_outputs


@dataclasses.dataclass(frozen=True)
class Format:
    """One form.

    Attributes:
        write: a function as above.
        file: the file in the directory by which it is known.
        extras: where in the directory vocab.txt goes, if the model takes ids.
    """

    write: Callable
    file: str
    extras: str = "."


FORMATS = {
    "saved_model": Format(write_saved_model, "saved_model.pb", "assets.extra"),
    "onnx": Format(write_onnx, "model.onnx"),
    "litert": Format(write_litert, "model.tflite"),
}


def write_extras(folder, model, tokenizer):
    """Writes what those who make ids need: task.json and, of a tokenizer, vocab.txt and tokenizer_config.json."""
    folder.mkdir(exist_ok=True)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    task = model.task() if hasattr(model, "task") else {}
    (folder / "task.json").write_text(json.dumps(task, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _numbers(answer, specs):
    """Returns `answer` without the outputs that are strings, which task.json says as well."""

    def numbers(*given):
        return {name: each for name, each in answer(*given).items() if each.dtype != tf.string}

    return tf.function(numbers, input_signature=list(specs.values()), autograph=False)
