"""How near is the memory that keras_bert.training.memory expects of a step to what a process takes?

    python -m benchmarks.memory

Each row trains a Pretrainer for a few steps in a fresh process on the CPU and prints one JSON line: by how many
megabytes its resident memory grew at most, over what it was once TensorFlow, Keras and one small model had run; how
many were expected; and their ratio. --rows takes other rows, as JSON.
"""

import argparse
import contextlib
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

from keras_bert.config import Config
from keras_bert.config.generator import GeneratorSize
from keras_bert.training.costs import Step
from keras_bert.training.memory import step_memory

ROOT = Path(__file__).resolve().parents[1]
STEPS = 3
CLEAR_REFS = Path("/proc/self/clear_refs")
# Wide enough that the layers' chains are compiled, so that the compiler's own code counts as there before.
SMALL = {"vocab_size": 1000, "hidden_size": 256, "num_hidden_layers": 1, "num_attention_heads": 4}
NAMES = ("hidden_size", "layers", "train_batch_size", "max_seq_length", "dtype", "remat", "size", "embedding_sharing")
# A row has these, the last two of which may be left out: another family's rows have one of its published sizes, cut
# down, and those that train replaced tokens say how generator and discriminator share their embeddings.
ROWS = (
    (256, 4, 16, 128, "float32", False),
    (256, 4, 64, 128, "float32", False),
    (256, 4, 8, 512, "mixed_bfloat16", False),
    (512, 4, 16, 128, "mixed_bfloat16", False),
    (512, 4, 32, 128, "float32", False),
    (768, 2, 8, 128, "float32", False),
    (768, 2, 4, 512, "mixed_bfloat16", False),
    (256, 4, 64, 128, "float32", True),
    (512, 4, 64, 128, "mixed_bfloat16", True),
    (256, 6, 8, 1024, "float32", False, "modernbert-base"),
    (256, 6, 4, 2048, "mixed_bfloat16", False, "modernbert-base"),
    (256, 4, 16, 256, "float32", False, "deberta-v3-base"),
    (256, 4, 16, 256, "mixed_bfloat16", False, "deberta-v3-base"),
    (512, 8, 32, 128, "float32", False, "mobilebert"),
    (256, 4, 4, 1024, "float32", False, "longformer-base-4096"),
    (256, 4, 4, 1024, "float32", False, "bigbird-roberta-base"),
    (256, 6, 32, 128, "float32", False, "electra-small", "shared"),
    (256, 6, 32, 128, "mixed_bfloat16", False, "electra-small", "disentangled"),
    (512, 4, 16, 128, "float32", True, "electra-base", "none"),
    (512, 4, 32, 128, "float32", False, "electra-base", "disentangled"),
)
VOCABULARY = 30522  # of every row


def main():
    """Runs each row and prints its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows",
        type=json.loads,
        default=ROWS,
        help="[[hidden size, layers, batch, length, dtype, remat, size, sharing]]",
    )
    parser.add_argument("--train", type=json.loads, help=argparse.SUPPRESS)  # what the fresh process does
    args = parser.parse_args()
    if args.train:
        print(json.dumps(measure(*args.train)))
        return
    for row in args.rows:
        print(json.dumps(compare(*row)), flush=True)


def compare(*row):
    """Runs a row in a fresh process. Returns its figures and the expected ones, in megabytes."""
    command = [sys.executable, "-m", "benchmarks.memory", f"--train={json.dumps(row)}"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nfailed:\n{done.stderr[-3000:]}")
    measured = json.loads(done.stdout.splitlines()[-1])
    config, step, options, sharing = shape_of(*row)
    made_for = {}
    if sharing is not None:
        generator = GeneratorSize(sharing=sharing).config(config)
        made_for = {"objectives": ["replaced_tokens"], "generator": generator, "sharing": sharing}
    expected = round(step_memory(config, step, **options, **made_for).peak / 1e6)
    figures = {**measured, "expected_mb": expected, "expected / grown": round(expected / measured["grown_mb"], 3)}
    return {**dict(zip(NAMES, row, strict=False)), **figures}


def shape_of(hidden_size, layers, batch_size, length, dtype, remat, size=None, sharing=None):
    """Returns the Config and the Step of a row, dtype and remat as a dict, and the sharing."""
    config = Config.from_name(f"L-{layers}_H-{hidden_size}")
    if size is not None:
        published = Config.from_name(size)
        ratio = hidden_size / published.hidden_size
        config = published.replace(
            vocab_size=VOCABULARY,
            pad_token_id=min(published.pad_token_id, VOCABULARY - 1),
            hidden_size=hidden_size,
            num_hidden_layers=layers,
            num_attention_heads=round(ratio * published.num_attention_heads),
            intermediate_size=round(ratio * published.intermediate_size),
        )
    step = Step(train_batch_size=batch_size, max_seq_length=length)
    return config, step, {"dtype": dtype, "remat": remat}, sharing


def measure(*row):
    """Trains in this process. Returns by how many megabytes it grew, and the most that its tensors took at once."""
    import tensorflow as tf

    config, step, options, sharing = shape_of(*row)
    train(Config(**SMALL), Step(train_batch_size=2, max_seq_length=16), **options)
    gc.collect()
    tf.config.experimental.reset_memory_stats("CPU:0")
    tensors = tf.config.experimental.get_memory_info("CPU:0")["current"]
    CLEAR_REFS.write_text("5")  # the peak begins anew (man proc)
    resident = memory_of("VmRSS")
    model = train(config, step, sharing, **options)
    grown = memory_of("VmHWM") - resident
    tensors = tf.config.experimental.get_memory_info("CPU:0")["peak"] - tensors
    del model
    return {"grown_mb": round(grown / 1e6), "tensors_mb": round(tensors / 1e6)}


def train(config, step, sharing=None, *, dtype, remat):
    """Trains a fresh model on random tokens for some steps; for replaced tokens if a sharing is named. Returns it."""
    import keras
    import numpy as np

    from keras_bert.models import Encoder, Pretrainer, ReplacedTokenPretrainer
    from keras_bert.training.optimizers import adamw

    rng = np.random.default_rng(0)
    tokens, masked = (step.train_batch_size, step.max_seq_length), (step.train_batch_size, step.predictions)
    inputs = {
        "input_ids": rng.integers(0, config.vocab_size, tokens, "int32"),
        "input_mask": np.ones(tokens, "int32"),
        "masked_lm_positions": rng.integers(0, step.max_seq_length, masked, "int32"),
        **dict.fromkeys(("segment_ids", "global_attention_mask"), np.zeros(tokens, "int32")),
    }
    labels = {
        "masked_lm": rng.integers(0, config.vocab_size, masked, "int32"),
        "next_sentence": np.zeros(tokens[0], "int32"),
    }
    weights = {"masked_lm": np.ones(masked, "float32"), "next_sentence": np.ones(tokens[0], "float32")}
    with keras.RematScope() if remat else contextlib.nullcontext():
        if sharing is None:
            model = net = Pretrainer(Encoder(config, dtype=dtype))
        else:
            model = ReplacedTokenPretrainer(config, embedding_sharing=sharing, dtype=dtype)
            net = model.generator
        model.compile(adamw(1e-4), jit_compile=False)
        inputs = {name: inputs[name] for name in net.input}
        labels, weights = ({name: each[name] for name in net.objectives} for each in (labels, weights))
        for _ in range(STEPS):
            model.train_on_batch(inputs, labels, weights)
    return model


def memory_of(field):
    """Returns the bytes that a field of /proc/self/status gives."""
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) * 1024 for line in stream if line.startswith(field))


if __name__ == "__main__":
    main()
