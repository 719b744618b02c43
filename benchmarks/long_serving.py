"""What a text of 8,192 tokens costs a served model: seconds, and the most memory that its process holds.

    python -m benchmarks.long_serving

A model of a published size with random weights (--model, --layers for fewer of its blocks) is exported as a SavedModel
of strings, in float32. A fresh process, which knows TensorFlow alone, loads it and asks it a short text first, then one
of --tokens tokens, twice. Prints one JSON line: seconds to load and for each text, and megabytes resident at most, once
loaded and in the end.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPECIAL = 2  # tokens around a text, [CLS] and [SEP]


def main():
    """Exports and asks; or with --export or --ask does one of the two in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="modernbert-base")
    parser.add_argument("--layers", type=int, help="blocks (default: the model's own)")
    parser.add_argument("--vocab_size", type=int, help="(default: the model's own)")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--export", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.export:
        write(args.model, args.export, layers=args.layers, vocab_size=args.vocab_size, tokens=args.tokens)
    elif args.ask:
        print(json.dumps(ask(args.ask, args.tokens)))
    else:
        print(json.dumps(measure(args.model, layers=args.layers, vocab_size=args.vocab_size, tokens=args.tokens)))


def measure(model, *, layers=None, vocab_size=None, tokens=8192):
    """Exports a model and asks it, each in a process of its own. Returns the figures."""
    sizes = [f"--{name}={value}" for name, value in (("layers", layers), ("vocab_size", vocab_size)) if value]
    flags = [f"--model={model}", f"--tokens={tokens}", *sizes]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model", "1")
        _run(*flags, f"--export={path}")
        figures = json.loads(_run(*flags, f"--ask={path}").splitlines()[-1])
    return {"model": model, "layers": layers, "tokens": tokens, **figures}


def _run(*flags):
    """Runs this program in a fresh process. Returns what it printed."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "benchmarks.long_serving", *flags]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nfailed:\n{done.stderr[-3000:]}")
    return done.stdout


def write(model, path, *, layers=None, vocab_size=None, tokens=8192):
    """Exports an encoder with random weights, whose words are w0, w1 and so on."""
    import keras

    from keras_bert.config import Config
    from keras_bert.models import Encoder
    from keras_bert.serving.export import export
    from keras_bert.text.tokenizer import Tokenizer
    from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

    changes = {"num_hidden_layers": layers, "vocab_size": vocab_size}
    config = Config.from_name(model, pad_token_id=0, **{name: value for name, value in changes.items() if value})
    words = (f"w{i}" for i in range(config.vocab_size - len(SPECIAL_TOKENS)))
    keras.utils.set_random_seed(0)
    export(Encoder(config), Tokenizer(Vocabulary([*SPECIAL_TOKENS, *words])), path, max_seq_length=tokens)


def ask(path, tokens):
    """Loads a SavedModel and asks it. Returns seconds and megabytes."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  whose operations the graph has

    figures = {}

    def timed(name, function, *given):
        begin = time.perf_counter()
        found = function(*given)
        figures[name] = round(time.perf_counter() - begin, 2)
        return found

    signature = timed("load_s", lambda: tf.saved_model.load(str(path)).signatures["serving_default"])
    figures["loaded_mb"] = most_resident()

    def answer(count):
        return signature(text=tf.constant([" ".join(f"w{i % 100}" for i in range(count - SPECIAL))]))["embedding"]

    timed("short_s", answer, 10)
    timed("first_s", answer, tokens)
    timed("again_s", answer, tokens)
    return {**figures, "peak_mb": most_resident()}


def most_resident():
    """Returns the most megabytes that this process has held so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


if __name__ == "__main__":
    main()
