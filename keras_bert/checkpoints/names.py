"""Google's names of variables and Hugging Face's names of parameters: one table, read in both directions.

Sources: the index files of google-research/bert's checkpoints, and transformers' modeling_bert.py. N stands for the
number of a layer; a kernel of Google's (in, out) is a weight of PyTorch's (out, in).
"""

import re

DENSE = (
    *(f"encoder.layer.N.attention.self.{name}" for name in ("query", "key", "value")),
    *(f"encoder.layer.N.{name}.dense" for name in ("attention.output", "intermediate", "output")),
    *("pooler.dense", "cls.predictions.transform.dense"),
)
NORMS = (
    *("embeddings.LayerNorm", "cls.predictions.transform.LayerNorm"),
    *(f"encoder.layer.N.{name}.LayerNorm" for name in ("attention.output", "output")),
)
OTHERS = {
    **{f"embeddings.{name}_embeddings.weight": f"bert/embeddings/{name}_embeddings" for name in ("word", "position")},
    "embeddings.token_type_embeddings.weight": "bert/embeddings/token_type_embeddings",
    "cls.predictions.bias": "cls/predictions/output_bias",
    "cls.seq_relationship.weight": "cls/seq_relationship/output_weights",
    "cls.seq_relationship.bias": "cls/seq_relationship/output_bias",
    "classifier.weight": "output_weights",
    "classifier.bias": "output_bias",
    "qa_outputs.weight": "cls/squad/output_weights",
    "qa_outputs.bias": "cls/squad/output_bias",
}


def _scope(module):
    """Returns Google's scope of a module: "encoder.layer.N.output.dense" -> "bert/encoder/layer_N/output/dense"."""
    path = module.replace("layer.N", "layer_N").replace(".", "/")
    return path if path.startswith("cls/") else f"bert/{path}"


# {Hugging Face's name without "bert.": (Google's name, transposed)}
TABLE = {name: (google, False) for name, google in OTHERS.items()}
for _module in DENSE:
    TABLE |= {f"{_module}.weight": (f"{_scope(_module)}/kernel", True)}
    TABLE |= {f"{_module}.bias": (f"{_scope(_module)}/bias", False)}
for _module in NORMS:
    TABLE |= {f"{_module}.weight": (f"{_scope(_module)}/gamma", False)}
    TABLE |= {f"{_module}.bias": (f"{_scope(_module)}/beta", False)}
BACK = {google: (name, transposed) for name, (google, transposed) in TABLE.items()}
OLD_NORM = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}  # before transformers 1.0


def google_name(name):
    """Returns Google's name for a Hugging Face parameter and whether it is transposed, or None.

    >>> google_name("bert.encoder.layer.3.attention.self.query.weight")
    ('bert/encoder/layer_3/attention/self/query/kernel', True)
    """
    bare, number = _generic(name.removeprefix("bert."), r"(?<=^encoder\.layer\.)\d+(?=\.)")
    for old, new in OLD_NORM.items():
        bare = bare.replace(old, new)
    return _specific(TABLE.get(bare), "layer_N", f"layer_{number}")


def huggingface_name(name):
    """Returns Hugging Face's name, without "bert.", for a variable of Google's and whether it is transposed, or None.

    >>> huggingface_name("bert/encoder/layer_3/attention/self/query/kernel")
    ('encoder.layer.3.attention.self.query.weight', True)
    """
    generic, number = _generic(name, r"(?<=^bert/encoder/layer_)\d+(?=/)")
    return _specific(BACK.get(generic), "layer.N", f"layer.{number}")


def _generic(name, pattern):
    """Returns a name with N for the number of its layer, and the number."""
    number = re.search(pattern, name)
    return (re.sub(pattern, "N", name), number[0]) if number else (name, None)


def _specific(found, letter, number):
    return found and (found[0].replace(letter, number), found[1])
