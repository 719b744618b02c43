"""Hugging Face checkpoints in plain NumPy: BERT with an erf gelu and transformers' five heads (modeling_bert.py).

Nothing here is shared with the library. `python -m tests.reference_huggingface` writes tests/golden/huggingface anew:
a directory as transformers writes it for each head, and golden.npz with their inputs and outputs.

B batch, S sequence, H hidden, V vocabulary, C classes.
"""

import json
import re
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.reference_bert import CONFIG, dense, encode, gelu_erf, layer_norm, random_arrays, random_batch

FOLDER = Path(__file__).parent / "golden" / "huggingface"
# folder: (transformers' class, {the head's parameter: shape}, whether the class has a pooler)
HEADS = {
    "pretraining": ("BertForPreTraining", {}, True),
    "sequence_classification": ("BertForSequenceClassification", {"classifier": 3}, True),
    "question_answering": ("BertForQuestionAnswering", {"qa_outputs": 2}, False),
    "token_classification": ("BertForTokenClassification", {"classifier": 5}, False),
    "multiple_choice": ("BertForMultipleChoice", {"classifier": 1}, True),
}
LABELLED = ("sequence_classification", "token_classification")


def huggingface_name(name):
    """Hugging Face's name of a Google variable, by rewriting (the library has a table)."""
    name = re.sub(r"layer_(\d+)", r"layer.\1", name)
    for old, new in (
        ("_embeddings", "_embeddings.weight"),
        ("LayerNorm/gamma", "LayerNorm.weight"),
        ("LayerNorm/beta", "LayerNorm.bias"),
        ("cls/predictions/output_bias", "cls.predictions.bias"),
        ("seq_relationship/output_bias", "seq_relationship.bias"),
        ("output_weights", "weight"),
        ("kernel", "weight"),
        ("/", "."),
    ):
        name = name.replace(old, new)
    return name


def write_huggingface(folder, arrays, **fields):
    """Writes config.json and model.safetensors as transformers does."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**CONFIG, "model_type": "bert", "transformers_version": "4.46.0", **fields}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    stored = {
        huggingface_name(name): np.ascontiguousarray(array.T if name.endswith("kernel") else array)
        for name, array in arrays.items()
    }
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def write_tokenizer(folder, vocab, *, added_tokens=(), **normalizer):
    """Writes tokenizer.json as transformers does, {token: id} or tokens in order; returns its path."""
    fields = {
        "version": "1.0",
        "added_tokens": list(added_tokens),
        "normalizer": {
            "type": "BertNormalizer",
            **{"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
            **normalizer,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {
            **{"type": "WordPiece", "unk_token": "[UNK]"},
            **{"continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
            "vocab": vocab if isinstance(vocab, dict) else {token: index for index, token in enumerate(vocab)},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder / "tokenizer.json"


def head_outputs(head, arrays, encoded):
    """Returns {name: array} of what a head makes of the encoder's outputs, as transformers names it."""
    hidden, pooled = encoded["sequence_output"], encoded["pooled_output"]
    if head == "pretraining":
        hidden = gelu_erf(dense(hidden, arrays, "cls/predictions/transform/dense"))
        hidden = layer_norm(hidden, arrays, "cls/predictions/transform")
        logits = hidden @ arrays["bert/embeddings/word_embeddings"].T + arrays["cls/predictions/output_bias"]
        scope = "cls/seq_relationship"
        relation = pooled @ arrays[f"{scope}/output_weights"].T + arrays[f"{scope}/output_bias"]
        return {"prediction_logits": logits, "seq_relationship_logits": relation}
    name = "qa_outputs" if head == "question_answering" else "classifier"
    given = pooled if head in ("sequence_classification", "multiple_choice") else hidden
    logits = given @ arrays[f"{name}/output_weights"].T + arrays[f"{name}/bias"]
    if head == "question_answering":
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}
    return {"logits": logits.reshape(-1, 2) if head == "multiple_choice" else logits}  # each two rows are one question


def main():
    rng = np.random.default_rng(2019)
    batch = random_batch(CONFIG, rng=rng, batch=4)
    golden = {name: batch[name].astype(np.int64) for name in ("input_ids", "input_mask", "segment_ids")}
    for head, (architecture, parameters, has_pooler) in HEADS.items():
        arrays = random_arrays(CONFIG, rng=rng)
        if head != "pretraining":
            arrays = {name: array for name, array in arrays.items() if name.startswith("bert/")}
        for name, size in parameters.items():
            arrays[f"{name}/output_weights"] = rng.normal(0, 0.3, (size, CONFIG["hidden_size"])).astype(np.float32)
            arrays[f"{name}/bias"] = rng.normal(0, 0.3, size).astype(np.float32)
        encoded = encode(arrays, CONFIG, batch, activation=gelu_erf)
        outputs = {"sequence_output": encoded["sequence_output"], **head_outputs(head, arrays, encoded)}
        if has_pooler:
            outputs["pooled_output"] = encoded["pooled_output"]
        golden |= {f"{head}/{name}": array.astype(np.float32) for name, array in outputs.items()}
        stored = {name: array for name, array in arrays.items() if has_pooler or "pooler" not in name}
        fields = {"architectures": [architecture]}
        if head in LABELLED:
            names = [f"LABEL_{index}" for index in range(parameters["classifier"])]
            fields["id2label"] = dict(enumerate(names))
            fields["label2id"] = {name: index for index, name in enumerate(names)}
        write_huggingface(FOLDER / head, stored, **fields)
    np.savez_compressed(FOLDER / "golden.npz", **golden)


if __name__ == "__main__":
    main()
