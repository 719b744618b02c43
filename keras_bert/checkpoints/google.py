"""Google's TF1 checkpoints: bert_config.json beside bert_model.ckpt.index and .data-00000-of-00001."""

from pathlib import Path

from keras_bert.checkpoints.base import Plan, only_floats
from keras_bert.checkpoints.bundle import open_bundle, write_bundle
from keras_bert.checkpoints.names import huggingface_name
from keras_bert.checkpoints.objects import OBJECT, resolve_objects
from keras_bert.checkpoints.opening import make_checkpoint
from keras_bert.checkpoints.resolving import resolve, unwrap
from keras_bert.config import BertConfig

PREFIX = "bert_model.ckpt"
# What an optimizer or the session leaves in a training checkpoint beside the model.
NOT_WEIGHTS = ("adam_m", "adam_v", "AdamWeightDecayOptimizer", "global_step", "LAMBOptimizer")
EPSILON = 1e-12  # tf.contrib's layer_norm, which Google's code calls with its default
EVIDENT = (None, "pretraining", "classification", "question_answering")  # tasks that the names of the arrays tell


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


def open_google(prefix):
    """Opens a TF1 or TF2 checkpoint by its prefix; its index alone will do, and tells the shapes.

    Raises:
        UserError: bert_config.json is missing beside it, or the files are damaged.
    """
    config = BertConfig.from_file(prefix.parent / "bert_config.json")
    stored = open_bundle(prefix)
    spans = {name: span for name, span in stored.items() if not set(name.split("/")).intersection(NOT_WEIGHTS)}
    left_out, found = len(stored) - len(spans), unwrap(spans)
    if any(name.endswith(OBJECT) for name in found):
        sources, notes = resolve_objects(prefix, found, config)
    else:
        found, notes = only_floats(found, lambda name: huggingface_name(name) is not None)
        sources = resolve(found, lambda name: None)
    notes += (f"arrays of the optimizer that were left out: {left_out}",) if left_out else ()
    missing = {source.span.path for source in sources.values()}
    missing = tuple(path for path in sorted(missing) if not path.is_file())
    return make_checkpoint(prefix, config, sources, task=_task, notes=notes, missing=missing)


def _task(shapes):
    """Returns what our task.json would say: the number of classes, if there is a head for classes."""
    return {"num_classes": shapes["output_weights"][0]} if "output_weights" in shapes else {}


def plan_google(checkpoint):
    """Returns the Plan of writing a Checkpoint for google-research/bert's code."""
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
    lost = _lost(checkpoint.task)
    if lost:
        notes.append(f"Google's format has no place for the task's {', '.join(lost)}")
    arrays = {name: (name, False) for name in checkpoint.shapes}
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
