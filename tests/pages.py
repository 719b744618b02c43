"""The pages of docs/ and README.md as tests see them: blocks with their markers, commands, names, links."""

import dataclasses
import functools
import re
import shlex
from pathlib import Path

from keras_bert.cli.main import COMMANDS, command_parser

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(DOCS.rglob("*.md"))
ALL = [README, *PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?:    .*\n(?:\n(?=    ))?)+")
MARKER = re.compile(r"<!-- ((?:(?!-->).)*?) -->\n+\Z", re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Pages none of whose blocks is run by a test, and why.
EXCUSED = {
    "performance.md": "its commands are benchmarks: minutes each, and their figures are no test's",
    "results.md": "likewise, and hours of training",
    "tpu.md": "its commands need a TPU, or an environment of packages of its own",
}
# {(page, language): the file of tests that runs these blocks}
RUN_ELSEWHERE = {("models.md", "python"): "tests/test_readme.py", ("finetuning.md", "python"): "tests/test_readme.py"}


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Attributes:
        page: the page's name below docs/.
        line: where it begins, counting from 1.
        language: what stands behind the fence; "console" for an indented block.
        code: its text.
        marker: the text of the HTML comment right above it, or "".
    """

    page: str
    line: int
    language: str
    code: str
    marker: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks_of(path):
    r"""Returns the Blocks of a page, in order.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = Path(folder, "page.md")
    ...     _ = page.write_text("Text:\n\n    keras-bert inspect base\n\n<!-- not run: why -->\n```python\nf()\n```\n")
    ...     [(block.language, block.code, block.marker) for block in blocks_of(page)]
    [('console', 'keras-bert inspect base\n', ''), ('python', 'f()\n', 'not run: why')]
    """
    text = path.read_text(encoding="utf-8")
    found = [(match, match[1], match[2]) for match in FENCE.finditer(text)]
    outside = FENCE.sub(lambda match: re.sub(r"[^\n]", "x", match[0]), text)  # of the same length
    for match in INDENTED.finditer(outside):
        found.append((match, "console", re.sub(r"^    ", "", match[0], flags=re.MULTILINE)))
    blocks = []
    for match, language, code in sorted(found, key=lambda each: each[0].start()):
        marker = MARKER.search(text[: match.start()])
        line = text.count("\n", 0, match.start()) + 1
        blocks.append(Block(name_of(path), line, language, code, " ".join(marker[1].split()) if marker else ""))
    return blocks


def name_of(path):
    """Returns a page's name: its path below docs/, or README.md."""
    return str(path.relative_to(DOCS)) if path.is_relative_to(DOCS) else path.name


def commands_of(code):
    r"""Returns the commands of a console block, each in one line, without comments.

    >>> commands_of("a --b \\\n    --c\nd  # why\n")
    ['a --b     --c', 'd']
    """
    joined = code.replace("\\\n", "")
    lines = (re.sub(r"\s+# .*", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("# ")]


def spans_of(path):
    """Returns the code spans of a page, line breaks as spaces."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return [" ".join(span.split()) for span in SPAN.findall(text)]


@functools.cache
def parser_of(words):
    """Returns the parser that a command line's first words, after "keras-bert", come to; None for none.

    >>> parser_of(("inspect", "records", "wiki.tfrecord")).prog
    'keras-bert inspect records'
    """
    return command_parser(words)[0] if words and words[0] in COMMANDS else None


def our_command(line):
    """Returns the words of a command line after "keras-bert", variables of the environment before it left out.

    None for other programs' lines.

    >>> our_command("KERAS_BACKEND=jax keras-bert inspect base"), our_command("make test")
    (['inspect', 'base'], None)
    """
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words[1:] if words[:1] == ["keras-bert"] else None


def flags_of(words):
    """Returns the flags among words: "--a=b" -> "--a".

    >>> flags_of(["x", "--a=b", "--c", "d"])
    ['--a', '--c']
    """
    return [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]


def anchors_of(path):
    """Returns the anchors of a page's headings, as GitHub and mkdocs make them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {_anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def _anchor(heading):
    """Returns the anchor of a heading.

    >>> _anchor('13. "Unknown layer", `kb.x`')
    '13-unknown-layer-kbx'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
