"""Names of variables and parameters: the table in both directions, against names made by rewriting."""

import pytest

from keras_bert.checkpoints.names import TABLE, google_name, huggingface_name
from tests import reference_huggingface


def test_every_name_of_a_pretraining_model_is_known(arrays):
    for name in arrays:
        there = reference_huggingface.huggingface_name(name)
        assert huggingface_name(name) == (there.removeprefix("bert."), name.endswith("kernel"))
        assert google_name(there) == google_name(there.removeprefix("bert.")) == (name, name.endswith("kernel"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bert.embeddings.LayerNorm.gamma", ("bert/embeddings/LayerNorm/gamma", False)),
        ("bert.encoder.layer.11.output.LayerNorm.beta", ("bert/encoder/layer_11/output/LayerNorm/beta", False)),
        ("classifier.weight", ("output_weights", False)),
        ("qa_outputs.bias", ("cls/squad/output_bias", False)),
        ("bert.embeddings.position_ids", None),
        ("cls.predictions.decoder.weight", None),
        ("encoder.layer.0.attention.self.query.weight.more", None),
    ],
)
def test_other_spellings(name, expected):
    assert google_name(name) == expected


@pytest.mark.parametrize("name", ["bert/encoder/layer_0/more/kernel", "output_weights/more", "bert.pooler.dense.bias"])
def test_a_variable_that_transformers_lacks_has_no_name_there(name):
    assert huggingface_name(name) is None


def test_the_table_has_each_name_once():
    assert len({google for google, _ in TABLE.values()}) == len(TABLE) == 34
