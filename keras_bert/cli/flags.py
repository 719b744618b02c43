"""Flags as google-research/bert's users type them: underscores, absl's booleans, groups for the help."""

import argparse
import contextlib
import difflib

TRUE, FALSE = {"true", "t", "1", "yes", "y"}, {"false", "f", "0", "no", "n"}


def parse_bool(text):
    """Reads absl's spellings of a boolean flag's value.

    >>> parse_bool("False"), parse_bool("1")
    (False, True)
    """
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise argparse.ArgumentTypeError(f"expected true or false, received {text!r}")


class BoolAction(argparse.Action):
    """Stores True for `--flag`, False for `--noflag`, and the value of `--flag=value`."""

    def __call__(self, parser, namespace, value, option_string=None):
        setattr(namespace, self.dest, (value is not False) != self.negates(option_string))

    def negates(self, flag):
        """Says whether a flag of this action is a --noflag."""
        return flag != f"--{self.dest}"


def add_bool(parser, name, *, default, help, aliases=()):
    """Adds a boolean flag in absl's forms: --NAME, --noNAME, --NAME=false.

    Args:
        parser: the parser, or a Group of its flags.
        name: of the flag.
        default: True, False, or None where something else decides, which `help` says.
        help: what it does.
        aliases: further names of --noNAME.

    >>> parser = argparse.ArgumentParser()
    >>> _ = add_bool(parser, "do_lower_case", default=True, help="")
    >>> [parser.parse_args(a).do_lower_case for a in ([], ["--nodo_lower_case"], ["--do_lower_case=False"])]
    [True, False, False]
    """
    return parser.add_argument(
        *(f"--{name}", f"--no{name}", *aliases),
        dest=name,
        action=BoolAction,
        nargs="?",
        type=parse_bool,
        default=default,
        metavar="BOOL",
        help=help,
    )


class Group:
    """A group of a parser's flags, by which the help orders them (keras_bert/cli/help.py).

    Attributes:
        parser: the parser, of any class of argparse's.
        name: of the group.
        rare: whether --help leaves these flags to --help_all.

    >>> parser = argparse.ArgumentParser()
    >>> flag = Group(parser, "data", rare=True).add_argument("--id_column")
    >>> flag.group, flag.rare, parser.parse_args(["--id_column=id"])
    ('data', True, Namespace(id_column='id'))
    """

    def __init__(self, parser, name, *, rare=False):
        self.parser, self.name, self.rare = parser, name, rare

    def add_argument(self, *names, **options):
        """Adds a flag to the parser. Returns it, as argparse does."""
        action = self.parser.add_argument(*names, **options)
        action.group, action.rare = self.name, self.rare
        return action


TEXT_FORMATS = ("auto", "sentences", "text", "lines", "jsonl", "csv", "tsv", "tfds")  # of tfrecords.documents


def add_text_format(parser, *, data_sets=True):
    """Adds the flags that say how raw text is laid out; `data_sets` says whether those of TFDS can be read.

    >>> parser = argparse.ArgumentParser()
    >>> add_text_format(parser)
    >>> vars(parser.parse_args(["--input_format=csv", "--text_field=body"]))
    {'input_format': 'csv', 'text_field': 'body'}
    """
    data = Group(parser, "data")
    data.add_argument(
        "--input_format",
        choices=TEXT_FORMATS if data_sets else TEXT_FORMATS[:-1],
        default="auto",
        help="sentences: one a line; text: a paragraph a line; lines: a document a line; jsonl, csv, tsv"
        f"{', tfds' * data_sets}: a document a row; auto: any but lines",
    )
    where = "jsonl, csv, tsv and tfds" if data_sets else "jsonl, csv and tsv"
    data.add_argument("--text_field", default="text", help=f"{where}: column or field of the text")


def nearest(name, known, *, cutoff=0.6):
    """Returns what to add to the sentence about an unknown name: the nearest known one, if any is near.

    >>> nearest("--trainfile", ["--train_file", "--force"]), nearest("xyzzy", ["classify"])
    ('; did you mean --train_file?', '')
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""


def whole_number(text):
    """An argparse type: an int.

    >>> whole_number("-1")
    -1
    """
    with contextlib.suppress(ValueError):
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number, received {text!r}")


def number(text):
    """An argparse type: a float.

    >>> number("5e-5")
    5e-05
    """
    with contextlib.suppress(ValueError):
        return float(text)
    raise argparse.ArgumentTypeError(f"expected a number, received {text!r}")


def positive_int(text):
    """An argparse type for counts: a whole number of at least one."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, received {text!r}")
    return value


def natural_number(text):
    """An argparse type for counts that may be zero.

    >>> natural_number("0")
    0
    """
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, received {text!r}")
    return int(text)


def positive_share(text):
    """An argparse type for a number above 0 and up to 1.

    >>> positive_share("0.9995")
    0.9995
    """
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number above 0 and up to 1, received {text!r}")
