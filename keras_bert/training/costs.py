"""What a BERT costs, from its BertConfig alone: parameters by part, and the arithmetic of a training step.

A matrix product (m, k) x (k, n) is 2 m k n floating-point operations, and the backward pass takes two such products
for each of the forward pass (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1). Theirs is
6N a token for the N weights of the blocks, and 3 * 2 * n_layer * n_ctx * d_attn for attention's scores; here each
product is counted by its shape, the vocabulary's at the P masked positions alone, and the last block's at those and
[CLS]. What is not a matrix product is left out: it is a matter of memory's speed, not of arithmetic.

S sequence, P predictions, H hidden, I intermediate, A heads, V vocabulary.
"""

import dataclasses
import math

from keras_bert.checkpoints.parts import Part
from keras_bert.errors import UserError

BACKWARD = 2  # matrix products of the backward pass for each of the forward pass: the gradient of either factor
# Heads by how the names of their arrays begin.
HEADS = {
    "cls/predictions/": "masked-LM head",
    "cls/seq_relationship/": "next-sentence head",
    "cls/squad/": "span head",
    "output_": "classifier",
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

    @property
    def positions_read(self):
        """Positions of an example whose last hidden state a head reads: [CLS] and the masked ones."""
        return self.predictions + 1

    def check_fits(self, config):
        """Raises a UserError if the sequences are longer than the model can read."""
        if self.max_seq_length > config.max_position_embeddings:
            raise UserError(
                f"max_seq_length is {self.max_seq_length}, but the model has max_position_embeddings="
                f"{config.max_position_embeddings}; take shorter sequences, or a model with more positions."
            )


def head_parts(shapes):
    """Returns the Parts of the heads that a checkpoint has, by its {name: shape}.

    Example:
        >>> head_parts({"bert/pooler/dense/bias": (4,), "output_weights": (3, 4), "output_bias": (3,)})[0].total
        15
    """
    found = {
        part: {name: shape for name, shape in shapes.items() if name.startswith(start)} for start, part in HEADS.items()
    }
    return [Part(part, arrays) for part, arrays in found.items() if arrays]


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


def block_products(config, step):
    """Returns the Products of all blocks. The last one is computed at [CLS] and the masked positions alone."""
    length, read, full = step.max_seq_length, step.positions_read, config.num_hidden_layers - 1
    hidden, inner = config.hidden_size, config.intermediate_size
    return [
        Product("attention, dense layers", length, hidden, hidden, 4 * full + 2),  # keys and values of the last one too
        Product("attention, scores and mixing", length, hidden, length, 2 * full),
        Product("feed-forward", length, hidden, inner, 2 * full),
        Product("last block, dense layers", read, hidden, hidden, 2),
        Product("last block, scores, mixing", read, hidden, length, 2),
        Product("last block, feed-forward", read, hidden, inner, 2),
    ]


def head_products(config, step):
    """Returns the Products of the pooler and of both heads of pre-training."""
    hidden = config.hidden_size
    return [
        Product("pooler, next sentence", 1, hidden, hidden + 2),
        Product("masked-LM head, transform", step.predictions, hidden, hidden),
        Product("masked-LM head, vocabulary", step.predictions, hidden, config.vocab_size),
    ]


@dataclasses.dataclass(frozen=True)
class Flops:
    """The arithmetic of pre-training, in floating-point operations.

    Attributes:
        forward: the forward pass of one example.
        training: its forward and its backward pass.
    """

    forward: int
    training: int


def count_flops(config, step, *, remat=False):
    """Returns the Flops of one example.

    Args:
        config: a BertConfig.
        step: a Step; its batch size does not matter here.
        remat: whether the backward pass computes the blocks' forward pass once more.

    Example:
        >>> from keras_bert.config import BertConfig
        >>> example = count_flops(BertConfig.from_name("small"), Step(max_seq_length=128))
        >>> f"{16 * example.forward / 1e9:.0f} and {16 * example.training / 1e9:.0f} GFLOP for 16 examples"
        '54 and 163 GFLOP for 16 examples'
    """
    blocks = sum(product.flops for product in block_products(config, step))
    forward = blocks + sum(product.flops for product in head_products(config, step))
    return Flops(forward, (1 + BACKWARD) * forward + (blocks if remat else 0))
