"""How --help reads: the flags that matter most, the others in groups with their defaults, examples at the end."""

import argparse
import re
import shlex
import shutil
import textwrap

from keras_bert.cli.flags import BoolAction, natural_number, number, positive_int, positive_share, whole_number

MAIN = "flags that matter most"
GROUPS = ("data", "records", "vocabulary", "model", "answers", "training", "runs", "devices", "output")  # in order
NARROWEST, WIDEST = 80, 120  # columns of a page, whatever the terminal has
COLUMN = 27  # in which the texts begin
METAVARS = {whole_number: "N", positive_int: "N", natural_number: "N", number: "X", positive_share: "X"}  # {type: ...}
ENDINGS = {"file": "FILE", "dir": "DIR", "checkpoint": "MODEL", "column": "COLUMN"}  # {last word of a flag: ...}
WORD = r"""(?:'[^']*'|"[^"]*"|[^\s'"])+"""  # of a shell's command
PART = re.compile(rf" # .*|--\w+ (?!-){WORD}|{WORD}")  # a comment, a flag with its value, a word


def page_width():
    """Returns the terminal's width, or the nearest one that a page can have."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def help_page(parser, *, everything):
    """Returns the help of a Parser.

    Args:
        parser: the Parser.
        everything: show the rare flags too. Those without effect (help=argparse.SUPPRESS) are shown never.
    """
    width = page_width()
    prose, examples = split_examples(parser.description or "")
    shown = [action for action in parser.arguments if action.help is not argparse.SUPPRESS]
    sections = sections_of(shown if everything else [each for each in shown if is_common(each, parser)], parser)
    blocks = [f"usage: {parser.usage or ' '.join([parser.prog, '[flags]', *map(invocation, positionals(shown))])}"]
    blocks += [paragraph if paragraph.startswith(" ") else wrapped(paragraph, width) for paragraph in prose]
    for title, actions in sections.items():
        blocks.append(f"{title}:\n" + in_columns([(invocation(each), text_of(each)) for each in actions], width))
    if parser.epilog:
        blocks.append(parser.epilog)
    if examples:
        blocks.append("\n".join(["examples:", *(example_lines(line, width) for line in examples)]))
    if sum(map(len, sections.values())) < len(shown):
        number_of_flags = len(shown) - len(positionals(shown))
        blocks.append(f"{parser.prog} --help_all shows all {number_of_flags} flags.")
    return "\n\n".join(blocks) + "\n"


def positionals(actions):
    """Returns those of the actions that are arguments without a flag."""
    return [action for action in actions if not action.option_strings]


def is_common(action, parser):
    """Says whether --help shows an action; --help_all shows the others too."""
    return action.dest in parser.main or not getattr(action, "rare", False)


def sections_of(actions, parser):
    """Returns {title: actions} of a page, in order: the arguments and the parser's main flags, then group by group."""
    by_name = {action.dest: action for action in actions}
    main = [*positionals(actions), *(by_name[name] for name in parser.main)]
    rest = [action for action in actions if action not in main]
    found = {getattr(action, "group", "other") for action in rest}
    titles = [*(name for name in GROUPS if name in found), *sorted(found - set(GROUPS))]
    grouped = {title: [each for each in rest if getattr(each, "group", "other") == title] for title in titles}
    return {MAIN if parser.main else "arguments": main, **grouped} if main else grouped


def invocation(action):
    """Returns how a flag or an argument is typed.

    >>> parser = argparse.ArgumentParser()
    >>> invocation(parser.add_argument("--train_file")), invocation(parser.add_argument("files", nargs="+"))
    ('--train_file FILE', 'FILES ...')
    """
    name = metavar_of(action)
    if not action.option_strings:
        return {"*": f"[{name} ...]", "?": f"[{name}]", "+": f"{name} ..."}.get(action.nargs, name)
    if isinstance(action, BoolAction):
        return f"--[no]{action.dest}"
    values = {0: "", "+": f" {name} ..."}.get(action.nargs, f" {name}")
    return ", ".join(action.option_strings) + values


def metavar_of(action):
    """Returns what stands for a value: by the flag's own word, by its type, or by the last word of its name."""
    last = action.dest.rpartition("_")[2]
    return action.metavar or METAVARS.get(action.type) or ENDINGS.get(last) or (
        "NAME" if action.option_strings else action.dest.upper()
    )  # fmt: skip


def text_of(action):
    """Returns a flag's help, with its choices where that does not name them, and its default.

    >>> parser = argparse.ArgumentParser()
    >>> text_of(parser.add_argument("--dtype", choices=("float32", "int8"), default="float32", help="numbers"))
    'numbers: float32 or int8 (default: float32)'
    """
    text = action.help.replace("%%", "%")
    choices = list(map(str, action.choices or ()))
    if not all(re.search(rf"\b{re.escape(each)}\b", text) for each in choices):
        text += f": {', '.join(choices[:-1])} or {choices[-1]}"
    if action.required and action.option_strings:
        return f"{text} (required)"
    return text if action.default in (None, "", (), []) else f"{text} (default: {shown(action.default)})"


def shown(value):
    """Returns a value as one types it.

    >>> shown(True), shown(5e-5), shown(3.0), shown(",")
    ('true', '5e-5', '3', "','")
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return re.sub(r"e([+-])0+", r"e\1", f"{value:g}")
    return shlex.quote(str(value)) if re.search(r"\w", str(value)) else repr(value)


def wrapped(text, width, **options):
    """Returns a text in lines."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False, **options)


def in_columns(pairs, width, column=COLUMN):
    """Returns names and their texts in two columns; what is too long for the first one has a line of its own.

    >>> print(in_columns([("--a N", "a number"), ("--long_name", "text")], 20, column=9))
      --a N  a number
      --long_name
             text
    """
    lines = []
    for name, text in pairs:
        first, blank = f"  {name}", " " * column
        if len(first) > column - 2:
            lines.append(first)
            first = ""
        lines.append(wrapped(text, width, initial_indent=first.ljust(column), subsequent_indent=blank))
    return "\n".join(lines)


def split_examples(docstring):
    r"""Returns the paragraphs of a command's docstring, and the command lines of its indented blocks.

    A paragraph is one line; other indented blocks stay as they are.

    >>> split_examples("What it\ndoes.\n\n    keras-bert x --a \\\n        --b\n\n    a  table\n")
    (['What it does.', '    a  table'], ['keras-bert x --a --b'])
    """
    prose, examples = [], []
    for block in re.split(r"\n\s*\n", docstring.strip("\n")):
        if not block.startswith(" "):
            prose.append(" ".join(block.split()))
        elif "keras-bert " in block:
            lines = re.sub(r"\s*\\\n\s*", " ", textwrap.dedent(block)).splitlines()
            examples += [line.strip() for line in lines]
        else:
            prose.append(block.rstrip())
    return prose, examples


def example_lines(command, width):
    r"""Returns a command for the examples, broken between flags by backslashes if it is too long for a line.

    >>> print(example_lines("keras-bert x --a='b c' --d e  # f", 24))
      keras-bert x \
          --a='b c' --d e \
           # f
    """
    lines, line = [], " "
    for part in PART.findall(command):
        if len(line) + 1 + len(part) > width - 2 and line.strip():
            lines.append(f"{line} \\")
            line = " " * 5
        line += f" {part}"
    return "\n".join([*lines, line])
