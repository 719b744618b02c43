"""DeBERTa's layer: attention by content and by relative places (He et al. 2021, section 3.1).

B batch, S sequence, Q queries, H hidden, A heads, D head size.
"""

import keras
from keras import ops

from keras_bert.layers.attention import SelfAttention, mixed_values
from keras_bert.layers.common import dropout_layer, dropped
from keras_bert.layers.disentangled import (
    content_to_position,
    disentangled_weights,
    position_to_content,
    relative_rows,
)
from keras_bert.layers.dropout import dropout_key


@keras.saving.register_keras_serializable(package="keras_bert")
class DisentangledAttention(SelfAttention):
    """Each token sees all, by their content and by how far away they are (He et al. 2021, "DeBERTa", section 3.1).

    Args:
        num_heads, others: as in SelfAttention.
        c2p, p2c: whether scores have the terms content to position and position to content.
        buckets, max_distance: how distances share rows of the table, see layers/disentangled.py.
        has_table: whether there is a table; without one only the scale of the scores is DeBERTa's.
        shares_projections: whether the table goes through `query` and `key`, not through projections of its own.
        key_bias: whether the projection of its keys has a bias.
        table_dropout: rate on the table.
    """

    FIELDS = (
        *SelfAttention.FIELDS,
        *("c2p", "p2c", "buckets", "max_distance", "has_table", "shares_projections", "key_bias", "table_dropout"),
    )

    def __init__(
        self,
        num_heads,
        *,
        c2p=True,
        p2c=True,
        buckets=0,
        max_distance=512,
        has_table=True,
        shares_projections=False,
        key_bias=True,
        table_dropout=0.1,
        **kwargs,
    ):
        super().__init__(num_heads, **kwargs)
        self.set_fields(
            c2p=c2p,
            p2c=p2c,
            buckets=buckets,
            max_distance=max_distance,
            has_table=has_table,
            shares_projections=shares_projections,
            key_bias=key_bias,
            table_dropout=table_dropout,
        )
        self.table_dropout_layer = dropout_layer(table_dropout, name="table_dropout", dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the projections (H, A * D)."""
        super().build(input_shape)
        self.pos_key = self.pos_query = None
        if self.shares_projections:
            self.pos_key, self.pos_query = self.key, self.query
        elif self.has_table:
            for name, is_there, use_bias in (("pos_key", self.c2p, self.key_bias), ("pos_query", self.p2c, True)):
                if is_there:
                    self.add_projection(name, input_shape[-1], use_bias=use_bias)

    @property
    def scale(self):
        """The factor of the scores, which have up to three terms."""
        return (self.head_size * (1 + self.c2p + self.p2c)) ** -0.5

    def weights_of(self, query, key, places, dropout, *, fuse, table=None):
        """Returns (B, A, Q, S), the probabilities after dropout; `table` is float (R, H), of relative places."""
        to_position = to_content = None
        if self.has_table:
            rows = relative_rows(
                key.shape[1] or ops.shape(key)[1], buckets=self.buckets, max_distance=self.max_distance
            )
            rows = ops.expand_dims(ops.take(table, rows, axis=0), 0)  # (1, 2 * S, H): projected after, not before
            if self.c2p:
                keys = ops.cast(self.heads(self.pos_key, rows)[0], query.dtype)
                to_position = content_to_position(query, keys, places.positions)
            if self.p2c:
                queries = ops.cast(self.heads(self.pos_query, rows)[0], query.dtype)
                to_content = position_to_content(key, queries, places.positions)
        asking, texts = places.texts()
        masks = (places.mask, places.of_queries(places.mask))
        scores = (self.scores(query, key), to_position, to_content)
        settings = {"scale": self.scale, "rate": self.dropout, "fuse": fuse}
        return disentangled_weights(*scores, *masks, texts, asking, dropout, **settings)

    def mix(self, query, key, value, places, *, training, fuse, table=None):
        """Returns float (B, Q, A, D), see SelfAttention."""
        if table is not None:
            table = dropped(table, dropout_key(self.table_dropout_layer, training), rate=self.table_dropout, fuse=fuse)
        dropout = dropout_key(self.dropout_layer, training)
        return mixed_values(self.weights_of(query, key, places, dropout, fuse=fuse, table=table), value)
