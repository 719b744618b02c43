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
    hidden, width, inner = config.hidden_size, config.embedding_width, config.intermediate_size
    scope = "bert/embeddings"
    yield Weight(
        f"{scope}/word_embeddings", (config.vocab_size, width), "token_embedding.embeddings", "word embeddings"
    )
    positions, learned = (config.max_position_embeddings, width), config.position_embedding == "learned"
    yield Weight(
        f"{scope}/position_embeddings",
        positions,
        "embeddings.position_embeddings",
        "position embeddings",
        trains=learned,
    )
    if config.type_vocab_size:
        segments = (config.type_vocab_size, width)
        yield Weight(
            f"{scope}/token_type_embeddings", segments, "embeddings.token_type_embeddings", "segment embeddings"
        )
    yield from _norm(scope, width, "embeddings.layer_norm", "embedding LayerNorm")
    if config.projects_embeddings:
        yield from _dense("bert/embeddings_project", width, hidden, "embedding_projection", "embedding projection")
    last = {index: depth for depth, index in enumerate(config.passes, start=1)}
    for index in range(config.num_block_weights):
        scope, path, depth = f"bert/encoder/layer_{index}", f"blocks.{index}", last[index]
        for name in ("query", "key", "value"):
            yield from _dense(
                f"{scope}/attention/self/{name}", hidden, hidden, f"{path}.attention.{name}", "attention", depth
            )
        yield from _dense(
            f"{scope}/attention/output/dense", hidden, hidden, f"{path}.attention_output", "attention", depth
        )
        yield from _norm(f"{scope}/attention/output", hidden, f"{path}.attention_norm", "LayerNorms", depth)
        yield from _dense(f"{scope}/intermediate/dense", hidden, inner, f"{path}.intermediate", "feed-forward", depth)
        yield from _dense(f"{scope}/output/dense", inner, hidden, f"{path}.block_output", "feed-forward", depth)
        yield from _norm(f"{scope}/output", hidden, f"{path}.output_norm", "LayerNorms", depth)
    if config.pooler is not None:
        yield from pooler_weights(config, "pooler.dense")


def pooler_weights(config, path):
    """Yields the Weights of the pooler."""
    depth = len(config.passes) + 1
    yield from _dense("bert/pooler/dense", config.hidden_size, config.hidden_size, path, "pooler", depth)


def masked_lm_weights(config):
    """Yields the Weights of the masked-LM head; its output weights are the word embeddings, as a rule."""
    hidden, width, scope = config.hidden_size, config.embedding_width, "cls/predictions"
    part, depth = "masked-LM head", len(config.passes) + 2
    yield from _dense(f"{scope}/transform/dense", hidden, width, "masked_lm_transform.dense", part, depth)
    yield from _norm(f"{scope}/transform", width, "masked_lm_transform.layer_norm", part, depth)
    yield Weight(f"{scope}/output_bias", (config.vocab_size,), "masked_lm_bias.bias", part, depth)
    if not config.tie_word_embeddings:
        yield Weight(f"{scope}/output_weights", (config.vocab_size, width), "masked_lm_output.embeddings", part, depth)


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
        size, depth = config.hidden_size, len(config.passes) + 2
        yield from _dense("output_dense", size, size, "hidden_layer", "classifier", depth)
    yield from _output("output", classes, config, "head", "classifier")


def span_weights(config):
    """Yields the Weights of the head that marks answers."""
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
        hidden_layer = task == "classify" and config.classifier_act is not None
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


def _dense(scope, inputs, outputs, path, part, depth=0):
    yield Weight(f"{scope}/kernel", (inputs, outputs), f"{path}.kernel", part, depth)
    yield Weight(f"{scope}/bias", (outputs,), f"{path}.bias", part, depth)


def _norm(scope, width, path, part, depth=0):
    for name in ("gamma", "beta"):
        yield Weight(f"{scope}/LayerNorm/{name}", (width,), f"{path}.{name}", part, depth)


def _output(name, classes, config, path, part):
    depth = len(config.passes) + 2
    yield Weight(f"{name}_weights", (classes, config.hidden_size), f"{path}.kernel", part, depth, transposed=True)
    yield Weight(f"{name}_bias", (classes,), f"{path}.bias", part, depth)
