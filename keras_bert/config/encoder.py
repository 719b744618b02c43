"""Config: everything that changes an encoder's arithmetic, whatever its family.

Source: google-research/bert, modeling.py (BertConfig), whose names the fields have where it has one.
"""

import dataclasses
import functools
import typing

from keras_bert.config.files import FromFiles
from keras_bert.config.parts import PARTS, BlockSparse, Bottleneck, Convolution, Relative, checked_part
from keras_bert.config.together import check_together
from keras_bert.config.values import (
    CHOICES,
    COUNTS,
    FLAGS,
    OWN_ACTIVATIONS,
    OWN_RATES,
    RATES,
    SCALES,
    checked_activation,
    checked_choice,
    checked_count,
    checked_flag,
    checked_number,
    checked_repeated,
)
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
        embedding_projection_place: where: "after_norm", "before_norm" (DeBERTa), or "before_sum", of the tokens alone.
        embedding_projection_bias: whether it has a bias.
        trigrams: whether it reads of each token the next one, the token itself and the one before (MobileBERT).
        embedding_scale: factor of the tokens' embeddings.
        embedding_dropout_prob: dropout on embeddings; None for hidden_dropout_prob.
        embedding_dropout_first: whether it comes before their LayerNorm.
        mask_embeddings: whether the embeddings of padding are 0.
        position_embedding: "learned", "sinusoidal" (fixed) or "none".
        rope_theta: the base of rotary positions of each layer; a shorter tuple is repeated. None for none.
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
        choice_pooling: what its hidden layer reads of a sequence: "first", "last" or "mean", or of the
            real tokens "first_real" or "mean_real".
        choice_dropout_prob: dropout after its hidden layer; None for that of the family's head (families/).
        attention: which tokens see which: "full"; "local", some on each side; "global_local", Longformer's, where a few
            see all and are seen by all; "block_sparse", BigBird's; "disentangled", DeBERTa's.
        attention_window: how many tokens each one sees on each side, of each layer; a shorter tuple is repeated, and
            None in it stands for all.
        max_global_tokens: how many tokens of a text may see all (Longformer's).
        block_sparse, relative, conv, bottleneck: see config/parts.py.
        norm: "layer", or "no_norm", a factor and a bias alone (MobileBERT).
        norm_bias: whether norms have a bias.
        norm_order: "post", after each sub-layer, or "pre", before it and once at the end.
        gated: whether the feed-forward layer multiplies an activation by a second projection.
        query_bias, key_bias, value_bias, attention_output_bias, feed_forward_bias: which dense layers have a bias.
        feed_forward_dropout_prob: dropout inside the feed-forward layer; None for none.
        sep_token_id: the id that ends a text, where heads look for it.
        classifier_input_dropout_prob: dropout before a classifier's hidden layer, if another than before its output.
        classifier_pooling: what that hidden layer reads: the "first" hidden state, or the "mean_real", of real tokens.
        token_act: activation of the hidden layer that heads for each token have; None for no such layer.
        head_bias, head_norm: whether heads' hidden layers have a bias, and a LayerNorm after them.
        decoder_bias: whether the masked-LM head's logits have a bias.
        wide_output: whether the masked-LM head's output weights are as wide as the blocks, beyond the embeddings.
        span_block: whether a feed-forward layer with a residual sum stands before the layer that marks answers.
        span_masks_question: whether answers cannot lie in the question.
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
    embedding_projection_place: str = "after_norm"
    embedding_projection_bias: bool = True
    trigrams: bool = False
    embedding_scale: float = 1.0
    embedding_dropout_prob: float | None = None
    embedding_dropout_first: bool = False
    mask_embeddings: bool = False
    rope_theta: tuple[float, ...] | None = None
    attention: str = "full"
    attention_window: tuple[int | None, ...] | None = None
    max_global_tokens: int = 128
    block_sparse: BlockSparse | None = None
    relative: Relative | None = None
    conv: Convolution | None = None
    bottleneck: Bottleneck | None = None
    norm: str = "layer"
    norm_bias: bool = True
    norm_order: str = "post"
    gated: bool = False
    query_bias: bool = True
    key_bias: bool = True
    value_bias: bool = True
    attention_output_bias: bool = True
    feed_forward_bias: bool = True
    feed_forward_dropout_prob: float | None = None
    sep_token_id: int | None = None
    classifier_input_dropout_prob: float | None = None
    classifier_pooling: str = "first"
    token_act: str | None = None
    head_bias: bool = True
    head_norm: bool = False
    decoder_bias: bool = True
    wide_output: bool = False
    span_block: bool = False
    span_masks_question: bool = False
    extra: dict = dataclasses.field(default_factory=dict, hash=False)  # a dict has no hash

    def __post_init__(self):
        find_family(self.family)
        least = {"type_vocab_size": 0, "pad_token_id": 0, "sep_token_id": 0}
        others = ("inner_group_num", "embedding_size", "num_hidden_groups", "max_global_tokens")
        for name in (*COUNTS, *others, "pad_token_id", "sep_token_id"):
            self._check(name, functools.partial(checked_count, least=least.get(name, 1)))
        for name in (*RATES, *OWN_RATES, *SCALES):
            self._check(name, checked_number)
        for name in ("hidden_act", "pooler", *OWN_ACTIVATIONS):
            self._check(name, checked_activation)
        for name in FLAGS:
            self._check(name, checked_flag)
        for name in CHOICES:
            checked_choice(name, getattr(self, name))
        count = functools.partial(checked_count, least=1)
        self._check("attention_window", functools.partial(checked_repeated, check=count))
        self._check("rope_theta", functools.partial(checked_repeated, check=checked_number))
        for name in PARTS:
            self._check(name, checked_part)
        check_together(self)

    def _check(self, name, check):
        """Checks a field, unless it is None and may be so."""
        value = getattr(self, name)
        if value is not None or name not in OPTIONAL:
            object.__setattr__(self, name, check(name, value))

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
    def normed_width(self):
        """The width at which the embeddings are added up and normed."""
        projects_first = self.projects_embeddings and self.embedding_projection_place != "after_norm"
        return self.hidden_size if projects_first else self.embedding_width

    @property
    def applies_projection(self):
        """Whether that layer does anything: MobileBERT has one in any case."""
        differs = self.trigrams or self.embedding_width != self.hidden_size
        return self.projects_embeddings and (differs or self.embedding_projection_place != "before_sum")

    @property
    def block_width(self):
        """The width inside the blocks."""
        return self.bottleneck.size if self.bottleneck is not None and self.bottleneck.narrows else self.hidden_size

    def window(self, index):
        """Returns how many tokens each one sees on each side in a block, by its number; None for all."""
        return None if self.attention_window is None else self.attention_window[index % len(self.attention_window)]

    def theta(self, index):
        """Returns the base of the rotary positions in a block, by its number; None for none."""
        return None if self.rope_theta is None else self.rope_theta[index % len(self.rope_theta)]

    @property
    def has_segments(self):
        """Whether the model tells segments apart; with a single one it adds the same row to every token."""
        return self.type_vocab_size > 1

    @property
    def head_norm_bias(self):
        """Whether the LayerNorms of heads have a bias: all have one but in families whose heads end in a norm."""
        return self.norm_bias or not self.head_norm

    @property
    def classifier_input_dropout(self):
        """The dropout before a classifier's hidden layer."""
        own = self.classifier_input_dropout_prob
        return (self.classifier_dropout if self.classifier_drops_input else 0.0) if own is None else own

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
