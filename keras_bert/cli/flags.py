"""Flags as google-research/bert's users type them, underscores and absl's booleans; mistakes told in a sentence."""

import argparse
import contextlib
import difflib
import os
import sys

TRUE, FALSE = {"true", "t", "1", "yes", "y"}, {"false", "f", "0", "no", "n"}


def parse_bool(text):
    """Reads absl's spellings of a boolean flag's value.

    >>> parse_bool("False"), parse_bool("1")
    (False, True)
    """
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise argparse.ArgumentTypeError(f"expected true or false, received {text!r}")


class _BoolAction(argparse.Action):
    """Stores True for `--flag`, False for `--noflag`, and the value of `--flag=value`."""

    def __call__(self, parser, namespace, value, option_string=None):
        negated = option_string is not None and option_string[2:] == "no" + self.dest
        setattr(namespace, self.dest, not negated if value is None else value != negated)


def add_bool(parser, name, *, default, help):
    """Adds a boolean flag in absl's forms: --NAME, --noNAME, --NAME=false.

    >>> parser = argparse.ArgumentParser()
    >>> add_bool(parser, "do_lower_case", default=True, help="")
    >>> [parser.parse_args(a).do_lower_case for a in ([], ["--nodo_lower_case"], ["--do_lower_case=False"])]
    [True, False, False]
    """
    parser.add_argument(
        f"--{name}",
        f"--no{name}",
        dest=name,
        action=_BoolAction,
        nargs="?",
        type=parse_bool,
        default=default,
        metavar="BOOL",
        help=f"{help} (default: {default})",
    )


TEXT_FORMATS = ("auto", "sentences", "text", "lines", "jsonl", "csv", "tsv", "tfds")  # of tfrecords.documents


def add_text_format(parser, *, data_sets=True):
    """Adds the flags that say how raw text is laid out; `data_sets` says whether those of TFDS can be read.

    >>> parser = argparse.ArgumentParser()
    >>> add_text_format(parser)
    >>> vars(parser.parse_args(["--input_format=csv", "--text_field=body"]))
    {'input_format': 'csv', 'text_field': 'body'}
    """
    parser.add_argument(
        "--input_format",
        choices=TEXT_FORMATS if data_sets else TEXT_FORMATS[:-1],
        default="auto",
        help="sentences: one a line, text: prose, a paragraph a line, both with blank lines between documents; lines: "
        f"a document a line; jsonl: a JSON object a line; csv, tsv: a document a row; {'tfds: data sets; ' * data_sets}"
        "auto looks at the files, and never takes lines (default: auto)",
    )
    where = "jsonl, csv, tsv and tfds" if data_sets else "jsonl, csv and tsv"
    parser.add_argument(
        "--text_field", default="text", help=f"the documents' field or column in {where} (default: text)"
    )


def with_values(parser, arguments):
    """Gives each boolean flag its value, so that what follows it is not taken for one.

    >>> parser = argparse.ArgumentParser()
    >>> add_bool(parser, "normalize", default=True, help="")
    >>> with_values(parser, ["--nonormalize", "A text", "--normalize", "false"])
    ['--nonormalize=true', 'A text', '--normalize', 'false']
    """
    booleans = {flag for action in parser._actions if isinstance(action, _BoolAction) for flag in action.option_strings}
    end = arguments.index("--") if "--" in arguments else len(arguments)
    spelled = [
        f"{each}=true" if each in booleans and after.lower() not in TRUE | FALSE else each
        for each, after in zip(arguments[:end], [*arguments, ""][1 : end + 1], strict=True)
    ]
    return spelled + arguments[end:]


def nearest(name, known):
    """Returns what to add to the sentence about an unknown name: the nearest known one, if any is near.

    >>> nearest("--trainfile", ["--train_file", "--force"]), nearest("xyzzy", ["classify"])
    ('; did you mean --train_file?', '')
    """
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


class Parser(argparse.ArgumentParser):
    """A parser that answers a mistake by one sentence, a misspelt flag before what is missing for want of it.

    >>> parser = Parser(prog="keras-bert classify")
    >>> _ = parser.add_argument("--train_file", required=True)
    >>> try:
    ...     parser.parse_args(["--trainfile=a.tsv"])
    ... except SystemExit as end:
    ...     end.code
    2
    """

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def parse_args(self, args=None, namespace=None):
        if all(action.nargs != argparse.REMAINDER for action in self._actions):  # else the rest is another parser's
            args = with_values(self, args)
            self._check_names(args)
        namespace, extra = self.parse_known_args(args, namespace)
        if extra:
            self._refuse(extra, sys.argv[1:] if args is None else args)
        return namespace

    def _refuse(self, extra, arguments):
        """Names what is not an argument; more files after a flag's value are a glob that the shell expanded."""
        place = arguments.index(extra[0])
        before = arguments[max(0, place - 2) : place]
        both = [*before[1:], extra[0]]
        if len(before) == 2 and before[0] in self._flags() and all(map(os.path.exists, both)):
            globs = {os.path.join(os.path.dirname(path), "*" + os.path.splitext(path)[1]) for path in both}
            remedy = f": {before[0]}='{globs.pop()}'" if len(globs) == 1 else ", or put commas between several files"
            self.error(
                f"{before[0]} takes one value, and {before[1]!r} is followed by {extra[0]!r}; quote the glob, so that "
                f"the shell does not expand it{remedy}"
            )
        self.error(f"unexpected arguments: {' '.join(extra)}")

    def _check_names(self, arguments):
        known = self._flags()
        for each in arguments[: arguments.index("--") if "--" in arguments else None]:
            name = each.partition("=")[0]
            if name.startswith("--") and " " not in name and name not in known:
                self.error(f"unknown flag {name}{nearest(name, known)}")

    def _flags(self):
        return [flag for action in self._actions for flag in action.option_strings]

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help lists what there is)\n")


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
