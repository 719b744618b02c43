"""ModernBERT (Warner et al. 2024): norms before sub-layers, rotary positions, windows, and gated feed-forward layers.

Sources: transformers, modeling_modernbert.py and configuration_modernbert.py. Its config.json comes in two styles:
files of transformers 4 say every how many layers one sees all tokens, those of 5 say it layer by layer; both are
written.
"""

from keras_bert.errors import UserError
from keras_bert.families.base import (
    ACTIVATIONS,
    WRITTEN,
    Family,
    Head,
    Names,
    Place,
    dense,
    fused,
    norm,
    numbered,
    output,
)
from keras_bert.families.bert import OUTPUT, SQUAD

FULL, SLIDING = "full_attention", "sliding_attention"
THETAS = {FULL: 160000.0, SLIDING: 10000.0}
OLDER_THETAS = {FULL: "global_rope_theta", SLIDING: "local_rope_theta"}
POOLINGS = {"cls": "first", "mean": "mean_real"}
HEAD_ACTIVATIONS = ("masked_lm_act", "classifier_act", "choice_act", "token_act")
HIDDEN = {**dense("head.dense", "bert/head/dense"), **norm("head.norm", "bert/head")}
MASKED_LM = {
    "decoder.bias": (Place("cls/predictions/output_bias"),),
    "decoder.weight": (Place("cls/predictions/output_weights"),),
    **HIDDEN,
}
CLASSIFIER = {**HIDDEN, **output("classifier", "output")}


def read(fields, given):
    """Returns the fields of Config, with those that config.json says in another way."""
    count = fields.get("num_hidden_layers")
    types = given.get("layer_types")
    if types is None:
        every = given.get("global_attn_every_n_layers", 3)
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise UserError(
                f"global_attn_every_n_layers must be a whole number of at least 1. Received: {every!r:.80}."
            )
        types = [FULL if i % every == 0 else SLIDING for i in range(every)]
    elif not isinstance(types, list) or not set(types) <= {FULL, SLIDING} or len(types) != count:
        raise UserError(
            f"layer_types must say {FULL!r} or {SLIDING!r} of each of the {count} layers. Received: {types!r:.80}."
        )
    window = given.get("local_attention", 128)
    if not isinstance(window, int) or isinstance(window, bool) or window < 2:
        raise UserError(f"local_attention must be a whole number of at least 2. Received: {window!r:.80}.")
    types, thetas = repeated(types), {kind: _theta(given, kind) for kind in THETAS}
    act = given.get("classifier_activation", "gelu")
    pooling = given.get("classifier_pooling", "cls")
    if pooling not in POOLINGS:
        raise UserError(f"classifier_pooling must be one of {', '.join(POOLINGS)}. Received: {pooling!r:.80}.")
    bias = given.get("attention_bias", False)
    return {
        **fields,
        "attention_window": [window // 2 if kind == SLIDING else None for kind in types],
        "rope_theta": [thetas[kind] for kind in types],
        **dict.fromkeys(("query_bias", "key_bias", "value_bias", "attention_output_bias"), bias),
        **dict.fromkeys(HEAD_ACTIVATIONS, ACTIVATIONS.get(act, act) if isinstance(act, str) else act),
        "classifier_pooling": POOLINGS[pooling],
        "choice_pooling": "first_real" if pooling == "cls" else "mean_real",
        "span_dropout_prob": fields.get("classifier_dropout_prob"),
    }


def _theta(given, kind):
    """Returns the base of the rotary positions of a kind of layer."""
    said = (given.get("rope_parameters") or {}).get(kind) or {}
    if said.get("rope_type", "default") != "default":
        raise UserError(f"rope_type is {said['rope_type']!r:.80}, which is not implemented; 'default' is.")
    return said.get("rope_theta", given.get(OLDER_THETAS[kind], THETAS[kind]))


def repeated(entries):
    """Returns the shortest list that gives the entries when it is repeated.

    >>> repeated(["a", "b", "b", "a", "b"])
    ['a', 'b', 'b']
    """
    fits = (n for n in range(1, len(entries) + 1) if all(x == entries[i % n] for i, x in enumerate(entries)))
    return list(entries[: next(fits)])


def write(config):
    """Returns what config.json says in another way than the Config."""
    count, windows = config.num_hidden_layers, config.attention_window
    types = [SLIDING if config.window(i) is not None else FULL for i in range(count)]
    thetas = {kind: next((config.theta(i) for i in range(count) if types[i] == kind), THETAS[kind]) for kind in THETAS}
    window = 2 * next((window for window in windows if window is not None), 64)
    every = len(windows)
    style = {"global_attn_every_n_layers": every} if windows == (None, *(window // 2,) * (every - 1)) else {}
    act = config.classifier_act
    return {
        "local_attention": window,
        "layer_types": types,
        "rope_parameters": {kind: {"rope_theta": theta, "rope_type": "default"} for kind, theta in thetas.items()},
        **style,
        **{OLDER_THETAS[kind]: theta for kind, theta in thetas.items()},
        "attention_bias": config.query_bias,
        "classifier_activation": WRITTEN.get(act, act),
        "classifier_pooling": "cls" if config.classifier_pooling == "first" else "mean",
    }


def sized(layers, hidden, heads, inner):
    """Returns the fields of a published size."""
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "intermediate_size": inner,
    }


MODERNBERT = Family(
    name="modernbert",
    title="ModernBERT",
    architecture="ModernBert",
    fields={
        "hidden_act": "hidden_activation",
        "layer_norm_eps": "norm_eps",
        "attention_probs_dropout_prob": "attention_dropout",
        "embedding_dropout_prob": "embedding_dropout",
        "feed_forward_dropout_prob": "mlp_dropout",
        "feed_forward_bias": "mlp_bias",
        "classifier_dropout_prob": "classifier_dropout",
        "head_bias": "classifier_bias",
    },
    defaults={
        "vocab_size": 50368,
        **sized(22, 768, 12, 1152),
        "max_position_embeddings": 8192,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 50283,
        "hidden_act": "gelu",
        "attention_probs_dropout_prob": 0.0,
        "embedding_dropout_prob": 0.0,
        "feed_forward_dropout_prob": 0.0,
        "classifier_dropout_prob": 0.0,
        "span_dropout_prob": 0.0,
        "norm_bias": False,
        "feed_forward_bias": False,
        "head_bias": False,
        **dict.fromkeys(("query_bias", "key_bias", "value_bias", "attention_output_bias"), False),
        "attention_window": (None, 64, 64),
        "rope_theta": (160000.0, 10000.0, 10000.0),
        **dict.fromkeys(HEAD_ACTIVATIONS, "gelu"),
        "choice_pooling": "first_real",
    },
    fixed={
        "type_vocab_size": 0,
        "position_embedding": "none",
        "hidden_dropout_prob": 0.0,
        "attention": "local",
        "norm_order": "pre",
        "gated": True,
        "head_norm": True,
        "classifier_drops_input": False,
        "trains_padding": False,
        "pooler": None,
    },
    sizes={"modernbert-base": sized(22, 768, 12, 1152), "modernbert-large": sized(28, 1024, 16, 2624)},
    names=Names(
        prefix="model.",
        outside={
            "embeddings.tok_embeddings.weight": (Place("bert/embeddings/word_embeddings"),),
            "embeddings.norm.weight": (Place("bert/embeddings/LayerNorm/gamma"),),
            "embeddings.norm.bias": (Place("bert/embeddings/LayerNorm/beta"),),
            **norm("final_norm", "bert/encoder/final"),
        },
        block={
            **fused(
                "attn.Wqkv.weight",
                [Place(f"attention/self/{name}/kernel", transposed=True) for name in ("query", "key", "value")],
            ),
            **fused("attn.Wqkv.bias", [Place(f"attention/self/{name}/bias") for name in ("query", "key", "value")]),
            **dense("attn.Wo", "attention/output/dense"),
            **norm("attn_norm", "attention/output"),
            **dense("mlp.Wi", "intermediate/dense"),
            **dense("mlp.Wo", "output/dense"),
            **norm("mlp_norm", "output"),
        },
        scope=numbered("layers.{}."),
    ),
    heads=(
        Head("ForQuestionAnswering", "answer", (SQUAD,), {**HIDDEN, **output("classifier", "cls/squad/output")}),
        Head("ForSequenceClassification", "classify", (OUTPUT,), CLASSIFIER),
        Head("ForTokenClassification", "tag", (OUTPUT,), CLASSIFIER),
        Head("ForMultipleChoice", "choose", (OUTPUT,), CLASSIFIER),
        Head("ForMaskedLM", "fill_mask", ("bert/head/",), MASKED_LM),
    ),
    also=(
        *("embedding_dropout_prob", "feed_forward_dropout_prob", "feed_forward_bias"),
        *("head_bias", "norm_bias", "decoder_bias"),
    ),
    decoder=("decoder.weight", None, "decoder.bias"),
    read=read,
    write=write,
)
