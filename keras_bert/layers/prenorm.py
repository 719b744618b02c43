"""A block with its norms before its sub-layers, and a gated feed-forward layer (ModernBERT: Warner et al. 2024).

Sources: Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture"; Shazeer 2020, "GLU Variants
Improve Transformer"; transformers, modeling_modernbert.py. B batch, S sequence, H hidden, I intermediate, N rows.
"""

import keras
from keras import ops

from keras_bert.layers.common import activated, dropout_layer, dropped, gated, norm, product, residual_sum, worth_fusing
from keras_bert.layers.dropout import dropout_key
from keras_bert.layers.transformer import TransformerBlock, rows


@keras.saving.register_keras_serializable(package="keras_bert")
class PreNormBlock(TransformerBlock):
    """A norm and self-attention, a norm and a feed-forward layer, each with a residual sum around both.

    Args:
        *args: as in TransformerBlock, and so are the other keywords; `dropout` is the rate after the attention.
        first_norm: whether there is a norm before the attention.
        is_gated: whether the feed-forward layer is the activation of one projection times another.
        feed_forward_dropout: rate inside the feed-forward layer.
        output_scale: what the weights that end a sub-layer start as, of the others.
    """

    FIELDS = (*TransformerBlock.FIELDS, "first_norm", "is_gated", "feed_forward_dropout", "output_scale")

    def __init__(self, *args, first_norm=True, is_gated=True, feed_forward_dropout=0.0, output_scale=1.0, **kwargs):
        self.first_norm = first_norm  # before the norms are made
        super().__init__(*args, **kwargs)
        self.set_fields(
            first_norm=first_norm,
            is_gated=is_gated,
            feed_forward_dropout=feed_forward_dropout,
            output_scale=output_scale,
        )
        self.feed_forward_dropout_layer = dropout_layer(
            feed_forward_dropout, name="feed_forward_dropout", dtype=self.dtype_policy
        )

    def make_norm(self, name, epsilon=None):
        """Returns a norm of the block's kind, or None for one that the block does not have."""
        is_there = self.first_norm or name != "attention_norm"
        return super().make_norm(name, epsilon) if is_there else None

    def build(self, input_shape):
        """Makes the dense layers, whose width is the input's."""
        width, inner, bias = input_shape[-1], self.intermediate_size, self.feed_forward_bias
        self.attention.build(input_shape)
        ends = {"scale": self.output_scale}
        self.attention_output = self.make_dense("attention_output", width, width, use_bias=self.output_bias, **ends)
        if self.attention_norm is not None:
            self.attention_norm.build(input_shape)
        units = 2 * inner if self.is_gated else inner
        self.intermediate = self.make_dense("intermediate", width, units, use_bias=bias)
        self.block_output = self.make_dense("output", inner, width, use_bias=bias, **ends)
        self.output_norm.build(input_shape)
        self.built = True

    def transform(self, inputs, queries, places, *, training, **others):
        """Returns the block's output as rows, (N, H), and the attention probabilities or None; see TransformerBlock."""
        fuse = worth_fusing(inputs, training)

        def normed(x, layer):
            return x if layer is None else norm(x, layer.gamma, layer.beta, epsilon=layer.epsilon, fuse=fuse)

        seen = ops.reshape(normed(rows(inputs), self.attention_norm), ops.shape(inputs))
        asking = (
            seen if queries is inputs else ops.reshape(normed(rows(queries), self.attention_norm), ops.shape(queries))
        )
        context, scores = self.attend(seen, places, asking, training=training, **others)
        key = dropout_key(self.dropout_layer, training)
        ended = product(self.attention_output, context)
        attended = residual_sum(*ended, rows(queries), key, rate=self.dropout, fuse=fuse)
        act = gated if self.is_gated else activated
        hidden = act(
            *product(self.intermediate, normed(attended, self.output_norm)), activation=self.activation, fuse=fuse
        )
        key = dropout_key(self.feed_forward_dropout_layer, training)
        hidden = dropped(hidden, key, rate=self.feed_forward_dropout, fuse=fuse)
        return residual_sum(*product(self.block_output, hidden), attended, None, rate=0.0, fuse=fuse), scores
