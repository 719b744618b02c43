"""Names as files hold them -> google-research/bert's: the prefixes of what wrapped a model, and another layout."""

import dataclasses
import re

from keras_bert.checkpoints.base import Span
from keras_bert.errors import UserError

# torch.nn.DataParallel's, a model's own attribute or scope, torch.compile's; and one inside another.
WRAPPERS = re.compile(r"(?:(?:module|model|_orig_mod)[./])+")


@dataclasses.dataclass(frozen=True)
class Source:
    """Where an array comes from.

    Attributes:
        span: its place in a file.
        shape: its shape in google-research/bert's layout.
        transposed: whether the file has it the other way round.
    """

    span: Span
    shape: tuple[int, ...]
    transposed: bool = False

    def read(self):
        """Returns the array, float32, in google-research/bert's layout."""
        array = self.span.read()
        return array.T if self.transposed else array.reshape(self.shape)


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


def resolve(spans, translate):
    """Returns {name: Source} of a file's arrays; those that no model of ours has keep their names.

    Args:
        spans: {name: Span}, see `unwrap`.
        translate: name -> (google-research/bert's name, transposed), or None if it knows no such name.

    Raises:
        UserError: two arrays that are the same one of the model.
    """
    sources = {}
    for name, span in spans.items():
        google, transposed = translate(name) or (name, False)
        if google in sources:
            raise _twice(google, sources[google].span, span)
        sources[google] = Source(span, span.shape[::-1] if transposed else span.shape, transposed)
    return sources


def _twice(name, one, other):
    return UserError(
        f"{other.path}: {one.name:.80} and {other.name:.80} are both {name:.80}; keep the one that was trained."
    )
