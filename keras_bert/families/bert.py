"""BERT (Devlin et al. 2018): google-research/bert's names, which are the neutral ones, and transformers'.

Sources: transformers, modeling_bert.py; of the sizes Devlin et al. 2018 and Turc et al. 2019.
"""

from keras_bert.families.base import Family, Head, Names, Place, dense, norm, numbered, output, same

# name: (layers, hidden size); heads = hidden / 64 and intermediate = 4 * hidden throughout.
SIZES = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}
WORDS = "embeddings.word_embeddings.weight"


def sized(layers, hidden, **others):
    """Returns the fields of a size by BERT's proportions."""
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": max(1, hidden // 64),
        "intermediate_size": 4 * hidden,
        **others,
    }


EMBEDDINGS = {
    WORDS: (Place("bert/embeddings/word_embeddings"),),
    "embeddings.position_embeddings.weight": (Place("bert/embeddings/position_embeddings"),),
    "embeddings.token_type_embeddings.weight": (Place("bert/embeddings/token_type_embeddings"),),
    **norm("embeddings.LayerNorm", "bert/embeddings"),
}
POOLER = dense("pooler.dense", "bert/pooler/dense")
BLOCK = {
    **dense("attention.self.query", "attention/self/query"),
    **dense("attention.self.key", "attention/self/key"),
    **dense("attention.self.value", "attention/self/value"),
    **dense("attention.output.dense", "attention/output/dense"),
    **norm("attention.output.LayerNorm", "attention/output"),
    **dense("intermediate.dense", "intermediate/dense"),
    **dense("output.dense", "output/dense"),
    **norm("output.LayerNorm", "output"),
}
MASKED_LM = {
    "cls.predictions.bias": (Place("cls/predictions/output_bias"),),
    "cls.predictions.decoder.weight": (Place("cls/predictions/output_weights"),),
    **dense("cls.predictions.transform.dense", "cls/predictions/transform/dense"),
    **norm("cls.predictions.transform.LayerNorm", "cls/predictions/transform"),
}
NEXT_SENTENCE = output("cls.seq_relationship", "cls/seq_relationship/output")
CLASSIFIER = output("classifier", "output")
SPANS = output("qa_outputs", "cls/squad/output")
LM, NSP, OUTPUT, SQUAD = "cls/predictions/", "cls/seq_relationship/", "output_", "cls/squad/"

# In Google's files the neutral names are the files'.
GOOGLE = Names(
    outside={
        **same(("word_embeddings", "token_type_embeddings", "position_embeddings"), "bert/embeddings"),
        **same(("LayerNorm/gamma", "LayerNorm/beta"), "bert/embeddings"),
        **same(("kernel", "bias"), "bert/pooler/dense"),
    },
    block={place.name: (Place(place.name),) for places in BLOCK.values() for place in places},
    scope=numbered("bert/encoder/layer_{}/"),
)

BERT = Family(
    name="bert",
    title="BERT",
    architecture="Bert",
    fields={"classifier_dropout_prob": "classifier_dropout"},
    defaults={"hidden_act": "gelu"},
    sizes={name: sized(*size) for name, size in SIZES.items()},
    names=Names(prefix="bert.", outside={**EMBEDDINGS, **POOLER}, block=BLOCK, scope=numbered("encoder.layer.{}.")),
    heads=(
        Head("ForPreTraining", "fill_mask", (LM, NSP), {**MASKED_LM, **NEXT_SENTENCE}, pooler=True),
        Head("ForMaskedLM", "fill_mask", (LM,), MASKED_LM),
        Head("ForNextSentencePrediction", "fill_mask", (NSP,), NEXT_SENTENCE, pooler=True),
        Head("ForQuestionAnswering", "answer", (SQUAD,), SPANS),
        Head("ForSequenceClassification", "classify", (OUTPUT,), CLASSIFIER, pooler=True),
        Head("ForTokenClassification", "tag", (OUTPUT,), CLASSIFIER),
        Head("ForMultipleChoice", "choose", (OUTPUT,), CLASSIFIER, pooler=True),
    ),
    objectives=("masked_lm", "next_sentence"),
    decoder=("cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "cls.predictions.bias"),
    google=GOOGLE,
    google_activations={"gelu": "gelu_tanh", "gelu_new": "gelu_tanh"},
    google_config="bert_config.json",
    expected={"position_embedding_type": "absolute", "is_decoder": False},
)
