"""The kinds of attention by name: which tokens see which. A further kind is a subclass of SelfAttention and a row here.

B batch, S sequence, Q queries, A heads, D head size.
"""

import keras

from keras_bert.layers.attention import SelfAttention, attention_weights


@keras.saving.register_keras_serializable(package="keras_bert")
class LocalAttention(SelfAttention):
    """Each token sees those near it (Beltagy et al. 2020, section 3.1; ModernBERT's local layers).

    Args:
        num_heads, others: as in SelfAttention.
        window: tokens that each one sees on each side.
    """

    FIELDS = (*SelfAttention.FIELDS, "window")

    def __init__(self, num_heads, *, window, **kwargs):
        super().__init__(num_heads, **kwargs)
        self.set_fields(window=window)

    def weights_of(self, query, key, places, dropout, *, fuse):
        """Returns (B, A, Q, S), the probabilities after dropout."""
        settings = {"scale": self.scale, "rate": self.dropout, "window": self.window, "fuse": fuse}
        texts = places.texts()
        return attention_weights(self.scores(query, key), places.mask, dropout, *texts, places.positions, **settings)


KINDS = {"full": SelfAttention, "local": LocalAttention}


def attention_layer(kind, num_heads, **settings):
    """Returns the layer of a kind of attention.

    Raises:
        ValueError: a kind that is not known.
    """
    if kind not in KINDS:
        raise ValueError(f"attention_kind must be one of {', '.join(KINDS)}. Received: {kind!r}.")
    return KINDS[kind](num_heads, **settings)
