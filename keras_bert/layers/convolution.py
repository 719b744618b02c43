"""DeBERTa v2's convolution beside the first block (He et al. 2021, section A.6: "nGiE"; transformers' ConvLayer).

B batch, S sequence, N rows (B * S), H hidden, K kernel size.
"""

import keras
from keras import ops

from keras_bert.layers.common import (
    ACTIVATIONS,
    ConfigLayer,
    dropout_layer,
    layer_norm,
    normalized,
    truncated_normal,
    wide,
    worth_fusing,
)
from keras_bert.layers.dropout import drop, dropout_key
from keras_bert.layers.fusion import fusible


@fusible
def convolution_norm(x, bias, residual, is_real, gamma, beta, key, *, activation, rate, epsilon):
    """Ends the layer: zero at padding, dropout, activation, residual sum, LayerNorm, zero at padding, in float32.

    Args:
        x: (N, H), the convolution's products.
        bias: (H,).
        residual: (N, H), what the first block gave.
        is_real: int (N, 1), 0 for padding.
        gamma, beta, key, rate, epsilon: as in `residual_norm`.
        activation: a name of `ACTIVATIONS`.

    Returns:
        (N, H) of x's dtype.
    """
    is_real = ops.cast(is_real, wide(x).dtype)
    y = ACTIVATIONS[activation](drop((wide(x) + wide(bias)) * is_real, key, rate))
    return ops.cast(normalized(y + wide(residual), gamma, beta, epsilon) * is_real, x.dtype)


@keras.saving.register_keras_serializable(package="keras_bert")
class ConvolutionLayer(ConfigLayer):
    """Mixes each token with its neighbours and adds what the first block made of it.

    Args:
        kernel_size: K, an odd number of tokens.
        groups: how many parts the features are cut into, each with a convolution of its own.
        activation: a name of `ACTIVATIONS`.
        dropout: rate before the activation.
        initializer_range: standard deviation of the truncated normal.
        layer_norm_eps: epsilon of the LayerNorm.
    """

    FIELDS = ("kernel_size", "groups", "activation", "dropout", "initializer_range", "layer_norm_eps")

    def __init__(
        self,
        kernel_size,
        *,
        groups=1,
        activation="tanh",
        dropout=0.1,
        initializer_range=0.02,
        layer_norm_eps=1e-7,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be an odd number. Received: {kernel_size}.")
        self.set_fields(
            kernel_size=kernel_size,
            groups=groups,
            activation=activation,
            dropout=dropout,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
        )
        self.layer_norm = layer_norm(layer_norm_eps, name="LayerNorm", dtype=self.dtype_policy)
        self.dropout_layer = dropout_layer(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Makes the kernel (K, H / groups, H) and the bias (H,), as Keras' Conv1D has them."""
        hidden_size = input_shape[-1]
        if hidden_size % self.groups:
            raise ValueError(f"hidden_size must be a multiple of groups. Received: {hidden_size} and {self.groups}.")
        shape = (self.kernel_size, hidden_size // self.groups, hidden_size)
        initializer = truncated_normal(self.initializer_range)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=(hidden_size,), initializer="zeros")
        self.layer_norm.build(input_shape)
        self.built = True

    def call(self, inputs, residual, input_mask, sequence_ids=None, training=None):
        """Mixes neighbours.

        Args:
            inputs: float (B, S, H), the embeddings.
            residual: float (B, S, H), what the first block made of them.
            input_mask: int (B, S), 1 for real tokens and 0 for padding, which counts as zeros.
            sequence_ids: int (B, S), the number of each token's text in a packed row, or None; a token's neighbours
                are of its own text.
            training: whether dropout is on.

        Returns:
            float (B, S, H), zero at padding.
        """
        hidden_size = inputs.shape[-1]
        rows = ops.reshape(residual, (-1, hidden_size))
        mixed = convolution_norm(
            self._products(inputs, input_mask, sequence_ids),
            self.bias,
            rows,
            ops.reshape(input_mask, (-1, 1)),
            self.layer_norm.gamma,
            self.layer_norm.beta,
            dropout_key(self.dropout_layer, training),
            activation=self.activation,
            rate=self.dropout,
            epsilon=self.layer_norm.epsilon,
            fuse=worth_fusing(inputs, training),
        )
        return ops.reshape(mixed, ops.shape(residual))

    def _products(self, inputs, input_mask, sequence_ids):
        """Returns (N, H): one product for all K neighbours, or one a group; TensorFlow cannot train groups on CPUs."""
        hidden_size, groups, size = inputs.shape[-1], self.groups, self.kernel_size
        texts = ops.cast(input_mask, "int32")
        if sequence_ids is not None:
            texts = texts * ops.cast(sequence_ids, "int32")
        neighbours = []
        for offset in range(-(size // 2), size // 2 + 1):
            counts = ops.logical_and(ops.equal(_moved(texts, offset), texts), ops.not_equal(texts, 0))
            neighbour = _moved(inputs, offset) * ops.cast(ops.expand_dims(counts, -1), inputs.dtype)
            neighbours.append(ops.reshape(neighbour, (-1, groups, hidden_size // groups)))
        window = ops.concatenate(neighbours, axis=-1)  # (N, groups, K * H / groups)
        kernel = ops.reshape(self.kernel, (-1, groups, hidden_size // groups))  # (K * H / groups, groups, H / groups)
        if groups == 1:
            return ops.matmul(window[:, 0], kernel[:, 0])
        products = ops.matmul(ops.transpose(window, (1, 0, 2)), ops.transpose(kernel, (1, 0, 2)))
        return ops.reshape(ops.transpose(products, (1, 0, 2)), (-1, hidden_size))

    def compute_output_spec(self, inputs, residual, input_mask, sequence_ids=None, training=None):
        """Gives the shape without running `call`."""
        return keras.KerasTensor(residual.shape, dtype=self.compute_dtype)


def _moved(x, offset):
    """Returns x (B, S, ...) with the token `offset` places further on at each place, and zeros past the ends."""
    if offset == 0:
        return x
    after, unmoved = max(offset, 0), [[0, 0]] * (len(x.shape) - 2)
    padded = ops.pad(x, [[0, 0], [max(-offset, 0), after], *unmoved])
    return padded[:, after : ops.shape(x)[1] + after]
