"""MultipleChoice: which of several endings fits, as in SWAG (Devlin et al. 2018, section 4.4).

B batch, N choices, S sequence, H hidden.
"""

import keras
from keras import ops

from keras_bert.errors import UserError
from keras_bert.layers import FoldChoices, UnfoldChoices
from keras_bert.layers.common import dense
from keras_bert.models.headed import HeadedModel, Pooled, head_dropout
from keras_bert.models.losses import SparseCrossEntropy
from keras_bert.models.walk import mark_depths


@keras.saving.register_keras_serializable(package="keras_bert")
class MultipleChoice(HeadedModel):
    """Dropout and one number from the pooled output of every choice; logits float32 (B, N).

    Inputs are the encoder's, int (B, N, S): each choice is a sequence of its own, and N may differ from batch to
    batch. Its own loss takes the right choice's number, int (B,).

    Args:
        encoder: an Encoder.
        name: the model's name.

    Raises:
        UserError: an encoder of packed rows.
    """

    TASK = "choose"

    def __init__(self, encoder, *, name="bert_multiple_choice", **kwargs):
        if encoder.packed:
            raise UserError("MultipleChoice reads a choice a row; make its encoder without packed=True.")
        # Layers
        config = encoder.bert_config
        dropout = config.choice_dropout_prob
        pooled = Pooled(
            encoder,
            activation=config.choice_act,
            pooling=config.choice_pooling,
            dropout=head_dropout(config, self.head_task()) if dropout is None else dropout,
            input_dropout=config.classifier_input_dropout_prob or 0.0,
        )
        classifier = dense(1, config.initializer_range, name="classifier", dtype=encoder.policy)
        fold, unfold = FoldChoices(name="fold_choices"), UnfoldChoices(name="unfold_choices", dtype="float32")

        # Functional model
        inputs = encoder.token_inputs((None, None))
        read = pooled({name: fold(array) for name, array in inputs.items()})  # (B * N, H)
        scores = ops.cast(classifier(read), "float32")  # (B * N, 1)
        super().__init__(inputs=inputs, outputs=unfold(scores, inputs["input_ids"]), name=name, **kwargs)

        # Config
        self.set_head(encoder, classifier)
        self.pooler = pooled.pooler
        self.keep_hidden(pooled.hidden)
        mark_depths(self)  # of a pooler of its own

    @property
    def reads_padding(self):
        """Whether its answer depends on the hidden states of padding, as transformers' does in these poolings."""
        return self.hidden_layer is not None and self.bert_config.choice_pooling in ("last", "mean")

    def default_loss(self):
        """Cross-entropy over the choices."""
        return SparseCrossEntropy()
