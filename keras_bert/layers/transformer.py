"""One block of the encoder, post-norm as in the paper (Devlin et al. 2018; modeling.py, transformer_model).

B batch, S sequence, H hidden, A heads.
"""

import keras

from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.common import ACTIVATIONS, ConfigLayer, dense, layer_norm


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
        self.dropout_layer = keras.layers.Dropout(dropout, name="dropout", dtype=self.dtype_policy)

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

    def call(self, inputs, input_mask, training=None, return_scores=False):
        """Returns float (B, S, H) from float (B, S, H) and the int mask (B, S).

        With `return_scores`, returns that and the attention probabilities, float32 (B, A, S, S).
        """
        context = self.attention(inputs, input_mask, training=training, return_scores=return_scores)
        context, scores = context if return_scores else (context, None)
        attended = self.dropout_layer(self.attention_output(context), training=training)
        attended = self.attention_norm(attended + inputs)
        hidden = ACTIVATIONS[self.activation](self.intermediate(attended))
        hidden = self.dropout_layer(self.block_output(hidden), training=training)
        hidden = self.output_norm(hidden + attended)
        return (hidden, scores) if return_scores else hidden
