"""Masked-LM loss at equal time: our `pretrain` against Hugging Face's BertForPreTraining, on the same records.

    python -m benchmarks.pretraining_peer --folder=/tmp/peer --corpus='corpora/*.train.txt.xz' \\
        --heldout='corpora/*.dev.txt.xz' --minutes=15

Both train a masked LM and the next sentence in bfloat16 with AdamW (decay 0.01, none on biases and LayerNorm, global
clipping at 1, dropout 0.1) and the same rate over the share of the time: up to the peak, then down to 0. Each runs in
a process of its own, one after the other.

    ours         `pretrain(max_minutes=...)`, records from their files
    torch        transformers' modules with the heads at the masked positions alone, records from memory
    torch_stock  transformers' BertForPreTraining as it comes, logits at all positions, records from memory

The clock of each runs while it trains, from the first step's compilation on, with logs and checkpoints (ours); reading
the records into memory (torch) stands outside it. Nothing is measured on the way: the curves are the losses of the
training batches. What counts is one definition by one program for all: `evaluate_pretraining` on the model that each
saved, in float32: the sum of the masked slots' losses over the held-out examples / the number of these slots. Both
optimizers correct their moments' bias, as torch's always does; --nobias_correction runs ours as Google's code does.

Vocabulary and records are made once in --folder, by our tools; curve-NAME.jsonl and curves.png appear there as well.
The last line is one JSON line. Wants `pip install transformers torch`.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from keras_bert.cli.flags import add_bool

SIDES = ("ours", "torch", "torch_stock")
PARTS = 1000  # into which ours cuts the run to say how much of it is warm-up
EVAL_BATCH = 64


def main():
    """Makes the records, runs the sides one after the other and compares; or, with --only, runs one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, type=Path, help="for records, models and curves; kept")
    parser.add_argument("--corpus", required=True, help="text to train on: paths, quoted globs")
    parser.add_argument("--heldout", required=True, help="text to measure on")
    parser.add_argument("--minutes", type=float, default=15.0, help="of training on each side")
    parser.add_argument("--size", default="mini", help="of Config.from_name")
    parser.add_argument("--vocab_size", type=int, default=8000)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--max_predictions_per_seq", type=int, default=20)
    parser.add_argument("--dupe_factor", type=int, default=1, help="copies of the training text with other masks")
    parser.add_argument("--learning_rate", type=float, default=1e-3, help="peak")
    add_bool(parser, "bias_correction", default=True, help="of our optimizer's moments")
    parser.add_argument("--warmup", type=float, default=0.1, help="share of the time")
    parser.add_argument("--eval_batches", type=int, default=32, help=f"held-out examples / {EVAL_BATCH}")
    parser.add_argument("--steps_per_point", type=int, default=100, help="steps between two points of a curve")
    parser.add_argument("--sides", default="ours,torch", help=f"of {', '.join(SIDES)}, in this order")
    parser.add_argument("--only", choices=SIDES, help="run one side in this process")
    args = parser.parse_args()
    if args.only:
        (train_ours if args.only == "ours" else train_torch)(args)
        return
    sides = args.sides.split(",")
    make_records(args)
    for side in sides:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.pretraining_peer", *sys.argv[1:], f"--only={side}"], check=True
        )
    losses = {side: final_loss(side, args) for side in sides}
    curves = {side: read_lines(args.folder / f"curve-{side}.jsonl") for side in sides}
    draw(curves, losses, args)
    settings = ("minutes", "size", "vocab_size", "batch_size", "max_seq_length", "learning_rate", "warmup")
    line = {name: getattr(args, name) for name in (*settings, "bias_correction")}
    line |= {"steps": {side: rows[-1]["step"] for side, rows in curves.items()}, "masked_lm_loss": losses}
    if "ours" in losses:
        line["ours_below"] = {side: round(loss - losses["ours"], 4) for side, loss in losses.items() if side != "ours"}
    print(json.dumps(line))


def make_records(args):
    """Makes the vocabulary, and the records of both texts, where they do not stand in the folder yet."""
    args.folder.mkdir(parents=True, exist_ok=True)
    vocab_file = args.folder / "vocab.txt"
    if not vocab_file.exists():
        our_tool("train_vocab", input_file=args.corpus, vocab_file=vocab_file, vocab_size=args.vocab_size)
    for name, text, dupe_factor in (("train", args.corpus, args.dupe_factor), ("dev", args.heldout, 1)):
        if not records_of(name, args).exists():
            our_tool(
                "create_pretraining_data",
                input_file=text,
                output_file=records_of(name, args),
                vocab_file=vocab_file,
                max_seq_length=args.max_seq_length,
                max_predictions_per_seq=args.max_predictions_per_seq,
                dupe_factor=dupe_factor,
            )


def our_tool(command, **flags):
    """Runs a keras-bert command."""
    flags = [f"--{name}={value}" for name, value in flags.items()]
    subprocess.run([sys.executable, "-m", "keras_bert.cli.main", command, *flags], check=True)


def records_of(name, args):
    """Returns the path of the "train" or the "dev" records."""
    return args.folder / f"{name}.tfrecord"


def our_config(args):
    """Returns the Config of both sides."""
    from keras_bert.config import Config

    entries = len((args.folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    return Config.from_name(args.size, vocab_size=entries)


def train_ours(args):
    """Trains on our side."""
    from keras_bert.training.pretrain import pretrain

    pretrain(
        records_of("train", args),
        args.folder / "ours",
        our_config(args),
        restart=True,
        max_minutes=args.minutes,
        learning_rate=args.learning_rate,
        num_train_steps=PARTS,
        num_warmup_steps=round(PARTS * args.warmup),
        bias_correction=args.bias_correction,
        train_batch_size=args.batch_size,
        steps_per_loop=args.steps_per_point,
        dtype="mixed_bfloat16",
        log=print,
    )
    rows = read_lines(args.folder / "ours" / "train_log.jsonl")
    names = ("step", "seconds", "masked_lm_loss")
    write_lines(args.folder / "curve-ours.jsonl", [{name: row[name] for name in names} for row in rows])


def train_torch(args):
    """Trains on Hugging Face's side, from arrays in memory."""
    import torch

    model, optimizer = torch_model(args)
    train = read_arrays(records_of("train", args))
    logits = stock_logits if args.only == "torch_stock" else gathered_logits
    budget, spent, losses, rows = 60 * args.minutes, 0.0, [], []
    order = batches_of(len(train["input_ids"]), args.batch_size, np.random.default_rng(0))
    while spent < budget:
        begin = time.perf_counter()
        share = spent / budget
        rate = args.learning_rate * (share / args.warmup if share < args.warmup else 1 - share)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = {name: torch.from_numpy(array[chosen]) for chosen in [next(order)] for name, array in train.items()}
        masked_lm, next_sentence = torch_losses(logits, model, batch)
        optimizer.zero_grad()
        (masked_lm + next_sentence).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(masked_lm.item())
        spent += time.perf_counter() - begin
        if len(losses) % args.steps_per_point == 0 or spent >= budget:
            mean = float(np.mean(losses[rows[-1]["step"] if rows else 0 :]))
            rows.append({"step": len(losses), "seconds": spent, "masked_lm_loss": mean})
            print(args.only, rows[-1], flush=True)
    write_lines(args.folder / f"curve-{args.only}.jsonl", rows)
    model.save_pretrained(args.folder / args.only)


def torch_model(args):
    """Returns transformers' model of our config, and AdamW that leaves biases and LayerNorm undecayed."""
    import torch
    from transformers import BertConfig, BertForPreTraining

    torch.manual_seed(0)
    config = our_config(args).to_dict()
    shape = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    model = BertForPreTraining(BertConfig(**{name: config[name] for name in shape})).train()
    groups = {0.01: [], 0.0: []}
    for name, parameter in model.named_parameters():
        groups[0.0 if name.endswith("bias") or "LayerNorm" in name else 0.01].append(parameter)
    groups = [{"params": parameters, "weight_decay": decay} for decay, parameters in groups.items()]
    return model, torch.optim.AdamW(groups, args.learning_rate, eps=1e-6, fused=True)


def read_arrays(path):
    """Returns {name: int64 array or float32 weights} of all examples of a TFRecord file."""
    from keras_bert.data.datasets import pretraining_dataset

    parts = []
    once = {"shuffle": False, "repeat": False, "drop_remainder": False}
    for x, y, weights in pretraining_dataset(path, batch_size=1024, **once).as_numpy_iterator():
        ids = {**x, **y}
        parts.append({name: array.astype(np.int64) for name, array in ids.items()} | {"weights": weights["masked_lm"]})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def batches_of(examples, batch_size, rng):
    """Yields the numbers of the examples of one batch after the other, each epoch in a new order."""
    while True:
        order = rng.permutation(examples)
        for start in range(0, examples - batch_size + 1, batch_size):
            yield np.sort(order[start : start + batch_size])


def inputs_of(batch):
    """Returns a batch's inputs by transformers' names."""
    return {
        "input_ids": batch["input_ids"],
        "attention_mask": batch["input_mask"],
        "token_type_ids": batch["segment_ids"],
    }


def gathered_logits(model, batch):
    """Returns (masked-LM logits (B, P, V), next-sentence logits (B, 2)), the heads at the masked positions alone."""
    sequence, pooled = model.bert(**inputs_of(batch))[:2]
    places = batch["masked_lm_positions"][..., None].expand(-1, -1, sequence.shape[-1])
    return model.cls(sequence.gather(1, places), pooled)


def stock_logits(model, batch):
    """Returns the same by the whole model, which computes logits (B, S, V)."""
    outputs = model(**inputs_of(batch))
    vocabulary = outputs.prediction_logits.shape[-1]
    places = batch["masked_lm_positions"][..., None].expand(-1, -1, vocabulary)
    return outputs.prediction_logits.gather(1, places), outputs.seq_relationship_logits


def masked_lm_sum(logits, batch):
    """Returns the summed loss of the masked slots of a batch."""
    import torch

    losses = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), batch["masked_lm"].flatten(), reduction="none"
    )
    return (losses * batch["weights"].flatten()).sum()


def torch_losses(logits, model, batch):
    """Returns the losses of both tasks."""
    import torch

    with torch.autocast("cpu", dtype=torch.bfloat16):
        masked_lm, next_sentence = logits(model, batch)
    next_sentence = torch.nn.functional.cross_entropy(next_sentence.float(), batch["next_sentence"])
    return masked_lm_sum(masked_lm, batch) / batch["weights"].sum(), next_sentence


def final_loss(side, args):
    """Returns the held-out masked-LM loss of the model that a side saved."""
    from keras_bert.training.evaluation import evaluate_pretraining

    limits = {"eval_batch_size": EVAL_BATCH, "max_eval_steps": args.eval_batches}
    return round(evaluate_pretraining(args.folder / side, records_of("dev", args), **limits)["masked_lm_loss"], 4)


def read_lines(path):
    """Returns the objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path, rows):
    """Writes them."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def draw(curves, losses, args):
    """Draws the training losses over the minutes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="tight")
    axis = figure.subplots()
    for side, rows in curves.items():
        label = f"{side}: {rows[-1]['step']:,} steps, held-out {losses[side]:.3f}"
        axis.plot(
            [row["seconds"] / 60 for row in rows], [row["masked_lm_loss"] for row in rows], "o-", ms=3, label=label
        )
    axis.set_xlabel("minutes of training")
    axis.set_ylabel("masked-LM loss of the training batches")
    axis.set_title(f"{args.size}, batch {args.batch_size} x {args.max_seq_length}, bfloat16")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(args.folder / "curves.png", dpi=120)


if __name__ == "__main__":
    main()
