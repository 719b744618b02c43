"""What a model says of whole splits, and the labels of saved models."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.tasks import glue
from keras_bert.tasks.glue.heads import KIND, label_columns
from keras_bert.tasks.glue.running import Splits, make_head
from tests.tasks.glue.data import NLI_ROWS


def test_splits_measure_each_with_its_own_names(folder, tokenizer, config):
    task = glue.find_task("mnli")
    examples = {split: glue.read_examples(task, folder, split) for split in task.splits("dev")}
    held_out = Splits(task, examples, tokenizer, max_seq_length=32, batch_size=3)
    logits = held_out.predict(make_head(task)(BertEncoder(config)))
    assert {split: each.shape for split, each in logits.items()} == {"dev": (4, 3), "dev_mismatched": (4, 3)}
    # the mismatched file has the same rows backwards
    np.testing.assert_allclose(logits["dev"], logits["dev_mismatched"][::-1], atol=1e-5)
    right = {split: np.eye(3)[examples[split].labels] for split in logits}
    right["dev_mismatched"] = np.roll(right["dev_mismatched"], 1, axis=1)
    figures = held_out.measure(right)
    assert (figures["accuracy"], figures["accuracy_mismatched"]) == (1.0, 0.0)
    assert set(figures) == {"accuracy", "accuracy_mismatched", "loss", "loss_mismatched"}


def test_a_saved_models_labels_in_another_order(folder, tokenizer, config, tmp_path):
    task, order = glue.find_task("mnli"), ["entailment", "neutral", "contradiction"]
    keras.utils.set_random_seed(2)
    model = BertClassifier(BertEncoder(config), 3, labels=order, pair=True)
    model.save_pretrained(tmp_path / "other", tokenizer=tokenizer)
    columns = label_columns(task, open_checkpoint(tmp_path / "other"))
    assert columns == [2, 0, 1]
    examples = {"dev": glue.read_examples(task, folder, "dev")}
    sizes = {"max_seq_length": 32, "batch_size": 4}
    plain = Splits(task, examples, tokenizer, **sizes).predict(model)["dev"]
    turned = Splits(task, examples, tokenizer, **sizes, columns=columns).predict(model)["dev"]
    for row in range(len(NLI_ROWS)):
        assert task.labels[turned[row].argmax()] == order[plain[row].argmax()]


def test_heads_that_cannot_answer(tokenizer, config, tmp_path):
    assert KIND == BertClassifier.TASK
    BertEncoder(config).save_pretrained(tmp_path / "bare", tokenizer=tokenizer)
    with pytest.raises(UserError, match="has no head for RTE, so it cannot answer; fine-tune it first"):
        label_columns(glue.find_task("rte"), open_checkpoint(tmp_path / "bare"))
    make_head(glue.find_task("rte"))(BertEncoder(config)).save_pretrained(tmp_path / "rte", tokenizer=tokenizer)
    checkpoint = open_checkpoint(tmp_path / "rte")
    arrays = {name: shape for name, shape in checkpoint.shapes.items() if "pooler" not in name}
    with pytest.raises(UserError, match="rte lacks bert/pooler/dense/kernel"):
        label_columns(glue.find_task("rte"), dataclasses.replace(checkpoint, shapes=arrays))
    assert checkpoint.task["labels"] == ["entailment", "not_entailment"]
    assert checkpoint.task["pair"] is True
    assert label_columns(glue.find_task("qnli"), checkpoint) == [0, 1]
    with pytest.raises(UserError, match=r"answers entailment, not_entailment, but MNLI's labels are contradiction"):
        label_columns(glue.find_task("mnli"), checkpoint)
    with pytest.raises(UserError, match=r"but AX's labels are .*fine-tuned on MNLI"):
        label_columns(glue.find_task("ax"), checkpoint)
    with pytest.raises(UserError, match=r"but STS-B's labels are numbers"):
        label_columns(glue.find_task("sts-b"), checkpoint)
    BertClassifier(BertEncoder(config), 2, labels=["LABEL_0", "LABEL_1"]).save_pretrained(tmp_path / "two")
    assert label_columns(glue.find_task("sst-2"), open_checkpoint(tmp_path / "two")) == [0, 1]
    with pytest.raises(UserError, match="answers 0, 1, but RTE's labels are"):
        label_columns(glue.find_task("rte"), open_checkpoint(tmp_path / "two"))
