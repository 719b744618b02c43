"""The one check of an opened checkpoint: every array that its config asks for is there, with its shape, and finite.

Whatever opens a checkpoint goes through it, so that loading, converting and inspecting agree. Nothing is allocated:
the sizes of the config are compared with those that the files state.
"""

import math
import numbers

import numpy as np

from keras_bert.checkpoints.base import Checkpoint
from keras_bert.checkpoints.parts import BLOCK, all_head_weights, encoder_weights
from keras_bert.errors import UserError
from keras_bert.families import FAMILIES, Place, find_family

SEGMENTS = "bert/embeddings/token_type_embeddings"
POOLER = "bert/pooler/"  # some checkpoints have none; whatever computes with it looks for it
MASKED_LM = "cls/predictions/"
SHOWN_NAMES = 3


def make_checkpoint(path, config, sources, *, task=lambda shapes: {}, notes=(), missing=(), table=None):
    """Returns the Checkpoint of arrays by google-research/bert's names, after checking that they are complete.

    Args:
        path: the directory or prefix.
        config: its Config.
        sources: {name: Source}.
        task: {name: shape} -> the contents of task.json.
        notes: what else is to be told of it.
        missing: files that are not there though an index names them.
        table: {array of the file: Places} of the encoder, by which errors name what is missing; None if these are the
            neutral names.

    Raises:
        UserError: an array of the encoder is missing or has another shape than the config asks for (the pooler may be
            missing), or a head's has a shape that no head has. Reading an array that holds NaN is one, too.
    """
    check_encoder(path, config, {name: source.shape for name, source in sources.items()}, table=table)
    known = known_names(config)
    sources, head_notes = _split_heads(path, config, sources, known)
    shapes = {name: source.shape for name, source in sources.items()}

    def read(name):
        array = sources[name].read()
        if name in known:
            _check_finite(array, sources[name].span)
        return array

    unknown = config.unknown_fields()
    notes = (*notes, *head_notes, *((unknown,) if unknown else ()))
    return Checkpoint(path, config, task(shapes), shapes, read, notes=notes, missing=missing)


def check_encoder(path, config, shapes, *, table=None):
    """Raises a UserError that names the first array of the encoder that is missing or has another shape.

    Args:
        path: the checkpoint's, to name.
        config: the Config that the arrays are for.
        shapes: {google-research/bert's name: shape}.
        table: see `make_checkpoint`.
    """
    named = {place.name: (name, place) for name, places in (table or {}).items() for place in places}
    expected = {weight.name: weight for weight in encoder_weights(config)}
    if not expected.keys() & shapes.keys():
        raise _no_encoder(path, config, shapes)
    if SEGMENTS in shapes and SEGMENTS not in expected:
        shown, _ = named.get(SEGMENTS, (SEGMENTS, None))
        raise UserError(
            f"{path} has {shown}, but its config says type_vocab_size={config.type_vocab_size}; use the config that "
            "belongs to these weights."
        )
    for name, weight in expected.items():
        shown, place = named.get(name, (name, Place(name)))
        if name not in shapes:
            if name.startswith(POOLER):
                continue
            remedy = "use the config that belongs to these weights, or fetch or save them again"
            remedy = _looks(shapes, config) or remedy
            raise UserError(f"{path} has no {shown}, which its config asks for with {_asking(config, name)}; {remedy}.")
        if shapes[name] != weight.shape:
            shape, wanted = (x[::-1] if place.transposed else x for x in (shapes[name], weight.shape))
            remedy = _looks(shapes, config) or "use the config and vocabulary that belong to these weights"
            raise UserError(f"{path}: {shown} has shape {shape}, but its config asks for {wanted}; {remedy}.")


def _looks(shapes, config):
    """Returns a remedy for weights that have another family's names, or None."""
    others = likely_families(shapes, config)
    return f"the names look like {others}'s: use the config that belongs to these weights" if others else None


def _no_encoder(path, config, shapes):
    """Returns the UserError on a checkpoint of which no array is of the encoder."""
    names = ", ".join(f"{name:.60}" for name in list(shapes)[:SHOWN_NAMES])
    such_as, row, others = f" ({names})" if shapes else "", find_family(config.family), likely_families(shapes, config)
    here = row.names.prefix + next(iter(row.names.table(config)))
    remedy = f"give the checkpoint of a {row.title}, saved under Google's or Hugging Face's names ({here})"
    if others:
        remedy = (
            f"they look like {others}'s, and the config says model_type {row.name!r}: use the config of these weights"
        )
    return UserError(f"{path} holds no {row.title} encoder: none of its {len(shapes)} arrays fits{such_as}; {remedy}.")


def likely_families(names, config):
    """Returns the titles of the families whose encoders have more of some names than the config's own; "" for none.

    Args:
        names: names of a Hugging Face file, those that the config's family has among them as neutral names.
        config: the Config that is said to belong to them.
    """
    own = sum(weight.name in names for weight in encoder_weights(config))
    counts = {}
    for row in FAMILIES.values():
        if row.name != config.family:
            table = row.names.table(config)
            counts[row.title] = sum(name in names or row.names.prefix + name in names for name in table)
    most = max(counts.values())
    return " or ".join(title for title, count in counts.items() if count == most) if most > own else ""


def _asking(config, name):
    """Returns the fields of a config because of which it asks for an array."""
    fields = {"model_type": config.family}
    if BLOCK.match(name):
        fields = {"num_hidden_layers": config.num_hidden_layers}
        if config.num_hidden_groups is not None:
            fields |= {"num_hidden_groups": config.num_hidden_groups, "inner_group_num": config.inner_group_num}
    elif "embeddings_project" in name:
        fields = {"embedding_size": config.embedding_width, "hidden_size": config.hidden_size}
    elif "token_type" in name:
        fields = {"type_vocab_size": config.type_vocab_size}
    theirs = find_family(config.family).fields
    return ", ".join(f"{theirs.get(key, key)}={value}" for key, value in fields.items())


def known_names(config):
    """Returns the neutral names of all weights that a model of a Config may have, heads included."""
    return {weight.name for weight in (*encoder_weights(config), *all_head_weights(config))}


def _split_heads(path, config, sources, known):
    """Returns the sources without the heads that were made for other inputs than the encoder's, and notes on those.

    Raises:
        UserError: a head's array is a single number or is empty, which no head's is.
    """
    heads = {}
    for name, source in sources.items():
        if name in known and not name.startswith("bert/"):
            is_rest = name.endswith("/extra_output_weights")  # none, if embeddings are as wide as MobileBERT's output
            if not source.shape or (0 in source.shape and not is_rest):
                raise UserError(
                    f"{path}: {source.span.name} has shape {source.shape!s:.80}, which no head has; fetch it again."
                )
            heads.setdefault(name[: name.rfind("/") + 1] if "transform" not in name else MASKED_LM, {})[name] = source
    left_out, notes, title = set(), [], find_family(config.family).title
    for found in heads.values():
        expected = _head_shapes(config, found)
        wrong = next((name for name, source in found.items() if source.shape != expected[name]), None)
        if wrong is not None:
            left_out.update(found)
            notes.append(
                f"left out, as {found[wrong].span.name} has shape {found[wrong].shape} where the head of {title} has "
                f"{expected[wrong]}: {', '.join(source.span.name for source in found.values())}"
            )
    return {name: source for name, source in sources.items() if name not in left_out}, tuple(notes)


def _head_shapes(config, found):
    """Returns {name: shape} of all heads; the number of classes is that of the weights found, or else of the biases."""
    classes = next((found[name].shape[0] for name in ("output_weights", "output_bias") if name in found), 1)
    return {weight.name: weight.shape for weight in all_head_weights(config, classes=classes)}


def class_labels(names, *, what):
    """Returns the names of classes as strings; a whole number is the string of its digits.

    Args:
        names: a list of str or int.
        what: the field to name in an error.

    Raises:
        UserError: a name that is neither, or two equal ones, of which one's probability would be lost.

    Example:
        >>> class_labels([1, "b"], what="config.json: id2label")
        ['1', 'b']
    """
    labels, seen = [], set()
    for name in names:
        if not isinstance(name, (str, numbers.Integral)) or isinstance(name, bool):
            raise UserError(f"{what} must have a string for each class. Received: {name!r:.80}.")
        label = str(name)
        if label in seen:
            raise UserError(f"{what} has {label!r:.80} twice; give each class a name of its own.")
        labels.append(label)
        seen.add(label)
    return labels


def _check_finite(array, span):
    """Raises a UserError that names an array with NaN or infinity in it, of which the sum is neither finite."""
    with np.errstate(all="ignore"):
        if not math.isfinite(array.sum()) and not np.isfinite(array).all():  # finite numbers may have an infinite sum
            raise UserError(
                f"{span.path}: {span.name} holds NaN or infinity, with which a model computes nothing; take a "
                "checkpoint from before the training diverged, or fetch it again."
            )
