"""Which scores each kind of attention computes, as it is computed: by blocks of keys, or of every query and key.

The arithmetic of a step (costs.py) and its memory (memory.py) both follow from them. S sequence, Q queries, G slots of
global tokens, b tokens in a block.
"""

import dataclasses

from keras_bert.config.reach import block_and_halo, longest_full


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of one text: so many queries, each with so many keys; the weights that come of them mix the values.

    Attributes:
        queries: rows of scores, padding of the last block included.
        keys: of each query.
        copied: keys that are copied beside one another before; 0 where every query meets all of them.
    """

    queries: int
    keys: int
    copied: int = 0


def kind_of(config, index):
    """Returns the kind of attention of a block, by its number; without a window, a local one sees all."""
    return "full" if config.attention == "local" and config.window(index) is None else config.attention


def block_scores(config, index, length, read=None):
    """Returns the Scores of a block.

    Args:
        config: a Config.
        index: the number of the block's set of weights.
        length: S.
        read: how many queries are computed, of a block that does not compute all; None for all.

    Example:
        >>> from keras_bert.config import Config
        >>> modern = Config.from_name("modernbert-base")
        >>> block_scores(modern, 0, 4096), block_scores(modern, 1, 4096)
        ([Scores(queries=4096, keys=4096, copied=0)], [Scores(queries=4096, keys=192, copied=12288)])
    """
    kind = kind_of(config, index)
    if read is not None:  # chosen queries meet every key, and are compared with masks
        return [Scores(read, length)] * (2 if kind == "global_local" else 1)
    return KINDS[kind](config, index, length)


def _full(config, index, length):
    return [Scores(length, length)]


def _local(config, index, length):
    return [_framed(length, *block_and_halo(length, config.window(index)))]


def _global_local(config, index, length):
    slots = slots_of(config, length)
    return [_framed(length, *block_and_halo(length, config.window(index)), slots), Scores(slots, length)]


def _block_sparse(config, index, length):
    block, drawn = config.block_sparse.block_size, config.block_sparse.random_blocks
    if length <= longest_full(block, drawn):
        return [Scores(length, length)]
    extra = block * (2 + (drawn if config.block_sparse.drawn else 0))  # the ends, and what is drawn
    inner = _framed(length, block, block, extra)
    return [inner, Scores(2 * block, inner.queries)]


def _framed(length, block, halo, extra=0):
    blocks = -(-length // block)
    keys = block + 2 * halo + extra
    return Scores(blocks * block, keys, blocks * keys if blocks > 1 or extra else 0)


KINDS = {
    "full": _full,
    "local": _local,
    "global_local": _global_local,
    "block_sparse": _block_sparse,
    "disentangled": _full,
}


def slots_of(config, length):
    """Returns G, how many tokens of a text may see all."""
    return min(config.max_global_tokens, length)


def drawn_blocks(config, length):
    """Returns how many blocks of keys a text has, and how many of them are copied as they are drawn at random."""
    own = config.block_sparse
    if config.attention != "block_sparse" or not own.drawn or length <= longest_full(own.block_size, own.random_blocks):
        return 0, 0
    blocks = -(-length // own.block_size)
    return blocks, blocks * own.random_blocks


def place_terms(config, length, read=None):
    """Returns {"pos_key" or "pos_query": rows}, how many tokens are multiplied with each of the 2 S relative places."""
    relative = config.relative
    if relative is None or not relative.table:
        return {}
    terms = {"pos_key": read or length} if relative.c2p else {}
    return terms | ({"pos_query": length} if relative.p2c else {})


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of attention that a model has.

    Attributes:
        title: which tokens a token sees.
        index: the number of a block that has it.
        blocks: how many have it.
        pays_from: the shortest text of which it computes fewer scores than there are pairs of tokens; None for none.
    """

    title: str
    index: int
    blocks: int
    pays_from: int | None


def kinds(config):
    """Returns the Kinds of a model, in the order in which they come first.

    Example:
        >>> from keras_bert.config import Config
        >>> [(kind.title, kind.blocks, kind.pays_from) for kind in kinds(Config.from_name("modernbert-base"))]
        [('all tokens', 8, None), ('64 tokens on each side', 14, 320)]
    """
    found = {}  # {title: numbers of the blocks}
    for index in config.passes:
        found.setdefault(_title(config, index), []).append(index)
    return [Kind(title, of[0], len(of), _pays_from(config, of[0])) for title, of in found.items()]


def _title(config, index):
    kind, blocks = kind_of(config, index), config.block_sparse
    return {
        "full": lambda: "all tokens",
        "local": lambda: f"{config.window(index)} tokens on each side",
        "global_local": lambda: f"{config.window(index)} on each side, {config.max_global_tokens} global ones",
        "block_sparse": lambda: f"{3 + blocks.random_blocks} blocks of {blocks.block_size}, and both ends",
        "disentangled": lambda: "all tokens, by relative places" if place_terms(config, 1) else "all tokens",
    }[kind]()


def _pays_from(config, index):
    """Returns the shortest text of which a block computes fewer scores than there are pairs of tokens, or None."""
    if KINDS[kind_of(config, index)] is _full:
        return None
    counted = ((n, block_scores(config, index, n)) for n in range(1, config.max_length + 1))
    return next((n for n, scores in counted if sum(each.queries * each.keys for each in scores) < n * n), None)
