"""What a family of encoders is: a row that says its fields, its weights' names, its heads and its sizes.

A family is data. It knows no class of this library: a `config` here is anything with the attributes of
`keras_bert.config.Config`. Weights have one neutral name each, google-research/bert's (checkpoints/parts.py lists
them); a table says which array of a file holds which of them.
"""

import dataclasses
from collections.abc import Callable, Mapping

from keras_bert.errors import UserError

# transformers' names of activations. A file of Google's means tanh by "gelu" (but for ELECTRA's).
ACTIVATIONS = {
    **{"gelu": "gelu_erf", "gelu_python": "gelu_erf"},
    "swish": "silu",
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate"), "gelu_tanh"),
}
WRITTEN = {"gelu_erf": "gelu", "gelu_tanh": "gelu_new"}
NEUTRAL_BLOCK = "bert/encoder/layer_{}/"


@dataclasses.dataclass(frozen=True)
class Place:
    """Which weight an array of a file holds, or which of several that are stored as one.

    Attributes:
        name: the weight's neutral name.
        transposed: whether the file has it the other way round, as PyTorch has the kernels of Keras.
        part, parts: of a fused array, the weight's number and how many share it, along the file's first axis.
        by_head: whether the parts alternate head by head, as (A, parts, D, ...), instead of following one another.
    """

    name: str
    transposed: bool = False
    part: int = 0
    parts: int = 1
    by_head: bool = False


def dense(module, scope):
    """Returns the table of a torch.nn.Linear that is a Dense layer here.

    >>> dense("pooler.dense", "bert/pooler/dense")["pooler.dense.weight"]
    (Place(name='bert/pooler/dense/kernel', transposed=True, part=0, parts=1, by_head=False),)
    """
    return {
        f"{module}.weight": (Place(f"{scope}/kernel", transposed=True),),
        f"{module}.bias": (Place(f"{scope}/bias"),),
    }


def norm(module, scope):
    """Returns the table of a torch.nn.LayerNorm."""
    return {
        f"{module}.weight": (Place(f"{scope}/LayerNorm/gamma"),),
        f"{module}.bias": (Place(f"{scope}/LayerNorm/beta"),),
    }


def output(module, name):
    """Returns the table of a torch.nn.Linear whose kernel is (outputs, H) here too, as google-research/bert has it."""
    return {f"{module}.weight": (Place(f"{name}_weights"),), f"{module}.bias": (Place(f"{name}_bias"),)}


def fused(name, places):
    """Returns the table of one array that holds several weights, which follow one another along its first axis."""
    return {name: tuple(dataclasses.replace(p, part=i, parts=len(places)) for i, p in enumerate(places))}


def same(names, scope):
    """Returns {file's name: place} of names that both sides have, below a scope of both."""
    return {f"{scope}/{name}": (Place(f"{scope}/{name}"),) for name in names}


@dataclasses.dataclass(frozen=True)
class Names:
    """The names of an encoder's weights in a kind of file.

    Attributes:
        prefix: what stands before them where there is a head.
        outside: the table of what is outside the blocks, {array of the file: places}.
        block: the table inside a block, of names without the block's scope on either side, or config -> the table.
        scope: (config, number of the set of weights) -> how the file's names of a block begin.
    """

    outside: Mapping[str, tuple[Place, ...]]
    block: Mapping[str, tuple[Place, ...]] | Callable
    scope: Callable
    prefix: str = ""

    def table(self, config):
        """Returns {array of the file, without the prefix: places} of a config's encoder."""
        table = dict(self.outside)
        block = self.block(config) if callable(self.block) else self.block
        for index in range(config.num_block_weights):
            scope, neutral = self.scope(config, index), NEUTRAL_BLOCK.format(index)
            for name, places in block.items():
                table[scope + name] = tuple(dataclasses.replace(p, name=neutral + p.name) for p in places)
        return table


@dataclasses.dataclass(frozen=True)
class Head:
    """A model of transformers': what sits on the encoder.

    Attributes:
        suffix: how the name of its class ends, such as "ForMaskedLM".
        task: what task.json calls it.
        starts: how the neutral names of its weights begin; all of them must be there.
        table: {array of the file: places}.
        pooler: whether it reads the encoder's pooled output.
        dropout: the field of Config with the dropout before its output weights.
        when: config -> whether a model of that config has it: DeBERTa's masked-LM heads have one of two sets of names.
        stores_pooler: whether transformers' class has a pooler that it does not read.
    """

    suffix: str
    task: str
    starts: tuple[str, ...]
    table: Mapping[str, tuple[Place, ...]]
    pooler: bool = False
    dropout: str = "classifier_dropout"
    when: Callable = lambda _: True
    stores_pooler: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """One family of encoders.

    Attributes:
        name: config.json's model_type.
        title: how people write it.
        architecture: how the names of transformers' classes begin.
        fields: {field of Config: the field of config.json}, where they differ.
        defaults: {field of Config: value} that config.json means by leaving a field out.
        fixed: {field of Config: value} that config.json cannot say.
        sizes: {published name: fields of Config}.
        names: the Names in transformers' files.
        heads: the Heads, in the order in which they are looked for; the first that fits is written.
        objectives: what it is pre-trained for: "masked_lm", "next_sentence" (or sentence order), "replaced_tokens".
        decoder: names of the masked-LM head's output weights, bias, and of the bias that the latter is tied to; or a
            function of a config that returns them.
        google: the Names in Google's TF1 checkpoints, or None where Google published none.
        google_activations: {hidden_act of Google's file: what it computes}.
        google_config: the name of the configuration beside Google's checkpoint; None where it has none.
        google_heads: the table of the heads in Google's checkpoints.
        aliases: {another name that transformers reads in config.json: the field's own name there}.
        expected: {field of config.json: the one value that is implemented}.
        also: further fields of Config that its config.json says.
        read: (fields of Config, fields of config.json) -> fields of Config, for what no table says.
        write: config -> further fields of config.json, the other way round.
        settle: (config, names of a file's arrays) -> config, for what only the arrays say.
    """

    name: str
    title: str
    architecture: str
    names: Names
    heads: tuple[Head, ...]
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, object] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, object] = dataclasses.field(default_factory=dict)
    sizes: Mapping[str, Mapping] = dataclasses.field(default_factory=dict)
    objectives: tuple[str, ...] = ("masked_lm",)
    decoder: tuple[str | None, str | None, str] | Callable = (
        "lm_head.decoder.weight",
        "lm_head.decoder.bias",
        "lm_head.bias",
    )
    google: Names | None = None
    google_activations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    google_config: str | None = None
    google_heads: Mapping[str, tuple[Place, ...]] = dataclasses.field(default_factory=dict)
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    expected: Mapping[str, object] = dataclasses.field(default_factory=dict)
    also: tuple[str, ...] = ()
    read: Callable = lambda fields, _: fields
    write: Callable = lambda _: {}
    settle: Callable = lambda config, _: config

    @property
    def pools_by_head(self):
        """Whether only some of its heads, or files, have a pooler: as a rule the encoder has none."""
        return "pooler" in self.fixed and self.fixed["pooler"] is None

    def head(self, task):
        """Returns the first Head for a task, or raises a UserError that lists those there are."""
        found = next((head for head in self.heads if head.task == task), None)
        if found is None:
            known = ", ".join(dict.fromkeys(head.task for head in self.heads))
            raise UserError(f"{self.title} has no head for {task}; it has heads for {known}.")
        return found

    def heads_of(self, config):
        """Returns the Heads that models of a config have."""
        return [head for head in self.heads if head.when(config)]

    def head_table(self, config):
        """Returns {array of the file: places} of all heads together that models of a config have."""
        return {name: places for head in self.heads_of(config) for name, places in head.table.items()}

    def decoder_of(self, config):
        """Returns `decoder`, as models of a config have it."""
        return self.decoder(config) if callable(self.decoder) else self.decoder


def numbered(pattern):
    """Returns the `scope` of Names whose blocks are numbered from 0: "encoder.layer.{}." and the like."""
    return lambda config, index: pattern.format(index)
