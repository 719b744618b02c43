"""What a model costs, from its Config alone: parameters by part, and the arithmetic of a training step.

A matrix product (m, k) x (k, n) is 2 m k n floating-point operations, and the backward pass takes two such products
for each of the forward pass (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1). Theirs is
6N a token for the N weights of the blocks, and 3 * 2 * n_layer * n_ctx * d_attn for attention's scores; here each
product is counted by the shape of its weight (checkpoints/parts.py) and as often as it is run, the vocabulary's at the
P masked positions alone, and the last block's at those that the heads read. Attention counts as it is computed
(scores.py): by blocks where they pay, of every query and key elsewhere. What is not a matrix product is left out: it is
a matter of memory's speed, not of arithmetic.

S sequence, P predictions, E embedding, H hidden, V vocabulary.
"""

import dataclasses
import math

from keras_bert.checkpoints.parts import (
    BLOCK,
    all_head_weights,
    as_parts,
    encoder_weights,
    own_objectives,
    pretraining_weights,
)
from keras_bert.errors import UserError
from keras_bert.training.scores import block_scores, drawn_blocks, kind_of, place_terms, slots_of

BACKWARD = 2  # matrix products of the backward pass for each of the forward pass: the gradient of either factor
# What the products of a block are called, by the part of their weights; "last" those at the positions that heads read.
RUN = {
    "attention": "attention, dense layers",
    "scores": "attention, scores and mixing",
    "places": "attention, relative places",
    "slots": "attention, global tokens",
    "feed-forward": "feed-forward",
    "bottlenecks": "bottlenecks",
}
LAST_RUN = {
    "attention": "last block, dense layers",
    "scores": "last block, scores, mixing",
    "places": "last block, relative places",
    "slots": "last block, global tokens",
    "feed-forward": "last block, feed-forward",
    "bottlenecks": "last block, bottlenecks",
}
# Dense layers of a block that read every position, even where the block's output is computed at some alone.
READ_ALL = ("key", "value", "key_global", "value_global")
MUON_ROUNDS = 5  # in which Muon makes a matrix orthogonal, see muon.py
MASKED_SHARE = 0.15  # of a sequence's tokens (Devlin et al. 2018, section 3.1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """The size of one training step.

    Attributes:
        train_batch_size: examples.
        max_seq_length: tokens of an example.
        max_predictions_per_seq: masked positions of an example; None for 15 % of the tokens, rounded up.

    Raises:
        UserError: a size below 1, or more masked positions than tokens.

    Example:
        >>> Step(max_seq_length=128).predictions
        20
    """

    train_batch_size: int = 32
    max_seq_length: int = 512
    max_predictions_per_seq: int | None = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and value < 1:
                raise UserError(f"{field.name} must be a whole number of at least 1. Received: {value}.")
        if self.predictions > self.max_seq_length:
            raise UserError(
                f"max_predictions_per_seq is {self.predictions}, but an example has {self.max_seq_length} tokens "
                "(max_seq_length); mask fewer."
            )

    @property
    def predictions(self):
        """Masked positions of an example."""
        given = self.max_predictions_per_seq
        return math.ceil(MASKED_SHARE * self.max_seq_length) if given is None else given

    def check_fits(self, config):
        """Raises a UserError if the sequences are longer than the model can read."""
        if self.max_seq_length > config.max_length:
            raise UserError(
                f"max_seq_length is {self.max_seq_length}, but the model reads at most {config.max_length} tokens; "
                "take shorter sequences, or a model with more positions."
            )


def head_parts(config, shapes):
    """Returns the Parts of the heads that a checkpoint has, by its {name: shape}.

    Example:
        >>> from keras_bert.config import Config
        >>> shapes = {"bert/pooler/dense/bias": (4,), "output_weights": (3, 4), "output_bias": (3,)}
        >>> head_parts(Config(), shapes)[0].total
        15
    """
    weights = (weight for weight in all_head_weights(config) if weight.name in shapes)
    return as_parts(dataclasses.replace(weight, shape=shapes[weight.name]) for weight in weights)


@dataclasses.dataclass(frozen=True)
class Product:
    """A matrix product of the forward pass of a step, (m, k) x (k, n), `times` over.

    Attributes:
        name: what it is called.
        m, k, n: its sizes.
        times: how many there are.
        backward: how many the backward pass takes for each: one where one of its factors does not learn.
        forward: how many the forward pass takes; none where a look-up alone has a product for its gradient.
    """

    name: str
    m: int
    k: int
    n: int
    times: int = 1
    backward: int = BACKWARD
    forward: int = 1

    @property
    def flops(self):
        """Floating-point operations of all its copies in the forward pass."""
        return self.forward * 2 * self.m * self.k * self.n * self.times

    @property
    def training_flops(self):
        """Those of the forward and the backward pass."""
        return (self.forward + self.backward) * 2 * self.m * self.k * self.n * self.times


def by_name(products):
    """Returns {name: floating-point operations} of some Products, those of one name together."""
    flops = {}
    for product in products:
        flops[product.name] = flops.get(product.name, 0) + product.flops
    return flops


def positions_read(config, step, objectives=None):
    """Returns the positions of an example that the last block computes: those that the heads read.

    Example:
        >>> from keras_bert.config import Config
        >>> positions_read(Config(), Step(max_seq_length=128))  # [CLS] and the masked ones
        21
        >>> positions_read(Config(family="electra", pooler=None), Step(max_seq_length=128))  # who was replaced
        128
    """
    objectives = own_objectives(config, objectives)
    if "replaced_tokens" in objectives:
        return step.max_seq_length
    return (step.predictions if "masked_lm" in objectives else 0) + (config.pooler is not None)


def runs(config, step, objectives=None):
    """Yields (number of the set of weights, how many positions are computed, None for all) of each block run.

    The last one is computed at the positions alone that the heads read, unless a convolution stands beside it.
    """
    reads_all, last = "replaced_tokens" in own_objectives(config, objectives), len(config.passes) - 1
    for number, index in enumerate(config.passes):
        beside = config.conv is not None and number == 0
        is_whole = reads_all or beside or number < last
        yield index, None if is_whole else positions_read(config, step, objectives)


def block_products(config, step, *, objectives=None):
    """Returns the Products of each block run."""
    kernels = _kernels(config)
    return [
        product
        for index, read in runs(config, step, objectives)
        for product in _run(config, step, index, kernels[index], read)
    ]


def block_flops(config, step, index):
    """Returns the floating-point operations of the forward pass of one block run, computed at all positions.

    Args:
        config: a Config.
        step: a Step.
        index: the number of the block's set of weights.
    """
    return sum(product.flops for product in _run(config, step, index, _kernels(config)[index], None))


def _kernels(config):
    """Returns {number of a set of weights: {name of a dense layer: its kernel, a Weight}} of the blocks."""
    kernels = {}
    for weight in filter(_is_computed, encoder_weights(config)):
        if found := BLOCK.match(weight.name):
            name = weight.path.split(".", 2)[2].removesuffix(".kernel").removeprefix("attention.")
            kernels.setdefault(int(found[1]), {})[name] = weight
    return kernels


def _run(config, step, index, kernels, read):
    """Yields the Products of one block run that is computed at `read` positions, None for all."""
    length, examples, width = step.max_seq_length, step.train_batch_size, config.block_width
    names, asking = (RUN, length) if read is None else (LAST_RUN, read)
    for name, weight in kernels.items():
        if name in ("pos_key", "pos_query"):
            continue
        rows, which = asking, names
        if name in READ_ALL:
            rows, which = length, RUN
        elif name == "query_global" and read is None:
            rows = slots_of(config, length)
        elif name == "shared_bottleneck" or (name == "input_bottleneck" and config.bottleneck.attention_inside):
            rows = length + (read or 0)  # what is looked at, and what looks
        yield Product(which[weight.part], examples * rows, *weight.shape)
    for scores in block_scores(config, index, length, read):
        yield Product(names["scores"], scores.queries, width, scores.keys, 2 * examples)
    for name, tokens in place_terms(config, length, read).items():  # the table is projected once for all examples
        own = kernels.get(name) or kernels[name.removeprefix("pos_")]
        yield Product(names["places"], 2 * length, *own.shape)
        yield Product(names["places"], tokens, width, 2 * length, examples)
    blocks, listed = drawn_blocks(config, length) if read is None else (0, 0)
    if listed:  # their gradients are added up by a product with 0 and 1
        size = config.block_sparse.block_size * width
        yield Product(names["scores"], blocks, listed, size, 2 * examples, backward=1, forward=0)
    if kind_of(config, index) == "global_local" and read is None:  # into the slots and out, by products with 0 and 1
        slots = slots_of(config, length)
        moved = {"times": 3 * examples, "backward": 1}  # the tokens themselves, their keys and their values
        yield Product(names["slots"], slots, length, width, **moved)
        yield Product(names["slots"], length, slots, width, examples, 1)


def step_products(config, step, *, objectives=None, generator=None):
    """Returns the Products of a step: the blocks', those outside, and those of a generator beside the model.

    Args:
        config: a Config.
        step: a Step.
        objectives: what the model is pre-trained for; None for the family's own.
        generator: the Config of the generator of a model that is trained for replaced tokens; None for none.
    """
    products = block_products(config, step, objectives=objectives)
    products += other_products(config, step, objectives=objectives)
    if generator is not None:
        own = step_products(generator, step, objectives=["masked_lm"])
        products += [dataclasses.replace(product, name="generator") for product in own]
    return products


def update_flops(config, optimizer, *, generator=None):
    """Returns the floating-point operations of matrix products in an optimizer's update, whatever the batch.

    Args:
        config: a Config.
        optimizer: "adamw", "lamb" or "muon", which alone has any.
        generator: see `step_products`.

    Example:
        >>> from keras_bert.config import Config
        >>> f"{update_flops(Config.from_name('base'), 'muon') / 1e9:.0f} GFLOP"
        '1631 GFLOP'
    """
    if optimizer != "muon":
        return 0
    total = 0
    for each in (config,) if generator is None else (config, generator):
        for weight in encoder_weights(each):
            if 0 < weight.depth <= len(each.passes) and len(weight.shape) == 2 and weight.trains:
                small, large = sorted(weight.shape)
                total += MUON_ROUNDS * (2 * 2 * small * small * large + 2 * small**3)
    return total


def other_products(config, step, *, objectives=None):
    """Returns the Products outside the blocks: embeddings' projection, convolution, pooler, heads of pre-training."""
    length, masked, examples = step.max_seq_length, step.predictions, step.train_batch_size
    rows = {
        **dict.fromkeys(("embedding projection", "convolution", "replaced-token head"), length),
        "masked-LM head": masked,
    }
    products, tables = [], []
    for weight in (*encoder_weights(config), *pretraining_weights(config, objectives)):
        if weight.path in ("token_embedding.embeddings", "masked_lm_rest.embeddings"):
            tables.append(weight.shape)
        if _is_computed(weight) and not BLOCK.match(weight.name):
            name = f"{weight.part}, transform" if weight.part == "masked-LM head" else weight.part
            for k, n, times in _matrices(weight):
                products.append(Product(name, examples * rows.get(weight.part, 1), k, n, times))
    if "masked_lm" in own_objectives(config, objectives):
        products += [Product("masked-LM head, vocabulary", examples * masked, *table[::-1]) for table in tables]
    return products


def _matrices(weight):
    """Yields (inputs, outputs, times) of a kernel outside the blocks, of which a convolution has one for each group."""
    if len(weight.shape) == 3:  # (K, H / groups, H)
        size, inputs, outputs = weight.shape
        yield size * inputs, inputs, outputs // inputs
    else:
        yield (*(weight.shape[::-1] if weight.transposed else weight.shape), 1)


def _is_computed(weight):
    """Says whether a Weight is a matrix of a dense layer that is run: one that does not train is in files alone."""
    return weight.path.endswith(".kernel") and weight.trains


@dataclasses.dataclass(frozen=True)
class Flops:
    """The arithmetic of pre-training, in floating-point operations.

    Attributes:
        forward: the forward pass of a step.
        training: its forward and its backward pass.
    """

    forward: int
    training: int


def count_flops(config, step, *, remat=False, objectives=None, generator=None):
    """Returns the Flops of a step.

    Args:
        config: a Config.
        step: a Step.
        remat: whether the backward pass computes the blocks' forward pass once more.
        objectives, generator: see `step_products`.

    Example:
        >>> from keras_bert.config import Config
        >>> flops = count_flops(Config.from_name("small"), Step(train_batch_size=16, max_seq_length=128))
        >>> f"{flops.forward / 1e9:.0f} and {flops.training / 1e9:.0f} GFLOP for 16 examples"
        '54 and 163 GFLOP for 16 examples'
    """
    every = step_products(config, step, objectives=objectives, generator=generator)
    training = sum(product.training_flops for product in every)
    again = 0
    if remat:
        blocks = block_products(config, step, objectives=objectives)
        blocks += [] if generator is None else block_products(generator, step, objectives=["masked_lm"])
        again = sum(product.flops for product in blocks)
    return Flops(sum(product.flops for product in every), training + again)
