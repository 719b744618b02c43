"""TokenClassifier: a class for every token, as in named-entity recognition (Devlin et al. 2018, section 5.3).

B batch, S sequence, C classes.
"""

import keras
from keras import ops

from keras_bert.data.batches import IGNORED_LABEL
from keras_bert.layers.common import dense, dropout_layer
from keras_bert.models.headed import HeadedModel, class_names, class_options, head_dropout, token_hidden
from keras_bert.models.losses import SparseCrossEntropy


@keras.saving.register_keras_serializable(package="keras_bert")
class TokenClassifier(HeadedModel):
    """Dropout and a dense layer on every token's hidden state; logits float32 (B, S, C).

    Its own loss takes int labels (B, S) and is a mean over the labels that weigh: -100 (IGNORED_LABEL) weighs
    nothing, which is what [CLS], [SEP], padding and all but a word's first piece get; a `sample_weight`, (B,) or
    (B, S), weighs the others. Metrics that Keras computes besides know no -100: give them a `sample_weight`.

    Args:
        encoder: an Encoder.
        num_classes: classes C.
        labels: the classes' names in order, kept in task.json.
        name: the model's name.

    Raises:
        ValueError: another number of labels than of classes.
    """

    TASK = "tag"
    FIELDS = ("num_classes", "labels")

    def __init__(self, encoder, num_classes, *, labels=None, name="bert_token_classifier", **kwargs):
        # Layers
        config = encoder.bert_config
        labels = class_names(num_classes, labels)
        dropout = dropout_layer(head_dropout(config, self.head_task()), name="classifier_dropout", dtype=encoder.policy)
        classifier = dense(num_classes, config.initializer_range, name="classifier", dtype=encoder.policy)

        # Functional model
        inputs = encoder.token_inputs()
        hidden, layer = encoder(inputs)["sequence_output"], token_hidden(encoder)
        hidden = hidden if layer is None else layer(hidden)
        logits = ops.cast(classifier(dropout(hidden)), "float32")
        super().__init__(inputs=inputs, outputs=logits, name=name, **kwargs)

        # Config
        self.set_head(encoder, classifier, num_classes=num_classes, labels=labels)
        self.keep_hidden(layer)

    @classmethod
    def head_options(cls, task, **given):
        """Returns the constructor's FIELDS from task.json's contents and from those the caller gave."""
        return class_options(cls.__name__, task, **given)

    def default_loss(self):
        """Cross-entropy of the tokens that have a label."""
        return SparseCrossEntropy(ignored_label=IGNORED_LABEL)
