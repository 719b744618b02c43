"""BERT's layers. They take plain numbers, know no Config, and use keras.ops alone."""

from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.embeddings import EmbeddingPostprocessor, TokenEmbedding
from keras_bert.layers.heads import (
    FirstTokenPooler,
    FoldChoices,
    MaskedLMTransform,
    OutputBias,
    UnfoldChoices,
)
from keras_bert.layers.transformer import TransformerBlock

__all__ = [
    "EmbeddingPostprocessor",
    "FirstTokenPooler",
    "FoldChoices",
    "MaskedLMTransform",
    "OutputBias",
    "SelfAttention",
    "TokenEmbedding",
    "TransformerBlock",
    "UnfoldChoices",
]
