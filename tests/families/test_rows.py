"""What the rows of the families say: configurations in both directions, names that cover every weight, fused arrays."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from keras_bert.checkpoints import open_checkpoint
from keras_bert.checkpoints.formats import save_checkpoint
from keras_bert.checkpoints.parts import encoder_parts, encoder_weights, head_weights, pooler_weights
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.families import FAMILIES, Place
from keras_bert.families.base import fused
from keras_bert.families.bert import BERT
from keras_bert.families.roberta import ROBERTA
from tests.families.rows import CONFIGS, SMALL

PUBLISHED = [(family, size) for family, row in FAMILIES.items() for size in row.sizes]
# {size: parameters of the published encoder, in transformers; without a pooler where ours has none}
PARAMETERS = {
    "base": 109_482_240,
    "large": 335_141_888,
    "distilbert-base": 66_362_880,
    "albert-base": 11_683_584,
    "roberta-base": 124_055_040,
    "electra-small": 13_483_008,
    "electra-base": 108_891_648,
    "electra-large": 334_092_288,
    "deberta-base": 138_601_728,
    "deberta-v3-base": 183_831_552,
    "longformer-base-4096": 148_068_864,
    "bigbird-roberta-base": 127_468_800,
    "modernbert-base": 149_014_272,
}
# {field of config.json: a value that changes arithmetic here and is not implemented}
REFUSED = {
    "bert": [("position_embedding_type", "relative_key"), ("hidden_act", "quick_gelu"), ("is_decoder", True)],
    "roberta": [("position_embedding_type", "relative_key_query"), ("hidden_act", "quick_gelu")],
    "xlm-roberta": [("position_embedding_type", "relative_key")],
    "distilbert": [("activation", "quick_gelu")],
    "albert": [("hidden_act", "mish"), ("num_hidden_groups", 9)],
    "longformer": [
        ("attention_window", 3),
        ("attention_window", 0),
        ("attention_window", "all"),
        ("hidden_act", "mish"),
    ],
    "big_bird": [
        *(("attention_type", "sparse"), ("use_bias", "no"), ("rescale_embeddings", 2), ("is_decoder", True)),
        *(("block_size", 0), ("num_random_blocks", -1)),
    ],
    "electra": [
        ("summary_use_proj", False),
        ("summary_type", "cls_index"),
        ("position_embedding_type", "relative_key"),
    ],
}


def as_written(config):
    """Returns what a config.json says, after having been JSON."""
    return json.loads(json.dumps(config.to_huggingface()))


@pytest.mark.parametrize(("family", "size"), PUBLISHED)
def test_a_config_json_says_all_of_a_published_size(family, size):
    config = Config.from_name(size)
    assert config.family == family and config.not_in_huggingface() == {}
    assert Config.from_huggingface(as_written(config)).replace(trains_padding=config.trains_padding) == config


@pytest.mark.parametrize("family", CONFIGS)
def test_a_config_comes_back_from_both_kinds_of_file(family):
    config = CONFIGS[family].replace(extra={"bos_token_id": 7, "my_note": "x"})
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    again = Config.from_huggingface(as_written(config))
    assert again == config.replace(trains_padding=again.trains_padding, **config.not_in_huggingface() and {})
    assert as_written(again) == as_written(config)
    assert again.unknown_fields().endswith("do nothing: my_note")


@pytest.mark.parametrize("family", CONFIGS)
def test_a_config_is_frozen_and_has_a_hash_whatever_its_integers_are(family):
    config = CONFIGS[family]
    counts = {f.name: np.int64(getattr(config, f.name)) for f in dataclasses.fields(config) if f.type is int}
    same = config.replace(**counts)
    assert len(counts) >= 8 and same == config and hash(same) == hash(config)
    assert json.dumps(same.to_dict()) == json.dumps(config.to_dict())
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.vocab_size = 7


@pytest.mark.parametrize(("family", "field", "value"), [(f, *pair) for f, pairs in REFUSED.items() for pair in pairs])
def test_what_is_not_computed_is_refused_by_name(family, field, value):
    fields = as_written(CONFIGS[family])
    ours = next((name for name, theirs in FAMILIES[family].fields.items() if theirs == field), field)
    with pytest.raises(UserError, match=rf"({field}|{ours}).*{value}"):
        Config.from_huggingface({**fields, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("position_embedding", "relative"),
        ("attention", "linear"),
        ("norm_order", "sandwich"),
        ("norm", "rms"),
        ("choice_pooling", "attn"),
    ],
)
def test_what_other_encoders_have_is_not_implemented(field, value):
    with pytest.raises(UserError, match=f"^{field}={value!r} is not implemented; "):
        Config(**{field: value})


def test_relative_positions_are_refused_of_albert_and_null_is_as_good_as_absent():
    fields = as_written(CONFIGS["albert"])
    with pytest.raises(UserError, match="position_embedding_type is 'relative_key', which is not implemented for ALBE"):
        Config.from_huggingface({**fields, "position_embedding_type": "relative_key"})
    config = Config.from_huggingface({**fields, "position_embedding_type": None})
    assert config == Config.from_huggingface(fields) and "position_embedding_type" not in config.extra
    with pytest.raises(UserError, match="summary_use_proj is None"):  # which turns the hidden layer off
        Config.from_huggingface({**as_written(CONFIGS["electra"]), "summary_use_proj": None})


@pytest.mark.parametrize("size", PARAMETERS)
def test_published_sizes_have_as_many_parameters(size):
    assert sum(part.total for part in encoder_parts(Config.from_name(size))) == PARAMETERS[size]


def test_distilbert_s_other_names_of_its_sizes_go_before_as_in_transformers():
    fields = as_written(CONFIGS["distilbert"])
    other = {name: fields.pop(theirs) for name, theirs in FAMILIES["distilbert"].aliases.items()}
    assert Config.from_huggingface({**fields, **other, "n_heads": 1}) == Config.from_huggingface(
        as_written(CONFIGS["distilbert"])
    )


def test_errors_call_fields_as_the_file_does():
    fields = as_written(CONFIGS["distilbert"])
    with pytest.raises(UserError, match=r"^dim must be a multiple of n_heads\. Received: 12 and 5\.$"):
        Config.from_huggingface({**fields, "n_heads": 5})
    with pytest.raises(UserError, match=r"^seq_classif_dropout must be at least 0"):
        Config.from_huggingface({**fields, "seq_classif_dropout": 1})


@pytest.mark.parametrize("family", CONFIGS)
def test_an_id_of_padding_that_is_not_in_the_vocabulary_is_refused(family):
    size = {"vocab_size": 8, "max_position_embeddings": 64}
    with pytest.raises(UserError, match=r"pad_token_id must be an id of the vocabulary.* Received: 8 and 8"):
        CONFIGS[family].replace(pad_token_id=8, **size)
    assert CONFIGS[family].replace(pad_token_id=7, **size).pad_token_id == 7


def test_what_published_files_carry_is_not_reported():
    fields = as_written(CONFIGS["distilbert"])
    assert Config.from_huggingface({**fields, "tie_weights_": True}).unknown_fields() is None
    fields = {"vocab_size": 9, "num_hidden_groups": 1, "hidden_size": 64, "layers_to_keep": [], "gap_size": 0}
    assert Config.from_google(fields, "albert").unknown_fields() is None


def test_a_family_that_is_not_known_is_named_with_those_that_are():
    with pytest.raises(UserError, match=r"model_type is 'gpt2', .* the known ones are bert, roberta"):
        Config.from_huggingface({"model_type": "gpt2"})


def test_no_activation_of_electra_s_choices_is_the_hidden_layer_as_it_is():
    fields = as_written(CONFIGS["electra"])
    config = Config.from_huggingface({**fields, "summary_activation": None})
    assert config.choice_act == "linear" and Config.from_huggingface(as_written(config)) == config
    del fields["summary_activation"]
    assert Config.from_huggingface(fields).choice_act == "gelu_erf"


# Further configurations, whose weights the table of a family has, too.
OTHERS = {
    "deberta": [{"type_vocab_size": 2, "position_embedding": "learned", "embedding_size": 6}],
    "deberta-v2": [
        {"type_vocab_size": 2, "position_embedding": "learned", "embedding_size": 6},
        {"relative": {"buckets": 4, "max_distance": 8}},
    ],
    "modernbert": [
        dict.fromkeys(
            (
                *("norm_bias", "feed_forward_bias", "query_bias", "key_bias", "value_bias"),
                "attention_output_bias",
            ),
            True,
        )
    ],
}


@pytest.mark.parametrize("family", CONFIGS)
def test_every_weight_has_one_place_in_a_file(family):
    config, row = CONFIGS[family], FAMILIES[family]
    others = [config.replace(**changes) for changes in OTHERS.get(family, ())]
    weights = [weight for each in (config, *others) for weight in encoder_weights(each)]
    expected = {weight.name for weight in (*weights, *pooler_weights(config, ""))}
    tables = [row.names.table(config), *([row.google.table(config)] if row.google else [])]
    for table in tables:
        names = [place.name for places in table.values() for place in places]
        assert len(set(names)) == len(names)
        assert {weight.name for weight in encoder_weights(config)} <= set(names)
        first = "bert/encoder/layer_0/attention/output/LayerNorm/"  # which pre-norm blocks do not have
        strange = {name for name in set(names) - expected if config.norm_order == "post" or not name.startswith(first)}
        assert strange <= {"bert/embeddings_project/kernel", "bert/embeddings_project/bias"} or family == "albert"
    for head in row.heads_of(config):
        names = {place.name for places in head.table.values() for place in places}
        if family == "modernbert":
            names.discard("bert/head/LayerNorm/beta")  # and the dense layer's bias, which this config does not have
            names.discard("bert/head/dense/bias")
        objectives = ["masked_lm"] if head.suffix == "ForMaskedLM" else None
        if head.suffix != "ForNextSentencePrediction":
            weights = head_weights(config, head.task, classes=3, objectives=objectives)
            assert names - {"cls/predictions/output_weights"} == {weight.name for weight in weights}
        assert all(any(name.startswith(start) for name in names) for start in head.starts)
        assert all(name.startswith((*head.starts, "bert/head/", "cls/predictions/")) for name in names)


def random_arrays(config):
    """Returns {neutral name: array} of an encoder."""
    rng = np.random.default_rng(0)
    return {w.name: rng.normal(size=w.shape).astype(np.float32) for w in encoder_weights(config)}


@pytest.mark.parametrize("by_head", [False, True])
def test_a_fused_array_is_taken_apart_and_put_together_again(by_head, monkeypatch, tmp_path):
    parts = ("query", "key", "value")
    kernels = [Place(f"attention/self/{name}/kernel", transposed=True, by_head=by_head) for name in parts]
    biases = [Place(f"attention/self/{name}/bias", by_head=by_head) for name in parts]
    block = {name: places for name, places in BERT.names.block.items() if "attention.self" not in name}
    block |= {**fused("attention.qkv.weight", kernels), **fused("attention.qkv.bias", biases)}
    names = dataclasses.replace(BERT.names, block=block)
    monkeypatch.setitem(FAMILIES, "fused", dataclasses.replace(BERT, name="fused", title="Fused", names=names))
    config = Config.from_name("tiny", **SMALL).replace(family="fused", hidden_act="gelu_erf", trains_padding=True)
    arrays = random_arrays(config)
    save_checkpoint(tmp_path / "one", config, arrays, format="huggingface")

    stored = load_file(tmp_path / "one" / "model.safetensors")
    scope = "bert/encoder/layer_1/attention/self"
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    weight, bias = stored["encoder.layer.1.attention.qkv.weight"], stored["encoder.layer.1.attention.qkv.bias"]
    assert weight.shape == (3 * config.hidden_size, config.hidden_size) and bias.shape == (3 * config.hidden_size,)
    for part, name in enumerate(parts):
        for head in range(heads):  # (A, 3, D) by head, (3, A, D) by part
            row = ((head * 3 + part) if by_head else (part * heads + head)) * size
            own = slice(head * size, (head + 1) * size)
            np.testing.assert_array_equal(weight[row : row + size], arrays[f"{scope}/{name}/kernel"].T[own])
            np.testing.assert_array_equal(bias[row : row + size], arrays[f"{scope}/{name}/bias"][own])

    checkpoint = open_checkpoint(tmp_path / "one")
    assert checkpoint.config.family == "fused" and checkpoint.shapes.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.read(name), array, err_msg=name)
    read = {name: checkpoint.read(name) for name in checkpoint.shapes}
    save_checkpoint(tmp_path / "two", checkpoint.config, read, format="huggingface")
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


CAMEMBERT = dataclasses.replace(  # Martin et al. 2020: RoBERTa in French, with a vocabulary of its own
    ROBERTA,
    name="camembert",
    title="CamemBERT",
    architecture="Camembert",
    defaults={**ROBERTA.defaults, "vocab_size": 30522},
    sizes={"camembert-base": {**ROBERTA.sizes["roberta-base"], "vocab_size": 32005}},
)


def test_a_further_family_is_one_row(monkeypatch, tmp_path):
    monkeypatch.setitem(FAMILIES, "camembert", CAMEMBERT)
    assert Config.from_name("camembert-base").vocab_size == 32005
    config = CONFIGS["roberta"].replace(family="camembert")
    arrays = random_arrays(config)
    save_checkpoint(tmp_path / "model", config, arrays)
    fields = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (fields["model_type"], fields["architectures"]) == ("camembert", ["CamembertModel"])
    again = open_checkpoint(tmp_path / "model")
    assert again.config == config
    for name, array in arrays.items():
        np.testing.assert_array_equal(again.read(name), array, err_msg=name)
