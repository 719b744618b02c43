"""Encoder: token ids -> hidden states, of any family (Devlin et al. 2018, section 3; modeling.py, BertModel).

B batch, S sequence, P positions, H hidden, E embedding, A heads.
"""

import contextlib
import contextvars
import json
import types
import typing

import keras
from keras import ops

from keras_bert.checkpoints.parts import check_memory
from keras_bert.config import Config
from keras_bert.layers import EmbeddingPostprocessor, FirstTokenPooler, TokenEmbedding, TransformerBlock
from keras_bert.layers.common import dense
from keras_bert.models.base import PretrainedModel
from keras_bert.models.inputs import complete_inputs

# {id of an encoder: what computes it instead}, of the calls of one thread: others go on as they are.
_computed_by = contextvars.ContextVar("computed_by", default=types.MappingProxyType({}))


@keras.saving.register_keras_serializable(package="keras_bert", name="BertEncoder")  # as files have it
class Encoder(PretrainedModel):
    """The encoder that every model stands on.

    Inputs are a dict of int tensors (B, S): `input_ids`, `input_mask` (1 real, 0 padding) and
    `segment_ids`, of which the last two may be left out (then all tokens but [PAD] are real and in segment 0), by these
    names or Hugging Face's, `attention_mask` and `token_type_ids`; what else the dict holds is left alone, as
    segments are by a family that has none. Outputs are a dict: `sequence_output` float (B, S, H), `pooled_output`
    float (B, H) of a family with a pooler, and on request

        `embedding_output`, float (B, S, E), and `encoder_outputs`, a list of one float (B, S, H) a block run;
        `attention_scores`, a list of one float32 (B, A, S, S) a block: how much a head's every position
        (the third axis) takes from every other (the last, which sums to 1), before dropout.

    Args:
        config: a Config.
        return_all_layers: whether the embeddings' and each block's output are returned too.
        return_attention_scores: whether each block's attention probabilities are returned too.
        sentence_vectors: how `keras_bert.embed` makes a text's vector, as the checkpoint says; None where it does not.
        dtype: a Keras dtype policy or its name; the global one if None.

    Example:
        >>> encoder = Encoder(Config.from_name("tiny", vocab_size=100))
        >>> sorted(encoder.output)
        ['pooled_output', 'sequence_output']
    """

    def __init__(
        self,
        config,
        *,
        return_all_layers=False,
        return_attention_scores=False,
        sentence_vectors=None,
        dtype=None,
        name="bert_encoder",
        **kwargs,
    ):
        if not isinstance(config, Config):
            raise TypeError(f'config must be a Config, such as Config.from_name("tiny"). Received: {config!r}.')
        policy = keras.dtype_policies.get(dtype)
        if keras.distribution.distribution() is None:  # else each device may hold a part of them
            check_memory(config, itemsize=2 if policy.variable_dtype.endswith("16") else 4)

        # Layers
        layers = Layers.of(config, policy)

        # Functional model
        inputs = token_inputs(config)
        outputs = layers.encode(inputs, return_scores=return_attention_scores)
        if not return_all_layers:
            outputs = {n: x for n, x in outputs.items() if n not in ("embedding_output", "encoder_outputs")}
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

        # Config
        self.bert_config = config
        self.return_all_layers = return_all_layers
        self.return_attention_scores = return_attention_scores
        self._sentence_vectors = json.dumps(sentence_vectors)  # as text: Keras tracks a dict, and saves it
        self.policy = policy
        self.token_embedding = layers.token_embedding
        self.embeddings = layers.embeddings
        self.embedding_projection = layers.embedding_projection
        self.blocks = layers.blocks
        self.pooler = layers.pooler

    @property
    def sentence_vectors(self):
        """How `keras_bert.embed` makes a text's vector, a dict that the checkpoint's files say, or None."""
        return json.loads(self._sentence_vectors)

    @classmethod
    def build_from(cls, config, task, **options):
        """Makes the encoder with fresh weights; task.json says how sentence vectors are made."""
        return cls(config, **{"sentence_vectors": task.get("sentence_vectors"), **options})

    def task(self):
        """Returns what task.json says of a bare encoder: how sentence vectors are made, if anything."""
        return {"sentence_vectors": self.sentence_vectors} if self.sentence_vectors else {}

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "config": self.bert_config.to_dict(),
            "return_all_layers": self.return_all_layers,
            "return_attention_scores": self.return_attention_scores,
            **self.task(),
            "dtype": keras.dtype_policies.serialize(self.policy),
        }

    def call(self, inputs, training=None, mask=None, positions=None):
        """Encodes a batch.

        Args:
            inputs: the dict of inputs.
            training: whether dropout is on.
            positions: int (B, P); then the outputs are `sequence_output` (B, P, H), the hidden states at these
                positions, and `pooled_output`, and the last block computes no other position: of 128, with 20 to
                predict, it saves five sixths of that block.
        """
        inputs = complete_inputs(self, inputs)
        instead = _computed_by.get().get(id(self))
        if instead is not None:
            return instead(inputs, positions)
        if positions is None:
            return super().call(inputs, training=training, mask=mask)
        parts = (self.token_embedding, self.embeddings, self.embedding_projection, self.blocks, self.pooler)
        outputs = Layers(*parts, self.bert_config.passes).encode(inputs, positions=positions, training=training)
        return {name: outputs[name] for name in self.output if name in ("sequence_output", "pooled_output")}

    @contextlib.contextmanager
    def computed_by(self, function):
        """Has another function compute this thread's calls inside, as graphs for inference are made.

        Args:
            function: (inputs, positions) -> outputs, as in `call`.
        """
        token = _computed_by.set({**_computed_by.get(), id(self): function})
        try:
            yield
        finally:
            _computed_by.reset(token)

    def pooled_output(self, inputs):
        """Returns `pooled_output`, float (B, H), alone: the last block computes [CLS] and no other position."""
        with keras.RematScope(mode=None):  # Keras 3.15 cannot compute a slice again
            none = inputs["input_ids"][:, :0]  # (B, 0)
        return self(inputs, positions=none)["pooled_output"]

    def first_output(self, inputs):
        """Returns the first token's hidden state, float (B, 1, H), alone."""
        with keras.RematScope(mode=None):
            first = ops.zeros_like(inputs["input_ids"][:, :1])  # (B, 1)
        return self(inputs, positions=first)["sequence_output"]

    def compute_output_spec(self, inputs, training=None, mask=None, positions=None):
        """Gives the outputs' shapes without running `call`."""
        outputs = super().compute_output_spec(inputs, training=training, mask=mask)
        if positions is None:
            return outputs
        hidden = outputs["sequence_output"]
        shape = (*positions.shape, self.bert_config.hidden_size)
        chosen = {"sequence_output": keras.KerasTensor(shape, dtype=hidden.dtype)}
        return chosen | ({"pooled_output": outputs["pooled_output"]} if self.pooler else {})

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds the encoder from `get_config`."""
        return super().from_config({**config, "config": Config.from_dict(config["config"])})


class Layers(typing.NamedTuple):
    """An encoder's layers, and the one way through them.

    Attributes:
        token_embedding, embeddings: the table, and what is added to it.
        embedding_projection: a Dense layer, or None.
        blocks: the TransformerBlocks, each once.
        pooler: the FirstTokenPooler, or None.
        passes: the number of the block that is run, for each block run.
    """

    token_embedding: TokenEmbedding
    embeddings: EmbeddingPostprocessor
    embedding_projection: keras.layers.Dense | None
    blocks: list[TransformerBlock]
    pooler: FirstTokenPooler | None
    passes: tuple[int, ...]

    @classmethod
    def of(cls, config, policy):
        """Makes the layers that a Config asks for, in a dtype policy."""
        shared = {"initializer_range": config.initializer_range, "dtype": policy}
        eps = config.layer_norm_eps
        embeddings = EmbeddingPostprocessor(
            config.max_position_embeddings,
            config.type_vocab_size,
            dropout=config.hidden_dropout_prob,
            layer_norm_eps=eps if config.embedding_norm_eps is None else config.embedding_norm_eps,
            position_embedding=config.position_embedding,
            pad_token_id=config.pad_token_id,
            positions_from_ids=config.positions_from_ids,
            trains_padding=config.trains_padding,
            name="embeddings",
            **shared,
        )
        blocks = [
            TransformerBlock(
                config.num_attention_heads,
                config.intermediate_size,
                activation=config.hidden_act,
                dropout=config.hidden_dropout_prob,
                attention_dropout=config.attention_probs_dropout_prob,
                layer_norm_eps=eps,
                name=f"layer_{i}",
                **shared,
            )
            for i in range(config.num_block_weights)
        ]
        projection = pooler = None
        if config.projects_embeddings:
            units, stddev = config.hidden_size, config.initializer_range
            projection = dense(units, stddev, name="embedding_projection", dtype=policy)
        if config.pooler is not None:
            pooler = FirstTokenPooler(activation=config.pooler, name="pooler", **shared)
        words = TokenEmbedding(config.vocab_size, config.embedding_width, name="token_embedding", **shared)
        return cls(words, embeddings, projection, blocks, pooler, config.passes)

    def encode(self, inputs, *, positions=None, training=None, return_scores=False):
        """Encodes a batch.

        Args:
            inputs: the dict of the encoder's inputs.
            positions: int (B, P), the only ones that the last block computes, with [CLS] for the pooler; None for all.
            training: whether dropout is on.
            return_scores: whether `attention_scores` are among the outputs.

        Returns:
            All outputs that an Encoder may have, by name.
        """
        ids, mask, segments = (inputs.get(name) for name in ("input_ids", "input_mask", "segment_ids"))
        looks_at_ids = self.embeddings.positions_from_ids or not self.embeddings.trains_padding
        others = {} if segments is None else {"segment_ids": segments}
        others |= {"input_ids": ids} if looks_at_ids else {}
        hidden = self.embeddings(self.token_embedding(ids), **others, training=training)
        outputs = {"embedding_output": hidden, "encoder_outputs": []}
        if self.embedding_projection is not None:
            hidden = self.embedding_projection(hidden)
        scores, last = [], len(self.passes) - 1
        chosen = positions
        if positions is not None and self.pooler is not None:
            first = ops.zeros_like(ids[:, :1], dtype="int32")  # [CLS]
            chosen = ops.concatenate([first, ops.cast(positions, "int32")], axis=1)  # (B, 1 + P)
        for number, index in enumerate(self.passes):
            at = {} if chosen is None or number < last else {"positions": chosen}
            hidden = self.blocks[index](hidden, mask, **at, training=training, return_scores=return_scores)
            if return_scores:
                hidden, score = hidden
                scores.append(score)
            outputs["encoder_outputs"].append(hidden)
        if return_scores:
            outputs["attention_scores"] = scores
        if self.pooler is not None:
            outputs["pooled_output"] = self.pooler(hidden)
            hidden = hidden if positions is None else hidden[:, 1:]
        return {**outputs, "sequence_output": hidden}


Encoder.__name__ = "BertEncoder"  # by which .keras files, those of version 0.1 too, keep an encoder inside a model


def token_inputs(config, shape=(None,)):
    """Returns the symbolic inputs of a model, int32 (B, *shape), which is (B, S) as a rule, by their names."""
    names = ("input_ids", "input_mask", *(("segment_ids",) if config.has_segments else ()))
    return {name: keras.Input(shape, dtype="int32", name=name) for name in names}
