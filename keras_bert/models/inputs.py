"""Inputs as people give them: with Hugging Face's names, more than the model takes, or without a mask or segments.

Keras matches a dict of inputs by the alphabetical places of its keys, so that one key more or less would put an input
in the place of another. B batch, S sequence.
"""

from collections.abc import Mapping

import keras
from keras import ops

from keras_bert.errors import UserError
from keras_bert.models.separators import global_tokens, question_segments

# What Hugging Face calls them.
RENAMED = {"attention_mask": "input_mask", "token_type_ids": "segment_ids"}
MAY_LACK = ("input_mask", "segment_ids", "global_attention_mask", "sequence_starts")


def choose_inputs(model, inputs):
    """Returns the inputs that a model takes, by its own names, of those that are given.

    Args:
        model: a PretrainedModel.
        inputs: a dict or other mapping of inputs; anything else is returned as it is.

    Raises:
        UserError: one that the model cannot do without is missing.
    """
    if not isinstance(inputs, Mapping) or not isinstance(model.input, dict):
        return inputs
    given = {RENAMED.get(name, name): value for name, value in inputs.items()}
    given |= inputs  # our own name counts where both are there
    given = {name: value for name, value in given.items() if value is not None or name not in MAY_LACK}
    if "sequence_ids" in given and "sequence_ids" not in model.input:
        raise UserError(
            f"These rows are packed (they have sequence_ids), and {type(model).__name__} reads one text a row; make "
            "its encoder with packed=True, or batches without pack."
        )
    if "sequence_ids" in model.input and "sequence_ids" not in given and "input_ids" in given:
        raise UserError(
            f"{type(model).__name__} was made with packed=True and reads rows with sequence_ids; make batches with "
            "pack=True, or load the model without packed."
        )
    missing = [name for name in model.input if name not in given and name not in MAY_LACK]
    if missing:
        raise UserError(
            f"{type(model).__name__} needs {' and '.join(missing)}, int arrays of token ids and the like. "
            f"Received: {', '.join(map(str, inputs)) or 'nothing'}."
        )
    return {name: given[name] for name in model.input if name in given}


def complete_inputs(model, inputs):
    """Returns what `choose_inputs` does, with those that may be left out filled in.

    Every token is in segment 0, but for BigBird's answers, where the context is in segment 1; every token but [PAD],
    whose id is the config's `pad_token_id`, is real; and which tokens see all depends on the task, see `global_tokens`.
    Of a packed row that does not say where its texts begin, the heads read the first.
    """
    inputs = choose_inputs(model, inputs)
    if not isinstance(inputs, dict) or not isinstance(model.input, dict):
        return inputs
    missing = model.input.keys() - inputs.keys()
    if missing:
        inputs = {name: _as_tensor(value) for name, value in inputs.items()}  # Keras takes no mixture
        config, ids, texts = model.bert_config, inputs["input_ids"], inputs.get("sequence_ids")
        task = model.head_task() if hasattr(model, "head_task") else None
        if "input_mask" in missing:
            inputs["input_mask"] = ops.cast(ops.not_equal(ids, config.pad_token_id), "int32")  # (B, S)
        if "segment_ids" in missing:
            divides = task == "answer" and config.span_masks_question
            segments = question_segments(config, ids, texts) if divides else ops.zeros_like(ids, dtype="int32")
            inputs["segment_ids"] = segments  # (B, S)
        if "global_attention_mask" in missing:
            mask = inputs["input_mask"] if texts is None else texts
            inputs["global_attention_mask"] = global_tokens(config, task, ids, mask, texts)  # (B, S)
        if "sequence_starts" in missing:
            inputs["sequence_starts"] = ops.zeros_like(ids[:, :1], dtype="int32")  # (B, 1)
    return {name: inputs[name] for name in model.input}


def _as_tensor(x):
    return x if isinstance(x, keras.KerasTensor) else ops.convert_to_tensor(x)


def has_strings(x):
    """Says whether texts are given in the place of numbers: a str, a list, an array or a tensor of them."""
    if isinstance(x, (str, bytes)):
        return True
    if isinstance(x, Mapping):
        return any(map(has_strings, x.values()))
    if isinstance(x, (list, tuple)):
        return bool(x) and has_strings(x[0])
    dtype = getattr(x, "dtype", None)
    if getattr(dtype, "kind", "") == "O" and getattr(x, "size", 0):
        return isinstance(x.ravel()[0] if hasattr(x, "ravel") else next(iter(x)), (str, bytes))
    return getattr(dtype, "kind", "") in ("U", "S", "T") or getattr(dtype, "name", "") in ("string", "str")


def token_inputs(config, shape=(None,), *, packed=False):
    """Returns the symbolic inputs of a model, int32 (B, *shape), which is (B, S) as a rule, by their names.

    Args:
        config: a Config.
        shape: without the batch's dimension.
        packed: whether rows hold several texts.
    """
    names = ["input_ids", "sequence_ids" if packed else "input_mask"]
    names += ["segment_ids"] if config.has_segments else []
    names += ["global_attention_mask"] if config.attention == "global_local" else []
    inputs = {name: keras.Input(shape, dtype="int32", name=name) for name in names}
    if packed:
        inputs["sequence_starts"] = keras.Input((None,), dtype="int32", name="sequence_starts")
    return inputs
