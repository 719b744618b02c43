"""ELECTRA (Clark et al. 2020): a generator with a masked-LM head, and a discriminator that finds replaced tokens.

Sources: google-research/electra, model/modeling.py and pretrain/pretrain_helpers.py; transformers, modeling_electra.py.
Each is an encoder of its own. Embeddings may be narrower than the blocks. Google's checkpoints hold both nets, which
share their embeddings, and no configuration: sizes come from the arrays.
"""

import re

from keras_bert.errors import UserError
from keras_bert.families.base import Family, Head, Names, Place, dense, norm, numbered, output
from keras_bert.families.bert import BLOCK, EMBEDDINGS, LM, OUTPUT, SQUAD, sized

MAPPING = "bert/embeddings_project"
DISCRIMINATOR = "discriminator_predictions/"
MASKED_LM = {
    "generator_lm_head.bias": (Place("cls/predictions/output_bias"),),
    "generator_lm_head.weight": (Place("cls/predictions/output_weights"),),
    **dense("generator_predictions.dense", "cls/predictions/transform/dense"),
    **norm("generator_predictions.LayerNorm", "cls/predictions/transform"),
}
REPLACED_TOKENS = {
    **dense("discriminator_predictions.dense", "discriminator_predictions/dense"),
    **dense("discriminator_predictions.dense_prediction", "discriminator_predictions/dense_1"),
}
SEQUENCE = {**dense("classifier.dense", "output_dense"), **output("classifier.out_proj", "output")}
CHOICE = {**dense("sequence_summary.summary", "output_dense"), **output("classifier", "output")}
NETS = ("discriminator", "generator")


def google_names(net):
    """Returns the Names of one of the two nets in Google's checkpoints."""
    own, shared = ("electra" if net == "discriminator" else "generator"), "electra/embeddings"
    tables = ("word_embeddings", "token_type_embeddings", "position_embeddings", "LayerNorm/gamma", "LayerNorm/beta")
    return Names(
        outside={
            **{f"{shared}/{name}": (Place(f"bert/embeddings/{name}"),) for name in tables},
            **{f"{own}/embeddings_project/{name}": (Place(f"{MAPPING}/{name}"),) for name in ("kernel", "bias")},
        },
        block={place.name: (Place(place.name),) for places in BLOCK.values() for place in places},
        scope=numbered(own + "/encoder/layer_{}/"),
    )


def google_heads(net):
    """Returns the table of a net's own head in Google's checkpoints."""
    if net == "discriminator":
        names = (f"{DISCRIMINATOR}{layer}/{name}" for layer in ("dense", "dense_1") for name in ("kernel", "bias"))
        return {name: (Place(name),) for name in names}
    return {
        f"generator_predictions/{theirs}": (Place(f"cls/predictions/{ours}"),)
        for theirs, ours in (
            *((f"dense/{name}", f"transform/dense/{name}") for name in ("kernel", "bias")),
            *((f"LayerNorm/{name}", f"transform/LayerNorm/{name}") for name in ("gamma", "beta")),
            ("output_bias", "output_bias"),
        )
    }


def google_sizes(shapes, net):
    """Returns the fields of Config that the shapes of a checkpoint of Google's say.

    The number of heads cannot be read off: it is max(1, hidden size // 64), as in configure_pretraining.py.

    Args:
        shapes: {name in the file: shape}.
        net: "discriminator" or "generator".

    Raises:
        UserError: it has no such net.
    """
    own = "electra" if net == "discriminator" else "generator"
    numbers = [int(found[1]) for found in (re.match(rf"{own}/encoder/layer_(\d+)/", name) for name in shapes) if found]
    block = f"{own}/encoder/layer_0/intermediate/dense/kernel"
    tables = {f"electra/embeddings/{name}_embeddings" for name in ("word", "position", "token_type")}
    if block not in shapes or not tables <= shapes.keys():
        raise UserError(f"It holds no {net} of ELECTRA: {block} or the embeddings are missing.")
    hidden, inner = shapes[block]
    vocab_size, embedding_size = shapes["electra/embeddings/word_embeddings"]
    return {
        "vocab_size": vocab_size,
        "embedding_size": embedding_size,
        "max_position_embeddings": shapes["electra/embeddings/position_embeddings"][0],
        "type_vocab_size": shapes["electra/embeddings/token_type_embeddings"][0],
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": max(numbers) + 1,
        "num_attention_heads": max(1, hidden // 64),
    }


def read_summary(fields, _):
    """Returns the fields with the summary's activation by a name; none at all leaves the hidden layer as it is."""
    return {**fields, "choice_act": fields["choice_act"] or "linear"}


ELECTRA = Family(
    name="electra",
    title="ELECTRA",
    architecture="Electra",
    fields={
        "classifier_dropout_prob": "classifier_dropout",
        "choice_pooling": "summary_type",
        "choice_act": "summary_activation",
        "choice_dropout_prob": "summary_last_dropout",
    },
    defaults={
        "embedding_size": 128,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
        "hidden_act": "gelu",
        "choice_pooling": "first",
        "choice_act": "gelu",
        "choice_dropout_prob": 0.1,
    },
    fixed={"masked_lm_act": "gelu_erf", "classifier_act": "gelu_erf", "trains_padding": False, "pooler": None},
    sizes={
        "electra-small": sized(12, 256, embedding_size=128),
        "electra-base": sized(12, 768, embedding_size=768),
        "electra-large": sized(24, 1024, embedding_size=1024),
    },
    names=Names(
        prefix="electra.",
        outside={**EMBEDDINGS, **dense("embeddings_project", MAPPING)},
        block=BLOCK,
        scope=numbered("encoder.layer.{}."),
    ),
    heads=(
        Head("ForPreTraining", "fill_mask", (DISCRIMINATOR,), REPLACED_TOKENS),
        Head("ForMaskedLM", "fill_mask", (LM,), MASKED_LM),
        Head("ForQuestionAnswering", "answer", (SQUAD,), output("qa_outputs", "cls/squad/output")),
        Head("ForSequenceClassification", "classify", (OUTPUT,), SEQUENCE),
        Head("ForTokenClassification", "tag", (OUTPUT,), output("classifier", "output")),
        Head("ForMultipleChoice", "choose", (OUTPUT,), CHOICE),
    ),
    also=("embedding_size", "choice_act", "choice_pooling", "choice_dropout_prob"),
    objectives=("replaced_tokens",),
    decoder=("generator_lm_head.weight", None, "generator_lm_head.bias"),
    google_activations={"gelu": "gelu_erf"},
    expected={"position_embedding_type": "absolute", "is_decoder": False, "summary_use_proj": True},
    read=read_summary,
)
