"""What a model's config says of the layers that Keras' `quantize` changed, so that they are made again the same.

Our models are built from a Config, which knows nothing of it: without this a `.keras` file holds 8-bit kernels for
layers that are made for floats.
"""

import keras

from keras_bert.errors import UserError

MODES = ("int8", "int4", "float8")  # those that need nothing beside the layer; gptq and awq are calibrated with texts


def quantized_layers(model):
    """Returns {path: {"mode", "config"}} of a model's quantized layers, those of models inside it left out.

    Raises:
        UserError: a layer that cannot be saved so that it gives the same again.
    """
    return {path: _said(path, layer) for path, layer in _walk(model) if layer.quantization_mode}


def check_savable(model):
    """Raises a UserError if a quantized model could not be loaded with equal outputs: before anything is written.

    Returns:
        {path: {"mode", "config"}} of all quantized layers, those of models inside it too.
    """
    found = quantized_layers(model)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= check_savable(layer)
    return found


def quantize_layers(model, said):
    """Quantizes fresh layers as `quantized_layers` said, for the weights that are loaded next."""
    layers = dict(_walk(model))
    for path, how in said.items():
        layers[path].quantize(how["mode"], config=keras.saving.deserialize_keras_object(how["config"]))


def _walk(model):
    """Yields (path, layer) of all layers of a model, each once, but for models inside it.

    The path is of attributes' names, and of numbers in lists.
    """
    seen = set()
    for layer in model.layers:
        if not isinstance(layer, keras.Model):
            yield from _below(layer.name, layer, seen)


def _below(path, layer, seen):
    if id(layer) in seen:  # one layer may have two names, as DeBERTa's projections of content and of places
        return
    seen.add(id(layer))
    yield path, layer
    for name, part in vars(layer).items():
        if isinstance(part, keras.layers.Layer):
            yield from _below(f"{path}/{name}", part, seen)
        elif isinstance(part, list) and not name.startswith("_"):  # those are Keras' own
            for number, each in enumerate(part):
                if isinstance(each, keras.layers.Layer):
                    yield from _below(f"{path}/{name}/{number}", each, seen)


def _said(path, layer):
    mode = layer.quantization_mode
    if mode not in MODES:
        raise UserError(
            f"{path} is quantized by {mode}, which a saved model cannot be built with; save the model before "
            f"`quantize`, or quantize it by {', '.join(MODES)}."
        )
    if getattr(layer, "lora_enabled", False):
        raise UserError(
            f"{path} is quantized ({mode}) and has LoRA: saving would merge both and round once more, which changes "
            "the outputs; train LoRA on the plain model and save that, then `quantize` what was saved."
        )
    config = getattr(layer, "quantization_config", None)  # Keras 3.12 has none
    return {"mode": mode, "config": keras.saving.serialize_keras_object(config)}
