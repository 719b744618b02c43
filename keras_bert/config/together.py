"""Which values of a Config go together."""

from keras_bert.config.values import MOST_LAYERS
from keras_bert.errors import UserError

# {kind of attention: the field that says the rest of it}
NEEDS = {
    "local": "attention_window",
    "global_local": "attention_window",
    "block_sparse": "block_sparse",
    "disentangled": "relative",
}


def check_together(config):
    """Raises a UserError for values that do not go together."""
    narrow = config.bottleneck
    if config.block_width % config.num_attention_heads:
        name = "hidden_size" if narrow is None or not narrow.narrows else "bottleneck.size"
        raise UserError(
            f"{name} must be a multiple of num_attention_heads. "
            f"Received: {config.block_width} and {config.num_attention_heads}."
        )
    if config.rope_theta is not None and config.block_width // config.num_attention_heads % 2:
        raise UserError(
            "With rotary positions a head must have an even number of features. Received: "
            f"hidden_size={config.hidden_size} and num_attention_heads={config.num_attention_heads}."
        )
    reads_wide = narrow is not None and not (narrow.shares_key_query or narrow.attention_inside)
    if reads_wide and config.block_width != config.hidden_size:
        raise UserError(
            "Queries and keys that read the wide input need a bottleneck as wide as hidden_size. "
            f"Received: {narrow.size} and {config.hidden_size}."
        )
    for kind, name in NEEDS.items():
        if config.attention == kind and getattr(config, name) is None:
            raise UserError(f"attention={kind!r} needs {name}. Received: None.")
    if config.embedding_projection is False and config.embedding_width != config.hidden_size:
        raise UserError(
            f"embedding_size is {config.embedding_size} and hidden_size {config.hidden_size}, which needs an "
            "embedding_projection. Received: embedding_projection=False."
        )
    if config.wide_output and config.embedding_width > config.hidden_size:
        raise UserError(
            "embedding_size must be at most hidden_size, as wide as the masked-LM head's output weights. "
            f"Received: {config.embedding_size} and {config.hidden_size}."
        )
    if config.num_hidden_groups is not None and config.num_hidden_groups > config.num_hidden_layers:
        raise UserError(
            "num_hidden_groups must be at most num_hidden_layers. "
            f"Received: {config.num_hidden_groups} and {config.num_hidden_layers}."
        )
    if config.num_hidden_layers * config.inner_group_num > MOST_LAYERS:
        raise UserError(
            f"num_hidden_layers * inner_group_num must be at most {MOST_LAYERS}. "
            f"Received: {config.num_hidden_layers} and {config.inner_group_num}."
        )
    if config.pad_token_id >= config.vocab_size:
        raise UserError(
            "pad_token_id must be an id of the vocabulary, less than vocab_size. "
            f"Received: {config.pad_token_id} and {config.vocab_size}."
        )
    _check_attention(config)
    if config.max_length < 1:
        raise UserError(
            f"max_position_embeddings must be at least {config.pad_token_id + 2}, since positions are counted from "
            f"pad_token_id + 1. Received: {config.max_position_embeddings}."
        )


def _check_attention(config):
    """Refuses windows that hold for some layers alone where global tokens are."""
    if config.attention == "global_local" and None in config.attention_window:
        raise UserError(
            "attention_window must have a number for each layer where attention is 'global_local'. "
            f"Received: {config.attention_window}."
        )
