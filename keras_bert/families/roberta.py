"""RoBERTa (Liu et al. 2019) and XLM-R (Conneau et al. 2020): BERT with positions counted over real ids.

Source of the names: transformers, modeling_roberta.py and modeling_xlm_roberta.py. Both call the encoder "roberta".
"""

import dataclasses

from keras_bert.families.base import Family, Head, Place, dense, norm, output
from keras_bert.families.bert import BERT, LM, OUTPUT, SQUAD, sized

MASKED_LM = {
    "lm_head.bias": (Place("cls/predictions/output_bias"),),
    "lm_head.decoder.weight": (Place("cls/predictions/output_weights"),),
    **dense("lm_head.dense", "cls/predictions/transform/dense"),
    **norm("lm_head.layer_norm", "cls/predictions/transform"),
}
SEQUENCE = {**dense("classifier.dense", "output_dense"), **output("classifier.out_proj", "output")}
SHARED = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}

ROBERTA = Family(
    name="roberta",
    title="RoBERTa",
    architecture="Roberta",
    fields=BERT.fields,
    defaults={"hidden_act": "gelu", "vocab_size": 50265, "pad_token_id": 1},
    # The heads' activations are written into transformers' code, whatever hidden_act says.
    fixed={
        "positions_from_ids": True,
        "trains_padding": False,
        "masked_lm_act": "gelu_erf",
        "classifier_act": "tanh",
        "pooler": None,
    },
    sizes={"roberta-base": sized(12, 768, **SHARED), "roberta-large": sized(24, 1024, **SHARED)},
    names=dataclasses.replace(BERT.names, prefix="roberta."),
    heads=(
        Head("ForMaskedLM", "fill_mask", (LM,), MASKED_LM),
        Head("ForQuestionAnswering", "answer", (SQUAD,), output("qa_outputs", "cls/squad/output")),
        Head("ForSequenceClassification", "classify", (OUTPUT,), SEQUENCE),
        Head("ForTokenClassification", "tag", (OUTPUT,), output("classifier", "output")),
        Head(
            "ForMultipleChoice",
            "choose",
            (OUTPUT,),
            output("classifier", "output"),
            pooler=True,
            dropout="hidden_dropout_prob",
        ),
    ),
    expected=BERT.expected,
)

XLM = {"vocab_size": 250002, **{name: value for name, value in SHARED.items() if name != "vocab_size"}}
XLM_ROBERTA = dataclasses.replace(
    ROBERTA,
    name="xlm-roberta",
    title="XLM-R",
    architecture="XLMRoberta",
    defaults={**ROBERTA.defaults, "vocab_size": 30522},
    sizes={"xlm-roberta-base": sized(12, 768, **XLM), "xlm-roberta-large": sized(24, 1024, **XLM)},
)
