"""Packing in the graph, against Tokenizer.encode in Python."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text.graph_packing import pack
from keras_bert.text.layout import kept_lengths


def popped(lengths, room):
    """Google's _truncate_seq_pair: the longer one loses its last token until both fit, of equal ones the second."""
    lengths = list(lengths)
    while sum(lengths) > room:
        lengths[0 if lengths[0] > lengths[1] else 1] -= 1
    return lengths


@pytest.mark.parametrize("room", range(1, 10))
def test_kept_lengths_are_what_popping_from_the_longer_one_leaves(room):
    pairs = np.array(list(itertools.product(range(13), repeat=2)), np.int32)
    expected = [popped(pair, room) for pair in pairs]
    np.testing.assert_array_equal(np.stack(kept_lengths(list(pairs.T), room), axis=1), expected)
    kept = kept_lengths([tf.constant(pairs[:, 0]), tf.constant(pairs[:, 1])], room, xp=tf)
    np.testing.assert_array_equal(np.stack(kept, axis=1), expected)


def test_kept_lengths_of_single_texts():
    assert kept_lengths([tf.constant([0, 3, 9])], 3, xp=tf)[0].numpy().tolist() == [0, 3, 3]


def packed(tokenizer, *columns, max_seq_length):
    parts = [tf.ragged.constant([tokenizer.token_ids(text) for text in column], tf.int32, 1) for column in columns]
    return {name: each.numpy() for name, each in pack(parts, tokenizer, max_seq_length=max_seq_length).items()}


def test_a_row_worked_by_hand(tokenizer):
    one, two, three = tokenizer.ids(["paris", "is", "the"])
    inputs = packed(tokenizer, ["paris"], ["is the"], max_seq_length=8)
    assert inputs["input_ids"].tolist() == [[2, one, 3, two, three, 3, 0, 0]]
    assert inputs["input_mask"].tolist() == [[1, 1, 1, 1, 1, 1, 0, 0]]
    assert inputs["segment_ids"].tolist() == [[0, 0, 0, 1, 1, 1, 0, 0]]
    assert {each.dtype for each in inputs.values()} == {np.dtype("int32")}


@pytest.mark.parametrize("max_seq_length", [4, 7, 16, 40])
def test_rows_are_those_of_encode(tokenizer, texts, max_seq_length):
    others = texts[::-1]
    for columns in ([texts], [texts, others]):
        inputs = packed(tokenizer, *columns, max_seq_length=max_seq_length)
        for row, both in enumerate(zip(*columns, strict=True)):
            expected = tokenizer.encode(
                *both, **({"pair": None} if len(both) == 1 else {}), max_seq_length=max_seq_length
            )
            width = inputs["input_ids"].shape[1]
            assert expected["input_mask"][width:].sum() == 0
            for name, each in inputs.items():
                np.testing.assert_array_equal(each[row], expected[name][:width], err_msg=f"{name} of {both}")


@pytest.mark.parametrize(("tokens", "width"), [(0, 16), (14, 16), (15, 32), (30, 32), (31, 40), (200, 40)])
def test_the_width_is_that_of_the_longest_rounded_up(tokenizer, tokens, width):
    inputs = packed(tokenizer, ["", "the " * tokens], max_seq_length=40)
    assert inputs["input_ids"].shape == inputs["input_mask"].shape == inputs["segment_ids"].shape == (2, width)


def test_no_rows_at_all(tokenizer):
    empty = tf.RaggedTensor.from_row_lengths(tf.zeros((0,), tf.int32), tf.zeros((0,), tf.int64))
    for parts in ([empty], [empty, empty]):
        inputs = pack(parts, tokenizer, max_seq_length=40)
        assert {tuple(each.shape) for each in inputs.values()} == {(0, 16)}
