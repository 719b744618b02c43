"""The arrays that a BertConfig asks for: their names and shapes, part by part, in google-research/bert's names.

Source: the index files of google-research/bert's checkpoints, and modeling.py.
"""

import dataclasses
import math
import os
import sys
from pathlib import Path

from keras_bert.errors import UserError

# What a head computes with, beside the encoder without its pooler, by its task.
NEEDED = {
    None: (),
    "classification": ("bert/pooler/", "output_"),
    "multiple_choice": ("bert/pooler/", "output_"),
    "token_classification": ("output_",),
    "question_answering": ("cls/squad/",),
    "pretraining": ("cls/predictions/",),
}
# What a classifier's answers are computed with, beside the encoder's blocks.
CLASSIFIER = ("bert/pooler/dense/kernel", "bert/pooler/dense/bias", "output_weights", "output_bias")
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # what a container may use, where it is less than the machine has


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the model: the shapes of its arrays by google-research/bert's names, `times` over.

    With `times` above 1 the names have a "{}" where the block's number goes.
    """

    name: str
    shapes: dict[str, tuple[int, ...]]
    times: int = 1

    @property
    def each(self):
        """Parameters of one of its copies."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def total(self):
        """Parameters of all its copies."""
        return self.each * self.times


def encoder_parts(config):
    """Returns the Parts of a BertEncoder, the pooler included.

    Example:
        >>> from keras_bert.config import BertConfig
        >>> [sum(part.total for part in encoder_parts(BertConfig.from_name(name))) for name in ("base", "large")]
        [109482240, 335141888]
    """
    hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    table, block = "bert/embeddings", "bert/encoder/layer_{}"
    attention = {}
    for name in ("self/query", "self/key", "self/value", "output/dense"):
        attention |= _dense(f"{block}/attention/{name}", hidden, hidden)
    feed_forward = _dense(f"{block}/intermediate/dense", hidden, inner) | _dense(f"{block}/output/dense", inner, hidden)
    norms = _norm(f"{block}/attention/output", hidden) | _norm(f"{block}/output", hidden)
    return [
        Part("word embeddings", {f"{table}/word_embeddings": (config.vocab_size, hidden)}),
        Part("position embeddings", {f"{table}/position_embeddings": (config.max_position_embeddings, hidden)}),
        Part("segment embeddings", {f"{table}/token_type_embeddings": (config.type_vocab_size, hidden)}),
        Part("embedding LayerNorm", _norm(table, hidden)),
        Part("attention", attention, layers),
        Part("feed-forward", feed_forward, layers),
        Part("LayerNorms", norms, layers),
        Part("pooler", _dense("bert/pooler/dense", hidden, hidden)),
    ]


def pretraining_parts(config):
    """Returns the Parts of a BertPretrainer's heads; the output weights are the word embeddings."""
    hidden, scope = config.hidden_size, "cls/predictions"
    transform = _dense(f"{scope}/transform/dense", hidden, hidden) | _norm(f"{scope}/transform", hidden)
    next_sentence = {"cls/seq_relationship/output_weights": (2, hidden), "cls/seq_relationship/output_bias": (2,)}
    return [
        Part("masked-LM head", {**transform, f"{scope}/output_bias": (config.vocab_size,)}),
        Part("next-sentence head", next_sentence),
    ]


def each_array(parts):
    """Yields (name, shape) of all arrays of some Parts, block by block."""
    for part in parts:
        for index in range(part.times):
            for name, shape in part.shapes.items():
                yield name.format(index), shape


def array_shapes(parts):
    """Returns {name: shape} of all arrays of some Parts, block by block."""
    return dict(each_array(parts))


def machine_memory():
    """Returns the bytes of memory that this machine or container has; a system that does not say has enough."""
    if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= os.sysconf_names.keys():
        return sys.maxsize
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.is_file() else "max"
    return min(memory, int(limit)) if limit.isdigit() else memory


def check_memory(config, *, itemsize=4):
    """Raises a UserError if the weights that a BertConfig asks for are larger than this machine's memory.

    Args:
        config: a BertConfig.
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


def _dense(scope, inputs, outputs):
    return {f"{scope}/kernel": (inputs, outputs), f"{scope}/bias": (outputs,)}


def _norm(scope, width):
    return {f"{scope}/LayerNorm/gamma": (width,), f"{scope}/LayerNorm/beta": (width,)}
