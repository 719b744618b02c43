"""transformers loads what we write, and we load what it writes: equal outputs, for every head and both gelus."""

import json
import unicodedata

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_bert.cli.main import main
from keras_bert.models import (
    BertClassifier,
    BertEncoder,
    BertMultipleChoice,
    BertPretrainer,
    BertSpanLabeler,
    BertTokenClassifier,
)
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.models.conftest import INPUTS, make, randomise

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch", reason="needs the extra parity")
transformers = pytest.importorskip("transformers", reason="needs the extra parity")

TOLERANCE = 1e-5
THEIR_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# kind in KINDS: our class, theirs, {our output: theirs}
HEADS = {
    "encoder": (
        *(BertEncoder, "BertModel"),
        {"sequence_output": "last_hidden_state", "pooled_output": "pooler_output"},
    ),
    "pretrainer": (
        *(BertPretrainer, "BertForPreTraining"),
        {"masked_lm": "prediction_logits", "next_sentence": "seq_relationship_logits"},
    ),
    "masked_lm": (BertPretrainer, "BertForMaskedLM", {"masked_lm": "logits"}),
    "next_sentence": (BertPretrainer, "BertForNextSentencePrediction", {"next_sentence": "logits"}),
    "classifier": (BertClassifier, "BertForSequenceClassification", {"logits": "logits"}),
    "regressor": (BertClassifier, "BertForSequenceClassification", {"logits": "logits"}),
    "span_labeler": (
        *(BertSpanLabeler, "BertForQuestionAnswering"),
        {"start_logits": "start_logits", "end_logits": "end_logits"},
    ),
    "token_classifier": (BertTokenClassifier, "BertForTokenClassification", {"logits": "logits"}),
    "multiple_choice": (BertMultipleChoice, "BertForMultipleChoice", {"logits": "logits"}),
}


@pytest.fixture
def inputs(tokens, request):
    """The encoder's inputs, (B, S), or for multiple choice (B / 2, 2, S); nothing at padding positions is compared."""
    kind = request.node.callspec.params["kind"]
    return {name: array.reshape(2, 2, -1) if kind == "multiple_choice" else array for name, array in tokens.items()}


def assert_equal_outputs(kind, ours, theirs, inputs):
    x = dict(inputs)
    if isinstance(ours, BertPretrainer):
        ids = inputs["input_ids"]
        x["masked_lm_positions"] = np.tile(np.arange(ids.shape[1], dtype=np.int32), (len(ids), 1))
    outputs = ours.predict(x, verbose=0)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    with torch.no_grad():
        tensors = {there: torch.tensor(x[here]).long() for here, there in zip(INPUTS, THEIR_INPUTS, strict=True)}
        expected = theirs.eval()(**tensors)
    for here, there in HEADS[kind][2].items():
        assert np.abs(outputs[here]).max() > 0.01
        np.testing.assert_allclose(outputs[here], expected[there].numpy(), atol=TOLERANCE, err_msg=here)


@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu_erf"])
@pytest.mark.parametrize("kind", [kind for kind in HEADS if kind not in ("masked_lm", "next_sentence")])
def test_transformers_loads_what_we_write(kind, activation, config, inputs, tmp_path):
    model = randomise(make(kind, config.replace(hidden_act=activation)))
    model.save_pretrained(tmp_path, format="huggingface")
    theirs, report = getattr(transformers, HEADS[kind][1]).from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["mismatched_keys"]
    assert not report["unexpected_keys"]
    assert type(transformers.AutoConfig.from_pretrained(tmp_path)) is transformers.BertConfig
    if hasattr(model, "labels"):
        assert list(theirs.config.id2label.values()) == model.labels
    assert_equal_outputs(kind, model, theirs, inputs)
    again = type(model).from_pretrained(tmp_path)
    assert set(again.load_report.new) <= {"bert/pooler/dense/kernel", "bert/pooler/dense/bias"}  # as their class
    assert again.load_report.unused == []
    assert again.bert_config == model.bert_config


@pytest.mark.parametrize("activation", ["gelu_new", "gelu"])
@pytest.mark.parametrize("kind", HEADS)
def test_we_load_what_transformers_writes(kind, activation, config, inputs, tmp_path):
    fields = {name: getattr(config, name) for name in ("vocab_size", "hidden_size", "num_hidden_layers")}
    fields |= {name: getattr(config, name) for name in ("num_attention_heads", "intermediate_size")}
    labels = {"classifier": 3, "regressor": 1, "token_classifier": 4}.get(kind, 2)
    theirs_config = transformers.BertConfig(
        **fields, max_position_embeddings=12, hidden_act=activation, num_labels=labels, initializer_range=0.3
    )
    torch.manual_seed(3)
    theirs = getattr(transformers, HEADS[kind][1])(theirs_config)
    with torch.no_grad():
        for parameter in theirs.parameters():  # biases and norms too
            parameter.add_(0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    ours = HEADS[kind][0].from_pretrained(tmp_path)
    assert ours.load_report.unused == []
    lacks = {"masked_lm": ("bert/pooler", "cls/seq_relationship"), "next_sentence": ("cls/predictions",)}
    lacks |= dict.fromkeys(("span_labeler", "token_classifier"), ("bert/pooler",))
    assert all(name.startswith(lacks.get(kind, ("none",))) for name in ours.load_report.new)
    assert_equal_outputs(kind, ours, theirs, inputs)


WORDS, DECODER = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
BIAS, DECODER_BIAS = "cls.predictions.bias", "cls.predictions.decoder.bias"


def rename(old, new):
    return lambda stored: stored.__setitem__(new, stored.pop(old))


TIED = {
    "no hidden_act": None,
    "the decoder's weights alone": rename(WORDS, DECODER),
    "the decoder's bias alone": rename(BIAS, DECODER_BIAS),
    "two biases": lambda stored: stored.update({DECODER_BIAS: stored[BIAS] + 1}),
    "equal weights": lambda stored: stored.update({DECODER: stored[WORDS].copy()}),
}


@pytest.mark.parametrize("change", TIED)
def test_what_a_file_leaves_out_or_ties_is_what_transformers_makes_of_it(change, config, tokens, tmp_path):
    model = randomise(make("pretrainer", config.replace(hidden_act="gelu_erf")))
    model.save_pretrained(tmp_path, format="huggingface")
    if TIED[change] is None:
        fields = json.loads((tmp_path / "config.json").read_text())
        del fields["hidden_act"]
        (tmp_path / "config.json").write_text(json.dumps(fields))
    else:
        stored = load_file(tmp_path / "model.safetensors")
        TIED[change](stored)
        save_file(stored, tmp_path / "model.safetensors", metadata={"format": "pt"})
    theirs = transformers.BertForPreTraining.from_pretrained(tmp_path)
    assert_equal_outputs("pretrainer", BertPretrainer.from_pretrained(tmp_path), theirs, tokens)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"do_lower_case": False},
        {"strip_accents": False},
        {"do_lower_case": False, "strip_accents": True},
        {"tokenize_chinese_chars": False},
    ],
)
def test_our_tokenizer_gives_transformers_ids(rules, alone, golden, config, tmp_path):
    """Of a model and tokenizer that transformers saved, with its tokenizer.json and with that alone."""
    tokens = Vocabulary.from_file(golden / "tokenization" / "vocab.txt").tokens
    theirs = transformers.BertTokenizer(vocab={token: index for index, token in enumerate(tokens)}, **rules)
    theirs.save_pretrained(tmp_path)
    fields = {name: getattr(config, name) for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
    transformers.BertModel(transformers.BertConfig(vocab_size=len(tokens), **fields)).save_pretrained(tmp_path)
    assert not (tmp_path / "vocab.txt").exists()
    if alone:
        (tmp_path / "tokenizer_config.json").unlink()
    assert BertEncoder.from_pretrained(tmp_path).bert_config.vocab_size == len(tokens)
    for format in ("google", "keras_bert"):
        assert (
            main(["convert", f"--init_checkpoint={tmp_path}", f"--output_dir={tmp_path / format}", "--format", format])
            == 0
        )
        assert (tmp_path / format / "vocab.txt").is_file()
    for folder in (tmp_path, tmp_path / "google", tmp_path / "keras_bert"):
        ours = Tokenizer.from_pretrained(folder)
        assert ours.vocabulary.tokens == tokens
        for case in filter(is_common, read_cases(golden)):
            assert ours.token_ids(case["text"]) == theirs(case["text"], add_special_tokens=False)["input_ids"]


def read_cases(golden):
    cases = json.loads((golden / "tokenization" / "tokenization.json").read_text(encoding="utf-8"))
    assert sum(map(is_common, cases)) > 40
    return cases


def is_common(case):
    """Whether a text has none of what the tokenizers library has always done otherwise than Google's code.

    Words over 100 characters, special tokens in the text, and the Greek sigma at the end of a word.
    """
    text = unicodedata.normalize("NFD", case["text"])
    return all(len(word) <= 100 for word in text.split()) and "[" not in text and "Σ" not in text


@pytest.mark.parametrize("do_lower_case", [True, False])
def test_transformers_tokenizer_gives_our_ids(do_lower_case, golden, config, tmp_path):
    vocabulary = Vocabulary.from_file(golden / "tokenization" / "vocab.txt")
    tokenizer = Tokenizer(vocabulary, do_lower_case=do_lower_case)
    model = make("encoder", config.replace(vocab_size=len(vocabulary)))
    model.save_pretrained(tmp_path, tokenizer=tokenizer, format="huggingface")
    cases = read_cases(golden)
    for theirs in (
        transformers.AutoTokenizer.from_pretrained(tmp_path),
        transformers.BertTokenizer.from_pretrained(tmp_path),
    ):
        assert theirs.model_max_length == config.max_position_embeddings
        for case in filter(is_common, cases):
            expected = case["uncased_ids" if do_lower_case else "cased_ids"]
            assert theirs(case["text"], add_special_tokens=False)["input_ids"] == expected
        pair = tokenizer.encode("the quick fox", "lazy Dog")
        assert theirs("the quick fox", "lazy Dog")["input_ids"] == pair["input_ids"].tolist()
        assert theirs("the quick fox", "lazy Dog")["token_type_ids"] == pair["segment_ids"].tolist()
