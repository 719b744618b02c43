"""Functional Keras models: the encoder and one model for each kind of head. The names with Bert are older ones."""

from keras_bert.models.classifier import Classifier
from keras_bert.models.encoder import Encoder
from keras_bert.models.losses import SparseCrossEntropy
from keras_bert.models.multiple_choice import MultipleChoice
from keras_bert.models.older import (
    BertClassifier,
    BertEncoder,
    BertMultipleChoice,
    BertPretrainer,
    BertSpanLabeler,
    BertTokenClassifier,
)
from keras_bert.models.pretrainer import Pretrainer
from keras_bert.models.replaced_tokens import ReplacedTokenPretrainer
from keras_bert.models.span_labeler import SpanLabeler
from keras_bert.models.token_classifier import TokenClassifier

__all__ = [
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
    "SparseCrossEntropy",
    "TokenClassifier",
]
