"""Lower learning rates for lower layers (Clark et al. 2020, ELECTRA; _get_layer_lrs of its model/optimization.py)."""

import numbers

from keras_bert.errors import UserError
from keras_bert.models.walk import marked_depth


def check_layer_decay(layer_decay):
    """Raises a UserError if a factor from one depth to the one below is out of range."""
    if not isinstance(layer_decay, numbers.Real) or not 0 < layer_decay <= 1:
        raise UserError(f"layer_decay must be over 0 and at most 1. Received: {layer_decay!r}.")


def layer_rates(variables, layer_decay):
    """Returns what each variable's learning rate is multiplied by.

    As in ELECTRA's code the embeddings of a model of L block runs have depth 0, their projection too, block i has depth
    i + 1 and the heads have depth L + 2; the factor is layer_decay^(L + 2 - depth). The depth between, L + 1, which
    ELECTRA leaves out as it has no pooler, is that of BERT's pooler. A block that is run several times has the depth of
    the last run. LoRA's matrices have the depth of their layer. What is in no encoder of ours counts as a head.

    Args:
        variables: the Keras variables that train.
        layer_decay: the factor from one depth to the one below, see `check_layer_decay`.

    Raises:
        UserError: no variable is that of a block.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Encoder
        >>> encoder = Encoder(Config.from_name("L-1_H-8", vocab_size=9, num_attention_heads=1))
        >>> block = encoder.blocks[0].attention.query.kernel
        >>> layer_rates([encoder.token_embedding.embeddings, block, encoder.pooler.dense.bias], 0.5)
        (0.125, 0.25, 0.5)
    """
    found = [marked_depth(variable) for variable in variables]
    if not any(mark is not None and 0 < mark[0] < mark[1] - 1 for mark in found):
        raise UserError(
            f"layer_decay needs a model with an Encoder that trains. Received: {len(found)} variables, none of them of "
            "an encoder's block; leave layer_decay out."
        )
    return tuple(1.0 if mark is None else layer_decay ** (mark[1] - mark[0]) for mark in found)
