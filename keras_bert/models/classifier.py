"""BertClassifier: a class (or, with one output, a number) for a text or a pair (run_classifier.py, create_model).

B batch, S sequence, C classes.
"""

import keras
from keras import ops

from keras_bert.errors import UserError
from keras_bert.layers.common import dense
from keras_bert.models.base import PretrainedModel
from keras_bert.models.encoder import BertEncoder, token_inputs
from keras_bert.models.losses import SparseCrossEntropy


@keras.saving.register_keras_serializable(package="keras_bert")
class BertClassifier(PretrainedModel):
    """Dropout and a dense layer on the pooled output; logits float32 (B, C).

    Args:
        encoder: a BertEncoder.
        num_classes: classes C; 1 makes it a regressor with a mean squared error.
        labels: the classes' names in order, kept in task.json and given back by the served model.
        pair: whether it is made for two texts at a time, which the served model then takes.
        name: the model's name.

    Raises:
        ValueError: another number of labels than of classes.
    """

    def __init__(self, encoder, num_classes, *, labels=None, pair=False, name="bert_classifier", **kwargs):
        if labels is not None and len(labels) != num_classes:
            raise ValueError(f"labels must have one name a class. Received: {len(labels)} for {num_classes} classes.")
        # Layers
        config = encoder.bert_config
        dropout = keras.layers.Dropout(config.hidden_dropout_prob, name="classifier_dropout", dtype=encoder.policy)
        classifier = dense(num_classes, config.initializer_range, name="classifier", dtype=encoder.policy)

        # Functional model
        inputs = token_inputs()
        logits = ops.cast(classifier(dropout(encoder(inputs)["pooled_output"])), "float32")
        super().__init__(inputs=inputs, outputs=logits, name=name, **kwargs)

        # Config
        self.bert_config = config
        self.encoder = encoder
        self.classifier = classifier
        self.num_classes = num_classes
        self.labels = [str(i) for i in range(num_classes)] if labels is None else list(labels)
        self.pair = bool(pair)

    @classmethod
    def build_from(cls, config, task, *, num_classes=None, labels=None, pair=None, **options):
        """Makes a classifier with fresh weights; classes and pair come from the options or else from task.json."""
        if num_classes is None:
            num_classes = len(labels) if labels else task.get("num_classes")
        if num_classes is None:
            raise UserError("The checkpoint has no classifier's head; say num_classes=... or labels=[...].")
        if labels is None and num_classes == task.get("num_classes"):
            labels = task.get("labels")
        pair = task.get("pair", False) if pair is None else pair
        return cls(BertEncoder(config, **options), num_classes, labels=labels, pair=pair)

    def task(self):
        """Returns the head's kind, its number of classes and their names, and whether it takes pairs."""
        task = {"task": "classify", "num_classes": self.num_classes, "labels": self.labels}
        return {**task, "pair": True} if self.pair else task

    def head_variables(self):
        """Returns {name: (variable, transposed)} of the head, in google-research/bert's names."""
        return {"output_weights": (self.classifier.kernel, True), "output_bias": (self.classifier.bias, False)}

    def default_loss(self):
        """Cross-entropy; a mean squared error for a single output."""
        return "mse" if self.num_classes == 1 else SparseCrossEntropy()

    def get_config(self):
        """Returns the constructor's arguments."""
        encoder = keras.saving.serialize_keras_object(self.encoder)
        head = {"num_classes": self.num_classes, "labels": self.labels, "pair": self.pair}
        return {**super().get_config(), "encoder": encoder, **head}
