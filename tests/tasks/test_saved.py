"""Saved classifiers: they answer as they were trained to read, and not without what their answers come from."""

import json

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint, save_checkpoint
from keras_bert.config import BertConfig
from keras_bert.errors import UserError, UserNote
from keras_bert.models import (
    BertClassifier,
    BertEncoder,
)
from keras_bert.models.weights import collect_arrays
from keras_bert.serving.loading import load
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.classify.kinds import KINDS
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
    loaded = load(tmp_path / "m")
    assert loaded.model.reading == reading
    assert loaded.model.kind == kind
    examples = Examples(TEXTS)

    def answers(**options):
        found = kb.predict(loaded.model, loaded.tokenizer, TEXTS, **options)
        return {name: [each[name] for each in found] for name in found[0]}

    expected = KINDS[kind].answers(predict_logits(model, examples, tokenizer, **reading), model.labels)
    assert answers() == {"text": TEXTS, **expected}
    cut = predict_logits(model, examples, tokenizer, max_seq_length=6)
    assert np.abs(cut[1] - predict_logits(model, examples, tokenizer, **reading)[1]).max() > 1e-3
    assert answers(long_texts="cut") == {"text": TEXTS, **KINDS[kind].answers(cut, model.labels)}


def test_a_model_of_pairs_wants_pairs(config, tokenizer):
    model = BertClassifier(BertEncoder(config), 2, pair=True)
    with pytest.raises(UserError, match="trained on pairs of texts; give a table"):
        predict_logits(model, Examples(TEXTS), tokenizer, max_seq_length=16)
    assert len(predict_logits(model, Examples(TEXTS, TEXTS), tokenizer, max_seq_length=16)) == 3


def test_a_classifier_without_its_weights(config, tokenizer, tmp_path):
    model = BertClassifier(BertEncoder(config), 2)
    for lacking, others in (("output_bias", ""), ("bert/pooler/dense/kernel", "bert/pooler/dense/bias")):
        arrays = {n: array for n, array in collect_arrays(model).items() if n not in (lacking, others)}
        save_checkpoint(tmp_path / lacking[-4:], config, arrays, task=model.task(), tokenizer=tokenizer)
        with pytest.raises(UserError, match=f"lacks the weights {lacking}"):  # whose answers would be random
            load(tmp_path / lacking[-4:])
        with pytest.warns(UserNote, match=f"was saved for classify but lacks {lacking}"):
            BertClassifier.from_pretrained(tmp_path / lacking[-4:])
    with pytest.raises(UserError, match="nowhere does not exist"):
        load(tmp_path / "nowhere")
