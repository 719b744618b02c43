"""BERT's layers. They take plain numbers, know no BertConfig, and use keras.ops alone."""

from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.embeddings import EmbeddingPostprocessor, TokenEmbedding
from keras_bert.layers.heads import FirstTokenPooler, GatherPositions, MaskedLMTransform, OutputBias
from keras_bert.layers.transformer import TransformerBlock

__all__ = [
    "EmbeddingPostprocessor",
    "FirstTokenPooler",
    "GatherPositions",
    "MaskedLMTransform",
    "OutputBias",
    "SelfAttention",
    "TokenEmbedding",
    "TransformerBlock",
]
