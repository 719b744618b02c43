"""Longformer and BigBird: which tokens see all where nobody says, drawn blocks, padding, windows as files say them."""

import json
import types

import numpy as np
import pytest

from keras_bert.config import Config
from keras_bert.config.parts import BlockSparse
from keras_bert.errors import UserError
from keras_bert.layers.block_sparse import longest_full
from keras_bert.models import Classifier, Encoder, MultipleChoice, Pretrainer, SpanLabeler
from keras_bert.models.inputs import complete_inputs
from keras_bert.models.separators import global_tokens, question_mask, question_segments
from keras_bert.text.vocabulary import check_special_ids
from tests.families.golden import close, feed, fixed_embeddings, gradient_norms, labels, neutral_norms, with_positions
from tests.families.rows import CONFIGS, batch, build, model_of, outputs

CONFIG = Config(sep_token_id=2, max_global_tokens=4)
# A row of RoBERTa's layout, of BERT's, one separator, none, and one with more in front of it than there are slots.
ROWS = {
    "roberta": [0, 7, 2, 2, 8, 9, 2, 1],
    "bert": [0, 7, 2, 8, 9, 2, 1, 1],
    "one": [0, 7, 8, 2, 1, 1, 1, 1],
    "none": [0, 7, 8, 9, 1, 1, 1, 1],
    "apart": [0, 7, 2, 8, 9, 2, 9, 2],
    "long": [0, 7, 8, 9, 7, 8, 2, 9],
}
GLOBAL = {
    "classify": {name: [0] for name in ROWS},
    "answer": {"roberta": [0, 1], "bert": [0, 1], "one": [0, 1, 2], "none": [0], "apart": [0, 1], "long": [0, 1, 2, 3]},
    "choose": {"roberta": [4, 5, 6], "bert": [3, 4, 5], "one": [], "none": [0], "apart": [4, 5, 6, 7], "long": [7]},
    "tag": {name: [] for name in ROWS},
    "fill_mask": {name: [] for name in ROWS},
    None: {name: [] for name in ROWS},
}


@pytest.mark.parametrize("task", GLOBAL)
def test_which_tokens_see_all_where_nobody_says(task):
    ids = np.array([*ROWS.values()])
    found = np.asarray(global_tokens(CONFIG, task, ids, ids != 1))
    assert [np.flatnonzero(row).tolist() for row in found] == [*GLOBAL[task].values()]
    folded = np.asarray(global_tokens(CONFIG, task, ids.reshape(3, 2, 8), (ids != 1).reshape(3, 2, 8)))
    np.testing.assert_array_equal(folded.reshape(6, 8), found)
    without = CONFIG.replace(sep_token_id=None)
    first = np.asarray(global_tokens(without, task, ids, ids != 1))
    assert first[:, 1:].sum() == 0 and set(first[:, 0]) == {int(task in ("classify", "answer", "choose"))}


@pytest.mark.parametrize("task", ["classify", "answer", "choose"])
def test_texts_of_a_packed_row_have_their_own(task):
    both = [("roberta", "bert"), ("one", "none"), ("bert", "apart")]
    real = {name: [token for token in row if token != 1] for name, row in ROWS.items()}
    length = max(sum(len(real[name]) for name in pair) for pair in both) + 2
    ids, texts, expected = (np.full((len(both), length), fill) for fill in (1, 0, 0))
    for i, pair in enumerate(both):
        begin = 0
        for number, name in enumerate(pair, start=1):
            end = begin + len(real[name])
            ids[i, begin:end], texts[i, begin:end] = real[name], number
            expected[i, [begin + place for place in GLOBAL[task][name]]] = 1
            begin = end
    found = np.asarray(global_tokens(CONFIG, task, ids, texts, texts))
    np.testing.assert_array_equal(found, expected)


def test_the_question_is_what_comes_before_the_first_separator():
    ids = np.array([ROWS[name] for name in ("bert", "none")])
    assert np.asarray(question_mask(CONFIG, ids)).tolist() == [[0, 1, 1, 0, 0, 0, 0, 0], [0] * 8]
    assert np.asarray(question_segments(CONFIG, ids)).tolist() == [[0, 0, 0, 1, 1, 1, 1, 1], [0, *[1] * 7]]


@pytest.mark.parametrize("kind", ["classify", "answer", "choose", "tag", "fill_mask", "encoder"])
def test_a_mask_that_is_left_out_is_filled_in_by_the_task(kind):
    model = model_of("longformer", kind)
    x = batch(model)
    task = None if kind == "encoder" else model.TASK
    x["global_attention_mask"] = np.asarray(global_tokens(model.bert_config, task, x["input_ids"], x["input_mask"]))
    without = {name: array for name, array in x.items() if name != "global_attention_mask"}
    for given in (without, {**without, "global_attention_mask": None}):
        for ours, theirs in zip(outputs(model, given), outputs(model, x), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    if kind == "choose":
        assert x["global_attention_mask"].ndim == 3
    if kind == "classify":
        none = outputs(model, {**x, "global_attention_mask": np.zeros_like(x["input_ids"])})
        assert np.abs(none[0] - outputs(model, x)[0]).max() > 1e-3


def test_wrong_global_tokens_are_refused():
    model = build("longformer", "classify")
    x = batch(model)
    ids = x["input_ids"]

    def refused(mask, match):
        with pytest.raises(UserError, match=match):
            model({**x, "global_attention_mask": mask})
        with pytest.raises(UserError, match=match):
            model.predict({**x, "global_attention_mask": mask}, verbose=0)

    refused(np.ones_like(ids)[:, :-1], r"global_attention_mask has shape \(4, 8\), but input_ids has shape \(4, 9\)")
    refused(2 * np.ones_like(ids), r"global_attention_mask has a 2; give 1 for the tokens that see all, and 0 for the")
    few = Classifier(Encoder(CONFIGS["longformer"].replace(max_global_tokens=3)), 2)
    match = r"global_attention_mask has 9 global tokens in a text, but the model has max_global_tokens=3"
    with pytest.raises(UserError, match=match):
        few({**x, "global_attention_mask": np.ones_like(ids)})
    with pytest.raises(UserError, match=r"input_mask has shape \(3, 9\), but input_ids has shape \(4, 9\)"):
        model({**x, "input_mask": x["input_mask"][1:]})


def test_more_global_tokens_are_said_in_task_json(tmp_path):
    model = Classifier(Encoder(CONFIGS["longformer"].replace(max_global_tokens=3)), 2)
    with pytest.warns(UserWarning, match="cannot say max_global_tokens=3"):
        model.save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "task.json"
    task = json.loads(path.read_text())
    assert task["config"] == {"max_global_tokens": 3}
    path.write_text(json.dumps({**task, "config": {"max_global_tokens": 9}}))
    again = Classifier.from_pretrained(tmp_path / "model")
    assert again.bert_config.max_global_tokens == 9
    x = batch(again)
    again({**x, "global_attention_mask": np.ones_like(x["input_ids"])})


@pytest.mark.parametrize(
    ("layers", "given", "windows", "written"),
    [(2, 6, (3,), 6), (2, [6, 6], (3, 3), [6, 6]), (3, [4, 8, 4], (2, 4, 2), [4, 8, 4]), (2, None, (256,), 512)],
)
def test_windows_as_config_json_says_them(layers, given, windows, written):
    fields = {"model_type": "longformer", "num_hidden_layers": layers}
    config = Config.from_huggingface(fields if given is None else {**fields, "attention_window": given})
    assert config.attention_window == windows and config.to_huggingface()["attention_window"] == written
    assert [config.window(i) for i in range(layers)] == [windows[i % len(windows)] for i in range(layers)]


def test_windows_of_another_number_of_layers_are_refused():
    with pytest.raises(UserError, match=r"attention_window must have a number for each of the 3 layers. Received: 2"):
        Config.from_huggingface({"model_type": "longformer", "num_hidden_layers": 3, "attention_window": [4, 4]})
    with pytest.raises(UserError, match=r"needs attention_window\. Received: None"):
        CONFIGS["longformer"].replace(attention_window=None)
    with pytest.raises(UserError, match=r"attention_window must have a number for each layer.*Received: \(None, 4\)"):
        CONFIGS["longformer"].replace(attention_window=(None, 4))
    with pytest.raises(UserError, match="needs block_sparse"):
        CONFIGS["big_bird"].replace(block_sparse=None)


def test_random_blocks_that_are_drawn(shared, tmp_path):
    """As transformers draws them in training, with its loss and gradients; a file of its own cannot say so."""
    folder = shared / "golden" / "families" / "models" / "big_bird" / "pretraining_block_sparse"
    if not folder.is_dir():
        pytest.skip("the families' golden files are not on this machine")
    with np.load(folder / "golden.npz") as file:
        arrays = {name.removeprefix("train_random_blocks/"): file[name] for name in file if name.startswith("train_")}
    plain = Pretrainer.from_pretrained(folder)
    assert not plain.bert_config.block_sparse.drawn and plain.bert_config.not_in_huggingface() == {}
    blocks = BlockSparse(4, 2, drawn=True)
    config = plain.bert_config.replace(block_sparse=blocks)
    model = Pretrainer(Encoder(config, return_all_layers=True))
    model.set_weights(plain.get_weights())
    x, mask = feed(arrays)
    hidden = model.encoder(x)["encoder_outputs"]
    for i, array in enumerate(hidden, start=1):
        close(array, arrays[f"out/hidden_{i}"], f"hidden_{i}", mask)
    close(model(with_positions(model, x))["next_sentence"], arrays["out/seq_relationship_logits"], "next sentence")
    with fixed_embeddings(model):
        loss, ours = gradient_norms(model, with_positions(model, x), *labels(model, arrays, mask))
    close(loss, arrays["out/loss"], "loss")
    theirs, strange = neutral_norms(config, arrays, model.TASK)
    names = sorted(name for name in ours if not name.endswith("/key/bias"))  # whose gradient is rounding noise
    assert strange == [] and theirs.keys() == {(name,) for name in ours}
    close(np.array([ours[name] for name in names]), np.array([theirs[name,] for name in names]), "gradients")

    with pytest.warns(UserWarning, match="cannot say block_sparse="):
        model.save_pretrained(tmp_path / "model")
    task = json.loads((tmp_path / "model" / "task.json").read_text())
    assert task["config"] == {"block_sparse": {"block_size": 4, "random_blocks": 2, "drawn": True}}
    assert Pretrainer.from_pretrained(tmp_path / "model").bert_config.block_sparse == blocks


def test_padding_matters_to_bigbird_where_it_moves_the_last_block():
    sparse = {"block_size": 2, "random_blocks": 0}
    assert longest_full(2, 0) == 10
    model = build("big_bird", "tag")
    config = model.bert_config.replace(block_sparse=sparse)
    encoder = Encoder(config)
    encoder.set_weights(model.encoder.get_weights())
    rng = np.random.default_rng(0)
    ids = rng.integers(3, 31, (2, 16))

    def hidden(real, length):
        mask = np.repeat([(np.arange(length) < real).astype("int32")], 2, axis=0)
        x = {"input_ids": np.where(mask, ids[:, :length], 0), "input_mask": mask}
        return np.asarray(encoder(x)["sequence_output"])[:, :real]

    np.testing.assert_allclose(hidden(9, 9), hidden(9, 10), atol=1e-5)  # all in full
    np.testing.assert_allclose(hidden(11, 11), hidden(11, 12), atol=1e-5)  # the last block filled up
    assert np.abs(hidden(11, 12) - hidden(11, 13)).max() > 1e-2


def test_answers_of_bigbird_lie_in_the_context():
    model = build("big_bird", "answer")
    sep = model.bert_config.sep_token_id
    model = SpanLabeler(Encoder(model.bert_config.replace(sep_token_id=4)))
    assert sep == 66
    ids = np.array([[3, 7, 8, 4, 9, 9, 4, 0, 0]])
    found = model({"input_ids": ids})
    for name in ("start_logits", "end_logits"):
        is_low = np.asarray(found[name])[0] < -1e5
        assert is_low.tolist() == [False, True, True, True, *[False] * 5]
    segments = np.asarray(complete_inputs(model, {"input_ids": ids})["segment_ids"])
    assert segments.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1, 1]]
    with_segments = model({"input_ids": ids, "segment_ids": segments})
    np.testing.assert_array_equal(found["start_logits"], with_segments["start_logits"])


def test_choices_are_folded_with_their_global_tokens():
    model = build("longformer", "choose")
    assert isinstance(model, MultipleChoice)
    x = batch(model)
    both = outputs(model, x)[0]
    for i in range(2):
        for j in range(2):
            alone = {name: array[i : i + 1, j : j + 1] for name, array in x.items()}
            np.testing.assert_allclose(outputs(model, alone)[0], both[i : i + 1, j : j + 1], atol=1e-5)


@pytest.mark.parametrize("family", ["longformer", "big_bird"])
def test_a_separator_that_is_not_the_tokenizer_s_is_one_sentence(family):
    config = CONFIGS[family]
    tokenizer = types.SimpleNamespace(pad_id=config.pad_token_id, sep_id=config.sep_token_id)
    check_special_ids(tokenizer, config)
    tokenizer.sep_id += 1
    match = f"separator is token {tokenizer.sep_id}, but the model's sep_token_id is {config.sep_token_id}, by which"
    with pytest.raises(UserError, match=match):
        check_special_ids(tokenizer, config)
    check_special_ids(tokenizer, CONFIGS["bert"].replace(pad_token_id=config.pad_token_id))  # which looks for none


def test_a_named_size_takes_the_tokenizer_s_separator():
    ids = {"vocab_size": 40, "pad_token_id": 1, "sep_token_id": 7}
    assert Config.from_name("longformer-base-4096", **ids).sep_token_id == 7
    assert Config.from_name("base", **ids).sep_token_id is None
