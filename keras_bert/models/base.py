"""PretrainedModel: what all models share. Default losses, and from_pretrained / save_pretrained."""

import inspect

import keras

from keras_bert.checkpoints import check_vocabulary, grow_checkpoint, open_checkpoint, write_checkpoint
from keras_bert.models.checking import Checked
from keras_bert.models.cloning import Cloneable
from keras_bert.models.inputs import complete_inputs
from keras_bert.models.quantized import check_savable, quantize_layers, quantized_layers
from keras_bert.models.weights import as_checkpoint, assign_arrays


def left_as_it_is(call, *args, **kwargs):
    """Leaves `keras.RematScope` to the blocks (layers/remat.py)."""
    return call


class PretrainedModel(Checked, Cloneable, keras.Model):
    """A functional Keras model that knows its Config, its own loss, and how to load and save checkpoints.

    Layers with LoRA (Keras' `enable_lora`) are saved merged, in every format: what comes back computes the same and
    has no LoRA; enable it again to go on.
    """

    def __init__(self, *args, **kwargs):
        unknown = kwargs.keys() - {"inputs", "outputs", "name", "trainable"}  # which Keras would pass over
        if unknown:
            known = [
                name for name, kind in inspect.signature(type(self)).parameters.items() if kind.kind != kind.VAR_KEYWORD
            ]
            raise TypeError(f"{type(self).__name__} takes {', '.join(known)}, and no {', '.join(sorted(unknown))}.")
        super().__init__(*args, **kwargs)
        for operation in self.operations:  # Keras would wrap slices too, which TensorFlow cannot take
            if not isinstance(operation, keras.Layer):
                operation.rematerialized_call = left_as_it_is

    def call(self, inputs, training=None, mask=None):
        """Runs the model; see models/inputs.py for what a dict may hold."""
        return super().call(complete_inputs(self, inputs), training=training, mask=mask)

    def compile(self, optimizer="adam", loss=None, loss_weights=None, *, auto_scale_loss=True, **kwargs):
        """Compiles as Keras does; with no loss, BERT's own is taken: `default_loss`, `default_loss_weights`.

        Of packed rows `metrics` are weighted as the loss is, since some places have no text.

        As Keras does under a global policy of mixed_float16, an encoder with that `dtype` has its loss scaled.
        """
        if loss is None:
            loss = self.default_loss()
            loss_weights = self.default_loss_weights() if loss_weights is None else loss_weights
        self.given_loss = loss  # by which the labels are checked
        if self.reads_packed_rows and kwargs.get("metrics"):
            kwargs["weighted_metrics"] = kwargs.pop("metrics")
        if auto_scale_loss and getattr(self, "encoder", self).policy.name == "mixed_float16":
            optimizer = keras.optimizers.get(optimizer)
            if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        super().compile(
            optimizer=optimizer, loss=loss, loss_weights=loss_weights, auto_scale_loss=auto_scale_loss, **kwargs
        )

    @property
    def reads_packed_rows(self):
        """Whether its rows hold several texts."""
        return getattr(self, "encoder", self).packed

    def compile_from_config(self, config):
        """Compiles as a saved model was, its optimizer's variables included; Keras skips this for an own `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def get_config(self):
        """Returns what every constructor takes, and which of the model's own layers are frozen or quantized."""
        own = (layer for layer in self.layers if layer.weights and not isinstance(layer, PretrainedModel))
        frozen = [layer.name for layer in own if not layer.trainable]
        quantized = quantized_layers(self)
        return {"name": self.name, "frozen": frozen, **({"quantized": quantized} if quantized else {})}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds the model from `get_config`."""
        config = dict(config)
        frozen, quantized = config.pop("frozen", ()), config.pop("quantized", {})
        if "encoder" in config:
            config["encoder"] = keras.saving.deserialize_keras_object(config["encoder"])
        model = cls(**config)
        quantize_layers(model, quantized)
        for name in frozen:
            model.get_layer(name).trainable = False
        return model

    def save(self, filepath, *args, **kwargs):
        """Saves as Keras does, or raises a UserError before it writes: of some quantized layers nothing comes back."""
        check_savable(self)
        super().save(filepath, *args, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        """Saves weights as Keras does, for a model that was quantized likewise; refuses what `save` does."""
        check_savable(self)
        super().save_weights(filepath, *args, **kwargs)

    rematerialized_call = staticmethod(left_as_it_is)

    def default_loss(self):
        """Returns the loss that `compile` takes when it is given none; a bare encoder has none."""
        return None

    def default_loss_weights(self):
        """Returns what each output's loss counts in the total; None for 1."""
        return None

    @classmethod
    def build_from(cls, config, task, **options):
        """Makes a model with fresh weights from a checkpoint's Config and its task.json (a dict)."""
        return cls(config, **options)

    def task(self):
        """Returns what task.json holds beside the weights: the head's kind and its settings."""
        return {}

    @classmethod
    def from_pretrained(cls, path, *, vocabulary=None, net=None, overrides=None, **options):
        """Makes the model and loads a checkpoint into it.

        Args:
            path: a model directory, ours or one of another known format.
            vocabulary: a vocabulary that extends the checkpoint's (keras-bert train_vocab --init_vocab_file), as
                a Vocabulary, a Tokenizer or the path of a vocab.txt. The word embeddings grow: a new entry begins
                as the mean of the pieces that spelled it before. None leaves them as they are.
            net: which net of a Google ELECTRA checkpoint, "discriminator" (if None) or "generator".
            overrides: {field of Config: value} that a Google checkpoint's configuration does not say, such as the
                num_attention_heads of ELECTRA, whose checkpoints have none.
            **options: what the model's constructor takes beyond the encoder's config, such as
                `num_classes`, or `dtype`.

        Returns:
            The model. `model.load_report` lists by name the weights that were loaded, those newly
            initialised because the checkpoint lacks them, and those of the checkpoint left unused.
            `model.reading` is how its training read texts, lengths and the like, as task.json keeps it.

        Raises:
            UserError: no checkpoint is there, it is damaged, its weights or the vocabulary beside them do not fit its
                config, or `vocabulary` does not extend the checkpoint's.
        """
        checkpoint = open_checkpoint(path, net=net, overrides=overrides)
        if vocabulary is None:
            check_vocabulary(checkpoint)
        else:
            checkpoint = grow_checkpoint(checkpoint, vocabulary)
        model = cls.build_from(checkpoint.config, checkpoint.task, **options)
        model.load_report = assign_arrays(model, checkpoint)
        own = checkpoint.task if checkpoint.task.get("task") == getattr(cls, "TASK", None) else {}
        model.reading = dict(own.get("reading") or {})
        return model

    def export(self, filepath, format="tf_saved_model", **options):
        """Exports as Keras does; on JAX too for any batch, and any length that the model can read."""
        if format == "tf_saved_model" and keras.backend.backend() == "jax":
            # Left to itself Keras gives each dimension of each input a name of its own, as if they might differ.
            axes = {2: "(batch, length)", 3: "(batch, choices, length)"}
            shapes = {name: axes[len(x.shape)] for name, x in self.input.items()}
            if "masked_lm_positions" in shapes:
                shapes["masked_lm_positions"] = "(batch, predictions)"
            if "sequence_starts" in shapes:
                shapes["sequence_starts"] = "(batch, texts)"
            conversion = {
                "polymorphic_shapes": [shapes],
                "polymorphic_constraints": (f"length <= {self.bert_config.max_length}",),
                "with_gradient": False,  # whose conversion loses the constraint
            }
            options["jax2tf_kwargs"] = conversion | (options.get("jax2tf_kwargs") or {})
        super().export(filepath, format=format, **options)

    def save_pretrained(self, path, *, tokenizer=None, format="keras_bert"):
        """Writes a model directory: configuration, weights in float32, what the head is for, vocabulary.

        What a format cannot hold is said in a warning.

        Args:
            path: the directory; it appears whole or not at all, and replaces a model directory that stands there.
            tokenizer: a Tokenizer whose vocabulary and casing go with the model.
            format: "keras_bert", a Hugging Face directory, with task.json and task.safetensors for what transformers'
                class does not have; "huggingface", without these; or "google", which google-research/bert's code loads.

        Raises:
            UserError: the tokenizer's vocabulary has another size than the model's, the format is unknown, nothing
                can be written there, or the model was quantized.
        """
        write_checkpoint(as_checkpoint(self), path, tokenizer=tokenizer, format=format)
