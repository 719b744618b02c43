"""Every weight that a Config asks for: its neutral name, shape, part, depth, and where a model has it.

The one list of them; models/walk.py gives a model's variables by it. The neutral names are google-research/bert's: what
other families have besides is named likewise. Source: the index files of google-research/bert's checkpoints.
"""

import dataclasses
import math
import os
import re
import sys
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.families import find_family

BLOCK = re.compile(r"bert/encoder/layer_(\d+)/")
ENCODER = "bert/encoder"
WORDS = "bert/embeddings/word_embeddings"
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # what a container may use, where it is less than the machine has


@dataclasses.dataclass(frozen=True)
class Weight:
    """One weight that a Config asks for.

    Attributes:
        name: its neutral name, google-research/bert's.
        shape: its shape in a checkpoint.
        path: where a model has it, as attributes from the encoder (or, of a head's, from the model) on.
        part: what it belongs to, such as "attention".
        depth: how far it is from the input: 0 for embeddings, i + 1 for block i of L, L + 1 for the pooler, L + 2 for
            heads. A shared block has the depth of the last place at which it is run.
        transposed: whether the model has it the other way round, as a head's kernel, which Google keeps as (C, H).
        trains: whether it can learn; fixed positions cannot.
    """

    name: str
    shape: tuple[int, ...]
    path: str
    part: str
    depth: int = 0
    transposed: bool = False
    trains: bool = True


def encoder_weights(config):
    """Yields the Weights of an Encoder, the pooler included where the family has one.

    Example:
        >>> from keras_bert.config import Config
        >>> [weight.depth for weight in encoder_weights(Config.from_name("tiny")) if "query/kernel" in weight.name]
        [1, 2]
    """
    yield from _embedding_weights(config)
    if config.relative is not None and config.relative.table:
        table, path = (2 * config.relative.span, config.hidden_size), "relative_table"
        yield Weight(f"{ENCODER}/rel_embeddings", table, f"{path}.embeddings", "relative places")
        if config.relative.norm:
            yield from _norm(ENCODER, config.hidden_size, f"{path}.layer_norm", "relative places")
    last = {index: depth for depth, index in enumerate(config.passes, start=1)}
    for index in range(config.num_block_weights):
        yield from _block_weights(config, index, last[index])
    if config.conv is not None:
        hidden, part = config.hidden_size, "convolution"
        kernel = (config.conv.kernel, hidden // config.conv.groups, hidden)
        yield Weight(f"{ENCODER}/conv/kernel", kernel, "convolution.kernel", part, 1)
        yield Weight(f"{ENCODER}/conv/bias", (hidden,), "convolution.bias", part, 1)
        yield from _norm(f"{ENCODER}/conv", hidden, "convolution.layer_norm", part, 1)
    if config.norm_order == "pre":
        size, bias, depth = config.hidden_size, config.norm_bias, len(config.passes)
        yield from _norm(f"{ENCODER}/final", size, "final_norm", "LayerNorms", depth, use_bias=bias)
    if config.pooler is not None:
        yield from pooler_weights(config, "pooler.dense")


def _embedding_weights(config):
    """Yields the Weights of the embeddings and of their projection."""
    hidden, width, scope = config.hidden_size, config.embedding_width, "bert/embeddings"
    yield Weight(
        f"{scope}/word_embeddings", (config.vocab_size, width), "token_embedding.embeddings", "word embeddings"
    )
    place = config.embedding_projection_place if config.projects_embeddings else None
    summed = hidden if place == "before_sum" else width  # what positions and segments are as wide as
    tables = {
        "position": (config.max_position_embeddings if config.position_embedding != "none" else 0),
        "token_type": config.type_vocab_size,
    }
    parts = {"position": "position embeddings", "token_type": "segment embeddings"}
    for name, count in tables.items():
        if count:
            trains = name != "position" or config.position_embedding == "learned"
            full = f"{name}_embeddings"
            yield Weight(f"{scope}/{full}", (count, summed), f"embeddings.{full}", parts[name], trains=trains)
    normed = width if place in (None, "after_norm") else hidden
    yield from _norm(scope, normed, "embeddings.layer_norm", "embedding LayerNorm", use_bias=config.norm_bias)
    if place is not None:
        path = "embeddings.projection" if place == "before_norm" else "embedding_projection"
        inputs, bias = width * (3 if config.trigrams else 1), config.embedding_projection_bias
        part = "embedding projection"
        for weight in _dense("bert/embeddings_project", inputs, hidden, path, part, use_bias=bias):
            yield dataclasses.replace(weight, trains=config.applies_projection)


def _block_weights(config, index, depth):
    """Yields the Weights of a block."""
    scope, path, narrow = f"{ENCODER}/layer_{index}", f"blocks.{index}", config.bottleneck
    hidden, width, inner = config.hidden_size, config.block_width, config.intermediate_size
    is_narrow = narrow is not None and narrow.narrows

    def norm(name, size, layer):
        own = f"{path}.{layer}"
        return _norm(f"{scope}/{name}", size, own, "LayerNorms", depth, use_bias=config.norm_bias)

    def dense(name, sizes, layer, part, use_bias=True):
        return _dense(f"{scope}/{name}", *sizes, f"{path}.{layer}", part, depth, use_bias=use_bias)

    if is_narrow:
        yield from dense("bottleneck/input/dense", (hidden, width), "input_bottleneck", "bottlenecks")
        yield from norm("bottleneck/input", width, "input_norm")
        if narrow.shares_key_query:
            own = dense("bottleneck/attention/dense", (hidden, width), "shared_bottleneck", "bottlenecks")
            for weight in (*own, *norm("bottleneck/attention", width, "shared_norm")):
                yield dataclasses.replace(weight, trains=not narrow.attention_inside)
    for name in attention_projections(config):
        inputs = hidden if is_narrow and name == "value" and not narrow.attention_inside else width
        own = f"attention/self/{name}"
        yield from dense(own, (inputs, width), f"attention.{name}", "attention", projection_bias(config, name))
    sizes = (width, width)
    yield from dense("attention/output/dense", sizes, "attention_output", "attention", config.attention_output_bias)
    if config.norm_order == "post" or index > 0:
        yield from norm("attention/output", width, "attention_norm")
    for number in range(narrow.feed_forwards - 1 if narrow is not None else 0):
        own = f"ffn_layer_{number}"
        yield from dense(f"{own}/intermediate/dense", (width, inner), f"inner_intermediates.{number}", "feed-forward")
        yield from dense(f"{own}/output/dense", (inner, width), f"inner_outputs.{number}", "feed-forward")
        yield from norm(f"{own}/output", width, f"inner_norms.{number}")
    bias, units = config.feed_forward_bias, 2 * inner if config.gated else inner
    yield from dense("intermediate/dense", (width, units), "intermediate", "feed-forward", bias)
    yield from dense("output/dense", (inner, width), "block_output", "feed-forward", bias)
    yield from norm("output", width, "output_norm")
    if is_narrow:
        yield from dense("output/bottleneck/dense", (width, hidden), "output_bottleneck", "bottlenecks")
        yield from norm("output/bottleneck", hidden, "bottleneck_norm")


def attention_projections(config):
    """Returns the names of the dense layers of a block's attention before its scores.

    >>> from keras_bert.config import Config
    >>> attention_projections(Config())
    ('query', 'key', 'value')
    """
    names = ("query", "key", "value")
    if config.attention == "global_local":
        return (*names, "query_global", "key_global", "value_global")
    relative = config.relative
    if relative is None or not relative.table or relative.shares_projections:
        return names
    return (*names, *(("pos_key",) if relative.c2p else ()), *(("pos_query",) if relative.p2c else ()))


def projection_bias(config, name):
    """Says whether one of `attention_projections` has a bias."""
    if name == "pos_key":
        return config.relative.key_bias
    return getattr(config, f"{name.partition('_')[0]}_bias") if name != "pos_query" else True


def pooler_weights(config, path):
    """Yields the Weights of the pooler."""
    depth = len(config.passes) + 1
    if config.pooler == "first":  # which has none
        return
    yield from _dense("bert/pooler/dense", config.hidden_size, config.hidden_size, path, "pooler", depth)


def masked_lm_weights(config):
    """Yields the Weights of the masked-LM head; its output weights are the word embeddings, as a rule."""
    hidden, width, scope = config.hidden_size, config.embedding_width, "cls/predictions"
    part, depth = "masked-LM head", len(config.passes) + 2
    own, units = hidden_scope(config, f"{scope}/transform"), hidden if config.wide_output else width
    bias, path = config.head_bias, "masked_lm_transform"
    yield from _dense(f"{own}/dense", hidden, units, f"{path}.dense", part, depth, use_bias=bias)
    yield from _norm(own, units, f"{path}.layer_norm", part, depth, use_bias=config.head_norm_bias)
    if config.decoder_bias:
        yield Weight(f"{scope}/output_bias", (config.vocab_size,), "masked_lm_bias.bias", part, depth)
    if not config.tie_word_embeddings:
        yield Weight(f"{scope}/output_weights", (config.vocab_size, width), "masked_lm_output.embeddings", part, depth)
    if config.wide_output:
        rest = (config.vocab_size, hidden - width)
        yield Weight(f"{scope}/extra_output_weights", rest, "masked_lm_rest.embeddings", part, depth)


def next_sentence_weights(config):
    """Yields the Weights of the head that says whether the second segment follows the first."""
    yield from _output("cls/seq_relationship/output", 2, config, "next_sentence", "next-sentence head")


def replaced_tokens_weights(config):
    """Yields the Weights of ELECTRA's discriminator's head."""
    hidden, depth, scope = config.hidden_size, len(config.passes) + 2, "discriminator_predictions"
    part = "replaced-token head"
    yield from _dense(f"{scope}/dense", hidden, hidden, "replaced_tokens_transform", part, depth)
    yield from _dense(f"{scope}/dense_1", hidden, 1, "replaced_tokens", part, depth)


def classifier_weights(config, classes, *, hidden_layer):
    """Yields the Weights of a head for classes, with or without a hidden layer."""
    if hidden_layer:
        yield from hidden_layer_weights(config, "classifier")
    yield from _output("output", classes, config, "head", "classifier")


def hidden_scope(config, scope):
    """Returns how the names of a head's hidden layer begin: ModernBERT's heads have one in common."""
    return "bert/head" if config.head_norm else scope


def hidden_layer_weights(config, part):
    """Yields the Weights of the hidden layer of a head for classes."""
    size, depth, path = config.hidden_size, len(config.passes) + 2, "hidden_layer"
    scope = "bert/head/dense" if config.head_norm else "output_dense"
    yield from _dense(scope, size, size, path, part, depth, use_bias=config.head_bias)
    if config.head_norm:
        yield from _norm("bert/head", size, "hidden_norm", part, depth, use_bias=config.head_norm_bias)


def span_weights(config):
    """Yields the Weights of the head that marks answers."""
    if config.token_act is not None:
        yield from hidden_layer_weights(config, "span head")
    if config.span_block:
        hidden, inner, depth = config.hidden_size, config.intermediate_size, len(config.passes) + 2
        scope, path, part = "cls/squad/block", "span_block", "span head"
        yield from _dense(f"{scope}/intermediate/dense", hidden, inner, f"{path}.intermediate", part, depth)
        yield from _dense(f"{scope}/output/dense", inner, hidden, f"{path}.output_dense", part, depth)
        yield from _norm(f"{scope}/output", hidden, f"{path}.layer_norm", part, depth)
    yield from _output("cls/squad/output", 2, config, "head", "span head")


OBJECTIVES = {
    "masked_lm": masked_lm_weights,
    "next_sentence": next_sentence_weights,
    "replaced_tokens": replaced_tokens_weights,
}


def own_objectives(config, objectives=None):
    """Returns what a Pretrainer is made for: the objectives that are given, or else the family's own."""
    return tuple(objectives or find_family(config.family).objectives)


def pretraining_weights(config, objectives=None):
    """Yields the Weights of a Pretrainer's heads, those of the family's own objectives if none are given."""
    for objective in own_objectives(config, objectives):
        yield from OBJECTIVES[objective](config)


def head_weights(config, task, *, classes=1, objectives=None):
    """Yields the Weights of the head for a task, without the pooler that some read.

    Args:
        config: a Config.
        task: what task.json calls it; None has no head.
        classes: the number of classes.
        objectives: what a Pretrainer is made for; None for the family's own.
    """
    if task == "fill_mask":
        yield from pretraining_weights(config, objectives)
    elif task == "answer":
        yield from span_weights(config)
    elif task == "choose":
        yield from classifier_weights(config, 1, hidden_layer=config.choice_act is not None)
    elif task is not None:
        act = config.classifier_act if task == "classify" else config.token_act
        hidden_layer = act is not None
        yield from classifier_weights(config, classes, hidden_layer=hidden_layer)


def all_head_weights(config, *, classes=1):
    """Yields the Weights of every head that there is, of which a checkpoint has some."""
    yield from pretraining_weights(config, tuple(OBJECTIVES))
    yield from classifier_weights(config, classes, hidden_layer=True)
    yield from span_weights(config)


def head_task(task):
    """Returns the task whose head the weights of a checkpoint are, from the contents of its task.json; None for none.

    >>> head_task({"task": "tag"}), head_task({"task": "rate", "head": "tag"})
    ('tag', 'tag')
    """
    return task.get("head", task.get("task"))


def reads_pooler(config, task):
    """Says whether a family's head for a task reads the pooled output."""
    heads = [head for head in find_family(config.family).heads if head.task == task]
    return any(head.pooler for head in heads)


def needed_weights(config, task, *, classes=1, objectives=None):
    """Returns the names of the weights that the answers of a task are computed with, beside the blocks'.

    Of pre-training these are the first objective's.
    """
    if task == "fill_mask":
        objectives = own_objectives(config, objectives)[:1]
        pooled = False
    else:
        pooled = reads_pooler(config, task)
    pooler = pooler_weights(config, "") if pooled else ()
    return [w.name for w in (*pooler, *head_weights(config, task, classes=classes, objectives=objectives))]


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a model: its arrays, {name: shape}."""

    name: str
    shapes: dict[str, tuple[int, ...]]

    @property
    def total(self):
        """Parameters of all its arrays."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def times(self):
        """How many blocks have a share in it; 1 outside them."""
        blocks = {found[1] for name in self.shapes if (found := BLOCK.match(name))}
        return max(1, len(blocks))

    @property
    def each(self):
        """Parameters of one block's share."""
        return self.total // self.times


def encoder_parts(config):
    """Returns the Parts of an Encoder, the pooler included.

    Example:
        >>> from keras_bert.config import Config
        >>> [sum(part.total for part in encoder_parts(Config.from_name(name))) for name in ("base", "large")]
        [109482240, 335141888]
    """
    return as_parts(encoder_weights(config))


def pretraining_parts(config, objectives=None):
    """Returns the Parts of a Pretrainer's heads, those of the family's own objectives if none are given."""
    return as_parts(pretraining_weights(config, objectives))


def as_parts(weights):
    """Returns some Weights as Parts, in the order in which these come first."""
    parts = {}
    for weight in weights:
        parts.setdefault(weight.part, {})[weight.name] = weight.shape
    return [Part(name, shapes) for name, shapes in parts.items()]


def array_shapes(parts):
    """Returns {name: shape} of all arrays of some Parts."""
    return {name: shape for part in parts for name, shape in part.shapes.items()}


def machine_memory():
    """Returns the bytes of memory that this machine or container has; a system that does not say has enough."""
    if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= os.sysconf_names.keys():
        return sys.maxsize
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.is_file() else "max"
    return min(memory, int(limit)) if limit.isdigit() else memory


def check_memory(config, *, itemsize=4):
    """Raises a UserError if the weights that a Config asks for are larger than this machine's memory.

    Args:
        config: a Config.
        itemsize: bytes of a weight.
    """
    weights, memory = sum(part.total for part in encoder_parts(config)), machine_memory()
    if weights * itemsize > memory:
        largest = max(encoder_parts(config), key=lambda part: part.total)
        raise UserError(
            f"The configuration asks for {weights:.3g} weights, {weights * itemsize / 1e9:.3g} GB, and this machine "
            f"has {memory / 1e9:.3g} GB; most are {largest.name} (hidden_size={config.hidden_size}, intermediate_size="
            f"{config.intermediate_size}, num_hidden_layers={config.num_hidden_layers}, vocab_size="
            f"{config.vocab_size}, max_position_embeddings={config.max_position_embeddings}). Correct the size, or "
            "take a machine with more memory."
        )


def _dense(scope, inputs, outputs, path, part, depth=0, *, use_bias=True):
    yield Weight(f"{scope}/kernel", (inputs, outputs), f"{path}.kernel", part, depth)
    if use_bias:
        yield Weight(f"{scope}/bias", (outputs,), f"{path}.bias", part, depth)


def _norm(scope, width, path, part, depth=0, *, use_bias=True):
    for name in ("gamma", "beta") if use_bias else ("gamma",):
        yield Weight(f"{scope}/LayerNorm/{name}", (width,), f"{path}.{name}", part, depth)


def _output(name, classes, config, path, part):
    depth = len(config.passes) + 2
    yield Weight(f"{name}_weights", (classes, config.hidden_size), f"{path}.kernel", part, depth, transposed=True)
    yield Weight(f"{name}_bias", (classes,), f"{path}.bias", part, depth)
