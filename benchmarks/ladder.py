"""What pays in pre-training: one technique a rung, all on one clock, measured by two figures that compare.

    python -m benchmarks.ladder --folder=/tmp/ladder --shared=../shared --minutes=15
    python -m benchmarks.ladder --folder=/tmp/ladder --shared=../shared --minutes=120 --rungs=run_mlm,best,rtd --seeds=3

Each rung trains for the same time on two cores, in a process of its own, one after the other, on the articles of
../shared/data; reading and compiling are part of the time. Then it is measured:

    bits_per_byte  minus log2 of the probability of a fixed set of masked words of held-out text, all pieces of a word
                   and all chosen words of a text masked at once, divided by these words' bytes: so that vocabularies
                   compare. Not of replaced tokens, whose model predicts no words.
    tasks          the mean of CoLA (Matthews), MRPC (of accuracy and F1), STS-B (of Pearson and Spearman) and QNLI's
                   subset (accuracy), times 100, after fine-tuning with the same settings for all

Rungs differ from `base` in what their names say. `run_mlm` is the recipe of transformers' examples, run_mlm.py, in
torch: its defaults (AdamW at 5e-5 that falls linearly, batches of 8, texts joined and cut to the length, 15 % of
the tokens masked anew each time); `run_mlm_tuned` has our rate, batch, warm-up and bfloat16.

What is done lies in --folder and is not done again: the same command goes on where it was stopped. The last line is one
JSON line with all that was measured. Wants `pip install transformers torch` for run_mlm.
"""

import argparse
import dataclasses
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PARTS = 1000  # into which a run is cut to say how much of it is warm-up
TEXTS, TEXT_CHARACTERS, MASKED_SHARE = 2500, 200, 0.15  # of what words are masked in, held out
WORD = re.compile(r"\b[A-Za-z]{3,}\b")
TASKS = {"CoLA": 64, "MRPC": 128, "STS-B": 128, "QNLI": 128}  # tokens of each
FINE_TUNING = {"learning_rate": 1e-4, "num_train_epochs": 3, "train_batch_size": 32, "dtype": "mixed_bfloat16"}
SHAPE = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024}


@dataclasses.dataclass(frozen=True)
class Rung:
    """One way to train.

    Attributes:
        size: a published size, cut down to SHAPE.
        records: flags of create_pretraining_data besides the common ones.
        vocab_size: entries of the vocabulary.
        options: those of `pretrain` besides the common ones.
        config: fields of Config besides SHAPE.
    """

    size: str = "mini"
    records: dict = dataclasses.field(default_factory=dict)
    vocab_size: int = 8000
    options: dict = dataclasses.field(default_factory=dict)
    config: dict = dataclasses.field(default_factory=dict)


FULL = {"pack": "full", "short_seq_prob": 0.0}
RUNGS = {
    "base": Rung(),
    "rtd": Rung("electra-small", options={"objective": "rtd"}, config={"embedding_size": 128}),
    "packing": Rung(records=FULL),
    "masking_30": Rung(options={"masked_lm_prob": 0.3}),
    "whole_words": Rung(options={"masking": "whole_word"}),
    "modern": Rung("modernbert-base", config={"attention_window": (None, 32, 32), "intermediate_size": 683}),
    "muon": Rung(options={"optimizer": "muon"}),
    "wsd": Rung(options={"schedule": "wsd", "num_decay_steps": PARTS // 5}),
    "vocabulary_4k": Rung(vocab_size=4000),
    "vocabulary_16k": Rung(vocab_size=16000),
    "short_first": Rung(options={"phases": f"32:{PARTS * 7 // 10}:256,128:{PARTS * 3 // 10}:64"}),
    "run_mlm": Rung(),
    "run_mlm_tuned": Rung(),
}
COMMON = {"learning_rate": 1e-3, "train_batch_size": 64, "num_warmup_steps": PARTS // 10, "bias_correction": True}
COMMON |= {"num_train_steps": PARTS, "dtype": "mixed_bfloat16", "masked_lm_prob": 0.15, "beta_2": 0.98}


def main():
    """Trains and measures the rungs that are asked for; or, with --only, trains or measures one in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, type=Path, help="for records, models and results; kept")
    parser.add_argument("--shared", required=True, type=Path, help="where data/ with corpora and GLUE lies")
    parser.add_argument("--minutes", type=float, default=15.0, help="of training")
    parser.add_argument("--rungs", default=",".join(RUNGS), help="which, in this order; best+NAME,... joins several")
    parser.add_argument("--seeds", type=int, default=1, help="of fine-tuning, whose mean counts")
    parser.add_argument("--only", choices=("train", "words"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    rungs = args.rungs.split(",")
    if args.only:
        [name] = rungs
        {"train": train, "words": measure_words}[args.only](name, args)
        return
    results = {}
    for name in rungs:
        rung_of(name)  # or what is wrong with it, before anything is trained
    for name in rungs:
        results[name] = climb(name, args)
        print(json.dumps({name: results[name]}), flush=True)
    print(json.dumps({"minutes": args.minutes, "seeds": args.seeds, **results}))


def rung_of(name):
    """Returns the Rung of a name, "base" or "packing+muon": several techniques together."""
    parts = [RUNGS[part] for part in name.split("+")]
    rung = parts[0]
    for part in parts[1:]:
        plain = Rung()
        changed = {f.name: getattr(part, f.name) for f in dataclasses.fields(Rung)}
        for field, value in changed.items():
            if isinstance(value, dict):
                value = {**getattr(rung, field), **value}
            elif value == getattr(plain, field):
                continue
            rung = dataclasses.replace(rung, **{field: value})
    return rung


def climb(name, args):
    """Returns the figures of a rung, trained and measured where that was not done before."""
    folder = place(name, args)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "trained.json").exists():
        make_records(rung_of(name), args)
        again(name, args, "train")
    figures = read_json(folder / "trained.json")
    if "rtd" not in name:
        if not (folder / "words.json").exists():
            again(name, args, "words")
        figures |= read_json(folder / "words.json")
    scores = {task: fine_tuned(task, folder, args) for task in TASKS}
    figures |= {"tasks": {task: round(score, 2) for task, score in scores.items()}}
    return figures | {"mean": round(float(np.mean(list(scores.values()))), 2)}


def place(name, args):
    """Returns the folder of a rung for so many minutes."""
    return args.folder / f"{name}-{args.minutes:g}"


def again(name, args, what):
    """Does a part of the work in a process of its own."""
    flags = [f"--folder={args.folder}", f"--shared={args.shared}", f"--minutes={args.minutes}", f"--rungs={name}"]
    subprocess.run([sys.executable, "-m", "benchmarks.ladder", *flags, f"--only={what}"], check=True)


def our_tool(command, **flags):
    """Runs a keras-bert command."""
    flags = [f"--{name}={value}" for name, value in flags.items()]
    subprocess.run([sys.executable, "-m", "keras_bert.cli.main", command, *flags], check=True)


def corpus(args, part):
    """Returns the path of the text to train on or to measure on."""
    return args.shared / "data" / "corpora" / f"enwiki2019_articles.{part}.txt.xz"


def vocab_file(rung, args):
    """Returns the path of a rung's vocabulary."""
    return args.folder / f"vocab-{rung.vocab_size}.txt"


def lengths_of(rung):
    """Returns the lengths of the records that a rung reads."""
    return [int(part.split(":")[0]) for part in rung.options.get("phases", "128:1").split(",")]


def records(rung, args):
    """Returns the paths of a rung's records."""
    kind = "-".join(["records", str(rung.vocab_size), rung.records.get("pack", "none")])
    return [args.folder / f"{kind}-{length}.tfrecord" for length in lengths_of(rung)]


def make_records(rung, args):
    """Makes the vocabulary and unmasked records of a rung, where they do not stand there yet."""
    if not vocab_file(rung, args).exists():
        made = {"input_file": corpus(args, "train"), "vocab_file": vocab_file(rung, args)}
        our_tool("train_vocab", **made, vocab_size=rung.vocab_size)
    for length, path in zip(lengths_of(rung), records(rung, args), strict=True):
        if not path.exists():
            made = {"input_file": corpus(args, "train"), "output_file": path, "vocab_file": vocab_file(rung, args)}
            sizes = {"max_seq_length": length, "max_predictions_per_seq": math.ceil(0.15 * length), "dynamic": "true"}
            our_tool("create_pretraining_data", **made, **sizes, sentence_task="none", **rung.records)


def our_config(rung, args):
    """Returns the Config of a rung."""
    from keras_bert.config import Config

    entries = len(vocab_file(rung, args).read_text(encoding="utf-8").splitlines())
    fields = {**SHAPE, "vocab_size": entries, "max_position_embeddings": 128, "pad_token_id": 0, **rung.config}
    return Config.from_name(rung.size, **fields)


def train(name, args):
    """Trains a rung, and says how many steps it made."""
    rung, folder = rung_of(name), place(name, args)
    if name.startswith("run_mlm"):
        steps = train_torch(rung, folder, args, tuned=name == "run_mlm_tuned")
    else:
        from keras_bert.text.tokenizer import Tokenizer
        from keras_bert.training.pretrain import pretrain

        options = {**COMMON, "objective": "mlm", "max_minutes": args.minutes, **rung.options}
        tokenizer = Tokenizer(vocab_file(rung, args))
        pretrain(
            records(rung, args), folder / "model", our_config(rung, args), tokenizer=tokenizer, **options, log=print
        )
        log = (folder / "model" / "train_log.jsonl").read_text(encoding="utf-8").splitlines()
        steps = json.loads(log[-1])["step"]
    write_json(folder / "trained.json", {"steps": steps})


def train_torch(rung, folder, args, *, tuned):
    """Trains transformers' BertForMaskedLM as run_mlm.py does. Returns how many steps it made."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast, DataCollatorForLanguageModeling

    torch.manual_seed(0)
    tokenizer = BertTokenizerFast(str(vocab_file(rung, args)))
    blocks = joined_blocks(tokenizer, folder, args)
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **SHAPE)).train()
    peak, batch_size = (COMMON["learning_rate"], COMMON["train_batch_size"]) if tuned else (5e-5, 8)
    warmup = COMMON["num_warmup_steps"] / PARTS if tuned else 0.0
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1]
    others = [p for n, p in model.named_parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.01 if tuned else 0.0}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, peak, fused=True)
    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    rng, budget, steps, begin = np.random.default_rng(0), 60 * args.minutes, 0, time.perf_counter()
    while (share := (time.perf_counter() - begin) / budget) < 1:
        for group in optimizer.param_groups:
            group["lr"] = peak * (share / warmup if share < warmup else 1 - share)
        chosen = rng.integers(0, len(blocks), batch_size)
        batch = collate([{"input_ids": blocks[i].tolist()} for i in chosen])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=tuned):
            loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
        if steps % 100 == 0:
            print(f"step {steps}, loss {loss.item():.3f}, {share:.0%}", flush=True)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return steps


def joined_blocks(tokenizer, folder, args):
    """Returns int32 (N, 128): all texts with their special tokens, joined and cut, as run_mlm.py's group_texts does."""
    import lzma

    path = args.folder / "blocks.npy"
    if not path.exists():
        ids = []
        with lzma.open(corpus(args, "train"), "rt", encoding="utf-8") as lines:
            texts = [line.strip() for line in lines if line.strip()]
        for start in range(0, len(texts), 1000):
            ids.extend(np.array(row, np.int32) for row in tokenizer(texts[start : start + 1000])["input_ids"])
        flat = np.concatenate(ids)
        np.save(path, flat[: len(flat) // 128 * 128].reshape(-1, 128))
    return np.load(path, mmap_mode="r")


def held_out_words(args):
    """Returns a list of (text, [(start, end) of each word to mask]), the same for every model."""
    import lzma

    rng, found = np.random.default_rng(0), []
    with lzma.open(corpus(args, "dev"), "rt", encoding="utf-8") as lines:
        for line in lines:
            text = line.strip()[:TEXT_CHARACTERS].rpartition(" ")[0]
            words = [match.span() for match in WORD.finditer(text)]
            if len(words) < 15 or not text.isascii():  # of other scripts a small vocabulary makes too many pieces
                continue
            chosen = rng.choice(len(words), max(1, round(MASKED_SHARE * len(words))), replace=False)
            found.append((text, [words[i] for i in sorted(chosen)]))
            if len(found) == TEXTS:
                break
    return found


def measure_words(name, args):
    """Writes the bits that a model needs for a byte of the held-out words."""
    from keras_bert.models import Pretrainer
    from keras_bert.text.tokenizer import Tokenizer

    folder = place(name, args)
    model, tokenizer = Pretrainer.from_pretrained(folder / "model"), Tokenizer.from_pretrained(folder / "model")
    bits, size = 0.0, 0
    for text, words in held_out_words(args):
        encoded = tokenizer.encode(text, return_offsets=True)
        ids, offsets = encoded["input_ids"], encoded["offsets"]
        if len(ids) > model.bert_config.max_length:
            raise SystemExit(f"{len(ids)} tokens are too many for the model: {text!r}")
        inside = np.zeros(len(ids), bool)
        for start, end in words:
            inside |= (offsets[:, 0] >= start) & (offsets[:, 1] <= end) & (offsets[:, 1] > offsets[:, 0])
        inputs = {each: encoded[each][None] for each in ("input_mask", "segment_ids")}
        inputs["input_ids"] = np.where(inside, tokenizer.mask_id, ids)[None]
        inputs["masked_lm_positions"] = np.flatnonzero(inside)[None]
        logits = np.asarray(model(inputs)["masked_lm"][0], np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        losses = np.log(np.exp(logits).sum(axis=-1)) - logits[np.arange(len(logits)), ids[inside]]
        bits += losses.sum() / math.log(2)
        size += sum(len(text[start:end].encode()) for start, end in words)
    write_json(folder / "words.json", {"bits_per_byte": round(bits / size, 4), "bytes": size})


def fine_tuned(task, folder, args):
    """Returns a task's score, times 100, fine-tuned where that was not done before."""
    out = folder / f"{task}-{args.seeds}"
    if not (out / "eval_results.json").exists():
        options = {"task_name": task, "data_dir": glue_folder(args), "init_checkpoint": folder / "model"}
        options |= {"output_dir": out, "num_runs": args.seeds, "max_seq_length": TASKS[task], "do_predict": "false"}
        our_tool("glue", **options, **FINE_TUNING, force="true")
    results = read_json(out / "eval_results.json")
    names = {"CoLA": ["matthews_correlation"], "MRPC": ["accuracy", "f1"], "STS-B": ["pearson", "spearman"]}
    runs = results.get("runs") or [results]
    return 100 * float(np.mean([[run[name] for name in names.get(task, ["accuracy"])] for run in runs]))


def glue_folder(args):
    """Returns a folder with the four tasks' files under GLUE's names, QNLI's subset as the whole."""
    folder, data = args.folder / "glue", args.shared.resolve() / "data" / "glue"
    for task in TASKS:
        (folder / task).mkdir(parents=True, exist_ok=True)
        for split in ("train", "dev"):
            subset = data / task / f"{split}.subset.tsv"
            source = subset if split == "train" and subset.exists() else data / task / f"{split}.tsv"
            if not (folder / task / f"{split}.tsv").exists():
                (folder / task / f"{split}.tsv").symlink_to(source)
    return folder


def read_json(path):
    """Returns what a file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path, fields):
    """Writes it, whole or not at all."""
    path.with_suffix(".part").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    path.with_suffix(".part").rename(path)


if __name__ == "__main__":
    main()
