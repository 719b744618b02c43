"""BigBird (Zaheer et al. 2020): BERT whose blocks of tokens see their neighbours, the ends and some others.

Source of the names: transformers, modeling_big_bird.py, which calls the encoder "bert". It draws the other blocks in
training alone; in evaluation each of them is the first block, and so they are here unless `Config.block_sparse.drawn`
is True. Embeddings are dropped out before their LayerNorm.
"""

import math

from keras_bert.errors import UserError
from keras_bert.families.base import Family, Head, Names, dense, norm, numbered, output
from keras_bert.families.bert import (
    BERT,
    BLOCK,
    CLASSIFIER,
    EMBEDDINGS,
    LM,
    MASKED_LM,
    NEXT_SENTENCE,
    NSP,
    OUTPUT,
    SQUAD,
    sized,
)
from keras_bert.families.roberta import SEQUENCE

ATTENTION = {"original_full": "full", "block_sparse": "block_sparse"}
BIASES = ("query_bias", "key_bias", "value_bias")
SPANS = {
    **dense("qa_classifier.intermediate.dense", "cls/squad/block/intermediate/dense"),
    **dense("qa_classifier.output.dense", "cls/squad/block/output/dense"),
    **norm("qa_classifier.output.LayerNorm", "cls/squad/block/output"),
    **output("qa_classifier.qa_outputs", "cls/squad/output"),
}
LONG = {"vocab_size": 50358, "max_position_embeddings": 4096, "hidden_act": "gelu_tanh"}


def read_attention(fields, file):
    """Returns the fields with the kind of attention, its blocks and biases, and the scale of the embeddings."""
    kind = file.get("attention_type", "block_sparse")
    if not isinstance(kind, str) or kind not in ATTENTION:
        raise UserError(f"attention_type must be one of {', '.join(ATTENTION)}. Received: {kind!r:.80}.")
    flags = {"use_bias": file.get("use_bias", True), "rescale_embeddings": file.get("rescale_embeddings", False)}
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise UserError(f"{name} must be true or false. Received: {value!r:.80}.")
    hidden_size = fields.get("hidden_size", 768)
    scale = hidden_size**0.5 if flags["rescale_embeddings"] and isinstance(hidden_size, int) else 1.0
    blocks = {"block_size": file.get("block_size", 64), "random_blocks": file.get("num_random_blocks", 3)}
    return {
        **fields,
        **dict.fromkeys(BIASES, flags["use_bias"]),
        "attention": ATTENTION[kind],
        "block_sparse": blocks,
        "embedding_scale": scale,
        "classifier_act": fields["hidden_act"],  # of transformers' head for a sequence
    }


def write_attention(config):
    """Returns what config.json says of the same."""
    blocks = (
        {}
        if config.block_sparse is None
        else {
            "block_size": config.block_sparse.block_size,
            "num_random_blocks": config.block_sparse.random_blocks,
        }
    )
    return {
        **blocks,
        "attention_type": "block_sparse" if config.attention == "block_sparse" else "original_full",
        "use_bias": all(getattr(config, name) for name in BIASES),
        "rescale_embeddings": math.isclose(config.embedding_scale, config.hidden_size**0.5),
    }


BIG_BIRD = Family(
    name="big_bird",
    title="BigBird",
    architecture="BigBird",
    fields={**BERT.fields, "random_blocks": "num_random_blocks"},
    defaults={
        **{"vocab_size": 50358, "hidden_act": "gelu_new", "max_position_embeddings": 4096, "sep_token_id": 66},
        "attention": "block_sparse",
        "block_sparse": {"block_size": 64, "random_blocks": 3},
        "classifier_act": "gelu_new",
    },
    fixed={
        "trains_padding": False,
        "embedding_dropout_first": True,
        "span_block": True,
        "span_masks_question": True,
    },
    sizes={"bigbird-roberta-base": sized(12, 768, **LONG), "bigbird-roberta-large": sized(24, 1024, **LONG)},
    names=Names(
        prefix="bert.",
        outside={**EMBEDDINGS, **dense("pooler", "bert/pooler/dense")},
        block=BLOCK,
        scope=numbered("encoder.layer.{}."),
    ),
    heads=(
        Head("ForPreTraining", "fill_mask", (LM, NSP), {**MASKED_LM, **NEXT_SENTENCE}, pooler=True),
        Head("ForMaskedLM", "fill_mask", (LM,), MASKED_LM, stores_pooler=True),
        Head("ForQuestionAnswering", "answer", (SQUAD,), SPANS),
        Head("ForSequenceClassification", "classify", (OUTPUT,), SEQUENCE, stores_pooler=True),
        Head("ForTokenClassification", "tag", (OUTPUT,), CLASSIFIER, stores_pooler=True),
        Head("ForMultipleChoice", "choose", (OUTPUT,), CLASSIFIER, pooler=True),
    ),
    objectives=BERT.objectives,
    decoder=BERT.decoder,
    also=("sep_token_id",),
    expected={"is_decoder": False},
    read=read_attention,
    write=write_attention,
)
