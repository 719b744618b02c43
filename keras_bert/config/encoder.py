"""Config: everything that changes an encoder's arithmetic, whatever its family.

Source: google-research/bert, modeling.py (BertConfig), whose names the fields have where it has one.
"""

import dataclasses
import functools
import typing

from keras_bert.config.files import FromFiles
from keras_bert.config.values import (
    CHOICES,
    COUNTS,
    FLAGS,
    MOST_LAYERS,
    OWN_ACTIVATIONS,
    OWN_RATES,
    RATES,
    SCALES,
    checked_activation,
    checked_choice,
    checked_count,
    checked_flag,
    checked_number,
)
from keras_bert.errors import UserError
from keras_bert.families import find_family


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(FromFiles):
    """The shape of an encoder, in the names of google-research/bert's bert_config.json where these have one.

    Args:
        family: the family, config.json's model_type; see `keras_bert.families`.
        vocab_size: entries of the vocabulary.
        hidden_size: width of the encoder, a multiple of `num_attention_heads`.
        num_hidden_layers: transformer blocks (of ALBERT: how often a group of blocks is run).
        num_attention_heads: attention heads of each block.
        intermediate_size: width of the feed-forward layer inside a block.
        hidden_act: "gelu_tanh" (Google's gelu), "gelu_erf" (Hugging Face's), "relu", "tanh" or "linear".
        hidden_dropout_prob: dropout on embeddings and on the output of each sub-layer.
        attention_probs_dropout_prob: dropout on attention probabilities.
        max_position_embeddings: rows of the position table; see `max_length`.
        type_vocab_size: segments that the model can tell apart; 0 where it knows none.
        initializer_range: standard deviation of the truncated normal that weights start from.
        layer_norm_eps: epsilon of every LayerNorm; 1e-12 in tf.contrib and so in BERT.
        embedding_norm_eps, head_norm_eps: that of the embeddings' and of the masked-LM head's LayerNorm, if another.
        embedding_size: width of the embeddings; None for hidden_size.
        embedding_projection: whether a dense layer takes the embeddings to hidden_size; None where the sizes differ.
        position_embedding: "learned" or "sinusoidal" (fixed).
        positions_from_ids: whether a token's position is pad_token_id + the number of ids so far that are not padding.
        pad_token_id: the id of padding.
        trains_padding: whether the embeddings of padding learn from being looked up; not so in PyTorch's padding_idx.
        num_hidden_groups: groups of blocks that share their weights; None where each block has its own.
        inner_group_num: blocks of a group, each with weights of its own.
        pooler: activation of the pooler's dense layer; None for no pooler.
        tie_word_embeddings: whether the masked-LM head's output weights are the word embeddings.
        masked_lm_act: activation of the masked-LM head; None for hidden_act.
        classifier_act: activation of the hidden layer that a classifier has instead of the pooler; None for the pooler.
        classifier_dropout_prob: dropout before a classifier's dense layers; None for hidden_dropout_prob.
        classifier_drops_input: whether there is dropout before its hidden layer, too.
        span_dropout_prob: dropout before the dense layer that marks answers; None for none.
        choice_act: as classifier_act, of multiple choice.
        choice_pooling: what its hidden layer reads of a sequence: "first", "last" or "mean".
        choice_dropout_prob: dropout after its hidden layer; None for that of the family's head (families/).
        attention, norm, norm_order, use_bias, gated: what other families have here; the one value that is implemented.
        extra: fields of the file that this library does not know; written back as they were.

    Raises:
        UserError: a value that cannot work, or is not implemented; the sentence carries the numbers.

    Example:
        >>> Config.from_name("tiny", vocab_size=8000).intermediate_size
        512
        >>> Config(family="albert", embedding_size=128, num_hidden_groups=1, num_hidden_layers=3).passes
        (0, 0, 0)
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu_tanh"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    family: str = "bert"
    embedding_norm_eps: float | None = None
    head_norm_eps: float | None = None
    embedding_size: int | None = None
    embedding_projection: bool | None = None
    position_embedding: str = "learned"
    positions_from_ids: bool = False
    pad_token_id: int = 0
    trains_padding: bool = True
    num_hidden_groups: int | None = None
    inner_group_num: int = 1
    pooler: str | None = "tanh"
    tie_word_embeddings: bool = True
    masked_lm_act: str | None = None
    classifier_act: str | None = None
    classifier_dropout_prob: float | None = None
    classifier_drops_input: bool = True
    span_dropout_prob: float | None = None
    choice_act: str | None = None
    choice_pooling: str = "first"
    choice_dropout_prob: float | None = None
    attention: str = "full"
    norm: str = "layer"
    norm_order: str = "post"
    use_bias: bool = True
    gated: bool = False
    extra: dict = dataclasses.field(default_factory=dict, hash=False)  # a dict has no hash

    def __post_init__(self):
        find_family(self.family)
        least = {"type_vocab_size": 0, "pad_token_id": 0}
        for name in (*COUNTS, "inner_group_num", "pad_token_id", "embedding_size", "num_hidden_groups"):
            self._check(name, functools.partial(checked_count, least=least.get(name, 1)))
        for name in (*RATES, *OWN_RATES, *SCALES):
            self._check(name, checked_number)
        for name in ("hidden_act", *OWN_ACTIVATIONS):
            self._check(name, checked_activation)
        for name in FLAGS:
            self._check(name, checked_flag)
        for name in CHOICES:
            checked_choice(name, getattr(self, name))
        self._check_together()

    def _check(self, name, check):
        """Checks a field, unless it is None and may be so."""
        value = getattr(self, name)
        if value is not None or name not in OPTIONAL:
            object.__setattr__(self, name, check(name, value))

    def _check_together(self):
        """Raises a UserError for values that do not go together."""
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                "hidden_size must be a multiple of num_attention_heads. "
                f"Received: {self.hidden_size} and {self.num_attention_heads}."
            )
        if self.embedding_projection is False and self.embedding_width != self.hidden_size:
            raise UserError(
                f"embedding_size is {self.embedding_size} and hidden_size {self.hidden_size}, which needs an "
                "embedding_projection. Received: embedding_projection=False."
            )
        if self.num_hidden_groups is not None and self.num_hidden_groups > self.num_hidden_layers:
            raise UserError(
                "num_hidden_groups must be at most num_hidden_layers. "
                f"Received: {self.num_hidden_groups} and {self.num_hidden_layers}."
            )
        if self.num_hidden_layers * self.inner_group_num > MOST_LAYERS:
            raise UserError(
                f"num_hidden_layers * inner_group_num must be at most {MOST_LAYERS}. "
                f"Received: {self.num_hidden_layers} and {self.inner_group_num}."
            )
        if self.pad_token_id >= self.vocab_size:
            raise UserError(
                "pad_token_id must be an id of the vocabulary, less than vocab_size. "
                f"Received: {self.pad_token_id} and {self.vocab_size}."
            )
        if self.max_length < 1:
            raise UserError(
                f"max_position_embeddings must be at least {self.pad_token_id + 2}, since positions are counted from "
                f"pad_token_id + 1. Received: {self.max_position_embeddings}."
            )

    @property
    def max_length(self):
        """The longest sequence that the model can read, in tokens."""
        first = self.pad_token_id + 1 if self.positions_from_ids else 0
        return self.max_position_embeddings - first

    @property
    def embedding_width(self):
        """The width of the embeddings."""
        return self.hidden_size if self.embedding_size is None else self.embedding_size

    @property
    def projects_embeddings(self):
        """Whether a dense layer takes the embeddings to the blocks."""
        return (
            self.embedding_width != self.hidden_size if self.embedding_projection is None else self.embedding_projection
        )

    @property
    def has_segments(self):
        """Whether the model tells segments apart; with a single one it adds the same row to every token."""
        return self.type_vocab_size > 1

    @property
    def classifier_dropout(self):
        """The dropout before a classifier's dense layers."""
        own = self.classifier_dropout_prob
        return self.hidden_dropout_prob if own is None else own

    @property
    def passes(self):
        """The number of the set of weights that each block run has, in order: (0, 1, 2, ...) where none is shared."""
        if self.num_hidden_groups is None:
            return tuple(range(self.num_hidden_layers * self.inner_group_num))
        share = self.num_hidden_layers / self.num_hidden_groups
        groups = (int(layer / share) for layer in range(self.num_hidden_layers))
        return tuple(group * self.inner_group_num + inner for group in groups for inner in range(self.inner_group_num))

    @property
    def num_block_weights(self):
        """How many sets of weights the blocks have."""
        groups = self.num_hidden_layers if self.num_hidden_groups is None else self.num_hidden_groups
        return groups * self.inner_group_num

    def replace(self, **changes):
        """Returns a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


OPTIONAL = {field.name for field in dataclasses.fields(Config) if type(None) in typing.get_args(field.type)}
BertConfig = Config  # its name in version 0.1
