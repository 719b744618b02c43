"""A model so small that it learns a small task in seconds."""

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def small_shape(hidden_size=16, **fields):
    """Returns fields of a BertConfig: one layer, two heads, and first weights large enough to learn from soon."""
    shape = {"hidden_size": hidden_size, "intermediate_size": 2 * hidden_size, "initializer_range": 0.1}
    return {**shape, "num_hidden_layers": 1, "num_attention_heads": 2, **fields}
