"""What a model costs, counted from its config: the same as what the built model has and its graph computes."""

import math

import pytest
import tensorflow as tf

from keras_bert.checkpoints.parts import array_shapes, encoder_parts, pretraining_parts
from keras_bert.config import BertConfig, Config
from keras_bert.errors import UserError
from keras_bert.families import FAMILIES
from keras_bert.models import BertEncoder, BertPretrainer, Encoder, Pretrainer, ReplacedTokenPretrainer
from keras_bert.models.weights import model_variables
from keras_bert.training.costs import (
    Step,
    block_products,
    by_name,
    count_flops,
    head_parts,
    other_products,
    update_flops,
)
from keras_bert.training.scores import Scores, block_scores

CONFIGS = [
    BertConfig.from_name("L-2_H-128"),
    BertConfig(vocab_size=37, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=20),
    BertConfig(
        vocab_size=101,
        hidden_size=12,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=16,
        max_position_embeddings=40,
        type_vocab_size=5,
    ),
]

SMALL_STEP = Step(train_batch_size=7, max_seq_length=5, max_predictions_per_seq=2)
FAMILY_SIZES = {
    "vocab_size": 37,
    "hidden_size": 12,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "max_position_embeddings": 40,
}
OWN = {
    "albert": {"embedding_size": 8, "num_hidden_groups": 2, "inner_group_num": 2},
    "electra": {"embedding_size": 8},
    "mobilebert": {"embedding_size": 8, "intra_bottleneck_size": 9},
    "modernbert": {"pad_token_id": 3},
    "big_bird": {"sep_token_id": 2},
}


def tiny(family):
    """Returns a small Config of a family."""
    row = FAMILIES[family]
    fields = {row.fields.get(name, name): value for name, value in {**FAMILY_SIZES, **OWN.get(family, {})}.items()}
    return Config.from_huggingface({**fields, "model_type": family, "hidden_act": "gelu"})


def all_parts(config):
    return [*encoder_parts(config), *pretraining_parts(config)]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_arrays_are_those_of_the_built_model(config):
    model = BertPretrainer(BertEncoder(config))
    built = {
        name: tuple(variable.shape)[::-1] if transposed else tuple(variable.shape)
        for name, (variable, transposed) in model_variables(model).items()
    }
    assert array_shapes(all_parts(config)) == built
    assert sum(part.total for part in all_parts(config)) == model.count_params()
    assert sum(part.total for part in encoder_parts(config)) == model.encoder.count_params()


def test_parts_counted_by_hand():
    config = BertConfig(vocab_size=10, hidden_size=4, num_hidden_layers=3, num_attention_heads=2, intermediate_size=6)
    assert {part.name: (part.each, part.times) for part in all_parts(config)} == {
        "word embeddings": (40, 1),
        "position embeddings": (2048, 1),
        "segment embeddings": (8, 1),
        "embedding LayerNorm": (8, 1),
        "attention": (4 * (16 + 4), 3),
        "feed-forward": (24 + 6 + 24 + 4, 3),
        "LayerNorms": (16, 3),
        "pooler": (20, 1),
        "masked-LM head": (20 + 8 + 10, 1),
        "next-sentence head": (10, 1),
    }


def test_heads_are_those_of_the_arrays_that_are_there():
    config = CONFIGS[1]
    shapes = array_shapes(all_parts(config))
    assert head_parts(config, shapes) == pretraining_parts(config)
    encoder = array_shapes(encoder_parts(config))
    assert head_parts(config, encoder) == []
    squad = {"cls/squad/output_weights": (2, 8), "cls/squad/output_bias": (2,)}
    labels = {"output_weights": (3, 8), "output_bias": (3,)}
    hidden = {"output_dense/kernel": (8, 8), "output_dense/bias": (8,)}
    found = head_parts(config, {**encoder, **labels, **squad, **hidden, "output_of_another": (9,)})
    assert [(part.name, part.total) for part in found] == [("classifier", 27 + 72), ("span head", 18)]


def test_products_counted_by_hand():
    config = BertConfig(vocab_size=10, hidden_size=4, num_hidden_layers=3, num_attention_heads=2, intermediate_size=6)
    step = Step(train_batch_size=7, max_seq_length=5, max_predictions_per_seq=2)
    blocks = by_name(block_products(config, step))
    assert blocks == {
        "attention, dense layers": 7 * (4 + 4 + 2) * 2 * 5 * 4 * 4,
        "attention, scores and mixing": 7 * 2 * 2 * 2 * 5 * 4 * 5,
        "feed-forward": 7 * 2 * 2 * 2 * 5 * 4 * 6,
        "last block, dense layers": 7 * 2 * 2 * 3 * 4 * 4,  # at 3 positions
        "last block, scores, mixing": 7 * 2 * 2 * 3 * 4 * 5,
        "last block, feed-forward": 7 * 2 * 2 * 3 * 4 * 6,
    }
    others = by_name(other_products(config, step))
    assert others == {
        "pooler": 7 * 2 * 4 * 4,
        "masked-LM head, transform": 7 * 2 * 2 * 4 * 4,
        "next-sentence head": 7 * 2 * 4 * 2,
        "masked-LM head, vocabulary": 7 * 2 * 2 * 4 * 10,
    }
    blocks, others = sum(blocks.values()), sum(others.values())
    assert count_flops(config, step).forward == blocks + others
    assert count_flops(config, step).training == 3 * (blocks + others)
    assert count_flops(config, step, remat=True).training == 4 * blocks + 3 * others


def test_muon_s_update_counted_by_hand():
    """Five rounds of three products a matrix (R, C) of a block, R the smaller side: R R C, R R R and R R C again."""
    sizes = {"vocab_size": 50, "hidden_size": 4, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = BertConfig(intermediate_size=6, **sizes)
    square, oblong = 5 * (2 * 2 * 4 * 4 * 4 + 2 * 4**3), 5 * (2 * 2 * 4 * 4 * 6 + 2 * 4**3)
    assert update_flops(config, "muon") == 3 * (4 * square + 2 * oblong)
    assert update_flops(config, "muon", generator=config) == 2 * update_flops(config, "muon")
    assert update_flops(config, "adamw") == update_flops(config, "lamb") == 0


def test_albert_counted_by_hand():
    """A group of two blocks that is run three times; embeddings of 2 beside blocks of 4."""
    sizes = {"vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 3, "num_attention_heads": 2}
    shared = {"embedding_size": 2, "num_hidden_groups": 1, "inner_group_num": 2, "pooler": "tanh"}
    config = Config(family="albert", intermediate_size=6, max_position_embeddings=8, **sizes, **shared)
    parts = {part.name: (part.each, part.times) for part in all_parts(config)}
    assert parts["word embeddings"] == (20, 1)
    assert parts["embedding projection"] == (8 + 4, 1)
    assert parts["attention"] == (4 * (16 + 4), 2)  # once, however often they are run
    assert parts["masked-LM head"] == ((8 + 2) + 4 + 10, 1)
    step = Step(train_batch_size=1, max_seq_length=5, max_predictions_per_seq=2)
    assert by_name([*block_products(config, step), *other_products(config, step)]) == {
        "attention, dense layers": (5 * 4 + 2) * 2 * 5 * 4 * 4,  # five runs in full, keys and values of the sixth
        "attention, scores and mixing": 5 * 2 * 2 * 5 * 4 * 5,
        "feed-forward": 5 * 2 * 2 * 5 * 4 * 6,
        "last block, dense layers": 2 * 2 * 3 * 4 * 4,
        "last block, scores, mixing": 2 * 2 * 3 * 4 * 5,
        "last block, feed-forward": 2 * 2 * 3 * 4 * 6,
        "embedding projection": 2 * 5 * 2 * 4,
        "pooler": 2 * 4 * 4,
        "masked-LM head, transform": 2 * 2 * 4 * 2,
        "next-sentence head": 2 * 4 * 2,
        "masked-LM head, vocabulary": 2 * 2 * 2 * 10,
    }


def test_electra_s_two_nets_counted_by_hand():
    """The discriminator's head reads every position, the generator's those that are masked alone, and neither [CLS]."""
    sizes = {"vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Config(family="electra", intermediate_size=6, embedding_size=2, pooler=None, **sizes)
    step = Step(train_batch_size=1, max_seq_length=5, max_predictions_per_seq=2)
    assert by_name([*block_products(config, step), *other_products(config, step)]) == {
        "attention, dense layers": 8 * 2 * 5 * 4 * 4,
        "attention, scores and mixing": 2 * 2 * 2 * 5 * 4 * 5,
        "feed-forward": 2 * 2 * 2 * 5 * 4 * 6,
        "embedding projection": 2 * 5 * 2 * 4,
        "replaced-token head": 2 * 5 * 4 * 4 + 2 * 5 * 4,
    }
    generator = by_name(block_products(config, step, objectives=["masked_lm"]))
    assert generator["last block, dense layers"] == 2 * 2 * 2 * 4 * 4
    heads = by_name(other_products(config, step, objectives=["masked_lm"]))
    assert heads["masked-LM head, transform"] == 2 * 2 * 4 * 2
    assert heads["masked-LM head, vocabulary"] == 2 * 2 * 2 * 10


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parameters_of_every_family_are_the_built_model_s(family):
    config = tiny(family)
    model = Pretrainer(Encoder(config))
    assert sum(part.total for part in encoder_parts(config)) == model.encoder.count_params()
    assert sum(part.total for part in all_parts(config)) == model.count_params()


def test_deberta_counted_by_hand():
    """Each term meets all 2 S places; the table is projected once for all examples; a convolution stands beside."""
    relative, sizes = {"buckets": 2, "shares_projections": True}, {"hidden_size": 4, "num_attention_heads": 2}
    own = {"relative": relative, "conv": {"kernel": 3, "groups": 2}, "num_hidden_layers": 2, "intermediate_size": 6}
    config = Config.from_name("deberta-v3-small", vocab_size=10, **sizes, **own)
    products = by_name([*block_products(config, SMALL_STEP), *other_products(config, SMALL_STEP)])
    assert products["attention, relative places"] == 2 * 2 * 10 * 4 * 4 + 7 * 2 * 2 * 5 * 4 * 10
    assert products["last block, relative places"] == 2 * 2 * 10 * 4 * 4 + 7 * 2 * (2 + 5) * 4 * 10
    assert products["convolution"] == 7 * 2 * 2 * 5 * (3 * 2) * 2
    assert products["attention, scores and mixing"] == 7 * 2 * 2 * 5 * 4 * 5


def test_mobilebert_counted_by_hand():
    """Values are made of the wide input; residual sums of what is read are narrow; the output is as wide as blocks."""
    own = {"hidden_size": 8, "embedding_size": 3, "bottleneck": {"size": 4, "feed_forwards": 2}}
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 6, "vocab_size": 10}
    config = Config.from_name("mobilebert", **sizes, **own)
    assert by_name([*block_products(config, SMALL_STEP), *other_products(config, SMALL_STEP)]) == {
        "bottlenecks": 7 * 2 * 3 * 5 * 8 * 4,
        "attention, dense layers": 7 * 2 * (5 * (3 * 4 * 4 + 8 * 4) + 5 * (4 * 4 + 8 * 4)),
        "attention, scores and mixing": 7 * 2 * 2 * 5 * 4 * 5,
        "feed-forward": 7 * 2 * 2 * 2 * 5 * 4 * 6,
        "last block, bottlenecks": 7 * 2 * (2 * 3 + 5 + 3) * 8 * 4,
        "last block, dense layers": 7 * 2 * 2 * 3 * 4 * 4,
        "last block, scores, mixing": 7 * 2 * 2 * 3 * 4 * 5,
        "last block, feed-forward": 7 * 2 * 2 * 2 * 3 * 4 * 6,
        "embedding projection": 7 * 2 * 5 * (3 * 3) * 8,
        "pooler": 7 * 2 * 8 * 8,
        "masked-LM head, transform": 7 * 2 * 2 * 8 * 8,
        "masked-LM head, vocabulary": 7 * 2 * 2 * 8 * 10,
        "next-sentence head": 7 * 2 * 8 * 2,
    }


def test_scores_of_windows_and_blocks_counted_by_hand():
    modern, longformer, bird = (
        Config.from_name(name) for name in ("modernbert-base", "longformer-base-4096", "bigbird-roberta-base")
    )
    assert block_scores(modern, 1, 319) == [Scores(319, 319)]  # too short for blocks
    assert block_scores(modern, 1, 330) == [Scores(6 * 64, 3 * 64, 6 * 3 * 64)]
    assert block_scores(modern, 0, 4096) == [Scores(4096, 4096)]  # every third layer sees all
    assert block_scores(modern, 1, 4096, 600) == [Scores(600, 4096)]  # chosen queries
    framed = Scores(4096, 3 * 256 + 128, 16 * (3 * 256 + 128))
    assert block_scores(longformer, 0, 4096) == [framed, Scores(128, 4096)]
    assert block_scores(longformer, 0, 5) == [Scores(5, 10, 10), Scores(5, 5)]
    assert block_scores(bird, 0, 704) == [Scores(704, 704)]
    assert block_scores(bird, 0, 4096) == [Scores(4096, 5 * 64, 64 * 5 * 64), Scores(128, 4096)]
    drawn = bird.replace(block_sparse={"drawn": True})
    assert block_scores(drawn, 0, 4096) == [Scores(4096, 8 * 64, 64 * 8 * 64), Scores(128, 4096)]


@pytest.mark.parametrize("name", ["modernbert-base", "longformer-base-4096", "bigbird-roberta-base"])
def test_where_texts_are_long_only_full_layers_grow_with_their_square(name):
    config = Config.from_name(name)
    flops = [by_name(block_products(config, Step(max_seq_length=n))) for n in (2048, 4096)]
    grown = [flops[1][what] / flops[0][what] for what in ("attention, scores and mixing", "feed-forward")]
    if name == "modernbert-base":
        config = config.replace(attention_window=(64,))
        flops = [by_name(block_products(config, Step(max_seq_length=n))) for n in (2048, 4096)]
        assert grown[0] > 3
        grown[0] = flops[1]["attention, scores and mixing"] / flops[0]["attention, scores and mixing"]
    assert grown == pytest.approx([2, 2])


def product_flops(graph):
    """Returns 2 m k n of every matrix product that a graph of known shapes runs; functions that it calls have none."""
    flops, seen, todo = 0, set(), [tensor.op for tensor in graph.outputs]
    while todo:
        operation = todo.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        todo += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
        if operation.type in ("MatMul", "BatchMatMulV2"):
            left = operation.inputs[0].shape.as_list()
            transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
            flops += 2 * math.prod(operation.outputs[0].shape.as_list()) * left[-2 if transposed else -1]
    called = {node.op for function in graph.as_graph_def().library.function for node in function.node_def}
    assert not {"Einsum", "MatMul", "BatchMatMulV2"} & called
    return flops


OF_KINDS = {
    "mobilebert": ("mobilebert", {"embedding_size": 5, "bottleneck": {"size": 9, "feed_forwards": 3}}),
    "mobilebert, attention inside": (
        "mobilebert",
        {"embedding_size": 5, "bottleneck": {"size": 9, "feed_forwards": 1, "attention_inside": True}},
    ),
    "deberta": ("deberta-base", {"embedding_size": 7, "relative": {"max_distance": 4, "key_bias": False}}),
    "deberta-v3": (
        "deberta-v3-small",
        {
            "relative": {"buckets": 4, "max_distance": 8, "shares_projections": True, "norm": True},
            "conv": {"kernel": 3, "activation": "gelu_erf"},
        },
    ),
    "deberta-v2, one block and a convolution in groups": (
        "deberta-v3-small",
        {"num_hidden_layers": 1, "relative": {"c2p": False}, "conv": {"kernel": 3, "groups": 2}},
    ),
    "modernbert": (
        "modernbert-base",
        {"num_attention_heads": 2, "pad_token_id": 3, "attention_window": (None, 2), "rope_theta": (1000.0, 100.0)},
    ),
    "longformer": ("longformer-base-4096", {"attention_window": (2, 4), "max_global_tokens": 5}),
    "big_bird": (
        "bigbird-roberta-base",
        {"sep_token_id": 2, "block_sparse": {"block_size": 4, "random_blocks": 1}},
    ),
    "big_bird, blocks drawn": (
        "bigbird-roberta-base",
        {"sep_token_id": 2, "block_sparse": {"block_size": 4, "random_blocks": 1, "drawn": True}},
    ),
}


def of_kind(name):
    """Returns a small Config of a row of OF_KINDS."""
    size, own = OF_KINDS[name]
    return Config.from_name(size, **{**FAMILY_SIZES, "max_position_embeddings": 1100, **own})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "length"),
    [
        *((config, 32) for config in (*CONFIGS[:2], *map(tiny, ("roberta", "albert", "electra")), *OF_KINDS)),
        *((config, 330) for config in ("modernbert", "longformer")),  # long enough for windows by blocks
    ],
)
def test_flops_are_those_of_the_graph(config, length):
    """But for the segment embeddings, a product with one-hot rows in place of a look-up."""
    config = of_kind(config) if isinstance(config, str) else config
    model = Pretrainer(Encoder(config))
    step = Step(train_batch_size=3, max_seq_length=length, max_predictions_per_seq=5)
    shapes = {name: (3, 5 if name == "masked_lm_positions" else length) for name in model.input}

    def forward(**inputs):
        return sum(map(tf.reduce_sum, model(inputs, training=True).values()))

    def train(**inputs):
        with tf.GradientTape() as tape:
            loss = forward(**inputs)
        return loss, tape.gradient(loss, model.trainable_variables)

    inputs = {name: tf.TensorSpec(shape, "int32") for name, shape in shapes.items()}
    found = [product_flops(tf.function(f).get_concrete_function(**inputs).graph) for f in (forward, train)]
    summed = config.hidden_size if config.embedding_projection_place == "before_sum" else config.embedding_width
    one_hot = 3 * 2 * length * config.type_vocab_size * summed if config.has_segments else 0
    expected = count_flops(config, step)
    assert found == [expected.forward + one_hot, expected.training + 2 * one_hot]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["electra", "bert"])
def test_flops_of_generator_and_discriminator_are_those_of_the_graph(family):
    config = tiny(family)
    model, step = (
        ReplacedTokenPretrainer(config),
        Step(train_batch_size=3, max_seq_length=32, max_predictions_per_seq=5),
    )
    slots = {"masked_lm": tf.TensorSpec((3, 5), "int32")}, {"masked_lm": tf.TensorSpec((3, 5), "float32")}
    inputs = {name: (3, 5 if name == "masked_lm_positions" else 32) for name in model.generator.input}
    batch = ({name: tf.TensorSpec(shape, "int32") for name, shape in inputs.items()}, *slots)

    def train(*batch):
        with tf.GradientTape() as tape:
            loss = sum(sums[0] for sums in model.batch_sums(batch, training=True, step=0).values())
        return loss, tape.gradient(loss, model.trainable_variables)

    found = product_flops(tf.function(train).get_concrete_function(*batch).graph)
    one_hot = 2 * 2 * 3 * 2 * 32 * config.type_vocab_size * config.embedding_width  # of both nets' segments
    assert found == pytest.approx(
        count_flops(config, step, **model.made_for).training + one_hot, rel=2e-3
    )  # BERT's poolers read nothing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_batch_size": 0}, "train_batch_size must be a whole number of at least 1. Received: 0."),
        ({"max_seq_length": -1}, "max_seq_length must be a whole number of at least 1. Received: -1."),
        ({"max_seq_length": 8, "max_predictions_per_seq": 9}, r"max_predictions_per_seq is 9, but .* 8 tokens"),
    ],
)
def test_a_step_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        Step(**options)


def test_a_sequence_too_long_for_the_model():
    Step(max_seq_length=40).check_fits(CONFIGS[2])
    with pytest.raises(UserError, match=r"max_seq_length is 41, but the model reads at most 40 tokens"):
        Step(max_seq_length=41).check_fits(CONFIGS[2])
    with pytest.raises(UserError, match="reads at most 38 tokens"):  # positions are counted from 2
        Step(max_seq_length=40).check_fits(tiny("roberta"))


def test_predictions_are_fifteen_percent_rounded_up():
    assert [Step(max_seq_length=length).predictions for length in (1, 20, 128, 512)] == [1, 3, 20, 77]
