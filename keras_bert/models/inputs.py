"""Inputs as people give them: with Hugging Face's names, more than the model takes, or without a mask or segments.

Keras matches a dict of inputs by the alphabetical places of its keys, so that one key more or less would put an input
in the place of another. B batch, S sequence.
"""

from collections.abc import Mapping

import keras
from keras import ops

from keras_bert.errors import UserError

# What Hugging Face calls them.
RENAMED = {"attention_mask": "input_mask", "token_type_ids": "segment_ids"}
MAY_LACK = ("input_mask", "segment_ids")


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
    missing = [name for name in model.input if name not in given and name not in MAY_LACK]
    if missing:
        raise UserError(
            f"{type(model).__name__} needs {' and '.join(missing)}, int arrays of token ids and the like. "
            f"Received: {', '.join(map(str, inputs)) or 'nothing'}."
        )
    return {name: given[name] for name in model.input if name in given}


def complete_inputs(model, inputs):
    """Returns what `choose_inputs` does, with those that may be left out filled in.

    Every token is in segment 0, and every token but [PAD], whose id is the config's `pad_token_id`, is real.
    """
    inputs = choose_inputs(model, inputs)
    if not isinstance(inputs, dict) or not isinstance(model.input, dict):
        return inputs
    missing = model.input.keys() - inputs.keys()
    if missing:
        inputs = {name: _as_tensor(value) for name, value in inputs.items()}  # Keras takes no mixture
        ids = inputs["input_ids"]
        if "input_mask" in missing:
            inputs["input_mask"] = ops.cast(ops.not_equal(ids, model.bert_config.pad_token_id), "int32")  # (B, S)
        if "segment_ids" in missing:
            inputs["segment_ids"] = ops.zeros_like(ids, dtype="int32")  # (B, S)
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
    return {name: keras.Input(shape, dtype="int32", name=name) for name in names}
