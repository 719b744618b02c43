"""What sits on the encoder: pooler, masked-LM transform and bias, choices.

Source: modeling.py (pooler) and run_pretraining.py (get_masked_lm_output) of google-research/bert.
B batch, N choices, S sequence, P predictions, H hidden, E embedding, V vocabulary.
"""

import keras
from keras import ops

from keras_bert.layers.common import (
    ACTIVATIONS,
    ConfigLayer,
    activated,
    dense,
    dropout_layer,
    dropped,
    layer_norm,
    product,
    residual_norm,
    take_positions,
    worth_fusing,
)
from keras_bert.layers.dropout import dropout_key
from keras_bert.layers.fusion import fusible


@fusible
def float32_sum(x, bias):
    """Returns x + bias as float32."""
    return ops.cast(x, "float32") + ops.cast(bias, "float32")


@keras.saving.register_keras_serializable(package="keras_bert")
class FirstTokenPooler(ConfigLayer):
    """An activation, as a rule tanh, of a dense layer on the first token, [CLS].

    Args:
        activation: as in TransformerBlock; or "first", for the first hidden state as it is, without a dense layer.
        initializer_range: standard deviation of the truncated normal.
    """

    FIELDS = ("activation", "initializer_range")

    def __init__(self, *, activation="tanh", initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.set_fields(activation=activation, initializer_range=initializer_range)

    def build(self, input_shape):
        """Makes the dense layer (H, H)."""
        if self.activation != "first":
            self.dense = dense(input_shape[-1], self.initializer_range, name="dense", dtype=self.dtype_policy)
            self.dense.build((input_shape[0], input_shape[-1]))
        self.built = True

    def call(self, inputs, starts=None):
        """Returns float (B, H) from float (B, S, H); with starts, int (B, N), of a packed row's texts (B, N, H)."""
        first = inputs[:, 0] if starts is None else take_positions(inputs, starts)
        return first if self.activation == "first" else ACTIVATIONS[self.activation](self.dense(first))

    def compute_output_spec(self, inputs, starts=None):
        """Gives the shape without running `call`."""
        texts = inputs.shape[:1] if starts is None else starts.shape
        return keras.KerasTensor((*texts, inputs.shape[-1]), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_bert")
class MaskedLMTransform(ConfigLayer):
    """Dense layer, activation and LayerNorm before the output weights.

    Args:
        units: width of the output E, that of the embeddings; None for the input's.
        activation: as in TransformerBlock.
        initializer_range: standard deviation of the truncated normal.
        layer_norm_eps: epsilon of the LayerNorm.
        use_bias, norm_bias: whether the dense layer and the LayerNorm have one.
    """

    FIELDS = ("units", "activation", "initializer_range", "layer_norm_eps", "use_bias", "norm_bias")

    def __init__(
        self,
        *,
        units=None,
        activation="gelu_tanh",
        initializer_range=0.02,
        layer_norm_eps=1e-12,
        use_bias=True,
        norm_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_fields(
            units=units,
            activation=activation,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            use_bias=use_bias,
            norm_bias=norm_bias,
        )
        self.layer_norm = layer_norm(layer_norm_eps, name="LayerNorm", use_bias=norm_bias, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the dense layer (H, E)."""
        units = input_shape[-1] if self.units is None else self.units
        self.dense = dense(units, self.initializer_range, name="dense", use_bias=self.use_bias, dtype=self.dtype_policy)
        self.dense.build(input_shape)
        self.layer_norm.build((*input_shape[:-1], units))
        self.built = True

    def call(self, inputs):
        """Returns float (B, P, E) from float (B, P, H)."""
        return self.layer_norm(ACTIVATIONS[self.activation](self.dense(inputs)))

    def compute_output_spec(self, inputs):
        """Gives the shape without running `call`."""
        units = inputs.shape[-1] if self.units is None else self.units
        return keras.KerasTensor((*inputs.shape[:-1], units), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_bert")
class OutputBias(ConfigLayer):
    """A bias per vocabulary entry on the masked-LM logits, which leave it as float32.

    Args:
        use_bias: whether there is one.
    """

    FIELDS = ("use_bias",)

    def __init__(self, *, use_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.set_fields(use_bias=use_bias)

    def build(self, input_shape):
        """Makes the bias (V,)."""
        self.built = True
        if not self.use_bias:
            return
        shape = (input_shape[-1],)
        self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros", autocast=False)  # float32 throughout

    def call(self, inputs, training=None):
        """Returns float32 (..., V) from float (..., V)."""
        if not self.use_bias:
            return ops.cast(inputs, "float32")
        return float32_sum(inputs, self.bias, fuse=worth_fusing(inputs, training))

    def compute_output_spec(self, inputs, training=None):
        """Gives the shape without running `call`."""
        return keras.KerasTensor(inputs.shape, dtype="float32")


@keras.saving.register_keras_serializable(package="keras_bert")
class FoldChoices(ConfigLayer):
    """Makes every choice a sequence of the batch."""

    def call(self, inputs):
        """Returns int (B * N, S) from int (B, N, S)."""
        return ops.reshape(inputs, (-1, ops.shape(inputs)[-1]))

    def compute_output_spec(self, inputs):
        """Gives the shape without running `call`, for which both numbers may be unknown."""
        return keras.KerasTensor((None, inputs.shape[-1]), dtype=inputs.dtype)


@keras.saving.register_keras_serializable(package="keras_bert")
class UnfoldChoices(ConfigLayer):
    """Puts the scores of an instance's choices side by side again."""

    def call(self, inputs, reference):
        """Returns float (B, N) from float (B * N, 1) and anything of shape (B, N, S)."""
        return ops.reshape(inputs, ops.shape(reference)[:2])

    def compute_output_spec(self, inputs, reference):
        """Gives the shape without running `call`, for which it may be unknown."""
        return keras.KerasTensor(reference.shape[:2], dtype=inputs.dtype)


@keras.saving.register_keras_serializable(package="keras_bert")
class SpanBlock(ConfigLayer):
    """A feed-forward layer with a residual sum and a LayerNorm, before the layer that marks answers (BigBird's).

    Args:
        intermediate_size: its width inside.
        activation: as in TransformerBlock.
        dropout: rate on its input, though not on the residual, and on its output.
        initializer_range: standard deviation of the truncated normal.
        layer_norm_eps: epsilon of the LayerNorm.
    """

    FIELDS = ("intermediate_size", "activation", "dropout", "initializer_range", "layer_norm_eps")

    def __init__(
        self,
        intermediate_size,
        *,
        activation="gelu_tanh",
        dropout=0.1,
        initializer_range=0.02,
        layer_norm_eps=1e-12,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_fields(
            intermediate_size=intermediate_size,
            activation=activation,
            dropout=dropout,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
        )
        self.layer_norm = layer_norm(layer_norm_eps, name="LayerNorm", dtype=self.dtype_policy)
        self.dropout_layer = dropout_layer(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the dense layers (H, I) and (I, H)."""
        width, settings = input_shape[-1], {"dtype": self.dtype_policy}
        self.intermediate = dense(self.intermediate_size, self.initializer_range, name="intermediate", **settings)
        self.output_dense = dense(width, self.initializer_range, name="output", **settings)
        self.intermediate.build(input_shape)
        self.output_dense.build((*input_shape[:-1], self.intermediate_size))
        self.layer_norm.build(input_shape)
        self.built = True

    def call(self, inputs, training=None):
        """Returns float (B, S, H) from the same."""
        fuse, width = worth_fusing(inputs, training), inputs.shape[-1]
        key = dropout_key(self.dropout_layer, training)
        hidden = dropped(ops.reshape(inputs, (-1, width)), key, rate=self.dropout, fuse=fuse)  # (N, H)
        hidden = activated(*product(self.intermediate, hidden), activation=self.activation, fuse=fuse)
        ended = residual_norm(
            *product(self.output_dense, hidden),
            ops.reshape(inputs, (-1, width)),
            self.layer_norm.gamma,
            self.layer_norm.beta,
            dropout_key(self.dropout_layer, training),
            rate=self.dropout,
            epsilon=self.layer_norm.epsilon,
            fuse=fuse,
        )
        return ops.reshape(ended, ops.shape(inputs))

    def compute_output_spec(self, inputs, training=None):
        """Gives the shape without running `call`."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
