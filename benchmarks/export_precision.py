"""What fewer bits cost: a GLUE model's dev figures as a SavedModel of float32, bfloat16 and int8, and the files' sizes.

    keras-bert glue --task_name=MRPC --data_dir=glue/MRPC --init_checkpoint=model --output_dir=mrpc
    python -m benchmarks.export_precision --model_dir=mrpc --task=MRPC --glue_dir=glue

Raw strings go in, through the signature, in batches of 32. Prints one JSON line: by precision the figures, the size in
megabytes, and against float32 the largest difference of a probability and the examples that change their class.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

import keras_bert as kb
from keras_bert.serving.loading import load
from keras_bert.serving.precision import PRECISIONS
from keras_bert.tasks import glue

BATCH = 32


def main():
    """Exports, asks and compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_dir", required=True, help="what keras-bert glue wrote")
    parser.add_argument("--task", required=True, help="its task, a classification")
    parser.add_argument("--glue_dir", required=True, type=Path, help="GLUE's directories, MRPC and so on")
    args = parser.parse_args()
    task = glue.find_task(args.task)
    dev = glue.read_examples(task, args.glue_dir, "dev")
    loaded = load(args.model_dir)
    line, probabilities = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for precision in PRECISIONS:
            options = {**loaded.settings, "precision": precision, "pair": task.pair}
            path = kb.export(loaded.model, loaded.tokenizer, f"{folder}/{precision}", **options).path
            found = probabilities[precision] = ask(path, dev)
            against = probabilities["float32"]
            line[precision] = {
                **{name: round(value, 4) for name, value in glue.metrics(task, dev.labels, np.log(found)).items()},
                "megabytes": round(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6, 1),
                "largest_difference": round(float(np.abs(found - against).max()), 4),
                "changed": int((found.argmax(axis=1) != against.argmax(axis=1)).sum()),
            }
    print(json.dumps({"task": task.name, "examples": len(dev), **line}))


def ask(path, examples):
    """Returns float64 (N, C), a SavedModel's probabilities."""
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    columns = {"text": examples.texts} | ({"pair": examples.pairs} if examples.pairs is not None else {})
    found = []
    for start in range(0, len(examples), BATCH):
        batch = {name: tf.constant(column[start : start + BATCH]) for name, column in columns.items()}
        found.append(serve(**batch)["probabilities"].numpy())
    return np.concatenate(found).astype(np.float64)


if __name__ == "__main__":
    main()
