"""SQuAD files to examples, as run_squad.py's read_squad_examples reads them: SQuAD 1.1 and 2.0, KorQuAD 1, KLUE, XQuAD.

A file is JSON, {"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers", "is_impossible"}]}]}]}.
Rows as Hugging Face's datasets write them, {"data": [{"id", "context", "question", "answers"}]}, are read too.
Legend: W words.
"""

import bisect
import collections
import dataclasses
import functools
import itertools
import json
import lzma
import re
import zlib

from keras_bert.cells import SURROGATES
from keras_bert.errors import UserError, note, shorten
from keras_bert.files import MAGIC, OPENERS, require_file

_WORD = re.compile("[^ \t\r\n\u202f]+")  # run_squad.py's white space: these five alone
_TRUTHS = {"true": True, "false": False}  # as strings, whatever their case
KINDS = {str: "a string", int: "a whole number", list: "a list", dict: "an object"}


class Context:
    """A text that questions are asked about, cut at white space.

    Attributes:
        text: the text.
        words: list of its W words.

    Example:
        >>> context = Context("In  the end.")
        >>> context.words, context.starts, context.word_at(5)
        (['In', 'the', 'end.'], [0, 4, 8], 1)
    """

    def __init__(self, text):
        self.text = text
        self.words = _WORD.findall(text)

    @functools.cached_property
    def starts(self):
        """The character that each word begins with, a list of W int."""
        return [match.start() for match in _WORD.finditer(self.text)]

    def word_at(self, character):
        """Returns the number of the last word that begins at a character or before it; -1 before the first."""
        return bisect.bisect_right(self.starts, character) - 1


@dataclasses.dataclass(slots=True)
class Example:
    """One question.

    Attributes:
        id: its id in the file.
        question: its text.
        context: the Context, one object for all questions about it.
        answers: the texts of all answers that count as right; None where the file does not say, as in a test set.
        is_impossible: whether a file of SQuAD 2.0 says that the context has no answer.
        answer: of a training example, the text of the answer to learn, "" for no answer.
        span: of a training example with an answer, the numbers of its first and its last word.
        start: the character of the context that this answer begins with, as the file says; None if nobody says.
    """

    id: str
    question: str
    context: Context
    answers: tuple[str, ...] | None = None
    is_impossible: bool = False
    answer: str | None = None
    span: tuple[int, int] | None = None
    start: int | None = None

    def answer_ends(self):
        """Returns where the answer to learn begins and ends among its words.

        White space counts as one space, whatever there is. Of several places the one nearest to `start` is taken, and
        the first if that is None.

        Returns:
            (word, character), (word, character): the number of the word and the place in it, from which on and before
            which the answer stands; all of its words if it is not in them.

        Example:
            >>> context = Context("It was (very)  Rollo-Rollo.")
            >>> Example("q", "Who?", context, answer="very) Rollo", span=(2, 3)).answer_ends()
            ((2, 1), (3, 5))
            >>> Example("q", "Who?", context, answer="Rollo", span=(3, 3), start=21).answer_ends()
            ((3, 6), (3, 11))
        """
        first, last = self.span
        words, answer = self.context.words[first : last + 1], " ".join(self.answer.split())
        text = " ".join(words)
        wanted = 0
        if self.start is not None:
            wanted = self.start + len(self.answer) - len(self.answer.lstrip()) - self.context.starts[first]
        place = _nearest(text, answer, max(0, wanted)) if answer else -1
        if place < 0 or text == answer:
            return (first, 0), (last, len(words[-1]))
        begins = list(itertools.accumulate((len(word) + 1 for word in words), initial=0))[:-1]
        start, end = (bisect.bisect_right(begins, at) - 1 for at in (place, place + len(answer) - 1))
        return (first + start, place - begins[start]), (first + end, place + len(answer) - begins[end])


@dataclasses.dataclass(frozen=True)
class LostAnswer:
    """An answer of a training file that does not stand where the file says; its question is left out."""

    id: str
    answer: str
    found: str

    def __str__(self):
        return f"question {self.id}: could not find answer {self.answer!r}, where {self.found!r} stands"


class Examples(list):
    """A list of Example, and what reading them showed.

    Attributes:
        version: what the file calls itself, such as "1.1" or "KorQuAD_v1.0_dev".
        lost: list of LostAnswer.
        several: the number of training questions with several answers, of which the first is learnt.
    """

    def __init__(self, examples=(), *, version="", lost=(), several=0):
        super().__init__(examples)
        self.version, self.lost, self.several = version, list(lost), several


def read_examples(path, *, training=False, version_2_with_negative=False):
    """Reads the questions of a SQuAD file, in order.

    Args:
        path: the file, plain or packed as .gz, .xz or .bz2.
        training: whether each question is to have an answer to learn. A question whose answer does not stand
            where the file says is left out; `.lost` lists them.
        version_2_with_negative: whether a question may have no answer, as in SQuAD 2.0.

    Returns:
        Examples.

    Raises:
        UserError: no such file, no JSON, a field that is missing or of another kind, no question at all, or a
            training question without an answer where each must have one.

    Warns:
        UserNote: an id that several questions have, or an answer to a question that is said to have none.

    Example:
        >>> import pathlib, tempfile
        >>> qa = {"id": "q", "question": "Who?", "answers": [{"text": "Rollo", "answer_start": 7}]}
        >>> data = {"data": [{"paragraphs": [{"context": "It was Rollo.", "qas": [qa]}]}]}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "train.json")
        ...     _ = path.write_text(json.dumps(data))
        ...     [example] = read_examples(path, training=True)
        >>> example.question, example.answer, example.span
        ('Who?', 'Rollo', (2, 2))
    """
    path = require_file(path, what="The SQuAD file")
    contents = load_json(path)
    version = str(contents.get("version") or "") if isinstance(contents, dict) else ""
    examples = Examples(version=version)
    context = None
    for number, paragraph in enumerate(_paragraphs(contents, path), 1):
        where = (path, number, None)
        text = _field(paragraph, "context", str, where)
        if context is None or context.text != text:
            context = Context(text)
        for index, qa in enumerate(_field(paragraph, "qas", list, where), 1):
            example = _example(qa, context, (path, number, index), version_2_with_negative)
            if not training or _learns(example, qa, examples, (path, number, index), version_2_with_negative):
                examples.append(example)
    if not examples:
        left = f" that can be learnt; {len(examples.lost)} answers stand elsewhere" if examples.lost else ""
        raise UserError(f"{path} has no question{left}; a SQuAD file with paragraphs and their qas was expected.")
    _note_repeated(path, examples, training)
    _note_contradictions(path, examples, training)
    return examples


def load_json(path):
    """Returns what a JSON file holds, plain or packed; its content tells, not its name."""
    try:
        with open(path, "rb") as file:
            head = file.read(16)
        suffix = next((suffix for suffix, magic in MAGIC.items() if magic.match(head)), None)
        with OPENERS[suffix](path) if suffix else open(path, "rb") as file:
            return json.loads(file.read())
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); fetch or compress it again.") from error
    except (ValueError, RecursionError) as error:  # no JSON, not UTF-8, or nested without end
        lines = str(error).startswith("Extra data")
        hint = ", of JSON lines in one value: jq -s '{data: .}' OLD > NEW" if lines else ""
        raise UserError(f"{path} is not JSON ({error}); a SQuAD file was expected{hint}.") from error


def _paragraphs(contents, path):
    """Yields the paragraphs; a row of Hugging Face's datasets, which holds one question, is made one of its own."""
    for article in _field(contents, "data", list, (path, None, None)):
        if isinstance(article, dict) and "paragraphs" not in article and {"context", "question"} <= article.keys():
            yield {"context": article["context"], "qas": [_from_row(article)]}
        else:
            yield from _field(article, "paragraphs", list, (path, None, None))


def _from_row(row):
    """Returns a row of Hugging Face's datasets as an entry of qas; one with an empty list of answers has none.

    >>> _from_row({"id": "q", "answers": {"text": ["Rollo"], "answer_start": [7]}})["answers"]
    [{'text': 'Rollo', 'answer_start': 7}]
    """
    answers = row.get("answers")
    columns = [answers.get("text"), answers.get("answer_start")] if isinstance(answers, dict) else []
    if columns and all(isinstance(column, list) for column in columns) and len(columns[0]) == len(columns[1]):
        answers = [{"text": text, "answer_start": start} for text, start in zip(*columns, strict=True)]
        row = {"is_impossible": not answers, **row, "answers": answers}
    return row


def _place(where):
    """Writes a file and the numbers of a paragraph and a question in it."""
    path, paragraph, question = where
    place = f"{path}" if paragraph is None else f"{path}, paragraph {paragraph}"
    return place if question is None else f"{place}, question {question}"


def _field(record, name, kind, where):
    """Returns a field of a JSON object, or raises a UserError that says which is wrong and where."""
    if isinstance(record, dict) and name not in record:
        there = shorten(map(repr, record)) or "none"
        raise UserError(f"{_place(where)}: {name!r} must be {KINDS[kind]}, and is missing; there are {there}.")
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UserError(f"{_place(where)}: {name!r} must be {KINDS[kind]}. Received: {value!r:.60}.")
    return SURROGATES.sub("\ufffd", value) if kind is str else value


def _example(qa, context, where, version_2_with_negative):
    """Returns the Example of one entry of qas, without the answer to learn."""
    key = "guid" if isinstance(qa, dict) and "guid" in qa and "id" not in qa else "id"  # KLUE's
    name, question = _field(qa, key, str, where), _field(qa, "question", str, where)
    answers = None
    if "answers" in qa:
        answers = tuple([_field(answer, "text", str, where) for answer in _field(qa, "answers", list, where)])
    return Example(name, question, context, answers, _is_impossible(qa, where) and version_2_with_negative)


def _is_impossible(qa, where):
    """Returns whether a question is said to have no answer: true, "True" or 1; not so without the field, or null."""
    value = qa.get("is_impossible")
    if isinstance(value, str):
        value = _TRUTHS.get(value.strip().lower(), value)
    if value is not None and value not in (True, False):  # which 1 and 0 equal
        raise UserError(f"{_place(where)}: 'is_impossible' must be true or false. Received: {value!r:.60}.")
    return bool(value)


def _learns(example, qa, examples, where, version_2_with_negative):
    """Gives a training example its answer. Returns whether it has one, or rightly none."""
    if example.is_impossible:
        example.answer = ""
        return True
    if not example.answers:
        raise UserError(f"{where[0]}: question {example.id} {_no_answer(qa, where, version_2_with_negative)}")
    first = qa["answers"][0]
    example.answer, start = example.answers[0], _field(first, "answer_start", int, where)
    examples.several += len(example.answers) > 1
    example.start = start
    example.span, found = _find_words(example.context, example.answer, start)
    if example.span is None:
        examples.lost.append(LostAnswer(example.id, example.answer, found))
    return example.span is not None


def _no_answer(qa, where, version_2_with_negative):
    """Says what is wrong with a training question without an answer, and what to do."""
    flag = "--version_2_with_negative (version_2_with_negative=True)"
    if _is_impossible(qa, where):
        return f"has no answer; to train on questions without one, as SQuAD 2.0 has them, add {flag}."
    said = f"is {json.dumps(qa['is_impossible'])}" if "is_impossible" in qa else "is missing"
    lacks = "has no answer" if "answers" in qa else "has no 'answers'"
    remedy = f"set is_impossible to true if the context has none{'' if version_2_with_negative else f' and add {flag}'}"
    more = "" if "answers" in qa else " A file without answers can be answered (--predict_file), not learnt."
    return f"{lacks}, and its is_impossible {said}; give its answer, or {remedy}.{more}"


def _nearest(text, part, place):
    """Returns where in a text a part begins that stands as near as can be to a place; -1 if it is not there.

    >>> _nearest("ha-ha-ha", "ha", 4), _nearest("ha-ha-ha", "ha", 0), _nearest("ha", "he", 0)
    (3, 0, -1)
    """
    before, after = text.rfind(part, 0, place + len(part)), text.find(part, place)
    is_before = before >= 0 and (after < 0 or place - before <= after - place)
    return before if is_before else after


def _note_repeated(path, examples, training):
    """Warns of ids that several questions have."""
    counts = collections.Counter(example.id for example in examples)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        follows = (
            "all of them are learnt"
            if training
            else "predictions.json holds one answer an id, that of its last question, by which all of them are measured"
        )
        note(
            f"{path}: several questions have the same id: {shorten(map(repr, repeated), most=5)}; {follows}. Give each "
            "question an id of its own."
        )


def _note_contradictions(path, examples, training):
    """Warns of questions whose is_impossible is true and which have an answer."""
    names = [example.id for example in examples if example.is_impossible and any(example.answers or ())]
    if names:
        note(
            f"{path}: is_impossible is true of {len(names)} questions that have an answer: "
            f"{shorten(map(repr, names), most=5)}; they are {'learnt' if training else 'measured'} as questions "
            f"{'without' if training else 'with'} one. Set is_impossible to false, or remove the answers."
        )


def _find_words(context, answer, start):
    """Returns the first and the last word of an answer, or None where it is not in them, and the text of these."""
    end = start + len(answer) - 1
    if not 0 <= start <= end < len(context.text):
        return None, ""
    first, last = context.word_at(start), context.word_at(end)
    found = " ".join(context.words[first : last + 1])  # none where the answer begins before the first word
    words = " ".join(answer.split())
    if not words or words not in found:
        return None, found
    return (first % len(context.words), last), found
