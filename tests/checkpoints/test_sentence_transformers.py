"""sentence-transformers' files beside a model: both layouts, and what is refused by its name."""

import json
import re

import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint, write_checkpoint
from keras_bert.checkpoints.base import Checkpoint
from keras_bert.checkpoints.parts import array_shapes, encoder_parts
from keras_bert.checkpoints.sentence_transformers import add_settings
from keras_bert.config import BertConfig
from keras_bert.errors import UserError

CONFIG = BertConfig.from_name("tiny", vocab_size=10, max_position_embeddings=64)
PROMPTS = {"query": "", "document": ""}
MEAN = {"pooling": ["mean"], "normalize": True, "max_seq_length": 24, "prompts": PROMPTS,
        "default_prompt_name": None, "include_prompt": True}  # fmt: skip


def write(folder, files):
    for name, fields in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(fields))
    return folder


def modules(*kinds, first=""):
    places = [first, *(f"{number}_{kind.rpartition('.')[2]}" for number, kind in enumerate(kinds[1:], 1))]
    return [{"type": kind, "path": place} for kind, place in zip(kinds, places, strict=True)]


OWN = "sentence_transformers.base.modules"
NEWER = {
    "modules.json": modules(f"{OWN}.transformer.Transformer", f"{OWN}.pooling.Pooling", f"{OWN}.normalize.Normalize"),
    "config_sentence_transformers.json": {"model_type": "SentenceTransformer", "prompts": {"passage": None}},
    "sentence_bert_config.json": {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        "module_output_name": "token_embeddings",
    },
    "tokenizer_config.json": {"model_max_length": 24},
    "1_Pooling/config.json": {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True},
    "2_Normalize/config.json": {"module_input_name": "sentence_embedding"},
}  # fmt: skip
OLDER = {
    "modules.json": modules(
        "sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling", first="0_Transformer"
    ),
    "0_Transformer/config.json": {},
    "0_Transformer/sentence_bert_config.json": {"max_seq_length": 20, "do_lower_case": False},
    "0_Transformer/tokenizer_config.json": {"model_max_length": 64},
    "1_Pooling/config.json": {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True},
}


def vectors(folder, files):
    return add_settings({}, write(folder, files), CONFIG)["sentence_vectors"]


def test_both_layouts(tmp_path):
    assert add_settings({"task": "x"}, tmp_path, CONFIG) == {"task": "x"}  # no such files
    passage = {**PROMPTS, "passage": ""}
    assert vectors(tmp_path / "new", NEWER) == {**MEAN, "prompts": passage}
    assert vectors(tmp_path / "old", OLDER) == {**MEAN, "normalize": False, "max_seq_length": 20}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"1_Pooling/config.json": {"pooling_mode": ["cls", "mean"]}}, {"pooling": ["cls", "mean"]}),
        ({"1_Pooling/config.json": {}}, {"pooling": ["mean"]}),
        (
            {"1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}},
            {"pooling": ["cls", "mean"]},  # the order of the concatenation, not of the file
        ),
        ({"1_Pooling/config.json": {"pooling_mode_new_tokens": True}}, {"pooling": ["pooling_mode_new_tokens"]}),
        ({"1_Pooling/config.json": {"include_prompt": False}}, {"include_prompt": False}),
        ({"tokenizer_config.json": {"model_max_length": 1e30}}, {"max_seq_length": 64}),
        ({"tokenizer_config.json": {}}, {"max_seq_length": 64}),
        ({"sentence_bert_config.json": {"max_seq_length": 500}}, {"max_seq_length": 64}),
        ({"sentence_bert_config.json": {"max_seq_length": 48}}, {"max_seq_length": 48}),
        (
            {"config_sentence_transformers.json": {"prompts": {"query": "q: "}, "default_prompt_name": "query"}},
            {"prompts": {"query": "q: ", "document": ""}, "default_prompt_name": "query"},
        ),
    ],
)
def test_what_each_file_says(tmp_path, changed, found):
    settings = vectors(tmp_path, {**NEWER, **changed})
    assert {name: settings[name] for name in found} == found


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"modules.json": [*NEWER["modules.json"][:2], *modules(f"{OWN}.dense.Dense")]}, "a module Dense"),
        ({"modules.json": modules(f"{OWN}.transformer.Transformer")}, "asks for the modules Transformer;"),
        ({"modules.json": modules("custom_st.Transformer", f"{OWN}.pooling.Pooling")}, "custom_st.Transformer"),
        ({"modules.json": {"type": 3}}, "holds a dict where a list was expected"),
        ({"modules.json": ["a"]}, "is not a list of modules"),
        ({"sentence_bert_config.json": {"query_length": 32}}, "asks for query_length=32"),
        ({"sentence_bert_config.json": {"transformer_task": "fill-mask"}}, "only 'feature-extraction' is done"),
        ({"2_Normalize/config.json": {"module_input_name": "token_embeddings"}}, "asks for module_input_name"),
        ({"1_Pooling/config.json": {"pooling_mode": 3}}, "must be a name or a list of names. Received: 3"),
        ({"1_Pooling/config.json": {"include_prompt": "False"}}, "include_prompt must be true or false"),
        ({"tokenizer_config.json": {"model_max_length": "24"}}, "Received: '24'"),
        ({"config_sentence_transformers.json": {"default_prompt_name": "s2p"}}, "default_prompt_name is 's2p'"),
        ({"config_sentence_transformers.json": {"truncate_dim": 16}}, "asks for vectors cut to truncate_dim=16"),
        (
            {"modules.json": [NEWER["modules.json"][0], {"type": f"{OWN}.pooling.Pooling", "path": "9_Pooling"}]},
            "9_Pooling/config.json does not exist",
        ),
        ({"config_sentence_transformers.json": {"prompts": ["a"]}}, "prompts must be an object"),
        ({"config_sentence_transformers.json": {"model_type": "SparseEncoder"}}, "is a SparseEncoder"),
    ],
)
def test_what_is_not_done_is_refused_by_name(tmp_path, changed, words):
    assert words in vectors(tmp_path, {**NEWER, **changed})["refused"]


CROSS = {"modules.json": NEWER["modules.json"][:1], "tokenizer_config.json": {"model_max_length": 40}}


@pytest.mark.parametrize(
    ("classes", "function", "multi_label"),
    [(1, None, True), (3, None, None), (1, "torch.nn.modules.linear.Identity", None), (1, "torch.nn.Sigmoid", True)],
)
def test_a_cross_encoder_reads_pairs(tmp_path, classes, function, multi_label):
    settings = {"model_type": "CrossEncoder", "prompts": {}, "activation_fn": function}
    write(tmp_path, {**CROSS, "config_sentence_transformers.json": settings})
    task = add_settings({"num_classes": classes}, tmp_path, CONFIG)
    assert (task["pair"], task["reading"], task.get("multi_label")) == (True, {"max_seq_length": 40}, multi_label)
    assert "is a CrossEncoder" in task["sentence_vectors"]["refused"]


def test_a_cross_encoder_before_6_and_what_it_cannot_be(tmp_path):
    name = "torch.nn.modules.activation.Sigmoid"
    for noted in ({"sbert_ce_default_activation_function": name}, {"sentence_transformers": {"activation_fn": name}}):
        write(tmp_path, {"config.json": noted})
        assert add_settings({"num_classes": 1}, tmp_path, CONFIG)["multi_label"] is True
    write(tmp_path, {"config.json": {"sbert_ce_default_activation_function": "torch.nn.Tanh"}})
    with pytest.raises(
        UserError, match=re.escape("/config.json: activation_fn is 'torch.nn.Tanh'; Sigmoid and Identity are done")
    ):
        add_settings({"num_classes": 1}, tmp_path, CONFIG)
    settings = {"model_type": "CrossEncoder", "prompts": {"query": "q: "}, "default_prompt_name": "query"}
    write(tmp_path, {**CROSS, "config_sentence_transformers.json": settings})
    with pytest.raises(UserError, match=r"a cross-encoder's default prompt \(query\) is not done here"):
        add_settings({"num_classes": 1}, tmp_path, CONFIG)


def test_the_settings_go_with_the_weights(tmp_path):
    """An old layout keeps the model in a folder below; a copy in our format still says how its vectors are made."""
    shapes = array_shapes(encoder_parts(CONFIG))
    source = Checkpoint(tmp_path, CONFIG, {}, shapes, lambda name: np.zeros(shapes[name], np.float32))
    write_checkpoint(source, tmp_path / "old" / "0_Transformer", format="huggingface")
    files = {name: fields for name, fields in OLDER.items() if not name.endswith("/config.json")}
    write(tmp_path / "old", {**files, "1_Pooling/config.json": OLDER["1_Pooling/config.json"]})
    opened = open_checkpoint(tmp_path / "old")
    assert opened.folder == tmp_path / "old" / "0_Transformer"
    assert opened.task["sentence_vectors"]["max_seq_length"] == 20
    write_checkpoint(opened, tmp_path / "own")
    assert open_checkpoint(tmp_path / "own").task == opened.task
