"""The names that models had in version 0.1: aliases, under which older `.keras` files are read."""

import keras

from keras_bert.models.classifier import Classifier
from keras_bert.models.encoder import Encoder
from keras_bert.models.multiple_choice import MultipleChoice
from keras_bert.models.pretrainer import Pretrainer
from keras_bert.models.span_labeler import SpanLabeler
from keras_bert.models.token_classifier import TokenClassifier

BertClassifier = Classifier
BertEncoder = Encoder
BertMultipleChoice = MultipleChoice
BertPretrainer = Pretrainer
BertSpanLabeler = SpanLabeler
BertTokenClassifier = TokenClassifier


@keras.saving.register_keras_serializable(package="keras_bert", name="BertEncoder")
class _BertEncoder(Encoder):
    """An Encoder of an older file. Keras 3.15 finds the weights of a model inside another by its class's name."""


_BertEncoder.__name__ = "BertEncoder"
for _name in ("Classifier", "MultipleChoice", "Pretrainer", "SpanLabeler", "TokenClassifier"):
    keras.saving.get_custom_objects()[f"keras_bert>Bert{_name}"] = globals()[_name]
