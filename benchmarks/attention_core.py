"""How much sooner is attention in a window done than full attention, and how does its memory grow with the length?

    python -m benchmarks.attention_core
    python -m benchmarks.attention_core --lengths=4096,8192 --windows=512

Only what lies between the projections is measured: from query, key and value to the context, in bfloat16, 2 heads of
64, one text. "forward" is without dropout and with plain operations, as a model predicts; "training" is forward and
backward with dropout 0.1 and the fused chain, as a model learns. A window of 512 is 256 tokens on each side.

Each kind runs in a process of its own; the least of several times counts. Prints one JSON line: for each length
milliseconds by the clock and of processor time, the most megabytes that its tensors took at once, and how many times
less each window takes than full attention of each.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

HEADS, HEAD_SIZE = 2, 64
MODES = ("forward", "training")


def main():
    """Runs a process for each kind, or, with --only, one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=numbers, default=(512, 1024, 2048, 4096, 8192))
    parser.add_argument("--windows", type=numbers, default=(512, 128))
    parser.add_argument("--repeats", type=int, default=7, help="timed calls of each kind")
    parser.add_argument("--only", type=int, help="run one window in this process, 0 for full attention")
    args = parser.parse_args()
    if args.only is not None:
        print(json.dumps({length: measured(length, args.only, args.repeats) for length in args.lengths}))
        return
    figures = {window: in_fresh_process(window) for window in (0, *args.windows)}
    lines = {}
    for length in map(str, args.lengths):
        full = figures[0][length]
        lines[length] = {"full": full}
        for window in args.windows:
            mine = figures[window][length]
            lines[length][f"window_{window}"] = {mode: with_ratios(mine[mode], full[mode]) for mode in MODES}
    print(json.dumps({"heads": HEADS, "head_size": HEAD_SIZE, "dtype": "bfloat16", "by_length": lines}))


def with_ratios(mine, full):
    """Returns the figures of one mode, and how many times less they are than full attention's."""
    return {**mine, "times_less": {name: round(full[name] / number, 2) for name, number in mine.items()}}


def numbers(text):
    """Returns the numbers of a list with commas."""
    return tuple(int(number) for number in text.split(","))


def in_fresh_process(window):
    """Returns what `measured` does for each length."""
    command = [sys.executable, "-m", "benchmarks.attention_core", *sys.argv[1:], f"--only={window}"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def measured(length, window, repeats):
    """Returns {mode: {"wall_ms", "cpu_ms", "peak_mb"}} of one length."""
    import tensorflow as tf

    import keras_bert.training.xla  # noqa: F401, installs the runner of fused chains

    rng = np.random.default_rng(0)
    heads = [tf.cast(rng.normal(size=(1, length, HEADS, HEAD_SIZE)), "bfloat16") for _ in range(3)]
    mask = tf.ones((1, length), "int32")

    def predict(*heads):
        return attention(*heads, mask, window, rate=0.0, dropout_key=None, fuse=False)

    def train(*heads):
        with tf.GradientTape() as tape:
            tape.watch(heads)
            context = attention(*heads, mask, window, rate=0.1, dropout_key=tf.constant([1, 2], "uint32"), fuse=True)
        return tape.gradient(context, heads, context)

    figures = {}
    for mode, function in zip(MODES, (predict, train), strict=True):
        step = tf.function(function, autograph=False)
        step(*heads)
        tf.config.experimental.reset_memory_stats("CPU:0")
        before = tf.config.experimental.get_memory_info("CPU:0")["current"]
        walls, cpus = [], []
        for _ in range(repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            tf.nest.map_structure(lambda x: x.numpy(), step(*heads))
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        peak = tf.config.experimental.get_memory_info("CPU:0")["peak"] - before
        figures[mode] = {"wall_ms": round(min(walls) * 1e3, 1), "cpu_ms": round(min(cpus) * 1e3, 1)}
        figures[mode]["peak_mb"] = round(peak / 1e6, 1)
    return figures


def attention(query, key, value, input_mask, window, *, rate, dropout_key, fuse):
    """Returns the context, (B, S, A, D), in a window or, if it is 0, in full as SelfAttention computes it."""
    from keras import ops

    from keras_bert.layers.attention import attention_weights
    from keras_bert.layers.patterns import heads_first, local_attention

    settings = {"scale": HEAD_SIZE**-0.5, "rate": rate, "fuse": fuse}
    if window:
        options = {"window": window // 2, "dropout_key": dropout_key}
        return local_attention(query, key, value, input_mask, **options, **settings)
    scores = ops.matmul(heads_first(query), ops.transpose(key, (0, 2, 3, 1)))
    weights = attention_weights(scores, input_mask, dropout_key, **settings)
    return heads_first(ops.matmul(weights, heads_first(value)))


if __name__ == "__main__":
    main()
