"""Docstrings as mkdocstrings takes them: examples become code, and a bracket outside of code is only a bracket.

An extension for griffe, named in mkdocs.yml.
"""

import re

import griffe

DOCTEST = re.compile(r"^( *)>>> .*(?:\n *\S.*)*", re.MULTILINE)  # up to the next blank line
CODE = re.compile(r"(^ *```.*?^ *```$|`[^`\n]*`)", re.MULTILINE | re.DOTALL)


class Docstrings(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj, **kwargs):
        """Is called by griffe for each module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text):
    """Returns a docstring whose examples are fenced, and whose other brackets, as in "[CLS] [SEP]", make no links."""
    text = DOCTEST.sub(lambda found: f"{found[1]}```pycon\n{found[0]}\n{found[1]}```", text)
    parts = CODE.split(text)
    return "".join(part if number % 2 else part.replace("[", r"\[") for number, part in enumerate(parts))
