"""Look at a model, at what pre-training it costs, and at pre-training records.

    keras-bert inspect uncased_L-12_H-768_A-12  # any model directory
    keras-bert inspect base --max_seq_length 512  # a size by its name
    keras-bert inspect records 'wiki.tfrecord*'  # examples and statistics

Of a model: parameters by part, the arithmetic of a pre-training step, its memory in float32 and mixed precision, with
and without rematerialization, and the largest batch that fits. keras-bert inspect records --help shows the flags of
records.
"""

from keras_bert.cli import inspect_model

MAIN = inspect_model.MAIN
# The first words that name no model -> the module of this package that has their flags and does it.
SUBJECTS = {"records": "inspect_records"}


def add_arguments(parser):
    """Adds what to look at, and the flags of a model; what follows another subject is its own module's."""
    what = f"a model directory, a size such as base or L-4_H-256, or {', '.join(SUBJECTS)}"
    parser.add_argument("model", nargs="?", metavar="MODEL", help=what)
    inspect_model.add_arguments(parser)


def run(args):
    """Runs the command on a model. Returns the figures as a dict."""
    return inspect_model.run(args)
