"""BertConfig: the published sizes, the file's fields kept and written back, and what is refused."""

import itertools
import json

import numpy as np
import pytest

from keras_bert.config import COUNTS, GOOGLE_ACTIVATIONS, HUGGINGFACE_ACTIVATIONS, SIZES, BertConfig
from keras_bert.errors import UserError

# google-research/bert's README: layers, hidden size, heads, feed-forward size.
PUBLISHED = {
    "tiny": (2, 128, 2, 512),
    "mini": (4, 256, 4, 1024),
    "small": (4, 512, 8, 2048),
    "medium": (8, 512, 8, 2048),
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
}
BASE = {  # Google's uncased_L-12_H-768_A-12/bert_config.json
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "type_vocab_size": 2,
    "vocab_size": 30522,
}


def shape(config):
    return (config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table_holds_the_published_sizes(name):
    assert shape(BertConfig.from_name(name)) == PUBLISHED[name]
    assert set(SIZES) == set(PUBLISHED)


@pytest.mark.parametrize(("layers", "hidden"), [*itertools.product((2, 4, 6, 8, 10, 12), (128, 256, 512, 768))])
def test_the_24_miniatures_go_by_google_s_names(layers, hidden):
    expected = (layers, hidden, hidden // 64, 4 * hidden)
    for name in (f"L-{layers}_H-{hidden}", f"L-{layers}_H-{hidden}_A-{hidden // 64}"):
        assert shape(BertConfig.from_name(name)) == expected
        assert shape(BertConfig.from_name(f"uncased_{name}")) == expected


def test_base_is_the_default_and_google_s_file():
    assert BertConfig() == BertConfig.from_name("base") == BertConfig.from_dict(BASE)
    assert BertConfig().layer_norm_eps == 1e-12


def test_overrides_go_into_a_size():
    config = BertConfig.from_name("tiny", vocab_size=8000, hidden_dropout_prob=0.0)
    assert (config.vocab_size, config.hidden_dropout_prob, config.hidden_size) == (8000, 0.0, 128)
    assert BertConfig.from_name_or_file("tiny", vocab_size=8000).vocab_size == 8000
    assert config.replace(hidden_size=64, num_attention_heads=4).hidden_size == 64


@pytest.mark.parametrize("name", ["huge", "L-4", "L-4_H-256_A-", "", "L-4_H-256.json"])
def test_an_unknown_size_is_a_user_error_that_lists_the_sizes(name):
    with pytest.raises(UserError, match=f"No size is called '{name}'; choose one of tiny, mini, .*large"):
        BertConfig.from_name(name)


def parameters(config):
    """Counts what an encoder with its pooler holds, from the paper's shapes."""
    hidden, wide = config.hidden_size, config.intermediate_size
    embeddings = (config.vocab_size + config.max_position_embeddings + config.type_vocab_size) * hidden
    attention = 4 * (hidden * hidden + hidden)
    feed_forward = hidden * wide + wide + wide * hidden + hidden
    norm = 2 * hidden
    block = attention + feed_forward + 2 * norm
    return embeddings + norm + config.num_hidden_layers * block + hidden * hidden + hidden


def test_the_known_numbers_of_parameters():
    assert parameters(BertConfig.from_name("base")) == 109_482_240
    assert parameters(BertConfig.from_name("large")) == 335_141_888
    assert parameters(BertConfig.from_name("tiny")) == 4_385_920


@pytest.mark.parametrize("changes", [{}, {"num_hidden_layers": 3, "hidden_size": 48, "type_vocab_size": 5}])
def test_a_model_holds_as_many_parameters_as_its_config_says(changes):
    from keras_bert.models import BertEncoder

    config = BertConfig.from_name("tiny", vocab_size=100, intermediate_size=40, **changes)
    assert BertEncoder(config).count_params() == parameters(config)


def test_unknown_fields_are_kept_and_written_back(tmp_path):
    fields = {**BASE, "hidden_act": "gelu_tanh", "layer_norm_eps": 1e-12}
    fields |= {"directionality": "bidi", "pooler_fc_size": 768, "extra": {"a": [1, 2]}}
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(fields))
    config = BertConfig.from_file(path)
    assert config.to_dict() == fields
    assert BertConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.replace(vocab_size=7).to_dict() == {**fields, "vocab_size": 7}


@pytest.mark.parametrize(
    ("written", "google", "huggingface"),
    [
        ("gelu", "gelu_tanh", "gelu_erf"),
        ("gelu_new", "gelu_tanh", "gelu_tanh"),
        ("gelu_tanh", "gelu_tanh", "gelu_tanh"),
        ("gelu_erf", "gelu_erf", "gelu_erf"),
        ("relu", "relu", "relu"),
    ],
)
def test_gelu_means_what_the_code_that_wrote_the_file_computes(tmp_path, written, google, huggingface):
    fields = {**BASE, "hidden_act": written}
    assert BertConfig.from_dict(fields).hidden_act == google
    assert BertConfig.from_dict(fields, activations=GOOGLE_ACTIVATIONS).hidden_act == google
    assert BertConfig.from_dict(fields, activations=HUGGINGFACE_ACTIVATIONS).hidden_act == huggingface
    path = tmp_path / "config.json"
    marks = ({"transformers_version": "4.46.0"}, {"model_type": "bert"}, {"architectures": ["BertModel"]})
    for more, expected in (({}, google), *((mark, huggingface) for mark in marks)):
        path.write_text(json.dumps({**fields, **more}))
        assert BertConfig.from_file(path).hidden_act == expected


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("gelu_fast", "gelu_tanh"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
        ("gelu_accurate", "gelu_tanh"),
        ("gelu_python", "gelu_erf"),
    ],
)
def test_other_names_of_hugging_face_s_for_gelu(written, read):
    assert BertConfig.from_huggingface({**BASE, "hidden_act": written}).hidden_act == read
    with pytest.raises(UserError, match=f"Received: '{written}'"):
        BertConfig.from_dict({**BASE, "hidden_act": written})


def test_what_hugging_face_says_of_the_file_and_the_head_is_left_out(tmp_path):
    about = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "transformers_version": "5.0"}
    about |= {"_name_or_path": "x", "dtype": "float32", "torch_dtype": "float16", "problem_type": None}
    about |= {"id2label": {"0": "no"}, "label2id": {"no": 0}, "num_labels": 1}
    kept = {"bos_token_id": 7, "use_cache": True}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**BASE, **about, **kept, "classifier_dropout": 0.2, "pad_token_id": 3}))
    config = BertConfig.from_file(path)
    assert config.extra == kept
    assert (config.classifier_dropout, config.pad_token_id) == (0.2, 3)
    path.write_text(json.dumps(config.to_dict()))  # as our own directory has it
    assert BertConfig.from_file(path) == config


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("vocab_size", 0, "vocab_size must be a whole number of at least 1. Received: 0."),
        ("num_hidden_layers", -2, "num_hidden_layers must be a whole number of at least 1. Received: -2."),
        ("hidden_size", 768.0, "hidden_size must be a whole number of at least 1. Received: 768.0."),
        ("intermediate_size", "3072", "intermediate_size must be a whole number of at least 1. Received: '3072'."),
        ("type_vocab_size", True, "type_vocab_size must be a whole number of at least 0. Received: True."),
        ("max_position_embeddings", None, "max_position_embeddings must be a whole number"),
        ("hidden_size", 770, "hidden_size must be a multiple of num_attention_heads. Received: 770 and 12."),
        ("hidden_dropout_prob", 1, "hidden_dropout_prob must be at least 0 and less than 1. Received: 1."),
        ("attention_probs_dropout_prob", -0.1, "attention_probs_dropout_prob must be at least 0 and less than 1."),
        ("attention_probs_dropout_prob", float("nan"), "Received: nan."),
        ("initializer_range", 0, "initializer_range must be greater than 0. Received: 0."),
        ("layer_norm_eps", "small", "layer_norm_eps must be greater than 0. Received: 'small'."),
        (
            "hidden_act",
            "swish",
            "hidden_act must be one of gelu_tanh, gelu_erf, relu, silu, tanh, linear. Received: 'swish'.",
        ),
        ("hidden_act", ["gelu"], "Received: ['gelu']."),
        ("num_hidden_layers", 10**6, "num_hidden_layers must be at most 1000. Received: 1000000."),
        ("vocab_size", 10**4000, "vocab_size must be at most 2147483647. Received: 1000"),
        ("layer_norm_eps", 10**400, "layer_norm_eps must be greater than 0. Received: 1000"),
        ("initializer_range", float("inf"), "initializer_range must be greater than 0. Received: inf."),
        ("hidden_dropout_prob", False, "hidden_dropout_prob must be at least 0 and less than 1. Received: False."),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_its_numbers(field, value, message):
    with pytest.raises(UserError) as raised:
        BertConfig.from_dict({**BASE, field: value})
    assert message in str(raised.value)


def test_a_file_that_is_no_config_is_refused_by_name(tmp_path):
    path = tmp_path / "bert_config.json"
    for text, message in (
        ("{", r"bert_config\.json is not JSON"),
        ("[]", r"bert_config\.json holds a list"),
        ('{"hidden_size": 3}', r"bert_config\.json has no vocab_size"),
        (
            '{"hidden_size": 3, "model_type": "gpt2"}',
            r"bert_config\.json: model_type is .gpt2., .* known ones are bert",
        ),
        ('{"vocab_size": 0}', r"bert_config\.json: vocab_size must be a whole number of at least 1"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            BertConfig.from_file(path)
    with pytest.raises(UserError, match=r"none\.json does not exist"):
        BertConfig.from_file(tmp_path / "none.json")


def test_a_name_or_a_file_and_nothing_else(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps({**BASE, "num_hidden_layers": 3}))
    assert BertConfig.from_name_or_file(path, vocab_size=7).num_hidden_layers == 3
    assert BertConfig.from_name_or_file(str(path), vocab_size=7).vocab_size == 30522  # the file's own
    assert BertConfig.from_name_or_file("uncased_L-2_H-128_A-2") == BertConfig.from_name("tiny")
    with pytest.raises(UserError, match="bsae is neither a file nor a size; the sizes are tiny"):
        BertConfig.from_name_or_file("bsae")
    with pytest.raises(UserError, match="is a directory"):
        BertConfig.from_name_or_file(tmp_path)


def test_a_config_has_a_hash_and_equal_ones_have_the_same():
    assert hash(BertConfig()) == hash(BertConfig()) != hash(BertConfig(vocab_size=7))
    assert len({BertConfig(extra={"a": [1]}), BertConfig(extra={"a": [1]}), BertConfig(extra={"a": [2]})}) == 2


def test_numpy_s_numbers_are_numbers():
    counts = {name: np.int64(4) for name in COUNTS}
    config = BertConfig(**counts, hidden_dropout_prob=np.float32(0.5), layer_norm_eps=np.float64(1e-6))
    same = BertConfig(**dict.fromkeys(COUNTS, 4), hidden_dropout_prob=0.5, layer_norm_eps=1e-6)
    assert config == same and json.loads(json.dumps(config.to_dict())) == same.to_dict()
    assert {type(getattr(config, name)) for name in COUNTS} == {int}
    with pytest.raises(UserError, match="must be a whole number"):
        BertConfig(vocab_size=np.float64(4))


def test_a_missing_field_means_what_google_s_constructor_makes_of_it(tmp_path):
    # modeling.py: BertConfig(vocab_size, hidden_size=768, ..., hidden_act="gelu", ..., type_vocab_size=16, ...)
    path = tmp_path / "bert_config.json"
    path.write_text('{"vocab_size": 9}')
    assert BertConfig.from_file(path) == BertConfig(vocab_size=9, type_vocab_size=16, hidden_act="gelu_tanh")


def test_a_missing_field_means_what_transformers_constructor_makes_of_it(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "bert"}')
    config = BertConfig.from_file(path)
    assert config == BertConfig(hidden_act="gelu_erf")
    theirs = pytest.importorskip("transformers", reason="the parity extra").BertConfig().to_dict()
    fields = {**config.to_dict(), "hidden_act": "gelu"}
    assert fields == {name: theirs[name] for name in fields}


def test_transformers_fields_are_no_unknown_ones():
    theirs = pytest.importorskip("transformers", reason="the parity extra").BertConfig().to_dict()
    theirs["sbert_ce_default_activation_function"] = "torch.nn.Sigmoid"  # of cross-encoders, and read
    assert BertConfig.from_huggingface({**theirs, "is_decoder": False}).unknown_fields() is None


def test_a_misspelt_field_is_named_with_the_one_that_was_meant():
    config = BertConfig.from_dict({**BASE, "hiden_dropout_prob": 0.5, "my_note": 1, "pad_token_id": 0})
    assert config.extra["hiden_dropout_prob"] == 0.5
    assert config.unknown_fields().endswith("do nothing: hiden_dropout_prob (hidden_dropout_prob?), my_note")
    assert BertConfig.from_dict({**BASE, **{f"x{i}": i for i in range(9)}}).unknown_fields().endswith(" and 1 more")


def test_buckets_that_leave_no_far_distances_are_refused():
    with pytest.raises(UserError, match=r"must be more than half of relative\.buckets.* Received: 5 and 8"):
        BertConfig(relative={"buckets": 8, "max_distance": 5})
    assert BertConfig(relative={"buckets": 8, "max_distance": 6}).relative.span == 8
