"""What a BERT costs, from its BertConfig alone: parameters by part, and the arithmetic of a training step.

A matrix product (m, k) x (k, n) is 2 m k n floating-point operations, and the backward pass takes two such products
for each of the forward pass (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1). Theirs is
6N a token for the N weights of the blocks, and 3 * 2 * n_layer * n_ctx * d_attn for attention's scores; here each
product is counted by its shape, the vocabulary's at the P masked positions alone, and the last block's at those and
[CLS]. What is no matrix product is left out: it is a matter of memory's speed, not of arithmetic.

S sequence, P predictions, H hidden, I intermediate, A heads, V vocabulary.
"""

import dataclasses
import math

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


def array_shapes(parts):
    """Returns {name: shape} of all arrays of some Parts, block by block."""
    return {
        name.format(index): shape
        for part in parts
        for index in range(part.times)
        for name, shape in part.shapes.items()
    }


def _dense(scope, inputs, outputs):
    return {f"{scope}/kernel": (inputs, outputs), f"{scope}/bias": (outputs,)}


def _norm(scope, width):
    return {f"{scope}/LayerNorm/gamma": (width,), f"{scope}/LayerNorm/beta": (width,)}


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
