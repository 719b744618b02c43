"""The served encoder: the Keras encoder's numbers, whatever the batch, and what is kept of its weights."""

import concurrent.futures

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import BertConfig
from keras_bert.errors import UserError, UserNote
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.serving.encoder import ServedEncoder
from keras_bert.serving.export import export
from keras_bert.serving.precision import In8Bits, in_dtype, kernels_of
from keras_bert.tasks.classify.arrays import predict

LENGTHS = (7, 1, 20, 3)


def inputs_of(lengths, width, seed=0, vocab_size=90):
    draw = np.random.default_rng(seed)
    shape = (len(lengths), width)
    mask = (np.arange(width) < np.reshape(lengths, (-1, 1))).astype(np.int32)
    ids, segments = draw.integers(1, vocab_size, shape), draw.integers(0, 2, shape)
    return {"input_ids": ids * mask, "input_mask": mask, "segment_ids": segments * mask}


def encoder_of(activation, **options):
    keras.utils.set_random_seed(2)
    fields = {"num_attention_heads": 4, "max_position_embeddings": 24, "initializer_range": 0.2}
    config = BertConfig.from_name("L-3_H-32", vocab_size=90, hidden_act=activation, **fields)
    encoder = BertEncoder(config, **options)
    for weight in encoder.weights:  # biases and LayerNorms that are not what they begin as
        if len(weight.shape) == 1:
            weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=len(weight.path)))
    return encoder


def graph(function):
    return tf.function(function, autograph=False)


@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu_erf", "relu"])
def test_it_gives_the_keras_encoder_s_numbers(activation):
    encoder = encoder_of(activation)
    served = graph(ServedEncoder(encoder))
    for width in (20, 24):
        inputs = inputs_of(LENGTHS, width)
        expected, found = encoder(inputs), served(inputs)
        real = inputs["input_mask"][..., None]
        np.testing.assert_allclose(found["sequence_output"], expected["sequence_output"] * real, atol=1e-5)
        np.testing.assert_allclose(found["pooled_output"], expected["pooled_output"], atol=1e-5)


def test_some_positions_alone():
    encoder = encoder_of("gelu_tanh")
    inputs = inputs_of(LENGTHS, 20)
    for positions in (np.array([[6, 0, 2], [0, 0, 0], [19, 5, 1], [2, 1, 0]]), np.zeros((4, 0), int)):
        expected = encoder(inputs, positions=positions)
        found = graph(ServedEncoder(encoder))(inputs, tf.constant(positions, tf.int32))
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


def test_a_mask_with_holes_and_rows_without_a_token():
    encoder = encoder_of("gelu_tanh")
    inputs = inputs_of(LENGTHS, 20)
    inputs["input_mask"][0, 2:4] = 0
    inputs["input_mask"][3, 0] = 0
    computed = inputs["input_mask"].copy()
    computed[3, 0] = 1  # the first place is read by poolers, whatever is there
    expected, found = encoder(inputs)["sequence_output"], graph(ServedEncoder(encoder))(inputs)["sequence_output"]
    np.testing.assert_allclose(found, expected * computed[..., None], atol=1e-5)
    inputs["input_mask"][1] = 0
    again = graph(ServedEncoder(encoder))(inputs)["sequence_output"]
    np.testing.assert_allclose(again[2], found[2], atol=1e-5)
    np.testing.assert_allclose(again[1], encoder(inputs)["sequence_output"][1], atol=1e-5)


def test_no_rows_at_all():
    found = graph(ServedEncoder(encoder_of("gelu_tanh")))(inputs_of((), 5))
    assert {name: tuple(x.shape) for name, x in found.items()} == {
        "sequence_output": (0, 5, 32),
        "pooled_output": (0, 32),
    }


@pytest.mark.parametrize("kernels", ["constant", "int8"])
@pytest.mark.parametrize("table_in_8_bits", [False, True])
def test_fewer_bits_stay_near(kernels, table_in_8_bits):
    encoder = encoder_of("gelu_erf")
    lowered = in_dtype(encoder, "bfloat16")
    assert {weight.dtype for weight in lowered.weights} == {"bfloat16"}
    served = graph(ServedEncoder(lowered, kernels=kernels, table_in_8_bits=table_in_8_bits))
    inputs = inputs_of(LENGTHS, 20)
    expected = np.asarray(encoder(inputs)["pooled_output"])
    found = np.asarray(tf.cast(served(inputs)["pooled_output"], tf.float32))
    similar = np.sum(expected * found, axis=1) / np.linalg.norm(expected, axis=1) / np.linalg.norm(found, axis=1)
    assert similar.min() > 0.99
    assert 0 < np.abs(expected - found).max() < 0.2


def test_8_bits_are_off_by_half_a_step_at_most():
    matrix = np.random.default_rng(0).normal(size=(50, 30)).astype(np.float32)
    matrix[:, 3], matrix[7] = 0, 100 * matrix[7]
    for axis in (0, 1):
        kept = In8Bits.of(matrix, axis=axis)
        scale = np.asarray(kept.scale, np.float32)
        step = np.abs(matrix).max(axis=axis, keepdims=True) / 127
        assert np.abs(scale / np.where(step == 0, 1, step) - 1).max() < 1e-2
        error = np.abs(np.asarray(kept.numbers, np.float32) * scale - matrix)
        assert (error <= 0.51 * scale * (1 + 0.01 * 127)).all()
        assert (
            error[np.abs(matrix) < 100 * scale]
            <= 0.501 * np.broadcast_to(scale, matrix.shape)[np.abs(matrix) < 100 * scale]
        ).all()
    rows = kept.rows(tf.constant([[1, 7]]))
    np.testing.assert_array_equal(rows, tf.cast(kept.columns(slice(None)), tf.bfloat16)[None, 1:8:6])


@pytest.mark.slow
def test_encoders_that_are_more_than_plain_are_left_to_keras(tokenizer, config, tmp_path):
    assert not ServedEncoder.can_compute(encoder_of("relu", return_all_layers=True))
    assert not ServedEncoder.can_compute(encoder_of("relu", return_attention_scores=True))
    keras.utils.set_random_seed(1)
    model = BertClassifier(BertEncoder(config), 2)
    assert ServedEncoder.can_compute(model.encoder)
    texts = ["the capital of france", ""]
    plain = export(model, tokenizer, tmp_path / "1").path
    model.quantize("int8")
    assert not ServedEncoder.can_compute(model.encoder)
    with pytest.warns(UserNote, match="Keras' own layers compute the exported encoder.*: its kernels are quantized"):
        quantized = export(model, tokenizer, tmp_path / "2").path
    one, two = (
        tf.saved_model.load(str(each)).signatures["serving_default"](text=tf.constant(texts))
        for each in (plain, quantized)
    )
    assert 0 < np.abs(one["probabilities"] - two["probabilities"]).max() < 0.1


def test_lora_is_served_merged_and_not_lowered(tokenizer, config, tmp_path):
    keras.utils.set_random_seed(1)
    model = BertClassifier(BertEncoder(config), 2)
    for block in model.encoder.blocks:
        block.attention.query.enable_lora(2)
        block.attention.query.lora_kernel_b.assign(
            keras.random.normal(block.attention.query.lora_kernel_b.shape, seed=1)
        )
    inputs = inputs_of(LENGTHS, 20, vocab_size=tokenizer.vocab_size)
    expected = np.asarray(model(inputs))
    served = ServedEncoder(model.encoder)
    with model.encoder.computed_by(served):
        np.testing.assert_allclose(graph(lambda x: model(x, training=False))(inputs), expected, atol=1e-5)
    with pytest.raises(UserError, match="weights of its own, such as LoRA's, is served as it is"):
        export(model, tokenizer, tmp_path / "1", precision="bfloat16")


SLOW = [pytest.param(precision, marks=pytest.mark.slow) for precision in ("float32", "bfloat16")]


@pytest.mark.parametrize("precision", [*SLOW, "int8"])
def test_an_exported_model_of_fewer_bits(models, tokenizer, texts, signatures, tmp_path, precision):
    sizes = {}
    for name in ("classify", "fill_mask", "embed"):
        path = export(models[name], tokenizer, tmp_path / name, precision=precision, max_seq_length=40, top_k=4).path
        answers = tf.saved_model.load(str(path)).signatures["serving_default"](text=tf.constant(texts))
        expected = signatures[name](text=tf.constant(texts))
        output = {"classify": "probabilities", "fill_mask": "probabilities", "embed": "embedding"}[name]
        assert answers[output].dtype == tf.float32
        tolerance = 1e-5 if precision == "float32" else 0.1
        if name == "fill_mask":
            assert answers["num_masks"].numpy().tolist() == expected["num_masks"].numpy().tolist()
        np.testing.assert_allclose(answers[output], expected[output], atol=tolerance)
        sizes[name] = sum(file.stat().st_size for file in path.rglob("variables*"))
    assert sizes["embed"] > 0


def test_the_kernels_of_16_bits_stand_in_the_graph_if_there_is_room(monkeypatch):
    encoder = encoder_of("relu")
    assert kernels_of(encoder, None) == "plain"
    assert kernels_of(encoder, "int8") == "int8"
    lowered = in_dtype(encoder, "bfloat16")
    assert kernels_of(lowered, "bfloat16") == "constant"
    monkeypatch.setattr("keras_bert.serving.precision.MOST_CONSTANT", 1000)
    assert kernels_of(lowered, "bfloat16") == "plain"


@pytest.mark.parametrize(
    "dtype", ["mixed_bfloat16", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bfloat16", "mixed_float16"))]
)
def test_a_model_of_another_policy_is_served_in_it(config, tokenizer, texts, tmp_path, dtype):
    keras.utils.set_random_seed(1)
    plain = BertClassifier(BertEncoder(config), 3)
    model = BertClassifier(BertEncoder(config, dtype=dtype), 3)
    model.set_weights(plain.get_weights())
    path = export(model, tokenizer, tmp_path / "1", max_seq_length=40).path
    answers = tf.saved_model.load(str(path)).signatures["serving_default"](text=tf.constant(texts))
    expected = predict(plain, tokenizer, texts, max_seq_length=40)["probabilities"]
    assert 0 < np.abs(answers["probabilities"] - expected).max() < 0.1


def test_words_for_an_unknown_precision(models, tokenizer, tmp_path):
    with pytest.raises(UserError, match=r"precision must be one of float32, bfloat16, int8\. Received: 'float16'"):
        export(models["embed"], tokenizer, tmp_path / "1", precision="float16")
    with pytest.raises(UserError, match="precision is for SavedModels; quantize a model of format litert"):
        export(models["embed"], tokenizer, tmp_path / "1", precision="int8", format="litert")


def test_another_threads_predictions_are_keras_own_during_an_export(tokenizer, config, tmp_path, monkeypatch):
    """A second thread asks the model at the moment in which the first one traces the serving graph."""
    keras.utils.set_random_seed(1)
    model, inputs = BertClassifier(BertEncoder(config), 2), inputs_of(LENGTHS, 20, vocab_size=tokenizer.vocab_size)
    expected, served, answers = np.asarray(model(inputs, training=False)), [], []
    compute = ServedEncoder.__call__

    def computed(self, *given):
        served.append(given)
        if len(served) == 1:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:  # while this thread is in the middle of its trace
                answers.append(pool.submit(lambda: np.asarray(model(inputs, training=False))).result(timeout=120))
        return compute(self, *given)

    monkeypatch.setattr(ServedEncoder, "__call__", computed)
    export(model, tokenizer, tmp_path / "1", max_seq_length=40)
    assert len(served) == 1  # this thread's call; the other thread's went to Keras
    np.testing.assert_array_equal(answers[0], expected)


def test_keras_itself_computes_again_afterwards():
    encoder = encoder_of("relu")
    with encoder.computed_by(lambda inputs, positions: {"sequence_output": 1, "pooled_output": 2}):
        pass
    model = BertPretrainer(encoder)
    outputs = model({**inputs_of(LENGTHS, 20), "masked_lm_positions": np.zeros((4, 1), int)})
    assert tuple(outputs["masked_lm"].shape) == (4, 1, 90)
