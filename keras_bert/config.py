"""Config: everything that changes an encoder's arithmetic, whatever its family, and the files that say it.

Sources: google-research/bert, modeling.py (BertConfig); transformers' configuration classes, by the tables of families/.
"""

import dataclasses
import difflib
import numbers
import re
import sys
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.families import ACTIVATIONS as HUGGINGFACE_ACTIVATIONS
from keras_bert.families import FAMILIES, SIZES, WRITTEN, find_family
from keras_bert.families.bert import sized
from keras_bert.files import read_json

MINIATURE = re.compile(r"(?:uncased_)?L-(\d+)_H-(\d+)(?:_A-(\d+))?")

# "gelu" is the tanh approximation in Google's BERT and the exact erf in Hugging Face's: in memory it says which.
GOOGLE_ACTIVATIONS = FAMILIES["bert"].google_activations
# What Hugging Face's config.json says of the file or of the head and not of the encoder. Google never writes the first
# three, by which such a file is known; none is kept, since each would be wrong in another file.
HUGGINGFACE_FIELDS = ("model_type", "architectures", "transformers_version")
HUGGINGFACE_FIELDS += ("_name_or_path", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "problem_type")
# What a field means that a Google file leaves out, where it is not what Config() says: the constructor of the code that
# would have read the file. It needs the vocab_size.
GOOGLE_DEFAULTS = {"hidden_act": "gelu", "type_vocab_size": 16}
# Fields that published files carry and that change nothing in an encoder: Google's of the multilingual models, and
# transformers' PreTrainedConfig and BertConfig, of version 4 and 5. Others are reported.
_GOOGLES = """
    directionality down_scale_factor gap_size net_structure_type num_memory_blocks pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
"""
_TRANSFORMERS = """
    add_cross_attention _attn_implementation attn_implementation _attn_implementation_autoset auto_map
    bos_token_id chunk_size_feed_forward cls_token_id _commit_hash
    cross_attention_hidden_size decoder_start_token_id eos_token_id experts_implementation finetuning_task
    gradient_checkpointing is_decoder is_encoder_decoder language mask_token_id model_name name_or_path
    _num_labels output_attentions output_hidden_states output_past position_embedding_type prefix
    pruned_heads quantization_config return_dict sbert_ce_default_activation_function sentence_transformers
    sep_token_id sinusoidal_pos_embds summary_type summary_use_proj task_specific_params tf_legacy_loss tie_encoder_decoder
    tokenizer_class torchscript transformers_weights unk_token_id use_bfloat16 use_cache use_return_dict
"""
_OF_GENERATION = """
    bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size
    exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_length
    min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_scores
    remove_invalid_values repetition_penalty return_dict_in_generate suppress_tokens temperature top_k top_p
    typical_p
"""
HARMLESS = {*HUGGINGFACE_FIELDS, *_GOOGLES.split(), *_TRANSFORMERS.split(), *_OF_GENERATION.split()}
# The fields of a bert_config.json, in Google's order; all are written there.
COUNTS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
SHOWN_FIELDS = 8
MOST = 2**31 - 1  # what an int32 counts
MOST_LAYERS = 1000  # Wang et al. 2022, DeepNet; building more takes minutes, and is a mistake
RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob")
OWN_RATES = ("classifier_dropout_prob", "span_dropout_prob", "choice_dropout_prob")  # None: see the docstring
ACTIVATIONS = ("gelu_tanh", "gelu_erf", "relu", "tanh", "linear")
OWN_ACTIVATIONS = ("masked_lm_act", "classifier_act", "choice_act", "pooler")
FLAGS = ("positions_from_ids", "trains_padding", "tie_word_embeddings", "classifier_drops_input")
# What is implemented of a field, and what other encoders have there: that is refused by its name.
CHOICES = {
    "position_embedding": (("learned", "sinusoidal"), ("rotary", "relative", "none")),
    "attention": (("full",), ("local", "global_local", "block_sparse", "disentangled")),
    "norm_order": (("post",), ("pre",)),
    "norm": (("layer",), ("none_stat", "rms")),
    "use_bias": ((True,), (False,)),
    "gated": ((False,), (True,)),
    "choice_pooling": (("first", "last", "mean"), ("cls_index", "attn")),
}
# What config.json holds in every family, under the family's name for it, unless the family fixes it.
SAID = (
    *COUNTS,
    *("hidden_act", *RATES, "initializer_range", "layer_norm_eps", "pad_token_id", "tie_word_embeddings"),
    "classifier_dropout_prob",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
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
        pooler: activation of the pooler's dense layer, or None where there is no pooler.
        tie_word_embeddings: whether the masked-LM head's output weights are the word embeddings.
        masked_lm_act: activation of the masked-LM head; None for hidden_act.
        classifier_act: activation of the hidden layer that a classifier has instead of the pooler; None for the pooler.
        classifier_dropout_prob: dropout before a classifier's dense layers; None for hidden_dropout_prob.
        classifier_drops_input: whether there is dropout before its hidden layer, too.
        span_dropout_prob: dropout before the dense layer that marks answers; None for none.
        choice_act: as classifier_act, of multiple choice.
        choice_pooling: what its hidden layer reads of a sequence: "first", "last" or "mean".
        choice_dropout_prob: dropout after its hidden layer; None for the classifier's.
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
        for name, (values, others) in CHOICES.items():
            _check_choice(name, getattr(self, name), values, others)
        for name in (*COUNTS, "inner_group_num"):
            self._set_count(name, least=0 if name == "type_vocab_size" else 1)
        self._set_count("pad_token_id", least=0)
        for name in ("embedding_size", "num_hidden_groups"):
            if getattr(self, name) is not None:
                self._set_count(name, least=1)
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                "hidden_size must be a multiple of num_attention_heads. "
                f"Received: {self.hidden_size} and {self.num_attention_heads}."
            )
        for name in (*RATES, *OWN_RATES, "initializer_range", "layer_norm_eps", "embedding_norm_eps", "head_norm_eps"):
            if getattr(self, name) is not None or name in (*RATES, "initializer_range", "layer_norm_eps"):
                self._set_number(name, is_rate=name in (*RATES, *OWN_RATES))
        for name in ("hidden_act", *OWN_ACTIVATIONS):
            value = getattr(self, name)
            if value not in ACTIVATIONS and not (name != "hidden_act" and value is None):
                raise UserError(f"{name} must be one of {', '.join(ACTIVATIONS)}. Received: {value!r:.80}.")
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"{name} must be true or false. Received: {getattr(self, name)!r:.80}.")
        self._check_together()

    def _set_count(self, name, *, least):
        value, most = getattr(self, name), MOST_LAYERS if name in ("num_hidden_layers", "inner_group_num") else MOST
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
            raise UserError(f"{name} must be a whole number of at least {least}. Received: {value!r:.80}.")
        if value > most:
            raise UserError(f"{name} must be at most {most}. Received: {value!r:.80}.")
        object.__setattr__(self, name, int(value))  # NumPy's are neither written as JSON nor equal in type

    def _set_number(self, name, *, is_rate):
        value = getattr(self, name)
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if is_rate and not (is_number and 0 <= value < 1):
            raise UserError(f"{name} must be at least 0 and less than 1. Received: {value!r:.80}.")
        if not is_rate and not (is_number and 0 < value <= sys.float_info.max):
            raise UserError(f"{name} must be greater than 0. Received: {value!r:.80}.")
        object.__setattr__(self, name, float(value))

    def _check_together(self):
        """Raises a UserError for values that do not go together."""
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

    @classmethod
    def from_name(cls, name, **overrides):
        """Returns a published size: "tiny" ... "large", "roberta-base", ..., or a miniature such as "L-4_H-256"."""
        miniature = MINIATURE.fullmatch(name)
        if miniature and name not in SIZES:
            layers, hidden = int(miniature[1]), int(miniature[2])
            shape = sized(layers, hidden, **({"num_attention_heads": int(miniature[3])} if miniature[3] else {}))
            return cls(**{**shape, **overrides})
        for family in FAMILIES.values():
            if name in family.sizes:
                google = family.name == "bert"
                fields = {} if google else {**family.defaults, "trains_padding": True, **family.fixed}
                fields = {**fields, **family.sizes[name], **overrides, "family": family.name}
                if not google:
                    fields = _with_activations(fields, HUGGINGFACE_ACTIVATIONS)
                return cls(**fields)
        raise UserError(
            f"No size is called {name!r:.80}; choose one of {', '.join(_size_names())}, or L-4_H-256 and the like."
        )

    @classmethod
    def from_dict(cls, fields, *, activations=GOOGLE_ACTIVATIONS):
        """Reads the fields of a bert_config.json, or those of `to_dict`.

        A field that is left out means what it means to the code that would have read the file.

        Raises:
            UserError: a value that cannot work, or Google's without vocab_size, which its code needs.
        """
        known = {f.name for f in dataclasses.fields(cls)} - {"extra"}
        extra = {k: v for k, v in fields.items() if k not in known}
        defaults = {**GOOGLE_DEFAULTS, **({} if activations is GOOGLE_ACTIVATIONS else {"type_vocab_size": 2})}
        fields = {**defaults, **{k: v for k, v in fields.items() if k in known}}
        if fields.get("pad_token_id", 0) is None:
            del fields["pad_token_id"]
        if "vocab_size" not in fields:
            raise UserError("A bert_config.json must have a vocab_size; it has none.")
        return cls(**_with_activations(fields, activations), extra=extra)

    @classmethod
    def from_google(cls, fields, family):
        """Reads the configuration beside a checkpoint of Google's, of a family that has one.

        Raises:
            UserError: a value that cannot work, or no vocab_size, which its code needs.
        """
        if family == "bert":
            return cls.from_dict(fields)
        row = find_family(family)
        if "vocab_size" not in fields:
            raise UserError(f"{row.google_config or 'A configuration'} must have a vocab_size; it has none.")
        known, extra = _said(row, fields)
        given = {**row.defaults, "hidden_act": "gelu", **known}
        given = {**_with_activations(given, {**HUGGINGFACE_ACTIVATIONS, **row.google_activations}), **row.fixed}
        return cls(**{**given, "trains_padding": True}, family=family, extra=extra)

    @classmethod
    def from_huggingface(cls, fields):
        """Reads the fields of a Hugging Face config.json; what it says of the file or the head is left out.

        Raises:
            UserError: a value that cannot work, a family that is not known, or one that is not computed as asked.
        """
        row = find_family(_model_type(fields))
        for name, expected in row.expected.items():
            if fields.get(name, expected) != expected:
                raise UserError(
                    f"{name} is {fields[name]!r:.80}, which is not implemented for {row.title}; {expected!r} is."
                )
        fields = {name: value for name, value in fields.items() if name not in HUGGINGFACE_FIELDS}
        known, extra = _said(row, fields)
        for name in ("pad_token_id", "tie_word_embeddings"):  # null is as good as absent
            if known.get(name, 0) is None:
                del known[name]
        known = row.read(_with_activations({**row.defaults, **known}, HUGGINGFACE_ACTIVATIONS), fields)
        return cls(**{**known, **row.fixed}, family=row.name, extra=extra)

    @classmethod
    def from_file(cls, path):
        """Reads a configuration file: Google's (BERT's, ALBERT's), one of ours, or Hugging Face's config.json."""
        fields = read_json(path, what="The model's configuration")
        is_huggingface = any(name in fields for name in HUGGINGFACE_FIELDS[:3])
        if "vocab_size" not in fields and not is_huggingface:
            raise UserError(f"{path} has no vocab_size; a bert_config.json was expected.")
        is_albert = Path(path).name == FAMILIES["albert"].google_config or "num_hidden_groups" in fields
        try:
            if is_huggingface:
                return cls.from_huggingface(fields)
            return cls.from_google(fields, "albert") if is_albert and "family" not in fields else cls.from_dict(fields)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    @classmethod
    def from_name_or_file(cls, name_or_path, **overrides):
        """Reads what `--bert_config_file` takes: a published size's name or a file. `overrides` go to names alone."""
        if str(name_or_path) in _size_names() or MINIATURE.fullmatch(str(name_or_path)):
            return cls.from_name(str(name_or_path), **overrides)
        if not Path(name_or_path).exists():
            raise UserError(
                f"--bert_config_file: {name_or_path} is neither a file nor a size; the sizes are "
                f"{', '.join(_size_names())}, L-4_H-256 and the like."
            )
        return cls.from_file(name_or_path)

    def unknown_fields(self):
        """Returns a note on the fields of `extra` that are in no published file, such as a misspelt one, or None.

        Example:
            >>> Config(extra={"hiden_size": 64, "bos_token_id": 0}).unknown_fields()
            'fields of the configuration that are not known and do nothing: hiden_size (hidden_size?)'
        """
        row = find_family(self.family)
        known = [row.fields.get(name, name) for name in (*SAID, *row.also) if name not in row.fixed]
        unknown = []
        for name in self.extra:
            if name not in HARMLESS:
                meant = difflib.get_close_matches(name[:60], known, n=1, cutoff=0.75)
                unknown.append(f"{name[:60]} ({meant[0]}?)" if meant else name[:60])
        if not unknown:
            return None
        more = f" and {len(unknown) - SHOWN_FIELDS} more" if len(unknown) > SHOWN_FIELDS else ""
        shown = ", ".join(unknown[:SHOWN_FIELDS])
        return f"fields of the configuration that are not known and do nothing: {shown}{more}"

    def to_dict(self):
        """Returns the fields as `from_dict` reads them, those that no bert_config.json has only where they matter."""
        fields = dataclasses.asdict(self)
        plain = {f.name: f.default for f in dataclasses.fields(self)}
        google = (*COUNTS, *RATES, "hidden_act", "initializer_range", "layer_norm_eps")
        extra = fields.pop("extra")
        return {**extra, **{k: v for k, v in fields.items() if k in google or v != plain[k]}}

    def to_huggingface(self):
        """Returns the fields of a config.json, the unknown ones among them, without what it says of the head."""
        row, fields = find_family(self.family), {}
        for name in (*SAID, *row.also):
            if name not in row.fixed:
                value = getattr(self, name)
                is_act = name in ("hidden_act", *OWN_ACTIVATIONS)
                fields[row.fields.get(name, name)] = WRITTEN.get(value, value) if is_act else value
        return {**self.extra, "model_type": row.name, **fields, **row.write(self)}

    def not_in_huggingface(self):
        """Returns {field: value} of what a config.json of the family cannot say of this configuration."""
        again = type(self).from_huggingface(self.to_huggingface())
        given_by_the_weights = ("extra", "trains_padding")
        if "pooler" in find_family(self.family).fixed:  # of whose heads only some have one
            given_by_the_weights += ("pooler",)
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in given_by_the_weights and getattr(self, field.name) != getattr(again, field.name)
        }

    def replace(self, **changes):
        """Returns a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


BertConfig = Config


def _model_type(fields):
    """Returns the family that a config.json names; the oldest ones name only the class, or nothing, as BERT's do."""
    if fields.get("model_type") is not None:
        return fields["model_type"]
    classes = fields.get("architectures")
    classes = [name for name in classes if isinstance(name, str)] if isinstance(classes, list) else []
    found = (row.name for row in FAMILIES.values() if any(name.startswith(row.architecture) for name in classes))
    return next(found, "bert")


def _check_choice(name, value, values, others):
    if value in values and isinstance(value, type(values[0])):
        return
    shown = ", ".join(map(repr, values))
    if value in others and isinstance(value, type(others[0])):
        raise UserError(f"{name}={value!r} is not implemented; {shown} is.")
    raise UserError(f"{name} must be one of {shown}. Received: {value!r:.80}.")


def _with_activations(fields, activations):
    """Returns fields with the names of activations that say which gelu they are."""
    names = [n for n in ("hidden_act", *OWN_ACTIVATIONS) if isinstance(fields.get(n), str)]
    return {**fields, **{name: activations.get(fields[name], fields[name]) for name in names}}


def _said(row, fields):
    """Returns the fields of Config that a file of a family says, and its other fields."""
    names = {row.fields.get(name, name): name for name in (*SAID, *row.also) if name not in row.fixed}
    known = {name: fields[key] for key, name in names.items() if key in fields}
    return known, {key: value for key, value in fields.items() if key not in names}


def _size_names():
    return [name for family in FAMILIES.values() for name in family.sizes]
