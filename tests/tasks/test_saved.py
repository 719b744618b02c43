"""Saved classifiers: they answer as they were trained to read, and other heads name the command that asks them."""

import json

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint, save_checkpoint
from keras_bert.config import BertConfig
from keras_bert.errors import UserError, UserNote
from keras_bert.models import (
    BertClassifier,
    BertEncoder,
    BertMultipleChoice,
    BertPretrainer,
    BertSpanLabeler,
    BertTokenClassifier,
)
from keras_bert.models.weights import collect_arrays
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.classify.kinds import KINDS
from keras_bert.tasks.classify.saved import load_classifier
from keras_bert.tasks.classify.training import predict_logits
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

TEXTS = ["a b", "b c d a b c d a b c d", "d"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *"abcd"]))


@pytest.fixture(scope="module")
def config(tokenizer):
    keras.utils.set_random_seed(0)
    positions = {"max_position_embeddings": 16, "initializer_range": 0.2}
    return BertConfig.from_name("L-1_H-16", vocab_size=tokenizer.vocab_size, **positions)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_answers_as_it_did(config, tokenizer, tmp_path, kind):
    head = {
        "classes": {"num_classes": 2, "labels": ["x", "y"]},
        "multi_label": {"num_classes": 2, "labels": ["x", "y"], "multi_label": True},
        "regression": {"num_classes": 1},
    }[kind]
    model = BertClassifier(BertEncoder(config), **head)
    model.save_pretrained(tmp_path / "m", tokenizer=tokenizer)
    task = open_checkpoint(tmp_path / "m").task
    reading = {"max_seq_length": 6, "long_texts": "windows", "doc_stride": 2}
    (tmp_path / "m" / "task.json").write_text(json.dumps({**task, "reading": reading}))
    saved = load_classifier(tmp_path / "m")
    assert saved.reading == reading
    assert saved.model.kind == kind
    examples = Examples(TEXTS)
    expected = KINDS[kind].answers(predict_logits(model, examples, tokenizer, **reading), model.labels)
    assert saved.predictions(examples) == {"text": TEXTS, **expected}
    cut = predict_logits(model, examples, tokenizer, max_seq_length=6)
    assert np.abs(cut[1] - predict_logits(model, examples, tokenizer, **reading)[1]).max() > 1e-3
    assert saved.predictions(examples, long_texts="cut") == {"text": TEXTS, **KINDS[kind].answers(cut, model.labels)}


def test_a_model_of_pairs_wants_pairs(config, tokenizer, tmp_path):
    BertClassifier(BertEncoder(config), 2, pair=True).save_pretrained(tmp_path / "m", tokenizer=tokenizer)
    saved = load_classifier(tmp_path / "m")
    assert saved.reading == {}
    with pytest.raises(UserError, match="trained on pairs of texts; give a table"):
        saved.predictions(Examples(TEXTS), max_seq_length=16)
    assert len(saved.predictions(Examples(TEXTS, TEXTS), max_seq_length=16)["label"]) == 3


@pytest.mark.parametrize(
    ("make", "command"),
    [
        (BertPretrainer, "fill_mask"),
        (BertSpanLabeler, "answer"),
        (lambda encoder: BertTokenClassifier(encoder, 3), "tag"),
        (BertMultipleChoice, "choose"),
    ],
)
def test_other_heads_are_asked_elsewhere(config, tokenizer, tmp_path, make, command):
    model = make(BertEncoder(config))
    model.save_pretrained(tmp_path / "m", tokenizer=tokenizer)
    with pytest.raises(UserError, match=f"m is not a classifier, it was saved for .*; ask it by keras-bert {command}"):
        load_classifier(tmp_path / "m")


def test_a_bare_encoder_and_a_classifier_without_its_weights(config, tokenizer, tmp_path):
    BertEncoder(config).save_pretrained(tmp_path / "encoder", tokenizer=tokenizer)
    with pytest.raises(UserError, match=r"encoder has no task\.json that says what its classes are"):
        load_classifier(tmp_path / "encoder")
    model = BertClassifier(BertEncoder(config), 2)
    for lacking, others in (("output_bias", ""), ("bert/pooler/dense/kernel", "bert/pooler/dense/bias")):
        arrays = {n: array for n, array in collect_arrays(model).items() if n not in (lacking, others)}
        save_checkpoint(tmp_path / lacking[-4:], config, arrays, task=model.task(), tokenizer=tokenizer)
        with pytest.raises(UserError, match=f"lacks {lacking}"):  # whose answers would be random
            load_classifier(tmp_path / lacking[-4:])
        with pytest.warns(UserNote, match=f"was saved for classify but lacks {lacking}"):
            BertClassifier.from_pretrained(tmp_path / lacking[-4:])
    with pytest.raises(UserError, match="nowhere does not exist"):
        load_classifier(tmp_path / "nowhere")
