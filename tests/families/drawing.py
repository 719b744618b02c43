"""Random configurations of the families with windows, blocks, tables and bottlenecks, as config.json says them.

A draw is (fields, lengths of a batch's texts). Widths are small, and lengths such that blocks are computed as blocks.
"""

SMALL = {
    **{"vocab_size": 31, "hidden_size": 12, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 20},
    **{"max_position_embeddings": 40, "initializer_range": 0.3, "hidden_dropout_prob": 0.0},
    "attention_probs_dropout_prob": 0.0,
}
ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu", "tanh")


def drawn(rng, **choices):
    """Returns one of each tuple of choices."""
    return {name: values[rng.integers(len(values))] for name, values in choices.items()}


def flags(rng, *names):
    """Returns True or False for each name."""
    return {name: bool(rng.integers(2)) for name in names}


def lengths_of(rng, longest):
    """Returns the lengths of three texts, none under 7."""
    longest = int(longest)
    return [longest, int(rng.integers(7, longest + 1)), int(rng.integers(7, longest + 1))]


def mobilebert(rng):
    """Draws a MobileBERT."""
    fields = SMALL | {"hidden_size": 12, "true_hidden_size": 9, "intra_bottleneck_size": 9, "classifier_dropout": 0.0}
    fields |= flags(rng, "trigram_input", "use_bottleneck_attention", "key_query_shared_bottleneck")
    fields |= flags(rng, "classifier_activation", "tie_word_embeddings")
    fields |= drawn(rng, embedding_size=(5, 12), num_feedforward_networks=(1, 2, 4), hidden_act=ACTIVATIONS)
    fields |= drawn(rng, normalization_type=("no_norm", "layer_norm"), type_vocab_size=(1, 2, 3))
    fields |= drawn(rng, use_bottleneck=(True, True, True, False), pad_token_id=(0, 2), layer_norm_eps=(1e-12, 1e-3))
    reads_wide = not (fields["key_query_shared_bottleneck"] or fields["use_bottleneck_attention"])
    if reads_wide or not fields["use_bottleneck"]:
        fields |= {"true_hidden_size": 12, "intra_bottleneck_size": 12}
    return fields, lengths_of(rng, rng.integers(7, 20))


def deberta(rng):
    """Draws a DeBERTa of version 1."""
    fields = SMALL | flags(rng, "relative_attention", "position_biased_input", "legacy", "tie_word_embeddings")
    fields |= drawn(rng, pos_att_type=(["c2p"], ["p2c"], ["c2p", "p2c"], "p2c|c2p", []), type_vocab_size=(0, 1, 2))
    fields |= drawn(rng, max_relative_positions=(-1, 1, 4, 16, 64), embedding_size=(None, 5), hidden_act=ACTIVATIONS)
    fields |= drawn(rng, pooler_hidden_act=ACTIVATIONS, layer_norm_eps=(1e-7, 1e-3), pad_token_id=(0, 2))
    fields |= {"pooler_dropout": 0.0, "cls_dropout": 0.0, "pooler_hidden_size": SMALL["hidden_size"]}
    if fields["embedding_size"] is None:
        fields.pop("embedding_size")
    fields["relative_attention"] |= bool(rng.integers(2))
    if not fields["legacy"]:  # its head is as wide as the embeddings, and tied
        fields["tie_word_embeddings"] = True
        fields.pop("embedding_size", None)
    return fields, lengths_of(rng, rng.integers(7, 36))


def deberta_v2(rng):
    """Draws a DeBERTa of version 2 or 3."""
    fields, lengths = deberta(rng)
    fields |= drawn(rng, position_buckets=(-1, 0, 2, 3, 4, 5, 8, 9), norm_rel_ebd=("none", "layer_norm", "LAYER_NORM"))
    fields |= drawn(rng, conv_kernel_size=(0, 0, 1, 3, 5), conv_act=ACTIVATIONS, conv_groups=(1, 2, 3))
    fields |= flags(rng, "share_att_key")
    if not fields["relative_attention"]:  # there is a LayerNorm that nothing reads
        fields["norm_rel_ebd"] = "none"
    if fields["position_buckets"] > 0 and 0 < fields["max_relative_positions"] < fields["position_buckets"]:
        fields["max_relative_positions"] = 3 * fields["position_buckets"]
    return fields, lengths


def longformer(rng):
    """Draws a Longformer."""
    fields = SMALL | {"max_position_embeddings": 320, "pad_token_id": 1, "sep_token_id": 2}
    fields |= flags(rng, "tie_word_embeddings") | drawn(rng, type_vocab_size=(1, 2), hidden_act=ACTIVATIONS)
    windows = (4, 8, [4, 8, 16], [16, 4, 4], [8, 8, 8], 64)
    fields |= drawn(rng, attention_window=windows, layer_norm_eps=(1e-12, 1e-3), bos_token_id=(0,), eos_token_id=(2,))
    fields |= {"classifier_dropout": None}
    return fields, lengths_of(rng, (9, 31, 70, 290)[rng.integers(4)] + rng.integers(5))


def big_bird(rng):
    """Draws a BigBird."""
    fields = SMALL | {"max_position_embeddings": 320, "classifier_dropout": 0.0, "sep_token_id": 3}
    fields |= flags(rng, "use_bias", "rescale_embeddings", "tie_word_embeddings")
    fields |= drawn(rng, attention_type=("block_sparse", "block_sparse", "original_full"), hidden_act=ACTIVATIONS)
    fields |= drawn(rng, block_size=(2, 4, 7), num_random_blocks=(1, 2, 3), type_vocab_size=(2, 3))
    fields |= drawn(rng, layer_norm_eps=(1e-12, 1e-3), pad_token_id=(0, 2))
    longest = (5 + 2 * fields["num_random_blocks"]) * fields["block_size"]
    return fields, lengths_of(rng, longest + rng.integers(-2, 3 * fields["block_size"]))


def modernbert(rng):
    """Draws a ModernBERT."""
    fields = {name: x for name, x in SMALL.items() if name not in ("hidden_dropout_prob", "type_vocab_size")}
    fields |= {"num_attention_heads": 2, "max_position_embeddings": 400, "attention_dropout": 0.0}
    fields.pop("attention_probs_dropout_prob")
    fields |= flags(rng, "norm_bias", "attention_bias", "mlp_bias", "classifier_bias", "decoder_bias")
    fields |= flags(rng, "tie_word_embeddings")
    fields |= drawn(rng, classifier_pooling=("cls", "mean"), hidden_activation=ACTIVATIONS, norm_eps=(1e-5, 1e-3))
    fields |= drawn(rng, classifier_activation=ACTIVATIONS, local_attention=(2, 5, 8, 16, 64), pad_token_id=(0, 3))
    fields |= {"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    thetas = [{"rope_theta": float(10 ** rng.uniform(1, 5)), "rope_type": "default"} for _ in range(2)]
    fields["rope_parameters"] = dict(zip(("full_attention", "sliding_attention"), thetas, strict=True))
    if rng.integers(2):
        fields["global_attn_every_n_layers"] = int(rng.integers(1, 4))
    else:
        kinds = ("full_attention", "sliding_attention")
        fields["layer_types"] = [kinds[rng.integers(2)] for _ in range(fields["num_hidden_layers"])]
    return fields, lengths_of(rng, (9, 31, 300)[rng.integers(3)] + rng.integers(5))


DRAWS = {
    "mobilebert": mobilebert,
    "deberta": deberta,
    "deberta-v2": deberta_v2,
    "longformer": longformer,
    "big_bird": big_bird,
    "modernbert": modernbert,
}
