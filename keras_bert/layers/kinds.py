"""The kinds of attention by name: which tokens see which. A further kind is a layer and a row here."""

from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.disentangled_attention import DisentangledAttention
from keras_bert.layers.global_attention import GlobalLocalAttention
from keras_bert.layers.local_attention import LocalAttention
from keras_bert.layers.sparse_attention import BlockSparseAttention

KINDS = {
    "full": SelfAttention,
    "local": LocalAttention,
    "global_local": GlobalLocalAttention,
    "block_sparse": BlockSparseAttention,
    "disentangled": DisentangledAttention,
}


def attention_layer(kind, num_heads, **settings):
    """Returns the layer of a kind of attention.

    Raises:
        ValueError: a kind that is not known.
    """
    if kind not in KINDS:
        raise ValueError(f"attention_kind must be one of {', '.join(KINDS)}. Received: {kind!r}.")
    return KINDS[kind](num_heads, **settings)
