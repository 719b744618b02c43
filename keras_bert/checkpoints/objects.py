"""Object-based TF2 checkpoints of tensorflow/models: paths through the encoder's attributes -> google-research/bert's.

Sources: official/nlp/modeling in tensorflow/models (networks/bert_encoder.py, layers/transformer_encoder_block.py and
its predecessor layers/transformer.py, layers/masked_lm.py, models/bert_pretrainer.py), which name the variables by

    model/layer_with_weights-4/_attention_layer/_query_dense/kernel/.ATTRIBUTES/VARIABLE_VALUE

in a functional encoder, and in a subclassed one by encoder/_transformer_layers/0/... Attention keeps its weights a head
at a time. H hidden, A heads, D head size.
"""

import dataclasses
import math
import re

from keras_bert.checkpoints.base import only_floats
from keras_bert.checkpoints.opening import known_names
from keras_bert.checkpoints.resolving import resolve
from keras_bert.errors import UserError
from keras_bert.families import Place
from keras_bert.families.bert import BLOCK as NEUTRAL

OBJECT = "/.ATTRIBUTES/VARIABLE_VALUE"
SLOT = "/.OPTIMIZER_SLOT/"
BEFORE_BLOCKS = 4  # layers with weights of a functional encoder: three embeddings and their LayerNorm
SELF, OUTPUT = "attention/self/", "attention/output/dense"
# What a block's attributes are in google-research/bert's scope of a layer.
BLOCK = {
    **{f"_attention_layer/_{name}_dense": f"{SELF}{name}" for name in ("query", "key", "value")},
    **dict.fromkeys(("_attention_layer/_output_dense", "_attention_output_dense"), OUTPUT),
    "_attention_layer_norm": "attention/output/LayerNorm",
    "_intermediate_dense": "intermediate/dense",
    "_output_dense": "output/dense",
    "_output_layer_norm": "output/LayerNorm",
}
EMBEDDINGS = {
    "_embedding_layer/embeddings": "bert/embeddings/word_embeddings",
    "_position_embedding_layer/embeddings": "bert/embeddings/position_embeddings",
    "_type_embedding_layer/embeddings": "bert/embeddings/token_type_embeddings",
    **{f"_embedding_norm_layer/{name}": f"bert/embeddings/LayerNorm/{name}" for name in ("gamma", "beta")},
}
OTHERS = {
    **EMBEDDINGS,
    **{f"_pooler_layer/{name}": f"bert/pooler/dense/{name}" for name in ("kernel", "bias")},
    **{f"masked_lm/dense/{name}": f"cls/predictions/transform/dense/{name}" for name in ("kernel", "bias")},
    **{f"masked_lm/layer_norm/{name}": f"cls/predictions/transform/LayerNorm/{name}" for name in ("gamma", "beta")},
    "masked_lm/bias": "cls/predictions/output_bias",
    "masked_lm/embedding_table": "bert/embeddings/word_embeddings",  # one variable of both, stored under either
    **{f"next_sentence..pooler_dense/{name}": f"bert/pooler/dense/{name}" for name in ("kernel", "bias")},
}
# The same in a functional encoder of L blocks: the number of the layer and what it holds.
NUMBERED = {
    **{f"{index}/embeddings": name for index, name in enumerate(list(EMBEDDINGS.values())[:3])},
    **{f"3/{name}": f"bert/embeddings/LayerNorm/{name}" for name in ("gamma", "beta")},
}
WEIGHTS = {place.name for places in NEUTRAL.values() for place in places}  # of a block
FUNCTIONAL = re.compile(r"(?:.*/)?layer_with_weights-(\d{1,6})/(.+)")
SUBCLASSED = re.compile(r"(?:.*/)?_transformer_layers/(\d{1,6})/(.+)")
PLAIN = re.compile(rf"(?:.*/)?({'|'.join(map(re.escape, OTHERS))})")


def resolve_objects(prefix, spans, config):
    """Returns {google-research/bert's name: Source} of an object-based checkpoint, and notes.

    Args:
        prefix: the checkpoint's, to name.
        spans: {path through the objects: Span}.
        config: its Config.

    Raises:
        UserError: it is of something else than tensorflow/models' BERT, or its heads are not those of the config.
    """
    variables = {
        name.removesuffix(OBJECT): span for name, span in spans.items() if name.endswith(OBJECT) and SLOT not in name
    }
    blocks = config.num_hidden_layers
    variables, notes = only_floats(variables, lambda name: object_name(name, blocks) is not None)
    sources = resolve(
        variables, lambda name: (Place(object_name(name, blocks)),) if object_name(name, blocks) else None
    )
    known = known_names(config)
    if not any(name in known and name.startswith("bert/encoder/") for name in sources):
        some = next(iter(variables), "none")
        raise UserError(
            f"{prefix} is an object-based TF2 checkpoint (its names end with {OBJECT}), and not of tensorflow/models' "
            f"BERT encoder, whose names are known here; the first is {some:.80}. Load it with the code that wrote it, "
            "and save the weights under Google's or Hugging Face's names."
        )
    sources = {name: _flattened(name, source, config) for name, source in sources.items()}
    return sources, (*notes, "read as an object-based TF2 checkpoint of tensorflow/models")


def object_name(path, blocks):
    """Returns google-research/bert's name of a variable of an encoder of so many blocks, or None.

    >>> object_name("model/layer_with_weights-4/_attention_layer/_query_dense/kernel", 12)
    'bert/encoder/layer_0/attention/self/query/kernel'
    >>> object_name("encoder/_transformer_layers/3/_output_layer_norm/beta", 12)
    'bert/encoder/layer_3/output/LayerNorm/beta'
    """
    functional, subclassed, plain = (pattern.fullmatch(path) for pattern in (FUNCTIONAL, SUBCLASSED, PLAIN))
    if functional:
        index, rest = int(functional[1]), functional[2]
        if index == BEFORE_BLOCKS + blocks:
            return f"bert/pooler/dense/{rest}" if rest in ("kernel", "bias") else None
        return NUMBERED.get(f"{index}/{rest}") or _block_name(index - BEFORE_BLOCKS, rest)
    if subclassed:
        return _block_name(int(subclassed[1]), subclassed[2])
    return OTHERS[plain[1]] if plain else None


def _block_name(index, rest):
    module, _, variable = rest.rpartition("/")
    inside = f"{BLOCK.get(module)}/{variable}"
    return f"bert/encoder/layer_{index}/{inside}" if index >= 0 and inside in WEIGHTS else None


def _flattened(name, source, config):
    """Returns a Source of attention's weights with the axes A and D as one: (H, A, D), (A, D, H) or (A, D)."""
    scope, _, variable = name.rpartition("/")
    shape, is_output = source.shape, scope.endswith(OUTPUT)
    if not (is_output or SELF in name) or len(shape) != (3 if variable == "kernel" else 2):
        return source
    if variable == "bias":
        heads, flat = shape[0], (math.prod(shape),)
    elif is_output:
        heads, flat = shape[0], (shape[0] * shape[1], shape[2])
    else:
        heads, flat = shape[1], (shape[0], shape[1] * shape[2])
    if heads != config.num_attention_heads:
        raise UserError(
            f"{source.span.path}: {source.span.name} has shape {shape}, of {heads} heads, but its config asks for "
            f"num_attention_heads={config.num_attention_heads}; use the config that belongs to these weights."
        )
    return dataclasses.replace(source, shape=flat)
