"""What holds for every family and head: outputs, the walk over the weights, and every way to save and copy a model."""

import json
import math

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

import keras_bert as kb
from keras_bert.checkpoints.huggingface import file_table
from keras_bert.checkpoints.parts import array_shapes, encoder_parts, head_weights
from keras_bert.families import FAMILIES
from keras_bert.models.walk import walk
from tests.families.rows import (
    CONFIGS,
    EVERY_MODEL,
    HEADS,
    KINDS,
    LENGTH,
    NEW,
    ODD_MODELS,
    PAIRS,
    SOME_MODELS,
    assert_same,
    batch,
    build,
    model_of,
    outputs,
)


@pytest.mark.parametrize(("family", "kind"), [*SOME_MODELS, *((family, "encoder") for family in NEW)])
def test_padding_changes_nothing(family, kind):
    model = model_of(family, kind)
    if model.bert_config.attention == "block_sparse":
        pytest.skip(
            "the last block, which sees all and is seen by all, is another one in a text that is padded further"
        )
    short, long = outputs(model, batch(model)), outputs(model, batch(model, length=LENGTH + 4))
    mask = batch(model).get("input_mask").astype(bool)
    for ours, theirs in zip(short, long, strict=True):
        if model.bert_config.trigrams:  # a last token sees what comes after it: nothing, or padding
            ours, theirs = ours[1:], theirs[1:]
            mask = mask[-len(ours) :]
        theirs = theirs[tuple(map(slice, ours.shape))]
        if ours.shape[:2] == mask.shape and mask.ndim == 2:
            ours, theirs = ours[mask], theirs[mask]
        assert np.isfinite(ours).all() and ours.std() > 1e-3
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(("family", "kind"), EVERY_MODEL)
def test_the_walk_meets_every_weight_once(family, kind):
    model, config = model_of(family, kind), CONFIGS[family]
    found = list(walk(model))
    names = [f.weight.name for f in found]
    assert len(set(names)) == len(names)
    assert sorted(id(f.variable) for f in found) == sorted(map(id, model.weights))
    assert all(f.stored_shape == f.weight.shape for f in found)
    assert sum(math.prod(f.weight.shape) for f in found) == model.count_params()
    own = head_weights(config, model.TASK, classes=3, objectives=getattr(model, "objectives", None))
    counted = {**array_shapes(encoder_parts(config)), **{weight.name: weight.shape for weight in own}}
    poolers = {f"bert/pooler/dense/{name}" for name in ("kernel", "bias")}  # of the head, not of the family's encoder
    assert set(names) - counted.keys() <= poolers and counted.keys() <= set(names)


@pytest.mark.parametrize(("family", "kind"), EVERY_MODEL)
def test_depths_go_from_bottom_to_top(family, kind):
    model, top = model_of(family, kind), len(CONFIGS[family].passes) + 2
    depths = {f.weight.name: f.weight.depth for f in walk(model)}
    for name, depth in depths.items():
        if name.startswith(("bert/embeddings/", "bert/embeddings_project/", "bert/encoder/rel_", "bert/encoder/Layer")):
            assert depth == 0, name
        elif name.startswith("bert/pooler/"):
            assert depth == top - 1, name
        elif name.startswith("bert/encoder/conv/"):
            assert depth == 1, name
        elif name.startswith("bert/encoder/final/"):
            assert depth == top - 2, name
        elif not name.startswith("bert/encoder/"):
            assert depth == top, name
    blocks = [depth for name, depth in depths.items() if name.startswith("bert/encoder/layer_")]
    assert blocks == sorted(blocks) and blocks[0] >= 1 and blocks[-1] == top - 2
    assert any(not name.startswith("bert/") for name in depths)


def test_a_shared_block_has_the_depth_at_which_it_is_last_run():
    found = {f.weight.name: f.weight.depth for f in walk(model_of("albert", "classify"))}
    assert CONFIGS["albert"].passes == (0, 1, 0, 1)
    assert [found[f"bert/encoder/layer_{i}/output/dense/bias"] for i in range(2)] == [3, 4]


@pytest.mark.parametrize(("family", "kind"), EVERY_MODEL)
def test_a_directory_gives_the_model_back(family, kind, tmp_path):
    model = model_of(family, kind)
    model.save_pretrained(tmp_path / "model")
    fields = json.loads((tmp_path / "model" / "config.json").read_text())
    row = FAMILIES[family]
    suffixes = [head.suffix for head in row.heads if head.task == model.TASK]
    assert fields["model_type"] == family
    assert [name.removeprefix(row.architecture) in suffixes for name in fields["architectures"]] == [True]
    assert load_file(tmp_path / "model" / "model.safetensors").keys() <= file_table(row, CONFIGS[family]).keys()
    again = type(model).from_pretrained(tmp_path / "model")
    assert again.load_report.new == again.load_report.unused == again.load_report.notes == []
    assert again.bert_config == model.bert_config and again.task() == model.task()
    assert_same(outputs(again, batch(model)), outputs(model, batch(model)))


@pytest.mark.parametrize(("family", "kind"), SOME_MODELS)
def test_keras_files_and_clones(family, kind, tmp_path):
    model = model_of(family, kind)
    x = batch(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model) and again.bert_config == model.bert_config
    assert_same(outputs(again, x), outputs(model, x))
    clone = keras.models.clone_model(model)
    assert type(clone) is type(model) and clone.encoder is not model.encoder
    clone.set_weights(model.get_weights())
    assert_same(outputs(clone, x), outputs(model, x))


@pytest.mark.parametrize(("family", "kind"), SOME_MODELS)
def test_mixed_precision(family, kind, tmp_path):
    plain, model = model_of(family, kind), build(family, kind, dtype="mixed_bfloat16")
    model.set_weights(plain.get_weights())
    x = batch(model)
    for ours, theirs in zip(outputs(model, x), outputs(plain, x), strict=True):
        assert 0 < np.abs(ours - theirs).max() < 0.1 * np.abs(theirs).max()
    assert {str(tensor.dtype) for tensor in keras.tree.flatten(model.output)} == {"float32"}
    model.save_pretrained(tmp_path / "model")
    again = type(model).from_pretrained(tmp_path / "model", dtype="mixed_bfloat16")
    assert_same(outputs(again, x), outputs(model, x))


@pytest.mark.parametrize(("family", "kind"), ODD_MODELS)
def test_8_bit_weights(family, kind, tmp_path, monkeypatch):
    monkeypatch.setattr("gc.collect", lambda *_: 0)  # of which Keras makes one a layer
    model = build(family, kind)
    x = batch(model)
    plain = outputs(model, x)
    model.quantize("int8")
    quantized = outputs(model, x)
    for ours, theirs in zip(quantized, plain, strict=True):
        assert 0 < np.abs(ours - theirs).max() < 0.2 * np.abs(theirs).max()
    assert any(variable.dtype == "int8" for variable in model.variables)
    model.save(tmp_path / "model.keras")
    assert_same(outputs(keras.saving.load_model(tmp_path / "model.keras"), x), quantized)
    with pytest.raises(kb.UserError, match="the model was quantized"):
        model.save_pretrained(tmp_path / "model")


@pytest.mark.parametrize("family", ["bert", *NEW])
def test_an_encoder_alone_comes_back(family, tmp_path):
    encoder = model_of(family, "encoder")
    encoder.save_pretrained(tmp_path / "model")
    again = kb.Encoder.from_pretrained(tmp_path / "model")
    assert again.bert_config == encoder.bert_config
    assert_same(outputs(again, batch(encoder)), outputs(encoder, batch(encoder)))


def test_the_names_with_bert_are_the_same_classes():
    for name in ("Config", "Encoder", "Pretrainer", "Classifier", "TokenClassifier", "SpanLabeler", "MultipleChoice"):
        assert getattr(kb, f"Bert{name}") is getattr(kb, name)


# What transformers' classes have before their output weights, of the fields of Config.
DROPOUTS = {
    ("roberta", "choose"): "hidden_dropout_prob",
    ("xlm-roberta", "choose"): "hidden_dropout_prob",
    ("longformer", "choose"): "hidden_dropout_prob",
    ("distilbert", "tag"): "hidden_dropout_prob",
    ("electra", "choose"): "choice_dropout_prob",
    ("deberta", "tag"): "hidden_dropout_prob",
    ("deberta-v2", "tag"): "hidden_dropout_prob",
}
HEADS_FOR_CLASSES = [pair for pair in PAIRS if pair[1] in ("classify", "tag", "choose")]


@pytest.mark.parametrize(("family", "kind"), HEADS_FOR_CLASSES)
def test_a_head_s_dropout_is_that_of_the_family_s_code(family, kind):
    rates = {"hidden_dropout_prob": 0.1, "classifier_dropout_prob": 0.2, "choice_dropout_prob": None}
    rates |= {"choice_dropout_prob": 0.3} if family == "electra" else {}
    task, fields = KINDS[kind]
    model = HEADS[task].build_from(CONFIGS[family].replace(**rates), {}, **fields)
    found = {layer.rate for layer in model._flatten_layers() if layer.name == "classifier_dropout"}
    assert found == {rates[DROPOUTS.get((family, kind), "classifier_dropout_prob")]}
