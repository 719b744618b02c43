"""The layer whose tokens see those near them (Beltagy et al. 2020, section 3.1; ModernBERT's local layers).

B batch, S sequence, Q queries, H hidden, A heads, D head size.
"""

import keras

from keras_bert.layers.attention import SelfAttention, attention_weights
from keras_bert.layers.dropout import dropout_key
from keras_bert.layers.patterns import local_attention


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

    def mix(self, query, key, value, places, *, training, fuse):
        """Returns float (B, Q, A, D) from query (B, Q, A, D), key and value (B, S, A, D)."""
        if places.positions is not None:
            return super().mix(query, key, value, places, training=training, fuse=fuse)
        return local_attention(
            query,
            key,
            value,
            places.mask,
            window=self.window,
            scale=self.scale,
            rate=self.dropout,
            dropout_key=dropout_key(self.dropout_layer, training),
            sequence_ids=places.sequence_ids,
            fuse=fuse,
        )

    def weights_of(self, query, key, places, dropout, *, fuse):
        """Returns (B, A, Q, S), the probabilities after dropout."""
        settings = {"scale": self.scale, "rate": self.dropout, "window": self.window, "fuse": fuse}
        texts = places.texts()
        return attention_weights(self.scores(query, key), places.mask, dropout, *texts, places.positions, **settings)
