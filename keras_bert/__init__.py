"""BERT on Keras 3 and TensorFlow, from raw text to a served model.

Every public name is loaded when it is first used: the tokenizer works without Keras, the models without
TensorFlow, and all but the graph tokenizer without tensorflow-text. As soon as Keras is imported, before
this package or after it, every model and layer is registered with it, so that `keras.saving.load_model`
reads our files.
"""

import importlib
import importlib.metadata
import sys

import wrapt

from keras_bert.lazy import lazy_names

__version__ = "0.1.0"

_EXPORTS = {
    "keras_bert.config": ("BertConfig", "Config"),
    "keras_bert.data.datasets": ("pretraining_dataset",),
    "keras_bert.data.texts": ("text_dataset",),
    "keras_bert.errors": ("UserError",),
    "keras_bert.models": (
        "BertClassifier",
        "BertEncoder",
        "BertMultipleChoice",
        "BertPretrainer",
        "BertSpanLabeler",
        "BertTokenClassifier",
        "Classifier",
        "Encoder",
        "MultipleChoice",
        "Pretrainer",
        "ReplacedTokenPretrainer",
        "SpanLabeler",
        "TokenClassifier",
    ),
    "keras_bert.tasks.asking": ("predict",),
    "keras_bert.tasks.embed.embedding": ("embed", "similar"),
    "keras_bert.serving.export": ("export",),
    "keras_bert.tasks.fill_mask.filling": ("fill_mask",),
    "keras_bert.text.tokenizer": ("Tokenizer",),
    "keras_bert.training.evaluation": ("evaluate_pretraining",),
    "keras_bert.training.muon": ("Muon", "muon"),
    "keras_bert.training.optimizers": ("BertAdamW", "Lamb", "adamw", "lamb"),
    "keras_bert.training.pretrain": ("pretrain",),
    "keras_bert.training.schedules": ("WarmupLinearDecay", "WarmupSchedule"),
    "keras_bert.training.strategies": ("strategy",),
}
# Tasks with names of their own: keras_bert.squad.read_examples(...).
_SUBMODULES = {
    "glue": "keras_bert.tasks.glue",
    "ner": "keras_bert.tasks.tag",
    "squad": "keras_bert.tasks.answer",
    "swag": "keras_bert.tasks.choose",
    "tasks": "keras_bert.tasks",
}
__getattr__, _, _NAMES = lazy_names(__name__, _EXPORTS, _SUBMODULES)
__all__ = [*_NAMES, "__version__"]


def __dir__():
    return __all__


try:
    importlib.metadata.version("keras-bert")
except importlib.metadata.PackageNotFoundError:
    pass
else:
    raise ImportError(
        "The distribution keras-bert, an older project of another author, is installed beside keras3-bert, and both "
        "are imported as keras_bert. Run: pip uninstall keras-bert keras3-bert; then install this one again "
        "(in its clone: pip install .)."
    )


# Modules that may be the ones that import Keras, and that what registers itself needs whole: {module: its last name}.
_NEEDED = {"keras_bert.layers": "TransformerBlock", "keras_bert.training.schedules": "WarmupLinearDecay"}


@wrapt.when_imported("keras")
@wrapt.when_imported("keras_bert.layers")
@wrapt.when_imported("keras_bert.training.schedules")
def _register(_):
    """Imports what registers itself with Keras, as soon as what it needs is whole."""
    if "keras" in sys.modules and all(
        hasattr(sys.modules.get(module), name) or module not in sys.modules for module, name in _NEEDED.items()
    ):
        importlib.import_module("keras_bert.models")
        importlib.import_module("keras_bert.training.optimizers")
        if sys.modules["keras"].backend.backend() == "tensorflow":
            importlib.import_module("keras_bert.text.wordpiece.graph")
            importlib.import_module("keras_bert.training.xla")
