"""Model directories: the task that they were saved for, and what they cannot do."""

import numpy as np
import pytest

from keras_bert.checkpoints import save_checkpoint
from keras_bert.errors import UserError
from keras_bert.models.weights import collect_arrays
from keras_bert.serving.loading import load
from keras_bert.tasks.rows import tasks
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


@pytest.fixture(scope="module")
def directories(models, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, model in models.items():
        model.save_pretrained(folder / name, tokenizer=tokenizer)
    return folder


@pytest.mark.parametrize(
    ("name", "task"),
    [("embed", "embed"), ("classify", "classify"), ("score", "classify"), ("fill_mask", "fill_mask")],
)
def test_the_task_is_what_the_model_was_saved_for(directories, models, tokenizer, name, task):
    loaded = load(directories / name)
    assert loaded.task == task
    assert type(loaded.model) is tasks()[task].model
    assert loaded.tokenizer.vocabulary.tokens == tokenizer.vocabulary.tokens
    assert not loaded.pair
    for ours, theirs in zip(loaded.model.get_weights(), models[name].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    if name == "classify":
        assert loaded.model.labels == ["good", "bad", "schön"]


@pytest.mark.parametrize("name", ["classify", "fill_mask"])
def test_every_model_can_embed(directories, models, name):
    loaded = load(directories / name, task="embed")
    for ours, theirs in zip(loaded.model.get_weights(), models[name].encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_task_json_says_whether_texts_come_in_pairs(models, tokenizer, tmp_path):
    model = models["pair"]
    task = {**model.task(), "pair": True}
    save_checkpoint(tmp_path / "model", model.bert_config, collect_arrays(model), task=task, tokenizer=tokenizer)
    assert load(tmp_path / "model").pair


@pytest.mark.parametrize(
    ("name", "task", "match"),
    [
        (
            "embed",
            "classify",
            r"embed cannot do classify: it lacks the weights output_weights, output_bias. It can do: embed",
        ),
        ("embed", "fill_mask", "embed cannot do fill_mask: it lacks the weights cls/predictions/"),
        (
            "classify",
            "fill_mask",
            r"cls/predictions/.* and 1 more; it was saved for 'classify'. It can do: embed, classify",
        ),
        (
            "fill_mask",
            "classify",
            r"output_weights, output_bias; it was saved for 'fill_mask'. It can do: embed, fill_mask",
        ),
        ("embed", "translate", "Unknown task 'translate'; choose one of embed, classify, fill_mask"),
        ("nowhere", None, "nowhere does not exist"),
    ],
)
def test_what_a_checkpoint_cannot_do_is_a_user_error(directories, name, task, match):
    with pytest.raises(UserError, match=match):
        load(directories / name, task=task)


def save(model, path, tokenizer, *, without=(), task=None):
    arrays = {name: array for name, array in collect_arrays(model).items() if name not in without}
    save_checkpoint(path, model.bert_config, arrays, task=model.task() if task is None else task, tokenizer=tokenizer)
    return path


def test_a_single_missing_weight_is_named(models, tokenizer, tmp_path):
    path = save(models["fill_mask"], tmp_path / "m", tokenizer, without=("cls/predictions/output_bias",))
    with pytest.raises(UserError, match="cannot do fill_mask: it lacks the weights cls/predictions/output_bias"):
        load(path)


def test_weights_that_the_task_does_not_need_may_lack(models, tokenizer, tmp_path):
    unused = ("cls/seq_relationship/output_weights", "cls/seq_relationship/output_bias", "bert/pooler/dense/kernel")
    assert load(save(models["fill_mask"], tmp_path / "m", tokenizer, without=unused)).task == "fill_mask"


def test_a_task_of_another_kind_asks_for_a_choice(models, tokenizer, tmp_path):
    path = save(models["embed"], tmp_path / "m", tokenizer, task={"task": "ner"})
    with pytest.raises(UserError, match=r"task\.json says 'ner'"):
        load(path)
    assert load(path, task="embed").task == "embed"


def test_a_classifier_without_its_task_json(models, tokenizer, tmp_path):
    arrays, path = collect_arrays(models["classify"]), tmp_path / "m"  # Google's checkpoints have none
    save_checkpoint(path, models["classify"].bert_config, arrays, tokenizer=tokenizer, format="google")
    assert load(path).task == "embed"
    with pytest.raises(UserError, match=r"cannot do classify: it lacks a task\.json that says 'classify'"):
        load(path, task="classify")


def test_a_vocabulary_must_be_there_and_fit(models, tmp_path):
    path = save(models["embed"], tmp_path / "m", None)
    with pytest.raises(UserError, match=r"no vocab\.txt"):
        load(path)
    Tokenizer(Vocabulary([*SPECIAL_TOKENS, *(f"w{number}" for number in range(999))])).save_pretrained(path)
    with pytest.raises(UserError, match="vocabulary has 1004 entries, but the model's vocab_size is"):
        load(path)
