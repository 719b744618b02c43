"""The parts of a classifier's training: examples from tables, predictions in order, heads kept or made anew."""

import json

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.tasks.classify import BestRun, Predictor, classifier_maker, train_classifier, write_predictions
from keras_bert.tasks.examples import Examples, read_examples
from keras_bert.tasks.table import read_table
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

WORDS = [f"w{i}" for i in range(20)]
COLUMNS = {"text_column": "text", "pair_column": None, "label_column": "label"}


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))


@pytest.fixture(scope="module")
def config(tokenizer):
    return BertConfig.from_name(
        "L-1_H-16", vocab_size=tokenizer.vocab_size, max_position_embeddings=32, initializer_range=0.2
    )


def write_rows(path, *rows):
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    return path


def test_classes_come_from_the_training_set(tmp_path):
    train = write_rows(tmp_path / "train.tsv", ("text", "label"), ("a", "yes"), ("b", "no"), ("c", "maybe"))
    dev = write_rows(tmp_path / "dev.tsv", ("text", "label"), ("d", "yes"), ("e", "no"))
    unlabelled = write_rows(tmp_path / "test.tsv", ("text",), ("f",))
    classes, train, dev, test = read_examples(train, dev, unlabelled, **COLUMNS)
    assert classes == ["maybe", "no", "yes"]
    assert train.labels.tolist() == [2, 1, 0]
    assert dev.labels.tolist() == [2, 1]
    assert (test.texts, test.labels, len(test)) == (["f"], None, 1)


def test_a_label_that_training_lacks_and_a_single_class(tmp_path):
    train = write_rows(tmp_path / "train.tsv", ("text", "label"), ("a", "yes"), ("b", "no"))
    dev = write_rows(tmp_path / "dev.tsv", ("text", "label"), ("d", "yes"), ("e", "No"))
    with pytest.raises(UserError, match=r"dev.tsv, line 3: the label 'No' is none of the training set's: no, yes"):
        read_examples(train, dev, **COLUMNS)
    train = write_rows(tmp_path / "train.tsv", ("text", "label"), ("a", "yes"), ("b", "yes"))
    with pytest.raises(UserError, match="all 2 rows have the label 'yes'"):
        read_examples(train, dev, **COLUMNS)


def test_predictions_keep_the_order_whatever_the_lengths(tokenizer, config):
    keras.utils.set_random_seed(0)
    model = BertClassifier(BertEncoder(config), 3)
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, length)) for length in (9, 1, 20, 3, 3, 0, 12)]
    pairs = [" ".join(rng.choice(WORDS, length)) for length in (1, 2, 30, 4, 1, 5, 3)]
    for second in (None, pairs):
        predictor = Predictor(Examples(texts, second), tokenizer, max_seq_length=24, batch_size=2)
        logits = predictor.logits(model)
        for row, text in enumerate(texts):
            encoded = tokenizer.encode(text, second and second[row], 24)
            alone = model({name: ids[None] for name, ids in encoded.items()}, training=False)
            np.testing.assert_allclose(logits[row], alone[0], atol=1e-5)


def test_a_head_is_kept_for_the_same_classes_alone(tokenizer, config, tmp_path):
    keras.utils.set_random_seed(0)
    saved = BertClassifier(BertEncoder(config), 2, labels=["no", "yes"], pair=True)
    saved.save_pretrained(tmp_path / "classifier", tokenizer=tokenizer)
    assert json.loads((tmp_path / "classifier" / "task.json").read_text())["pair"] is True
    checkpoint = open_checkpoint(tmp_path / "classifier")
    kernel = np.asarray(saved.head.kernel)

    same = classifier_maker(config, ["no", "yes"], checkpoint=checkpoint)()
    assert same.load_report.new == []
    np.testing.assert_array_equal(same.head.kernel, kernel)
    other = classifier_maker(config, ["no", "perhaps"], checkpoint=checkpoint)()
    assert other.load_report.new == ["output_weights", "output_bias"]
    assert np.abs(np.asarray(other.head.kernel) - kernel).max() > 0.01
    np.testing.assert_array_equal(other.encoder.token_embedding.embeddings, saved.encoder.token_embedding.embeddings)


def test_training_starts_from_the_pretrained_encoder(tokenizer, config, tmp_path):
    keras.utils.set_random_seed(0)
    pretrained = BertPretrainer(BertEncoder(config))
    pretrained.save_pretrained(tmp_path / "pretrained", tokenizer=tokenizer)
    make = classifier_maker(config, ["a", "b"], pair=True, checkpoint=open_checkpoint(tmp_path / "pretrained"))
    examples = Examples(["w1", "w2", "w3"], ["w4", "w5", "w6"], np.array([0, 1, 1]))
    started = []
    model, results, logits = train_classifier(
        make, tokenizer, examples, examples, seeds=[4], num_train_steps=1, learning_rate=1e-9, on_start=started.append
    )
    assert started == [model]
    assert model.pair
    assert model.load_report.new == ["output_weights", "output_bias"]
    np.testing.assert_allclose(
        model.encoder.token_embedding.embeddings, pretrained.encoder.token_embedding.embeddings, atol=1e-6
    )
    assert logits.shape == (3, 2)
    assert results["accuracies"] == [results["accuracy"]] == [results["accuracy_mean"]]
    assert results["accuracy_sd"] is None
    assert results["majority_share"] == pytest.approx(2 / 3)
    assert results["accuracy"] == np.mean(logits.argmax(axis=1) == examples.labels)


class FakeModel:
    def get_weights(self):
        return [self.weight]


def test_the_best_run_is_kept_and_of_equal_ones_the_first():
    best, model = BestRun(), FakeModel()
    for seed, accuracy in enumerate([0.5, 0.8, 0.8, 0.6]):
        model.weight = seed * 10
        best.add(seed, model, {"val_accuracy": [0.9, accuracy]}, f"logits {seed}")
    assert (best.seed, best.weights, best.logits) == (1, [10], "logits 1")
    assert best.accuracies == [0.5, 0.8, 0.8, 0.6]


def test_predictions_file(tmp_path):
    examples = Examples(["first\ttext", "second"], ["p", "q"])
    write_predictions(tmp_path / "p.tsv", examples, np.log([[0.25, 0.75], [0.5, 0.5]]), ["no", "yes"])
    lines = (tmp_path / "p.tsv").read_text().splitlines()
    assert lines[0] == "text\tpair\tlabel\tprobability\tprobability of no\tprobability of yes"
    assert lines[1] == "first text\tp\tyes\t0.750000\t0.250000\t0.750000"
    assert read_table(tmp_path / "p.tsv", pair_column="pair") == (
        ["first text", "second"],
        ["p", "q"],
        ["yes", "no"],
    )
