"""Pretrainer: what a family is pre-trained for, on one encoder: masked tokens, sentence pairs, replaced tokens.

Sources: Devlin et al. 2018, section 3.1, and run_pretraining.py of google-research/bert; Lan et al. 2019, section 3.1;
Clark et al. 2020, section 2. B batch, S sequence, P predictions, H hidden, E embedding, V vocabulary.
"""

import keras
from keras import ops

from keras_bert.checkpoints.parts import OBJECTIVES, pretraining_weights
from keras_bert.errors import UserError
from keras_bert.families import find_family
from keras_bert.layers import MaskedLMTransform, OutputBias, TokenEmbedding
from keras_bert.layers.common import ACTIVATIONS, dense, take_positions
from keras_bert.models.headed import HeadedModel
from keras_bert.models.losses import SigmoidCrossEntropy, SparseCrossEntropy, binary_sums, masked_lm_sums


@keras.saving.register_keras_serializable(package="keras_bert")
class Pretrainer(HeadedModel):
    """Scores the vocabulary at masked positions, whether the second segment follows the first, or who was replaced.

    Inputs are the encoder's and, for masked tokens, `masked_lm_positions`, int (B, P). Outputs are logits, float32, one
    for each objective:

        `masked_lm` (B, P, V); the output weights are the token embeddings, unless the config unties them;
        `next_sentence` (B, 2), where class 0 means "is next" and 1 "random" (of ALBERT: in order, swapped);
        `replaced_tokens` (B, S), high where a token was replaced (ELECTRA's discriminator).

    Labels and their weights are dicts by the same names, int and float32: (B, P), (B,) and (B, S). Those of other
    objectives are not read, so that `pretraining_dataset` trains a model without `next_sentence`, too.

    Args:
        encoder: an Encoder.
        objectives: names of outputs; None for those of the encoder's family.
        name: the model's name.

    Raises:
        UserError: an objective that is not known, or `next_sentence` without a pooler.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Encoder
        >>> model = Pretrainer(Encoder(Config.from_name("tiny", vocab_size=100)))
        >>> model.output["masked_lm"].shape
        (None, None, 100)
    """

    TASK = "fill_mask"
    FIELDS = ("objectives",)

    def __init__(self, encoder, *, objectives=None, name="bert_pretrainer", **kwargs):
        config = encoder.bert_config
        own = find_family(config.family).objectives
        if isinstance(objectives, str):
            raise UserError(f"objectives must be a list of names. Received: {objectives!r:.80}.")
        objectives = tuple(own if objectives is None else objectives)
        _check_objectives(objectives, encoder)

        # Layers
        heads = Heads(encoder, objectives)

        # Functional model
        inputs = encoder.token_inputs()
        if "masked_lm" in objectives:
            inputs["masked_lm_positions"] = keras.Input((None,), dtype="int32", name="masked_lm_positions")
        super().__init__(inputs=inputs, outputs=heads(inputs), name=name, **kwargs)

        # Config
        self.set_head(encoder, objectives=list(objectives))
        self.masked_lm_transform, self.masked_lm_bias = heads.masked_lm_transform, heads.masked_lm_bias
        self.masked_lm_output, self.masked_lm_rest = heads.masked_lm_output, heads.masked_lm_rest
        self.next_sentence = heads.next_sentence
        self.replaced_tokens_transform, self.replaced_tokens = heads.replaced_tokens_transform, heads.replaced_tokens

    def task(self):
        """Returns the head's kind, and its objectives where they are not the family's own."""
        own = find_family(self.bert_config.family).objectives
        return {n: x for n, x in super().task().items() if n != "objectives" or tuple(x) != own}

    def head_weights(self):
        """Yields the heads' weights, see `HeadedModel.head_weights`."""
        return pretraining_weights(self.bert_config, self.objectives)

    def default_loss(self):
        """The sum of the objectives' losses, each a mean over its weights."""
        losses = {"replaced_tokens": SigmoidCrossEntropy}
        return {name: losses.get(name, SparseCrossEntropy)() for name in self.objectives}

    def default_loss_weights(self):
        """Returns what each output's loss counts in the total; None for 1."""
        return None

    @property
    def task_weights(self):
        """What the mean loss of each objective counts in the total: {name: 1.0}."""
        return dict.fromkeys(self.objectives, 1.0)

    @property
    def made_for(self):
        """What `count_flops` must know of it beside its Config."""
        return {"objectives": tuple(self.objectives)}

    def batch_counts(self, batch):
        """Returns {objective: float32 (), the sum of its weights} of a batch, see `batch_sums`."""
        return {name: ops.sum(batch[2][name]) for name in self.objectives}

    def batch_sums(self, batch, *, training=False, step=None):
        """Runs the model on a batch.

        Args:
            batch: (inputs, labels, weights) as `pretraining_dataset` gives them.
            training: whether dropout is on.
            step: the number of the update, by which other models draw; not used here.

        Returns:
            {objective: (summed loss, right guesses, sum of the weights), float32 ()}, which add up over devices.
        """
        inputs, labels, weights = batch
        logits, sums = self(inputs, training=training), {"replaced_tokens": binary_sums}
        return {
            name: sums.get(name, masked_lm_sums)(labels[name], logits[name], weights[name]) for name in self.objectives
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Computes the loss as Keras does, from the labels of the model's objectives."""
        return super().compute_loss(x, self._own(y), y_pred, self._own(sample_weight), training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Computes the metrics as Keras does, from the labels of the model's objectives."""
        return super().compute_metrics(x, self._own(y), y_pred, self._own(sample_weight))

    def _own(self, labels):
        """Returns those of a dict's entries that belong to the model's objectives; anything else as it is."""
        if not isinstance(labels, dict):
            return labels
        return {name: value for name, value in labels.items() if name in self.objectives}


class Heads:
    """The layers of a Pretrainer's heads; those of objectives that it does not have are None."""

    def __init__(self, encoder, objectives):
        config, policy = encoder.bert_config, encoder.policy
        self.encoder, self.objectives, self.activation = encoder, objectives, ACTIVATIONS[config.hidden_act]
        self.masked_lm_transform = self.masked_lm_bias = self.masked_lm_output = self.masked_lm_rest = None
        self.next_sentence = self.replaced_tokens_transform = self.replaced_tokens = None
        shared, stddev = {"initializer_range": config.initializer_range, "dtype": policy}, config.initializer_range
        if "masked_lm" in objectives:
            self.masked_lm_transform = MaskedLMTransform(
                units=config.hidden_size if config.wide_output else config.embedding_width,
                activation=config.masked_lm_act or config.hidden_act,
                layer_norm_eps=config.layer_norm_eps if config.head_norm_eps is None else config.head_norm_eps,
                use_bias=config.head_bias,
                norm_bias=config.head_norm_bias,
                name="masked_lm_transform",
                **shared,
            )
            self.masked_lm_bias = OutputBias(use_bias=config.decoder_bias, name="masked_lm_bias", dtype=policy)
            if not config.tie_word_embeddings:
                sizes = (config.vocab_size, config.embedding_width)
                self.masked_lm_output = TokenEmbedding(*sizes, name="masked_lm_output", **shared)
            if config.wide_output:
                sizes = (config.vocab_size, config.hidden_size - config.embedding_width)
                self.masked_lm_rest = TokenEmbedding(*sizes, name="masked_lm_rest", **shared)
                self.masked_lm_rest.build(None)  # of no columns it is never called
        if "next_sentence" in objectives:
            self.next_sentence = dense(2, stddev, name="next_sentence", dtype=policy)
        if "replaced_tokens" in objectives:
            size = config.hidden_size
            self.replaced_tokens_transform = dense(size, stddev, name="replaced_tokens_transform", dtype=policy)
            self.replaced_tokens = dense(1, stddev, name="replaced_tokens", dtype=policy)

    def __call__(self, inputs):
        """Returns the logits of each objective, by its name."""
        inputs, outputs = dict(inputs), {}
        positions = inputs.pop("masked_lm_positions", None)
        if "replaced_tokens" in self.objectives:
            encoded = self.encoder(inputs)
            hidden = encoded["sequence_output"]
            scores = self.replaced_tokens(self.activation(self.replaced_tokens_transform(hidden)))  # (B, S, 1)
            outputs["replaced_tokens"] = ops.cast(ops.squeeze(scores, axis=-1), "float32")
            hidden = hidden if positions is None else take_positions(hidden, positions)
        elif positions is None:
            encoded = {"pooled_output": self.encoder.pooled_output(inputs)}
        else:
            encoded = self.encoder(inputs, positions=positions)
            hidden = encoded["sequence_output"]
        if positions is not None:
            hidden = self.masked_lm_transform(hidden)  # (B, P, E): only the masked positions meet the vocabulary
            table = self.masked_lm_output or self.encoder.token_embedding
            width = self.encoder.bert_config.embedding_width
            if hidden.shape[-1] > width:
                rest = self.masked_lm_rest(hidden[..., width:], reverse=True)
                scores = table(hidden[..., :width], reverse=True) + rest
            else:
                scores = table(hidden, reverse=True)
            outputs["masked_lm"] = self.masked_lm_bias(scores)
        if self.next_sentence is not None:
            outputs["next_sentence"] = ops.cast(self.next_sentence(encoded["pooled_output"]), "float32")
        return {name: outputs[name] for name in self.objectives}


def _check_objectives(objectives, encoder):
    unknown = [name for name in objectives if name not in OBJECTIVES]
    if unknown or not objectives or len(set(objectives)) < len(objectives):
        raise UserError(
            f"objectives must be some of {', '.join(OBJECTIVES)}. Received: {', '.join(map(str, objectives))}."
        )
    if "next_sentence" in objectives and encoder.pooler is None:
        title = find_family(encoder.bert_config.family).title
        raise UserError(
            f"next_sentence reads the pooled output, and this encoder of {title} has no pooler; leave it out."
        )
