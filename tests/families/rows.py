"""A tiny model of every family with each of its heads: the rows that all tests of this folder have in common.

B batch, S sequence.
"""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.config import Config
from keras_bert.families import FAMILIES
from keras_bert.models import Classifier, Encoder, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.models.walk import walk

HEADS = {model.TASK: model for model in (Classifier, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier)}
LENGTH, CLASSES = 9, 3
SMALL = {
    **{"vocab_size": 31, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20},
    **{"max_position_embeddings": 16, "initializer_range": 0.3, "classifier_dropout_prob": 0.0},
    **{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}
SIZES = {"bert": "tiny", **{name: next(iter(row.sizes)) for name, row in FAMILIES.items() if name != "bert"}}
OWN = {
    "distilbert": {"position_embedding": "sinusoidal", "span_dropout_prob": 0.0},
    "albert": {"embedding_size": 6, "num_hidden_groups": 1, "inner_group_num": 2},
    "electra": {"embedding_size": 6, "choice_dropout_prob": 0.0},
    "longformer": {"attention_window": (2, 4), "classifier_dropout_prob": None},
    "big_bird": {"block_sparse": {"block_size": 1, "random_blocks": 1}, "embedding_scale": SMALL["hidden_size"] ** 0.5},
    "mobilebert": {
        **{"embedding_size": 5, "embedding_norm_eps": 1e-5, "norm": "layer"},
        "bottleneck": {"size": 9, "feed_forwards": 2},
    },
    "deberta": {"relative": {"max_distance": 4, "key_bias": False}},
    "deberta-v2": {
        "relative": {"buckets": 4, "max_distance": 8, "shares_projections": True, "norm": True},
        "conv": {"kernel": 3, "activation": "gelu_erf"},
    },
    "modernbert": {
        "pad_token_id": 3,
        "attention_window": (None, 2),
        "rope_theta": (1000.0, 100.0),
        "num_attention_heads": 2,
    },
}
CONFIGS = {name: Config.from_name(size, **{**SMALL, **OWN.get(name, {})}) for name, size in SIZES.items()}
# {a model's name in the tests: (task, what its class takes)}
KINDS = {
    "fill_mask": ("fill_mask", {}),
    "generator": ("fill_mask", {"objectives": ["masked_lm"]}),
    "answer": ("answer", {}),
    "classify": ("classify", {"num_classes": CLASSES}),
    "tag": ("tag", {"num_classes": CLASSES}),
    "choose": ("choose", {}),
}


def kinds_of(family):
    """Returns the names of the models that a family has heads for; a generator is ELECTRA's."""
    tasks = {head.task for head in FAMILIES[family].heads}
    return [kind for kind, (task, _) in KINDS.items() if task in tasks and (kind != "generator" or family == "electra")]


NEW = [family for family in CONFIGS if family not in ("bert", "xlm-roberta")]
PAIRS = [(family, kind) for family in CONFIGS for kind in kinds_of(family)]
NEW_PAIRS = [pair for pair in PAIRS if pair[0] in NEW]
FIRST_PAIRS = [(family, "classify") for family in ("bert", *NEW)]


def model_params(fast, pairs=PAIRS):
    """Returns a pytest.param of each pair, (family, kind of head); those that are not fast run nightly."""
    slower = [pytest.mark.nightly]
    return [pytest.param(*pair, marks=[] if pair in fast else slower, id="-".join(pair)) for pair in pairs]


# tests/models has BERT's heads, too, and XLM-R's models are RoBERTa's: both run nightly here, or left out.
EVERY_MODEL = model_params([*FIRST_PAIRS, *NEW_PAIRS])
SOME_MODELS = model_params(FIRST_PAIRS, [*FIRST_PAIRS[:1], *NEW_PAIRS])
ODD_MODELS = model_params([("albert", "classify"), ("roberta", "classify"), ("deberta", "classify")], NEW_PAIRS)


def build(family, kind, **options):
    """Returns a model with weights of its own, biases and norms too."""
    config = CONFIGS[family]
    if kind == "encoder":
        return randomised(Encoder(config, **options))
    task, fields = KINDS[kind]
    return randomised(HEADS[task].build_from(config, {}, **fields, **options))


def randomised(model):
    """Gives every weight of a model numbers of its own, about 1 where it scales, about 0 elsewhere."""
    rng = np.random.default_rng(0)
    for found in walk(model):
        mean = 1.0 if found.weight.name.endswith("/gamma") else 0.0
        found.variable.assign(rng.normal(mean, 0.3, found.variable.shape))
    return model


@functools.cache
def model_of(family, kind):
    """Returns a model that nobody changes but by training it, whose weights no test counts on."""
    return build(family, kind)


def batch(model, *, length=LENGTH, seed=0):
    """Returns a model's inputs: B = 4 sequences (or 2 with 2 choices), three of them padded, up to a length."""
    config, rng = model.bert_config, np.random.default_rng(seed)
    mask = (np.arange(length) < np.array([[LENGTH], [LENGTH - 2], [4], [2]])).astype(np.int32)
    ids = rng.integers(3, config.vocab_size, (4, LENGTH))
    ids = np.pad(ids, ((0, 0), (0, length - LENGTH))) * mask + config.pad_token_id * (1 - mask)
    segments = np.pad(rng.integers(0, 2, (4, LENGTH)), ((0, 0), (0, length - LENGTH))) * mask
    x = {"input_ids": ids, "input_mask": mask, "segment_ids": segments}
    x |= {"masked_lm_positions": np.array([[1, 3], [2, 5], [1, 3], [0, 1]])}
    x |= {"global_attention_mask": mask * (np.arange(length) % 5 == np.array([[0], [2], [0], [3]]))}
    x = {name: x[name].astype(np.int32) for name in model.input}
    return {n: a.reshape(2, 2, length) for n, a in x.items()} if model.task().get("task") == "choose" else x


def labels(model):
    """Returns labels for a batch, as the model's own loss takes them."""
    one, places = np.array([0, 2, 1, 0]), np.array([1, 0, 2, 1])
    of_objective = {
        "masked_lm": np.array([[4, 5], [6, 7], [8, 9], [10, 11]]),
        "next_sentence": places % 2,
        "replaced_tokens": np.arange(4 * LENGTH).reshape(4, LENGTH) % 2,
    }
    return {
        "fill_mask": lambda: {name: of_objective[name] for name in model.objectives},
        "answer": lambda: {"start_logits": places, "end_logits": places},
        "classify": lambda: one,
        "tag": lambda: np.where(np.arange(LENGTH) < 2, -100, np.arange(4 * LENGTH).reshape(4, -1) % 3),
        "choose": lambda: np.array([1, 0]),
    }[model.TASK]()


def outputs(model, x):
    """Returns a model's outputs as a flat list of float32 arrays."""
    return [np.asarray(ops.convert_to_numpy(ops.cast(t, "float32"))) for t in keras.tree.flatten(model(x))]


def assert_same(one, two, atol=0.0):
    """Asserts that two lists of arrays are equal, or close."""
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=atol, rtol=0)
