"""MobileBERT (Sun et al. 2020): blocks that are narrow inside, and embeddings that read a token's neighbours.

Source: transformers, modeling_mobilebert.py. Two of its LayerNorms have PyTorch's own epsilon, whatever config.json
says.
"""

from keras_bert.errors import UserError
from keras_bert.families.base import Family, Head, Names, Place, dense, norm, numbered, output
from keras_bert.families.bert import BERT, BLOCK, CLASSIFIER, EMBEDDINGS, LM, NEXT_SENTENCE, NSP, OUTPUT, POOLER, SQUAD
from keras_bert.families.bert import MASKED_LM as BERT_MASKED_LM

TORCH_EPS = 1e-5  # of a torch.nn.LayerNorm that is given none
NORMS = {"no_norm": "no_norm", "layer_norm": "layer"}
MASKED_LM = {
    **BERT_MASKED_LM,
    "cls.predictions.dense.weight": (Place("cls/predictions/extra_output_weights", transposed=True),),
}
# {field of Bottleneck: (config.json's field, what it means by leaving it out)}
BOTTLENECK = {
    "size": ("intra_bottleneck_size", 128),
    "shares_key_query": ("key_query_shared_bottleneck", True),
    "attention_inside": ("use_bottleneck_attention", False),
    "feed_forwards": ("num_feedforward_networks", 4),
    "narrows": ("use_bottleneck", True),
}


def read(fields, given):
    """Returns the fields of Config, with those that config.json says in another way."""
    kind = given.get("normalization_type", "no_norm")
    if kind not in NORMS:
        raise UserError(f"normalization_type must be one of {', '.join(NORMS)}. Received: {kind!r:.80}.")
    narrow = {name: given.get(theirs, default) for name, (theirs, default) in BOTTLENECK.items()}
    return {
        **fields,
        "norm": NORMS[kind],
        "bottleneck": {**narrow, "norm_eps": TORCH_EPS},
        "pooler": "tanh" if given.get("classifier_activation", True) else "first",
    }


def write(config):
    """Returns what config.json says in another way than the Config."""
    return {
        "normalization_type": next(theirs for theirs, ours in NORMS.items() if ours == config.norm),
        **{theirs: getattr(config.bottleneck, name) for name, (theirs, _) in BOTTLENECK.items()},
        "true_hidden_size": config.block_width,
        "classifier_activation": config.pooler != "first",
    }


def block(config):
    """Returns the table inside a block, which depends on the number of its feed-forward layers."""
    inner, narrow = {}, config.bottleneck
    for number in range(0 if narrow is None else narrow.feed_forwards - 1):
        file, ours = f"ffn.{number}", f"ffn_layer_{number}"
        inner |= {
            **dense(f"{file}.intermediate.dense", f"{ours}/intermediate/dense"),
            **dense(f"{file}.output.dense", f"{ours}/output/dense"),
            **norm(f"{file}.output.LayerNorm", f"{ours}/output"),
        }
    names = ("bottleneck.input", "bottleneck.attention", "output.bottleneck")
    for name in names:
        scope = name.replace(".", "/")
        inner |= {**dense(f"{name}.dense", f"{scope}/dense"), **norm(f"{name}.LayerNorm", scope)}
    return {**BLOCK, **inner}


MOBILEBERT = Family(
    name="mobilebert",
    title="MobileBERT",
    architecture="MobileBert",
    fields={"classifier_dropout_prob": "classifier_dropout", "trigrams": "trigram_input"},
    defaults={
        "hidden_size": 512,
        "num_hidden_layers": 24,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "hidden_act": "relu",
        "hidden_dropout_prob": 0.0,
        "embedding_size": 128,
        "trigrams": True,
        "norm": "no_norm",
        "bottleneck": {name: default for name, (_, default) in BOTTLENECK.items()},
    },
    fixed={
        "embedding_projection": True,
        "embedding_projection_place": "before_sum",
        "embedding_norm_eps": TORCH_EPS,
        "wide_output": True,
        "trains_padding": False,
    },
    sizes={"mobilebert": {"num_hidden_layers": 24}},
    names=Names(
        prefix="mobilebert.",
        outside={**EMBEDDINGS, **POOLER, **dense("embeddings.embedding_transformation", "bert/embeddings_project")},
        block=block,
        scope=numbered("encoder.layer.{}."),
    ),
    heads=(
        Head("ForPreTraining", "fill_mask", (LM, NSP), {**MASKED_LM, **NEXT_SENTENCE}, pooler=True),
        Head("ForMaskedLM", "fill_mask", (LM,), MASKED_LM),
        Head("ForNextSentencePrediction", "fill_mask", (NSP,), NEXT_SENTENCE, pooler=True),
        Head("ForQuestionAnswering", "answer", (SQUAD,), output("qa_outputs", "cls/squad/output")),
        Head("ForSequenceClassification", "classify", (OUTPUT,), CLASSIFIER, pooler=True),
        Head("ForTokenClassification", "tag", (OUTPUT,), CLASSIFIER),
        Head("ForMultipleChoice", "choose", (OUTPUT,), CLASSIFIER, pooler=True),
    ),
    also=("embedding_size", "trigrams"),
    objectives=("masked_lm", "next_sentence"),
    decoder=BERT.decoder,
    expected={"is_decoder": False},
    read=read,
    write=write,
)
