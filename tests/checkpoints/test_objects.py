"""Object-based TF2 checkpoints of tensorflow/models: either of its encoders, and what is refused by name."""

import json

import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint, write_checkpoint
from keras_bert.errors import UserError
from tests.checkpoints.conftest import CONFIG

HEADS, SIZE = CONFIG["num_attention_heads"], CONFIG["hidden_size"] // CONFIG["num_attention_heads"]
ATTRIBUTES = {
    "embeddings/word_embeddings": ("layer_with_weights-0/embeddings", "_embedding_layer/embeddings"),
    "embeddings/position_embeddings": ("layer_with_weights-1/embeddings", "_position_embedding_layer/embeddings"),
    "embeddings/token_type_embeddings": ("layer_with_weights-2/embeddings", "_type_embedding_layer/embeddings"),
    "embeddings/LayerNorm": ("layer_with_weights-3", "_embedding_norm_layer"),
    "pooler/dense": ("layer_with_weights-6", "_pooler_layer"),
    "encoder/layer_0": ("layer_with_weights-4", "_transformer_layers/0"),
    "encoder/layer_1": ("layer_with_weights-5", "_transformer_layers/1"),
    "attention/output/dense": ("_attention_output_dense", "_attention_layer/_output_dense"),
    **{f"attention/self/{name}": (f"_attention_layer/_{name}_dense",) * 2 for name in ("query", "key", "value")},
    "attention/output/LayerNorm": ("_attention_layer_norm",) * 2,
    "intermediate/dense": ("_intermediate_dense",) * 2,
    "output/dense": ("_output_dense",) * 2,
    "output/LayerNorm": ("_output_layer_norm",) * 2,
}


def object_path(name, subclassed):
    """The path of a variable of Google's name, by rewriting (the library has tables)."""
    path = name.removeprefix("bert/")
    for scope, paths in ATTRIBUTES.items():
        if path == scope or path.startswith(f"{scope}/") or f"/{scope}/" in path:
            path = path.replace(scope, paths[subclassed])
    return path


def by_head(name, array):
    """An array of attention as Keras' MultiHeadAttention keeps it."""
    if "attention/self" in name:
        return array.reshape(*array.shape[:-1], HEADS, SIZE)
    if "attention/output/dense" in name and name.endswith("kernel"):
        return array.reshape(HEADS, SIZE, -1)
    return array


def write_objects(folder, variables, config=CONFIG):
    """Saves {path: array} with tf.train.Checkpoint, as attributes of attributes."""
    import tensorflow as tf

    root = tf.Module()
    for path, array in variables.items():
        *modules, last = path.split("/")
        place = root
        for name in modules:
            if not hasattr(place, name):
                setattr(place, name, tf.Module())
            place = getattr(place, name)
        setattr(place, last, tf.Variable(array))
    folder.mkdir()
    checkpoint = tf.train.Checkpoint(encoder=root, step=tf.Variable(3, dtype="int64"))
    checkpoint.write(str(folder / "bert_model.ckpt-1"))
    (folder / "bert_config.json").write_text(json.dumps(config))
    return folder


def encoder_variables(arrays, subclassed):
    return {
        object_path(name, subclassed): by_head(name, array)
        for name, array in arrays.items()
        if name.startswith("bert/")
    }


@pytest.mark.parametrize("subclassed", [False, True])
def test_either_encoder_is_read(tmp_path, arrays, subclassed):
    checkpoint = open_checkpoint(write_objects(tmp_path / "theirs", encoder_variables(arrays, subclassed)))
    encoder = {name: array for name, array in arrays.items() if name.startswith("bert/")}
    assert checkpoint.shapes == {name: array.shape for name, array in encoder.items()}
    for name, array in encoder.items():
        np.testing.assert_array_equal(checkpoint.read(name), array)
    assert checkpoint.notes[-1] == "read as an object-based TF2 checkpoint of tensorflow/models"
    write_checkpoint(checkpoint, tmp_path / "new", format="google")
    assert open_checkpoint(tmp_path / "new").shapes == checkpoint.shapes


def test_other_heads_than_the_config_s_are_refused_with_both_numbers(tmp_path, arrays):
    folder = write_objects(tmp_path / "theirs", encoder_variables(arrays, True), {**CONFIG, "num_attention_heads": 4})
    with pytest.raises(UserError, match=r"of 2 heads, but its config asks for num_attention_heads=4; use the config"):
        open_checkpoint(folder)


def test_other_objects_are_refused_by_name(tmp_path):
    folder = write_objects(tmp_path / "theirs", {"dense/kernel": np.zeros((2, 2), np.float32)})
    with pytest.raises(
        UserError, match=r"is an object-based TF2 checkpoint .* the first is encoder/dense/kernel\. Load"
    ):
        open_checkpoint(folder)


def test_a_variable_that_is_missing_is_refused_as_in_other_formats(tmp_path, arrays):
    variables = encoder_variables(arrays, False)
    del variables["layer_with_weights-5/_attention_layer/_query_dense/kernel"]
    with pytest.raises(UserError, match="has no bert/encoder/layer_1/attention/self/query/kernel"):
        open_checkpoint(write_objects(tmp_path / "theirs", variables))
