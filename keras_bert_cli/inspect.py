"""Look at what the other commands read and write.

    keras-bert inspect records 'data/wiki.tfrecord*'      pre-training records: examples as text, statistics

keras-bert inspect records --help shows the flags.
"""

import argparse

# The first word -> the module of this package that has its flags and does it.
SUBJECTS = {"records": "inspect_records"}


def add_arguments(parser):
    """Adds the first word, what to look at; what follows it is its own module's."""
    parser.add_argument("subject", nargs="?", help=f"what to look at: {', '.join(SUBJECTS)}")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its files and flags")


def run(args):
    """Runs the subject's module on its part of the command line. Returns what its `run` returns."""
    from keras_bert.errors import UserError
    from keras_bert_cli.main import run_module

    if args.subject not in SUBJECTS:
        raise UserError(f"the first word says what to look at: {', '.join(SUBJECTS)}. Received: {args.subject}.")
    return run_module(SUBJECTS[args.subject], f"keras-bert inspect {args.subject}", args.arguments)
