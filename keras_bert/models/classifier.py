"""Classifier: a class (or several labels, or a number) for a text or a pair (run_classifier.py, create_model).

B batch, S sequence, C classes.
"""

import keras
from keras import ops

from keras_bert.layers.common import dense
from keras_bert.models.headed import HeadedModel, Pooled, class_names, class_options, head_dropout
from keras_bert.models.losses import SigmoidCrossEntropy, SparseCrossEntropy, SquaredError
from keras_bert.models.walk import mark_depths

LABEL_SEPARATOR = ","  # between the labels of one text, where they stand in one string


@keras.saving.register_keras_serializable(package="keras_bert")
class Classifier(HeadedModel):
    """Dropout and a dense layer on the pooled output, or on the family's hidden layer; logits float32 (B, C).

    Its own loss takes int labels (B,); a regressor's takes numbers, float (B,) or (B, 1), and that of a model for
    several labels 0 and 1, (B, C). Of packed rows, with an encoder of such, logits are (B, N, C) and labels (B, N) or
    (B, N, C); places without a text weigh nothing.

    Args:
        encoder: an Encoder.
        num_classes: classes C; 1 makes it a regressor with a mean squared error.
        labels: the classes' names in order, kept in task.json and given back by the served model.
        pair: whether it is made for two texts at a time, which the served model then takes.
        multi_label: whether each class is there or not by itself, so that a text may have several or none. The
            probability of each is the sigmoid of its logit.
        name: the model's name.

    Raises:
        ValueError: another number of labels than of classes.
    """

    TASK = "classify"
    BY_TEXT = True
    FIELDS = ("num_classes", "labels", "pair", "multi_label")

    def __init__(
        self, encoder, num_classes, *, labels=None, pair=False, multi_label=False, name="bert_classifier", **kwargs
    ):
        # Layers
        config = encoder.bert_config
        labels = class_names(num_classes, labels)
        pooled = Pooled(
            encoder,
            activation=config.classifier_act,
            dropout=head_dropout(config, self.head_task()),
            input_dropout=config.classifier_input_dropout,
            pooling=config.classifier_pooling,
        )
        classifier = dense(num_classes, config.initializer_range, name="classifier", dtype=encoder.policy)

        # Functional model
        inputs = encoder.token_inputs()
        logits = ops.cast(classifier(pooled(inputs)), "float32")
        super().__init__(inputs=inputs, outputs=logits, name=name, **kwargs)

        # Config
        fields = {"num_classes": num_classes, "labels": labels, "pair": bool(pair), "multi_label": bool(multi_label)}
        self.set_head(encoder, classifier, **fields)
        self.pooler = pooled.pooler
        self.keep_hidden(pooled.hidden)
        mark_depths(self)  # of a pooler of its own

    @classmethod
    def head_options(cls, task, *, pair=None, multi_label=None, **given):
        """Returns the constructor's FIELDS from task.json's contents and from those the caller gave."""
        flags = {"pair": pair, "multi_label": multi_label}
        flags = {name: task.get(name, False) if value is None else value for name, value in flags.items()}
        return class_options(cls.__name__, task, **flags, **given)

    @property
    def kind(self):
        """What it answers: "classes" (one of them), "multi_label" (any number of them) or "regression" (a number)."""
        if self.multi_label:
            return "multi_label"
        return "regression" if self.num_classes == 1 else "classes"

    def task(self):
        """Returns the head's kind, its number of classes and their names, and `pair` and `multi_label` if it is so."""
        return {name: value for name, value in super().task().items() if value is not False}

    def default_loss(self):
        """Cross-entropy, of each label by itself where there may be several; a mean squared error for a number."""
        if self.kind == "regression":
            return SquaredError() if self.reads_packed_rows else "mse"
        return SigmoidCrossEntropy() if self.multi_label else SparseCrossEntropy()
