"""What `keras-bert predict` knows of each fine-tuned head: what it is asked, and how its answers read.

The library answers (serving/answers.py).
"""

import dataclasses
from collections.abc import Callable

from keras_bert.cli.json_lines import Field
from keras_bert.cli.streams import percent

SHOWN = 5  # classes on a terminal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """One row.

    Attributes:
        fields: {key: Field}, what a model may be asked.
        flags: those of `predict` that mean something to it, beside the common ones.
        defaults: {setting: value} of its tables, where nobody says; serving/answers.py has those of its texts.
        to_read: (row, answer) -> lines for a person.
        says: model -> what it answers with, in words.
        longer: what becomes of longer texts; None where flags say so.
        tables: whether it answers tables, too.
    """

    fields: dict[str, Field]
    flags: tuple[str, ...]
    to_read: Callable
    says: Callable
    defaults: dict = dataclasses.field(default_factory=dict)
    longer: str | None = "read in windows"
    tables: bool = False


def _read_classes(row, answer):
    yield " | ".join(row[name] for name in ("text", "pair") if name in row)
    if "score" in answer:
        yield f"  {answer['score']:.4f}"
        return
    best = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
    chosen = f"{', '.join(answer['labels']) or 'none'}: " if "labels" in answer else ""
    more = ", ..." if len(best) > SHOWN else ""
    yield f"  {chosen}{', '.join(f'{name} {percent(share)}' for name, share in best[:SHOWN])}{more}"


def _say_classes(model):
    from keras_bert.tasks.table import shorten

    if model.kind == "regression":
        return "a number"
    one = "one of {} classes" if model.kind == "classes" else "any of {} labels"
    return f"{one.format(len(model.labels))}: {shorten(model.labels)}"


def _read_tags(row, answer):
    from keras_bert.tasks.tag.conll_tags import OUTSIDE

    yield row["text"]
    found = [token for token in answer["tokens"] if token["label"] != OUTSIDE]
    for token in found:
        yield f"  {token['token']}  {token['label']} {percent(token['score'])}"
    if not found:
        yield "  nothing found"


def _say_tags(model):
    from keras_bert.tasks.table import shorten

    return f"one of {len(model.labels)} tags for each word: {shorten(model.labels)}"


def _read_span(row, answer):
    yield row["question"]
    yield f"  {answer['text'] or 'no answer'} {percent(answer['score'])}"


def _read_choice(row, answer):
    yield row["context"]
    best = sorted(zip(row["choices"], answer["probabilities"], strict=True), key=lambda pair: -pair[1])
    for choice, share in best:
        yield f"  {choice} {percent(share)}"


TEXT = {"text": Field(("text",))}
# What task.json calls a head -> the row.
HEADS = {
    "classification": Head(
        fields={**TEXT, "pair": Field(("pair",))},
        flags=("text_column", "pair_column", "max_seq_length", "long_texts", "doc_stride"),
        # of a model that keras-bert classify did not write
        defaults={"text_column": "text", "pair_column": None, "label_separator": ","},
        to_read=_read_classes,
        says=_say_classes,
        longer=None,
        tables=True,
    ),
    "token_classification": Head(
        fields=TEXT,
        flags=("text_column", "max_seq_length", "by_character"),
        defaults={"text_column": "text"},
        to_read=_read_tags,
        says=_say_tags,
    ),
    "question_answering": Head(
        fields={"question": Field(("question",)), "context": Field(("context",))},
        flags=("max_seq_length", "doc_stride", "max_query_length"),
        to_read=_read_span,
        says=lambda model: (
            "a part of the context" + (", or none" if model.null_score_diff_threshold is not None else "")
        ),
    ),
    "multiple_choice": Head(
        fields={"context": Field(("context",)), "choices": Field(("choices",), "a list of two or more strings")},
        flags=("max_seq_length",),
        to_read=_read_choice,
        says=lambda model: "one of the choices",
        longer="cut",
    ),
}


def load_head(path, *, dtype):
    """Loads a fine-tuned model of any head.

    Args:
        path: a model directory with a task.json and a vocabulary.
        dtype: the name of a Keras dtype policy.

    Returns:
        head, saved, reading: a row of HEADS; what has the `model` and its `tokenizer`; and how it reads texts, as its
        training kept it, or else the row's defaults.

    Raises:
        UserError: no model is there, it is damaged, or it was not fine-tuned; then it says what can be asked of it.
    """
    from keras_bert.checkpoints import open_checkpoint
    from keras_bert.errors import UserError
    from keras_bert.serving.answers import reading_of
    from keras_bert.serving.loading import load
    from keras_bert.tasks.classify.saved import load_classifier

    task = open_checkpoint(path).task
    kind = task.get("task")
    if kind not in HEADS:
        why = f"was saved for {kind}" if kind else "has no task.json"
        raise UserError(
            f"{path} has no answers to predict, for it {why}; keras-bert embed asks it for vectors, keras-bert "
            "fill_mask a pre-trained one for words, and classify, ner, squad and swag fine-tune it."
        )
    head = HEADS[kind]
    saved = load_classifier(path, dtype=dtype) if head.tables else load(path, dtype=dtype)
    kept = task.get("reading") or {}
    reading = {name: value if kept.get(name) is None else kept[name] for name, value in head.defaults.items()}
    return head, saved, {**reading, **reading_of(saved.model)}
