"""One block of the encoder, post-norm as in the paper (Devlin et al. 2018; modeling.py, transformer_model).

B batch, S sequence, P positions, H hidden, A heads.
"""

import keras
from keras import ops

from keras_bert.layers.attention import SelfAttention
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
from keras_bert.layers.remat import rematerialized


@keras.saving.register_keras_serializable(package="keras_bert")
class TransformerBlock(ConfigLayer):
    """Self-attention and a feed-forward layer, each followed by dropout, residual sum and LayerNorm.

    Args:
        num_heads: attention heads.
        intermediate_size: width of the feed-forward layer.
        activation: its activation, "gelu_tanh", "gelu_erf", "relu", "tanh" or "linear".
        dropout: rate on each sub-layer's output.
        attention_dropout: rate on the attention probabilities.
        initializer_range: standard deviation of the truncated normal.
        layer_norm_eps: epsilon of both LayerNorms.
    """

    FIELDS = (
        "num_heads",
        "intermediate_size",
        "activation",
        "dropout",
        "attention_dropout",
        "initializer_range",
        "layer_norm_eps",
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
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_fields(
            num_heads=num_heads,
            intermediate_size=intermediate_size,
            activation=activation,
            dropout=dropout,
            attention_dropout=attention_dropout,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
        )
        self.attention = SelfAttention(
            num_heads,
            dropout=attention_dropout,
            initializer_range=initializer_range,
            name="attention",
            dtype=self.dtype_policy,
        )
        self.attention_norm = layer_norm(layer_norm_eps, name="attention_norm", dtype=self.dtype_policy)
        self.output_norm = layer_norm(layer_norm_eps, name="output_norm", dtype=self.dtype_policy)
        self.dropout_layer = dropout_layer(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the dense layers, whose width is the input's."""
        hidden_size = input_shape[-1]

        def make(name, units, input_shape):
            layer = dense(units, self.initializer_range, name=name, dtype=self.dtype_policy)
            layer.build(input_shape)
            return layer

        self.attention.build(input_shape)
        self.attention_output = make("attention_output", hidden_size, input_shape)
        self.attention_norm.build(input_shape)
        self.intermediate = make("intermediate", self.intermediate_size, input_shape)
        self.block_output = make("output", hidden_size, (*input_shape[:-1], self.intermediate_size))
        self.output_norm.build(input_shape)
        self.built = True

    def rematerialized_call(self, layer_call, *args, **kwargs):
        """Takes the place of Keras' way in every mode of `keras.RematScope` that chooses this block (remat.py)."""
        chosen = keras.layers.Layer.rematerialized_call(self, layer_call, *args, **kwargs) is not layer_call
        return rematerialized(self, layer_call) if chosen and kwargs.get("training") else layer_call

    def call(self, inputs, input_mask, positions=None, training=None, return_scores=False):
        """Transforms the sequences of a batch.

        Args:
            inputs: float (B, S, H).
            input_mask: int (B, S), 1 for real tokens and 0 for padding.
            positions: int (B, P); only these are computed, as the last block of a model needs no others.
            training: whether dropout is on.
            return_scores: whether to return the attention probabilities too.

        Returns:
            float (B, S, H), or (B, P, H) at the positions; with `return_scores` also float32 (B, A, S or P, S).
        """
        hidden_size = inputs.shape[-1]
        fuse = worth_fusing(inputs, training)
        queries = inputs if positions is None else take_positions(inputs, positions)

        def rows(x):  # (B, S, H) -> (B * S, H): within a block all but the attention is one matrix
            return ops.reshape(x, (-1, hidden_size))

        def end(layer, x, residual, norm):
            key = dropout_key(self.dropout_layer, training)
            settings = {"rate": self.dropout, "epsilon": norm.epsilon, "fuse": fuse}
            return residual_norm(*product(layer, x), residual, norm.gamma, norm.beta, key, **settings)

        context = self.attention(inputs, input_mask, queries, training=training, return_scores=return_scores)
        context, scores = context if return_scores else (context, None)
        attended = end(self.attention_output, rows(context), rows(queries), self.attention_norm)
        hidden = activated(*product(self.intermediate, attended), activation=self.activation, fuse=fuse)
        hidden = end(self.block_output, hidden, attended, self.output_norm)
        hidden = ops.reshape(hidden, ops.shape(queries))
        return (hidden, scores) if return_scores else hidden

    def compute_output_spec(self, inputs, input_mask, positions=None, training=None, return_scores=False):
        """Gives the shapes without running `call`, which takes longer than all else in making a model."""
        batch, size, hidden_size = inputs.shape
        queries = size if positions is None else positions.shape[1]
        hidden = keras.KerasTensor((batch, queries, hidden_size), dtype=self.compute_dtype)
        if not return_scores:
            return hidden
        return hidden, keras.KerasTensor((batch, self.num_heads, queries, size), dtype="float32")
