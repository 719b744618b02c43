"""How much longer a block of DeBERTa takes than the same block of BERT.

    python -m benchmarks.deberta_block
    python -m benchmarks.deberta_block --lengths=128,256,512 --ways=graph,xla --rounds=6

A block is attention and feed-forward layer with dropout 0.1, of base size unless said otherwise; DeBERTa's has both
terms of relative places and v3's buckets and shared projections. A training step is the block forward and backward,
with gradients of its input, its weights and the table. Both run in turn in this process, in one thread; the least
processor time of each counts. "graph" is TensorFlow's ordinary graph, with the library's fused chains in training, and
"xla" is `jit_compile`.

Prints a line for each shape and, last, one JSON line with all ratios.
"""

import argparse
import json
import time

BUCKETS, MAX_DISTANCE = 256, 512  # of deberta-v3-base
KINDS = {
    "bert": {},
    "deberta": {
        "attention_kind": "disentangled",
        "attention_settings": {"buckets": BUCKETS, "max_distance": MAX_DISTANCE, "shares_projections": True},
    },
}


def main():
    """Measures every shape, and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="128,256,512", help="tokens of a sequence")
    parser.add_argument("--ways", default="graph,xla")
    parser.add_argument("--modes", default="training,inference")
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--hidden_size", type=int, default=768)
    parser.add_argument("--num_attention_heads", type=int, default=12)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--rounds", type=int, default=4, help="how often the two take turns")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a turn")
    args = parser.parse_args()

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    ratios = {}
    for way in args.ways.split(","):
        for mode in args.modes.split(","):
            for length in map(int, args.lengths.split(",")):
                best = measured({kind: block_step(kind, length, way, mode, args) for kind in KINDS}, args)
                name = f"{way} {mode} {length}"
                ratios[name] = round(best["deberta"] / best["bert"], 2)
                print(name, {kind: round(seconds * 1e3, 1) for kind, seconds in best.items()}, ratios[name], flush=True)
    settings = {name: getattr(args, name) for name in ("batch_size", "hidden_size", "num_attention_heads", "dtype")}
    print(json.dumps({**settings, "times_as_long_as_bert": ratios}))


def block_step(kind, length, way, mode, args):
    """Returns a function that runs a block of a kind once."""
    import numpy as np
    import tensorflow as tf

    import keras_bert.training.xla  # noqa: F401  (installs the runner of fused chains)
    from keras_bert.layers import TransformerBlock

    dtype = "mixed_bfloat16" if args.dtype == "bfloat16" else "float32"
    block = TransformerBlock(
        args.num_attention_heads, 4 * args.hidden_size, activation="gelu_erf", dtype=dtype, **KINDS[kind]
    )
    block.build((args.batch_size, length, args.hidden_size))
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(args.batch_size, length, args.hidden_size)), block.compute_dtype)
    mask = tf.ones(x.shape[:2], tf.int32)
    table = tf.Variable(rng.normal(size=(2 * BUCKETS, args.hidden_size)) * 0.02, dtype=tf.float32)
    weights = [weight.value for weight in block.trainable_weights] + [table] * (kind == "deberta")

    def forward(x, training):
        given = {"table": tf.cast(table, block.compute_dtype)} if kind == "deberta" else {}
        return block(x, mask, training=training, **given)

    @tf.function(jit_compile=way == "xla", autograph=False)
    def step(x):
        if mode == "inference":
            return [forward(x, False)]
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.cast(forward(x, True), tf.float32))
        return tape.gradient(loss, [x, *weights])

    return lambda: step(x)[0].numpy()


def measured(steps, args):
    """Returns {kind: the least seconds of processor time of one step}."""
    best = {}
    for step in steps.values():
        for _ in range(2):
            step()
    for _ in range(args.rounds):
        for kind, step in steps.items():
            for _ in range(args.steps):
                begin = time.process_time()
                step()
                best[kind] = min(best.get(kind, float("inf")), time.process_time() - begin)
    return best


if __name__ == "__main__":
    main()
