"""Lower learning rates for lower layers (Clark et al. 2020, ELECTRA; _get_layer_lrs of its model/optimization.py)."""

import numbers
import re

from keras_bert.errors import UserError

_BLOCK = re.compile(r"(?:^|/)layer_(\d+)/")
_EMBEDDINGS = re.compile(r"(?:^|/)(?:token_embedding|embeddings)/")
_POOLER = re.compile(r"(?:^|/)pooler/")


def check_layer_decay(layer_decay):
    """Raises a UserError if a factor from one depth to the one below is out of range."""
    if not isinstance(layer_decay, numbers.Real) or not 0 < layer_decay <= 1:
        raise UserError(f"layer_decay must be over 0 and at most 1. Received: {layer_decay!r}.")


def layer_rates(paths, layer_decay):
    """Returns what each variable's learning rate is multiplied by.

    As in ELECTRA's code the embeddings of a model of L blocks have depth 0, block i has depth i + 1 and the heads
    have depth L + 2; the factor is layer_decay^(L + 2 - depth). The depth between, L + 1, which ELECTRA leaves out
    as it has no pooler, is that of BERT's pooler. What belongs to none of our encoder's layers counts as a head.

    Args:
        paths: the `path` of each variable of a BERT model.
        layer_decay: the factor from one depth to the one below, see `check_layer_decay`.

    Raises:
        UserError: no path is that of a block.

    Example:
        >>> paths = ["token_embedding/embeddings", "layer_0/output/kernel", "pooler/dense/bias", "classifier/kernel"]
        >>> layer_rates(paths, 0.5)
        (0.125, 0.25, 0.5, 1.0)
    """
    blocks = [int(found[1]) for found in map(_BLOCK.search, paths) if found]
    if not blocks:
        raise UserError(
            f"layer_decay needs a model with a BertEncoder that trains. Received: {len(paths)} variables, "
            "none of them of a layer_0, layer_1, ...; leave layer_decay out."
        )
    top = max(blocks) + 3  # L + 2
    return tuple(layer_decay ** (top - _depth(path, top)) for path in paths)


def _depth(path, top):
    if found := _BLOCK.search(path):
        return int(found[1]) + 1
    if _EMBEDDINGS.search(path):
        return 0
    return top - 1 if _POOLER.search(path) else top
