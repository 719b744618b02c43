""".keras files, configs, and model directories: what comes back is what was saved."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.models.weights import collect_arrays, model_variables
from keras_bert.training.optimizers import BertAdamW, adamw
from tests import reference_bert
from tests.models.conftest import KINDS, flat_outputs, inputs_of, make, randomise
from tests.small import batch_loss

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("kind", KINDS)
def test_a_keras_file_gives_the_model_back_to_the_last_bit(kind, config, batch, tmp_path):
    model = randomise(make(kind, config))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    assert again.get_config() == model.get_config()
    assert again.bert_config == config
    assert [v.path for v in again.variables] == [v.path for v in model.variables]
    x = inputs_of(model, batch)
    for one, two in zip(flat_outputs(model, x), flat_outputs(again, x), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_comes_back_from_its_config(kind, config):
    model = make(kind, config.replace(extra={"note": "kept"}))
    text = json.dumps(model.get_config())
    again = type(model).from_config(json.loads(text))
    assert json.dumps(again.get_config()) == text
    assert {v.path: tuple(v.shape) for v in again.weights} == {v.path: tuple(v.shape) for v in model.weights}
    assert again.bert_config.extra == {"note": "kept"}


def test_all_layers_and_the_dtype_are_part_of_the_config(config):
    encoder = BertEncoder(config, return_all_layers=True, dtype="mixed_bfloat16")
    again = BertEncoder.from_config(encoder.get_config())
    assert sorted(again.output) == ["embedding_output", "encoder_outputs", "pooled_output", "sequence_output"]
    assert again.policy.name == again.blocks[0].dtype_policy.name == "mixed_bfloat16"


def test_training_goes_on_from_a_keras_file_as_if_it_had_never_stopped(config, batch, tmp_path):
    model = make("pretrainer", config)
    model.compile(adamw(1e-2, num_train_steps=9, num_warmup_steps=2), run_eagerly=True)
    x, y, weights = batch
    for _ in range(2):
        model.train_on_batch(x, y, sample_weight=weights)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is BertAdamW
    assert int(again.optimizer.iterations) == 2
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for one, two in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, two)
    for _ in range(2):
        losses = [batch_loss(m, x, y, weights) for m in (model, again)]
        assert losses[0] == losses[1]
    for one, two in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, two)


def test_frozen_layers_stay_frozen(config, tokens, tmp_path):
    model = make("classifier", config)
    model.encoder.trainable = False
    model.encoder.blocks[1].trainable = True
    model.compile(adamw(1e-2), run_eagerly=True)
    model.train_on_batch(tokens, np.array([0, 1, 2, 0]))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert [v.path for v in again.trainable_variables] == [v.path for v in model.trainable_variables]
    assert len(again.trainable_variables) == 16 + 2
    for one, two in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "imports",
    [
        pytest.param("import keras_bert, keras", marks=pytest.mark.slow),
        pytest.param("import keras, keras_bert", marks=pytest.mark.nightly),
        pytest.param("import keras_bert.layers, keras", marks=pytest.mark.nightly),
        pytest.param("import keras_bert.models.losses, keras", marks=pytest.mark.nightly),
        pytest.param("import keras_bert.training.optimizers, keras", marks=pytest.mark.nightly),
    ],
)
def test_a_fresh_process_loads_a_keras_file_after_two_imports(imports, config, batch, tmp_path):
    model = randomise(make("pretrainer", config))
    model.compile(adamw(1e-3, num_train_steps=10))
    model.save(tmp_path / "model.keras")
    x = inputs_of(model, batch)
    np.savez(tmp_path / "x.npz", **x)
    script = (
        f"{imports}\nimport numpy as np\n"
        "model = keras.saving.load_model('model.keras')\n"
        "outputs = model.predict(dict(np.load('x.npz')), verbose=0)\n"
        "np.savez('outputs.npz', **outputs)\n"
        "print(type(model).__name__, type(model.optimizer).__name__)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-2:] == ["Pretrainer", "BertAdamW"]
    outputs = dict(np.load(tmp_path / "outputs.npz"))
    for name, expected in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(outputs[name], expected, atol=1e-6)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_directory_gives_the_model_back(kind, config, batch, tmp_path):
    model = randomise(make(kind, config))
    model.save_pretrained(tmp_path / "model")
    again = type(model).from_pretrained(tmp_path / "model")
    assert again.load_report.new == again.load_report.unused == []
    assert len(again.load_report.loaded) == len(model.weights)
    assert again.bert_config == config
    assert again.task() == model.task()
    x = inputs_of(model, batch)
    for one, two in zip(flat_outputs(model, x), flat_outputs(again, x), strict=True):
        np.testing.assert_array_equal(one, two)


def test_every_weight_has_google_s_name_and_shape(config):
    expected = reference_bert.shapes(reference_bert.CONFIG)
    model = make("pretrainer", config)
    arrays = collect_arrays(model)
    assert {name: array.shape for name, array in arrays.items()} == expected
    assert len({id(variable) for variable, _ in model_variables(model).values()}) == len(model.weights) == len(expected)
    encoder = {name: shape for name, shape in expected.items() if name.startswith("bert/")}
    assert {name: array.shape for name, array in collect_arrays(make("encoder", config)).items()} == encoder
    head = {"output_weights": (3, 8), "output_bias": (3,)}
    arrays = collect_arrays(make("classifier", config))
    assert {name: array.shape for name, array in arrays.items()} == {**encoder, **head}


def test_the_report_names_what_is_new_and_what_is_not_used(config, tmp_path):
    make("pretrainer", config).save_pretrained(tmp_path / "model")
    heads = sorted(name for name in reference_bert.shapes(reference_bert.CONFIG) if name.startswith("cls/"))
    encoder = BertEncoder.from_pretrained(tmp_path / "model")
    assert (encoder.load_report.new, encoder.load_report.unused) == ([], heads)
    classifier = BertClassifier.from_pretrained(tmp_path / "model", num_classes=2)
    assert classifier.load_report.new == ["output_weights", "output_bias"]
    assert classifier.load_report.unused == heads
    text = str(classifier.load_report)
    assert text.startswith(f"{len(encoder.weights)} weights loaded; newly initialised: output_weights, output_bias; ")
    assert text.endswith(f"not used: {', '.join(heads)}")


def test_a_head_of_another_size_is_new(config, tokens, tmp_path):
    model = randomise(make("classifier", config))
    model.save_pretrained(tmp_path / "model")
    again = BertClassifier.from_pretrained(tmp_path / "model", num_classes=5)
    assert sorted(again.load_report.new) == again.load_report.unused == ["output_bias", "output_weights"]
    assert again.labels == ["0", "1", "2", "3", "4"]
    np.testing.assert_array_equal(
        again.encoder.predict(tokens, verbose=0)["pooled_output"],
        model.encoder.predict(tokens, verbose=0)["pooled_output"],
    )


def test_classes_come_from_the_options_or_else_from_the_checkpoint(config, tmp_path):
    make("classifier", config).save_pretrained(tmp_path / "model")
    assert BertClassifier.from_pretrained(tmp_path / "model").labels == ["a", "b", "c"]
    assert BertClassifier.from_pretrained(tmp_path / "model", num_classes=3).labels == ["a", "b", "c"]
    assert BertClassifier.from_pretrained(tmp_path / "model", labels=["x", "y", "z"]).labels == ["x", "y", "z"]
    assert BertClassifier.from_pretrained(tmp_path / "model", labels=["x", "y"]).num_classes == 2
    make("encoder", config).save_pretrained(tmp_path / "bare")
    with pytest.raises(UserError, match=r"no head for a Classifier; say num_classes=\.\.\. or labels="):
        BertClassifier.from_pretrained(tmp_path / "bare")


def rewrite(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_encoder_of_another_shape_is_a_user_error_with_both_shapes(config, tmp_path):
    make("encoder", config).save_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", vocab_size=30)
    with pytest.raises(UserError, match=r"word_embeddings\.weight has shape \(24, 8\), but .* asks for \(30, 8\)"):
        BertEncoder.from_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", vocab_size=24, intermediate_size=20)
    with pytest.raises(UserError, match=r"intermediate\.dense\.weight has shape \(16, 8\), but .* asks for \(20, 8\)"):
        BertEncoder.from_pretrained(tmp_path / "model")


def test_an_encoder_that_lacks_layers_is_a_user_error(config, tmp_path):
    make("encoder", config).save_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", num_hidden_layers=3)
    with pytest.raises(UserError, match=r"has no encoder\.layer\.2\..* num_hidden_layers=3"):
        BertEncoder.from_pretrained(tmp_path / "model")


def test_arrays_without_an_encoder_are_a_user_error(config, tmp_path):
    from keras_bert.checkpoints import save_checkpoint

    save_checkpoint(tmp_path / "model", config, {"something": np.zeros(3, np.float32)})
    with pytest.raises(UserError, match="holds no BERT encoder: none of its 1 arrays fits"):
        BertEncoder.from_pretrained(tmp_path / "model")


def test_a_misspelt_field_of_the_config_is_in_the_report(config, tmp_path):
    make("encoder", config).save_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", layer_norm_epz=1e-5)
    model = BertEncoder.from_pretrained(tmp_path / "model")
    assert str(model.load_report).endswith("do nothing: layer_norm_epz (layer_norm_eps?)")
    assert model.bert_config.to_dict()["layer_norm_epz"] == 1e-5


def test_a_size_that_no_memory_holds_is_one_sentence_at_once(config):
    with pytest.raises(UserError, match=r"asks for .* weights, .* GB, and this machine has .* GB; most are attention"):
        BertEncoder(config.replace(hidden_size=2**30))


def test_numpy_s_numbers_go_into_task_json(config, tmp_path):
    BertClassifier(BertEncoder(config), np.int64(3)).save_pretrained(tmp_path)
    assert BertClassifier.from_pretrained(tmp_path).task() == {
        "task": "classify",
        "num_classes": 3,
        "labels": ["0", "1", "2"],
    }


def test_names_of_classes_are_strings_and_differ(config):
    assert BertClassifier(BertEncoder(config), 2, labels=[1, np.int64(2)]).labels == ["1", "2"]
    with pytest.raises(UserError, match="labels has 'a' twice; give each class a name of its own"):
        BertClassifier(BertEncoder(config), 2, labels=["a", "a"])


def test_16_bit_weights_are_saved_and_loaded(config, tokens, tmp_path):
    model = BertEncoder(config, dtype="bfloat16")
    model.save_pretrained(tmp_path / "model")
    again = BertEncoder.from_pretrained(tmp_path / "model", dtype="float32")
    for name, array in collect_arrays(model).items():
        np.testing.assert_array_equal(collect_arrays(again)[name], array.astype(np.float32))


OTHER_MODES = {"classifier": "int4", "regressor": "float8"}


@pytest.mark.parametrize(("kind", "mode"), [(kind, OTHER_MODES.get(kind, "int8")) for kind in KINDS])
def test_a_quantized_model_comes_back_to_the_last_bit(kind, mode, config, batch, tmp_path):
    model = randomise(make(kind, config))
    model.quantize(mode)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    assert [(v.path, v.dtype) for v in again.variables] == [(v.path, v.dtype) for v in model.variables]
    x = inputs_of(model, batch)
    for one, two in zip(flat_outputs(model, x), flat_outputs(again, x), strict=True):
        np.testing.assert_array_equal(one, two)


def test_some_quantized_layers_and_their_weights_alone(config, batch, tmp_path):
    """One layer by hand; and save_weights into a model that was quantized likewise."""
    model = randomise(make("classifier", config))
    model.encoder.blocks[0].intermediate.quantize("int8")
    model.save_weights(tmp_path / "model.weights.h5")
    again = keras.models.clone_model(model)
    again.load_weights(tmp_path / "model.weights.h5")
    modes = [block.intermediate.quantization_mode for block in again.encoder.blocks]
    assert modes == ["int8", *[None] * (len(modes) - 1)]
    x = inputs_of(model, batch)
    np.testing.assert_array_equal(flat_outputs(model, x)[0], flat_outputs(again, x)[0])


def test_what_would_not_come_back_is_refused_before_anything_is_written(config, tmp_path):
    """Saving merges LoRA into 8 bits, which rounds it away; float8 keeps floats, but computes with fewer bits."""
    model, path = make("classifier", config), tmp_path / "model.keras"
    path.write_text("mine")
    query = model.encoder.blocks[0].attention.query
    query.quantize("int8")
    query.enable_lora(2)
    for save in (lambda: model.save(path, overwrite=True), lambda: model.save_weights(tmp_path / "m.weights.h5")):
        with pytest.raises(UserError, match=r"layer_0/attention/query is quantized \(int8\) and has LoRA"):
            save()
    model = make("classifier", config)
    model.encoder.blocks[0].intermediate.quantize("float8")
    with pytest.raises(UserError, match=r"layer_0/intermediate was quantized \(float8\), and a model directory holds"):
        model.save_pretrained(tmp_path / "m")
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]
    assert path.read_text() == "mine"


def test_a_quantized_model_is_not_saved_as_a_directory(config, tmp_path):
    encoder = BertEncoder(config)
    encoder.blocks[0].intermediate.quantize("int8")
    with pytest.raises(UserError, match=r"layer_0/intermediate/dense/kernel is int8: the model was quantized"):
        encoder.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
