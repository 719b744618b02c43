"""transformers itself beside every family and head: its models here, ours there, with gradients of all weights."""

import pytest

from keras_bert.families import FAMILIES
from tests.families.rows import CONFIGS, LENGTH, SMALL
from tests.families.test_rows import CAMEMBERT

pytestmark = pytest.mark.nightly
LENGTHS = [LENGTH, LENGTH - 3, 3]
# What changes arithmetic or names: (family, head, fields of config.json).
UNTIED, RELU = {"tie_word_embeddings": False}, {"hidden_act": "relu"}
VARIANTS = [
    *((family, "ForMaskedLM", UNTIED) for family in CONFIGS),
    ("longformer", "ForSequenceClassification", {"type_vocab_size": 2, "attention_window": 8}),
    ("big_bird", "ForTokenClassification", {"attention_type": "original_full", "use_bias": False}),
    ("big_bird", "ForSequenceClassification", {"hidden_act": "relu", "rescale_embeddings": False}),
    ("big_bird", "ForMaskedLM", {"num_random_blocks": 1, "block_size": 1, "use_bias": False}),
    *((family, "ForMaskedLM", RELU) for family in ("roberta", "albert", "electra")),
    ("distilbert", "ForMaskedLM", {"activation": "relu", "sinusoidal_pos_embds": False}),
    ("distilbert", "ForSequenceClassification", {"activation": "relu"}),
    ("electra", "ForPreTraining", RELU),
    ("electra", "ForSequenceClassification", {"embedding_size": SMALL["hidden_size"]}),  # and no projection
    ("electra", "ForMultipleChoice", {"summary_type": "last"}),
    ("electra", "ForMultipleChoice", {"summary_type": "mean", "summary_activation": "tanh"}),
    ("electra", "ForMultipleChoice", {"summary_activation": ""}),
    ("albert", "ForSequenceClassification", {"embedding_size": SMALL["hidden_size"]}),  # and a projection
    ("albert", "ForTokenClassification", {"num_hidden_layers": 5, "num_hidden_groups": 2, "inner_group_num": 1}),
    ("roberta", "ForSequenceClassification", {"type_vocab_size": 2, "pad_token_id": 2}),
    ("bert", "ForSequenceClassification", {"type_vocab_size": 1}),
]
CASES = [(name, head.suffix, {}) for name, row in FAMILIES.items() for head in row.heads]
CASES += [("camembert", "ForSequenceClassification", {}), ("camembert", "ForMaskedLM", {}), *VARIANTS]


@pytest.fixture(autouse=True)
def camembert(monkeypatch):
    monkeypatch.setitem(FAMILIES, "camembert", CAMEMBERT)


@pytest.mark.parametrize(
    ("family", "suffix", "more"),
    [pytest.param(*case, id="-".join([*case[:2], *map(str, case[2].values())])) for case in CASES],
)
def test_outputs_loss_and_gradients_in_both_directions(family, suffix, more, tmp_path):
    pytest.importorskip("torch", reason="the parity extra")
    pytest.importorskip("transformers", reason="the parity extra")
    from tests.families import parity

    fields = CONFIGS["roberta" if family == "camembert" else family].to_huggingface() | more
    parity.check(parity.build(family, suffix, fields), family, suffix, LENGTHS, tmp_path)
