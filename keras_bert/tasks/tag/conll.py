r"""CoNLL-style files: a word and its tag a line, a blank line after each sentence (Tjong Kim Sang and De Meulder 2003).

    U.N.        NNP  I-NP  B-ORG        columns apart by tabs or by spaces, the word first and the tag last
    official    NN   I-NP  O

What begins with -DOCSTART- ends a sentence and is not a word. A comment is a line that begins with "# " or "## ", as in
CoNLL-U and KLUE; where spaces part the columns and it may be a row with the word "#", it is one if it has as many
columns as the others and ends in a tag. With another token_column than the first, CoNLL-U's rows 3-4 (of the two words
that follow) and 3.1 (of a word that was left out) are skipped. A file whose words include " ", as KLUE's characters do,
says where its spaces are: its words stand together as they are, and else with a space between them. Imports no
TensorFlow.
"""

import dataclasses
import functools
import re

from keras_bert.errors import UserError, note
from keras_bert.files import read_lines, require_file
from keras_bert.outputs import atomic_path
from keras_bert.tasks.table import shorten
from keras_bert.tasks.tag.conll_tags import (
    OUTSIDE,
    PLAIN,
    SCHEMES,
    allowed_tags,
    check_scheme,
    convert,
    detect_scheme,
    join_tag,
    split_tag,
)

_COMMENT = re.compile("#+ ")
_DOCSTART = "-DOCSTART-"
_EXTRA = re.compile("([0-9]{1,9})([-.])[0-9]{1,9}")
_ROW_NUMBER = re.compile(r"([0-9]{1,9})(?:[-.][0-9]+)?")  # 3-4 and 3.1 stand between rows of CoNLL-U


@dataclasses.dataclass(frozen=True)
class Sentences:
    """The sentences of a file.

    Attributes:
        words: a list of str a sentence.
        tags: a list of as many tags a sentence, in BIO (or plain ones); None where there are none.
        lines: the words' line numbers.
        scheme: how the file writes its tags.
    """

    words: list[list[str]]
    tags: list[list[str]] | None = None
    lines: list[list[int]] | None = None
    scheme: str = "BIO"

    def __len__(self):
        return len(self.words)

    def __getitem__(self, chosen):
        """Returns the sentences of a slice or a list of numbers."""
        numbers = range(len(self))[chosen] if isinstance(chosen, slice) else chosen
        lists = {name: getattr(self, name) for name in ("words", "tags", "lines")}
        return dataclasses.replace(
            self, **{name: each and [each[number] for number in numbers] for name, each in lists.items()}
        )

    @functools.cached_property
    def joined(self):
        """Whether the words stand together as they are, their spaces among them."""
        return any(word.isspace() for words in self.words for word in words)


def read_conll(path, *, tags=True, scheme=None, labels=None, token_column=0, tag_column=-1):
    r"""Reads words and tags.

    Args:
        path: a UTF-8 file, which may be packed as .gz, .xz or .bz2.
        tags: whether to read them; False takes the words alone.
        scheme: "BIO" (also called IOB2), "IOB1", "IOBES", "BILOU", or "none" for plain tags such as parts of speech;
            None finds out.
        labels: the tags of a model, in BIO, or plain ones; what no tag of the file may go beyond. None for any.
        token_column, tag_column: their places, from 0, or from -1 at the end.

    Returns:
        Sentences.

    Raises:
        UserError: no such file, no sentence, a row with more or fewer columns than the first, a column that is not
            there, no word, or a tag that the scheme does not have or `labels` do not hold. Says the line.

    Warns:
        UserNote: the words are the numbers of the rows, which stand first in CoNLL-U.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "train.txt")
        ...     _ = path.write_text("Ann\tI-PER\nruns\tO\n\nHello\tO\n")
        ...     read_conll(path)
        Sentences(words=[['Ann', 'runs'], ['Hello']], tags=[['B-PER', 'O'], ['O']], lines=[[1, 2], [4]], scheme='IOB1')
    """
    check_scheme(scheme)
    path = require_file(path, what="The file of sentences")
    columns = {"--token_column": token_column, **({"--tag_column": tag_column} if tags else {})}
    sentences = list(_sentences(path, columns))
    if not sentences:
        raise UserError(f"{path} has no words; lines of a word and its tag, and blank lines between, were expected.")
    lines = [[number for number, *_ in rows] for rows in sentences]
    words = [[word for _, word, *_ in rows] for rows in sentences]
    if token_column == 0:
        _note_numbers(path, words)
    if not tags:
        return Sentences(words, None, lines)
    raw = [[tag for *_, tag in rows] for rows in sentences]
    if scheme is None:
        _check_tags(path, raw, lines, None, None)
        scheme = detect_scheme(raw)
    _check_tags(path, raw, lines, scheme, labels)
    if scheme != PLAIN:
        raw = [convert([join_tag(*split_tag(tag)) for tag in each], scheme, "BIO") for each in raw]
    return Sentences(words, raw, lines, scheme)


def write_conll(path, words, *columns):
    """Writes sentences, a word a line, whole or not at all; tabs part the columns.

    Args:
        path: the file.
        words: a list of str a sentence.
        *columns: lists of as many str, such as the true tags and the predicted ones.
    """
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for sentence in zip(words, *columns, strict=True):
            file.writelines("\t".join(row) + "\n" for row in zip(*sentence, strict=True))
            file.write("\n")


def _sentences(path, columns):
    """Yields the rows of each sentence: lists of (line number, word[, tag])."""
    sentence, first, count, last = [], None, None, 0
    numbered = columns["--token_column"] != 0
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.startswith(_DOCSTART):
            if sentence:
                yield sentence
            sentence, last = [], 0
            continue
        cells = line.split("\t") if "\t" in line else [cell for cell in line.split(" ") if cell]
        if _COMMENT.match(line) and not _is_row(line, cells, count, inside=bool(sentence)):
            continue
        if first is None:
            first, count = number, len(cells)
            _check_columns(path, number, line, count, columns)
        if len(cells) != count:
            raise UserError(
                f"{path}, line {number}: {len(cells)} columns, where line {first} has {count}; write one word a line "
                f"with its columns, separated by tabs or spaces, and a blank line after each sentence{_hint(line)}."
            )
        if numbered and _is_extra(cells[0], last):
            continue
        last = int(cells[0]) if cells[0].isdecimal() and len(cells[0]) < 10 else last
        sentence.append((number, *(_cell(path, number, name, cells[place]) for name, place in columns.items())))
    if sentence:
        yield sentence


def _is_extra(cell, last):
    """Says whether a row of CoNLL-U is not a word of its own: 3-4 before the words 3 and 4, or 3.1, an empty node.

    >>> _is_extra("3-4", 2), _is_extra("3.1", 3), _is_extra("3-4", 7), _is_extra("3", 2)
    (True, True, False, False)
    """
    match = _EXTRA.fullmatch(cell)
    return match is not None and int(match[1]) == last + (match[2] == "-")


def _note_numbers(path, sentences):
    """Notes words that count the rows, of each sentence from 0 or 1 or of the whole file: 1, 2, 3-4, 3, 4."""
    rows = [[_ROW_NUMBER.fullmatch(word) for word in words] for words in sentences]
    if all(map(all, rows)) and max(map(len, rows)) > 1:
        numbers = [[int(match[1]) for match in each] for each in rows]
        ends = [0, *(each[-1] for each in numbers)]
        goes_on = [each[0] in (0, 1, end + 1) for each, end in zip(numbers, ends, strict=False)]
        if all(goes_on) and all(each == sorted(each) for each in numbers):
            shown = ", ".join(max(sentences, key=len)[:3])
            note(
                f"{path}: its words are row numbers ({shown}, ...), as in CoNLL-U; give --token_column=1 "
                "(token_column=1) for the column behind them."
            )


def _is_row(line, cells, count, *, inside):
    """Says whether a line that begins like a comment is a row, whose word is "#"."""
    return "\t" not in line and len(cells) == count and (inside or split_tag(cells[-1]) is not None)


def _hint(line):
    """Says what a line shows that is not a row of words and tags: JSON, or a CSV."""
    if line.lstrip().startswith(("{", "[")):
        return "; JSON is not read: write a word and its tag a line"
    return "; commas are not read as separators: write tabs in their place" if line.count(",") > 1 else ""


def _check_columns(path, number, line, count, columns):
    """Raises a UserError if a file of `count` columns lacks one that is wanted."""
    for name, place in columns.items():
        if not -count <= place < count:
            raise UserError(f"{path}, line {number}: {count} columns, so there is no {name} {place}; count from 0.")
    if len(columns) > len({place % count for place in columns.values()}):
        raise UserError(
            f"{path}, line {number}: {count} columns, and so the words' is the tags' as well; a file without tags can "
            f"be predicted (--predict_file), neither learnt nor measured on{_hint(line)}."
        )


def _cell(path, number, name, cell):
    """Returns a word or a tag, which must not be empty; a word may be a space."""
    stripped = cell.strip()
    if name == "--token_column" and cell:
        return stripped or cell
    if not stripped:
        what = "word" if name == "--token_column" else "tag"
        raise UserError(f"{path}, line {number}: the {what} is empty; fill it in, or remove the line.")
    return stripped


def _check_tags(path, sentences, lines, scheme, labels):
    """Raises a UserError at the first tag that is not in the scheme or, with `labels`, not in the model."""
    faults = {tag: _fault(tag, scheme, labels) for tag in {tag for tags in sentences for tag in tags}}
    if any(faults.values()):
        for tags, numbers in zip(sentences, lines, strict=True):
            for tag, number in zip(tags, numbers, strict=True):
                if faults[tag]:
                    raise UserError(f"{path}, line {number}: {faults[tag]}")


def _fault(tag, scheme, labels):
    """Returns what is wrong with a tag, or None; a scheme of None is not known yet."""
    part = split_tag(tag)
    letters = SCHEMES.get(scheme, "BIESLU")
    if scheme != PLAIN and (part is None or part[0] not in (OUTSIDE, *letters)):
        return (
            f"{tag!r} is not a tag of {scheme or 'BIO, IOBES or BILOU'}, whose tags are {OUTSIDE}, "
            f"{', '.join(f'{letter}-TYPE' for letter in letters)}; correct it, or say --scheme=none for tags that "
            "stand for single words, such as parts of speech."
        )
    allowed = None if labels is None else allowed_tags(labels, scheme)
    if allowed is not None and (tag if scheme == PLAIN else join_tag(*part)) not in allowed:
        return (
            f"the tag {tag!r} is not one of the training set's: {shorten(allowed)}; correct it, or add training "
            "sentences with it."
        )
    return None
