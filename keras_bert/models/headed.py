"""HeadedModel: what every model but the bare encoder shares. A head on an Encoder.

B batch, S sequence, H hidden.
"""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from keras_bert.checkpoints.opening import class_labels
from keras_bert.checkpoints.parts import head_weights, pooler_weights, reads_pooler
from keras_bert.errors import UserError
from keras_bert.families import find_family
from keras_bert.layers import FirstTokenPooler
from keras_bert.layers.common import ACTIVATIONS, dense, dropout_layer, layer_norm
from keras_bert.models.base import PretrainedModel
from keras_bert.models.encoder import Encoder
from keras_bert.models.packed import is_text, text_means, text_numbers


class HeadedModel(PretrainedModel):
    """An Encoder with a head, as a rule one dense layer.

    A subclass calls `set_head` when its functional model is made, and says in

        TASK: what task.json calls it;
        HEAD: the task whose head it has, by its weights and by transformers' class; TASK if None;
        FIELDS: what its constructor takes beside the encoder. They are kept in the config and in task.json;
        BY_TEXT: whether all its outputs are one of each text, not of each token or slot.
    """

    TASK = None
    HEAD = None
    FIELDS = ()
    BY_TEXT = False

    def keep_hidden(self, hidden):
        """Keeps the layers of a Hidden, or None, as attributes."""
        self.hidden_layer = None if hidden is None else hidden.layer
        self.hidden_norm = None if hidden is None else hidden.norm

    def set_head(self, encoder, head=None, **fields):
        """Keeps the encoder, the head's dense layer and the values of FIELDS as attributes, NumPy's as Python's own."""
        find_family(encoder.bert_config.family).head(self.head_task())  # which says if it has none
        self.bert_config = encoder.bert_config
        self.encoder = encoder
        self.head = head
        for name in self.FIELDS:
            setattr(self, name, fields[name].item() if isinstance(fields[name], np.generic) else fields[name])

    @classmethod
    def head_task(cls):
        """Returns the task whose head the model has: its own, unless HEAD names another."""
        return cls.HEAD or cls.TASK

    @classmethod
    def build_from(cls, config, task, **options):
        """Makes the model with fresh weights; what the options do not say of the head, its own task.json does."""
        encoder_options = {"sentence_vectors": task.get("sentence_vectors")}
        task = task if task.get("task", cls.TASK) == cls.TASK else {}
        family = find_family(config.family)
        family.head(cls.head_task())  # or an error that lists those it has
        if family.pools_by_head:
            config = config.replace(pooler="tanh" if reads_pooler(config, cls.head_task()) else None)
        given = {name: options.pop(name) for name in cls.FIELDS if options.get(name) is not None}
        options = {name: value for name, value in options.items() if name not in cls.FIELDS}
        return cls(Encoder(config, **encoder_options, **options), **cls.head_options(task, **given))

    @classmethod
    def head_options(cls, task, **given):
        """Returns the constructor's FIELDS from task.json's contents and from those the caller gave."""
        return {name: given.get(name, task.get(name)) for name in cls.FIELDS if name in given or name in task}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Computes the loss as Keras does; of packed rows without weights, places without a text weigh nothing."""
        return super().compute_loss(x, y, y_pred, self._weights(x, y_pred, sample_weight), training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Computes the metrics as Keras does, with the weights of the loss."""
        return super().compute_metrics(x, y, y_pred, self._weights(x, y_pred, sample_weight))

    def _weights(self, x, outputs, given):
        if given is not None or not self.BY_TEXT or not self.reads_packed_rows or not isinstance(x, Mapping):
            return given
        if "sequence_starts" not in x:
            return None
        weights = ops.cast(is_text(x["sequence_ids"], x["sequence_starts"]), "float32")
        return dict.fromkeys(outputs, weights) if isinstance(outputs, dict) else weights

    def task(self):
        """Returns the head's kind and its FIELDS."""
        head = {} if self.HEAD is None else {"head": self.HEAD}
        return {"task": self.TASK, **head, **self._fields()}

    def head_weights(self):
        """Yields what the head's weights are, as checkpoints/parts.py lists them; paths are the model's attributes."""
        if getattr(self, "pooler", None) is not None:
            yield from pooler_weights(self.bert_config, "pooler.dense")
        yield from head_weights(self.bert_config, self.head_task(), classes=getattr(self, "num_classes", 1))

    def get_config(self):
        """Returns the constructor's arguments."""
        encoder = keras.saving.serialize_keras_object(self.encoder)
        return {**super().get_config(), "encoder": encoder, **self._fields()}

    def _fields(self):
        return {name: getattr(self, name) for name in self.FIELDS}


def head_dropout(config, task):
    """Returns the dropout before the output weights of a family's head for a task.

    >>> from keras_bert.config import Config
    >>> config = Config.of_family("distilbert", hidden_dropout_prob=0.3)
    >>> [head_dropout(config, task) for task in ("classify", "tag")]
    [0.2, 0.3]
    """
    return getattr(config, find_family(config.family).head(task).dropout)


class Hidden:
    """The hidden layer of a head: a dense layer, an activation, and in some families a LayerNorm.

    Args:
        encoder: the Encoder.
        activation: after the dense layer.

    Attributes:
        layer: the Dense layer (H, H).
        norm: the LayerNorm, or None.
    """

    def __init__(self, encoder, activation):
        config, policy = encoder.bert_config, encoder.policy
        self.activation, self.norm = activation, None
        size, stddev, bias = config.hidden_size, config.initializer_range, config.head_bias
        self.layer = dense(size, stddev, name="hidden_layer", use_bias=bias, dtype=policy)
        if config.head_norm:
            eps, bias = config.layer_norm_eps, config.head_norm_bias
            self.norm = layer_norm(eps, name="hidden_norm", use_bias=bias, dtype=policy)

    def __call__(self, x):
        """Returns float (..., H) from the same."""
        x = ACTIVATIONS[self.activation](self.layer(x))
        return x if self.norm is None else self.norm(x)


def token_hidden(encoder):
    """Returns the Hidden that a family's heads for each token have, or None."""
    activation = encoder.bert_config.token_act
    return None if activation is None else Hidden(encoder, activation)


class Pooled:
    """What a classifier reads of a sequence, and the layers that make it: the pooled output, or a hidden layer's.

    Args:
        encoder: the Encoder.
        activation: that of the hidden layer, or None for the pooled output.
        pooling: the hidden layer reads the "first" hidden state, the "last" or their "mean", padding among them, or of
            the real tokens the "first_real" or their "mean_real".
        dropout: rate before the classifier's dense layer.
        input_dropout: rate before the hidden layer.

    Attributes:
        hidden: the Hidden, or None.
        pooler: the FirstTokenPooler of a head that reads a pooled output which the encoder does not have, or None.
    """

    def __init__(self, encoder, *, activation=None, pooling="first", dropout, input_dropout=0.0):
        config, policy = encoder.bert_config, encoder.policy
        self.encoder, self.pooling = encoder, pooling
        self.dropout = dropout_layer(dropout, name="classifier_dropout", dtype=policy)
        self.hidden = self.pooler = self.input_dropout = None
        if activation is not None:
            self.hidden = Hidden(encoder, activation)
            self.input_dropout = self.dropout
            if input_dropout != dropout:
                self.input_dropout = dropout_layer(input_dropout, name="classifier_input_dropout", dtype=policy)
        elif encoder.pooler is None:
            self.pooler = FirstTokenPooler(initializer_range=config.initializer_range, name="pooler", dtype=policy)

    def __call__(self, inputs):
        """Returns float (B, H), of packed rows (B, N, H), from a dict of the encoder's inputs, after dropout."""
        if self.hidden is None:
            if self.pooler is None:
                return self.dropout(self.encoder.pooled_output(inputs))
            places = (text_numbers(inputs["sequence_starts"]),) if self.encoder.packed else ()
            return self.dropout(self.pooler(self.encoder.first_output(inputs), *places))
        return self.dropout(self.hidden(self.input_dropout(self._read(inputs))))

    def _read(self, inputs):
        """Returns float (B, H), of packed rows (B, N, H), what the hidden layer reads."""
        if self.encoder.packed:
            return self._read_texts(inputs)
        if self.pooling == "first":
            hidden = self.encoder.first_output(inputs)
        elif self.pooling == "first_real":
            return self.encoder.first_output(inputs, of_real=True)[:, 0]
        else:
            hidden = self.encoder(inputs)["sequence_output"]
        with keras.RematScope(mode=None):  # Keras 3.15 cannot compute a slice again
            if self.pooling == "mean_real":
                real = ops.expand_dims(ops.cast(inputs["input_mask"], "float32"), -1)  # (B, S, 1)
                total = ops.sum(ops.cast(hidden, "float32") * real, axis=1)  # halves cannot count thousands
                return ops.cast(total / ops.maximum(ops.sum(real, axis=1), 1), hidden.dtype)
            place = {"first": 0, "last": -1}.get(self.pooling)
            return ops.mean(hidden, axis=1) if place is None else hidden[:, place]

    def _read_texts(self, inputs):
        """Returns float (B, N, H) of packed rows."""
        if self.pooling in ("first", "first_real"):  # each text begins with a token
            return self.encoder.first_output(inputs)
        hidden = self.encoder(inputs)["sequence_output"]
        return text_means(hidden, inputs["sequence_ids"], inputs["sequence_starts"])


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
