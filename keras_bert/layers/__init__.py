"""BERT's layers. They take plain numbers, know no Config, and use keras.ops alone."""

from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.bottleneck import BottleneckBlock
from keras_bert.layers.convolution import ConvolutionLayer
from keras_bert.layers.embeddings import EmbeddingPostprocessor, TokenEmbedding
from keras_bert.layers.heads import (
    FirstTokenPooler,
    FoldChoices,
    MaskedLMTransform,
    OutputBias,
    SpanBlock,
    UnfoldChoices,
)
from keras_bert.layers.prenorm import PreNormBlock
from keras_bert.layers.relative_table import RelativeTable
from keras_bert.layers.transformer import TransformerBlock

__all__ = [
    "BottleneckBlock",
    "ConvolutionLayer",
    "EmbeddingPostprocessor",
    "FirstTokenPooler",
    "FoldChoices",
    "MaskedLMTransform",
    "OutputBias",
    "PreNormBlock",
    "RelativeTable",
    "SelfAttention",
    "SpanBlock",
    "TokenEmbedding",
    "TransformerBlock",
    "UnfoldChoices",
]
