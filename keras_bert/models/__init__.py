"""Functional Keras models: the encoder and one model for each kind of head."""

from keras_bert.models.classifier import BertClassifier
from keras_bert.models.encoder import BertEncoder
from keras_bert.models.losses import SparseCrossEntropy
from keras_bert.models.pretrainer import BertPretrainer

__all__ = ["BertClassifier", "BertEncoder", "BertPretrainer", "SparseCrossEntropy"]
