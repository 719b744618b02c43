"""The flags of the fine-tuning commands: a task's own, run_classifier.py's, and ours; and the options they mean."""

import argparse
import itertools

from keras_bert.cli.checkpoint_flags import add_checkpoint_flags
from keras_bert.cli.flags import Group, add_bool, natural_number, nearest, positive_int
from keras_bert.cli.tokenizer_flags import add_rule_flags
from keras_bert.tasks.flag import Flag

# Devlin et al. 2018, appendix A.3: what worked well on all tasks.
PAPER_GRID = "train_batch_size=16,32;learning_rate=5e-5,3e-5,2e-5;num_train_epochs=2,3,4"
# Of clusters and estimators, which old command lines have
OLD_FLAGS = ("save_checkpoints_steps", "iterations_per_loop", "tpu_name", "tpu_zone", "gcp_project", "master")
OLD_FLAGS += ("num_tpu_cores",)
# flag: (attribute of FineTuning, its type)
GRID_FLAGS = {
    "train_batch_size": ("train_batch_size", int),
    "learning_rate": ("learning_rate", float),
    "num_train_epochs": ("epochs", float),
}
TYPES = {(int, 1): positive_int, (int, 0): natural_number}  # {(a Flag's kind, its smallest number): argparse's type}


def add_flag(parser, flag):
    """Adds a Flag.

    What a flag of `reading` comes to is kept with the model and is its default from then on; see `settle_reading`.

    >>> parser = argparse.ArgumentParser()
    >>> add_flag(parser, Flag("doc_stride", "tokens", kind=int, least=1, default=128, reading=True))
    >>> parser.parse_args([])
    Namespace(doc_stride=None, reading={'doc_stride': 128})
    """
    group, help, default = Group(parser, flag.group, rare=flag.rare), flag.help, flag.default
    if flag.reading:
        parser.set_defaults(reading={**(parser.get_default("reading") or {}), flag.name: default})
        help += "" if default is None else f" (default: {default}, or a fine-tuned model's own)"
        default = None
    if flag.kind is bool:
        add_bool(group, flag.name, default=default, help=help)
        return
    options = {"type": TYPES.get((flag.kind, flag.least), flag.kind), "default": default, "choices": flag.choices}
    options |= {"required": flag.required, "metavar": flag.many or flag.metavar, "nargs": "+" if flag.many else None}
    group.add_argument(f"--{flag.name}", help=help, **options)


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
    length = {"kind": int, "least": 1, "default": max_seq_length, "group": "training", "reading": True}
    add_flag(parser, Flag("max_seq_length", "tokens that the model reads at once", **length))
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
