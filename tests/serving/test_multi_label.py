"""Several labels a text, served: the graph's answers, Python's, and the logits themselves."""

import numpy as np
import pytest

from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.classify.graph import classes
from keras_bert.tasks.served import Options, Server

LENGTH = 40


@pytest.fixture(scope="module")
def model(models):
    return models["multi_label"]


@pytest.fixture(scope="module")
def answers(model, tokenizer, texts):
    return predict(model, tokenizer, texts, max_seq_length=LENGTH, batch_size=4)


def test_each_label_has_the_sigmoid_of_its_logit(model, tokenizer, texts, answers):
    for text, label, probabilities in zip(texts, answers["label"], answers["probabilities"], strict=True):
        inputs = {name: ids[None] for name, ids in tokenizer.encode(text, max_seq_length=LENGTH).items()}
        logits = np.asarray(model(inputs, training=False))[0]
        np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), atol=1e-5)
        assert label == ",".join(name for name, logit in zip(model.labels, logits, strict=True) if logit >= 0)
    assert len({label.count(",") for label in answers["label"]}) > 1  # not all texts have as many


@pytest.mark.parametrize(
    ("logits", "label"), [([1.0, 1.0, 1.0], "good,bad,schön"), ([-1.0, 0.0, 2.0], "bad,schön"), ([-1.0] * 3, "")]
)
def test_labels_are_joined_in_the_graph_as_in_python(model, tokenizer, logits, label):
    kernel, bias = model.head.get_weights()
    model.head.set_weights([0 * kernel, np.array(logits)])
    try:
        inputs = {name: ids[None] for name, ids in tokenizer.encode("paris", max_seq_length=8).items()}
        [joined] = classes(Server(model, tokenizer, None, Options()), inputs)["label"].numpy()
        assert joined.decode() == label
        assert predict(model, tokenizer, ["paris"], max_seq_length=8)["label"] == [label]
    finally:
        model.head.set_weights([kernel, bias])
