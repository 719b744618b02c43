"""MobileBERT's block: narrow inside, with several feed-forward layers (Sun et al. 2020; modeling_mobilebert.py).

B batch, S sequence, H hidden, W width inside, N rows (batch * sequence).
"""

import keras
from keras import ops

from keras_bert.layers.common import activated, norm, product, worth_fusing
from keras_bert.layers.transformer import TransformerBlock, rows


@keras.saving.register_keras_serializable(package="keras_bert")
class BottleneckBlock(TransformerBlock):
    """A dense layer to a narrow width, self-attention, feed-forward layers, and a dense layer back.

    Args:
        *args: as in TransformerBlock, and so are the other keywords.
        size: the width inside; None for a block as wide inside as outside.
        shares_key_query: whether queries and keys read a narrow input of their own.
        attention_inside: whether queries, keys and values all read the narrow input.
        feed_forwards: how many feed-forward layers there are.
        last_norm_eps: epsilon of the LayerNorm of the last one.
    """

    FIELDS = (
        *TransformerBlock.FIELDS,
        *("size", "shares_key_query", "attention_inside", "feed_forwards", "last_norm_eps"),
    )

    def __init__(
        self,
        *args,
        size=None,
        shares_key_query=True,
        attention_inside=False,
        feed_forwards=1,
        last_norm_eps=1e-5,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.set_fields(
            size=size,
            shares_key_query=shares_key_query,
            attention_inside=attention_inside,
            feed_forwards=feed_forwards,
            last_norm_eps=last_norm_eps,
        )
        if self.output_norm.epsilon is not None:  # a LayerNorm
            self.output_norm.epsilon = last_norm_eps

    def build(self, input_shape):
        """Makes the dense layers and norms."""
        hidden, width = input_shape[-1], self.size or input_shape[-1]
        narrow = (*input_shape[:-1], width)
        inner = self.intermediate_size

        def made(name, inputs, units):
            layer = self.make_norm(f"{name}_norm")
            layer.build((None, None, units))
            return self.make_dense(name, inputs, units), layer

        if self.size is not None:
            self.input_bottleneck, self.input_norm = made("input_bottleneck", hidden, width)
            if self.shares_key_query:
                self.shared_bottleneck, self.shared_norm = made("shared_bottleneck", hidden, width)
                for layer in (self.shared_bottleneck, self.shared_norm):
                    layer.trainable = not self.attention_inside  # or nothing reads it, and files have it all the same
        reads_narrow = self.size is None or self.attention_inside or self.shares_key_query
        self.attention.build(narrow if reads_narrow else input_shape)
        self.attention_output = self.make_dense("attention_output", width, width)
        self.attention_norm.build(narrow)
        self.inner_intermediates, self.inner_outputs, self.inner_norms = [], [], []
        for i in range(self.feed_forwards - 1):
            self.inner_intermediates.append(self.make_dense(f"inner_intermediate_{i}", width, inner))
            layer, layer_norm = made(f"inner_output_{i}", inner, width)
            self.inner_outputs.append(layer)
            self.inner_norms.append(layer_norm)
        self.intermediate = self.make_dense("intermediate", width, inner)
        self.block_output = self.make_dense("output", inner, width)
        self.output_norm.build(narrow)
        if self.size is not None:
            self.output_bottleneck, self.bottleneck_norm = made("output_bottleneck", width, hidden)
        self.built = True

    def transform(self, inputs, queries, places, *, training, **others):
        """Returns the block's output as rows, (N, H), and the attention probabilities or None; see TransformerBlock."""
        fuse, is_narrow = worth_fusing(inputs, training), self.size is not None

        def narrowed(layer, layer_norm, x):
            flat = layer(rows(x))
            return norm(flat, layer_norm.gamma, layer_norm.beta, epsilon=layer_norm.epsilon, fuse=fuse)

        def shaped(x, like):
            return ops.reshape(x, (*ops.shape(like)[:2], x.shape[-1]))

        seen, asking, residual = inputs, queries, rows(queries)
        if is_narrow:
            own = (self.input_bottleneck, self.input_norm)
            residual = narrowed(*own, queries)
            if self.attention_inside:
                asking = shaped(residual, queries)
                seen = asking if queries is inputs else shaped(narrowed(*own, inputs), inputs)
            elif self.shares_key_query:
                own = (self.shared_bottleneck, self.shared_norm)
                seen = shaped(narrowed(*own, inputs), inputs)
                asking = seen if queries is inputs else shaped(narrowed(*own, queries), queries)
        values = seen if self.attention_inside else inputs
        context, scores = self.attend(seen, places, asking, values=values, training=training, **others)
        settings = {"training": training, "fuse": fuse}
        wide = {**settings, "drops": not is_narrow}
        hidden = self.end(self.attention_output, context, residual, self.attention_norm, **wide)

        def activate(layer, x):
            return activated(*product(layer, x), activation=self.activation, fuse=fuse)

        for before, after, layer_norm in zip(
            self.inner_intermediates, self.inner_outputs, self.inner_norms, strict=True
        ):
            hidden = self.end(after, activate(before, hidden), hidden, layer_norm, **settings, drops=False)
        inner = activate(self.intermediate, hidden)
        hidden = self.end(self.block_output, inner, hidden, self.output_norm, **wide)
        if is_narrow:
            hidden = self.end(self.output_bottleneck, hidden, rows(queries), self.bottleneck_norm, **settings)
        return hidden, scores
