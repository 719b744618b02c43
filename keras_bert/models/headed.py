"""HeadedModel: what every BERT model but the bare encoder shares. A head on a BertEncoder."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_bert.checkpoints.opening import class_labels
from keras_bert.errors import UserError
from keras_bert.models.base import PretrainedModel
from keras_bert.models.encoder import BertEncoder


class HeadedModel(PretrainedModel):
    """A BertEncoder with a head, as a rule one dense layer.

    A subclass calls `set_head` when its functional model stands, and says in

        TASK: what task.json calls it;
        ARRAYS: how google-research/bert's names of its dense layer's arrays begin;
        FIELDS: what its constructor takes beside the encoder. They are kept in the config and in task.json.
    """

    TASK = None
    ARRAYS = "output"
    FIELDS = ()

    def set_head(self, encoder, head=None, **fields):
        """Keeps the encoder, the head's dense layer and the values of FIELDS as attributes, NumPy's as Python's own."""
        self.bert_config = encoder.bert_config
        self.encoder = encoder
        self.head = head
        for name in self.FIELDS:
            setattr(self, name, fields[name].item() if isinstance(fields[name], np.generic) else fields[name])

    @classmethod
    def build_from(cls, config, task, **options):
        """Makes the model with fresh weights; what the options do not say of the head, its own task.json does."""
        encoder_options = {"sentence_vectors": task.get("sentence_vectors")}
        task = task if task.get("task", cls.TASK) == cls.TASK else {}
        given = {name: options.pop(name) for name in cls.FIELDS if options.get(name) is not None}
        options = {name: value for name, value in options.items() if name not in cls.FIELDS}
        return cls(BertEncoder(config, **encoder_options, **options), **cls.head_options(task, **given))

    @classmethod
    def head_options(cls, task, **given):
        """Returns the constructor's FIELDS from task.json's contents and from those the caller gave."""
        return {name: given.get(name, task[name]) for name in cls.FIELDS if name in given or name in task}

    def task(self):
        """Returns the head's kind and its FIELDS."""
        return {"task": self.TASK, **self._fields()}

    def head_variables(self):
        """Returns {name: (variable, transposed)} of the head, in google-research/bert's names."""
        return {
            f"{self.ARRAYS}_weights": (self.head.kernel, True),
            f"{self.ARRAYS}_bias": (self.head.bias, False),
        }

    def get_config(self):
        """Returns the constructor's arguments."""
        encoder = keras.saving.serialize_keras_object(self.encoder)
        return {**super().get_config(), "encoder": encoder, **self._fields()}

    def _fields(self):
        return {name: getattr(self, name) for name in self.FIELDS}


def class_names(num_classes, labels):
    """Returns the classes' names as a list of str: `labels`, or else "0", "1" and so on.

    >>> class_names(2, [7, "b"])
    ['7', 'b']

    Raises:
        ValueError: another number of labels than of classes.
        UserError: a name that is neither a string nor a whole number, or two equal names.
    """
    if labels is None:
        return [str(i) for i in range(num_classes)]
    if isinstance(labels, (str, bytes, Mapping)):
        raise UserError(f"labels must be a list of names, one a class. Received: {labels!r:.80}.")
    if len(labels) != num_classes:
        raise ValueError(f"labels must have one name a class. Received: {len(labels)} for {num_classes} classes.")
    return class_labels(labels, what="labels")


def class_options(model, task, *, num_classes=None, labels=None, **given):
    """Returns the FIELDS of a model with classes, whose names the task.json gives if it has as many.

    Raises:
        UserError: nobody says how many classes there are.
    """
    if num_classes is None:
        num_classes = len(labels) if labels else task.get("num_classes")
    if num_classes is None:
        raise UserError(f"The checkpoint has no head for a {model}; say num_classes=... or labels=[...].")
    if labels is None and num_classes == task.get("num_classes"):
        labels = task.get("labels")
    return {"num_classes": num_classes, "labels": labels, **given}
