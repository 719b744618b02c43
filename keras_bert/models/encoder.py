"""BertEncoder: token ids -> hidden states (Devlin et al. 2018, section 3; modeling.py, BertModel).

B batch, S sequence, P positions, H hidden, A heads.
"""

import contextlib
import contextvars
import json
import types

import keras
from keras import ops

from keras_bert.checkpoints.parts import check_memory
from keras_bert.config import BertConfig
from keras_bert.layers import EmbeddingPostprocessor, FirstTokenPooler, TokenEmbedding, TransformerBlock
from keras_bert.models.base import PretrainedModel
from keras_bert.models.inputs import complete_inputs

# {id of an encoder: what computes it instead}, of the calls of one thread: others go on as they are.
_computed_by = contextvars.ContextVar("computed_by", default=types.MappingProxyType({}))


@keras.saving.register_keras_serializable(package="keras_bert")
class BertEncoder(PretrainedModel):
    """The encoder that every BERT model stands on.

    Inputs are a dict of int tensors (B, S): `input_ids`, `input_mask` (1 real, 0 padding) and
    `segment_ids`, of which the last two may be left out (then all tokens but [PAD] are real and in segment 0), by these
    names or Hugging Face's, `attention_mask` and `token_type_ids`; what else the dict holds is left alone. Outputs are
    a dict: `sequence_output` float (B, S, H), `pooled_output` float (B, H) and on request

        `embedding_output`, float (B, S, H), and `encoder_outputs`, a list of one float (B, S, H) a block;
        `attention_scores`, a list of one float32 (B, A, S, S) a block: how much a head's every position
        (the third axis) takes from every other (the last, which sums to 1), before dropout.

    Args:
        config: a BertConfig.
        return_all_layers: whether the embeddings' and each block's output are returned too.
        return_attention_scores: whether each block's attention probabilities are returned too.
        sentence_vectors: how `keras_bert.embed` makes a text's vector, as the checkpoint says; None where it does not.
        dtype: a Keras dtype policy or its name; the global one if None.

    Example:
        >>> encoder = BertEncoder(BertConfig.from_name("tiny", vocab_size=100))
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
        if not isinstance(config, BertConfig):
            raise TypeError(f'config must be a BertConfig, such as BertConfig.from_name("tiny"). Received: {config!r}.')
        policy = keras.dtype_policies.get(dtype)
        if keras.distribution.distribution() is None:  # else each device may hold a part of them
            check_memory(config, itemsize=2 if policy.variable_dtype.endswith("16") else 4)

        # Layers
        shared = {"initializer_range": config.initializer_range, "dtype": policy}
        token_embedding = TokenEmbedding(config.vocab_size, config.hidden_size, name="token_embedding", **shared)
        postprocessor = EmbeddingPostprocessor(
            config.max_position_embeddings,
            config.type_vocab_size,
            dropout=config.hidden_dropout_prob,
            layer_norm_eps=config.layer_norm_eps,
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
                layer_norm_eps=config.layer_norm_eps,
                name=f"layer_{i}",
                **shared,
            )
            for i in range(config.num_hidden_layers)
        ]
        pooler = FirstTokenPooler(name="pooler", **shared)

        # Functional model
        inputs = token_inputs()
        embedding_output = hidden = postprocessor(token_embedding(inputs["input_ids"]), inputs["segment_ids"])
        encoder_outputs, attention_scores = [], []
        for block in blocks:
            hidden = block(hidden, inputs["input_mask"], return_scores=return_attention_scores)
            if return_attention_scores:
                hidden, scores = hidden
                attention_scores.append(scores)
            encoder_outputs.append(hidden)
        outputs = {"sequence_output": hidden, "pooled_output": pooler(hidden)}
        if return_all_layers:
            outputs |= {"embedding_output": embedding_output, "encoder_outputs": encoder_outputs}
        if return_attention_scores:
            outputs["attention_scores"] = attention_scores
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

        # Config
        self.bert_config = config
        self.return_all_layers = return_all_layers
        self.return_attention_scores = return_attention_scores
        self._sentence_vectors = json.dumps(sentence_vectors)  # as text: Keras tracks a dict, and saves it
        self.policy = policy
        self.token_embedding = token_embedding
        self.embeddings = postprocessor
        self.blocks = blocks
        self.pooler = pooler

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
        hidden = self.embeddings(self.token_embedding(inputs["input_ids"]), inputs["segment_ids"], training=training)
        *blocks, last = self.blocks
        for block in blocks:
            hidden = block(hidden, inputs["input_mask"], training=training)
        first = ops.zeros_like(inputs["input_ids"][:, :1], dtype="int32")  # [CLS]
        positions = ops.concatenate([first, ops.cast(positions, "int32")], axis=1)  # (B, 1 + P)
        hidden = last(hidden, inputs["input_mask"], positions, training=training)
        return {"sequence_output": hidden[:, 1:], "pooled_output": self.pooler(hidden)}

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

    def compute_output_spec(self, inputs, training=None, mask=None, positions=None):
        """Gives the outputs' shapes without running `call`."""
        outputs = super().compute_output_spec(inputs, training=training, mask=mask)
        if positions is None:
            return outputs
        pooled, hidden = outputs["pooled_output"], outputs["sequence_output"]
        shape = (*positions.shape, self.bert_config.hidden_size)
        return {"sequence_output": keras.KerasTensor(shape, dtype=hidden.dtype), "pooled_output": pooled}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds the encoder from `get_config`."""
        return super().from_config({**config, "config": BertConfig.from_dict(config["config"])})


def token_inputs(shape=(None,)):
    """Returns the three symbolic inputs of every BERT model, int32 (B, *shape), which is (B, S) as a rule."""
    return {name: keras.Input(shape, dtype="int32", name=name) for name in ("input_ids", "input_mask", "segment_ids")}
