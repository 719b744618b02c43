"""Which values the fields of a Config may have."""

import numbers
import sys

from keras_bert.errors import UserError

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
MOST = 2**31 - 1  # what an int32 counts
MOST_LAYERS = 1000  # Wang et al. 2022, DeepNet; building more takes minutes, and is a mistake
RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob")
OWN_RATES = (
    *("classifier_dropout_prob", "classifier_input_dropout_prob", "span_dropout_prob", "choice_dropout_prob"),
    *("embedding_dropout_prob", "feed_forward_dropout_prob"),
)  # None: see the docstring
SCALES = ("initializer_range", "layer_norm_eps", "embedding_norm_eps", "head_norm_eps", "embedding_scale")
ACTIVATIONS = ("gelu_tanh", "gelu_erf", "relu", "silu", "tanh", "linear")
OWN_ACTIVATIONS = ("masked_lm_act", "classifier_act", "choice_act", "token_act")
POOLERS = (*ACTIVATIONS, "first")
FLAGS = (
    *("positions_from_ids", "trains_padding", "tie_word_embeddings", "classifier_drops_input"),
    *("embedding_projection_bias", "trigrams", "embedding_dropout_first", "mask_embeddings"),
    *("norm_bias", "gated", "query_bias", "key_bias", "value_bias", "attention_output_bias", "feed_forward_bias"),
    *("head_bias", "head_norm", "decoder_bias", "wide_output", "span_block", "span_masks_question"),
)
# What is implemented of a field, and what other encoders have there: that is refused by its name.
CHOICES = {
    "position_embedding": (("learned", "sinusoidal", "none"), ("relative",)),
    "embedding_projection_place": (("after_norm", "before_norm", "before_sum"), ()),
    "attention": (("full", "local", "global_local", "block_sparse", "disentangled"), ("linear", "hashed")),
    "norm_order": (("post", "pre"), ("sandwich",)),
    "norm": (("layer", "no_norm"), ("rms",)),
    "classifier_pooling": (("first", "mean_real"), ()),
    "choice_pooling": (("first", "first_real", "last", "mean", "mean_real"), ("cls_index", "attn")),
}


def checked_choice(name, value):
    """Returns one of the CHOICES, or raises a UserError that says whether it is only not implemented."""
    values, others = CHOICES[name]
    if isinstance(value, str) and value in values:
        return value
    shown = ", ".join(map(repr, values))
    if isinstance(value, str) and value in others:
        raise UserError(f"{name}={value!r} is not implemented; {shown} is.")
    raise UserError(f"{name} must be one of {shown}. Received: {value!r:.80}.")


def checked_count(name, value, *, least):
    """Returns a whole number as an int, which can be written as JSON as NumPy's cannot, or raises a UserError."""
    most = MOST_LAYERS if name in ("num_hidden_layers", "inner_group_num") else MOST
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise UserError(f"{name} must be a whole number of at least {least}. Received: {value!r:.80}.")
    if value > most:
        raise UserError(f"{name} must be at most {most}. Received: {value!r:.80}.")
    return int(value)


def checked_number(name, value):
    """Returns a rate, or else a number greater than 0, as a float, or raises a UserError."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    is_rate = name in (*RATES, *OWN_RATES)
    if is_rate and not (is_number and 0 <= value < 1):
        raise UserError(f"{name} must be at least 0 and less than 1. Received: {value!r:.80}.")
    if not is_rate and not (is_number and 0 < value <= sys.float_info.max):
        raise UserError(f"{name} must be greater than 0. Received: {value!r:.80}.")
    return float(value)


def checked_activation(name, value):
    """Returns the name of an activation, or of what a pooler does, or raises a UserError."""
    known = POOLERS if name == "pooler" else ACTIVATIONS
    if not isinstance(value, str) or value not in known:
        raise UserError(f"{name} must be one of {', '.join(known)}. Received: {value!r:.80}.")
    return value


def checked_repeated(name, value, check):
    """Returns a tuple of what holds for each layer in turn, or raises a UserError.

    Args:
        name: the field's.
        value: a list or tuple, of one entry a layer; a shorter one is repeated.
        check: (name, entry) -> the entry, for those that are not None.
    """
    if not isinstance(value, (list, tuple)) or not value:
        raise UserError(f"{name} must be a list with a number for each layer. Received: {value!r:.80}.")
    return tuple(None if entry is None else check(name, entry) for entry in value)


def checked_flag(name, value):
    """Returns a bool, or raises a UserError."""
    if not isinstance(value, bool):
        raise UserError(f"{name} must be true or false. Received: {value!r:.80}.")
    return value
