"""Replaced-token detection: a generator and a discriminator, trained in one step (Clark et al. 2020, section 2).

The generator predicts masked tokens, a sample of its answers takes their places, and the discriminator says of every
token whether it was replaced. No gradient goes through the samples. Sources: google-research/electra
(run_pretraining.py, PretrainingModel); for disentangled embeddings He et al. 2021, "DeBERTaV3", section 3.3.

B batch, P predictions, S sequence, V vocabulary, E embedding.
"""

import dataclasses
import shutil
from pathlib import Path

import keras
from keras import ops

from keras_bert.checkpoints import check_vocabulary, find_format, grow_checkpoint, open_checkpoint, write_checkpoint
from keras_bert.checkpoints.parts import WORDS
from keras_bert.config import Config
from keras_bert.config.generator import GeneratorSize, check_replaced_tokens
from keras_bert.errors import UserError
from keras_bert.families import find_family
from keras_bert.layers.dropout import mixed
from keras_bert.models.base import left_as_it_is
from keras_bert.models.encoder import Encoder
from keras_bert.models.losses import binary_sums, masked_lm_sums
from keras_bert.models.pretrainer import Pretrainer
from keras_bert.models.weights import as_checkpoint, assign_arrays

GENERATOR = "generator"  # the folder beside the discriminator's files
DISCRIMINATOR_WEIGHT = 50.0  # of its mean loss in the total (Clark et al. 2020, appendix A)
WEIGHTS = {"masked_lm": 1.0, "replaced_tokens": DISCRIMINATOR_WEIGHT}
STRETCH = 256  # entries of the vocabulary that are drawn from together
SLOT, VALUE = 0x9E3779B9, 0x85EBCA6B  # odd numbers that keep apart what the noise is drawn from


@keras.saving.register_keras_serializable(package="keras_bert")
class ReplacedTokenPretrainer(keras.Model):
    """A generator and a discriminator that learn together.

    It reads what `pretraining_dataset` gives: the inputs of a Pretrainer for masked tokens, their labels and weights.
    `fit` trains it on the sum of the generator's loss and 50 times the discriminator's, which is a mean over all real
    tokens. A token is replaced where the sample is another one than stood there.

    Called, it gives the generator's outputs, `masked_lm` (B, P, V); its nets are the attributes `generator` and
    `discriminator`, each a Pretrainer.

    Args:
        config: the discriminator's Config.
        generator_config: the generator's; None for that of the default GeneratorSize.
        embedding_sharing: "shared": both nets have the same embeddings, LayerNorm included, where they are as wide in
            both; "disentangled": the discriminator adds a table of its own, which begins at 0, to the generator's token
            embeddings, and these learn from the generator's loss alone; "none".
        packed: see Encoder.
        dtype: a Keras dtype policy or its name; the global one if None.
        seed: of the samples.

    Raises:
        UserError: a family that cannot be trained so, a generator with another vocabulary, or with embeddings of
            another width than those which it is to share.

    Example:
        >>> config = Config.from_name("electra-small", vocab_size=100, num_hidden_layers=2)
        >>> model = ReplacedTokenPretrainer(config)
        >>> model.generator.bert_config.hidden_size, model.discriminator.objectives
        (64, ['replaced_tokens'])
    """

    def __init__(
        self,
        config,
        *,
        generator_config=None,
        embedding_sharing="shared",
        packed=False,
        dtype=None,
        seed=0,
        name="replaced_token_pretrainer",
    ):
        check_replaced_tokens(config)
        size = GeneratorSize(sharing=embedding_sharing)
        generator_config = size.config(config) if generator_config is None else generator_config
        check_pair(generator_config, config, embedding_sharing)
        super().__init__(name=name)
        self.bert_config, self.generator_config = config, generator_config
        self.embedding_sharing, self.packed, self.seed = embedding_sharing, packed, seed
        self.policy = keras.dtype_policies.get(dtype)
        options = {"packed": packed, "dtype": dtype}
        encoder = Encoder(config, name="discriminator_encoder", **options)
        shared = {"embeddings_of": encoder} if embedding_sharing == "shared" else {}
        generator = Encoder(generator_config, name="generator_encoder", **shared, **options)
        self.generator = Pretrainer(generator, objectives=["masked_lm"], name="generator")
        self.discriminator = Pretrainer(encoder, objectives=["replaced_tokens"], name="discriminator")
        if embedding_sharing == "disentangled":
            encoder.token_embedding.add_to(generator.token_embedding)
            self._learn_difference(ops.convert_to_numpy(generator.token_embedding.embeddings))  # 0 in the beginning
        self.draws = keras.random.SeedGenerator(seed, name="draws")  # of `fit`, which says no step
        self.trackers = [keras.metrics.Mean(name=f"{task}_loss") for task in WEIGHTS]
        self.built = True

    rematerialized_call = staticmethod(left_as_it_is)

    @property
    def encoder(self):
        """The discriminator's Encoder."""
        return self.discriminator.encoder

    @property
    def nets(self):
        """The nets by how the names of their variables begin; what both share is the discriminator's."""
        return {f"{GENERATOR}/": self.generator, "": self.discriminator}

    @property
    def task_weights(self):
        """What the mean loss of each task counts in the total."""
        return dict(WEIGHTS)

    @property
    def made_for(self):
        """What `count_flops` must know of it beside its Config."""
        return {"objectives": tuple(self.discriminator.objectives), "generator": self.generator_config}

    @property
    def metrics(self):
        """The means of both losses, which `fit` reports beside their sum."""
        return [*super().metrics, *self.trackers]

    def call(self, inputs, training=None):
        """Returns the generator's outputs, {"masked_lm": float32 (B, P, V)}."""
        return self.generator(inputs, training=training)

    def batch_counts(self, batch):
        """Returns {task: float32 (), how many there are to guess}: masked slots, real tokens."""
        inputs, _, weights = batch
        return {"masked_lm": ops.sum(weights["masked_lm"]), "replaced_tokens": ops.sum(_is_real(inputs))}

    def batch_sums(self, batch, *, training=False, step=None):
        """Runs both nets on a batch.

        Args:
            batch: (inputs, labels, weights) as `pretraining_dataset` gives them.
            training: whether dropout is on.
            step: the number of the update, int (). The samples of a row depend on it, on the seed and on the row, and
                on nothing else, so that devices and micro-batches make no difference. None draws anew at each call.

        Returns:
            {task: (summed loss, right guesses, count), float32 ()}.
        """
        inputs, labels, weights = batch
        logits = self.generator(inputs, training=training)["masked_lm"]
        return self._sums(inputs, labels["masked_lm"], weights["masked_lm"], logits, training=training, step=step)

    def _sums(self, inputs, labels, weights, logits, *, training, step):
        inputs = {name: ops.convert_to_tensor(value) for name, value in inputs.items()}  # Keras takes no mixture
        samples = self.sampled(logits, inputs, labels, step)
        corrupted, replaced = corrupt(inputs, samples, labels, weights)
        scores = self.discriminator({**inputs, "input_ids": corrupted}, training=training)["replaced_tokens"]
        return {
            "masked_lm": masked_lm_sums(labels, logits, weights),
            "replaced_tokens": binary_sums(replaced, scores, _is_real(inputs)),
        }

    def sampled(self, logits, inputs, labels, step=None):
        """Returns int32 (B, P): for each masked slot a token drawn by the generator's probabilities.

        First a stretch of the vocabulary is drawn by what its tokens have together, then a token in it: the same
        probabilities as of one draw, from a hundredth of the random numbers.

        Args:
            logits: float32 (B, P, V).
            inputs, labels, step: what the draws depend on, see `noise_keys`.
        """
        keys, stretches = self.noise_keys(inputs, labels, step), _in_stretches(ops.stop_gradient(logits))
        stretch = _drawn(ops.logsumexp(stretches, axis=-1), keys)  # (B, P)
        inside = ops.take_along_axis(stretches, stretch[..., None, None], axis=2)[:, :, 0]
        return stretch * STRETCH + _drawn(inside, mixed(keys ^ _constant(VALUE)))

    def noise_keys(self, inputs, labels, step=None):
        """Returns uint32 (B, P), what the noise of each slot is drawn from.

        Args:
            inputs: those of a batch.
            labels: int (B, P).
            step: int (), or None for the next draw.
        """
        if step is None:
            drawn = ops.cast(self.draws.next(), "uint32")
            step = drawn[0] ^ mixed(drawn[1])
        own = mixed(_constant(self.seed & 0xFFFFFFFF) ^ mixed(ops.cast(step, "uint32")))
        rows = _fingerprints(inputs["input_ids"]) ^ mixed(_fingerprints(labels))  # (B, 1)
        return mixed(mixed(rows ^ own) ^ _numbers(labels) * _constant(SLOT))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Computes the loss that `fit` trains on, from the generator's outputs."""
        weights = (
            ops.ones_like(y["masked_lm"], dtype="float32") if sample_weight is None else sample_weight["masked_lm"]
        )
        sums = self._sums(x, y["masked_lm"], weights, y_pred["masked_lm"], training=training, step=None)
        total = 0.0
        for tracker, (task, (loss, _, count)) in zip(self.trackers, sums.items(), strict=True):
            mean = loss / ops.maximum(count, 1.0)
            tracker.update_state(mean)
            total = total + WEIGHTS[task] * mean
        return total

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "config": self.bert_config.to_dict(),
            "generator_config": self.generator_config.to_dict(),
            "embedding_sharing": self.embedding_sharing,
            "packed": self.packed,
            "dtype": keras.dtype_policies.serialize(self.policy),
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds the model from `get_config`."""
        own = {name: Config.from_dict(config[name]) for name in ("config", "generator_config")}
        return cls(**{**config, **own})

    @classmethod
    def from_pretrained(cls, path, *, generator=None, size=None, vocabulary=None, **options):
        """Makes the model from a checkpoint of its discriminator, or of another model to begin with.

        Args:
            path: a checkpoint. Google's of ELECTRA have both nets; a directory that `save_pretrained` wrote has the
                generator in a folder of its own. Of others the encoder is read.
            generator: a checkpoint of the generator in the place of the one that belongs to it.
            size: a GeneratorSize: how large a generator is that begins with fresh weights, and the sharing.
            vocabulary: see `PretrainedModel.from_pretrained`; both nets grow.
            **options: those of the constructor.

        Raises:
            UserError: as there, or nets that do not go together.
        """
        checkpoint, found = open_checkpoint(path), generator_of(path, generator)
        size = GeneratorSize() if size is None else size
        if found is not None:
            _check_vocabularies(found.config.vocab_size, checkpoint.config.vocab_size)
            _check_size(found, size)
        checkpoint, found = (each and _grown(each, vocabulary) for each in (checkpoint, found))
        config = size.config(checkpoint.config) if found is None else found.config
        model = cls(checkpoint.config, generator_config=config, embedding_sharing=size.sharing, **options)
        if found is not None:
            assign_arrays(model.generator, found)
        # Last, so that its embeddings count where both have the same.
        model.load_report = assign_arrays(model.discriminator, checkpoint)
        if size.sharing == "disentangled":
            model._learn_difference(checkpoint.read(WORDS))
        return model

    def _learn_difference(self, table):
        """Sets the discriminator's own table to what it takes to get from the generator's to a table (V, E)."""
        its = self.generator.encoder.token_embedding.embeddings
        self.encoder.token_embedding.embeddings.assign(table - ops.convert_to_numpy(its))

    def save_pretrained(self, path, *, tokenizer=None, keep_generator=True):
        """Writes the discriminator as a model directory, which fine-tuning starts from.

        Args:
            path: the directory.
            tokenizer: see `PretrainedModel.save_pretrained`.
            keep_generator: whether the generator is written too, to the folder "generator" there.
        """
        checkpoint = as_checkpoint(self.discriminator)
        if self.embedding_sharing == "disentangled":
            checkpoint = dataclasses.replace(checkpoint, read=self._read_summed(checkpoint.read))
        write_checkpoint(checkpoint, path, tokenizer=tokenizer)
        folder = Path(path) / GENERATOR
        if keep_generator:
            write_checkpoint(as_checkpoint(self.generator), folder, tokenizer=tokenizer)
        elif find_format(folder) is not None:  # an older model's
            shutil.rmtree(folder)

    def _read_summed(self, read):
        """Returns a reader that gives the token embeddings as the sum of both tables."""
        base = self.generator.encoder.token_embedding.embeddings
        return lambda name: read(name) + ops.convert_to_numpy(base) if name == WORDS else read(name)


def check_pair(generator, discriminator, sharing):
    """Raises a UserError unless two Configs can be trained together.

    Args:
        generator, discriminator: Configs.
        sharing: see ReplacedTokenPretrainer.
    """
    _check_vocabularies(generator.vocab_size, discriminator.vocab_size)
    names = ("max_position_embeddings", "type_vocab_size", "pad_token_id", "positions_from_ids")
    wrong = [name for name in names if getattr(generator, name) != getattr(discriminator, name)]
    if wrong:
        pairs = (f"{name} {getattr(generator, name)} and {getattr(discriminator, name)}" for name in wrong)
        raise UserError(f"The generator does not read what its discriminator reads: {', '.join(pairs)}.")
    widths = generator.embedding_width, discriminator.embedding_width
    if sharing != "none" and len(set(widths)) > 1:
        raise UserError(
            f"The generator's embeddings are {widths[0]} wide and the discriminator's {widths[1]}, so they cannot be "
            f"{sharing}; give embedding_sharing=none, or a generator with embeddings as wide."
        )


def _check_vocabularies(generator, discriminator):
    if generator != discriminator:
        raise UserError(
            f"The generator has a vocabulary of {generator:,} tokens and the discriminator one of {discriminator:,}; "
            "both must have the same."
        )


def _check_size(found, size):
    """Raises a UserError if somebody says the size of a generator that has one already."""
    for name in ("hidden_size", "layers"):
        if getattr(size, name) is not None:
            raise UserError(
                f"{found.path} is a generator of its own size; leave generator_{name} out, or begin with another "
                f"checkpoint. Received: {getattr(size, name)}."
            )


def _grown(checkpoint, vocabulary):
    """Returns a Checkpoint that has grown to a vocabulary, if there is one, or whose own fits."""
    if vocabulary is not None:
        return grow_checkpoint(checkpoint, vocabulary)
    check_vocabulary(checkpoint)
    return checkpoint


def generator_of(path, given=None):
    """Returns the Checkpoint of the generator that belongs to a checkpoint, or is given; None for none."""
    if given is not None:
        checkpoint = open_checkpoint(given)
        objectives = checkpoint.task.get("objectives") or find_family(checkpoint.config.family).objectives
        if "masked_lm" not in objectives:
            raise UserError(f"{given} predicts no masked tokens; give a generator, or leave it out for a fresh one.")
        return checkpoint
    folder = Path(path) / GENERATOR
    if find_format(folder) is not None:
        return open_checkpoint(folder)
    if find_format(path) == "google" and open_checkpoint(path).config.family == "electra":
        return open_checkpoint(path, net=GENERATOR)
    return None


def corrupt(inputs, samples, labels, weights):
    """Puts samples into the places of masked tokens.

    Args:
        inputs: "input_ids", int (B, S), and "masked_lm_positions", int (B, P).
        samples, labels: int (B, P).
        weights: float32 (B, P); slots of weight 0 are padding.

    Returns:
        int32 (B, S): the corrupted ids, and 1 where a token is another one than stood there.

    Example:
        >>> inputs = {"input_ids": ops.array([[2, 4, 9, 4]]), "masked_lm_positions": ops.array([[1, 3, 0]])}
        >>> corrupted, replaced = corrupt(inputs, [[7, 8, 1]], [[7, 5, 0]], [[1.0, 1.0, 0.0]])
        >>> ops.convert_to_numpy(corrupted).tolist(), ops.convert_to_numpy(replaced).tolist()
        ([[2, 7, 9, 8]], [[0, 0, 0, 1]])
    """
    ids, positions = (ops.cast(inputs[name], "int32") for name in ("input_ids", "masked_lm_positions"))
    batch, length = ops.shape(ids)
    rows = ops.expand_dims(ops.arange(batch, dtype="int32"), 1) * length  # (B, 1)
    nowhere = batch * length  # one place behind all rows, for what is padding
    places = ops.where(ops.convert_to_tensor(weights) > 0, rows + positions, nowhere)
    places, flat = ops.reshape(places, (-1, 1)), ops.concatenate([ops.reshape(ids, (-1,)), ops.zeros((1,), "int32")])

    def put(tokens):
        tokens = ops.reshape(ops.cast(tokens, "int32"), (-1,))
        return ops.reshape(ops.scatter_update(flat, places, tokens)[:-1], (batch, length))

    corrupted, original = put(samples), put(labels)
    return corrupted, ops.cast(ops.not_equal(corrupted, original), "int32")


def _in_stretches(logits):
    """Returns float32 (B, P, V / STRETCH, STRETCH), logits (B, P, V) with -1e30 behind the last."""
    batch, slots = ops.shape(logits)[:2]
    missing = -logits.shape[-1] % STRETCH
    padded = ops.pad(logits, ((0, 0), (0, 0), (0, missing)), constant_values=-1e30)
    return ops.reshape(padded, (batch, slots, -1, STRETCH))


def _drawn(logits, keys):
    """Returns int32 (B, P), a draw from the softmax of logits (B, P, N): the largest of logits + Gumbel noise.

    Args:
        logits: float32 (B, P, N).
        keys: uint32 (B, P), what the noise is made from.
    """
    keys = keys[..., None]
    bits = mixed(_numbers(logits) ^ keys, mixed(keys ^ _constant(SLOT)))
    # In (0, 1): 24 bits, which float32 holds, and half a step.
    uniform = ops.cast(ops.bitwise_right_shift(bits, _constant(8)), "float32") * 2.0**-24 + 2.0**-25
    return ops.cast(ops.argmax(logits - ops.log(-ops.log(uniform)), axis=-1), "int32")


def _fingerprints(ids):
    """Returns uint32 (B, 1), a hash of the ids (B, S) of each row."""
    each = mixed(ops.cast(ids, "uint32") ^ mixed(_numbers(ids) * _constant(SLOT)))
    parts = ops.cast(ops.bitwise_right_shift(each, _constant(12)), "int32")  # whose sum of 2,000 does not overflow
    return ops.cast(ops.sum(parts, axis=1, keepdims=True), "uint32")


def _numbers(x):
    """Returns uint32 (N,), the numbers along the last axis of x (..., N)."""
    return ops.cast(ops.arange(ops.shape(x)[-1], dtype="int32"), "uint32")  # unsigned as in layers/dropout.py


def _constant(number):
    return ops.convert_to_tensor(number, dtype="uint32")


def _is_real(inputs):
    """Returns float32 (B, S), 1 for real tokens."""
    if "input_mask" in inputs:
        return ops.cast(inputs["input_mask"], "float32")
    return ops.cast(ops.not_equal(inputs["sequence_ids"], 0), "float32")
