"""Which values of a Config go together."""

from keras_bert.config.values import MOST_LAYERS
from keras_bert.errors import UserError


def check_together(config):
    """Raises a UserError for values that do not go together."""
    if config.hidden_size % config.num_attention_heads:
        raise UserError(
            "hidden_size must be a multiple of num_attention_heads. "
            f"Received: {config.hidden_size} and {config.num_attention_heads}."
        )
    if config.embedding_projection is False and config.embedding_width != config.hidden_size:
        raise UserError(
            f"embedding_size is {config.embedding_size} and hidden_size {config.hidden_size}, which needs an "
            "embedding_projection. Received: embedding_projection=False."
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
    """Refuses a kind of attention without what it needs to know."""
    windows = config.attention_window
    if config.attention == "global_local" and (windows is None or None in windows):
        raise UserError(
            "attention='global_local' needs an attention_window with a number of tokens for each layer. "
            f"Received: {windows}."
        )
    if config.attention == "block_sparse" and config.block_sparse is None:
        raise UserError("attention='block_sparse' needs block_sparse, its block_size and the like. Received: None.")
