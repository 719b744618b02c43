"""Directories whose weights are not those of a whole model in floats: adapters and quantized weights, refused by name.

Sources: peft's adapter_config.json; transformers' quantization_config; the names of the arrays of AutoGPTQ, AutoAWQ,
bitsandbytes and compressed-tensors.
"""

from keras_bert.errors import UserError
from keras_bert.files import read_json

ADAPTER = "adapter_config.json"
# How the names of quantized weights end, and who writes them.
QUANTIZED = {
    "qweight": "GPTQ or AWQ",
    "qzeros": "GPTQ or AWQ",
    "SCB": "bitsandbytes, 8 bits",
    "absmax": "bitsandbytes, 4 bits",
    "quant_map": "bitsandbytes, 4 bits",
    "weight_packed": "compressed-tensors",
    "weight_scale": "compressed-tensors",
    "weight_scale_inv": "8-bit floats",
    "_data": "quanto",
}
DEQUANTIZE = "which is not read here; take the model that they were made from, or save it dequantized."


def check_whole(folder):
    """Raises a UserError if a directory holds an adapter, which is a difference to another model."""
    path = folder / ADAPTER
    if not path.is_file():
        return
    fields = read_json(path, what="The adapter's configuration")
    kind, base = fields.get("peft_type"), fields.get("base_model_name_or_path") or fields.get("model_name")
    of = f" of {base:.80}" if isinstance(base, str) and base else ""
    raise UserError(
        f"{folder} holds an adapter{f' ({kind:.40})' if isinstance(kind, str) else ''}{of}, as its {ADAPTER} says, and "
        "adapters are not read here; merge it into its base model (peft's merge_and_unload), and save the result."
    )


def check_plain(path, fields):
    """Raises a UserError if a config.json is of weights that were quantized."""
    quantized = fields.get("quantization_config")
    if not quantized:
        return
    given = quantized if isinstance(quantized, dict) else {}
    method = given.get("quant_method")
    if not isinstance(method, str):
        method = "bitsandbytes" if any(name.lstrip("_").startswith(("load_in_", "bnb_")) for name in given) else None
    raise UserError(f"{path}: the weights are quantized ({method or 'quantization_config'}), {DEQUANTIZE}")


def check_floats(spans):
    """Raises a UserError if an array's name says that the weights are quantized.

    Args:
        spans: {name in the file: Span}.
    """
    for name, span in spans.items():
        method = QUANTIZED.get(name.rpartition(".")[2])
        if method is not None:
            raise UserError(f"{span.path}: the weights are quantized ({method}: {name:.80}), {DEQUANTIZE}")
