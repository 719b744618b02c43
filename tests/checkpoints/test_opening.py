"""The one check of opening: what is missing, of another shape, wrapped, tied or not finite, in every format alike."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_bert.checkpoints import open_checkpoint, write_checkpoint
from keras_bert.checkpoints.bundle import write_bundle
from keras_bert.cli.main import main
from keras_bert.errors import UserError
from tests.checkpoints.conftest import CONFIG
from tests.reference_bert import write_older
from tests.reference_huggingface import write_huggingface

WORDS, QUERY = "bert/embeddings/word_embeddings", "bert/encoder/layer_1/attention/self/query/kernel"
POSITIONS = "bert/embeddings/position_embeddings"
DECODER, DECODER_BIAS = "cls/predictions/decoder/weight", "cls/predictions/decoder/bias"
BIAS = "cls/predictions/output_bias"


def write_ours(folder, arrays):
    return write_older(folder, CONFIG, arrays)


def write_google(folder, arrays):
    folder.mkdir()
    (folder / "bert_config.json").write_text(json.dumps(CONFIG))
    write_bundle(folder / "bert_model.ckpt", {name: a.shape for name, a in arrays.items()}, arrays.__getitem__)
    return folder


FORMATS = {"ours": write_ours, "google": write_google, "huggingface": write_huggingface}


def without(arrays, *starts):
    return {name: array for name, array in arrays.items() if not name.startswith(starts)}


def infinite(arrays, value, name=QUERY):
    array = arrays[name].copy()
    array[0, 0] = value
    return {**arrays, name: array}


BROKEN = {
    "layer": (lambda a: without(a, "bert/encoder/layer_1/"), r"has no bert.encoder.layer.1.*num_hidden_layers=2"),
    "query": (lambda a: without(a, QUERY), r"has no bert.encoder.layer.1.attention.self.query.(kernel|weight)"),
    "positions": (
        lambda a: {**a, POSITIONS: a[POSITIONS][:7]},
        r"bert.embeddings.position_embeddings\S* has shape \(7, 8\), but its config asks for \(12, 8\)",
    ),
    "everything": (lambda a: {"x": a[QUERY]}, r"holds no BERT encoder: none of its 1 arrays fits \(x\)"),
    "nothing": (lambda a: {**a, BIAS: np.zeros((10**12, 0), "f4")}, r"has shape \(10{12}, 0\), which no head has"),
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_not_complete_is_refused_and_never_converted(tmp_path, capsys, arrays, format, broken):
    change, message = BROKEN[broken]
    folder = FORMATS[format](tmp_path / "model", change(arrays))
    with pytest.raises(UserError, match=message) as raised:
        open_checkpoint(folder)
    for command in (["convert", "--init_checkpoint", folder, "--output_dir", tmp_path / "new", "--format=google"],):
        assert main([str(word) for word in command]) == 2
        assert capsys.readouterr().err == f"keras-bert convert: {raised.value}\n"
    assert main(["inspect", str(folder)]) == 2
    assert capsys.readouterr().err == f"keras-bert inspect: {raised.value}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("format", ["ours", "google"])
def test_a_head_that_is_one_number_is_refused(tmp_path, arrays, format):
    folder = FORMATS[format](tmp_path / "model", {**arrays, "output_weights": np.array(1, np.float32)})
    with pytest.raises(UserError, match=r"output_weights has shape \(\), which no head has"):
        open_checkpoint(folder)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_in_loading_and_in_converting(tmp_path, arrays, format, value):
    checkpoint = open_checkpoint(FORMATS[format](tmp_path / "model", infinite(arrays, value)))
    with pytest.raises(UserError, match=r"query.(kernel|weight) holds NaN or infinity"):
        checkpoint.read(QUERY)
    with pytest.raises(UserError, match=r"query.(kernel|weight) holds NaN or infinity"):
        write_checkpoint(checkpoint, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_large_numbers_are_finite_and_those_past_float32_are_not(tmp_path, arrays):
    large = np.full_like(arrays[QUERY], 3e38)
    checkpoint = open_checkpoint(write_huggingface(tmp_path / "large", {**arrays, QUERY: large}))
    np.testing.assert_array_equal(checkpoint.read(QUERY), large)
    wide = {**arrays, QUERY: arrays[QUERY].astype(np.float64) * 1e300}
    with pytest.raises(UserError, match=r"query\.weight holds NaN or infinity"):
        open_checkpoint(write_huggingface(tmp_path / "wide", wide)).read(QUERY)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("prefix", ["module.", "model/", "module/model.", "_orig_mod.module."])
def test_prefixes_of_what_wrapped_the_model_are_recognised(tmp_path, arrays, format, prefix):
    if format == "huggingface":
        folder = write_huggingface(tmp_path / "model", arrays)
        stored = load_file(folder / "model.safetensors")
        save_file({f"{prefix}{name}": array for name, array in stored.items()}, folder / "model.safetensors")
    else:
        folder = FORMATS[format](tmp_path / "model", {f"{prefix}{name}": array for name, array in arrays.items()})
    checkpoint = open_checkpoint(folder)
    assert checkpoint.shapes == {name: array.shape for name, array in arrays.items()}
    np.testing.assert_array_equal(checkpoint.read(QUERY), arrays[QUERY])


def test_two_arrays_that_are_the_same_one_are_refused(tmp_path, arrays):
    folder = write_google(tmp_path / "model", {**arrays, f"model/{QUERY}": arrays[QUERY] + 1})
    with pytest.raises(UserError, match=f"model/{QUERY} are both {QUERY}; keep the one"):
        open_checkpoint(folder)


def test_an_encoder_without_heads_or_pooler_and_one_with_more_layers_stay_fine(tmp_path, arrays):
    bare = without(arrays, "cls/", "bert/pooler/")
    assert open_checkpoint(write_google(tmp_path / "bare", bare)).shapes.keys() == bare.keys()
    more = {name.replace("layer_1", "layer_2"): array for name, array in arrays.items()} | arrays
    assert open_checkpoint(write_google(tmp_path / "more", more)).shapes.keys() == more.keys()


def test_a_head_that_was_made_for_other_inputs_is_left_out_with_a_note(tmp_path, arrays):
    head = {"classifier/output_weights": np.ones((3, 16), "f4"), "classifier/bias": np.ones(3, "f4")}
    checkpoint = open_checkpoint(write_huggingface(tmp_path / "model", {**arrays, **head}))
    assert checkpoint.shapes.keys() == arrays.keys()
    assert checkpoint.task == {}
    assert checkpoint.notes[0].startswith(
        "left out, as classifier.weight has shape (3, 16) where the head of BERT has (3, 8): "
    )


@pytest.mark.parametrize("bare", [False, True])
def test_a_decoder_alone_is_the_word_embeddings(tmp_path, arrays, bare):
    stored = {**without(arrays, WORDS), DECODER: arrays[WORDS]}
    stored = {name.removeprefix("bert/") if bare else name: array for name, array in stored.items()}
    checkpoint = open_checkpoint(write_huggingface(tmp_path / "model", stored))
    assert checkpoint.shapes == {name: array.shape for name, array in arrays.items()}
    np.testing.assert_array_equal(checkpoint.read(WORDS), arrays[WORDS])


def test_a_decoder_alone_that_is_not_tied_is_none(tmp_path, arrays):
    stored = {**without(arrays, WORDS), DECODER: arrays[WORDS]}
    with pytest.raises(UserError, match=r"has no bert\.embeddings\.word_embeddings\.weight"):
        open_checkpoint(write_huggingface(tmp_path / "model", stored, tie_word_embeddings=False))


@pytest.mark.parametrize("both", [False, True])
def test_the_bias_that_is_added_is_the_decoder_s(tmp_path, arrays, both):
    stored = {**(arrays if both else without(arrays, BIAS)), DECODER_BIAS: arrays[BIAS] + 1}
    checkpoint = open_checkpoint(write_huggingface(tmp_path / "model", stored))
    np.testing.assert_array_equal(checkpoint.read(BIAS), arrays[BIAS] + 1)


def test_output_weights_that_are_not_the_embeddings_are_the_head_s_own(tmp_path, arrays):
    checkpoint = open_checkpoint(write_huggingface(tmp_path / "model", {**arrays, DECODER: arrays[WORDS] + 1}))
    np.testing.assert_array_equal(checkpoint.read(WORDS), arrays[WORDS])
    assert BIAS not in checkpoint.shapes
    assert "masked-LM head is not loaded, as it has output weights of its own" in checkpoint.notes[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architectures": 5}, r"config\.json: architectures must be a list of names\. Received: 5\."),
        ({"id2label": ["a"]}, r"id2label must have a name for each class by its number\. Received: \['a'\]"),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}}, r"id2label has 'a' twice; give each class a name of its own\."),
        ({"id2label": {"0": "a", "1": None, "2": "c"}}, r"id2label must have a string for each class\. Received: None"),
        ({"tie_word_embeddings": "false"}, r"tie_word_embeddings must be true or false\. Received: 'false'\."),
        (
            {"hidden_size": 2**30},
            r"word_embeddings\.weight has shape \(24, 8\), but its config asks for \(24, 1073741824\)",
        ),
        ({"num_hidden_layers": 900}, r"has no bert\.encoder\.layer\.2.*num_hidden_layers=900"),
        ({"num_hidden_layers": 10**6}, r"num_hidden_layers must be at most 1000\. Received: 1000000\."),
    ],
)
def test_a_configuration_that_cannot_be_is_one_sentence(tmp_path, arrays, fields, message):
    head = {"classifier/output_weights": np.ones((3, 8), "f4"), "classifier/bias": np.ones(3, "f4")}
    with pytest.raises(UserError, match=message):
        open_checkpoint(write_huggingface(tmp_path / "model", {**arrays, **head}, **fields))


def test_whole_numbers_are_names_of_classes(tmp_path, arrays):
    head = {"classifier/output_weights": np.ones((3, 8), "f4"), "classifier/bias": np.ones(3, "f4")}
    folder = write_huggingface(tmp_path / "model", {**arrays, **head}, id2label={"0": 1, "1": 2, "2": 3})
    assert open_checkpoint(folder).task == {"num_classes": 3, "labels": ["1", "2", "3"]}


def test_a_misspelt_field_is_noted(tmp_path, arrays):
    checkpoint = open_checkpoint(write_huggingface(tmp_path / "model", arrays, hiden_dropout_prob=0.5))
    assert checkpoint.config.extra == {"hiden_dropout_prob": 0.5}
    assert checkpoint.notes[-1].endswith("do nothing: hiden_dropout_prob (hidden_dropout_prob?)")
