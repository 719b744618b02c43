"""What a model costs, counted from its config: the same as what the built model has and its graph computes."""

import math

import pytest
import tensorflow as tf

from keras_bert.checkpoints.parts import array_shapes, encoder_parts, pretraining_parts
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.models.weights import model_variables
from keras_bert.training.costs import (
    Step,
    block_products,
    count_flops,
    head_parts,
    head_products,
)

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
    assert head_parts(shapes) == pretraining_parts(config)
    encoder = array_shapes(encoder_parts(config))
    assert head_parts(encoder) == []
    squad = {"cls/squad/output_weights": (2, 8), "cls/squad/output_bias": (2,)}
    labels = {"output_weights": (3, 8), "output_bias": (3,)}
    assert [(part.name, part.total) for part in head_parts({**encoder, **labels, **squad})] == [
        *(("span head", 18), ("classifier", 27))
    ]


def test_products_counted_by_hand():
    config = BertConfig(vocab_size=10, hidden_size=4, num_hidden_layers=3, num_attention_heads=2, intermediate_size=6)
    step = Step(train_batch_size=7, max_seq_length=5, max_predictions_per_seq=2)
    blocks = [product.flops for product in block_products(config, step)]
    assert blocks[:3] == [(4 + 4 + 2) * 2 * 5 * 4 * 4, 2 * 2 * 2 * 5 * 4 * 5, 2 * 2 * 2 * 5 * 4 * 6]
    assert blocks[3:] == [2 * 2 * 3 * 4 * 4, 2 * 2 * 3 * 4 * 5, 2 * 2 * 3 * 4 * 6]  # at 3 positions
    heads = [product.flops for product in head_products(config, step)]
    assert heads == [2 * 4 * 6, 2 * 2 * 4 * 4, 2 * 2 * 4 * 10]
    assert count_flops(config, step).forward == sum(blocks) + sum(heads)
    assert count_flops(config, step).training == 3 * (sum(blocks) + sum(heads))
    assert count_flops(config, step, remat=True).training == 4 * sum(blocks) + 3 * sum(heads)


def product_flops(graph):
    """Returns 2 m k n of every matrix product in a graph of known shapes; the functions that it calls have none."""
    flops = 0
    for operation in graph.get_operations():
        if operation.type in ("MatMul", "BatchMatMulV2"):
            left = operation.inputs[0].shape.as_list()
            transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
            flops += 2 * math.prod(operation.outputs[0].shape.as_list()) * left[-2 if transposed else -1]
    called = {node.op for function in graph.as_graph_def().library.function for node in function.node_def}
    assert not {"Einsum", "MatMul", "BatchMatMulV2"} & called
    return flops


@pytest.mark.parametrize("config", CONFIGS)
def test_flops_are_those_of_the_graph(config):
    """But for the segment embeddings, a product with one-hot rows in place of a look-up."""
    model = BertPretrainer(BertEncoder(config))
    step = Step(train_batch_size=3, max_seq_length=32, max_predictions_per_seq=5)
    shapes = dict.fromkeys(("input_ids", "input_mask", "segment_ids"), (3, 32)) | {"masked_lm_positions": (3, 5)}

    def forward(**inputs):
        outputs = model(inputs, training=True)
        return tf.reduce_sum(outputs["masked_lm"]) + tf.reduce_sum(outputs["next_sentence"])

    def train(**inputs):
        with tf.GradientTape() as tape:
            loss = forward(**inputs)
        return tape.gradient(loss, model.trainable_variables)

    inputs = {name: tf.TensorSpec(shape, "int32") for name, shape in shapes.items()}
    found = [product_flops(tf.function(f).get_concrete_function(**inputs).graph) for f in (forward, train)]
    one_hot = 2 * 32 * config.type_vocab_size * config.hidden_size
    expected = count_flops(config, step)
    assert found[0] == 3 * (expected.forward + one_hot)
    assert found[1] == 3 * (expected.training + 2 * one_hot)


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
    with pytest.raises(UserError, match=r"max_seq_length is 41, but .* max_position_embeddings=40"):
        Step(max_seq_length=41).check_fits(CONFIGS[2])


def test_predictions_are_fifteen_percent_rounded_up():
    assert [Step(max_seq_length=length).predictions for length in (1, 20, 128, 512)] == [1, 3, 20, 77]
