"""BertClassifier: a class (or, with one output, a number) for a text or a pair (run_classifier.py, create_model).

B batch, S sequence, C classes.
"""

import keras
from keras import ops

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
        name: the model's name.

    Raises:
        ValueError: another number of labels than of classes.
    """

    def __init__(self, encoder, num_classes, *, labels=None, name="bert_classifier", **kwargs):
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

    @classmethod
    def build_from(cls, config, task, *, num_classes=None, labels=None, **options):
        """Makes a classifier with fresh weights; classes come from the options or else from task.json."""
        if num_classes is None:
            labels = task.get("labels") if labels is None else labels
            num_classes = len(labels) if labels else task.get("num_classes")
        if num_classes is None:
            raise ValueError("The checkpoint has no classifier's task.json; say num_classes=... or labels=[...].")
        return cls(BertEncoder(config, **options), num_classes, labels=labels)

    def task(self):
        """Returns the head's kind, its number of classes and their names."""
        return {"task": "classify", "num_classes": self.num_classes, "labels": self.labels}

    def head_variables(self):
        """Returns {name: (variable, transposed)} of the head, in google-research/bert's names."""
        return {"output_weights": (self.classifier.kernel, True), "output_bias": (self.classifier.bias, False)}

    def default_loss(self):
        """Cross-entropy; a mean squared error for a single output."""
        return "mse" if self.num_classes == 1 else SparseCrossEntropy()

    def get_config(self):
        """Returns the constructor's arguments."""
        encoder = keras.saving.serialize_keras_object(self.encoder)
        return {"encoder": encoder, "num_classes": self.num_classes, "labels": self.labels, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds the model from `get_config`."""
        return cls(**{**config, "encoder": keras.saving.deserialize_keras_object(config["encoder"])})
