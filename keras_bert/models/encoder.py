"""BertEncoder: token ids -> hidden states (Devlin et al. 2018, section 3; modeling.py, BertModel).

B batch, S sequence, H hidden.
"""

import keras

from keras_bert.config import BertConfig
from keras_bert.layers import EmbeddingPostprocessor, FirstTokenPooler, TokenEmbedding, TransformerBlock
from keras_bert.models.base import PretrainedModel


@keras.saving.register_keras_serializable(package="keras_bert")
class BertEncoder(PretrainedModel):
    """The encoder that every BERT model stands on.

    Inputs are a dict of int tensors (B, S): `input_ids`, `input_mask` (1 real, 0 padding) and
    `segment_ids`. Outputs are a dict: `sequence_output` float (B, S, H), `pooled_output` float (B, H)
    and, with `return_all_layers`, `encoder_outputs`, a list of one float (B, S, H) a block.

    Args:
        config: a BertConfig.
        return_all_layers: whether each block's output is returned too.
        dtype: a Keras dtype policy or its name; the global one if None.

    Example:
        >>> encoder = BertEncoder(BertConfig.from_name("tiny", vocab_size=100))
        >>> sorted(encoder.output)
        ['pooled_output', 'sequence_output']
    """

    def __init__(self, config, *, return_all_layers=False, dtype=None, name="bert_encoder", **kwargs):
        # Layers
        policy = keras.dtype_policies.get(dtype)
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
        encoder_outputs = []
        for block in blocks:
            hidden = block(hidden, inputs["input_mask"])
            encoder_outputs.append(hidden)
        outputs = {"sequence_output": hidden, "pooled_output": pooler(hidden)}
        if return_all_layers:
            outputs |= {"embedding_output": embedding_output, "encoder_outputs": encoder_outputs}
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

        # Config
        self.bert_config = config
        self.return_all_layers = return_all_layers
        self.policy = policy
        self.token_embedding = token_embedding
        self.embeddings = postprocessor
        self.blocks = blocks
        self.pooler = pooler

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "config": self.bert_config.to_dict(),
            "return_all_layers": self.return_all_layers,
            "dtype": keras.dtype_policies.serialize(self.policy),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds the encoder from `get_config`."""
        return super().from_config({**config, "config": BertConfig.from_dict(config["config"])})


def token_inputs():
    """Returns the three symbolic inputs of every BERT model, int32 (B, S)."""
    return {name: keras.Input((None,), dtype="int32", name=name) for name in ("input_ids", "input_mask", "segment_ids")}
