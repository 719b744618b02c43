"""Docstring -> sentences of English prose: code, tables, section headings and markup fall away.

Understands the three conventions of the scientific Python packages well enough for a language
model's corpus: Google's (`Args:`), NumPy's (underlined headings, `name : type`), Sphinx' (`:param x:`).
"""

import inspect
import re

from keras_bert.text.sentences import split_sentences

MAX_WORDS = 100  # what is longer is a list or a table that lost its layout
PROSE_SHARE = 0.65  # of a sentence's words must be plain words; the rest is code

_ADMONITIONS = ("note", "warning", "tip", "important", "caution", "attention", "hint", "admonition", "rubric")
_DIRECTIVE = re.compile(r"\.\.\s+([\w-]+)::")
_UNDERLINE = re.compile(r"([=\-~^\"'*#+_`.])\1{2,}$")
_TABLE = re.compile(r"[|+].*[|+]$|[=\-+| ]{4,}$|.*\w {3,}\S")
_BULLET = re.compile(r"(?:[-*+•]|\(?\w[.)]|\(?\d{1,2}[.)])\s+(?=\S)")
_FIELD = re.compile(r":(?:param|type|return|returns|rtype|raises?|arg|keyword|var|ivar|attr)\b[^:]*:\s*")
_NUMPY_ITEM = re.compile(r"[*\w][\w.,*()\[\]{}|`' ]* : \S")
_GOOGLE_ITEM = re.compile(r"[*`]{0,2}[A-Za-z_][\w.,*`]*(?:, [*`]{0,2}[\w.*`]+){0,5}(?: ?\([^()]*\))?:(?:\s+|$)")
_SECTION = re.compile(r"(?:[A-Z]\w*)(?: \w+){0,3}:{1,2}$")
_UNWANTED_SECTIONS = ("see also", "references", "reference", "methods", "routine listings", "cite", "citation")

_INLINE = (  # markup -> the text that it marks, in this order
    (re.compile(r"!?\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)"), r"\1"),  # [text](url)
    (re.compile(r":[\w:+-]+:`[~!.]?([^`<]*?)\s*(?:<[^>]*>)?`"), r"\1"),  # :func:`~name`
    (re.compile(r"`([^`<]+?)\s*<[^>`]*>`_{0,2}"), r"\1"),  # `text <url>`_
    (re.compile(r"\s*\[[\w#*]+\]_"), ""),  # footnotes
    (re.compile(r"(?<!\w)\[([^\]]+)\]\[\w*\]"), r"\1"),  # [text][reference]
    (re.compile(r"`+(?:_{1,2}(?!\w))?"), ""),
    (re.compile(r"\*\*(\S(?:[^*]*\S)?)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*(\w(?:[^*\n]*\w)?)\*(?![\w*])"), r"\1"),
)
_MARKUP = frozenset("`*[")  # a paragraph with none of these has no markup
_WORD = re.compile(r"(?<!\S)[(\"']*[A-Za-z]+(?:['/-][A-Za-z]+)*[)\"']*[.,;:!?]*[)\"']*(?!\S)")
_NOT_PROSE = re.compile(
    r"[{}\\$^]|[|<>=]{2}|%\(|\w\(\w*\)\.\w"  # formulas, templates, chained calls
    r"|https?:|www\.|[Cc]opyright|[Ll]icen[sc]e|[Aa]ll [Rr]ights"
)


def docstring_sentences(docstring):
    r"""Returns the sentences of prose in a docstring, in order; code and layout are left out.

    Args:
        docstring: the string as it stands in the source.

    Example:
        >>> docstring_sentences("Adds `x` to the sum.\n\nArgs:\n  x: A number that\n    is added.\n\n```\nadd(x)\n```")
        ['Adds x to the sum.', 'A number that is added.']
    """
    lines = inspect.cleandoc(docstring).splitlines()
    sentences = []
    for paragraph in _paragraphs(list(_without_sections(_without_code(lines)))):
        if not _MARKUP.isdisjoint(paragraph):
            for pattern, replacement in _INLINE:
                paragraph = pattern.sub(replacement, paragraph)
        sentences.extend(s for s in split_sentences(" ".join(paragraph.split())) if is_prose(s))
    return sentences


def is_prose(sentence):
    """Says whether a sentence is mostly plain ASCII words and not code, a formula or a list of names.

    >>> is_prose("The axis along which the values are summed."), is_prose("x[0], y[1] -> z(2)")
    (True, False)
    """
    words = sentence.split()
    if not 3 <= len(words) <= MAX_WORDS or not sentence.isascii() or _NOT_PROSE.search(sentence):
        return False
    plain = len(_WORD.findall(sentence))
    return plain >= 3 and plain >= PROSE_SHARE * len(words)


def _indent(line):
    return len(line) - len(line.lstrip())


def _without_code(lines):
    """Yields the lines outside fences, doctests, literal blocks, and directives that hold no prose."""
    fenced, doctest, block_indent = False, False, None
    for line in lines:
        text = line.strip()
        if text.startswith(("```", "~~~")):
            fenced = not fenced and not (len(text) > 3 and text.endswith("```"))
            continue
        if fenced:
            continue
        if block_indent is not None:
            if not text or _indent(line) > block_indent:
                continue
            block_indent = None
            yield ""
        doctest = (doctest and bool(text)) or text.startswith(">>>")
        if doctest or (_TABLE.match(text) and not _UNDERLINE.match(text)):
            continue
        directive = _DIRECTIVE.match(text)
        if text.startswith("..") and not text.startswith("..."):
            if directive is None or directive[1] not in _ADMONITIONS:
                block_indent = _indent(line)
            yield ""
            continue
        if text.endswith("::"):
            block_indent = _indent(line)
            line = line.rstrip()[:-1]
        yield line


def _without_sections(lines):
    """Yields the lines without headings, and without the sections that list names and not prose."""
    lines = list(lines)
    skip_indent = None
    for i, line in enumerate(lines):
        text = line.strip()
        following = lines[i + 1].strip() if i + 1 < len(lines) else ""
        underlined = bool(text) and bool(_UNDERLINE.match(following)) and len(text.split()) <= 8
        if underlined or _SECTION.match(text) or text.startswith("#"):
            unwanted = text.rstrip(":").strip("# ").lower() in _UNWANTED_SECTIONS
            if underlined or unwanted:
                skip_indent = (-1 if underlined else _indent(line)) if unwanted else None
                yield ""
                continue
            if len(text.split()) <= 3 or text.startswith("#"):
                if skip_indent != -1:
                    skip_indent = None
                yield ""
                continue
        if skip_indent is not None:
            if skip_indent == -1 or not text or _indent(line) > skip_indent:
                continue
            skip_indent = None
        yield "" if _UNDERLINE.match(text) else line


def _paragraphs(lines):
    """Joins lines to paragraphs; a list item or an argument's description is one of its own."""
    current, first_indent, in_item = [], 0, False
    for i, line in enumerate(lines):
        text, indent = line.strip(), _indent(line)
        following = lines[i + 1] if i + 1 < len(lines) else ""
        may_begin = not current or (in_item and indent <= first_indent)
        head = _BULLET.match(text) or _FIELD.match(text)
        if not head and following.strip() and _indent(following) > indent and _is_term(text, may_begin):
            text = ""
        if not head and may_begin:
            head = _GOOGLE_ITEM.match(text)
        if current and (not text or head or (in_item and indent < first_indent)):
            yield " ".join(current)
            current = []
        if text:
            if not current:
                first_indent, in_item = indent, head is not None
            current.append(text[head.end() :] if head else text)
    if current:
        yield " ".join(current)


def _is_term(text, may_begin):
    """Says whether a line above a deeper one is NumPy's `name : type`, or a type alone: no prose."""
    if _NUMPY_ITEM.match(text):
        return True
    return may_begin and not _GOOGLE_ITEM.match(text) and text[-1:].isalnum() and len(text.split()) <= 6
