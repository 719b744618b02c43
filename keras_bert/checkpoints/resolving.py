"""Arrays as files hold them <-> weights by neutral names: prefixes of what wrapped a model, layout, fused arrays."""

import dataclasses
import re

import numpy as np

from keras_bert.checkpoints.base import Span
from keras_bert.errors import UserError
from keras_bert.families import Place

# torch.nn.DataParallel's, a model's own attribute or scope, torch.compile's; and one inside another.
WRAPPERS = re.compile(r"(?:(?:module|model|_orig_mod)[./])+")


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a weight comes from.

    Attributes:
        span: its place in a file.
        shape: its shape under its neutral name.
        place: which part of the file's array it is, and which way round.
        heads: the attention heads by which the parts alternate, or 1.
    """

    span: Span
    shape: tuple[int, ...]
    place: Place
    heads: int = 1

    def read(self):
        """Returns the array, float32, as its neutral name has it."""
        array, place = self.span.read(), self.place
        if place.parts > 1:
            rows = len(array) // (place.parts * self.heads)
            apart = array.reshape(self.heads, place.parts, rows, *array.shape[1:])
            array = apart[:, place.part].reshape(self.heads * rows, *array.shape[1:])
        return array.T if place.transposed else array.reshape(self.shape)


def unwrap(spans):
    """Returns {name without the prefixes of wrappers: Span}.

    Raises:
        UserError: two names that differ in nothing else.

    Example:
        >>> list(unwrap({"module.bert.pooler.dense.bias": None, "model/module/a": None, "module": None}))
        ['bert.pooler.dense.bias', 'a', 'module']
    """
    found = {}
    for name, span in spans.items():
        match = WRAPPERS.match(name)
        bare = name[match.end() :] if match else name
        if bare in found:
            raise _twice(bare, found[bare], span)
        found[bare] = span
    return found


def resolve(spans, translate, *, heads=1):
    """Returns {name: Source} of a file's arrays; those that no model of ours has keep their names.

    Args:
        spans: {name: Span}, see `unwrap`.
        translate: name -> its Places (families/base.py), or None if it knows no such name.
        heads: attention heads of the model.

    Raises:
        UserError: two arrays that are the same one of the model, or one that cannot be divided as it should.
    """
    sources = {}
    for name, span in spans.items():
        for place in translate(name) or (Place(name),):
            if place.name in sources:
                raise _twice(place.name, sources[place.name].span, span)
            sources[place.name] = _source(span, place, heads if place.by_head else 1)
    return sources


def _source(span, place, heads):
    shape, parts = span.shape, place.parts * heads
    if parts > 1:
        if not shape or shape[0] % parts:
            raise UserError(f"{span.path}: {span.name:.80} has shape {shape}, which {parts} parts cannot share.")
        shape = (shape[0] // place.parts, *shape[1:])
    return Source(span, shape[::-1] if place.transposed else shape, place, heads)


def joined_shape(places, shapes):
    """Returns the shape of a file's array that holds some weights of these {name: shape}."""
    parts = [shapes[p.name][::-1] if p.transposed else shapes[p.name] for p in places]
    return (sum(part[0] for part in parts), *parts[0][1:]) if len(parts) > 1 else parts[0]


def joined(places, read, heads):
    """Returns a file's array from the weights that it holds, each read by its neutral name: `Source` the other way."""
    arrays = [read(p.name).T if p.transposed else read(p.name) for p in places]
    if len(arrays) == 1:
        return arrays[0]
    groups = heads if places[0].by_head else 1
    rows = [array.reshape(groups, len(array) // groups, *array.shape[1:]) for array in arrays]
    return np.stack(rows, axis=1).reshape(-1, *arrays[0].shape[1:])


def _twice(name, one, other):
    return UserError(
        f"{other.path}: {one.name:.80} and {other.name:.80} are both {name:.80}; keep the one that was trained."
    )
