"""The flags of `keras-bert pretrain`: those of google-research/bert's run_pretraining.py, and ours."""

import argparse

from keras_bert.cli.flags import Group, add_bool, positive_int
from keras_bert.cli.tokenizer_flags import add_rule_flags

# {flag of ours or of run_pretraining.py: name of the option of `pretrain`}
OPTIONS = {
    **{
        name: name
        for name in (
            *("train_batch_size", "eval_batch_size", "learning_rate", "num_train_steps", "num_warmup_steps", "phases"),
            *("gradient_accumulation_steps", "optimizer", "max_minutes", "eval_every", "max_eval_steps", "masking"),
            *("masked_lm_prob", "save_checkpoints_steps", "keep_checkpoints", "on_divergence", "dtype", "remat"),
            *("objective", "generator_hidden_size", "generator_layers", "embedding_sharing", "keep_generator"),
            *("bias_correction", "schedule", "num_decay_steps", "decay_from", "beta_2", "weight_decay"),
        )
    },
    "iterations_per_loop": "steps_per_loop",
    "max_predictions_per_seq": "max_predictions",
    "skip_damaged_records": "skip_damaged",
    "random_seed": "seed",
}


def share(text):
    """Returns the share, or the pair of the first and the last, that a flag says.

    >>> share("0.15"), share("0.3:0.15")
    (0.15, (0.3, 0.15))
    """
    try:
        numbers = tuple(map(float, text.split(":")))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 2):
        raise argparse.ArgumentTypeError(f"expected a share such as 0.15, or two such as 0.3:0.15, received {text!r}")
    return numbers if len(numbers) == 2 else numbers[0]


OLD_FLAGS = ("master", "num_tpu_cores")  # of clusters, which TensorFlow 2 finds by itself


def add_flags(parser):
    """Adds run_pretraining.py's flags, and ours."""
    _add_records(parser)
    _add_model(parser)
    _add_training(parser)
    _add_run(parser)
    _add_devices(parser)


def _add_records(parser):
    data, rare = Group(parser, "data"), Group(parser, "data", rare=True)
    data.add_argument("--input_file", required=True, help="TFRecords to train on: paths, folders, quoted globs")
    data.add_argument("--eval_file", help="TFRecords kept out of training to measure on")
    data.add_argument("--vocab_file", help="the records' vocabulary (default: the one next to them)")
    add_rule_flags(
        parser,
        do_lower_case="lower-case the text (default: as the manifest says, or as fits the vocabulary)",
        group="data",
        common=False,
    )
    rare.add_argument("--max_seq_length", type=positive_int, help="insist on records of this length")
    rare.add_argument(
        "--max_predictions_per_seq",
        type=positive_int,
        help="insist on this number of slots; of unmasked records, most tokens to mask (default: the manifest's)",
    )
    data.add_argument(
        "--masking", help="of unmasked records: token, whole_word or ngram (default: the manifest's, or token)"
    )
    rare.add_argument(
        "--masked_lm_prob",
        type=share,
        metavar="SHARE[:LAST]",
        help="of unmasked records: share to mask, or 0.3:0.15 from step to step (default: the manifest's, or 0.15)",
    )
    add_bool(rare, "skip_damaged_records", default=False, help="skip and count corrupt records")


def _add_model(parser):
    Group(parser, "output").add_argument(
        "--output_dir", required=True, help="folder for the model, its checkpoints, log and curves"
    )
    model = Group(parser, "model")
    model.add_argument(
        "--bert_config_file",
        default="base",
        help="a config.json or bert_config.json, or a size: tiny ... large, roberta-base, albert-base and the like",
    )
    model.add_argument("--init_checkpoint", help="start from this model: ours, Google's or Hugging Face's")
    add_objective_flags(parser)
    Group(parser, "model", rare=True).add_argument(
        "--init_generator", metavar="DIR", help="of rtd with --init_checkpoint, start the generator from this model"
    )
    add_bool(
        Group(parser, "output", rare=True),
        "keep_generator",
        default=True,
        help="of rtd, write the generator too, to OUTPUT_DIR/generator",
    )


def add_objective_flags(parser):
    """Adds the flags that say what a model is pre-trained for, and by which generator."""
    Group(parser, "model").add_argument(
        "--objective",
        default="family",
        choices=("family", "mlm", "rtd"),
        help="learn masked tokens alone, or which tokens were replaced",
    )
    rare = Group(parser, "model", rare=True)
    rare.add_argument(
        "--generator_hidden_size",
        type=float,
        metavar="SHARE",
        help="of rtd, the generator's width as a fraction (default: 0.25, or 1 where embeddings are not projected)",
    )
    rare.add_argument(
        "--generator_layers",
        type=float,
        metavar="SHARE",
        help="of rtd, its layers as a fraction (default: 1, or 0.5 of a generator as wide as the model)",
    )
    rare.add_argument(
        "--embedding_sharing",
        default="shared",
        choices=("shared", "disentangled", "none"),
        help="of rtd: one table for both nets, or the model adds one of its own to the generator's, or two",
    )


def _add_training(parser):
    training, rare = Group(parser, "training"), Group(parser, "training", rare=True)
    training.add_argument("--train_batch_size", type=positive_int, default=32, help="examples a step")
    training.add_argument("--learning_rate", type=float, default=5e-5, help="peak learning rate")
    training.add_argument("--num_train_steps", type=positive_int, help="steps (default: 100000, or those of --phases)")
    training.add_argument("--num_warmup_steps", type=int, default=10_000, help="steps with a rising rate")
    training.add_argument(
        "--phases",
        metavar="PHASES",
        help="LENGTH:STEPS[:BATCH],... one after the other, such as 128:90%%:256,512:10%%:64 (default: one)",
    )
    training.add_argument(
        "--max_minutes",
        type=float,
        help="train for this time; --num_warmup_steps of --num_train_steps is the share of it that is warm-up",
    )
    training.add_argument(
        "--schedule", default="linear", help="how the rate falls: linear, cosine, constant (not), or wsd (at the end)"
    )
    training.add_argument(
        "--num_decay_steps", type=positive_int, help="of wsd, the last steps, with a falling rate (default: a tenth)"
    )
    training.add_argument(
        "--decay_from", metavar="RUN", help="go on from a run's newest checkpoint, or a named one, with a falling rate"
    )
    training.add_argument(
        "--optimizer", default="adamw", help="adamw; lamb for batches of thousands; or muon, for matrices of blocks"
    )
    rare.add_argument("--beta_2", type=float, default=0.999, help="of the second moments; RoBERTa took 0.98")
    rare.add_argument("--weight_decay", type=float, default=0.01, help="of matrices")
    add_bool(
        rare,
        "bias_correction",
        default=False,
        help="correct the moments for their start at 0, unlike Google's code: for short runs of small models",
    )
    training.add_argument(
        "--gradient_accumulation_steps",
        type=positive_int,
        default=1,
        help="cut each batch into this many parts, one after the other, to need less memory",
    )
    rare.add_argument("--random_seed", type=int, default=12345, help="of weights and order")


def _add_run(parser):
    runs, rare = Group(parser, "runs"), Group(parser, "runs", rare=True)
    add_bool(rare, "do_train", default=True, help="train; false only measures the model in --output_dir")
    add_bool(
        rare,
        "do_eval",
        default=None,
        help="measure, on --input_file without --eval_file (default: if --eval_file is given)",
    )
    rare.add_argument("--eval_batch_size", type=positive_int, default=32, help="examples a batch")
    runs.add_argument("--eval_every", type=positive_int, help="steps between evaluations (default: only at the end)")
    rare.add_argument("--max_eval_steps", type=positive_int, help="batches of an evaluation (default: all)")
    rare.add_argument("--iterations_per_loop", type=positive_int, default=100, help="steps a row of the log")
    runs.add_argument("--save_checkpoints_steps", type=positive_int, default=1000, help="steps between checkpoints")
    rare.add_argument("--keep_checkpoints", type=positive_int, default=3, help="newest checkpoints to keep")
    rare.add_argument(
        "--on_divergence",
        default="stop",
        help="at a NaN or exploding loss: stop, or rewind to the newest checkpoint and skip the batch",
    )
    add_bool(runs, "force", default=False, help="start over and replace the run or model in --output_dir")


def _add_devices(parser):
    devices, rare = Group(parser, "devices"), Group(parser, "devices", rare=True)
    devices.add_argument(
        "--strategy",
        default="auto",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
        help="devices to train on",
    )
    devices.add_argument("--dtype", default="float32", choices=("float32", "mixed_bfloat16"), help="arithmetic")
    rare.add_argument(
        "--jit_compile",
        default="auto",
        choices=("auto", "true", "false"),
        help="compile the step with XLA: true, false, or auto, on one device in float32",
    )
    add_bool(devices, "remat", default=False, help="compute blocks again in the backward pass, to need less memory")
    add_bool(
        rare,
        "deterministic",
        default=False,
        help="use TensorFlow's deterministic operations, for equal results on a GPU (on JAX set "
        "XLA_FLAGS=--xla_gpu_deterministic_ops=true)",
    )
    add_bool(rare, "use_tpu", default=False, help="the same as --strategy=tpu")
    rare.add_argument("--tpu_name", help="a Cloud TPU's name or address (default: the one of this machine)")
    rare.add_argument("--tpu_zone", help="its zone (default: this machine's)")
    rare.add_argument("--gcp_project", help="its project (default: this machine's)")
    for name in OLD_FLAGS:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
