"""Look at a model, at what pre-training it costs, and at pre-training records.

    keras-bert inspect uncased_L-12_H-768_A-12  # a model directory: ours, Google's or Hugging Face's
    keras-bert inspect base --max_seq_length 512 --train_batch_size 32  # a size by its name, or --bert_config_file
    keras-bert inspect records 'wiki.tfrecord*'  # records: examples as text, statistics

Of a model: parameters by part, the arithmetic of a pre-training step, its memory in float32 and mixed precision, with
and without rematerialization, and the largest batch that fits. For the flags of records: keras-bert inspect records
--help.
"""

import argparse

from keras_bert.cli import inspect_model
from keras_bert.cli.flags import Parser

# The first words that name no model -> the module of this package that has their flags and does it.
SUBJECTS = {"records": "inspect_records"}


def add_arguments(parser):
    """Adds what to look at, and the flags of a model; what follows another subject is its own module's."""
    what = f"a model directory, a size such as base or L-4_H-256, or {', '.join(SUBJECTS)}"
    parser.add_argument("model", nargs="?", metavar="MODEL", help=what)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    inspect_model.add_arguments(parser)


def run(args):
    """Runs the subject's module on its part of the command line. Returns what its `run` returns."""
    from keras_bert.cli.main import run_module

    if args.model in SUBJECTS:
        return run_module(SUBJECTS[args.model], f"keras-bert inspect {args.model}", args.arguments)
    parser = Parser(prog="keras-bert inspect")
    inspect_model.add_arguments(parser)
    return inspect_model.run(parser.parse_args(args.arguments, namespace=args))  # the flags behind MODEL
