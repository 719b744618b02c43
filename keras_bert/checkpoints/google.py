"""Google's TF1 checkpoints: bert_config.json beside bert_model.ckpt.index and .data-00000-of-00001.

ALBERT's have an albert_config.json; ELECTRA's hold two nets and no configuration, so that sizes come from the arrays.
"""

import dataclasses
from pathlib import Path

import numpy as np

from keras_bert.checkpoints.base import Plan, Span, only_floats
from keras_bert.checkpoints.bundle import open_bundle, write_bundle
from keras_bert.checkpoints.objects import OBJECT, resolve_objects
from keras_bert.checkpoints.opening import known_names, make_checkpoint
from keras_bert.checkpoints.resolving import resolve, unwrap
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.families import FAMILIES, Place
from keras_bert.families.electra import NETS, google_heads, google_names, google_sizes

PREFIX = "bert_model.ckpt"
# What an optimizer or the session leaves in a training checkpoint beside the model.
NOT_WEIGHTS = ("adam_m", "adam_v", "AdamWeightDecayOptimizer", "global_step", "LAMBOptimizer")
EPSILON = 1e-12  # tf.contrib's layer_norm, which Google's code calls with its default
MAPPING, MAPPING_BIAS = (f"bert/embeddings_project/{name}" for name in ("kernel", "bias"))
# Fields of Config that change outputs and of which Google's code computes one value, which to_dict leaves out.
NOT_GOOGLES = {
    *("embedding_norm_eps", "head_norm_eps", "embedding_size", "embedding_projection", "position_embedding"),
    *("positions_from_ids", "num_hidden_groups", "inner_group_num", "pooler", "tie_word_embeddings", "masked_lm_act"),
    *("classifier_act", "choice_act", "choice_pooling"),
}
EVIDENT = (None, "fill_mask", "classify", "answer")  # tasks that the names of the arrays tell


def find_prefix(path):
    """Returns the checkpoint prefix that `path` means (a prefix, or a folder that holds one), or None.

    A folder with several checkpoints gives bert_model.ckpt, or else the one of the highest step.
    """
    path = Path(path)
    if Path(f"{path}.index").is_file():
        return path
    if not path.is_dir():
        return None
    prefixes = [p.with_suffix("") for p in path.glob("*.index")]

    def rank(prefix):
        step = prefix.name.rpartition("-")[2]
        return (prefix.name == PREFIX, int(step) if step.isdecimal() else -1, prefix.name)

    return max(prefixes, key=rank, default=None)


def open_google(prefix, *, net=None, overrides=None):
    """Opens a TF1 or TF2 checkpoint by its prefix; its index alone will do, and gives the shapes.

    Args:
        prefix: the checkpoint's.
        net: "discriminator" (if None) or "generator", of the two nets that a checkpoint of ELECTRA holds.
        overrides: {field of Config: value} that its configuration does not say, such as ELECTRA's heads; or None.

    Raises:
        UserError: its configuration is missing beside it, or the files are damaged.
    """
    stored = open_bundle(prefix)
    spans = {name: span for name, span in stored.items() if not set(name.split("/")).intersection(NOT_WEIGHTS)}
    left_out, found = len(stored) - len(spans), unwrap(spans)
    config = _config(prefix, {name: span.shape for name, span in found.items()}, net)
    config = _overridden(prefix, config, overrides or {})
    notes, table = (), None
    if any(name.endswith(OBJECT) for name in found):
        sources, notes = resolve_objects(prefix, found, config)
    else:
        table = _table(config, net)
        is_weight = {*table, *(known_names(config) if config.family == "bert" else ())}
        found, notes = only_floats(found, is_weight.__contains__)
        sources = resolve(found, table.get)
    if config.projects_embeddings and MAPPING not in sources and config.embedding_width == config.hidden_size:
        size = config.hidden_size  # Google's ALBERT has none there, and transformers' has one always
        sources |= {MAPPING: Made(np.eye(size, dtype=np.float32)), MAPPING_BIAS: Made(np.zeros(size, np.float32))}
    notes += (f"arrays of the optimizer that were left out: {left_out}",) if left_out else ()
    missing = {source.span.path for source in sources.values() if source.span}
    missing = tuple(path for path in sorted(missing) if not path.is_file())
    task = _generator_task if net == "generator" else _task
    return make_checkpoint(prefix, config, sources, task=task, notes=notes, missing=missing, table=table)


def _overridden(prefix, config, overrides):
    """Returns a Config with some fields changed, or raises a UserError that names an unknown field."""
    known = [field.name for field in dataclasses.fields(config)]
    unknown = next((name for name in overrides if name not in known), None)
    if unknown is not None:
        raise UserError(f"overrides: a Config has no field {unknown}; it has {', '.join(known)}.")
    try:
        return config.replace(**overrides)
    except UserError as error:
        raise UserError(f"{prefix}: {error}") from error


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
    """A weight that a file does not hold, since the code that wrote it computes without it."""

    array: np.ndarray
    span: Span | None = None

    @property
    def shape(self):
        """Its shape."""
        return self.array.shape

    def read(self):
        """Returns the array."""
        return self.array.copy()


def _config(prefix, shapes, net):
    """Returns the Config of the file beside a checkpoint, or of ELECTRA's arrays."""
    folder = prefix.parent
    named = {row.google_config: row for row in FAMILIES.values() if row.google_config}
    found = next((name for name in named if (folder / name).is_file()), None)
    if found is None and any(name.startswith("electra/") for name in shapes):
        net = NETS[0] if net is None else net
        if net not in NETS:
            raise UserError(f"net must be one of {', '.join(NETS)}. Received: {net!r:.80}.")
        try:
            return Config.from_google(google_sizes(shapes, net), "electra")
        except UserError as error:
            raise UserError(f"{prefix}: {error}") from error
    if net is not None:
        raise UserError(f"net is for checkpoints of Google's ELECTRA, and {prefix} is not one. Received: {net!r:.80}.")
    return Config.from_file(folder / (found or "bert_config.json"))


def _table(config, net):
    """Returns {array of the file: Places} of a family's checkpoint."""
    row = FAMILIES[config.family]
    names, heads = (row.google, row.google_heads) if row.google else (google_names(net or NETS[0]), None)
    return {**names.table(config), **(google_heads(net or NETS[0]) if heads is None else heads)}


def _generator_task(shapes):
    """Returns what task.json would say of ELECTRA's generator."""
    return {"objectives": ["masked_lm"]}


def _task(shapes):
    """Returns what our task.json would say: the number of classes, if there is a head for classes."""
    return {"num_classes": shapes["output_weights"][0]} if "output_weights" in shapes else {}


def plan_google(checkpoint):
    """Returns the Plan of writing a Checkpoint for google-research/bert's code."""
    family = FAMILIES[checkpoint.config.family]
    if family.name != "bert":
        raise UserError(f"Google's format can be written for BERT alone, and this is {family.title}; choose another.")
    fields, notes = checkpoint.config.to_dict(), []
    if fields["hidden_act"] == "gelu_erf":
        notes.append(
            "the model's gelu is the exact one (erf), and Google's code computes every gelu by tanh: its outputs will "
            "be slightly others"
        )
    fields["hidden_act"] = {"gelu_tanh": "gelu", "gelu_erf": "gelu"}.get(fields["hidden_act"], fields["hidden_act"])
    if fields["layer_norm_eps"] == EPSILON:
        del fields["layer_norm_eps"]
    else:
        notes.append(
            f"the model's layer_norm_eps is {fields['layer_norm_eps']:g}, and Google's code computes with {EPSILON:g}: "
            "its outputs will be slightly others"
        )
    others = {name: value for name, value in fields.items() if name in NOT_GOOGLES}
    if others:
        said = ", ".join(f"{name}={value!r}" for name, value in others.items())
        notes.append(f"Google's code does not read {said}, and computes without: its outputs will be others")
    lost = _lost(checkpoint.task)
    if lost:
        notes.append(f"Google's format has no place for the task's {', '.join(lost)}")
    arrays = {name: (Place(name),) for name in checkpoint.shapes}
    return Plan({"bert_config.json": fields}, arrays, _write, notes=tuple(notes))


def _write(folder, shapes, read):
    write_bundle(folder / PREFIX, shapes, read)


def _lost(task):
    """Returns what a task.json says that cannot be told from the arrays, as "name=value"."""
    labels = task.get("labels")
    told = {"num_classes"}
    told |= {"task"} if task.get("task") in EVIDENT else set()
    told |= {"labels"} if labels == [str(index) for index in range(len(labels or ()))] else set()
    return [f"{name}={value}" for name, value in task.items() if name not in told]
