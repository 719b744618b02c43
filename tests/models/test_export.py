"""Keras' `export` of our models: a SavedModel that takes any batch and any length, on TensorFlow and on JAX."""

import keras
import numpy as np
import pytest

from tests.models.conftest import flat_outputs, inputs_of, make, randomise


@pytest.mark.parametrize("kind", ["encoder", "pretrainer", "multiple_choice"])
def test_a_saved_model_gives_the_model_s_numbers(kind, config, batch, tmp_path):
    import tensorflow as tf

    model = randomise(make(kind, config))
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    whole = inputs_of(model, batch)
    part = {name: np.minimum(x[:1], 8) if "positions" in name else x[:1, ..., :9] for name, x in whole.items()}
    for inputs in (whole, part):
        served = loaded.serve({name: tf.constant(x, model.input[name].dtype) for name, x in inputs.items()})
        for one, other in zip(keras.tree.flatten(served), flat_outputs(model, inputs), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
