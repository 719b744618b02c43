r"""The files of multiple choice: SWAG's csv, CODAH's tsv, and JSONL. The name says which. Imports no TensorFlow.

    .csv    named columns sent1, sent2, ending0 ... ending3 and label (Zellers et al. 2018)
    .tsv    no header: category, prompt, four answers, label (Chen et al. 2019)
    .jsonl  {"context": "He sat down.", "start": "He", "choices": ["ate.", "flew."], "label": 0}, or other names

Legend: N questions, C choices.
"""

import dataclasses
import json

import numpy as np
from scipy.special import softmax

from keras_bert.cells import csv_header
from keras_bert.errors import UserError
from keras_bert.files import OPENERS, read_lines, require_file
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.spellings import number_of
from keras_bert.tasks.splitting import split_examples
from keras_bert.tasks.table import READERS, write_table

SWAG = {"context": "sent1", "start": "sent2", "choices": [f"ending{i}" for i in range(4)], "label": "label"}
CODAH = {"context": 1, "choices": [2, 3, 4, 5], "label": 6}  # places in a line
JSONL = {"context": "context", "start": None, "choices": "choices", "label": "label"}


@dataclasses.dataclass(frozen=True)
class Questions:
    """N questions of C choices each.

    Attributes:
        contexts: list of str, what comes before.
        starts: list of str, how each choice begins; "" where it is whole.
        choices: a list of C str a question.
        labels: int32 (N,), the right choice, from 0; or None.
    """

    contexts: list[str]
    starts: list[str]
    choices: list[list[str]]
    labels: np.ndarray | None = None

    def __len__(self):
        return len(self.contexts)

    @property
    def num_choices(self):
        """C."""
        return len(self.choices[0])

    def take(self, rows):
        """Returns some of the questions, by their numbers."""
        lists = [[each[i] for i in rows] for each in (self.contexts, self.starts, self.choices)]
        return Questions(*lists, None if self.labels is None else self.labels[rows])


def read_choices(path, *, labels=True, **columns):
    """Reads questions.

    Args:
        path: a file whose name ends in .csv, .tsv or .jsonl, and then perhaps .gz, .xz or .bz2.
        labels: True for labels that must be there, False to leave them unread, None to take them where they are.
        **columns: for JSONL the names of "context", "start" (None for choices that are whole), "choices" and "label".

    Returns:
        Questions.

    Raises:
        UserError: no such file or kind of file, no row, a column that is not there, too few columns, a label that is
            none of the choices, or another number of choices than the first question has. Says the line.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "q.jsonl")
        ...     _ = path.write_text('{"context": "He sat.", "choices": ["He ate.", "It flew."], "label": 0}')
        ...     read_choices(path).choices
        [['He ate.', 'It flew.']]
    """
    path = require_file(path, what="The questions")
    suffixes = [suffix for suffix in path.suffixes if suffix not in OPENERS]
    kind = suffixes[-1].lower() if suffixes else ""
    if kind not in FORMATS:
        raise UserError(f"{path}: the name must end in {', '.join(FORMATS)}; convert it, or rename it.")
    if columns and kind != ".jsonl":
        raise UserError(f"{path}: the columns of {kind} files are fixed; names of one's own are for .jsonl.")
    names = {**{".csv": SWAG, ".tsv": CODAH, ".jsonl": JSONL}[kind], **columns}
    if labels is not False and not _has_label(path, kind, names["label"]):
        if labels:
            raise UserError(
                f"{path} has no labels, so nothing can be learnt or measured; it can be answered, as --predict_file."
            )
        labels = False
    if labels is False:
        del names["label"]
    rows = list(FORMATS[kind](path, names))
    if not rows:
        raise UserError(f"{path} has no questions; a line of context, choices and label for each was expected.")
    for number, row in rows:
        _check_choices(path, number, row["choices"], len(rows[0][1]["choices"]))
    return Questions(
        [row["context"] for _, row in rows],
        [row.get("start") or "" for _, row in rows],
        [row["choices"] for _, row in rows],
        None if labels is False else np.array([_label(path, *row) for row in rows], np.int32),
    )


def split_choices(questions, *, share=0.1, seed=12345):
    """Splits questions in a training and a held-out set; those of one context stay together. See `split_examples`."""
    numbers = np.arange(len(questions), dtype=np.float32)
    both = split_examples(Examples(questions.contexts, labels=numbers), share=share, seed=seed)
    return [questions.take(each.labels.astype(int)) for each in both]


def write_answers(path, questions, logits):
    """Writes a table: the context, the chosen ending and its number, its probability, and that of each choice.

    Args:
        path: the file, .tsv or .jsonl.
        questions: Questions.
        logits: float (N, C).
    """
    probabilities = softmax(np.asarray(logits, np.float64), axis=1)
    answers = probabilities.argmax(axis=1)
    columns = {
        "context": questions.contexts,
        "label": [str(answer) for answer in answers],
        "answer": [
            f"{start} {choices[answer]}".strip()
            for start, choices, answer in zip(questions.starts, questions.choices, answers, strict=True)
        ],
        "probability": [float(p) for p in probabilities.max(axis=1)],
        "probabilities": [{str(number): float(p) for number, p in enumerate(row)} for row in probabilities],
    }
    write_table(path, columns)


def _has_label(path, kind, label):
    """Says whether the first row of a file has a label; where it cannot be read, that it has, so that it is read."""
    first = next((line for line in read_lines(path) if line.strip()), "")
    if not first:
        return True
    if kind == ".tsv":
        return len(first.split("\t")) > label
    if kind == ".csv":
        return label in csv_header(path, SWAG["choices"])
    try:
        return label in json.loads(first)
    except (TypeError, ValueError, RecursionError):
        return True


def _read_named(path, names):
    """Yields (line number, {"context", "start", "choices", "label"}) of a CSV as SWAG's."""
    wanted = [name for each in names.values() for name in (each if isinstance(each, list) else [each])]
    for number, cells in READERS[".csv"](path, wanted, None):
        yield (
            number,
            {
                part: [cells[name] for name in each] if isinstance(each, list) else cells[each]
                for part, each in names.items()
            },
        )


def _read_placed(path, places):
    """Yields (line number, {"context", "choices", "label"}) of a TSV as CODAH's: unquoted, no header."""
    needed = 1 + max(places.get("label", 0), *places["choices"])
    for number, line in enumerate(read_lines(path), 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if not line.strip():
            continue
        if len(cells) < needed:
            raise UserError(
                f"{path}, line {number}: {len(cells)} columns, where category, prompt, four answers "
                f"{'and label ' if 'label' in places else ''}make {needed}; fill in the missing ones."
            )
        yield (
            number,
            {
                part: [cells[place] for place in each] if isinstance(each, list) else cells[each]
                for part, each in places.items()
            },
        )


def _read_objects(path, names):
    """Yields (line number, {"context", "start", "choices", "label"}) of a JSONL."""
    names = {part: name for part, name in names.items() if name is not None}
    for number, cells in READERS[".jsonl"](path, list(names.values()), names["choices"]):
        yield number, {part: cells[name] for part, name in names.items()}


FORMATS = {".csv": _read_named, ".tsv": _read_placed, ".jsonl": _read_objects}


def _check_choices(path, number, choices, expected):
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise UserError(f"{path}, line {number}: the choices are {choices!r:.60}; a list of strings was expected.")
    if len(choices) != expected or expected < 2:
        raise UserError(
            f"{path}, line {number}: {len(choices)} choices, where "
            f"{'two or more were expected' if expected < 2 else f'the first question has {expected}'}; give as many."
        )


def _label(path, number, row):
    """Returns the number of the right choice."""
    label, count = row["label"], len(row["choices"])
    if number_of(label) not in range(count):  # so 1.0 is 1
        raise UserError(
            f"{path}, line {number}: the label {label!r} is not one of the choices' numbers, "
            f"{', '.join(map(str, range(count)))}; correct it, or remove the line."
        )
    return int(number_of(label))
