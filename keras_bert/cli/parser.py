"""The parser of a command line: its help, and mistakes told in one sentence that names the remedy."""

import argparse
import os
import re
import sys

from keras_bert.cli.flags import FALSE, TRUE, BoolAction, nearest, number, whole_number
from keras_bert.cli.help import help_page, positionals

NUMBERS = {int: whole_number, float: number}  # {type: one whose complaint is a sentence}
UNICODE_DASHES = "‐‑‒–—―−﹘﹣－"
NEGATIVE = re.compile(r"-\.?\d")
LISTED = 3  # commands that a sentence names
NEAR = 0.75  # to a flag that another command has: only what is hardly another word


class Parser(argparse.ArgumentParser):
    """A parser that orders the flags of its help, and answers a mistake by one sentence and exit status 2.

    A misspelt flag is told before a missing one, for it often is the missing one.

    Attributes:
        main: names of the flags that the help shows first, without their hyphens.
        elsewhere: function of a flag to the commands that have it, or None.
        arguments: argparse's actions, in order.

    >>> parser = Parser(prog="keras-bert classify")
    >>> _ = parser.add_argument("--train_file", required=True)
    >>> try:
    ...     parser.parse_args(["--trainfile=a.tsv"])
    ... except SystemExit as end:
    ...     end.code
    2
    """

    def __init__(self, *, main=(), elsewhere=None, **options):
        self.main, self.elsewhere, self.arguments = main, elsewhere, []
        super().__init__(allow_abbrev=False, add_help=False, **options)
        self.add_argument("-h", "--help", action=HelpAction, everything=False)
        self.add_argument("--help_all", action=HelpAction, everything=True)

    def add_argument(self, *names, **options):
        if "type" in options:
            options["type"] = NUMBERS.get(options["type"], options["type"])
        action = super().add_argument(*names, **options)
        self.arguments.append(action)
        return action

    def format_help(self):
        return help_page(self, everything=False)

    def flags(self, *, hidden=True):
        """Returns {flag: action} of every name of a flag; `hidden` says whether those without effect count."""
        shown = [each for each in self.arguments if hidden or each.help is not argparse.SUPPRESS]
        return {flag: action for action in shown for flag in action.option_strings}

    def parse_args(self, args=None, namespace=None):
        words = list(sys.argv[1:] if args is None else args)
        end = words.index("--") if "--" in words else len(words)
        self._check_names(words[:end])
        namespace, extra = self.parse_known_args(self._with_values(words[:end]) + words[end:], namespace)
        if extra:
            self._refuse(extra, words)
        return namespace

    def error(self, message):
        message = re.sub(r"^argument (--\w+)\S*: ", r"\1: ", message)
        message = re.sub(r"^(--\w+): expected one argument$", r"\1 needs a value, as in \1=VALUE", message)
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help_all lists what there is)\n")

    def _check_names(self, words):
        """Refuses what begins as a flag does and is none."""
        known = self.flags()
        for word in words:
            name = word.partition("=")[0]
            is_flag = name.startswith("-") and name != "-" and " " not in name and not NEGATIVE.match(name)
            if (is_flag and name not in known) or (name[:1] in tuple(UNICODE_DASHES) and _hyphened(name) in known):
                self.error(self._unknown(name))

    def _unknown(self, name):
        """Returns the sentence about a flag that is not there."""
        known, meant = self.flags(), _hyphened(name)
        if meant in known and name != meant:
            dash = next((letter for letter in name if letter in UNICODE_DASHES), None)
            if dash:
                return f"{name} has a dash, U+{ord(dash):04X}, in the place of hyphens; type {meant}"
            if "[no]" in name:
                return f"{name} stands for two flags; type {meant} or {meant.replace('--', '--no')}"
            return f"{name} has one hyphen; type {meant}"
        if owners := self.elsewhere(name) if self.elsewhere else []:
            more = f" and {len(owners) - LISTED} more commands" if len(owners) > LISTED else ""
            names = owners[:LISTED] if more else [" and ".join(filter(None, (", ".join(owners[:-1]), owners[-1])))]
            return f"{name} belongs to keras-bert {', '.join(names)}{more}{nearest(name, known, cutoff=NEAR)}"
        texts = positionals(self.arguments)
        behind = f"; a {texts[0].metavar} that begins with a hyphen goes behind --" if texts and name[1] != "-" else ""
        return f"unknown flag {name}{nearest(name, known) or behind}"

    def _with_values(self, words):
        """Gives each boolean flag its value, so that what follows it is not taken for one.

        >>> from keras_bert.cli.flags import add_bool
        >>> parser = Parser()
        >>> _ = add_bool(parser, "normalize", default=True, help="")
        >>> parser._with_values(["--nonormalize", "A text", "--normalize", "false"])
        ['--nonormalize=true', 'A text', '--normalize', 'false']
        """
        booleans = {flag for flag, action in self.flags().items() if isinstance(action, BoolAction)}
        return [
            f"{word}=true" if word in booleans and after.lower() not in TRUE | FALSE else word
            for word, after in zip(words, [*words, ""][1:], strict=True)
        ]

    def _refuse(self, extra, words):
        """Names what is not an argument; more files after a flag's value are a glob that the shell expanded."""
        known, place = self.flags(), words.index(extra[0])
        before = words[max(0, place - 2) : place]
        last = known.get(before[-1]) if before else None
        if isinstance(last, BoolAction):
            self.error(f"{before[-1]} is true or false, as in {before[-1]}=false, received {extra[0]!r}")
        both = [*before[1:], extra[0]]
        if len(before) == 2 and before[0] in known and all(map(os.path.exists, both)):
            globs = {os.path.join(os.path.dirname(path), "*" + os.path.splitext(path)[1]) for path in both}
            remedy = f": {before[0]}='{globs.pop()}'" if len(globs) == 1 else ", or put commas between several files"
            self.error(
                f"{before[0]} takes one value, and {before[1]!r} is followed by {extra[0]!r}; quote the glob, so that "
                f"the shell does not expand it{remedy}"
            )
        hint = nearest(_hyphened(extra[0].partition("=")[0]), known, cutoff=NEAR)
        self.error(f"unexpected arguments: {' '.join(extra)}{hint}")


class HelpAction(argparse.Action):
    """Shows the help and ends; `everything` says whether the rare flags are in it."""

    def __init__(self, option_strings, dest, *, everything):
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        self.everything = everything

    def __call__(self, parser, namespace, values, option_string=None):
        print(help_page(parser, everything=self.everything), end="")
        parser.exit()


def _hyphened(name):
    """Returns a flag with the two hyphens that it begins with.

    >>> _hyphened("-train_file"), _hyphened("[no]force")
    ('--train_file', '--force')
    """
    return "--" + name.lstrip("-" + UNICODE_DASHES).replace("[no]", "")
