"""The encoder's inference for SavedModels, made for CPUs: what the Keras layers compute, in fewer operations.

- Padding is left out: all but the attention computes the real tokens of a batch alone, a row each.
- Query, key and value are one product. A product, its bias and a gelu are written as TensorFlow's graph optimizer
  (tensorflow/core/grappler/optimizers/remapper.cc) knows them and joins them to one `_FusedMatMul`, and scores with
  their mask to one `_FusedBatchMatMulV2`. It knows LayerNorm too, but forgets its epsilon (TensorFlow 2.21).
- Transposes are those of integers: oneDNN's take 80 microseconds for the smallest tensor of floats.
- Kernels may be bfloat16 or 8-bit numbers (precision.py); sums and LayerNorm are float32 throughout.
- Blocks that are run several times (ALBERT's) are stored once, and made ready for a product once a call.

What it computes of a Config is in ANY and COMPUTES; Keras computes the rest.

B batch, S sequence, P positions, T rows (real tokens, as a rule), E embedding, H hidden, A heads, D head size.
"""

import dataclasses

import numpy as np
import tensorflow as tf
from keras import ops

from keras_bert.layers.attention import MASKED
from keras_bert.layers.common import ACTIVATIONS
from keras_bert.layers.embeddings import positions_of
from keras_bert.serving.precision import KERNELS, In8Bits, Made, Plain

ROWS_MULTIPLE = 16  # of T: oneDNN prepares a product anew for each number of rows that it has not seen
# Fields of a Config that it computes whatever they are, or that say nothing of an encoder's arithmetic in inference.
ANY = (
    *("family", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("hidden_act", "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "embedding_norm_eps"),
    *("embedding_size", "embedding_projection", "positions_from_ids", "pad_token_id", "num_hidden_groups"),
    *("inner_group_num", "pooler"),
    # Of training
    *("initializer_range", "trains_padding", "hidden_dropout_prob", "attention_probs_dropout_prob"),
    *("embedding_dropout_prob", "embedding_dropout_first", "feed_forward_dropout_prob"),
    # Of heads, which Keras computes; `reads_padding` says of one that it needs more than this encoder gives
    *("head_norm_eps", "tie_word_embeddings", "masked_lm_act", "classifier_act", "classifier_dropout_prob"),
    *("classifier_drops_input", "classifier_input_dropout_prob", "classifier_pooling", "span_dropout_prob"),
    *("choice_act", "choice_pooling", "choice_dropout_prob", "sep_token_id", "token_act", "head_bias", "head_norm"),
    *("decoder_bias", "wide_output", "span_block", "span_masks_question"),
    # Of other kinds of attention, and what no layer reads
    *("max_global_tokens", "extra"),
)
# The values that it computes of a field; of one that is named neither here nor in ANY its default alone, BERT's value.
COMPUTES = {"position_embedding": ("learned", "sinusoidal")}
GELUS = {"gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True), "gelu_erf": lambda x: tf.nn.gelu(x, approximate=False)}


class ServedEncoder:
    """Computes what an Encoder does, for inference.

    Args:
        encoder: the Encoder, whose weights it takes, in their dtype.
        kernels: a key of KERNELS, how the kernels of the blocks and of the embeddings' projection are kept.
        table_in_8_bits: whether the word embeddings are 8-bit numbers.

    Attributes:
        variables: what has to be saved beside the encoder's weights.
        taken: ids of those of the encoder's weights that stand in `variables`, or in the graph, in another form.
    """

    def __init__(self, encoder, *, kernels="plain", table_in_8_bits=False):
        self.encoder, self.config = encoder, encoder.bert_config
        self.dtype = tf.as_dtype(encoder.token_embedding.compute_dtype)
        self.variables, self.taken = [], set()
        self.blocks = [self._keep_block(block, KERNELS[kernels]) for block in encoder.blocks]
        self.embedding_norm = self._keep_norm(encoder.embeddings.layer_norm)
        projection = encoder.embedding_projection
        self.projection = None if projection is None else self._keep_dense([projection], KERNELS[kernels])
        table = encoder.token_embedding.embeddings
        self.table = (
            self._keep([table], tf.float32, lambda array: In8Bits.of(array, axis=1))
            if table_in_8_bits
            else Plain(table.value)
        )

    @classmethod
    def can_compute(cls, model):
        """Says whether it computes a model's encoder."""
        return cls.why_not(model) is None

    @staticmethod
    def why_not(model):
        """Returns why it cannot compute a model's encoder, in words, or None if it can.

        Example:
            >>> from keras_bert.config import Config
            >>> from keras_bert.models import Encoder
            >>> config = Config.from_name("L-1_H-16", vocab_size=9)
            >>> ServedEncoder.why_not(Encoder(config, return_all_layers=True))
            'it returns all layers'
            >>> ServedEncoder.why_not(Encoder(config))
        """
        encoder = getattr(model, "encoder", model)
        config, projection = encoder.bert_config, encoder.embedding_projection
        if encoder.return_all_layers or encoder.return_attention_scores:
            return "it returns all layers" if encoder.return_all_layers else "it returns attention scores"
        if encoder.packed:
            return "its rows hold several texts"
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if field.name not in ANY and value not in COMPUTES.get(field.name, (field.default,)):
                return f"its {field.name} is {value!r}"
        layers = [layer for block in encoder.blocks for layer in _dense_layers(block)]
        if any(layer.quantization_mode is not None for layer in (*layers, *([projection] if projection else []))):
            return "its kernels are quantized"
        if getattr(model, "reads_padding", False):
            return f"its head reads the hidden states of padding (choice_pooling is {config.choice_pooling!r})"
        return None

    def __call__(self, inputs, positions=None):
        """Encodes a batch, as `Encoder.call` does; hidden states that it does not compute (see Rows) are 0."""
        mask = tf.cast(inputs["input_mask"], tf.int32)
        batch, length = tf.unstack(tf.shape(mask))
        rows = Rows(mask)
        bias = ((1.0 - tf.cast(mask, self.dtype)) * MASKED)[:, None, None, :]
        passes = self.config.passes
        blocks = [block.made() if passes.count(i) > 1 else block for i, block in enumerate(self.blocks)]
        *before, last = (blocks[index] for index in passes)
        x = self._embed(inputs, rows, length)
        for block in before:
            x = self._transform(block, x, rows, bias)
        if positions is None:
            hidden = rows.padded(self._transform(last, x, rows, bias))
            return self._pooled(tf.where(rows.computed[..., None], hidden, 0.0))
        positions = tf.cast(positions, tf.int32)
        if self.encoder.pooler is not None:
            positions = tf.pad(positions, [[0, 0], [1, 0]])  # (B, 1 + P), [CLS] first
        chosen = tf.gather(rows.places, positions + tf.range(batch)[:, None] * length)
        outputs = self._pooled(self._transform(last, x, rows, bias, chosen))
        hidden = outputs["sequence_output"]
        return {**outputs, "sequence_output": hidden if self.encoder.pooler is None else hidden[:, 1:]}

    def _pooled(self, hidden):
        """Returns the outputs made of the last hidden states, of which the first one is [CLS]'s."""
        pooler = self.encoder.pooler
        return {"sequence_output": hidden, **({} if pooler is None else {"pooled_output": pooler(hidden)})}

    def _embed(self, inputs, rows, length):
        """Returns what enters the first block, float32 (T, H)."""
        layer, config = self.encoder.embeddings, self.config
        parts = [self.table.rows(rows.taken(inputs["input_ids"]))]
        if config.has_segments:
            parts.append(tf.gather(layer.token_type_embeddings.value, rows.taken(inputs["segment_ids"])))
        elif config.type_vocab_size:
            parts.append(layer.token_type_embeddings.value)  # (1, E), of all tokens alike
        if config.positions_from_ids:
            places = rows.taken(positions_of(inputs["input_ids"], config.pad_token_id))
        else:
            places = rows.index % length
        parts.append(tf.gather(layer.position_embeddings.value, places))
        tokens, *others = (tf.cast(part, tf.float32) for part in parts)
        x = self.embedding_norm(sum(others, tokens))  # (T, E)
        return x if self.projection is None else tf.cast(self.projection(tf.cast(x, self.dtype)), tf.float32)

    def _transform(self, block, x, rows, bias, chosen=None):
        """Runs a block.

        Args:
            block: a Block.
            x: float32 (T, H).
            rows: the Rows.
            bias: (B, 1, 1, S), what is added to the scores.
            chosen: int32 (B, P), the rows to compute; None for all.

        Returns:
            float32 (T, H), or (B, P, H).
        """
        hidden_size, heads = self.config.hidden_size, self.config.num_attention_heads
        size = hidden_size // heads

        def apart(projected, parts):  # (B, S, parts * H) -> a list of (B, A, S, D)
            shape = tf.concat([tf.shape(projected)[:2], [parts, heads, size]], 0)
            return tf.unstack(_transposed(tf.reshape(projected, shape), (2, 0, 3, 1, 4)), parts)

        inputs = tf.cast(x, self.dtype)
        if chosen is None:
            query, key, value = apart(rows.padded(block.qkv(inputs)), 3)
        else:
            key, value = apart(rows.padded(block.qkv(inputs, slice(hidden_size, None))), 2)
            count, chosen = tf.shape(chosen), tf.reshape(chosen, [-1])
            x = tf.gather(x, chosen)
            query = block.qkv(tf.gather(inputs, chosen), slice(hidden_size))
            [query] = apart(tf.reshape(query, tf.concat([count, [hidden_size]], 0)), 1)
        scores = tf.matmul(query, _transposed(key, (0, 1, 3, 2))) * size**-0.5 + bias
        context = _transposed(tf.matmul(tf.nn.softmax(scores), value), (0, 2, 1, 3))  # (B, S or P, A, D)
        context = tf.reshape(context, (-1, hidden_size))
        context = tf.gather(context, rows.index) if chosen is None else context
        x = block.attention_norm(tf.cast(block.attention_output(context), tf.float32) + x)
        hidden = block.intermediate(tf.cast(x, self.dtype))
        hidden = GELUS.get(self.config.hidden_act, ACTIVATIONS[self.config.hidden_act])(hidden)
        x = block.output_norm(tf.cast(block.output(hidden), tf.float32) + x)
        return x if chosen is None else tf.reshape(x, tf.concat([count, [hidden_size]], 0))

    def _keep_block(self, block, kernel):
        attention = block.attention
        return Block(
            qkv=self._keep_dense([attention.query, attention.key, attention.value], kernel),
            attention_output=self._keep_dense([block.attention_output], kernel),
            attention_norm=self._keep_norm(block.attention_norm),
            intermediate=self._keep_dense([block.intermediate], kernel),
            output=self._keep_dense([block.block_output], kernel),
            output_norm=self._keep_norm(block.output_norm),
        )

    def _keep_dense(self, layers, kernel):
        """Returns some Dense layers of the same input as one."""
        bias = self._keep([layer.bias for layer in layers], self.dtype)
        return Dense(self._keep([layer.kernel for layer in layers], self.dtype, kernel), bias)

    def _keep_norm(self, layer):
        return Norm(*(self._keep([weight], tf.float32) for weight in (layer.gamma, layer.beta)), layer.epsilon)

    def _keep(self, weights, dtype, form=None):
        """Returns some weights side by side, as an array or in a form of precision.py."""
        self.taken.update(map(id, weights))
        array = np.concatenate([ops.convert_to_numpy(weight) for weight in weights], axis=-1)
        array = array.astype(dtype.as_numpy_dtype)
        if form is None:
            return array
        kept = form(array)
        self.variables += kept.variables
        return kept


@dataclasses.dataclass(frozen=True)
class Dense:
    """A product and its bias.

    Attributes:
        kernel: (M, N), in a form of precision.py.
        bias: np.ndarray (N,).
    """

    kernel: object
    bias: np.ndarray

    def __call__(self, x, columns=slice(None)):
        """Returns (T, N), or some of its columns, from (T, M)."""
        return tf.nn.bias_add(tf.matmul(x, self.kernel.columns(columns)), self.bias[columns])

    def made(self):
        """Returns the same as tensors of the graph that is being made, for any number of products."""
        return Dense(Made(self.kernel.columns(slice(None))), tf.constant(self.bias))


@dataclasses.dataclass(frozen=True)
class Norm:
    """A LayerNorm.

    Attributes:
        gamma, beta: np.ndarray float32 (H,).
        epsilon: float.
    """

    gamma: np.ndarray
    beta: np.ndarray
    epsilon: float

    def __call__(self, x):
        """Returns float32 (T, H) from the same."""
        x -= tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(x), axis=-1, keepdims=True)
        return x * tf.math.rsqrt(variance + self.epsilon) * self.gamma + self.beta

    def made(self):
        """Returns the same as tensors, see `Dense.made`."""
        return Norm(tf.constant(self.gamma), tf.constant(self.beta), self.epsilon)


@dataclasses.dataclass(frozen=True)
class Block:
    """The parts of a TransformerBlock; `qkv` is query, key and value as one."""

    qkv: Dense
    attention_output: Dense
    attention_norm: Norm
    intermediate: Dense
    output: Dense
    output_norm: Norm

    def made(self):
        """Returns the same as tensors, see `Dense.made`."""
        return Block(**{field.name: getattr(self, field.name).made() for field in dataclasses.fields(self)})


class Rows:
    """Which rows of a batch, (B * S), are computed: real tokens, the first place, and all of a sequence without any.

    The first place is read by poolers and classifiers, though padding may come first.

    Args:
        mask: int32 (B, S).

    Attributes:
        computed: bool (B, S), which they are.
        index: int32 (T,), their places in the batch; T is rounded up, and what is past them is a repetition.
        places: int32 (B * S,), of each place of the batch its row; of padding any.
    """

    def __init__(self, mask):
        self.shape = tf.shape(mask)
        is_empty = tf.reduce_max(mask, axis=1, keepdims=True) == 0  # (B, 1)
        is_first = tf.range(self.shape[1]) == 0  # (S,)
        self.computed = (mask > 0) | is_empty | is_first
        is_real = tf.reshape(self.computed, [-1])
        index = tf.cast(tf.where(is_real)[:, 0], tf.int32)
        self.index = tf.concat([index, tf.zeros([-tf.size(index) % ROWS_MULTIPLE], tf.int32)], 0)
        self.places = tf.maximum(tf.cumsum(tf.cast(is_real, tf.int32)) - 1, 0)

    def taken(self, values):
        """Returns int32 (T,) of int (B, S)."""
        return tf.gather(tf.reshape(tf.cast(values, tf.int32), [-1]), self.index)

    def padded(self, x):
        """Returns (B, S, N) of (T, N); what stands at padding is any row."""
        return tf.reshape(tf.gather(x, self.places), tf.concat([self.shape, [x.shape[-1]]], 0))


def _dense_layers(block):
    """Returns those layers of a TransformerBlock that have a kernel."""
    attention = block.attention
    projections = [attention.query, attention.key, attention.value]
    return [*projections, block.attention_output, block.intermediate, block.block_output]


def _transposed(x, axes):
    integers = {4: tf.int32, 2: tf.uint16}[x.dtype.size]
    return tf.bitcast(tf.transpose(tf.bitcast(x, integers), axes), x.dtype)
