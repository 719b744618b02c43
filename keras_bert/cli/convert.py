"""Checkpoint of any format -> checkpoint of another: a model directory, Hugging Face's plain one, or Google's TF1.

    keras-bert convert --init_checkpoint bert-base-uncased --output_dir converted --format keras_bert

Arrays are copied one at a time, so that a large model needs no more memory than its largest array, and
TensorFlow is not started. Heads, vocabulary and casing travel; what has no place in the new format is named.
"""

import json
import math
import shlex
from pathlib import Path

from keras_bert.cli.checkpoint_flags import add_checkpoint_flags
from keras_bert.cli.conversion import open_source, write_source
from keras_bert.cli.flags import Group
from keras_bert.cli.tokenizer_flags import add_rule_flags

# google-research/bert's program for a task; others begin with run_classifier.py.
SCRIPTS = {"answer": "run_squad.py", "fill_mask": "run_pretraining.py"}

MAIN = ("init_checkpoint", "output_dir", "format", "vocab_file")


def add_arguments(parser):
    """Adds the flags."""
    model, output = Group(parser, "model"), Group(parser, "output")
    model.add_argument(
        "--init_checkpoint",
        required=True,
        help="our model directory, a Google checkpoint (directory or prefix) or a Hugging Face directory",
    )
    output.add_argument("--output_dir", required=True, help="directory to write")
    output.add_argument(
        "--format", required=True, help="keras_bert (a Hugging Face directory and task.json), huggingface or google"
    )
    model.add_argument("--vocab_file", help="vocabulary (default: the one next to the checkpoint)")
    add_checkpoint_flags(parser)
    add_rule_flags(
        parser,
        do_lower_case="whether the vocabulary is lower-cased (default: as the checkpoint or its vocabulary says)",
    )


def run(args):
    """Runs the command: prints what it resolved, what it wrote, what has no place, and the next command."""
    from keras_bert.checkpoints import FORMATS, check_format, find_format

    check_format(args.format)
    output_dir = Path(args.output_dir)
    checkpoint, tokenizer, unread = open_source(args)
    config, number = checkpoint.config, sum(map(math.prod, checkpoint.shapes.values()))
    shape = f"{config.num_hidden_layers} layers of {config.hidden_size}, vocabulary {config.vocab_size:,}"
    what = FORMATS[find_format(args.init_checkpoint)].what
    print(f"checkpoint: {args.init_checkpoint} ({what}: {shape}, {config.hidden_act}, {number:,} weights)")
    print(f"head: {_describe_head(checkpoint)}")
    print(f"vocabulary: {_describe_tokenizer(tokenizer, checkpoint.folder, unread)}", flush=True)
    lost = list(checkpoint.notes)
    write_source(checkpoint, args, notes=lost, tokenizer=tokenizer, unread=unread, format=args.format)
    for note in lost:
        print(f"note: {note}")
    print(f"next: {_next_command(args.format, output_dir, checkpoint, tokenizer)}")
    return {"path": str(output_dir), "format": args.format, "notes": lost}


def _describe_head(checkpoint):
    names = sorted({name.rpartition("/")[0] or name for name in checkpoint.shapes if not name.startswith("bert/")})
    task = checkpoint.task.get("task")
    number = checkpoint.task.get("num_classes")
    classes = "" if number is None else f", {number} class{'' if number == 1 else 'es'}"
    return f"{f'{task}, ' if task else ''}{', '.join(names)}{classes}" if names else "none"


def _describe_tokenizer(tokenizer, folder, unread):
    from keras_bert.text.wordpiece.files import foreign_kind

    if unread:
        return f"of a kind that cannot be read, {foreign_kind(folder)}; copied unread: " + ", ".join(
            path.name for path in unread
        )
    if tokenizer is None:
        return "none beside the checkpoint, and none is written (--vocab_file adds one)"
    return f"{len(tokenizer):,} entries, {tokenizer.described}"


def _next_command(format, folder, checkpoint, tokenizer):
    """Returns what a user would do next with a directory of a format."""
    if format == "google":
        return _google_command(folder, checkpoint.task.get("task"), tokenizer)
    if format == "huggingface":
        [architecture] = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"]
        return f"transformers.{architecture}.from_pretrained({str(folder)!r})"
    if tokenizer is None or not _can_be_served(checkpoint):
        return f"keras-bert inspect {shlex.quote(str(folder))}"
    return f"keras-bert export --model_dir {shlex.quote(str(folder))} --output_dir {shlex.quote(f'{folder}-serving/1')}"


def _google_command(folder, task, tokenizer):
    """Returns the command line of google-research/bert's program for a task."""
    script = SCRIPTS.get(task, "run_classifier.py")
    flags = {"bert_config_file": folder / "bert_config.json", "init_checkpoint": folder / "bert_model.ckpt"}
    if tokenizer is not None and script != "run_pretraining.py":  # it reads records, not text
        flags |= {"vocab_file": folder / "vocab.txt"}
        flags |= {} if tokenizer.do_lower_case else {"do_lower_case": False}
    return " ".join(["python", script, *(f"--{name}={shlex.quote(str(value))}" for name, value in flags.items())])


def _can_be_served(checkpoint):
    """Says whether `keras-bert export` takes it: what its task needs is there, and texts are all that it is asked."""
    from keras_bert.checkpoints.parts import head_task, needed_weights
    from keras_bert.families import find_family

    config, task = checkpoint.config, head_task(checkpoint.task)
    family = find_family(config.family)
    if task not in {head.task for head in family.heads}:
        return task is None
    objectives = checkpoint.task.get("objectives") or family.objectives
    if task == "fill_mask" and "masked_lm" not in objectives:
        return False
    return set(needed_weights(config, task, objectives=objectives)) <= checkpoint.shapes.keys()
