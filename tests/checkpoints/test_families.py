"""Hugging Face files of every family as people have them: old names, 16 bits, shards, copies; and what is refused."""

import json
import re

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_bert.checkpoints import open_checkpoint, save_checkpoint
from keras_bert.checkpoints.parts import encoder_weights, head_weights, pooler_weights
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.families import FAMILIES, find_family
from keras_bert.models import Classifier, Encoder, Pretrainer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

SIZES = {
    **{"vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12},
    "max_position_embeddings": 9,
}
MORE = {
    **{family: {"embedding_size": 6} for family in ("albert", "electra")},
    "mobilebert": {"embedding_size": 6, "intra_bottleneck_size": 4, "num_feedforward_networks": 2},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": "p2c|c2p", "position_buckets": 4},
    "longformer": {"attention_window": 4, "sep_token_id": 3},
    "big_bird": {"block_size": 2, "sep_token_id": 3},
    "modernbert": {"pad_token_id": 3},
}
WORDS = "bert/embeddings/word_embeddings"


def config_of(family, **fields):
    row = find_family(family)
    sizes = {row.fields.get(name, name): value for name, value in SIZES.items()}
    return Config.from_huggingface({"model_type": family, **sizes, **MORE.get(family, {}), **fields})


def arrays_of(config):
    """Returns {neutral name: array} of a model for masked words, as most files on the Hub are."""
    rng = np.random.default_rng(3)
    weights = (*encoder_weights(config), *head_weights(config, "fill_mask", objectives=("masked_lm",)))
    return {weight.name: rng.normal(0, 0.3, weight.shape).astype(np.float32) for weight in weights}


@pytest.fixture(params=FAMILIES)
def model(request, tmp_path):
    """(folder, Config, {neutral name: array}) of a model for masked words of each family."""
    config = config_of(request.param)
    arrays = arrays_of(config)
    folder = tmp_path / "model"
    save_checkpoint(folder, config, arrays, task={"task": "fill_mask"}, format="huggingface", log=lambda _: None)
    return folder, config, arrays


def rewrite(folder, change):
    """Writes the arrays of a directory as {name: array} that `change` makes of them."""
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def check_same(folder, arrays, **tolerance):
    checkpoint = open_checkpoint(folder)
    for name in arrays.keys() - {"bert/pooler/dense/kernel", "bert/pooler/dense/bias"}:
        np.testing.assert_allclose(checkpoint.read(name), arrays[name], err_msg=name, **{"atol": 0, **tolerance})
    return checkpoint


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_16_bits_are_read(model, dtype):
    folder, _, arrays = model
    rewrite(folder, lambda stored: {name: array.astype(dtype) for name, array in stored.items()})
    check_same(folder, {name: array.astype(dtype).astype(np.float32) for name, array in arrays.items()})


def words_of(stored):
    """Returns the name of the word embeddings."""
    return next(name for name in stored if name.endswith(("word_embeddings.weight", "tok_embeddings.weight")))


def older(stored, row, config):
    """Returns arrays as files made by transformers 2 to 4 have them: copies of tied ones, buffers, gamma and beta."""
    decoder, decoder_bias, bias = row.decoder_of(config)
    words = words_of(stored)
    renamed = {}
    for name, array in stored.items():
        is_norm = "norm" in name.lower()
        old = {"weight": "gamma", "bias": "beta"}[name.rpartition(".")[2]] if is_norm else None
        renamed[name.rpartition(".")[0] + f".{old}" if old else name] = array
    copies = {decoder: stored[words], decoder_bias: stored[bias]} if decoder_bias else {decoder: stored[words]}
    buffers = {re.sub(r"\w+\.weight$", "position_ids", words): np.arange(9)[None]}
    return {**renamed, **{name: array.copy() for name, array in copies.items()}, **buffers}


@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_older_files_are_read(model, prefix):
    folder, config, arrays = model
    row = find_family(config.family)
    rewrite(folder, lambda stored: {prefix + name: array for name, array in older(stored, row, config).items()})
    checkpoint = check_same(folder, arrays)
    assert checkpoint.notes == ()
    assert not any("." in name for name in checkpoint.shapes)


def test_a_prefix_may_be_missing_or_doubled(model):
    folder, config, arrays = model
    prefix = find_family(config.family).names.prefix
    rewrite(folder, lambda stored: {prefix + name: array for name, array in stored.items()})
    check_same(folder, arrays)
    rewrite(folder, lambda stored: {name.replace(prefix, ""): array for name, array in stored.items()})
    check_same(folder, arrays)


def test_shards_are_read(model):
    folder, _, arrays = model
    stored = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shard_of = {name: f"model-{1 + index % 3}.safetensors" for index, name in enumerate(stored)}
    for shard in set(shard_of.values()):
        save_file({name: array for name, array in stored.items() if shard_of[name] == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shard_of}))
    check_same(folder, arrays)


def test_a_decoder_alone_is_the_embeddings(model):
    folder, config, arrays = model
    decoder = find_family(config.family).decoder_of(config)[0]
    words = words_of(load_file(folder / "model.safetensors"))
    rewrite(folder, lambda stored: {decoder if name == words else name: array for name, array in stored.items()})
    check_same(folder, arrays)


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta"])
def test_a_pooler_that_the_head_does_not_read_is_the_encoder_s(tmp_path, family):
    config = config_of(family, architectures=["RobertaForMaskedLM"])
    arrays = arrays_of(config)
    pooler = {weight.name: np.ones(weight.shape, np.float32) for weight in pooler_weights(config, "")}
    save_checkpoint(tmp_path / "model", config, arrays, task={"task": "fill_mask"}, format="huggingface")
    more = {"roberta.pooler.dense.weight": np.ones((8, 8), "f4"), "roberta.pooler.dense.bias": np.ones(8, "f4")}
    rewrite(tmp_path / "model", lambda stored: {**stored, **more})
    encoder = Encoder.from_pretrained(tmp_path / "model")
    assert "pooled_output" in encoder.output and encoder.load_report.new == []
    assert pooler.keys() <= set(encoder.load_report.loaded)
    report = Classifier.from_pretrained(tmp_path / "model", num_classes=2).load_report
    assert sorted(report.new) == ["output_bias", "output_dense/bias", "output_dense/kernel", "output_weights"]
    assert pooler.keys() <= set(report.unused)


SAME_NAMES = ({"roberta", "xlm-roberta"}, {"bert", "big_bird"})  # those of the encoders, but for BigBird's pooler


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("weights", FAMILIES)
def test_weights_of_another_family_say_which_they_look_like(tmp_path, family, weights):
    same = any({family, weights} <= names for names in SAME_NAMES) or family == weights
    if {family, weights} == {"deberta", "deberta-v2"}:
        pytest.skip("their tables have other shapes, which is said first")
    theirs, config = config_of(weights), config_of(family)
    save_checkpoint(tmp_path / "model", theirs, arrays_of(theirs), format="huggingface", log=lambda _: None)
    fields = {"model_type": family, **config.to_huggingface()}
    (tmp_path / "model" / "config.json").write_text(json.dumps(fields))
    if same:
        assert WORDS in open_checkpoint(tmp_path / "model").shapes
        return
    title = find_family(weights).title
    with pytest.raises(UserError, match=rf"look like ([\w ]+ or )?{title}( or [\w-]+)?'s") as raised:
        open_checkpoint(tmp_path / "model")
    assert find_family(family).title in str(raised.value) and f"'{family}'" in str(raised.value)


@pytest.mark.parametrize(
    ("family", "fields", "message"),
    [
        (
            "roberta",
            {"vocab_size": 12},
            r"roberta\.embeddings\.word_embeddings\.weight has shape \(11, 8\), .* \(12, 8\)",
        ),
        (
            "bert",
            {"intermediate_size": 16},
            r"bert\.encoder\.layer\.0\.intermediate\.dense\.weight has shape \(12, 8\)",
        ),
        ("distilbert", {"n_layers": 3}, r"no distilbert\.transformer\.layer\.2\.attention\.q_lin\.weight.*layers=3"),
        ("albert", {"num_hidden_groups": 2}, r"no albert\.encoder\.albert_layer_groups\.1\..*num_hidden_groups=2"),
        ("electra", {"embedding_size": 8}, r"electra\.embeddings\.word_embeddings\.weight has shape \(11, 6\)"),
        ("bert", {"type_vocab_size": 3}, r"token_type_embeddings\.weight has shape \(2, 8\), .* asks for \(3, 8\)"),
        (
            "bert",
            {"model_type": "funnel"},
            r"config\.json: model_type is 'funnel', which is not a known family",
        ),
        (
            "albert",
            {"num_hidden_groups": 3},
            r"num_hidden_groups must be at most num_hidden_layers\. Received: 3 and 2",
        ),
        (
            "bert",
            {"quantization_config": {"quant_method": "gptq"}},
            r"config\.json: the weights are quantized \(gptq\)",
        ),
        ("bert", {"quantization_config": {"quant_method": "awq"}}, r"config\.json: the weights are quantized \(awq\)"),
        ("bert", {"quantization_config": {"load_in_8bit": True}}, r"the weights are quantized \(bitsandbytes\)"),
    ],
)
def test_a_config_that_contradicts_the_weights_is_told_in_the_file_s_names(tmp_path, family, fields, message):
    config = config_of(family)
    save_checkpoint(tmp_path, config, arrays_of(config), format="huggingface", log=lambda _: None)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    with pytest.raises(UserError, match=message):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("added", "who"),
    [
        ({"qweight": np.ones((1, 8), np.int32), "scales": np.ones((1, 8), np.float16)}, "GPTQ or AWQ"),
        ({"weight": np.ones((8, 8), np.int8), "SCB": np.ones(8, np.float32)}, "bitsandbytes, 8 bits"),
        ({"weight": np.ones((32, 1), np.uint8), "weight.absmax": np.ones(1, np.float32)}, "bitsandbytes, 4 bits"),
    ],
)
def test_quantized_weights_are_refused_by_the_names_of_their_arrays(tmp_path, added, who):
    config, layer = config_of("bert"), "bert.encoder.layer.0.attention.self.query."
    save_checkpoint(tmp_path, config, arrays_of(config), format="huggingface", log=lambda _: None)
    added = {layer + name: array for name, array in added.items()}
    rewrite(tmp_path, lambda stored: {n: a for n, a in stored.items() if n != layer + "weight"} | added)
    with pytest.raises(UserError, match=rf"model\.safetensors: the weights are quantized \({who}: {layer}"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("whole", [False, True])
def test_an_adapter_is_refused_by_name(tmp_path, whole):
    if whole:
        config = config_of("roberta")
        save_checkpoint(tmp_path, config, arrays_of(config), format="huggingface", log=lambda _: None)
    else:
        save_file(
            {"base_model.model.roberta.x.lora_A.weight": np.ones((2, 8), "f4")}, tmp_path / "adapter_model.safetensors"
        )
    fields = {"peft_type": "LORA", "base_model_name_or_path": "roberta-base"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(fields))
    with pytest.raises(UserError, match=r"holds an adapter \(LORA\) of roberta-base, as its adapter_config\.json says"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("classes", "family"), [(["XLMRobertaForMaskedLM"], "xlm-roberta"), (["AlbertModel"], "albert"), (None, "bert")]
)
def test_a_config_without_model_type_goes_by_its_class(classes, family):
    fields = {"vocab_size": 11, **({"architectures": classes} if classes else {})}
    assert Config.from_huggingface(fields).family == family


@pytest.mark.parametrize(
    ("family", "fields", "own"),
    [
        ("bert", {"pooler": None}, False),
        ("bert", {"embedding_size": 6}, True),
        ("bert", {"positions_from_ids": True, "pad_token_id": 1}, False),
        ("roberta", {"classifier_act": "relu"}, False),
        ("albert", {"embedding_size": 8, "embedding_projection": False}, False),
    ],
)
def test_what_a_config_json_cannot_say_is_kept_and_told(tmp_path, family, fields, own):
    config, said = config_of(family).replace(**fields), []
    arrays = arrays_of(config)
    save_checkpoint(tmp_path, config, arrays, task={"task": "fill_mask"}, log=said.append)
    assert open_checkpoint(tmp_path).config == config
    check_same(tmp_path, arrays)
    name = next(iter(fields))
    assert any(f"config.json cannot say {name if own else ''}" in note for note in said)
    assert (tmp_path / "task.json").exists() and any("embeddings_project" in note for note in said) == own


def test_null_is_no_activation_of_electra_s_choices():
    assert config_of("electra", summary_activation=None).choice_act == "linear"
    assert config_of("electra").choice_act == "gelu_erf"


def test_a_head_that_the_family_does_not_have_is_one_sentence(tmp_path):
    config = config_of("distilbert")
    save_checkpoint(tmp_path, config, arrays_of(config), log=lambda _: None)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": ["DistilBertForNextSentence"]}))
    [note] = open_checkpoint(tmp_path).notes
    assert note.startswith("its head is a DistilBertForNextSentence, which is not known here; DistilBERT's are Distil")
    with pytest.raises(UserError, match=r"^DistilBERT has no head for next_sentence; it has heads for fill_mask, "):
        find_family("distilbert").head("next_sentence")
    with pytest.raises(UserError, match="DistilBERT has no pooler"):
        Pretrainer.from_pretrained(tmp_path, objectives=("masked_lm", "next_sentence"))


def test_segments_that_the_config_denies_are_an_error(model):
    folder, config, _ = model
    if not config.type_vocab_size:
        pytest.skip("a family without segments")
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, "type_vocab_size": 0}))
    with pytest.raises(
        UserError, match=r"has \w+\.embeddings\.token_type_embeddings\.weight, but its config says type"
    ):
        open_checkpoint(folder)


@pytest.mark.parametrize("architectures", [["ElectraForMaskedLM"], ["ElectraForPreTraining"]])
def test_electra_s_class_says_which_net_it_is_and_not_the_arrays(tmp_path, architectures):
    config = config_of("electra", tie_word_embeddings=False)
    weights = head_weights(config, "fill_mask", objectives=("masked_lm", "replaced_tokens"))
    arrays = {weight.name: np.full(weight.shape, 0.5, np.float32) for weight in (*encoder_weights(config), *weights)}
    task = {"task": "fill_mask", "objectives": ["replaced_tokens", "masked_lm"]}
    save_checkpoint(tmp_path, config, arrays, task=task, log=lambda _: None)
    (tmp_path / "task.json").unlink()
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**fields, "architectures": architectures}))
    model = Pretrainer.from_pretrained(tmp_path)
    assert model.objectives == (["masked_lm"] if architectures == ["ElectraForMaskedLM"] else ["replaced_tokens"])
    assert model.load_report.new == []


def test_a_generator_whose_head_is_not_loaded_is_a_generator_still(tmp_path):
    config = config_of("electra")
    save_checkpoint(tmp_path, config, arrays_of(config), task={"task": "fill_mask", "objectives": ["masked_lm"]})
    rewrite(tmp_path, lambda stored: {**stored, "generator_lm_head.weight": np.ones((11, 6), np.float32)})
    model = Pretrainer.from_pretrained(tmp_path)
    assert model.objectives == ["masked_lm"] and "cls/predictions/output_bias" in model.load_report.new


def test_a_class_of_another_family_is_named_with_both(model):
    folder, config, _ = model
    other = "albert" if config.family != "albert" else "electra"
    name = find_family(other).architecture + "ForMaskedLM"
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, "architectures": [name]}))
    [note] = open_checkpoint(folder).notes
    title, own = find_family(other).title, find_family(config.family).title
    assert note == (
        f"its architectures name {name}, which is {title}'s, but its model_type is {config.family!r}: it is read as "
        f"{own}"
    )


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_a_regression_to_several_numbers_gives_its_head_to_no_model(tmp_path, family):
    config = config_of(family)
    names = head_weights(config, "classify", classes=3)
    weights = (*encoder_weights(config), *pooler_weights(config, ""), *names)
    arrays = {weight.name: np.ones(weight.shape, np.float32) for weight in weights}
    save_checkpoint(tmp_path, config, arrays, task={"task": "classify", "num_classes": 3}, log=lambda _: None)
    (tmp_path / "task.json").unlink(missing_ok=True)
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**fields, "problem_type": "regression"}))
    report = Classifier.from_pretrained(tmp_path, num_classes=3).load_report
    assert "only its encoder is used" in str(report) and {"output_weights", "output_bias"} <= set(report.new)


def test_google_s_format_says_what_google_s_code_computes_otherwise(tmp_path):
    config = Config.from_name("tiny", **SIZES, tie_word_embeddings=False)
    weights = (*encoder_weights(config), *head_weights(config, "fill_mask"))
    arrays = {weight.name: np.ones(weight.shape, np.float32) for weight in weights}
    notes = []
    save_checkpoint(tmp_path / "model", config, arrays, format="google", log=notes.append)
    assert notes == [
        "Google's code does not read tie_word_embeddings=False, and computes without: its outputs will be others"
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_gives_transformers_no_segments_that_the_model_does_not_have(tmp_path, family):
    config = config_of(family, type_vocab_size=1) if family != "bert" else config_of(family)
    tokens = [*SPECIAL_TOKENS, *"abcdef"]
    if config.pad_token_id == 1:
        tokens[:2] = tokens[1::-1]
    tokenizer = Tokenizer(Vocabulary(tokens))
    save_checkpoint(tmp_path, config, arrays_of(config), tokenizer=tokenizer, log=lambda _: None)
    names = json.loads((tmp_path / "tokenizer_config.json").read_text()).get("model_input_names")
    assert names == (None if config.has_segments else ["input_ids", "attention_mask"])
    assert Tokenizer.from_pretrained(tmp_path).vocabulary.tokens == tokenizer.vocabulary.tokens


@pytest.mark.parametrize("objectives", [5, "masked_lm", [["masked_lm"]]])
def test_objectives_that_are_no_list_of_names_are_an_error(tmp_path, objectives):
    config = config_of("electra")
    save_checkpoint(tmp_path, config, arrays_of(config), task={"task": "fill_mask", "objectives": ["masked_lm"]})
    (tmp_path / "task.json").write_text(json.dumps({"task": "fill_mask", "objectives": objectives}))
    with pytest.raises(UserError, match=r"task.json: objectives must be a list of names\. Received: "):
        Pretrainer.from_pretrained(tmp_path)
    if isinstance(objectives, str):
        with pytest.raises(UserError, match="objectives must be a list of names"):
            Pretrainer(Encoder(config), objectives=objectives)
