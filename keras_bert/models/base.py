"""PretrainedModel: what all BERT models share. Default losses, and from_pretrained / save_pretrained."""

import keras

from keras_bert.checkpoints import grow_checkpoint, open_checkpoint, save_checkpoint
from keras_bert.models.weights import assign_arrays, collect_arrays


class PretrainedModel(keras.Model):
    """A functional Keras model that knows its BertConfig, its own loss, and how to load and save checkpoints."""

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """Compiles as Keras does; with no loss, BERT's own (`default_loss`) is taken."""
        super().compile(optimizer=optimizer, loss=self.default_loss() if loss is None else loss, **kwargs)

    def compile_from_config(self, config):
        """Compiles as a saved model was, its optimizer's variables included; Keras skips this for an own `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def get_config(self):
        """Returns what every constructor takes, and which of the model's own layers are frozen."""
        own = (layer for layer in self.layers if layer.weights and not isinstance(layer, PretrainedModel))
        frozen = [layer.name for layer in own if not layer.trainable]
        return {"name": self.name, "frozen": frozen}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds the model from `get_config`."""
        config = dict(config)
        frozen = config.pop("frozen", ())
        if "encoder" in config:
            config["encoder"] = keras.saving.deserialize_keras_object(config["encoder"])
        model = cls(**config)
        for name in frozen:
            model.get_layer(name).trainable = False
        return model

    def default_loss(self):
        """Returns the loss that `compile` takes when it is given none; a bare encoder has none."""
        return None

    @classmethod
    def build_from(cls, config, task, **options):
        """Makes a model with fresh weights from a checkpoint's BertConfig and its task.json (a dict)."""
        return cls(config, **options)

    def task(self):
        """Returns what task.json holds beside the weights: the head's kind and its settings."""
        return {}

    @classmethod
    def from_pretrained(cls, path, *, vocabulary=None, **options):
        """Makes the model and loads a checkpoint into it.

        Args:
            path: a model directory, ours or one of another known format.
            vocabulary: a vocabulary that extends the checkpoint's (keras-bert train_vocab --init_vocab_file), as
                a Vocabulary, a Tokenizer or the path of a vocab.txt. The word embeddings grow: a new entry begins
                as the mean of the pieces that spelled it before. None leaves them as they are.
            **options: what the model's constructor takes beyond the encoder's config, such as
                `num_classes`, or `dtype`.

        Returns:
            The model. `model.load_report` lists by name the weights that were loaded, those newly
            initialised because the checkpoint lacks them, and those of the checkpoint left unused.

        Raises:
            UserError: no checkpoint is there, its weights do not fit its config, or `vocabulary` does not extend
                the checkpoint's.
        """
        checkpoint = open_checkpoint(path)
        if vocabulary is not None:
            checkpoint = grow_checkpoint(checkpoint, vocabulary)
        model = cls.build_from(checkpoint.config, checkpoint.task, **options)
        model.load_report = assign_arrays(model, checkpoint)
        return model

    def save_pretrained(self, path, *, tokenizer=None):
        """Writes a model directory: bert_config.json, model.safetensors, task.json, vocabulary.

        Args:
            path: the directory; it appears whole or not at all, and replaces a model directory that stands there.
            tokenizer: a Tokenizer whose vocabulary and casing go with the model.

        Raises:
            UserError: the tokenizer's vocabulary has another size than the model's, or nothing can be written there.
        """
        save_checkpoint(path, self.bert_config, collect_arrays(self), task=self.task(), tokenizer=tokenizer)
