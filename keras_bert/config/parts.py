"""What a Config says of parts that only some families have, each a frozen dataclass of plain numbers."""

import dataclasses
from collections.abc import Mapping

from keras_bert.config.values import checked_activation, checked_count, checked_flag, checked_number
from keras_bert.errors import UserError


@dataclasses.dataclass(frozen=True)
class BlockSparse:
    """BigBird's attention (Zaheer et al. 2020): blocks of tokens that see their neighbours, the ends, and some others.

    Attributes:
        block_size: tokens of a block.
        random_blocks: the other blocks that each one sees.
        drawn: whether they are drawn, as transformers does in training; else each is the first block, as it has them
            in evaluation mode.
    """

    block_size: int = 64
    random_blocks: int = 3
    drawn: bool = False

    @property
    def longest_full(self):
        """The longest text that attends in full, in tokens."""
        return (5 + 2 * self.random_blocks) * self.block_size


@dataclasses.dataclass(frozen=True)
class Relative:
    """DeBERTa's attention by content and relative places (He et al. 2021, section 3.1).

    Attributes:
        c2p, p2c: whether scores have the terms content to position and position to content. Scores are divided by
            the root of the head size times one and these, even without a table.
        buckets: rows of the table on each side, in which far distances share a row; 0 for a row a distance.
        max_distance: the distance from which on all are alike.
        shares_projections: whether the table goes through the block's own query and key projections.
        norm: whether the table goes through a LayerNorm.
        key_bias: whether keys of places have a bias, of projections of their own.
        table: whether there is a table; without one places are absolute, and only the scale is DeBERTa's.
    """

    c2p: bool = True
    p2c: bool = True
    buckets: int = 0
    max_distance: int = 512
    shares_projections: bool = False
    norm: bool = False
    key_bias: bool = True
    table: bool = True

    @property
    def span(self):
        """Rows of the table on each side of distance 0."""
        return self.buckets or self.max_distance


@dataclasses.dataclass(frozen=True)
class Convolution:
    """DeBERTa v2's convolution beside the first block.

    Attributes:
        kernel: tokens that it reads, an odd number.
        groups: of its channels.
        activation: after it.
    """

    kernel: int = 3
    groups: int = 1
    activation: str = "tanh"


@dataclasses.dataclass(frozen=True)
class Bottleneck:
    """MobileBERT's blocks (Sun et al. 2020): narrow inside, wide between blocks.

    Attributes:
        size: the width inside.
        shares_key_query: whether queries and keys read a narrow input of their own.
        attention_inside: whether queries, keys and values all read the block's narrow input.
        feed_forwards: how many feed-forward layers a block has.
        norm_eps: epsilon of the LayerNorm that ends the last one, where there are LayerNorms.
        narrows: whether blocks are narrower inside; without it they are as wide inside as between.
    """

    size: int = 128
    shares_key_query: bool = True
    attention_inside: bool = False
    feed_forwards: int = 4
    norm_eps: float = 1e-5
    narrows: bool = True


PARTS = {"block_sparse": BlockSparse, "relative": Relative, "conv": Convolution, "bottleneck": Bottleneck}


def checked_part(name, value):
    """Returns a part with Python's own numbers, of the part itself or of its fields as JSON has them.

    Raises:
        UserError: it has another field, or a value that cannot work.
    """
    cls = PARTS[name]
    fields = {field.name: field.type for field in dataclasses.fields(cls)}
    given = dataclasses.asdict(value) if isinstance(value, cls) else value
    if not isinstance(given, Mapping) or not given.keys() <= fields.keys():
        raise UserError(f"{name} must be a {cls.__name__} of {', '.join(fields)}. Received: {value!r:.80}.")
    checked = {}
    for field, item in given.items():
        what = f"{name}.{field}"
        if fields[field] is bool:
            checked[field] = checked_flag(what, item)
        elif fields[field] is str:
            checked[field] = checked_activation(what, item)
        elif fields[field] is float:
            checked[field] = checked_number(what, item)
        else:
            checked[field] = checked_count(what, item, least=0 if field in ("buckets", "random_blocks") else 1)
    part = cls(**checked)
    if name == "relative" and part.buckets and part.max_distance - 1 <= part.buckets // 2:
        raise UserError(
            "relative.max_distance must be more than half of relative.buckets, from which on distances share rows. "
            f"Received: {part.max_distance} and {part.buckets}."
        )
    if name == "conv" and part.kernel % 2 == 0:
        raise UserError(f"conv.kernel must be an odd number of tokens. Received: {part.kernel}.")
    return part
