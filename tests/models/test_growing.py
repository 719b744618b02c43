"""Models with an extended vocabulary: what they knew they know to the last bit, and the new words can be learned."""

import keras
import numpy as np
import pytest

from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from keras_bert.training.optimizers import adamw
from tests.checkpoints.test_growing import NEW, OLD
from tests.models.conftest import make, randomise


@pytest.fixture
def folder(config, tmp_path):
    """A pre-trained model with its vocabulary, 24 entries."""
    model = randomise(make("pretrainer", config))
    model.save_pretrained(tmp_path / "model", tokenizer=Tokenizer(Vocabulary(OLD)))
    return tmp_path / "model"


def without_unused(batch):
    """The batch's inputs with no [unused0], whose row is another now."""
    return {name: np.where(array == 1, 2, array) if name == "input_ids" else array for name, array in batch[0].items()}


def test_texts_without_new_words_give_the_same_logits(folder, batch):
    x = without_unused(batch)
    old = BertPretrainer.from_pretrained(folder)
    new = BertPretrainer.from_pretrained(folder, vocabulary=Vocabulary(NEW))
    assert new.bert_config == old.bert_config.replace(vocab_size=30)
    before, after = old.predict(x, verbose=0), new.predict(x, verbose=0)
    assert after["masked_lm"].shape == (4, 4, 30)
    np.testing.assert_array_equal(after["next_sentence"], before["next_sentence"])
    kept = [index for index in range(24) if index != 1]
    # XLA, which is JAX's compiler, adds up the products of a wider matrix in another order.
    tolerance = 0 if keras.backend.backend() == "tensorflow" else 5e-7
    np.testing.assert_allclose(after["masked_lm"][..., kept], before["masked_lm"][..., kept], rtol=0, atol=tolerance)


def test_every_kind_of_model_grows(folder, tokens):
    x = {name: np.where(array == 1, 2, array) if name == "input_ids" else array for name, array in tokens.items()}
    before = BertEncoder.from_pretrained(folder).predict(x, verbose=0)
    encoder = BertEncoder.from_pretrained(folder, vocabulary=Vocabulary(NEW), return_all_layers=True)
    classifier = BertClassifier.from_pretrained(folder, vocabulary=Vocabulary(NEW), num_classes=2)
    for grown in (encoder, classifier.encoder):
        assert tuple(grown.token_embedding.embeddings.shape) == (30, 8)
        np.testing.assert_array_equal(grown.predict(x, verbose=0)["sequence_output"], before["sequence_output"])
    assert classifier.bert_config.vocab_size == 30


def test_a_new_word_begins_as_the_pieces_that_spelled_it(folder):
    model = BertPretrainer.from_pretrained(folder, vocabulary=Vocabulary(NEW))
    tokenizer = Tokenizer(Vocabulary(NEW))
    assert tokenizer.tokenize("myocardial") == ["myocardial"]
    table = np.asarray(model.encoder.token_embedding.embeddings)
    pieces = Tokenizer(Vocabulary(OLD)).token_ids("myocardial")
    np.testing.assert_allclose(table[tokenizer.token_ids("myocardial")[0]], table[pieces].mean(0), atol=1e-6)


def test_the_masked_lm_reads_and_learns_new_words(folder, batch):
    x, y, weights = batch
    model = BertPretrainer.from_pretrained(folder, vocabulary=Vocabulary(NEW))
    x = {**x, "input_ids": np.where(x["input_ids"] == 23, 26, x["input_ids"])}
    y = {**y, "masked_lm": np.full_like(y["masked_lm"], 24)}
    assert (x["input_ids"] == 26).any()
    model.compile(adamw(2e-2, num_train_steps=60, num_warmup_steps=5), jit_compile=False)
    table = np.asarray(model.encoder.token_embedding.embeddings).copy()
    assert (model.predict_on_batch(x)["masked_lm"].argmax(-1) != 24).any()
    for _ in range(30):
        model.train_on_batch(x, y, sample_weight=weights)
    assert (model.predict_on_batch(x)["masked_lm"].argmax(-1) == 24).all()
    changed = np.abs(np.asarray(model.encoder.token_embedding.embeddings) - table).max(axis=1)
    assert changed[24] > 0.1 and changed[26] > 0.01


def test_round_trip(folder, batch, tmp_path):
    tokenizer = Tokenizer(Vocabulary(NEW))
    model = BertPretrainer.from_pretrained(folder, vocabulary=tokenizer)
    model.save_pretrained(tmp_path / "grown", tokenizer=tokenizer)
    assert Tokenizer.from_pretrained(tmp_path / "grown").vocabulary.tokens == tuple(NEW)
    again = BertPretrainer.from_pretrained(tmp_path / "grown", vocabulary=tmp_path / "grown" / "vocab.txt")
    assert again.load_report.new == again.load_report.unused == again.load_report.new_entries == []
    x = {**batch[0], "input_ids": np.arange(40).reshape(4, 10) % 30}
    for name, expected in model.predict(x, verbose=0).items():
        np.testing.assert_array_equal(again.predict(x, verbose=0)[name], expected)


def test_the_report_tells_of_it(folder, tmp_path):
    report = BertEncoder.from_pretrained(folder, vocabulary=Vocabulary(NEW)).load_report
    assert report.new_entries == ["myocardial", *NEW[24:]]
    assert "new vocabulary entries, made of the pieces that spelled them: 7" in str(report)
    assert BertEncoder.from_pretrained(folder, vocabulary=Vocabulary(OLD)).load_report.new_entries == []
    (folder / "vocab.txt").unlink()
    report = BertEncoder.from_pretrained(folder, vocabulary=Vocabulary(OLD)).load_report
    assert "taken as given" in str(report)
