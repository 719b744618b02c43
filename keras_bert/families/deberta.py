"""DeBERTa (He et al. 2021), v1 and v2 (whose files v3 has, too): attention by content and by relative places.

Sources: transformers, modeling_deberta.py and modeling_deberta_v2.py. Fields that its configuration classes do not list
are read by their code all the same, and so here. The masked-LM head has one of two sets of names: `cls.predictions`
where config.json says legacy, or nothing, and `lm_predictions.lm_head` where it does not.
"""

import dataclasses

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
)
from keras_bert.families.bert import BERT, BLOCK, CLASSIFIER, EMBEDDINGS, LM, MASKED_LM, OUTPUT, SPANS, SQUAD, sized

SELF = "attention/self"
LATER_HEAD = "lm_predictions.lm_head."
LATER_MASKED_LM = {
    f"{LATER_HEAD}bias": (Place("cls/predictions/output_bias"),),
    **dense(f"{LATER_HEAD}dense", "cls/predictions/transform/dense"),
    **norm(f"{LATER_HEAD}LayerNorm", "cls/predictions/transform"),
}
POOLED = {**dense("pooler.dense", "output_dense"), **CLASSIFIER}


def is_legacy(config):
    """Says whether the masked-LM head has the older names; `legacy` changes nothing else."""
    return config.extra.get("legacy", True) is not False


def settle(config, names):
    """Returns a config whose `legacy` is that of the file: v3's published files have the later names and do not say."""
    has_later = any(name.startswith(LATER_HEAD) for name in names)
    if has_later and is_legacy(config) and not any(name.startswith("cls.predictions.") for name in names):
        return config.replace(extra={**config.extra, "legacy": False})
    return config


def decoder(config):
    """Returns the names of the masked-LM head's output weights, bias, and of the bias that it is tied to."""
    return BERT.decoder if is_legacy(config) else (None, None, f"{LATER_HEAD}bias")


def attended(given):
    """Returns the terms of the scores that config.json asks for, a list of words."""
    kinds = given.get("pos_att_type") or []
    kinds = [kind.strip() for kind in kinds.lower().split("|")] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or any(kind not in ("c2p", "p2c") for kind in kinds):
        raise UserError(f"pos_att_type must be a list of c2p and p2c. Received: {kinds!r:.80}.")
    return kinds


def reader(version):
    """Returns the `read` of a version."""

    def read(fields, given):
        kinds, hidden = attended(given), fields.get("hidden_size")
        width, places = given.get("pooler_hidden_size"), given.get("max_relative_positions", -1)
        if width is not None and width != hidden:
            raise UserError(
                f"pooler_hidden_size is {width!r:.80}, which is not implemented; hidden_size, {hidden}, is."
            )
        size, heads = given.get("attention_head_size"), fields.get("num_attention_heads")
        if size is not None and heads and size != hidden // heads:
            raise UserError(f"attention_head_size is {size!r:.80}, which is not implemented; {hidden // heads} is.")
        buckets = given.get("position_buckets", -1) if version > 1 else 0
        has_table = given.get("relative_attention", False)
        norms = str(given.get("norm_rel_ebd", "none")).lower().split("|") if version > 1 else []
        relative = {
            "c2p": "c2p" in kinds,
            "p2c": "p2c" in kinds,
            "buckets": max(buckets, 0) if isinstance(buckets, int) else buckets,
            "max_distance": fields.get("max_position_embeddings") if _is_small(places) else places,
            "shares_projections": version > 1 and given.get("share_att_key", False),
            "norm": "layer_norm" in [name.strip() for name in norms] and has_table,
            "key_bias": version > 1,
            "table": has_table,
        }
        act = given.get("pooler_hidden_act", "gelu")
        act = ACTIVATIONS.get(act, act) if isinstance(act, str) else act
        kernel = given.get("conv_kernel_size", 0) if version > 1 else 0
        conv = None
        if kernel:
            conv_act = given.get("conv_act", "tanh")
            conv = {
                "kernel": kernel,
                "groups": given.get("conv_groups", 1),
                "activation": ACTIVATIONS.get(conv_act, conv_act) if isinstance(conv_act, str) else conv_act,
            }
        is_biased = given.get("position_biased_input", True)
        legacy = given.get("legacy", True) is not False
        return {
            **fields,
            "embedding_size": given.get("embedding_size"),
            "relative": relative,
            "conv": conv,
            "position_embedding": "learned" if is_biased else "none",
            "classifier_act": act,
            "choice_act": act,
            "classifier_input_dropout_prob": given.get("pooler_dropout") or 0.0,
            "tie_word_embeddings": fields.get("tie_word_embeddings", True) if legacy else True,
        }

    return read


def _is_small(places):
    return isinstance(places, int) and not isinstance(places, bool) and places < 1


def writer(version):
    """Returns the `write` of a version."""

    def write(config):
        relative, conv = config.relative, config.conv
        said = [name for name in ("c2p", "p2c") if getattr(relative, name)]
        is_whole = relative.max_distance == config.max_position_embeddings  # which every published file says as -1
        fields = {
            "relative_attention": relative.table,
            "max_relative_positions": -1 if is_whole else relative.max_distance,
            "pos_att_type": said or None,
            "position_biased_input": config.position_embedding != "none",
            "pooler_dropout": config.classifier_input_dropout_prob or 0.0,
            "pooler_hidden_act": WRITTEN.get(config.classifier_act, config.classifier_act),
            "pooler_hidden_size": config.hidden_size,
        }
        fields |= {} if config.embedding_size is None else {"embedding_size": config.embedding_size}
        if version > 1:
            fields |= {
                "position_buckets": relative.buckets or -1,
                "norm_rel_ebd": "layer_norm" if relative.norm else "none",
                "share_att_key": relative.shares_projections,
            }
        if conv is not None:
            act = WRITTEN.get(conv.activation, conv.activation)
            fields |= {"conv_kernel_size": conv.kernel, "conv_groups": conv.groups, "conv_act": act}
        return fields

    return write


BLOCK_V1 = {
    **{name: places for name, places in BLOCK.items() if not name.startswith("attention.self.")},
    **{
        name: tuple(dataclasses.replace(place, by_head=True) for place in places)
        for name, places in fused(
            "attention.self.in_proj.weight",
            [Place(f"{SELF}/{name}/kernel", transposed=True) for name in ("query", "key", "value")],
        ).items()
    },
    "attention.self.q_bias": (Place(f"{SELF}/query/bias"),),
    "attention.self.v_bias": (Place(f"{SELF}/value/bias"),),
    "attention.self.pos_proj.weight": (Place(f"{SELF}/pos_key/kernel", transposed=True),),
    **dense("attention.self.pos_q_proj", f"{SELF}/pos_query"),
}
BLOCK_V2 = {
    **{name: places for name, places in BLOCK.items() if not name.startswith("attention.self.")},
    **dense("attention.self.query_proj", f"{SELF}/query"),
    **dense("attention.self.key_proj", f"{SELF}/key"),
    **dense("attention.self.value_proj", f"{SELF}/value"),
    **dense("attention.self.pos_key_proj", f"{SELF}/pos_key"),
    **dense("attention.self.pos_query_proj", f"{SELF}/pos_query"),
}
OUTSIDE = {
    **EMBEDDINGS,
    "embeddings.embed_proj.weight": (Place("bert/embeddings_project/kernel", transposed=True),),
    "encoder.rel_embeddings.weight": (Place("bert/encoder/rel_embeddings"),),
}
OUTSIDE_V2 = {
    **OUTSIDE,
    **norm("encoder.LayerNorm", "bert/encoder"),
    "encoder.conv.conv.weight": (Place("bert/encoder/conv/kernel", transposed=True),),
    "encoder.conv.conv.bias": (Place("bert/encoder/conv/bias"),),
    **norm("encoder.conv.LayerNorm", "bert/encoder/conv"),
}
DEFAULTS = {
    "hidden_act": "gelu",
    "type_vocab_size": 0,
    "layer_norm_eps": 1e-7,
    "classifier_act": "gelu",
    "choice_act": "gelu",
    "classifier_input_dropout_prob": 0.0,
}
FIXED = {
    "attention": "disentangled",
    "embedding_projection_place": "before_norm",
    "embedding_projection_bias": False,
    "mask_embeddings": True,
    "trains_padding": False,
    "pooler": None,
}
HEADS = (
    Head("ForMaskedLM", "fill_mask", (LM,), MASKED_LM, when=is_legacy),
    Head("ForMaskedLM", "fill_mask", (LM,), LATER_MASKED_LM, when=lambda config: not is_legacy(config)),
    Head("ForQuestionAnswering", "answer", (SQUAD,), SPANS),
    Head("ForSequenceClassification", "classify", (OUTPUT,), POOLED),
    Head("ForTokenClassification", "tag", (OUTPUT,), CLASSIFIER, dropout="hidden_dropout_prob"),
)

DEBERTA = Family(
    name="deberta",
    title="DeBERTa",
    architecture="Deberta",
    fields={"classifier_dropout_prob": "cls_dropout"},
    defaults={**DEFAULTS, "vocab_size": 50265, "relative": {"key_bias": False}},
    fixed={**FIXED, "key_bias": False},
    sizes={
        "deberta-base": sized(12, 768, position_embedding="none"),
        "deberta-large": sized(24, 1024, position_embedding="none"),
    },
    names=Names(prefix="deberta.", outside=OUTSIDE, block=BLOCK_V1, scope=numbered("encoder.layer.{}.")),
    heads=HEADS,
    decoder=decoder,
    expected={"talking_head": False, "is_decoder": False},
    read=reader(1),
    write=writer(1),
    settle=settle,
)
V3 = {"buckets": 256, "max_distance": 512, "shares_projections": True, "norm": True}
DEBERTA_V2 = dataclasses.replace(
    DEBERTA,
    name="deberta-v2",
    title="DeBERTa v2 or v3",
    architecture="DebertaV2",
    defaults={
        **DEFAULTS,
        **sized(24, 1536, vocab_size=128100),
        "relative": {"c2p": False, "p2c": False, "table": False},
    },
    fixed=FIXED,
    sizes={
        "deberta-v3-small": sized(6, 768, relative=V3, position_embedding="none"),
        "deberta-v3-base": sized(12, 768, relative=V3, position_embedding="none"),
        "deberta-v3-large": sized(24, 1024, relative=V3, position_embedding="none"),
    },
    names=Names(prefix="deberta.", outside=OUTSIDE_V2, block=BLOCK_V2, scope=numbered("encoder.layer.{}.")),
    heads=(*HEADS, Head("ForMultipleChoice", "choose", (OUTPUT,), POOLED)),
    read=reader(2),
    write=writer(2),
)
