"""BigBird's layer: blocks of tokens that see their neighbours, the ends and some others (Zaheer et al. 2020).

B batch, S sequence, Q queries, H hidden, A heads, D head size.
"""

import keras
from keras import ops

from keras_bert.layers.attention import SelfAttention, without_padding
from keras_bert.layers.block_sparse import block_sparse_attention, counted_attention, longest_full, random_plans
from keras_bert.layers.dropout import dropout_key


@keras.saving.register_keras_serializable(package="keras_bert")
class BlockSparseAttention(SelfAttention):
    """BigBird's: blocks of tokens see their neighbours, the first and the last block and some others.

    Texts of up to (5 + 2 * random_blocks) * block_size tokens, padding included, attend in full. In longer ones the
    last block is that of the padded text, so that the numbers depend on how far a text is padded, as transformers' do.

    Args:
        num_heads, others: as in SelfAttention.
        block_size, random_blocks, drawn: as in `keras_bert.config.parts.BlockSparse`.
        number: the block's number, by which random blocks are drawn.
        longest: the model's longest text, in tokens.
    """

    FIELDS = (*SelfAttention.FIELDS, "block_size", "random_blocks", "drawn", "number", "longest")

    def __init__(self, num_heads, *, block_size=64, random_blocks=3, drawn=False, number=0, longest=4096, **kwargs):
        super().__init__(num_heads, **kwargs)
        self.set_fields(block_size=block_size, random_blocks=random_blocks, drawn=drawn, number=number, longest=longest)

    def settings(self, training):
        """Returns what the functions of layers/block_sparse.py take besides tensors."""
        shape = (self.num_heads, self.longest, self.block_size, self.random_blocks)
        return {
            "block_size": self.block_size,
            "plan": random_plans(*shape, self.number, self.drawn),
            "scale": self.scale,
            "rate": self.dropout,
            "dropout_key": dropout_key(self.dropout_layer, training),
        }

    def mix(self, query, key, value, places, *, training, fuse):
        """Returns float (B, Q, A, D) from query (B, Q, A, D), key and value (B, S, A, D)."""
        if places.sequence_ids is not None:  # each text attends in full: models/checking.py refuses longer rows
            return super().mix(query, key, value, places, training=training, fuse=fuse)
        tensors, settings = (query, key, value, places.mask), self.settings(training)
        if places.positions is None:
            context = block_sparse_attention(*tensors, **settings, fuse=fuse)
        else:
            context = counted_attention(*tensors, positions=places.positions, **settings, fuse=fuse)
        full = ops.shape(key)[1] <= longest_full(self.block_size, self.random_blocks)
        return context if full is True else without_padding(context, places, unless=full)

    def probabilities(self, query, key, places):
        """Returns the attention probabilities, float32 (B, A, Q, S)."""
        if places.sequence_ids is not None:
            return super().probabilities(query, key, places)
        query, key = (ops.cast(x, "float32") for x in (query, key))
        tensors, positions = (query, key, key, places.mask), places.positions
        settings = self.settings(training=False)
        return counted_attention(*tensors, positions=positions, return_scores=True, fuse=False, **settings)[1]
