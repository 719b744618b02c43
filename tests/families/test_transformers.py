"""transformers itself beside every family and head: its models here, ours there, with gradients of all weights."""

import numpy as np
import pytest

from keras_bert.families import FAMILIES, find_family
from tests.families.golden import close, gradient_norms, labels, neutral_norms, outputs_of, with_positions
from tests.families.rows import CONFIGS, HEADS, LENGTH, SMALL
from tests.families.test_rows import CAMEMBERT

pytestmark = pytest.mark.nightly
LENGTHS = np.array([[LENGTH], [LENGTH - 3], [3]])
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


@pytest.fixture
def theirs(request):
    """A model of transformers' with random weights, biases and norms too, without dropout."""
    transformers = pytest.importorskip("transformers", reason="the parity extra")
    torch = pytest.importorskip("torch", reason="the parity extra")
    family, suffix, more = request.param
    fields = CONFIGS["roberta" if family == "camembert" else family].to_huggingface() | more
    config = transformers.AutoConfig.for_model(family, **{n: x for n, x in fields.items() if n != "model_type"})
    config.num_labels = 2 if suffix == "ForQuestionAnswering" else 3
    if "NextSentence" in suffix or (suffix == "ForPreTraining" and family in ("bert", "albert")):
        config.num_labels = 2
    torch.manual_seed(0)
    model = getattr(transformers, find_family(family).architecture + suffix)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale = name.endswith("weight") and parameter.ndim == 1
            parameter.copy_(torch.randn(parameter.shape) * 0.3 + (1.0 if is_scale else 0.0))
    return model


def feed(model, config, suffix):
    """Returns the inputs and labels, by transformers' names, of a batch in which padding is also attended."""
    rng = np.random.default_rng(0)
    mask = (np.arange(LENGTH) < LENGTHS).astype(np.int64)
    ids = np.where(mask == 1, rng.integers(3, config.vocab_size, mask.shape), config.pad_token_id)
    ids[0, 4] = config.pad_token_id  # a padding token in the text
    x = {"input_ids": ids, "attention_mask": mask}
    if config.has_segments:
        x["token_type_ids"] = rng.integers(0, 2, ids.shape) * mask
    if config.attention == "global_local":
        x["global_attention_mask"] = (np.arange(LENGTH) % 5 == np.array([[0], [1], [2]])) * 1
    if suffix == "ForMultipleChoice":
        x = {name: np.stack([array, array[::-1]], axis=1) for name, array in x.items()}
        return x, {"labels": np.array([1, 0, 1])}
    some = np.where((rng.random(ids.shape) < 0.5) & (mask == 1), rng.integers(0, config.vocab_size, ids.shape), -100)
    if suffix == "ForQuestionAnswering":
        return x, {"start_positions": np.array([1, 2, LENGTH + 3]), "end_positions": np.array([2, 3, 1])}
    if suffix in ("ForSequenceClassification", "ForNextSentencePrediction"):
        return x, {"labels": np.array([1, 0, 1])}
    if suffix == "ForTokenClassification":
        return x, {"labels": np.where(some == -100, -100, some % 3)}
    if suffix == "ForPreTraining" and config.family == "electra":
        return x, {"labels": rng.integers(0, 2, ids.shape)}
    pair = "sentence_order_label" if config.family == "albert" else "next_sentence_label"
    more = {pair: np.array([1, 0, 1])} if suffix == "ForPreTraining" else {}
    return x, {"labels": some, **more}


@pytest.mark.parametrize(
    ("theirs", "family", "suffix"),
    [pytest.param(case, *case[:2], id="-".join([*case[:2], *map(str, case[2].values())])) for case in CASES],
    indirect=["theirs"],
)
def test_outputs_loss_and_gradients_in_both_directions(theirs, family, suffix, tmp_path):
    import torch
    import transformers

    row = find_family(family)
    theirs.save_pretrained(tmp_path / "theirs")
    head = next(head for head in row.heads if head.suffix == suffix)
    objectives = {"ForMaskedLM": ["masked_lm"], "ForNextSentencePrediction": ["next_sentence"]}.get(suffix)
    own = {"objectives": objectives} if objectives else {}
    model = HEADS[head.task].from_pretrained(tmp_path / "theirs", **own)
    x, y = feed(model, model.bert_config, suffix)
    given = {name: torch.tensor(np.ascontiguousarray(array)) for name, array in {**x, **y}.items()}
    expected = theirs(**given)
    expected.loss.backward()

    mask = x["attention_mask"].astype(bool)
    logits = [value.detach().numpy() for name, value in expected.items() if name.endswith("logits")]
    ours = list(outputs_of(model, x).values())
    for one, two in zip(ours, logits, strict=True):
        close(one, two, suffix, mask)
    arrays = {f"in/{name}": array for name, array in y.items()}
    if suffix == "ForNextSentencePrediction":
        arrays["in/next_sentence_label"] = arrays["in/labels"]
    loss, norms = gradient_norms(model, with_positions(model, x), *labels(model, arrays, mask))
    close(loss, expected.loss.item(), "loss")
    gradients = {name: p.grad.norm().item() if p.grad is not None else 0.0 for name, p in theirs.named_parameters()}
    arrays = {"grad/names": np.array([*gradients]), "grad/norms": np.array([*gradients.values()])}
    found, strange = neutral_norms(model.bert_config, arrays, model.TASK)
    assert strange == []
    left_out = {"bert/embeddings/word_embeddings"} if model.bert_config.trains_padding else set()  # as Google's BERT
    left_out |= {name for name in norms if name.endswith("/key/bias")}
    known = {name for names in found for name in names}
    left_out |= {name for name in norms.keys() - known if name.startswith("bert/pooler/")}
    assert norms.keys() - left_out <= known
    names = sorted(names for names in found if not left_out & {*names} and {*names} <= norms.keys())
    ours = np.array([np.linalg.norm([norms[name] for name in each]) for each in names])
    expected_norms = np.array([found[each] for each in names])
    close(ours, expected_norms, "gradients", tolerance=1e-4)  # of choices much alike they are small, and rounding shows

    model.save_pretrained(tmp_path / "ours", format="huggingface")
    again, report = getattr(transformers, row.architecture + suffix).from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not report["missing_keys"]
    for one, two in zip(again.eval()(**given).to_tuple()[1 : 1 + len(logits)], logits, strict=True):
        close(one.detach().numpy(), two, "what transformers reads", mask)
