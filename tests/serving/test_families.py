"""Models of every family as they are served: Keras' numbers, the family's own inputs, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import Config
from keras_bert.errors import UserError, UserNote
from keras_bert.models import Classifier, Encoder, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.serving.encoder import ServedEncoder
from keras_bert.serving.export import export
from keras_bert.serving.loading import load
from keras_bert.serving.precision import in_dtype
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.fill_mask.filling import fill_mask

SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "max_position_embeddings": 24,
    "initializer_range": 0.2,
}
ROBERTA = {
    "positions_from_ids": True,
    "pad_token_id": 1,
    "type_vocab_size": 1,
    "pooler": None,
    "classifier_act": "tanh",
}
CONFIGS = {
    "roberta": Config(family="roberta", **SIZES, **ROBERTA),
    "distilbert": Config(
        family="distilbert",
        **SIZES,
        **{"position_embedding": "sinusoidal", "type_vocab_size": 0, "pooler": None, "choice_act": "relu"},
    ),
    "albert": Config(family="albert", **SIZES, embedding_size=8, num_hidden_groups=2, inner_group_num=2),
    "electra": Config(family="electra", **SIZES, embedding_size=8, pooler=None, choice_act="gelu_erf"),
}
HEADS = {
    "classify": lambda encoder: Classifier(encoder, 3),
    "choose": MultipleChoice,
    "tag": lambda encoder: TokenClassifier(encoder, 3),
    "pretrain": Pretrainer,
}


def model_of(family, head="classify", **changes):
    """Returns a model whose biases and LayerNorms are not what they begin as."""
    keras.utils.set_random_seed(2)
    model = HEADS[head](Encoder(CONFIGS[family].replace(**changes)))
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=len(weight.path)))
    return model


def inputs_of(model):
    """Returns a batch with a full row, one of a single token and one with padding's id inside; and its mask."""
    pad, draw = model.bert_config.pad_token_id, np.random.default_rng(0)
    mask = (np.arange(20) < np.array([[7], [1], [20]])).astype(np.int32)
    ids = np.where(mask, draw.integers(2, 60, mask.shape), pad).astype(np.int32)
    ids[0, 3] = pad
    inputs = {"input_ids": ids, "input_mask": mask, "segment_ids": draw.integers(0, 2, mask.shape).astype(np.int32)}
    inputs |= {"masked_lm_positions": np.array([[1, 2], [0, 0], [19, 5]], np.int32)}
    inputs = {name: inputs[name] for name in model.input}
    if isinstance(model, MultipleChoice):
        inputs = {name: each[:, None] for name, each in inputs.items()}
    return inputs, mask


def served(model, inputs, **options):
    """Returns a model's outputs with its encoder computed for serving, operation by operation."""
    encoder = ServedEncoder(model.encoder, **options)
    with model.encoder.computed_by(encoder):
        return model(inputs, training=False)


def real(outputs, mask):
    """Returns {name: float32 array} of outputs, those of each token only where there is one."""
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    arrays = {name: np.asarray(tf.cast(each, tf.float32)) for name, each in outputs.items()}
    return {name: each[mask == 1] if each.shape[:2] == mask.shape else each for name, each in arrays.items()}


@pytest.mark.parametrize(
    "head", ["classify", *(pytest.param(head, marks=pytest.mark.slow) for head in HEADS if head != "classify")]
)
@pytest.mark.parametrize("family", CONFIGS)
def test_it_gives_the_keras_model_s_numbers(family, head):
    model = model_of(family, head)
    inputs, mask = inputs_of(model)
    expected, found = real(model(inputs, training=False), mask), real(served(model, inputs), mask)
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("head", ["classify", "encoder"])
@pytest.mark.parametrize("family", CONFIGS)
def test_padding_that_comes_first_reads_no_other_text(family, head):
    """Nor does a row of padding alone."""
    model = model_of(family)
    encoder, pad = model.encoder, model.bert_config.pad_token_id
    mask = np.array([[1] * 6, [0, 0, 1, 1, 1, 1], [0] * 6, [1] * 6], np.int32)
    ids = np.where(mask, np.random.default_rng(1).integers(2, 60, mask.shape), pad).astype(np.int32)
    inputs = {"input_ids": ids, "input_mask": mask, "segment_ids": np.zeros_like(ids)}
    inputs = {name: inputs[name] for name in model.input}

    def answers(inputs):  # (B, ...)
        if head == "classify":
            return np.asarray(model(inputs, training=False))
        outputs = encoder(inputs, training=False)
        first = outputs["sequence_output"][:, 0]
        return np.concatenate([first, *([outputs["pooled_output"]] if encoder.pooler else [])], axis=1)

    expected = answers(inputs)
    with encoder.computed_by(ServedEncoder(encoder)):
        found, backwards = answers(inputs), answers({name: each[::-1] for name, each in inputs.items()})
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(backwards[::-1], found, atol=1e-6)


@pytest.mark.parametrize("kernels", ["constant", "int8"])
@pytest.mark.parametrize("family", ["albert", "roberta"])
def test_fewer_bits_stay_near(family, kernels):
    """Embeddings narrower than the blocks, shared blocks, and a head with a pooler of its own."""
    model = model_of(family, "choose")
    lowered = in_dtype(model, "bfloat16")
    inputs, mask = inputs_of(model)
    expected = real(model(inputs, training=False), mask)["logits"]
    found = real(served(lowered, inputs, kernels=kernels, table_in_8_bits=kernels == "int8"), mask)["logits"]
    assert 0 < np.abs(found - expected).max() < 0.1


def test_a_shared_block_is_stored_once():
    """In variables and in the graph itself, however often it is run, and where the last run computes few positions."""
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 6}
    shared = model_of("albert", "pretrain", **sizes, num_hidden_groups=1, inner_group_num=1)
    lowered = in_dtype(shared, "bfloat16")
    inputs, _ = inputs_of(lowered)
    encoder = ServedEncoder(lowered.encoder, kernels="constant")

    @tf.function(autograph=False)
    def answer(inputs):
        with lowered.encoder.computed_by(encoder):
            return lowered(inputs, training=False)

    graph = answer.get_concrete_function(inputs).graph.as_graph_def()
    constants = [len(node.attr["value"].tensor.tensor_content) for node in graph.node if node.op == "Const"]
    kernels = [2 * weight.numpy().size for weight in lowered.encoder.blocks[0].weights if len(weight.shape) == 2]
    assert sum(size for size in constants if size >= 2 * 64 * 64) == sum(kernels)
    in_8_bits = ServedEncoder(lowered.encoder, kernels="int8").variables
    assert sum(part.dtype == tf.int8 for part in in_8_bits) == 4 + 1  # query, key and value are one; the projection


def test_strings_in_as_in_python(tokenizer, tmp_path):
    """RoBERTa's positions come from ids that the graph made, and its signature by ids has no segments."""
    changes = {"vocab_size": tokenizer.vocab_size, "pad_token_id": tokenizer.pad_id, "max_position_embeddings": 41}
    model = model_of("roberta", **changes)
    model.save_pretrained(tmp_path / "model", tokenizer=tokenizer)
    loaded = load(tmp_path / "model")
    assert loaded.task == "classify"
    texts = ["the capital of france is paris", "", "a " * 50]
    exported = export(loaded.model, tokenizer, tmp_path / "1")
    answers = tf.saved_model.load(str(exported.path)).signatures["serving_default"](text=tf.constant(texts))
    expected = predict(model, tokenizer, texts, max_seq_length=40)["probabilities"]
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-5)
    with pytest.raises(UserError, match=r"to 40, the most tokens that the model reads\. Received: 41"):
        export(model, tokenizer, tmp_path / "2", max_seq_length=41)


def test_a_discriminator_is_served_by_ids(tokenizer, tmp_path):
    model = model_of("electra", "pretrain", vocab_size=tokenizer.vocab_size)
    exported = export(model, tokenizer, tmp_path / "1", inputs="ids", precision="int8")
    assert list(exported.inputs) == ["input_ids", "input_mask", "segment_ids"]
    inputs, mask = inputs_of(model)
    signature = tf.saved_model.load(str(exported.path)).signatures["serving_default"]
    found = signature(**{name: tf.constant(each) for name, each in inputs.items()})["replaced_tokens"]
    assert np.abs((found - model(inputs)["replaced_tokens"]) * mask).max() < 0.1
    message = r"Pretrainer knows no words behind \[MASK\]; it was made for replaced_tokens: load one made for masked_lm"
    with pytest.raises(UserError, match=message):
        export(model, tokenizer, tmp_path / "2")
    with pytest.raises(UserError, match=message):
        fill_mask(model, tokenizer, ["[MASK]"])


def test_a_model_whose_tokenizer_cannot_be_read_is_served_by_ids(tmp_path):
    model = model_of("distilbert", "tag")
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match=r"no vocab\.txt"):
        load(tmp_path / "model")
    with pytest.warns(UserNote, match=r"No tokenizer goes with the model: .*no vocab\.txt"):
        loaded = load(tmp_path / "model", takes_text=False)
    exported = export(loaded.model, loaded.tokenizer, tmp_path / "1", inputs="ids")
    assert [file.name for file in (tmp_path / "1" / "assets.extra").glob("*.*")] == ["task.json"]
    inputs, mask = inputs_of(model)
    signature = tf.saved_model.load(str(exported.path)).signatures["serving_default"]
    assert list(exported.inputs) == ["input_ids", "input_mask"]
    found = signature(**{name: tf.constant(each) for name, each in inputs.items()})
    np.testing.assert_allclose(found["logits"][mask == 1], model(inputs)[mask == 1], atol=1e-5)


@pytest.mark.parametrize("format", ["onnx", "litert"])
@pytest.mark.parametrize("family", ["roberta", "albert"])
@pytest.mark.slow
def test_a_runtime_gives_the_model_s_numbers(tokenizer, tmp_path, family, format):
    if format == "onnx":
        pytest.importorskip("tf2onnx", reason="tf2onnx (the onnx extra) is not installed")
    from tests.serving.test_formats import RUNTIMES

    model = model_of(family, vocab_size=tokenizer.vocab_size, pad_token_id=tokenizer.pad_id)
    inputs, _ = inputs_of(model)
    path = export(model, tokenizer, tmp_path / "1", format=format).path
    expected = tf.nn.softmax(model(inputs))
    np.testing.assert_allclose(RUNTIMES[format](path, inputs)["probabilities"], expected, atol=1e-4)


def test_what_the_encoder_for_serving_cannot_compute_is_said(tokenizer, tmp_path):
    model = model_of("electra", "choose", choice_pooling="mean", vocab_size=tokenizer.vocab_size)
    assert not ServedEncoder.can_compute(model)
    sentence = (
        r"Keras' own layers compute .*: its head reads the hidden states of padding \(choice_pooling is 'mean'\)\."
    )
    with pytest.warns(UserNote, match=sentence):
        path = export(model, tokenizer, tmp_path / "1", inputs="ids").path
    inputs, _ = inputs_of(model)
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    inputs = {name: np.concatenate([each, each[::-1]], axis=1) for name, each in inputs.items()}
    found = signature(**{name: tf.constant(each) for name, each in inputs.items()})["probabilities"]
    np.testing.assert_allclose(found, tf.nn.softmax(model(inputs)), atol=1e-5)


def test_a_field_that_only_keras_may_come_to_know_is_left_to_keras():
    encoder = Encoder(CONFIGS["roberta"].replace())
    object.__setattr__(encoder.bert_config, "attention", "local")
    assert ServedEncoder.why_not(encoder) == "its attention is 'local'"
    assert ServedEncoder.why_not(SpanLabeler(Encoder(CONFIGS["roberta"]))) is None
