"""DistilBERT (Sanh et al. 2019): half of BERT's blocks, no segments and no pooler, with fields and names of its own.

Source: transformers, modeling_distilbert.py. Its LayerNorms have an epsilon of 1e-12 whatever config.json says.
"""

from keras_bert.families.base import Family, Head, Names, Place, dense, norm, numbered, output
from keras_bert.families.bert import EMBEDDINGS, LM, OUTPUT, SQUAD

MASKED_LM = {
    "vocab_projector.bias": (Place("cls/predictions/output_bias"),),
    "vocab_projector.weight": (Place("cls/predictions/output_weights"),),
    **dense("vocab_transform", "cls/predictions/transform/dense"),
    **norm("vocab_layer_norm", "cls/predictions/transform"),
}
CLASSIFIER = {**dense("pre_classifier", "output_dense"), **output("classifier", "output")}


def read_positions(fields, given):
    """Adds the kind of position embeddings, which config.json says by a flag."""
    kind = "sinusoidal" if given.get("sinusoidal_pos_embds") else "learned"
    return {**fields, "position_embedding": kind}


def write_positions(config):
    """Returns config.json's flag of the kind of position embeddings."""
    return {"sinusoidal_pos_embds": config.position_embedding == "sinusoidal"}


DISTILBERT = Family(
    name="distilbert",
    title="DistilBERT",
    architecture="DistilBert",
    fields={
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "attention_dropout",
        "classifier_dropout_prob": "seq_classif_dropout",
        "span_dropout_prob": "qa_dropout",
    },
    defaults={
        "hidden_act": "gelu",
        "num_hidden_layers": 6,
        "classifier_dropout_prob": 0.2,
        "span_dropout_prob": 0.1,
    },
    fixed={
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-12,
        "trains_padding": False,
        "classifier_act": "relu",
        "classifier_drops_input": False,
        "choice_act": "relu",
        "pooler": None,
    },
    sizes={"distilbert-base": {"num_hidden_layers": 6}},
    names=Names(
        prefix="distilbert.",
        outside={name: places for name, places in EMBEDDINGS.items() if "token_type" not in name},
        block={
            **dense("attention.q_lin", "attention/self/query"),
            **dense("attention.k_lin", "attention/self/key"),
            **dense("attention.v_lin", "attention/self/value"),
            **dense("attention.out_lin", "attention/output/dense"),
            **norm("sa_layer_norm", "attention/output"),
            **dense("ffn.lin1", "intermediate/dense"),
            **dense("ffn.lin2", "output/dense"),
            **norm("output_layer_norm", "output"),
        },
        scope=numbered("transformer.layer.{}."),
    ),
    heads=(
        Head("ForMaskedLM", "fill_mask", (LM,), MASKED_LM),
        Head("ForQuestionAnswering", "answer", (SQUAD,), output("qa_outputs", "cls/squad/output")),
        Head("ForSequenceClassification", "classify", (OUTPUT,), CLASSIFIER),
        Head(
            "ForTokenClassification",
            "tag",
            (OUTPUT,),
            output("classifier", "output"),
            dropout="hidden_dropout_prob",
        ),
        Head("ForMultipleChoice", "choose", (OUTPUT,), CLASSIFIER),
    ),
    aliases={"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"},
    decoder=("vocab_projector.weight", None, "vocab_projector.bias"),
    also=("span_dropout_prob",),
    read=read_positions,
    write=write_positions,
)
