"""The walk over a model: every weight with its neutral name, its variable, its depth and its part.

What there is to walk is listed in checkpoints/parts.py, from the Config; here each weight is found in a model.
Parameter counts, layer-wise rates, re-initialising and reading and writing of checkpoints read it.
"""

import dataclasses
import functools

from keras_bert.checkpoints.parts import Weight, encoder_weights

DEPTH = "keras_bert_depth"  # the attribute of a variable


@dataclasses.dataclass(frozen=True)
class Found:
    """A weight of a model.

    Attributes:
        weight: what it is, a checkpoints.parts.Weight.
        variable: the keras.Variable.
    """

    weight: Weight
    variable: object

    @property
    def stored_shape(self):
        """The variable's shape as a checkpoint has it."""
        shape = tuple(self.variable.shape)
        return shape[::-1] if self.weight.transposed else shape


def walk(model):
    """Yields each weight of a model, once, as a Found: the encoder's, then its head's.

    Args:
        model: an Encoder, or a model with one.
    """
    encoder = getattr(model, "encoder", model)
    for weight in encoder_weights(encoder.bert_config):
        yield Found(weight, _at(encoder, weight.path))
    for weight in model.head_weights() if encoder is not model else ():
        yield Found(weight, _at(model, weight.path))


def mark_depths(model):
    """Notes on each variable how deep it lies, for optimizers, which see variables and no model; see `marked_depth`.

    What a layer has besides, such as LoRA's matrices, lies as deep as its weights.
    """
    encoder = getattr(model, "encoder", model)
    heads = len(encoder.bert_config.passes) + 2
    own = model.head_weights() if encoder is not model else ()
    for root, weights in ((encoder, encoder_weights(encoder.bert_config)), (model, own)):
        for weight in weights:
            for variable in _at(root, weight.path.rpartition(".")[0]).variables:
                setattr(variable, DEPTH, (weight.depth, heads))


def marked_depth(variable):
    """Returns (the depth of a variable, the depth of heads) of one that is in an encoder of ours, else None."""
    return getattr(variable, DEPTH, None)


def _at(model, path):
    """Returns what lies at a path of attributes and numbers: "blocks.3.attention.query.kernel"."""
    return functools.reduce(
        lambda x, name: x[int(name)] if name.isdigit() else getattr(x, name), path.split("."), model
    )
