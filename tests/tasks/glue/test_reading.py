"""GLUE from Python: batches that `fit` takes."""

import keras
import numpy as np

import keras_bert as kb
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.tasks import glue
from tests.tasks.glue.data import PAIRS


def test_the_module_is_there_by_its_short_name():
    assert kb.glue is glue
    assert "glue" in dir(kb)


def test_fit_takes_the_batches(folder, tokenizer, config):
    keras.utils.set_random_seed(0)
    model = BertClassifier(BertEncoder(config), 2)
    model.compile(kb.adamw(1e-3, num_train_steps=20, num_warmup_steps=1), jit_compile=False)
    options = {"data_dir": folder, "max_seq_length": 48, "batch_size": 2}
    train = kb.glue.dataset("mrpc", "train", tokenizer, **options)
    history = model.fit(train, epochs=10, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    dev = kb.glue.dataset("mrpc", "dev", tokenizer, **options)
    labels = np.concatenate([y for _, y in dev.as_numpy_iterator()])
    assert labels.tolist() == [1, 0, 1, 0]  # in the file's order
    figures = kb.glue.metrics("mrpc", labels, model.predict(dev.map(lambda x, y: x), verbose=0))
    assert set(figures) == {"accuracy", "f1", "loss"}
    assert len(kb.glue.dataset("mrpc", "test", tokenizer, **options).element_spec) == 3  # x alone: a dict of three


def test_a_regression_has_scores(folder, tokenizer):
    data = glue.dataset("sts-b", "train", tokenizer, data_dir=folder, max_seq_length=32, batch_size=4)
    _, scores = next(data.as_numpy_iterator())
    assert scores.dtype == np.float32
    assert sorted(scores.tolist()) == [0.0, 2.5, 4.0, 5.0]  # in a new order each pass


def test_batches_hold_the_pairs(folder, tokenizer):
    data = glue.dataset("qnli", "dev", tokenizer, data_dir=folder / "QNLI", max_seq_length=64, batch_size=4)
    x, _ = next(data.as_numpy_iterator())
    for row, (first, second, _) in enumerate(PAIRS):
        expected = tokenizer.encode(first, second)
        used = len(expected["input_ids"])
        for name, values in expected.items():
            np.testing.assert_array_equal(x[name][row, :used], values)
        assert x["input_mask"][row].sum() == used
