"""Mixed precision: how far 16 bits are from float32, and what stays in float32 all the same.

"Within 2e-2" is taken twice for every output: the largest deviation of any number against the largest number of the
float32 output, and the norm of all deviations against the norm of the output. (Seen with bfloat16: at most 1.2e-2 and
1.0e-2; a ratio number by number would mean nothing where an output crosses 0.)
"""

import keras
import numpy as np
import pytest

from keras_bert.layers import TransformerBlock
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.training.optimizers import BertAdamW, adamw
from tests.models.conftest import INPUTS, as_batch, make, randomise
from tests.models.test_golden import reference  # noqa: F401, a fixture
from tests.small import batch_loss

TOLERANCES = {"mixed_bfloat16": 2e-2, "mixed_float16": 4e-3}


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_16_bits_stay_close_to_float32(reference, dtype):  # noqa: F811
    _, folder, expected = reference
    x = as_batch(expected)[0]
    encoder = BertEncoder.from_pretrained(folder, dtype=dtype, return_all_layers=True)
    outputs = encoder.predict({name: x[name] for name in INPUTS}, verbose=0)
    found = {name: outputs[name] for name in ("embedding_output", "sequence_output", "pooled_output")}
    logits = BertPretrainer.from_pretrained(folder, dtype=dtype).predict(x, verbose=0)
    found |= {f"{name}_log_probs": keras.ops.log_softmax(logits[name]) for name in logits}
    for name, array in found.items():
        array = np.asarray(keras.ops.convert_to_numpy(array), np.float32)
        apart = array - expected[name]
        assert np.abs(apart).max() < TOLERANCES[dtype] * np.abs(expected[name]).max(), name
        assert np.linalg.norm(apart) < TOLERANCES[dtype] * np.linalg.norm(expected[name]), name
        assert np.abs(apart).max() > 0


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_softmax_is_float32(config, tokens, dtype):
    encoder = randomise(BertEncoder(config, return_attention_scores=True, dtype=dtype))
    for scores in encoder(tokens)["attention_scores"]:
        assert keras.backend.standardize_dtype(scores.dtype) == "float32"
        scores = keras.ops.convert_to_numpy(scores)
        np.testing.assert_allclose(scores.sum(-1), 1.0, atol=1e-6)
        rounded = keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.cast(scores, "bfloat16"), "float32"))
        assert (scores != rounded).mean() > 0.5  # numbers that 16 bits do not have


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_layer_norm_is_float32(dtype):
    block = TransformerBlock(2, 16, dtype=dtype)
    block.build((None, None, 64))
    for variable in block.trainable_variables:
        if variable.name == "kernel":
            variable.assign(keras.ops.zeros_like(variable))  # what is left of the block are its two LayerNorms
    x = 100 + 0.5 * np.random.default_rng(0).integers(-3, 4, (2, 3, 64))  # bfloat16 has every half here, and no more
    exact = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    outputs = block(keras.ops.cast(x, block.compute_dtype), np.ones((2, 3), np.int32))
    assert keras.backend.standardize_dtype(outputs.dtype) == block.compute_dtype
    # In bfloat16 the mean would be off by up to 0.25, which is a fourth of the standard deviation.
    np.testing.assert_allclose(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32")), exact, atol=1.5e-2)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("kind", ["pretrainer", "classifier", "span_labeler", "token_classifier", "multiple_choice"])
def test_logits_variables_and_losses_are_float32(config, kind, dtype):
    model = make(kind, config, dtype=dtype)
    assert {tensor.dtype for tensor in keras.tree.flatten(model.output)} == {"float32"}
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert {loss.dtype for loss in keras.tree.flatten(model.default_loss())} == {"float32"}
    assert model.encoder.output["sequence_output"].dtype == dtype.removeprefix("mixed_")


@pytest.mark.parametrize("optimizer", ["ours", pytest.param("wrapped", marks=pytest.mark.slow), "sgd"])
def test_float16_trains_with_a_scaled_loss(config, batch, optimizer):
    keras.utils.set_random_seed(0)
    model = make("pretrainer", config, dtype="mixed_float16")
    ours = adamw(1e-2)
    given = {"ours": ours, "wrapped": keras.optimizers.LossScaleOptimizer(ours), "sgd": "sgd"}[optimizer]
    model.compile(given, run_eagerly=True)
    assert type(model.optimizer) is keras.optimizers.LossScaleOptimizer
    assert type(model.optimizer.inner_optimizer) is (keras.optimizers.SGD if optimizer == "sgd" else BertAdamW)
    x, y, weights = batch
    losses = [batch_loss(model, x, y, weights) for _ in range(12)]
    assert losses[-1] < losses[0]
    assert np.isfinite(losses).all()
    assert int(model.optimizer.inner_optimizer.iterations) > 0


def test_float16_takes_the_way_of_float32(config, batch):
    x, y, weights = batch
    losses = {}
    for dtype in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(0)
        model = make("pretrainer", config, dtype=dtype)
        scaled = keras.optimizers.LossScaleOptimizer(adamw(1e-2), initial_scale=1024.0)
        model.compile(adamw(1e-2) if dtype == "float32" else scaled, run_eagerly=True)
        losses[dtype] = [batch_loss(model, x, y, weights) for _ in range(6)]
    np.testing.assert_allclose(losses["mixed_float16"], losses["float32"], rtol=1e-2)


def test_loss_scaling_can_be_left_out(config):
    model = make("classifier", config, dtype="mixed_float16")
    model.compile("sgd", auto_scale_loss=False)
    assert type(model.optimizer) is keras.optimizers.SGD
    plain = make("classifier", config, dtype="mixed_bfloat16")
    plain.compile("sgd")
    assert type(plain.optimizer) is keras.optimizers.SGD


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_weights_of_other_widths_compute_about_the_same(config, batch, dtype):
    exact = make("pretrainer", config)
    model = make("pretrainer", config, dtype=dtype)
    model.set_weights(exact.get_weights())
    for name, output in model(batch[0]).items():
        np.testing.assert_allclose(output, exact(batch[0])[name], atol=2e-2)
