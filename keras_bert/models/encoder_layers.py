"""The layers of an Encoder, made from a Config, and the one way through them.

B batch, S sequence, P positions, H hidden, E embedding.
"""

import dataclasses

import keras
from keras import ops

from keras_bert.layers import (
    BottleneckBlock,
    ConvolutionLayer,
    EmbeddingPostprocessor,
    FirstTokenPooler,
    PreNormBlock,
    RelativeTable,
    TokenEmbedding,
    TransformerBlock,
)
from keras_bert.layers.attention import LONG, PROJECTIONS
from keras_bert.layers.common import dense, layer_norm, take_positions
from keras_bert.layers.embeddings import trigrams
from keras_bert.models.packed import text_numbers


@dataclasses.dataclass(frozen=True)
class Layers:
    """An encoder's layers; those that its family does not have are None.

    Attributes:
        token_embedding, embeddings: the table, and what is added to it.
        embedding_projection: a Dense layer to the blocks' width, before the sum or after the norm.
        relative_table: DeBERTa's table of relative places.
        blocks: the blocks, each once.
        convolution: what stands beside the first block.
        final_norm: the norm after the last block.
        pooler: makes one vector of a sequence.
    """

    token_embedding: TokenEmbedding
    embeddings: EmbeddingPostprocessor
    embedding_projection: keras.layers.Dense | None
    relative_table: RelativeTable | None
    blocks: list[TransformerBlock]
    convolution: ConvolutionLayer | None
    final_norm: keras.layers.Layer | None
    pooler: FirstTokenPooler | None

    @classmethod
    def of(cls, config, policy, *, embeddings_of=None):
        """Makes the layers that a Config asks for, in a dtype policy.

        Args:
            config: the Config.
            policy: the keras.DTypePolicy.
            embeddings_of: an Encoder whose embeddings are taken in the place of new ones: the token embeddings, and
                what is added to them too, unless a projection makes that of another width.
        """
        shared = {"initializer_range": config.initializer_range, "dtype": policy}
        eps, relative = config.layer_norm_eps, config.relative
        norm = {"kind": config.norm, "use_bias": config.norm_bias, "dtype": policy}
        table = convolution = pooler = None
        if relative is not None and relative.table:
            table_eps = eps if relative.norm else None
            table = RelativeTable(2 * relative.span, config.hidden_size, norm_eps=table_eps, name="relative", **shared)
        if config.conv is not None:
            convolution = ConvolutionLayer(
                config.conv.kernel,
                groups=config.conv.groups,
                activation=config.conv.activation,
                dropout=config.hidden_dropout_prob,
                layer_norm_eps=eps,
                name="convolution",
                **shared,
            )
        if config.pooler is not None:
            pooler = FirstTokenPooler(activation=config.pooler, name="pooler", **shared)
        if embeddings_of is None:
            tokens = TokenEmbedding(config.vocab_size, config.embedding_width, name="token_embedding", **shared)
            embeddings = _embeddings(config, **shared)
        else:
            tokens, embeddings = embeddings_of.token_embedding, embeddings_of.embeddings
            is_as_wide = config.normed_width == embeddings_of.bert_config.normed_width
            embeddings = embeddings if is_as_wide else _embeddings(config, **shared)
        return cls(
            tokens,
            embeddings,
            _projection(config, policy),
            table,
            [_block(config, index, **shared) for index in range(config.num_block_weights)],
            convolution,
            layer_norm(eps, name="final_norm", **norm) if config.norm_order == "pre" else None,
            pooler,
        )

    @classmethod
    def of_encoder(cls, encoder):
        """Returns the layers of an Encoder."""
        return cls(**{field.name: getattr(encoder, field.name) for field in dataclasses.fields(cls)})

    def keep_in(self, encoder):
        """Makes them attributes of an Encoder."""
        for field in dataclasses.fields(self):
            setattr(encoder, field.name, getattr(self, field.name))

    def encode(self, inputs, config, *, positions=None, training=None, return_scores=False):
        """Encodes a batch.

        Args:
            inputs: the dict of the encoder's inputs.
            config: the Config that the layers are of.
            positions: int (B, P), the only ones that the last block computes, with [CLS] for the pooler, of a packed
                row that of each text; None for all.
            training: whether dropout is on.
            return_scores: whether `attention_scores` are among the outputs.

        Returns:
            All outputs that an Encoder may have, by name.
        """
        embedded, hidden = self._embed(inputs, config, training)
        outputs = {"embedding_output": embedded, "encoder_outputs": []}
        packed = {"sequence_ids": inputs["sequence_ids"]} if "sequence_ids" in inputs else {}
        mask = _mask(inputs)
        places = dict(packed)
        if "global_attention_mask" in inputs:
            places["global_mask"] = inputs["global_attention_mask"]
        table = () if self.relative_table is None else (self.relative_table(hidden),)
        chosen, starts = positions, inputs.get("sequence_starts")  # [CLS] of each text
        if positions is not None and self.pooler is not None:
            first = ops.zeros_like(inputs["input_ids"][:, :1], dtype="int32") if starts is None else starts
            chosen = ops.concatenate([ops.cast(first, "int32"), ops.cast(positions, "int32")], axis=1)  # (B, N + P)
        scores, last, entering = [], len(config.passes) - 1, hidden
        for number, index in enumerate(config.passes):
            beside = self.convolution is not None and number == 0
            at = None if number < last or beside else chosen
            options = {"training": training, "return_scores": return_scores}
            hidden = self.blocks[index](hidden, mask, at, *table, **places, **options)
            if return_scores:
                hidden, score = hidden
                scores.append(score)
            if beside:
                hidden = self.convolution(entering, hidden, mask, **packed, training=training)
                hidden = hidden if chosen is None or number < last else take_positions(hidden, chosen)
            if self.final_norm is not None and number == last:
                hidden = self.final_norm(hidden)
            outputs["encoder_outputs"].append(hidden)
        if return_scores:
            outputs["attention_scores"] = scores
        if self.pooler is not None:
            if starts is not None and positions is not None:
                starts = text_numbers(starts)  # they come first
            outputs["pooled_output"] = self.pooler(hidden) if starts is None else self.pooler(hidden, starts)
            if positions is not None:
                hidden = hidden[:, 1 if starts is None else ops.shape(starts)[1] :]
        return {**outputs, "sequence_output": hidden}

    def _embed(self, inputs, config, training):
        """Returns the embeddings and what enters the first block."""
        ids, segments, texts = (inputs.get(name) for name in ("input_ids", "segment_ids", "sequence_ids"))
        projects_first = config.embedding_projection_place == "before_sum"
        tokens = self.token_embedding(ids)
        if projects_first and not config.trains_padding:  # before its neighbours read it
            is_pad = ops.expand_dims(ops.equal(ids, config.pad_token_id), -1)
            tokens = ops.where(is_pad, ops.stop_gradient(tokens), tokens)
        if projects_first and config.applies_projection:
            if config.trigrams:
                tokens = trigrams(tokens, None if texts is None else self._padding(ids, config), texts)
            tokens = self.embedding_projection(tokens)
        others = {} if segments is None else {"segment_ids": segments}
        others |= {"input_ids": ids} if self.embeddings.reads_ids else {}
        others |= {"input_mask": _mask(inputs)} if self.embeddings.masks else {}
        others |= {} if texts is None else {"sequence_ids": texts}
        embedded = self.embeddings(tokens, **others, training=training)
        projects_last = config.embedding_projection_place == "after_norm" and config.applies_projection
        return embedded, self.embedding_projection(embedded) if projects_last else embedded

    def _padding(self, ids, config):
        """Returns the embedding of padding, (B, 1, E), which follows a text in a row of its own."""
        with keras.RematScope(mode=None):  # Keras 3.15 cannot compute a slice again
            one = ops.full_like(ids[:, :1], config.pad_token_id)  # (B, 1)
        padding = self.token_embedding(one)  # a row that was read off the table now would stay as it is
        return padding if config.trains_padding else ops.stop_gradient(padding)


def _mask(inputs):
    """Returns int (B, S), 1 for real tokens."""
    if "sequence_ids" in inputs:
        return ops.cast(ops.not_equal(inputs["sequence_ids"], 0), "int32")
    return inputs["input_mask"]


def _embeddings(config, **shared):
    own_eps, own_dropout = config.embedding_norm_eps, config.embedding_dropout_prob
    projects = config.embedding_projection_place == "before_norm" and config.projects_embeddings
    is_projected = config.embedding_projection_place == "before_sum"  # whose padding Layers keeps from learning
    return EmbeddingPostprocessor(
        config.max_position_embeddings,
        config.type_vocab_size,
        dropout=config.hidden_dropout_prob if own_dropout is None else own_dropout,
        layer_norm_eps=config.layer_norm_eps if own_eps is None else own_eps,
        position_embedding=config.position_embedding,
        pad_token_id=config.pad_token_id,
        positions_from_ids=config.positions_from_ids,
        trains_padding=config.trains_padding or is_projected,
        units=config.hidden_size if projects else None,
        scale=config.embedding_scale,
        drops_first=config.embedding_dropout_first,
        masks=config.mask_embeddings,
        norm_kind=config.norm,
        norm_bias=config.norm_bias,
        name="embeddings",
        **shared,
    )


def _projection(config, policy):
    if not config.projects_embeddings or config.embedding_projection_place == "before_norm":
        return None
    units, stddev, bias = config.hidden_size, config.initializer_range, config.embedding_projection_bias
    layer = dense(units, stddev, name="embedding_projection", use_bias=bias, dtype=policy)
    layer.build((None, None, config.embedding_width * (3 if config.trigrams else 1)))
    layer.trainable = config.applies_projection  # MobileBERT has one in any case
    return layer


def _block(config, index, **shared):
    """Returns the block of a number."""
    settings = {
        **shared,
        "activation": config.hidden_act,
        "dropout": config.hidden_dropout_prob,
        "attention_dropout": config.attention_probs_dropout_prob,
        "layer_norm_eps": config.layer_norm_eps,
        "attention_kind": _kind(config, index),
        "attention_settings": _attention(config, index),
        "output_bias": config.attention_output_bias,
        "feed_forward_bias": config.feed_forward_bias,
        "norm_kind": config.norm,
        "norm_bias": config.norm_bias,
        "name": f"layer_{index}",
    }
    sizes = (config.num_attention_heads, config.intermediate_size)
    narrow = config.bottleneck
    if narrow is not None:
        return BottleneckBlock(
            *sizes,
            size=narrow.size if narrow.narrows else None,
            shares_key_query=narrow.shares_key_query,
            attention_inside=narrow.attention_inside,
            feed_forwards=narrow.feed_forwards,
            last_norm_eps=narrow.norm_eps,
            **settings,
        )
    if config.norm_order == "pre":
        return PreNormBlock(
            *sizes,
            first_norm=index > 0,
            is_gated=config.gated,
            feed_forward_dropout=config.feed_forward_dropout_prob or 0.0,
            output_scale=(2 * config.num_hidden_layers) ** -0.5,
            **settings,
        )
    return TransformerBlock(*sizes, **settings)


def _kind(config, index):
    """Returns the kind of attention of a block; without a window, a local one sees all."""
    return "full" if config.attention == "local" and config.window(index) is None else config.attention


def _attention(config, index):
    """Returns what a block's attention takes beside what all of them do."""
    given = dict(zip(PROJECTIONS, (config.query_bias, config.key_bias, config.value_bias), strict=True))
    settings = {}
    if not all(given.values()):
        settings["biases"] = tuple(name for name, is_there in given.items() if is_there)
    if config.theta(index) is not None:
        settings["rope_theta"] = config.theta(index)
    narrow = config.bottleneck
    if narrow is not None and narrow.narrows:
        settings["units"] = narrow.size
        settings["value_width"] = narrow.size if narrow.attention_inside else config.hidden_size
    if _kind(config, index) == "full" and config.max_length > LONG:
        settings["may_be_long"] = True
    if _kind(config, index) in ("local", "global_local"):
        settings["window"] = config.window(index)
    if config.attention == "global_local":
        settings["slots"] = config.max_global_tokens
    if config.attention == "block_sparse":
        settings |= {**dataclasses.asdict(config.block_sparse), "number": index, "longest": config.max_length}
    if config.attention == "disentangled":
        relative = dataclasses.asdict(config.relative)
        settings |= {name: value for name, value in relative.items() if name not in ("norm", "table")}
        settings |= {"has_table": config.relative.table, "table_dropout": config.hidden_dropout_prob}
    return settings
