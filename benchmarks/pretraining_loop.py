"""What our loop costs beside the bare step, and whether the input pipeline keeps up.

    python -m benchmarks.pretraining_loop --size=small --batch_size=16
    python -m benchmarks.pretraining_loop --pipeline

The first compares the whole of `pretrain()` (records, log, curves, progress, checkpoints) with the same compiled step
on one batch that stays in memory, called from Python with nothing around it. Each runs in a process of its own, in
turn; the least time of each counts. The run is timed from its first steps to its last; a checkpoint is timed by itself
and charged by its share, one in 1000 steps being the default.

The second trains on real records, masked and unmasked ones, and on one batch of theirs that stays in memory, in turns
in one process; the most steps a second of each count.

The records are made from random words unless --input_file names some (--dynamic_file unmasked ones). The last line is
one JSON line.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDES = ("bare", "loop")
WARM_STEPS = 10  # before the clock starts
STEPS_PER_CALL = 20


def main():
    """Makes the records, runs both sides in turn and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", action="store_true", help="real records against a cached batch")
    parser.add_argument("--size", help="of Config.from_name (default: mini, with --pipeline tiny)")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--max_predictions_per_seq", type=int, default=20)
    parser.add_argument("--dtype", default="mixed_bfloat16", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--steps", type=int, default=200, help="timed steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save_checkpoints_steps", type=int, default=1000, help="steps that share a checkpoint's time")
    parser.add_argument("--input_file", help="masked TFRecords")
    parser.add_argument("--dynamic_file", help="unmasked TFRecords, for --pipeline")
    parser.add_argument("--only", choices=SIDES, help="time one side in this process")
    args = parser.parse_args()
    args.size = args.size or ("tiny" if args.pipeline else "mini")
    if args.only:
        print(json.dumps({"bare": bare_step, "loop": whole_run}[args.only](args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_missing_records(args, Path(folder))
        figures = pipeline(args) if args.pipeline else overhead(args)
    settings = ("size", "batch_size", "max_seq_length", "dtype", "steps", "rounds")
    print(json.dumps({**{name: getattr(args, name) for name in settings}, **figures}))


def overhead(args):
    """Returns milliseconds a step of both sides, the loop's with its share of a checkpoint, and their ratio."""
    best = {}
    for _ in range(args.rounds):
        for side in SIDES:
            command = [sys.executable, "-m", "benchmarks.pretraining_loop", *sys.argv[1:]]
            command += [f"--only={side}", f"--input_file={args.input_file}"]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            figures = json.loads(output.splitlines()[-1])
            print(side, figures, flush=True)
            best[side] = min(best.get(side, figures), figures, key=lambda each: each["ms_per_step"])
    checkpoint = best["bare"]["checkpoint_ms"] / args.save_checkpoints_steps
    ratio = (best["loop"]["ms_per_step"] + checkpoint) / best["bare"]["ms_per_step"]
    return {
        **best,
        "checkpoint_ms_per_step": round(checkpoint, 3),
        "loop_by_bare": round(ratio, 4),
        "overhead": f"{ratio - 1:.1%}",
    }


def make_missing_records(args, folder):
    """Makes the records that were not given, of random words, and notes them in `args`."""
    from keras_bert.config import Config
    from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
    from tfrecords.create_pretraining_data import create_pretraining_data

    words = [f"w{n}" for n in range(Config.from_name(args.size).vocab_size - len(SPECIAL_TOKENS))]
    rng = np.random.default_rng(0)
    for name, dynamic in (("input_file", False), ("dynamic_file", True)):
        if getattr(args, name) or (dynamic and not args.pipeline):
            continue
        if not (folder / "vocab.txt").exists():
            Vocabulary([*SPECIAL_TOKENS, *words]).save(folder / "vocab.txt")
            (folder / "text.txt").write_text(random_text(words, rng))
        create_pretraining_data(
            [folder / "text.txt"],
            folder / f"{name}.tfrecord",
            folder / "vocab.txt",
            max_seq_length=args.max_seq_length,
            max_predictions_per_seq=args.max_predictions_per_seq,
            dupe_factor=1 if dynamic else 2,
            dynamic=dynamic,
        )
        setattr(args, name, str(folder / f"{name}.tfrecord"))


def random_text(words, rng, *, documents=3000):
    """Returns documents of 20 sentences of about 12 words, a few of them frequent and most rare, as in language."""
    share = 1 / np.arange(1, len(words) + 1)
    drawn = iter(rng.choice(words, documents * 20 * 20, p=share / share.sum()))
    return "\n\n".join(
        "\n".join(" ".join(next(drawn) for _ in range(length)) for length in rng.integers(5, 20, 20))
        for _ in range(documents)
    )


def training_parts(args):
    """Returns (model, optimizer, strategy) as `pretrain` makes them."""
    import keras_bert as kb

    model = kb.Pretrainer(kb.Encoder(kb.Config.from_name(args.size), dtype=args.dtype))
    optimizer = kb.adamw(1e-4, num_train_steps=100_000, num_warmup_steps=100)
    optimizer.build(model.trainable_variables)
    return model, optimizer, kb.strategy("one_device")


def dataset_of(files, args, **share):
    """Returns the training batches of some records."""
    from keras_bert.data.datasets import pretraining_dataset

    return pretraining_dataset(files, batch_size=args.batch_size, seed=1, **share)


def bare_step(args):
    """Times the compiled step on one batch, and a checkpoint of all that it trains."""
    import tensorflow as tf

    from keras_bert.training.run_checkpoints import RunCheckpoints, run_variables
    from keras_bert.training.steps import make_replica_step

    model, optimizer, _ = training_parts(args)
    batch = next(iter(dataset_of(args.input_file, args)))
    step = tf.function(make_replica_step(model, optimizer))
    for _ in range(WARM_STEPS):
        step(batch).numpy()
    begin = time.perf_counter()
    for _ in range(args.steps):
        row = step(batch)
    row.numpy()
    seconds = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        RunCheckpoints(Path(folder), keep=1).save(1, run_variables(model, optimizer), {})
        saving = time.perf_counter() - begin
    return {"ms_per_step": round(seconds / args.steps * 1e3, 3), "checkpoint_ms": round(saving * 1e3, 1)}


def whole_run(args):
    """Times `pretrain()` by its own progress; it saves nothing meanwhile."""
    import keras_bert as kb
    from keras_bert.training.pretrain import pretrain

    total, reached = WARM_STEPS + args.steps, {}
    with tempfile.TemporaryDirectory() as folder:
        pretrain(
            args.input_file,
            Path(folder, "run"),
            kb.Config.from_name(args.size),
            train_batch_size=args.batch_size,
            num_train_steps=total,
            num_warmup_steps=WARM_STEPS,
            save_checkpoints_steps=total,  # the last, when the clock has stopped
            dtype=args.dtype,
            progress=lambda stage, done, *_: reached.setdefault(done, time.perf_counter()),
        )
    first = min(step for step in reached if step >= WARM_STEPS)
    if first > total // 2:
        sys.exit(f"Give more --steps: the first {first} of {total} ran in one call.")
    return {"ms_per_step": round((reached[total] - reached[first]) / (total - first) * 1e3, 3)}


def pipeline(args):
    """Returns steps a second on real records and on one batch of theirs, for masked and unmasked records."""
    from keras_bert.training.trainer import make_trainer

    trainer = make_trainer(*training_parts(args))
    figures = {}
    for name, files in (("masked", args.input_file), ("dynamic", args.dynamic_file)):
        sources = {
            "records": trainer.batches(lambda n, i, files=files: dataset_of(files, args, num_shards=n, shard_index=i)),
            "cached": trainer.batches(lambda *_, files=files: dataset_of(files, args).take(1).cache().repeat()),
        }
        best = dict.fromkeys(sources, 0.0)
        for batches in sources.values():
            trainer.train(batches, STEPS_PER_CALL)
        for _ in range(args.rounds):
            for source, batches in sources.items():
                best[source] = max(best[source], steps_per_second(trainer, batches, args.steps))
        ratio = best["records"] / best["cached"]
        figures[name] = {f"{source}_steps_per_second": round(rate, 2) for source, rate in best.items()}
        figures[name]["records_by_cached"] = round(ratio, 4)
        print(name, figures[name], flush=True)
    return figures


def steps_per_second(trainer, batches, steps):
    """Returns the rate of training at least so many steps."""
    calls = -(-steps // STEPS_PER_CALL)
    begin = time.perf_counter()
    for _ in range(calls):
        trainer.train(batches, STEPS_PER_CALL)
    return calls * STEPS_PER_CALL / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
