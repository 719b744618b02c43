"""ALBERT (Lan et al. 2019): embeddings narrower than the blocks, blocks that share their weights, sentence order.

Sources: google-research/albert, modeling.py; transformers, modeling_albert.py. Block i of L uses group
int(i / (L / groups)), as transformers computes it; a group is one or more blocks in turn, each with weights of its own.
"""

from keras_bert.families.base import Family, Head, Names, Place, dense, norm, output, same
from keras_bert.families.bert import EMBEDDINGS, GOOGLE, LM, NSP, OUTPUT, SQUAD

MASKED_LM = {
    "predictions.bias": (Place("cls/predictions/output_bias"),),
    "predictions.decoder.weight": (Place("cls/predictions/output_weights"),),
    **dense("predictions.dense", "cls/predictions/transform/dense"),
    **norm("predictions.LayerNorm", "cls/predictions/transform"),
}
SENTENCE_ORDER = output("sop_classifier.classifier", "cls/seq_relationship/output")
CLASSIFIER = output("classifier", "output")
MAPPING = "bert/embeddings_project"


def torch_scope(config, index):
    """Returns how transformers' names of a set of weights begin."""
    group, inner = divmod(index, config.inner_group_num)
    return f"encoder.albert_layer_groups.{group}.albert_layers.{inner}."


def google_scope(config, index):
    """Returns how Google's names of a set of weights begin."""
    group, inner = divmod(index, config.inner_group_num)
    return f"bert/encoder/transformer/group_{group}/inner_group_{inner}/"


def google_dense(file, scope):
    """Returns the table of one of Google's dense layers, which have kernels as Keras has them."""
    return {f"{file}/{name}": (Place(f"{scope}/{name}"),) for name in ("kernel", "bias")}


def sized(hidden, heads, layers=12, *, dropout=0.0, vocab_size=30000):
    """Returns the fields of a published size."""
    return {
        "vocab_size": vocab_size,
        "embedding_size": 128,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "intermediate_size": 4 * hidden,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }


ALBERT = Family(
    name="albert",
    title="ALBERT",
    architecture="Albert",
    defaults={
        "vocab_size": 30000,
        "embedding_size": 128,
        "hidden_size": 4096,
        "num_attention_heads": 64,
        "num_hidden_groups": 1,
        "intermediate_size": 16384,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout_prob": 0.1,
    },
    fixed={"embedding_projection": True, "trains_padding": False},
    sizes={
        "albert-base": sized(768, 12),
        "albert-large": sized(1024, 16, 24),
        "albert-xlarge": sized(2048, 16, 24),
        "albert-xxlarge": sized(4096, 64),
    },
    names=Names(
        prefix="albert.",
        outside={
            **EMBEDDINGS,
            **dense("encoder.embedding_hidden_mapping_in", MAPPING),
            **dense("pooler", "bert/pooler/dense"),
        },
        block={
            **dense("attention.query", "attention/self/query"),
            **dense("attention.key", "attention/self/key"),
            **dense("attention.value", "attention/self/value"),
            **dense("attention.dense", "attention/output/dense"),
            **norm("attention.LayerNorm", "attention/output"),
            **dense("ffn", "intermediate/dense"),
            **dense("ffn_output", "output/dense"),
            **norm("full_layer_layer_norm", "output"),
        },
        scope=torch_scope,
    ),
    heads=(
        Head("ForPreTraining", "fill_mask", (LM, NSP), {**MASKED_LM, **SENTENCE_ORDER}, pooler=True),
        Head("ForMaskedLM", "fill_mask", (LM,), MASKED_LM),
        Head("ForQuestionAnswering", "answer", (SQUAD,), output("qa_outputs", "cls/squad/output")),
        Head("ForSequenceClassification", "classify", (OUTPUT,), CLASSIFIER, pooler=True),
        Head("ForTokenClassification", "tag", (OUTPUT,), CLASSIFIER),
        Head("ForMultipleChoice", "choose", (OUTPUT,), CLASSIFIER, pooler=True),
    ),
    also=("embedding_size", "num_hidden_groups", "inner_group_num"),
    objectives=("masked_lm", "next_sentence"),
    decoder=("predictions.decoder.weight", "predictions.decoder.bias", "predictions.bias"),
    google=Names(
        outside={**GOOGLE.outside, **google_dense("bert/encoder/embedding_hidden_mapping_in", MAPPING)},
        block={
            **google_dense("attention_1/self/query", "attention/self/query"),
            **google_dense("attention_1/self/key", "attention/self/key"),
            **google_dense("attention_1/self/value", "attention/self/value"),
            **google_dense("attention_1/output/dense", "attention/output/dense"),
            **google_dense("ffn_1/intermediate/dense", "intermediate/dense"),
            **google_dense("ffn_1/intermediate/output/dense", "output/dense"),
            **{f"LayerNorm/{name}": (Place(f"attention/output/LayerNorm/{name}"),) for name in ("gamma", "beta")},
            **{f"LayerNorm_1/{name}": (Place(f"output/LayerNorm/{name}"),) for name in ("gamma", "beta")},
        },
        scope=google_scope,
    ),
    google_activations={"gelu": "gelu_tanh", "gelu_new": "gelu_tanh"},
    google_config="albert_config.json",
    expected={"position_embedding_type": "absolute"},
    google_heads={
        **same(("transform/dense/kernel", "transform/dense/bias"), "cls/predictions"),
        **same(("transform/LayerNorm/gamma", "transform/LayerNorm/beta", "output_bias"), "cls/predictions"),
        **same(("output_weights", "output_bias"), "cls/seq_relationship"),
    },
)
