"""What a model costs, from its Config alone: parameters by part, and the arithmetic of a training step.

A matrix product (m, k) x (k, n) is 2 m k n floating-point operations, and the backward pass takes two such products
for each of the forward pass (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1). Theirs is
6N a token for the N weights of the blocks, and 3 * 2 * n_layer * n_ctx * d_attn for attention's scores; here each
product is counted by the shape of its weight (checkpoints/parts.py) and as often as it is run, the vocabulary's at the
P masked positions alone, and the last block's at those that the heads read. What is not a matrix product is left out:
it is a matter of memory's speed, not of arithmetic.

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

BACKWARD = 2  # matrix products of the backward pass for each of the forward pass: the gradient of either factor
# What the products of a block are called, by the part of their weights; "last" those at the positions that heads read.
RUN = {
    "attention": "attention, dense layers",
    "scores": "attention, scores and mixing",
    "feed-forward": "feed-forward",
}
LAST_RUN = {
    "attention": "last block, dense layers",
    "scores": "last block, scores, mixing",
    "feed-forward": "last block, feed-forward",
}
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
    """A matrix product of the forward pass of one example, (m, k) x (k, n), `times` over."""

    name: str
    m: int
    k: int
    n: int
    times: int = 1

    @property
    def flops(self):
        """Floating-point operations of all its copies."""
        return 2 * self.m * self.k * self.n * self.times


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


def block_products(config, step, *, objectives=None):
    """Returns the Products of each block run. The last one is computed at the positions alone that the heads read."""
    length, read = step.max_seq_length, positions_read(config, step, objectives)
    kernels = {}  # {number of the set of weights: its kernels}
    for weight in filter(_is_kernel, encoder_weights(config)):
        if found := BLOCK.match(weight.name):
            kernels.setdefault(int(found[1]), []).append(weight)
    *full, last = config.passes
    products = [product for index in full for product in _run(kernels[index], RUN, length, length)]
    return [*products, *_run(kernels[last], RUN if read == length else LAST_RUN, length, read)]


def _run(kernels, names, length, read):
    """Yields the Products of one block run that is computed at `read` positions, keys and values at all of them."""
    for weight in kernels:
        if weight.path.endswith((".key.kernel", ".value.kernel")):
            yield Product(RUN[weight.part], length, *weight.shape)
        else:
            yield Product(names[weight.part], read, *weight.shape)
        if weight.path.endswith(".value.kernel"):
            yield Product(names["scores"], read, weight.shape[1], length, 2)


def other_products(config, step, *, objectives=None):
    """Returns the Products outside the blocks: embeddings' projection, pooler, heads of pre-training."""
    length, masked = step.max_seq_length, step.predictions
    rows = {"embedding projection": length, "masked-LM head": masked, "replaced-token head": length}
    products, table = [], None
    for weight in (*encoder_weights(config), *pretraining_weights(config, objectives)):
        if weight.name.endswith("/word_embeddings"):
            table = weight.shape
        if _is_kernel(weight) and not BLOCK.match(weight.name):
            shape = weight.shape[::-1] if weight.transposed else weight.shape
            name = f"{weight.part}, transform" if weight.part == "masked-LM head" else weight.part
            products.append(Product(name, rows.get(weight.part, 1), *shape))
    if "masked_lm" in own_objectives(config, objectives):
        products.append(Product("masked-LM head, vocabulary", masked, *table[::-1]))
    return products


def _is_kernel(weight):
    """Says whether a Weight is a matrix of a dense layer."""
    return weight.path.endswith(".kernel")


@dataclasses.dataclass(frozen=True)
class Flops:
    """The arithmetic of pre-training, in floating-point operations.

    Attributes:
        forward: the forward pass of one example.
        training: its forward and its backward pass.
    """

    forward: int
    training: int


def count_flops(config, step, *, remat=False, objectives=None):
    """Returns the Flops of one example.

    Args:
        config: a Config.
        step: a Step; its batch size does not matter here.
        remat: whether the backward pass computes the blocks' forward pass once more.
        objectives: what the model is pre-trained for; None for the family's own.

    Example:
        >>> from keras_bert.config import Config
        >>> example = count_flops(Config.from_name("small"), Step(max_seq_length=128))
        >>> f"{16 * example.forward / 1e9:.0f} and {16 * example.training / 1e9:.0f} GFLOP for 16 examples"
        '54 and 163 GFLOP for 16 examples'
    """
    blocks = sum(product.flops for product in block_products(config, step, objectives=objectives))
    forward = blocks + sum(product.flops for product in other_products(config, step, objectives=objectives))
    return Flops(forward, (1 + BACKWARD) * forward + (blocks if remat else 0))
