"""The neutral configuration of an encoder, and the files that say it."""

from keras_bert.config.encoder import BertConfig, Config
from keras_bert.config.files import GOOGLE_ACTIVATIONS, HUGGINGFACE_ACTIVATIONS, MINIATURE
from keras_bert.config.harmless import HARMLESS, HUGGINGFACE_FIELDS
from keras_bert.config.values import COUNTS
from keras_bert.families import SIZES

__all__ = [
    "COUNTS",
    "GOOGLE_ACTIVATIONS",
    "HARMLESS",
    "HUGGINGFACE_ACTIVATIONS",
    "HUGGINGFACE_FIELDS",
    "MINIATURE",
    "SIZES",
    "BertConfig",
    "Config",
]
