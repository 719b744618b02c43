"""Google's TF1 checkpoints: finding, reading and writing them, and what is refused."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint, write_checkpoint
from keras_bert.checkpoints.bundle import write_bundle
from keras_bert.checkpoints.google import find_prefix
from keras_bert.checkpoints.parts import encoder_weights, pretraining_weights
from keras_bert.cli.main import main
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.families.electra import google_heads, google_names
from tests import reference_bert


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], None),
        (["bert_model.ckpt.data-00000-of-00001"], None),
        (["bert_model.ckpt.index"], "bert_model.ckpt"),
        (["model.ckpt-900.index", "model.ckpt-1000.index", "model.ckpt-20.index"], "model.ckpt-1000"),
        (["model.ckpt-900.index", "model.ckpt.index"], "model.ckpt-900"),
        (["model.ckpt-900.index", "bert_model.ckpt.index"], "bert_model.ckpt"),
    ],
)
def test_a_folder_gives_its_checkpoint(tmp_path, files, expected):
    touch(tmp_path, *files)
    assert find_prefix(tmp_path) == (tmp_path / expected if expected else None)


def test_a_prefix_is_itself(tmp_path):
    touch(tmp_path, "model.ckpt-20.index", "model.ckpt-30.index")
    assert find_prefix(tmp_path / "model.ckpt-20") == tmp_path / "model.ckpt-20"
    assert find_prefix(tmp_path / "model.ckpt-40") is None


def test_the_folder_we_stand_in_has_no_name_and_is_found(tmp_path, monkeypatch):
    touch(tmp_path, "bert_model.ckpt.index")
    monkeypatch.chdir(tmp_path)
    assert find_prefix(".") == find_prefix("") == find_prefix("bert_model.ckpt")
    assert find_prefix("/") is None or os.path.exists(f"{find_prefix('/')}.index")


@pytest.mark.parametrize("what", ["", "bert_model.ckpt"])
def test_folder_and_prefix_open_the_same_arrays(google_folder, arrays, what):
    checkpoint = open_checkpoint(google_folder / what)
    assert checkpoint.shapes == reference_bert.shapes(reference_bert.CONFIG)
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.read(name), array)
    assert checkpoint.config.hidden_act == "gelu_tanh"
    assert (checkpoint.config.vocab_size, checkpoint.task, checkpoint.notes) == (24, {}, ())


def test_what_the_optimizer_left_is_no_weight(tmp_path, arrays):
    slots = {f"{name}/{slot}": array for name, array in arrays.items() for slot in ("adam_m", "adam_v")}
    reference_bert.write_google(
        tmp_path, reference_bert.CONFIG, {**arrays, **slots, "global_step": np.array(20, np.int64)}
    )
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.shapes.keys() == arrays.keys()
    assert checkpoint.notes == (f"arrays of the optimizer that were left out: {2 * len(arrays) + 1}",)


def test_a_classifier_s_checkpoint_tells_its_number_of_classes(tmp_path, arrays):
    head = {"output_weights": np.zeros((5, 8), np.float32), "output_bias": np.zeros(5, np.float32)}
    reference_bert.write_google(tmp_path, reference_bert.CONFIG, {**arrays, **head})
    assert open_checkpoint(tmp_path).task == {"num_classes": 5}


def test_the_config_must_stand_beside_it(google_folder):
    (google_folder / "bert_config.json").unlink()
    with pytest.raises(UserError, match=r"bert_config\.json does not exist"):
        open_checkpoint(google_folder)


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_data_that_are_not_all_there_are_a_user_error(google_folder, damage):
    path = google_folder / "bert_model.ckpt.data-00000-of-00001"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(UserError, match=r"is cut off: its index says \d+ bytes, and it has 100"):
            open_checkpoint(google_folder)
    else:
        path.unlink()
        with pytest.raises(
            UserError, match=r"data-00000-of-00001 is missing, which has the arrays that the index names"
        ):
            open_checkpoint(google_folder)
        checkpoint = open_checkpoint(google_folder, allow_missing=True)
        assert checkpoint.missing == (path,)
        with pytest.raises(UserError, match=r"bert/pooler/dense/kernel cannot be read \(No such file"):
            checkpoint.read("bert/pooler/dense/kernel")


def test_weights_that_are_no_floats_are_refused_and_others_are_left_out(tmp_path, arrays):
    counts = {"counts": np.zeros(3, np.int64)}
    reference_bert.write_google(tmp_path / "counts", reference_bert.CONFIG, {**arrays, **counts})
    checkpoint = open_checkpoint(tmp_path / "counts")
    assert checkpoint.shapes.keys() == arrays.keys()
    assert checkpoint.notes == ("left out, as it holds no floats: counts",)
    bias = {"bert/pooler/dense/bias": np.zeros(8, np.int32)}
    reference_bert.write_google(tmp_path / "ints", reference_bert.CONFIG, {**arrays, **bias})
    with pytest.raises(UserError, match=r"bert/pooler/dense/bias holds int32 where float32, .* can be read"):
        open_checkpoint(tmp_path / "ints")


@pytest.mark.parametrize(
    "name",
    [
        "uncased_L-8_H-512_A-8.index_only",
        "chinese_L-12_H-768_A-12.index_only",
        "keras_bert_test_checkpoint",
    ],
)
def test_real_index_files_hold_the_names_and_shapes_we_expect(shared, name):
    folder = shared / "data" / "checkpoints" / name
    fields = json.loads((folder / "bert_config.json").read_text())
    checkpoint = open_checkpoint(folder, allow_missing=True)
    assert len(checkpoint.missing) == name.endswith("index_only")
    assert checkpoint.shapes == reference_bert.shapes(fields)
    assert checkpoint.config.to_dict().items() >= {**fields, "hidden_act": "gelu_tanh"}.items()


def test_an_index_without_its_data_says_which_file_is_missing(shared, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(shared / "data" / "checkpoints" / "uncased_L-8_H-512_A-8.index_only", folder)
    with pytest.raises(UserError, match=r"bert_model\.ckpt\.data-00000-of-00001 is missing, .*; fetch it too\."):
        open_checkpoint(folder)


def written(tmp_path, checkpoint, **changes):
    """Writes a Checkpoint in Google's format; returns the folder and what was said."""
    said = []
    write_checkpoint(dataclasses.replace(checkpoint, **changes), tmp_path / "new", format="google", log=said.append)
    return tmp_path / "new", said


def test_what_is_written_is_what_google_wrote(tmp_path, google_folder):
    folder, said = written(tmp_path, open_checkpoint(google_folder))
    assert sorted(os.listdir(folder)) == sorted(os.listdir(google_folder))
    for name in ("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"):
        assert (folder / name).read_bytes() == (google_folder / name).read_bytes()
    assert json.loads((folder / "bert_config.json").read_text()) == reference_bert.CONFIG
    assert said == []


@pytest.mark.parametrize("name", ["uncased_L-8_H-512_A-8.index_only", "chinese_L-12_H-768_A-12.index_only"])
def test_names_and_shapes_are_those_of_the_published_index_files(shared, tmp_path, name):
    import tensorflow as tf

    folder = shared / "data" / "checkpoints" / name
    checkpoint = open_checkpoint(folder, allow_missing=True)
    zeros = dataclasses.replace(checkpoint, read=lambda name: np.zeros(checkpoint.shapes[name], np.float32))
    found, said = written(tmp_path, zeros)
    readers = [tf.train.load_checkpoint(str(path / "bert_model.ckpt")) for path in (found, folder)]
    shapes = [reader.get_variable_to_shape_map() for reader in readers]
    assert shapes[0] == shapes[1] and len(shapes[0]) > 140
    types = [reader.get_variable_to_dtype_map() for reader in readers]
    assert types[0] == types[1]
    configs = [json.loads((path / "bert_config.json").read_text()) for path in (found, folder)]
    assert configs[0] == configs[1]
    assert said == []


def test_what_google_s_code_computes_otherwise_is_said(tmp_path, google_folder):
    checkpoint = open_checkpoint(google_folder)
    config = checkpoint.config.replace(hidden_act="gelu_erf", layer_norm_eps=1e-5)
    folder, said = written(tmp_path, checkpoint, config=config)
    assert len(said) == 2
    assert "gelu is the exact one (erf), and Google's code computes every gelu by tanh" in said[0]
    assert "layer_norm_eps is 1e-05, and Google's code computes with 1e-12" in said[1]
    fields = json.loads((folder / "bert_config.json").read_text())
    assert (fields["hidden_act"], fields["layer_norm_eps"]) == ("gelu", 1e-5)
    assert open_checkpoint(folder).config == config.replace(hidden_act="gelu_tanh")


@pytest.mark.parametrize(
    ("task", "lost"),
    [
        ({"task": "classify", "num_classes": 2, "labels": ["0", "1"]}, []),
        ({"task": "fill_mask"}, []),
        ({"task": "classify", "num_classes": 2, "labels": ["no", "yes"], "pair": True}, ["labels=", "pair=True"]),
        ({"task": "tag", "num_classes": 2}, ["task=tag"]),
    ],
)
def test_what_a_task_says_beyond_the_weights_is_said_to_be_lost(tmp_path, google_folder, task, lost):
    _, said = written(tmp_path, open_checkpoint(google_folder), task=task)
    assert len(said) == bool(lost)
    for name in lost:
        assert name in said[0]


def write_electra(folder):
    """Writes a checkpoint as google-research/electra does: both nets, one table of embeddings, and no configuration."""
    rng, arrays = np.random.default_rng(3), {}
    base = {
        "family": "electra",
        "vocab_size": 11,
        "embedding_size": 6,
        "num_hidden_layers": 2,
        "hidden_act": "gelu_erf",
    }
    for net, hidden in (("generator", 64), ("discriminator", 128)):
        sizes = {"hidden_size": hidden, "num_attention_heads": 1, "intermediate_size": 2 * hidden}
        config = Config(**base, **sizes, max_position_embeddings=9, pooler=None)
        objective = "masked_lm" if net == "generator" else "replaced_tokens"
        weights = (*encoder_weights(config), *pretraining_weights(config, (objective,)))
        shapes = {weight.name: weight.shape for weight in weights}
        for name, [place] in {**google_names(net).table(config), **google_heads(net)}.items():
            arrays[name] = rng.normal(0, 0.3, shapes[place.name]).astype(np.float32)
    folder.mkdir()
    write_bundle(folder / "model.ckpt-0", {n: a.shape for n, a in arrays.items()}, arrays.__getitem__)
    return folder, arrays


def test_both_nets_of_electra_are_read_without_a_configuration(tmp_path):
    folder, arrays = write_electra(tmp_path / "electra")
    for net, heads, own in ((None, 2, "electra"), ("discriminator", 2, "electra"), ("generator", 1, "generator")):
        checkpoint = open_checkpoint(folder, net=net)
        config = checkpoint.config
        assert (config.family, config.num_attention_heads, config.embedding_size) == ("electra", heads, 6)
        assert (config.max_position_embeddings, config.type_vocab_size) == (9, 2)
        kernel = "encoder/layer_1/attention/self/query/kernel"
        np.testing.assert_array_equal(checkpoint.read(f"bert/{kernel}"), arrays[f"{own}/{kernel}"])
        words = "embeddings/word_embeddings"
        np.testing.assert_array_equal(checkpoint.read(f"bert/{words}"), arrays[f"electra/{words}"])
        assert ("cls/predictions/output_bias" in checkpoint.shapes) == (net == "generator")
        assert ("discriminator_predictions/dense/kernel" in checkpoint.shapes) == (net != "generator")
    assert open_checkpoint(folder, overrides={"num_attention_heads": 8}).config.num_attention_heads == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"net": "both"}, "net must be one of discriminator, generator. Received: 'both'"),
        ({"overrides": {"num_attention_heads": 5}}, "Received: 128 and 5"),
        (
            {"overrides": {"hidden_size": 64}},
            r"electra/embeddings_project/kernel has shape \(6, 128\), but its config asks for \(6, 64\)",
        ),
        ({"overrides": {"heads": 5}}, "no field heads; it has .*num_attention_heads"),
    ],
)
def test_what_electra_s_checkpoint_cannot_be_is_one_sentence(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        open_checkpoint(write_electra(tmp_path / "electra")[0], **options)


def test_a_net_is_asked_of_electra_s_checkpoints_alone(google_folder, huggingface_folder):
    with pytest.raises(UserError, match=r"net is for checkpoints of Google's ELECTRA, and .* is not one"):
        open_checkpoint(google_folder, net="generator")
    with pytest.raises(
        UserError, match=r"num_attention_heads is for checkpoints of Google's, and .* is a Hugging Face"
    ):
        open_checkpoint(huggingface_folder, overrides={"num_attention_heads": 2})


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ("ElectraForPreTraining", 2)),
        (["--num_attention_heads=4"], ("ElectraForPreTraining", 4)),
        (["--electra_net=generator"], ("ElectraForMaskedLM", 1)),
    ],
)
def test_convert_s_flags_say_what_electra_s_checkpoint_does_not(tmp_path, flags, expected):
    folder = write_electra(tmp_path / "electra")[0]
    given = [f"--init_checkpoint={folder}", f"--output_dir={tmp_path / 'new'}", "--format=keras_bert"]
    assert main(["convert", *given, *flags]) == 0
    fields = json.loads((tmp_path / "new" / "config.json").read_text())
    assert (*fields["architectures"], fields["num_attention_heads"]) == expected
