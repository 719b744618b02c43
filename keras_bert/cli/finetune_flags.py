"""What the fine-tuning commands share: run_classifier.py's flags and ours, the model they mean, and what is printed."""

import argparse
import itertools
import math
from pathlib import Path

from keras_bert.cli.checkpoint_flags import add_checkpoint_flags, checkpoint_options
from keras_bert.cli.flags import Group, add_bool, natural_number, nearest, positive_int
from keras_bert.cli.saved_models import add_reading_flag, find_configuration, settle_reading
from keras_bert.cli.tokenizer_flags import add_rule_flags, find_tokenizer

# Devlin et al. 2018, appendix A.3: what worked well on all tasks.
PAPER_GRID = "train_batch_size=16,32;learning_rate=5e-5,3e-5,2e-5;num_train_epochs=2,3,4"
# Of clusters and estimators, which old command lines have
OLD_FLAGS = ("save_checkpoints_steps", "iterations_per_loop", "tpu_name", "tpu_zone", "gcp_project", "master")
OLD_FLAGS += ("num_tpu_cores",)
# flag: (option of keras_bert.tasks.runs, its type)
GRID_FLAGS = {
    "train_batch_size": ("train_batch_size", int),
    "learning_rate": ("learning_rate", float),
    "num_train_epochs": ("epochs", float),
}

# The files of a model directory and its results. Without a model's configuration beside them they may be somebody
# else's.
WRITTEN = ("model.safetensors", "vocab.txt", "task.json", "eval_results.json", "curves.png")
FEW_STEPS = 100


def add_model_flags(parser):
    """Adds the flags that say which model is fine-tuned."""
    model, rare = Group(parser, "model"), Group(parser, "model", rare=True)
    model.add_argument(
        "--init_checkpoint",
        help="the model to fine-tune: our directory, a Google checkpoint or a Hugging Face directory",
    )
    model.add_argument(
        "--bert_config_file", help="without --init_checkpoint: a bert_config.json or a size, such as tiny"
    )
    model.add_argument("--vocab_file", help="vocabulary (default: the one next to the checkpoint)")
    add_rule_flags(parser, do_lower_case="lower-case the text (default: as the checkpoint or its vocabulary says)")
    add_bool(rare, "from_scratch", default=False, help="take the checkpoint's config and vocabulary, but new weights")
    add_checkpoint_flags(parser)
    rare.add_argument("--dropout", type=float, help="dropout rate, kept with the model (default: the config's rates)")
    Group(parser, "devices").add_argument(
        "--dtype", default="float32", choices=("float32", "mixed_bfloat16"), help="arithmetic"
    )


def add_old_flags(parser):
    """Adds the flags of run_classifier.py and run_squad.py that mean nothing here; --use_tpu=true is refused."""
    add_bool(parser, "use_tpu", default=False, help=argparse.SUPPRESS)
    for name in OLD_FLAGS:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)


def add_training_flags(
    parser,
    *,
    learning_rate=5e-5,
    num_train_epochs=3.0,
    max_seq_length=128,
    train_batch_size=32,
    warmup_proportion=0.1,
):
    """Adds the flags of the training; the defaults are Google's for the task."""
    add_reading_flag(parser, "max_seq_length", max_seq_length, "tokens that the model reads at once")
    training, rare = Group(parser, "training"), Group(parser, "training", rare=True)
    training.add_argument("--train_batch_size", type=positive_int, default=train_batch_size, help="examples a step")
    training.add_argument("--learning_rate", type=float, default=learning_rate, help="peak learning rate")
    training.add_argument(
        "--num_train_epochs", type=float, default=num_train_epochs, help="passes over the training examples"
    )
    rare.add_argument("--num_train_steps", type=positive_int, help="steps, instead of --num_train_epochs")
    rare.add_argument(
        "--warmup_proportion", type=float, default=warmup_proportion, help="share of the steps with a rising rate"
    )
    rare.add_argument("--eval_batch_size", type=positive_int, default=8, help="examples a batch of validation")
    rare.add_argument("--predict_batch_size", type=positive_int, default=8, help="examples a batch of prediction")
    add_bool(
        rare,
        "bias_correction",
        default=False,
        help="correct Adam's moments for their start at 0, unlike Google's code: steadier on small sets",
    )
    rare.add_argument(
        "--layer_decay", type=float, help="factor of the rate from each layer to the one below, such as 0.9"
    )
    rare.add_argument(
        "--reinit_layers",
        type=natural_number,
        default=0,
        help="top blocks that start from new weights, with the pooler: 1 to 3",
    )
    add_bool(rare, "freeze_encoder", default=False, help="train the head alone, on the encoder's features")
    runs, rare = Group(parser, "runs"), Group(parser, "runs", rare=True)
    runs.add_argument("--num_runs", type=positive_int, default=1, help="seeds to train one by one; the best is saved")
    runs.add_argument("--seed", type=natural_number, default=12345, help="the first seed")
    runs.add_argument(
        "--early_stopping", type=positive_int, help="stop a run after so many epochs without a better metric: 1 or 2"
    )
    runs.add_argument(
        "--grid",
        type=parse_grid,
        metavar="GRID",
        help="train every combination, keep the best: paper (18 of them), or 'learning_rate=5e-5,3e-5;"
        "num_train_epochs=2,3'",
    )
    add_bool(rare, "eval_each_epoch", default=True, help="measure after each epoch, not only at the end")


def add_do_flags(parser, **kinds):
    """Adds --do_train, --do_eval and --do_predict; `kinds` says what they do, where it is not what most commands do."""
    kinds = {"train": "fine-tune", "eval": "measure on validation data", "predict": "answer --predict_file"} | kinds
    runs = Group(parser, "runs", rare=True)
    for name, what in kinds.items():
        add_bool(runs, f"do_{name}", default=None, help=f"{what} (default: if the given files allow it)")


def add_output_flags(parser):
    """Adds --output_dir and --force."""
    output = Group(parser, "output")
    output.add_argument("--output_dir", required=True, help="folder for the model directory, metrics and pictures")
    add_bool(output, "force", default=False, help="replace a model that is already in --output_dir")


def parse_grid(text):
    """An argparse type: the points of a grid, as FineTuning takes them.

    >>> parse_grid("learning_rate=5e-5,3e-5;num_train_epochs=2")
    ({'learning_rate': 5e-05, 'epochs': 2.0}, {'learning_rate': 3e-05, 'epochs': 2.0})
    >>> len(parse_grid("paper"))
    18
    """
    axes = {}
    for part in (PAPER_GRID if text == "paper" else text).split(";"):
        name, _, values = (piece.strip() for piece in part.partition("="))
        if name not in GRID_FLAGS:
            hint = nearest(name, GRID_FLAGS) or f"; expected 'paper', or {', '.join(GRID_FLAGS)}"
            raise argparse.ArgumentTypeError(f"{name!r} is not a part of a grid{hint}")
        option, kind = GRID_FLAGS[name]
        try:
            numbers = [kind(value) for value in values.split(",")]
        except ValueError:
            numbers = [0]
        if option in axes or not all(number > 0 for number in numbers) or len(set(numbers)) < len(numbers):
            raise argparse.ArgumentTypeError(
                f"{part.strip()!r}: each of a grid's flags stands once, with different numbers over 0, as in {name}=2,3"
            )
        axes[option] = numbers
    return tuple(dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values()))


def check_output(args):
    """Raises a UserError, before any work, if the results would have no place to go to, or a TPU is asked for."""
    import os

    from keras_bert.errors import UserError
    from keras_bert.outputs import refuse_existing

    if getattr(args, "use_tpu", False):
        raise UserError("--use_tpu: fine-tuning takes the GPU or CPU of this machine; leave the flag out.")
    output_dir = Path(args.output_dir)
    if getattr(args, "do_train", None) is not False:
        if not args.force:
            if standing := find_configuration(output_dir):
                refuse_existing(standing, what="--output_dir", remedy="add --force to replace that model")
            for name in WRITTEN:
                refuse_existing(output_dir / name, what="--output_dir", remedy="name another folder, or add --force")
        if args.init_checkpoint and Path(args.init_checkpoint).resolve() == output_dir.resolve():
            raise UserError(
                f"--output_dir and --init_checkpoint are both {output_dir}; the result needs a place of its own."
            )
    standing = next(folder for folder in (output_dir, *output_dir.absolute().parents) if folder.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        state = "is not a directory" if not standing.is_dir() else "may not be written to"
        raise UserError(f"--output_dir: {output_dir} cannot be made, since {standing} {state}; choose another place.")


def find_model(args, *, pair):
    """Returns the model that the flags mean.

    Args:
        args: those of `add_model_flags`, and `max_seq_length`, which is settled here if the flags left it out.
        pair: whether its inputs are two texts.

    Returns:
        tokenizer, config, checkpoint: a Tokenizer, a Config with the rates of dropout to train with, and the
        opened Checkpoint to load, or None for fresh weights.

    Raises:
        UserError: no model is named, or its parts do not fit one another or the length.
    """
    from keras_bert.checkpoints import grow_checkpoint, open_checkpoint
    from keras_bert.config import Config
    from keras_bert.errors import UserError
    from keras_bert.tasks.inputs import check_length
    from keras_bert.text.vocabulary import check_fits, check_padding

    tokenizer = None
    if args.init_checkpoint:
        checkpoint = open_checkpoint(args.init_checkpoint, **checkpoint_options(args))
        source = args.init_checkpoint
        tokenizer = find_tokenizer(args, vocab_file=args.vocab_file, checkpoint=args.init_checkpoint)
        if args.vocab_file or args.special_tokens:
            checkpoint = grow_checkpoint(checkpoint, tokenizer)
        config = checkpoint.config
    elif args.bert_config_file:
        checkpoint, config, source = None, None, args.bert_config_file
        if not args.vocab_file:
            raise UserError("--bert_config_file without --init_checkpoint needs --vocab_file, the vocabulary.")
    else:
        raise UserError(
            "Nothing to fine-tune: name a model by --init_checkpoint, or give --bert_config_file and --vocab_file "
            "to start from fresh weights."
        )
    tokenizer = tokenizer or find_tokenizer(args, vocab_file=args.vocab_file)
    if args.bert_config_file:
        rows = len(tokenizer) if config is None else config.vocab_size
        named = Config.from_name_or_file(args.bert_config_file, vocab_size=rows, pad_token_id=tokenizer.pad_id)
        if config is not None:
            _check_same_shape(named, config, args)
        config = named if config is None else config
    remedy = f"give the vocabulary that belongs to {source}."
    check_fits(len(tokenizer), config.vocab_size, remedy=remedy)
    check_padding(tokenizer.pad_id, config)
    settle_reading(args, checkpoint)
    check_length(config, args.max_seq_length, pair=pair, layout=tokenizer.layout)
    if args.dropout is not None:
        config = config.replace(hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=args.dropout)
    return tokenizer, config, None if args.from_scratch else checkpoint


def _check_same_shape(named, config, args):
    from keras_bert.config import COUNTS
    from keras_bert.errors import UserError

    for field in COUNTS:
        if getattr(named, field) != getattr(config, field):
            raise UserError(
                f"--bert_config_file {args.bert_config_file} has {field} {getattr(named, field)}, but "
                f"{args.init_checkpoint} has {getattr(config, field)}; leave --bert_config_file out."
            )


def training_options(args):
    """Returns what the flags of `add_training_flags` say, a FineTuning.

    Raises:
        UserError: flags that do not go together, or a number out of range.
    """
    from keras_bert.errors import UserError
    from keras_bert.training.finetune_options import FineTuning

    if args.seed + args.num_runs > 2**32:
        raise UserError(f"--seed: a seed is a number below 2**32, of every run. Received: {args.seed}.")
    in_grid = {name for point in args.grid or () for name in point}
    if args.num_train_steps and "epochs" in in_grid:
        raise UserError("--grid names num_train_epochs, which --num_train_steps takes the place of; leave one out.")
    if args.early_stopping and not args.eval_each_epoch:
        raise UserError("--early_stopping needs a figure after each epoch; leave --eval_each_epoch=False out.")
    same = ("train_batch_size", "learning_rate", "num_train_steps", "warmup_proportion", "layer_decay")
    return FineTuning(
        seeds=range(args.seed, args.seed + args.num_runs),
        grid=args.grid or ({},),
        epochs=args.num_train_epochs,
        evaluate_each_epoch=args.eval_each_epoch,
        **{name: getattr(args, name) for name in (*same, "bias_correction", "early_stopping")},
    )


def maker_options(args):
    """Returns what the flags say of the model before training, as options of `model_maker`."""
    return {"dtype": args.dtype, "reinit_layers": args.reinit_layers, "freeze_encoder": args.freeze_encoder}


def print_device(args):
    """Prints the kinds of devices and the arithmetic."""
    import tensorflow as tf

    kinds = ", ".join(sorted({device.device_type for device in tf.config.list_logical_devices()}))
    print(f"device: {kinds}, {args.dtype}")


def print_vocabulary(tokenizer):
    """Prints the vocabulary's size and the tokenizer's rules."""
    print(f"vocabulary: {len(tokenizer):,} entries, {tokenizer.described}")


def print_shared(train, held_out):
    """Prints how many held-out texts the training has too, if it has any.

    Args:
        train, held_out: lists of str, or of tuples of str.
    """
    from keras_bert.tasks.splitting import count_shared

    shared = count_shared(train, held_out)
    if shared:
        print(f"note: {shared:,} of {len(held_out):,} held-out texts stand in the training file too; figures flatter")


def print_model(args, model):
    """Prints the model's size, where its weights come from, and the schedule of its training."""
    config, report = model.bert_config, getattr(model, "load_report", None)
    shape = f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}, {model.count_params():,} weights"
    print(f"model: {shape}, " + ("fresh" if report is None else f"from {args.init_checkpoint}"))
    if report is not None:
        print(
            f"checkpoint: {len(report.loaded)} weights loaded, {len(report.unused)} of other heads left; "
            f"newly initialised: {', '.join(report.new) or 'none'}"
        )
    unknown = config.unknown_fields()
    for note in report.notes if report is not None else [unknown] if unknown else []:
        print(f"note: {note}")
    if args.freeze_encoder:
        print(f"frozen: the encoder; {sum(math.prod(v.shape) for v in model.trainable_variables):,} weights train")
    length = f"{args.num_train_steps:,} steps" if args.num_train_steps else f"{args.num_train_epochs:g} epochs"
    points = f", a grid of {len(args.grid)} points" if args.grid else ""
    runs = f", {args.num_runs} runs" if args.num_runs > 1 else ""
    print(
        f"schedule: {length} of batch {args.train_batch_size}, peak rate {args.learning_rate:g}{points}{runs}",
        flush=True,
    )


def print_runs(results, metric):
    """Prints the mean and standard deviation of several runs, which was saved, and which failed.

    Of a run that was very short it says so.

    Args:
        results: those of `best_of_runs`.
        metric: the figure by which the best was chosen.
    """
    runs = results["runs"]
    if results["global_step"] < FEW_STEPS:
        print(
            f"note: these were {results['global_step']} steps; small tables often want more of them "
            "(--num_train_epochs), and small models a higher --learning_rate"
        )
    settings = [name for _, (name, _) in sorted(GRID_FLAGS.items()) if name in runs[0]]
    for run in runs:
        at = "".join(f", {name} {run[name]:g}" for name in settings)
        if "failed" in run:
            print(f"failed: seed {run['seed']}{at}, left out of the means: {run['failed']}")
        elif "stopped" in run:
            print(f"stopped: seed {run['seed']}{at}, with the weights of its best epoch: {run['stopped']}")
    if len(runs) == 1:
        return
    runs, points = [run for run in runs if "failed" not in run], {}
    for run in runs:
        points.setdefault(tuple(run[name] for name in settings), []).append(run[metric])
    best = tuple(results[name] for name in settings)
    for point, figures in points.items() if len(points) > 1 else ():
        at = ", ".join(f"{name} {value:g}" for name, value in zip(settings, point, strict=True))
        print(f"{at}: {metric} {sum(figures) / len(figures):.4f}" + (" (the best)" if point == best else ""))
    figures = points[best]
    if len(figures) > 1:
        each = ", ".join(f"{figure:.4f}" for figure in figures)
        mean, sd = results[f"{metric}_mean"], results[f"{metric}_sd"]
        spread = f"{metric} {mean:.4f} ± {sd:.4f} ({each})"
        print(f"{len(figures)} runs: {spread}; the best, seed {results['seed']}, is saved")
