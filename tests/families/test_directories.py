"""What we write, transformers loads: nothing missing or unexpected, the same outputs, of every family and head.

And what transformers writes comes back bit by bit (../shared/golden/families).
"""

import json

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from keras_bert.checkpoints import open_checkpoint, write_checkpoint
from keras_bert.config import Config
from keras_bert.families import FAMILIES
from keras_bert.models import Classifier, Encoder, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.models.walk import walk

KINDS = {
    "fill_mask": Pretrainer,
    "classify": Classifier,
    "tag": TokenClassifier,
    "answer": SpanLabeler,
    "choose": MultipleChoice,
}

TOLERANCE = 2e-5
SIZES = {
    **{"vocab_size": 29, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 12},
    "max_position_embeddings": 16,
}
# What each family's row is tried with, in the names of its config.json.
FIELDS = {
    "bert": {"pad_token_id": 2, "layer_norm_eps": 1e-5},
    "roberta": {"hidden_act": "relu", "tie_word_embeddings": False, "type_vocab_size": 1},
    "xlm-roberta": {"type_vocab_size": 1},
    "distilbert": {"sinusoidal_pos_embds": True, "activation": "relu"},
    "albert": {"embedding_size": 6, "num_hidden_groups": 2, "inner_group_num": 2},
    "longformer": {"attention_window": [4, 8, 4], "type_vocab_size": 2},
    "big_bird": {
        **{"block_size": 1, "num_random_blocks": 1, "hidden_act": "relu", "use_bias": False},
        "rescale_embeddings": True,
    },
    "mobilebert": {"true_hidden_size": 6, "intra_bottleneck_size": 6, "embedding_size": 5},
    "deberta": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 2},
    "deberta-v2": {
        **{"relative_attention": True, "pos_att_type": ["p2c"], "position_buckets": 3, "norm_rel_ebd": "layer_norm"},
        **{"conv_kernel_size": 3, "type_vocab_size": 0, "max_relative_positions": 8},
    },
    "modernbert": {"local_attention": 4, "global_attn_every_n_layers": 2, "norm_bias": True, "pad_token_id": 3},
    "electra": {"embedding_size": 6, "hidden_act": "relu", "summary_type": "mean", "summary_activation": None},
}
# What is built of ours, and the class of transformers' that is asked to load it.
HEADS = {
    "encoder": (lambda encoder: encoder, "AutoModel"),
    "pretrainer": (Pretrainer, "AutoModelForPreTraining"),
    "masked_lm": (lambda encoder: Pretrainer(encoder, objectives=("masked_lm",)), "AutoModelForMaskedLM"),
    "classifier": (lambda encoder: Classifier(encoder, 3), "AutoModelForSequenceClassification"),
    "token_classifier": (lambda encoder: TokenClassifier(encoder, 4), "AutoModelForTokenClassification"),
    "span_labeler": (SpanLabeler, "AutoModelForQuestionAnswering"),
    "multiple_choice": (MultipleChoice, "AutoModelForMultipleChoice"),
}
LACKING = {("deberta", "multiple_choice"), ("modernbert", "pretrainer")}  # in transformers
POOLERS = (("roberta", "encoder"), ("xlm-roberta", "encoder"), ("longformer", "encoder"))
POSITIONS = np.array([[1, 3], [2, 0], [1, 1]], np.int32)
# Our outputs and theirs, in the order of ours.
OUTPUTS = {
    "sequence_output": "last_hidden_state",
    "pooled_output": "pooler_output",
    "start_logits": "start_logits",
    "end_logits": "end_logits",
    "next_sentence": ("seq_relationship_logits", "sop_logits"),
    "masked_lm": ("prediction_logits", "logits"),
    "replaced_tokens": "logits",
    "logits": "logits",
}


def made(family, head):
    """Returns a model of ours with random weights, biases and norms too."""
    row = FAMILIES[family]
    sizes = {row.fields.get(name, name): value for name, value in SIZES.items()}
    config = Config.from_huggingface({"model_type": family, **sizes, **FIELDS[family]})
    rng, model = np.random.default_rng(5), HEADS[head][0](Encoder(config))
    for found in walk(model):
        is_fixed = config.position_embedding == "sinusoidal" and "position_embeddings" in found.weight.name
        if not is_fixed:
            found.variable.assign(rng.normal(0.3 if "gamma" in found.weight.name else 0, 0.3, found.variable.shape))
    return model


def feed(model, head):
    """Returns the inputs of a batch: a full row, a shorter one with padding among its tokens, and one of two tokens."""
    config, rng = model.bert_config, np.random.default_rng(7)
    length = 9 if config.attention == "block_sparse" else 7  # which is not attended in full
    ids = rng.integers(5, config.vocab_size, (3, length)).astype(np.int32)
    ids[1, 2], ids[1, 5:], ids[2, 2:] = config.pad_token_id, config.pad_token_id, config.pad_token_id
    mask = (np.arange(length) < np.array([[length], [5], [2]])).astype(np.int32)
    x = {"input_ids": ids, "input_mask": mask}
    if config.has_segments:
        x["segment_ids"] = (np.arange(length) > 3).astype(np.int32) * mask
    if config.attention == "global_local":
        x["global_attention_mask"] = (np.arange(length) % 4 == np.array([[0], [1], [2]])).astype(np.int32)
    if head == "multiple_choice":
        x = {name: np.stack([array, array[::-1]], axis=1) for name, array in x.items()}
    return x


@pytest.mark.slow
@pytest.mark.parametrize(("family", "head"), [(f, h) for f in FIELDS for h in HEADS if (f, h) not in LACKING])
def test_transformers_loads_what_we_write(tmp_path, family, head):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = made(family, head)
    x = feed(model, head)
    mask = x["input_mask"]
    ours = {**x, "masked_lm_positions": POSITIONS} if "masked_lm_positions" in model.input else x
    outputs = model(ours)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}

    model.save_pretrained(tmp_path / "model")
    theirs, report = getattr(transformers, HEADS[head][1]).from_pretrained(tmp_path / "model", output_loading_info=True)
    if (family, head) in POOLERS:  # transformers' class makes one in any case
        report["missing_keys"] = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
    assert {name: list(keys) for name, keys in report.items() if len(keys)} == {}
    names = {"input_mask": "attention_mask", "segment_ids": "token_type_ids"}
    inputs = {names.get(name, name): torch.tensor(array, dtype=torch.long) for name, array in x.items()}
    with torch.no_grad():
        expected = theirs.eval()(**inputs)
    for name, array in outputs.items():
        keys = OUTPUTS[name] if isinstance(OUTPUTS[name], tuple) else (OUTPUTS[name],)
        found = next(expected[key] for key in keys if key in expected).numpy()
        array = keras.ops.convert_to_numpy(array)
        if name == "masked_lm":
            found = np.take_along_axis(found, POSITIONS[..., None], axis=1)
        elif found.shape[:2] == mask.shape and head != "multiple_choice":
            array, found = array[mask > 0], found[mask > 0]
        atol = TOLERANCE * max(1.0, np.abs(found).max())
        np.testing.assert_allclose(array, found, rtol=0, atol=atol, err_msg=name)


def golden_folders(shared):
    folder = shared / "golden" / "families" / "models"
    return [path for name in FIELDS for path in sorted((folder / name.replace("-", "_")).glob("*"))]


def check_equal(place, folder):
    """Compares a directory with one of transformers', bit by bit."""
    stored, expected = load_file(place / "model.safetensors"), load_file(folder / "model.safetensors")
    if "lm_head.decoder.bias" in expected:  # of the two biases the one that counts
        expected["lm_head.bias"] = expected["lm_head.decoder.bias"]
    assert stored.keys() == expected.keys(), folder
    for name, array in expected.items():
        assert array.tobytes() == stored[name].tobytes(), (folder, name)
    fields, given = (json.loads((path / "config.json").read_text()) for path in (place, folder))
    for each in (fields, given):  # whose order says nothing
        each["pos_att_type"] = sorted(each.get("pos_att_type") or [])
    of_the_file = {"transformers_version", "dtype"}
    of_another_style = {"global_rope_theta", "local_rope_theta"} - given.keys()  # which transformers 4 reads
    compared = (fields.keys() | given.keys()) - of_the_file - of_another_style
    assert {name for name in compared if fields.get(name) != given.get(name)} == set(), folder


@pytest.mark.parametrize("format", ["keras_bert", "huggingface"])
def test_what_transformers_wrote_is_converted_bit_by_bit(shared, tmp_path, format):
    folders = golden_folders(shared)
    assert len(folders) >= 30
    for folder in folders:
        place, said = tmp_path / folder.parent.name / folder.name, []
        write_checkpoint(open_checkpoint(folder), place, format=format, log=said.append)
        check_equal(place, folder)
        assert open_checkpoint(place).config == open_checkpoint(folder).config, folder
        assert said == [] and not (place / "task.json").exists(), folder


def is_masked_lm_alone(folder):
    """Says whether a directory predicts masked tokens alone, and its family is pre-trained for sentences, too."""
    fields = json.loads((folder / "config.json").read_text())
    row = FAMILIES[fields["model_type"]]
    return fields["architectures"] == [f"{row.architecture}ForMaskedLM"] and len(row.objectives) > 1


@pytest.mark.slow
def test_what_transformers_wrote_comes_back_from_models_bit_by_bit(shared, tmp_path):
    for folder in golden_folders(shared):
        place, task = tmp_path / folder.parent.name / folder.name, open_checkpoint(folder).task["task"]
        own = {"objectives": ("masked_lm",)} if is_masked_lm_alone(folder) else {}
        model = KINDS[task].from_pretrained(folder, **own)
        assert set(model.load_report.new) <= {"bert/pooler/dense/kernel", "bert/pooler/dense/bias"}
        model.save_pretrained(place)
        check_equal(place, folder)
        assert (place / "task.json").exists() == bool(own), folder  # which says what it is pre-trained for
