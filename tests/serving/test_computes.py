"""What ServedEncoder computes of a Config: of every field another value is either computed as Keras does or refused.

Whoever adds a field to Config adds a row here: a value that is not BERT's.
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import Config
from keras_bert.models import Encoder
from keras_bert.serving.encoder import ANY, COMPUTES, ServedEncoder

SMALL = {
    **{"vocab_size": 60, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "num_hidden_layers": 2},
    **{"max_position_embeddings": 24, "initializer_range": 0.2},
}
# {field: a value that is not BERT's, or a dict of it and of what goes with it}
OTHERS = {
    "family": "electra",
    "vocab_size": 70,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 20,
    "hidden_act": "silu",
    "hidden_dropout_prob": 0.3,
    "attention_probs_dropout_prob": 0.3,
    "max_position_embeddings": 20,
    "type_vocab_size": 3,
    "initializer_range": 0.3,
    "layer_norm_eps": 0.1,
    "embedding_norm_eps": 0.1,
    "head_norm_eps": 0.1,
    "embedding_size": 8,
    "embedding_projection": True,
    "embedding_projection_place": {"embedding_projection_place": "before_norm", "embedding_size": 8},
    "embedding_projection_bias": {"embedding_projection_bias": False, "embedding_size": 8},
    "trigrams": {"trigrams": True, "embedding_projection_place": "before_sum", "embedding_size": 8},
    "embedding_scale": 2.0,
    "embedding_dropout_prob": 0.3,
    "embedding_dropout_first": True,
    "mask_embeddings": True,
    "position_embedding": "none",
    "positions_from_ids": True,
    "pad_token_id": 1,
    "trains_padding": False,
    "num_hidden_groups": 1,
    "inner_group_num": 2,
    "pooler": "relu",
    "tie_word_embeddings": False,
    "masked_lm_act": "relu",
    "classifier_act": "relu",
    "classifier_dropout_prob": 0.3,
    "classifier_drops_input": False,
    "span_dropout_prob": 0.3,
    "choice_act": "relu",
    "choice_pooling": "last",
    "choice_dropout_prob": 0.3,
    "rope_theta": (100.0,),
    "attention": {"attention": "disentangled", "relative": {"max_distance": 4}},
    "attention_window": {"attention": "local", "attention_window": (None, 2)},
    "max_global_tokens": 3,
    "block_sparse": {"block_sparse": {"block_size": 2}},
    "relative": {"attention": "disentangled", "relative": {"buckets": 4, "max_distance": 8}},
    "conv": {"conv": {"kernel": 3}},
    "bottleneck": {"bottleneck": {"size": 8, "feed_forwards": 2}},
    "norm": "no_norm",
    "norm_bias": False,
    "norm_order": "pre",
    "gated": {"gated": True, "norm_order": "pre"},
    "query_bias": False,
    "key_bias": False,
    "value_bias": False,
    "attention_output_bias": False,
    "feed_forward_bias": False,
    "feed_forward_dropout_prob": 0.3,
    "sep_token_id": 5,
    "classifier_input_dropout_prob": 0.3,
    "classifier_pooling": "mean_real",
    "token_act": "relu",
    "head_bias": False,
    "head_norm": True,
    "decoder_bias": False,
    "wide_output": {"wide_output": True, "embedding_size": 8},
    "span_block": True,
    "span_masks_question": True,
    "extra": {"extra": {"note": 1}},
}
FIELDS = [field.name for field in dataclasses.fields(Config)]


def encoder_of(**fields):
    keras.utils.set_random_seed(2)
    encoder = Encoder(Config(**{**SMALL, **fields}))
    for weight in encoder.weights:  # biases and norms that are not what they begin as
        if len(weight.shape) == 1:
            weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=len(weight.path)))
    return encoder


def changes(name):
    other = OTHERS[name]
    return other if isinstance(other, dict) else {name: other}


def test_every_field_has_a_row_and_every_name_is_a_field():
    assert sorted(OTHERS) == sorted(FIELDS)
    assert {*ANY, *COMPUTES} <= {*FIELDS}
    assert not {*ANY} & {*COMPUTES}
    plain = Config(**SMALL)
    assert [name for name in OTHERS if getattr(plain.replace(**changes(name)), name) == getattr(plain, name)] == []


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.slow
def test_another_value_is_computed_or_refused(name):
    encoder = encoder_of(**changes(name))
    config = encoder.bert_config
    if ServedEncoder.why_not(encoder) is not None:
        assert name not in ANY
        return
    draw, length = np.random.default_rng(0), 18
    mask = (np.arange(length) < np.array([[7], [1], [18]])).astype(np.int32)
    ids = np.where(mask, draw.integers(6, 60, mask.shape), config.pad_token_id)
    inputs = {"input_ids": ids, "input_mask": mask, "segment_ids": draw.integers(0, config.type_vocab_size, ids.shape)}
    inputs = {each: tf.constant(inputs[each], tf.int32) for each in encoder.input}
    served = ServedEncoder(encoder)
    for positions in (None, tf.constant([[3, 0], [0, 0], [17, 5]])):
        expected = encoder(inputs, positions=positions, training=False)
        found = served(inputs, positions)
        assert found.keys() == expected.keys()
        for output in expected:
            here = found[output], expected[output]
            if positions is None and output == "sequence_output":
                here = (each[mask == 1] for each in here)
            np.testing.assert_allclose(*here, atol=1e-5, err_msg=output)
