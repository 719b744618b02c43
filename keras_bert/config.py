"""BertConfig: the fields of bert_config.json, and the table of published sizes.

Sources: google-research/bert, modeling.py (BertConfig) and the README's tables of models;
Turc et al. 2019, "Well-Read Students Learn Better" (the 24 miniatures).
"""

import dataclasses
import difflib
import numbers
import re
import sys
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.files import read_json

# name: (layers, hidden size); heads = hidden / 64 and intermediate = 4 * hidden throughout.
SIZES = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}
MINIATURE = re.compile(r"(?:uncased_)?L-(\d+)_H-(\d+)(?:_A-(\d+))?")

# "gelu" is the tanh approximation in Google's code and the exact erf in Hugging Face's: in memory it says which.
GOOGLE_ACTIVATIONS = {"gelu": "gelu_tanh", "gelu_new": "gelu_tanh"}
HUGGINGFACE_ACTIVATIONS = {
    **{"gelu": "gelu_erf", "gelu_python": "gelu_erf"},
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate"), "gelu_tanh"),
}
# What Hugging Face's config.json says of the file or of the head and not of the encoder. Google never writes the first
# three, by which such a file is known; none is kept, since each would be wrong in another file.
HUGGINGFACE_FIELDS = ("model_type", "architectures", "transformers_version")
HUGGINGFACE_FIELDS += ("_name_or_path", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "problem_type")
# What config.json must say, where it says anything: other values mean other arithmetic.
BERT = (("model_type", "bert"), ("position_embedding_type", "absolute"), ("is_decoder", False))
# What a field means that a file leaves out, where it is not what BertConfig() says: the constructor of the code that
# would have read the file. Google's needs the vocab_size.
GOOGLE_DEFAULTS = {"hidden_act": "gelu", "type_vocab_size": 16}
HUGGINGFACE_DEFAULTS = {"hidden_act": "gelu", "type_vocab_size": 2, "vocab_size": 30522}
# Fields that published files carry and that change nothing in an encoder: Google's of the multilingual models, and
# transformers' PreTrainedConfig and BertConfig, of version 4 and 5. Others are reported.
_GOOGLES = """
    directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head
    pooler_type
"""
_TRANSFORMERS = """
    add_cross_attention _attn_implementation attn_implementation _attn_implementation_autoset auto_map
    bos_token_id chunk_size_feed_forward classifier_dropout cls_token_id _commit_hash
    cross_attention_hidden_size decoder_start_token_id eos_token_id experts_implementation finetuning_task
    gradient_checkpointing is_decoder is_encoder_decoder language mask_token_id model_name name_or_path
    _num_labels output_attentions output_hidden_states output_past pad_token_id position_embedding_type prefix
    pruned_heads quantization_config return_dict sbert_ce_default_activation_function sentence_transformers
    sep_token_id summary_type task_specific_params tf_legacy_loss tie_encoder_decoder tie_word_embeddings
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
ACTIVATIONS = ("gelu_tanh", "gelu_erf", "relu", "tanh", "linear")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The shape of a BERT model, in the names of google-research/bert's bert_config.json.

    Args:
        vocab_size: entries of the vocabulary.
        hidden_size: width of the encoder, a multiple of `num_attention_heads`.
        num_hidden_layers: transformer blocks.
        num_attention_heads: attention heads of each block.
        intermediate_size: width of the feed-forward layer inside a block.
        hidden_act: "gelu_tanh" (Google's gelu), "gelu_erf" (Hugging Face's), "relu", "tanh" or "linear".
        hidden_dropout_prob: dropout on embeddings and on the output of each sub-layer.
        attention_probs_dropout_prob: dropout on attention probabilities.
        max_position_embeddings: the longest sequence the model can read.
        type_vocab_size: segments that the model can tell apart.
        initializer_range: standard deviation of the truncated normal that weights start from.
        layer_norm_eps: epsilon of every LayerNorm; 1e-12 in tf.contrib and so in BERT.
        extra: fields of the file that this library does not know; written back as they were.

    Raises:
        UserError: a value that cannot work; the sentence carries the numbers.

    Example:
        >>> BertConfig.from_name("tiny", vocab_size=8000).intermediate_size
        512
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
    extra: dict = dataclasses.field(default_factory=dict, hash=False)  # a dict has no hash

    def __post_init__(self):
        for name in COUNTS:
            value, most = getattr(self, name), MOST_LAYERS if name == "num_hidden_layers" else MOST
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
                raise UserError(f"{name} must be a whole number of at least 1. Received: {value!r:.80}.")
            if value > most:
                raise UserError(f"{name} must be at most {most}. Received: {value!r:.80}.")
            object.__setattr__(self, name, int(value))  # NumPy's are neither written as JSON nor equal in type
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                "hidden_size must be a multiple of num_attention_heads. "
                f"Received: {self.hidden_size} and {self.num_attention_heads}."
            )
        for name in (*RATES, "initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
            if name in RATES and not (is_number and 0 <= value < 1):
                raise UserError(f"{name} must be at least 0 and less than 1. Received: {value!r:.80}.")
            if name not in RATES and not (is_number and 0 < value <= sys.float_info.max):
                raise UserError(f"{name} must be greater than 0. Received: {value!r:.80}.")
            object.__setattr__(self, name, float(value))
        if self.hidden_act not in ACTIVATIONS:
            raise UserError(f"hidden_act must be one of {', '.join(ACTIVATIONS)}. Received: {self.hidden_act!r}.")

    @classmethod
    def from_name(cls, name, **overrides):
        """Returns a published size: "tiny" ... "large", or a miniature such as "L-4_H-256"."""
        miniature = MINIATURE.fullmatch(name)
        if name in SIZES:
            layers, hidden = SIZES[name]
        elif miniature:
            layers, hidden = int(miniature[1]), int(miniature[2])
        else:
            raise UserError(f"No size is called {name!r}; choose one of {', '.join(SIZES)}, or L-4_H-256 and the like.")
        heads = int(miniature[3]) if miniature and miniature[3] else max(1, hidden // 64)
        shape = {
            "num_hidden_layers": layers,
            "hidden_size": hidden,
            "num_attention_heads": heads,
            "intermediate_size": 4 * hidden,
        }
        return cls(**{**shape, **overrides})

    @classmethod
    def from_dict(cls, fields, *, activations=GOOGLE_ACTIVATIONS):
        """Reads the fields of a bert_config.json (or, with HUGGINGFACE_ACTIVATIONS, of a config.json).

        A field that is left out means what it means to the code that would have read the file.

        Raises:
            UserError: a value that cannot work, or Google's without vocab_size, which its code needs.
        """
        known = {f.name for f in dataclasses.fields(cls)} - {"extra"}
        extra = {k: v for k, v in fields.items() if k not in known}
        defaults = GOOGLE_DEFAULTS if activations is GOOGLE_ACTIVATIONS else HUGGINGFACE_DEFAULTS
        fields = {**defaults, **{k: v for k, v in fields.items() if k in known}}
        if "vocab_size" not in fields:
            raise UserError("A bert_config.json must have a vocab_size; it has none.")
        activation = fields.get("hidden_act")
        if isinstance(activation, str):
            fields["hidden_act"] = activations.get(activation, activation)
        return cls(**fields, extra=extra)

    @classmethod
    def from_huggingface(cls, fields):
        """Reads the fields of a Hugging Face config.json; what it says of the file or the head is left out.

        Raises:
            UserError: a value that cannot work, or a model that is not BERT.
        """
        for name, expected in BERT:
            if fields.get(name, expected) != expected:
                raise UserError(f"It is not a BERT model: its {name} is {fields[name]!r:.80}, not {expected!r}.")
        fields = {name: value for name, value in fields.items() if name not in HUGGINGFACE_FIELDS}
        return cls.from_dict(fields, activations=HUGGINGFACE_ACTIVATIONS)

    @classmethod
    def from_file(cls, path):
        """Reads a bert_config.json, Google's or ours, or Hugging Face's config.json."""
        fields = read_json(path, what="The model's configuration")
        is_huggingface = any(name in fields for name in HUGGINGFACE_FIELDS[:3])
        if "vocab_size" not in fields and not is_huggingface:
            raise UserError(f"{path} has no vocab_size; a bert_config.json was expected.")
        try:
            return cls.from_huggingface(fields) if is_huggingface else cls.from_dict(fields)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    @classmethod
    def from_name_or_file(cls, name_or_path, **overrides):
        """Reads what `--bert_config_file` takes: a published size's name or a file. `overrides` go to names alone."""
        if str(name_or_path) in SIZES or MINIATURE.fullmatch(str(name_or_path)):
            return cls.from_name(str(name_or_path), **overrides)
        if not Path(name_or_path).exists():
            raise UserError(
                f"--bert_config_file: {name_or_path} is neither a file nor a size; the sizes are {', '.join(SIZES)}, "
                "L-4_H-256 and the like."
            )
        return cls.from_file(name_or_path)

    def unknown_fields(self):
        """Returns a note on the fields of `extra` that are in no published file, such as a misspelt one, or None.

        Example:
            >>> BertConfig(extra={"hiden_size": 64, "pad_token_id": 0}).unknown_fields()
            'fields of the configuration that are not known and do nothing: hiden_size (hidden_size?)'
        """
        known = [field.name for field in dataclasses.fields(self) if field.name != "extra"]
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
        """Returns the fields, the unknown ones beside the known, as they go into bert_config.json."""
        fields = dataclasses.asdict(self)
        return {**fields.pop("extra"), **fields}

    def replace(self, **changes):
        """Returns a copy with some fields changed."""
        return dataclasses.replace(self, **changes)
