"""BertClassifier: a class (or, with one output, a number) for a text or a pair (run_classifier.py, create_model).

B batch, S sequence, C classes.
"""

import keras
from keras import ops

from keras_bert.layers.common import dense, dropout_layer
from keras_bert.models.encoder import token_inputs
from keras_bert.models.headed import HeadedModel, class_names, class_options
from keras_bert.models.losses import SparseCrossEntropy


@keras.saving.register_keras_serializable(package="keras_bert")
class BertClassifier(HeadedModel):
    """Dropout and a dense layer on the pooled output; logits float32 (B, C).

    Its own loss takes int labels (B,); a regressor's takes numbers, float (B,) or (B, 1).

    Args:
        encoder: a BertEncoder.
        num_classes: classes C; 1 makes it a regressor with a mean squared error.
        labels: the classes' names in order, kept in task.json and given back by the served model.
        pair: whether it is made for two texts at a time, which the served model then takes.
        name: the model's name.

    Raises:
        ValueError: another number of labels than of classes.
    """

    TASK = "classification"
    FIELDS = ("num_classes", "labels", "pair")

    def __init__(self, encoder, num_classes, *, labels=None, pair=False, name="bert_classifier", **kwargs):
        # Layers
        config = encoder.bert_config
        labels = class_names(num_classes, labels)
        dropout = dropout_layer(config.hidden_dropout_prob, name="classifier_dropout", dtype=encoder.policy)
        classifier = dense(num_classes, config.initializer_range, name="classifier", dtype=encoder.policy)

        # Functional model
        inputs = token_inputs()
        logits = ops.cast(classifier(dropout(encoder.pooled_output(inputs))), "float32")
        super().__init__(inputs=inputs, outputs=logits, name=name, **kwargs)

        # Config
        self.set_head(encoder, classifier, num_classes=num_classes, labels=labels, pair=bool(pair))

    @classmethod
    def head_options(cls, task, *, pair=None, **given):
        """Returns the constructor's FIELDS from task.json's contents and from those the caller gave."""
        return class_options(cls.__name__, task, pair=task.get("pair", False) if pair is None else pair, **given)

    def task(self):
        """Returns the head's kind, its number of classes and their names, and `pair` if it takes pairs."""
        task = super().task()
        return task if self.pair else {name: value for name, value in task.items() if name != "pair"}

    def default_loss(self):
        """Cross-entropy; a mean squared error for a single output."""
        return "mse" if self.num_classes == 1 else SparseCrossEntropy()
