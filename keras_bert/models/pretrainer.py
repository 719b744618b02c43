"""BertPretrainer: masked language model and next-sentence prediction on one encoder.

Source: Devlin et al. 2018, section 3.1; run_pretraining.py of google-research/bert.
B batch, S sequence, P predictions, H hidden, V vocabulary.
"""

import keras
from keras import ops

from keras_bert.layers import MaskedLMTransform, OutputBias
from keras_bert.layers.common import dense
from keras_bert.models.encoder import token_inputs
from keras_bert.models.headed import HeadedModel
from keras_bert.models.losses import SparseCrossEntropy


@keras.saving.register_keras_serializable(package="keras_bert")
class BertPretrainer(HeadedModel):
    """Scores the vocabulary at masked positions, and whether the second segment follows the first.

    Inputs are the encoder's and `masked_lm_positions`, int (B, P). Outputs are logits, float32:
    `masked_lm` (B, P, V) and `next_sentence` (B, 2), where class 0 means "is next" and 1 "random".
    The output weights are the token embeddings (tied), as in the paper.

    Args:
        encoder: a BertEncoder.
        name: the model's name.

    Example:
        >>> from keras_bert.config import BertConfig
        >>> from keras_bert.models import BertEncoder
        >>> model = BertPretrainer(BertEncoder(BertConfig.from_name("tiny", vocab_size=100)))
        >>> model.output["masked_lm"].shape
        (None, None, 100)
    """

    TASK = "pretraining"

    def __init__(self, encoder, *, name="bert_pretrainer", **kwargs):
        # Layers
        config = encoder.bert_config
        shared = {"initializer_range": config.initializer_range, "dtype": encoder.policy}
        transform = MaskedLMTransform(
            activation=config.hidden_act, layer_norm_eps=config.layer_norm_eps, name="masked_lm_transform", **shared
        )
        output_bias = OutputBias(name="masked_lm_bias", dtype=encoder.policy)
        next_sentence = dense(2, config.initializer_range, name="next_sentence", dtype=encoder.policy)

        # Functional model
        inputs = token_inputs()
        positions = keras.Input((None,), dtype="int32", name="masked_lm_positions")
        encoded = encoder(inputs, positions=positions)
        hidden = transform(encoded["sequence_output"])  # (B, P, H): only the masked positions meet the vocabulary
        outputs = {
            "masked_lm": output_bias(encoder.token_embedding(hidden, reverse=True)),
            "next_sentence": ops.cast(next_sentence(encoded["pooled_output"]), "float32"),
        }
        super().__init__(inputs={**inputs, "masked_lm_positions": positions}, outputs=outputs, name=name, **kwargs)

        # Config
        self.set_head(encoder)
        self.masked_lm_transform = transform
        self.masked_lm_bias = output_bias
        self.next_sentence = next_sentence

    def head_variables(self):
        """Returns {name: (variable, transposed)} of the heads, in google-research/bert's names."""
        transform, next_sentence = self.masked_lm_transform, self.next_sentence
        return {
            "cls/predictions/transform/dense/kernel": (transform.dense.kernel, False),
            "cls/predictions/transform/dense/bias": (transform.dense.bias, False),
            "cls/predictions/transform/LayerNorm/gamma": (transform.layer_norm.gamma, False),
            "cls/predictions/transform/LayerNorm/beta": (transform.layer_norm.beta, False),
            "cls/predictions/output_bias": (self.masked_lm_bias.bias, False),
            "cls/seq_relationship/output_weights": (next_sentence.kernel, True),
            "cls/seq_relationship/output_bias": (next_sentence.bias, False),
        }

    def default_loss(self):
        """Masked-LM loss + next-sentence loss, each a mean over its weights."""
        return {"masked_lm": SparseCrossEntropy(), "next_sentence": SparseCrossEntropy()}
