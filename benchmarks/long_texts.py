"""Long texts four ways: cut at what a short model reads, in its windows, or by a lengthened model, cut later or whole.

    keras-bert quickstart --family=roberta --output_dir=quickstart_roberta
    python -m benchmarks.long_texts --init_checkpoint=quickstart_roberta/pretrained --work_dir=build/long_texts

The short model is quickstart's: a RoBERTa of 2 layers of 128, trained on 64 tokens of docstrings; its untrained
positions are cut off first. All else is keras-bert's commands. `lengthen` makes a Longformer for 2,048 tokens of it,
each seeing 32 on both sides, which trains 120 steps on the docstrings of whole modules. Measured:

    masked LM    the loss on held-out modules of over 1,024 tokens: the short model's at 64 tokens, the long one's at
                 2,048 before and after these steps, and with positions that were drawn instead of copied
    classifier   which package a text of some 1,300 tokens or more is from: docstrings of modules that follow one
                 another, without the sentences that name a package; those of held-out modules for testing. Whole texts
                 and windows are read three times; shorter ones more often, in some hundred steps too

The commands' figures are kept in --work_dir, and what stands there is not done again: a run may be interrupted, and
--until ends it after a stage. The last line is one JSON line.
"""

import argparse
import dataclasses
import itertools
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SHORT, MIDDLE, LONG, WINDOW = 64, 512, 2048, 64
LEAST = 1024  # tokens of a long module
PASSAGE = 1300  # tokens of a text to classify, up to the end of a sentence
TRAIN, TEST = 30, 14  # most texts of a package
LEAST_TEST = 8  # a package with fewer is no class
NAMES = re.compile(
    r"tensorflow|keras|numpy|scipy|sklearn|scikit|matplotlib|pyplot|tfds|python|\b(?:tf|np|sp|plt|mpl)\b", re.I
)
LENGTHENING = "--num_train_steps=120 --train_batch_size=4 --learning_rate=5e-4 --num_warmup_steps=12"
CLASSIFYING = "--learning_rate=5e-4 --bias_correction"
WAYS = {
    "cut at 64": ("short", f"--max_seq_length={SHORT} --num_train_epochs=20 --train_batch_size=8"),
    "windows of 64": (
        "short",
        f"--max_seq_length={SHORT} --long_texts=windows --doc_stride=62 --num_train_epochs=3 --train_batch_size=8",
    ),
    "long, cut at 512": ("trained", f"--max_seq_length={MIDDLE} --num_train_epochs=6 --train_batch_size=4"),
    "long, whole": ("trained", f"--max_seq_length={LONG} --num_train_epochs=3 --train_batch_size=2"),
}


def main():
    """Does what is not done yet, and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init_checkpoint", required=True, type=Path, help="quickstart's pre-trained RoBERTa")
    parser.add_argument("--work_dir", required=True, type=Path, help="what is made on the way, to go on from")
    parser.add_argument("--until", choices=[stage.__name__ for stage in STAGES], help="end after this stage")
    parser.add_argument("--seeds", default="1,2", help="of the classifiers")
    args = parser.parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    figures = {}
    for stage in STAGES:
        figures |= stage(args, args.work_dir) or {}
        if stage.__name__ == args.until:
            break
    print(json.dumps(figures))


def texts(args, work):
    """Writes long modules to train and to measure on, their records, and the tables of the classifiers."""
    if not (work / "test.tsv").exists():
        _write_texts(args.init_checkpoint, work)
    for name, length in (("train", LONG), ("heldout", LONG), ("heldout", SHORT)):
        flags = f"--sentence_task=none --dupe_factor=1 --max_seq_length={length} --short_seq_prob=0"
        flags += f" --max_predictions_per_seq={-(-length * 15 // 100)}"
        place = work / f"{name}{length}.tfrecord"
        paths = {"input_file": work / f"{name}.txt", "vocab_file": args.init_checkpoint, "output_file": place}
        _run(place, "create_pretraining_data", flags, **paths)


def models(args, work):
    """Cuts the short model's untrained positions off, lengthens it, and trains it on long modules."""
    if not (work / "short").exists():
        _change_positions(args.init_checkpoint, work / "short", SHORT + 2, lambda table: table[: SHORT + 2])
    flags = f"--max_position_embeddings={LONG} --attention_window={WINDOW}"
    paths = {"init_checkpoint": work / "short", "output_dir": work / "lengthened"}
    _run(work / "lengthened", "lengthen", flags, **paths)
    if not (work / "drawn").exists():
        drawn = np.random.default_rng(0).normal(0, 0.05, (LONG - SHORT, 128)).astype(np.float32)
        change = lambda table: np.concatenate([table[: SHORT + 2], drawn])  # noqa: E731
        _change_positions(work / "lengthened", work / "drawn", LONG + 2, change)
    paths = {"init_checkpoint": work / "lengthened", "output_dir": work / "trained"}
    paths |= {"input_file": work / f"train{LONG}.tfrecord"}
    return {"seconds of lengthening's steps": _run(work / "trained", "pretrain", LENGTHENING, **paths)}


def masked_lm(args, work):
    """Measures the masked-LM loss of each on held-out modules."""
    found = {}
    for name, length in (("short", SHORT), ("drawn", LONG), ("lengthened", LONG), ("trained", LONG)):
        place = work / f"masked_lm_{name}.json"
        if not place.exists():
            from keras_bert.training.evaluation import evaluate_pretraining

            files, batch = [work / f"heldout{length}.tfrecord"], 8192 // length
            place.write_text(json.dumps(evaluate_pretraining(work / name, files, eval_batch_size=batch)))
        found[f"masked-LM loss, {name}, {length} tokens"] = round(json.loads(place.read_text())["masked_lm_loss"], 3)
    return found


def classifiers(args, work):
    """Fine-tunes and measures each way, a seed after the other."""
    paths = {"train_file": work / "train.tsv", "eval_file": work / "test.tsv"}
    found = {}
    for seed in map(int, args.seeds.split(",")):
        for way, (model, flags) in WAYS.items():
            place = work / f"{re.sub('[^a-z0-9]+', '_', way)}_{seed}"
            given = paths | {"init_checkpoint": work / model, "output_dir": place, "seed": seed}
            seconds = _run(place, "classify", f"{CLASSIFYING} {flags}", **given)
            results = json.loads((place / "eval_results.json").read_text())
            found[f"{way}, seed {seed}"] = {"accuracy": round(results["accuracy"], 3), "seconds": seconds}
    return found


STAGES = (texts, models, masked_lm, classifiers)


def _run(done, command, flags, **paths):
    """Runs a keras-bert command, unless it has ended well before. Returns the seconds that it took, when it ran."""
    clock = done.with_name(f"{done.name}.seconds")
    if not clock.exists():
        given = [f"--{name}={value}" for name, value in paths.items()]
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "keras_bert.cli.main", command, *flags.split(), *given], check=True)
        clock.write_text(f"{time.monotonic() - begin:.0f}")
    return int(clock.read_text())


def _write_texts(checkpoint, work):
    """Writes {train,heldout}.txt, long modules as documents, and {train,test}.tsv."""
    from keras_bert.cli.corpus import is_heldout
    from keras_bert.cli.docstrings import collect_docstrings
    from keras_bert.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(checkpoint)
    modules, passages = {"train": [], "heldout": []}, {"train": {}, "heldout": {}}
    for (package, module), documents in itertools.groupby(
        collect_docstrings(), lambda each: (each.package, each.module)
    ):
        sentences = [sentence for document in documents for sentence in document.sentences]
        split = "heldout" if is_heldout(module) else "train"
        if sum(len(tokenizer.token_ids(sentence)) for sentence in sentences) > LEAST:
            modules[split].append("\n".join(sentences))
        passages[split].setdefault(package, []).extend(each for each in sentences if not NAMES.search(each))
    for split, found in modules.items():
        (work / f"{split}.txt").write_text("\n\n".join(found) + "\n", encoding="utf-8")
    cut = {split: {p: _cut(each, tokenizer) for p, each in found.items()} for split, found in passages.items()}
    classes = [package for package, found in cut["heldout"].items() if len(found) >= LEAST_TEST]
    rng = np.random.default_rng(0)
    for split, name, most in (("train", "train", TRAIN), ("heldout", "test", TEST)):
        rows = [f"{text}\t{p}" for p in classes for text in rng.permutation(cut[split][p])[:most]]
        table = "\n".join(["text\tlabel", *rng.permutation(rows)])
        (work / f"{name}.tsv").write_text(table + "\n", encoding="utf-8")
        print(f"{name}: {len(rows)} texts of {len(classes)} packages, {', '.join(classes)}", flush=True)


def _cut(sentences, tokenizer):
    """Returns texts of at least PASSAGE tokens, sentence by sentence; what is left over is dropped."""
    found, text, length = [], [], 0
    for sentence in sentences:
        text.append(sentence.replace("\t", " "))
        length += len(tokenizer.token_ids(sentence))
        if length >= PASSAGE:
            found.append(" ".join(text))
            text, length = [], 0
    return found


def _change_positions(source, place, rows, change):
    """Writes a checkpoint with another position table: change(the old one)."""
    from keras_bert.checkpoints import open_checkpoint, write_checkpoint
    from keras_bert.checkpoints.lengthening import POSITIONS
    from keras_bert.text.tokenizer import Tokenizer

    old = open_checkpoint(source)

    def read(name):
        return change(old.read(name)) if name == POSITIONS else old.read(name)

    shapes = {**old.shapes, POSITIONS: (rows, *old.shapes[POSITIONS][1:])}
    config = old.config.replace(max_position_embeddings=rows)
    new = dataclasses.replace(old, config=config, shapes=shapes, read=read)
    write_checkpoint(new, place, tokenizer=Tokenizer.from_pretrained(source))


if __name__ == "__main__":
    main()
