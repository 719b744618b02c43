"""The parts of a classifier's training: predictions in order, windows, weights, scales, heads kept or made anew."""

import json

import keras
import numpy as np
import pytest
from scipy.special import softmax

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.tasks.classify import training
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.classify.training import (
    classifier_maker,
    predict_logits,
    write_predictions,
)
from keras_bert.tasks.table import read_table
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

WORDS = [f"w{i}" for i in range(20)]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))


@pytest.fixture(scope="module")
def config(tokenizer):
    return BertConfig.from_name(
        "L-1_H-64",
        vocab_size=tokenizer.vocab_size,
        max_position_embeddings=32,
        initializer_range=0.2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def alone(model, tokenizer, text, pair=None, length=None):
    """Returns a model's logits (C,) on one text, asked by itself."""
    encoded = tokenizer.encode(text, pair, length)
    return np.asarray(model({name: ids[None] for name, ids in encoded.items()}, training=False))[0]


def test_predictions_keep_the_order_whatever_the_lengths(tokenizer, config):
    keras.utils.set_random_seed(0)
    model = BertClassifier(BertEncoder(config), 3)
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, length)) for length in (9, 1, 20, 3, 3, 0, 12)]
    pairs = [" ".join(rng.choice(WORDS, length)) for length in (1, 2, 30, 4, 1, 5, 3)]
    for second in (None, pairs):
        logits = predict_logits(model, Examples(texts, second), tokenizer, max_seq_length=24, batch_size=2)
        for row, text in enumerate(texts):
            expected = alone(model, tokenizer, text, second and second[row], 24)
            np.testing.assert_allclose(logits[row], expected, atol=1e-5)


def test_a_long_text_in_windows_gets_the_mean_of_their_probabilities(tokenizer, config):
    keras.utils.set_random_seed(0)
    model = BertClassifier(BertEncoder(config), 3)
    texts = ["w1", " ".join(WORDS[:10]), "w2 w3"]
    windows = [" ".join(WORDS[start:stop]) for start, stop in ((0, 6), (3, 9), (6, 10))]
    options = {"max_seq_length": 8, "long_texts": "windows", "doc_stride": 3}
    logits = predict_logits(model, Examples(texts), tokenizer, **options)
    expected = softmax([alone(model, tokenizer, window) for window in windows], axis=1).mean(axis=0)
    np.testing.assert_allclose(softmax(logits[1]), expected, atol=1e-5)
    for row in (0, 2):
        np.testing.assert_allclose(softmax(logits[row]), softmax(alone(model, tokenizer, texts[row])), atol=1e-5)
    regressor = BertClassifier(BertEncoder(config), 1)
    numbers = predict_logits(regressor, Examples(texts), tokenizer, **options)
    expected = np.mean([alone(regressor, tokenizer, window)[0] for window in windows])
    assert numbers[1, 0] == pytest.approx(expected, abs=1e-5)


def test_a_head_is_kept_for_the_same_classes_alone(tokenizer, config, tmp_path):
    keras.utils.set_random_seed(0)
    saved = BertClassifier(BertEncoder(config), 2, labels=["no", "yes"], pair=True)
    saved.save_pretrained(tmp_path / "classifier", tokenizer=tokenizer)
    assert open_checkpoint(tmp_path / "classifier").task["pair"] is True
    checkpoint = open_checkpoint(tmp_path / "classifier")
    kernel = np.asarray(saved.head.kernel)

    same = classifier_maker(config, ["no", "yes"], pair=True, checkpoint=checkpoint)()
    assert same.load_report.new == []
    np.testing.assert_array_equal(same.head.kernel, kernel)
    for classes, several in ((["no", "perhaps"], False), (["no", "yes"], True)):
        other = classifier_maker(config, classes, pair=True, multi_label=several, checkpoint=checkpoint)()
        assert other.multi_label == several
        assert other.load_report.new == ["output_weights", "output_bias"]
        assert np.abs(np.asarray(other.head.kernel) - kernel).max() > 0.01
        np.testing.assert_array_equal(
            other.encoder.token_embedding.embeddings, saved.encoder.token_embedding.embeddings
        )


def test_training_starts_from_the_pretrained_encoder(tokenizer, config, tmp_path):
    keras.utils.set_random_seed(0)
    pretrained = BertPretrainer(BertEncoder(config))
    pretrained.save_pretrained(tmp_path / "pretrained", tokenizer=tokenizer)
    make = classifier_maker(config, ["a", "b"], pair=True, checkpoint=open_checkpoint(tmp_path / "pretrained"))
    examples = Examples(["w1", "w2", "w3"], ["w4", "w5", "w6"], np.array([0, 1, 1]))
    started = []
    options = {"seeds": [4], "num_train_steps": 1, "learning_rate": 1e-9, "max_seq_length": 8}
    best = training.train(make, tokenizer, examples, examples, on_start=started.append, **options)
    model, results, logits = best.model, best.results, best.outputs
    assert started == [model]
    assert model.pair
    assert model.load_report.new == ["output_weights", "output_bias"]
    np.testing.assert_allclose(
        model.encoder.token_embedding.embeddings, pretrained.encoder.token_embedding.embeddings, atol=1e-6
    )
    assert logits.shape == (3, 2)
    assert [run["accuracy"] for run in results["runs"]] == [results["accuracy"]] == [results["accuracy_mean"]]
    assert results["accuracy_sd"] is None
    assert results["majority_share"] == pytest.approx(2 / 3)
    assert results["accuracy"] == np.mean(logits.argmax(axis=1) == examples.labels)
    assert (results["metric"], results["classes"], results["train_windows"]) == ("accuracy", ["a", "b"], 3)


SINGLE = Examples([f"{word} w0" for word in WORDS[:16]], labels=np.arange(16, dtype=np.int32) % 2)


def train(config, tokenizer, examples, *, steps=60, rate=3e-3, classes=("a", "b"), **options):
    """Trains a one-layer model on a few texts, eight times each, which are its held-out examples too."""
    often = examples.take(np.tile(np.arange(len(examples)), 8))
    made = {name: options.pop(name) for name in ("multi_label", "checkpoint") if name in options}
    make = classifier_maker(config, classes, **made)
    sizes = {"max_seq_length": 8, "train_batch_size": 8, "eval_batch_size": 16, "evaluate_each_epoch": False}
    best = training.train(
        make, tokenizer, often, examples, seeds=[1], num_train_steps=steps, learning_rate=rate, **sizes, **options
    )
    return best.model, best.results, best.outputs


def test_several_labels_are_learnt(tokenizer, config):
    # w0 and w1 are there or not, each a label of its own; none of them is a set too.
    numbers = np.arange(16)[:, None] >> np.arange(2) & 1
    texts = [
        " ".join([*(WORDS[i] for i in np.flatnonzero(row)), WORDS[4 + place]]) for place, row in enumerate(numbers)
    ]
    examples = Examples(texts, labels=numbers.astype(np.float32))
    model, results, logits = train(config, tokenizer, examples, classes=WORDS[:2], multi_label=True)
    assert model.kind == "multi_label"
    assert results["f1_micro"] == results["accuracy"] == 1.0
    assert results["metric"] == "f1_micro"
    np.testing.assert_array_equal(logits >= 0, numbers.astype(bool))


def test_numbers_are_learnt_whatever_their_scale(tokenizer, config, tmp_path):
    labels = np.array([125 * i - 20000 for i in range(16)], np.float32)
    examples = Examples(SINGLE.texts, labels=labels)
    model, results, logits = train(config, tokenizer, examples, classes=(), steps=120)
    assert results["pearson"] > 0.95
    assert results["mean_squared_error"] < 0.1 * results["label_variance"]
    assert results["metric"] == "pearson"
    # The saved model gives numbers on the labels' scale.
    np.testing.assert_allclose(predict_logits(model, examples, tokenizer, max_seq_length=8), logits, rtol=1e-4)
    assert results["mean_squared_error"] == pytest.approx(np.mean((logits[:, 0] - labels) ** 2), rel=1e-4)
    # Trained on, it goes on where it stood: a step at next to no rate changes nothing.
    model.save_pretrained(tmp_path / "model", tokenizer=tokenizer)
    again, _, numbers = train(
        config, tokenizer, examples, classes=(), steps=1, rate=1e-12, checkpoint=open_checkpoint(tmp_path / "model")
    )
    assert again.load_report.new == []
    np.testing.assert_allclose(numbers, logits, rtol=1e-3)


def test_weights_move_what_is_learnt(tokenizer, config):
    # The same text with both labels, three to one: the probabilities learnt are the shares of the weights.
    weights = np.array([1, 1, 1, 27] * 2, np.float32)
    examples = Examples(["w1"] * 8, labels=np.array([0, 0, 0, 1] * 2, np.int32), weights=weights)
    logits = train(config, tokenizer, examples, steps=40)[2]
    assert softmax(logits[0])[1] == pytest.approx(0.9, abs=0.05)


def test_every_window_is_trained_on_with_the_text_s_label(tokenizer, config):
    # What decides stands at the end, past what is read when it is cut.
    texts = [" ".join(["w1"] * 6 + ["w18" if i % 2 else "w19"] * 4) for i in range(8)]
    examples = Examples(texts, labels=np.arange(8, dtype=np.int32) % 2)
    for long_texts, windows, accuracy in (("cut", 8, 0.5), ("windows", 16, 1.0)):
        _, results, logits = train(config, tokenizer, examples, long_texts=long_texts, doc_stride=4)
        assert (results["train_windows"], results["train_examples"]) == (8 * windows, 64)
        assert logits.shape == (8, 2)
        assert results["accuracy"] == accuracy


def test_from_the_path_of_a_checkpoint(tokenizer, config, tmp_path):
    BertPretrainer(BertEncoder(config)).save_pretrained(tmp_path, tokenizer=tokenizer)
    options = {"num_train_steps": 1, "learning_rate": 1e-9, "max_seq_length": 8, "classes": ["a", "b"]}
    best = kb.tasks.classify.train(tmp_path, tokenizer, SINGLE, SINGLE, **options)
    assert (best.model.labels, best.model.pair, best.model.multi_label) == (["a", "b"], False, False)
    loaded = BertEncoder.from_pretrained(tmp_path).token_embedding.embeddings
    np.testing.assert_allclose(best.model.encoder.token_embedding.embeddings, loaded, atol=1e-6)
    with pytest.raises(UserError, match="learning_rat is not an option of fine-tuning; did you mean learning_rate"):
        kb.tasks.classify.train(tmp_path, tokenizer, SINGLE, SINGLE, learning_rat=1e-3)
    with pytest.raises(UserError, match="nowhere"):
        kb.tasks.classify.train(tmp_path / "nowhere", tokenizer, SINGLE, SINGLE)


def test_the_metric_chooses_the_best_run(tokenizer, config):
    make = classifier_maker(config, ["a", "b"])
    options = {"num_train_steps": 2, "learning_rate": 3e-3, "max_seq_length": 8, "evaluate_each_epoch": False}
    results = training.train(make, tokenizer, SINGLE, SINGLE, seeds=[1, 2], metric="loss", **options).results
    losses = [run["loss"] for run in results["runs"]]
    assert results["loss"] == min(losses) < max(losses)
    assert results["loss_mean"] == pytest.approx(np.mean(losses))
    with pytest.raises(UserError, match=r"did you mean accuracy\?"):
        training.train(make, tokenizer, SINGLE, SINGLE, seeds=[1], metric="acuracy")


def test_predictions_file(tmp_path):
    examples = Examples(["first\ttext", "second"], ["p", "q"], ids=["7", "8"])
    logits = np.log([[0.25, 0.75], [0.5, 0.5]])
    write_predictions(tmp_path / "p.tsv", examples, logits, ["no", "yes"])
    lines = (tmp_path / "p.tsv").read_text().splitlines()
    assert lines[0] == "id\ttext\tpair\tlabel\tprobability\tprobability of no\tprobability of yes"
    assert lines[1] == "7\tfirst text\tp\tyes\t0.750000\t0.250000\t0.750000"
    assert read_table(tmp_path / "p.tsv", pair_column="pair", id_column="id") == (
        ["first text", "second"],
        ["p", "q"],
        ["yes", "no"],
        ["7", "8"],
    )
    write_predictions(tmp_path / "p.jsonl", examples, logits, ["no", "yes"], kind="multi_label")
    row = json.loads((tmp_path / "p.jsonl").read_text().splitlines()[1])
    assert row["labels"] == []
    assert row["text"] == "second"
