"""One block of the encoder, post-norm as in the paper (Devlin et al. 2018; modeling.py, transformer_model).

B batch, S sequence, P positions, H hidden, A heads, N rows (batch * sequence).
"""

import keras
from keras import ops

from keras_bert.layers.attention import Places
from keras_bert.layers.common import (
    ConfigLayer,
    activated,
    dense,
    dropout_layer,
    layer_norm,
    product,
    residual_norm,
    take_positions,
    worth_fusing,
)
from keras_bert.layers.dropout import dropout_key
from keras_bert.layers.kinds import attention_layer
from keras_bert.layers.remat import rematerialized


@keras.saving.register_keras_serializable(package="keras_bert")
class TransformerBlock(ConfigLayer):
    """Self-attention and a feed-forward layer, each followed by dropout, residual sum and LayerNorm.

    Args:
        num_heads: attention heads.
        intermediate_size: width of the feed-forward layer.
        activation: its activation, "gelu_tanh", "gelu_erf", "relu", "silu", "tanh" or "linear".
        dropout: rate on each sub-layer's output.
        attention_dropout: rate on the attention probabilities.
        initializer_range: standard deviation of the truncated normal.
        layer_norm_eps: epsilon of both LayerNorms.
        attention_kind: which tokens see which, see layers/kinds.py.
        attention_settings: what its layer takes besides, as a dict.
        output_bias: whether the dense layer after the attention has a bias.
        feed_forward_bias: whether those of the feed-forward layer have one.
        norm_kind, norm_bias: see `layer_norm` in layers/common.py.
    """

    FIELDS = (
        *("num_heads", "intermediate_size", "activation", "dropout", "attention_dropout", "initializer_range"),
        *("layer_norm_eps", "attention_kind", "attention_settings"),
        *("output_bias", "feed_forward_bias", "norm_kind", "norm_bias"),
    )

    def __init__(
        self,
        num_heads,
        intermediate_size,
        *,
        activation="gelu_tanh",
        dropout=0.1,
        attention_dropout=0.1,
        initializer_range=0.02,
        layer_norm_eps=1e-12,
        attention_kind="full",
        attention_settings=(),
        output_bias=True,
        feed_forward_bias=True,
        norm_kind="layer",
        norm_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        settings = dict(attention_settings)
        self.set_fields(
            num_heads=num_heads,
            intermediate_size=intermediate_size,
            activation=activation,
            dropout=dropout,
            attention_dropout=attention_dropout,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            attention_kind=attention_kind,
            attention_settings=tuple(sorted(settings.items())),  # Keras would track a dict
            output_bias=output_bias,
            feed_forward_bias=feed_forward_bias,
            norm_kind=norm_kind,
            norm_bias=norm_bias,
        )
        self.attention = attention_layer(
            attention_kind,
            num_heads,
            dropout=attention_dropout,
            initializer_range=initializer_range,
            name="attention",
            dtype=self.dtype_policy,
            **settings,
        )
        self.attention_norm = self.make_norm("attention_norm")
        self.output_norm = self.make_norm("output_norm")
        self.dropout_layer = dropout_layer(dropout, dtype=self.dtype_policy)

    def make_norm(self, name, epsilon=None):
        """Returns a norm of the block's kind."""
        epsilon = self.layer_norm_eps if epsilon is None else epsilon
        return layer_norm(epsilon, name=name, kind=self.norm_kind, use_bias=self.norm_bias, dtype=self.dtype_policy)

    def make_dense(self, name, inputs, units, *, use_bias=True, scale=1.0):
        """Returns a built Dense layer (inputs, units), whose weights start as `scale` times the usual ones."""
        stddev = scale * self.initializer_range
        layer = dense(units, stddev, name=name, use_bias=use_bias, dtype=self.dtype_policy)
        layer.build((None, None, inputs))
        return layer

    def build(self, input_shape):
        """Makes the dense layers, whose width is the input's."""
        width, bias = input_shape[-1], self.feed_forward_bias
        self.attention.build(input_shape)
        self.attention_output = self.make_dense("attention_output", width, width, use_bias=self.output_bias)
        self.attention_norm.build(input_shape)
        self.intermediate = self.make_dense("intermediate", width, self.intermediate_size, use_bias=bias)
        self.block_output = self.make_dense("output", self.intermediate_size, width, use_bias=bias)
        self.output_norm.build(input_shape)
        self.built = True

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "attention_settings": dict(self.attention_settings)}

    def rematerialized_call(self, layer_call, *args, **kwargs):
        """Takes the place of Keras' way in every mode of `keras.RematScope` that chooses this block (remat.py)."""
        chosen = keras.layers.Layer.rematerialized_call(self, layer_call, *args, **kwargs) is not layer_call
        return rematerialized(self, layer_call) if chosen and kwargs.get("training") else layer_call

    def call(
        self,
        inputs,
        input_mask,
        positions=None,
        table=None,
        sequence_ids=None,
        global_mask=None,
        training=None,
        return_scores=False,
    ):
        """Transforms the sequences of a batch.

        Args:
            inputs: float (B, S, H).
            input_mask: int (B, S), 1 for real tokens and 0 for padding.
            positions: int (B, P); only these are computed, as the last block of a model needs no others.
            table: float (R, H), the table of relative places, of attention that reads one.
            sequence_ids: int (B, S), the texts of a packed row, which do not see one another.
            global_mask: int (B, S), 1 for tokens that see all, of attention that knows such.
            training: whether dropout is on.
            return_scores: whether to return the attention probabilities too.

        Returns:
            float (B, S, H), or (B, P, H) at the positions; with `return_scores` also float32 (B, A, S or P, S).
        """
        queries = inputs if positions is None else take_positions(inputs, positions)
        places = Places(input_mask, sequence_ids, global_mask, positions)
        others = {"training": training, "return_scores": return_scores} | ({} if table is None else {"table": table})
        hidden, scores = self.transform(inputs, queries, places, **others)
        hidden = ops.reshape(hidden, ops.shape(queries))
        return (hidden, scores) if return_scores else hidden

    def attend(self, inputs, places, queries, *, return_scores, **others):
        """Returns what the attention gives as rows, (N, A * D), and its probabilities or None."""
        found = self.attention(inputs, places, queries, return_scores=return_scores, **others)
        context, scores = found if return_scores else (found, None)
        return rows(context), scores

    def transform(self, inputs, queries, places, *, training, **others):
        """Returns the block's output as rows, (N, H), and the attention probabilities or None.

        Args:
            inputs: float (B, S, H).
            queries: float (B, P, H), those of them that are to be computed.
            places: a Places.
            training: whether dropout is on.
            **others: what the attention takes besides.
        """
        fuse = worth_fusing(inputs, training)
        context, scores = self.attend(inputs, places, queries, training=training, **others)
        attended = self.end(self.attention_output, context, rows(queries), self.attention_norm, training, fuse)
        hidden = activated(*product(self.intermediate, attended), activation=self.activation, fuse=fuse)
        return self.end(self.block_output, hidden, attended, self.output_norm, training, fuse), scores

    def end(self, layer, x, residual, norm, training, fuse, *, drops=True):
        """Ends a sub-layer by a dense layer, dropout, the residual sum and a norm: (N, H) from (N, M) and (N, H)."""
        key = dropout_key(self.dropout_layer, training) if drops else None
        settings = {"rate": self.dropout, "epsilon": norm.epsilon, "fuse": fuse}
        return residual_norm(*product(layer, x), residual, norm.gamma, norm.beta, key, **settings)

    def compute_output_spec(self, inputs, input_mask, positions=None, *args, return_scores=False, **kwargs):
        """Gives the shapes without running `call`, which takes longer than all else in making a model."""
        batch, size, hidden_size = inputs.shape
        queries = size if positions is None else positions.shape[1]
        hidden = keras.KerasTensor((batch, queries, hidden_size), dtype=self.compute_dtype)
        if not return_scores:
            return hidden
        return hidden, keras.KerasTensor((batch, self.num_heads, queries, size), dtype="float32")


def rows(x):
    """Returns (B * S, H) of (B, S, H): within a block all but the attention is one matrix."""
    return ops.reshape(x, (-1, x.shape[-1]))
