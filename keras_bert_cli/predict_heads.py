"""What `keras-bert predict` knows of each fine-tuned head: what it is asked, how it answers, and how that reads.

The answers' names are those of the SavedModel's outputs (serving/heads.py); the probabilities of classes stand by name.
"""

import dataclasses
from collections.abc import Callable

from keras_bert_cli.json_lines import Field
from keras_bert_cli.streams import percent

SHOWN = 5  # classes on a terminal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """One row.

    Attributes:
        fields: {key: Field}, what a model may be asked.
        flags: those of `predict` that mean something to it, beside the common ones.
        defaults: {flag or setting: value} where nobody says.
        answerer: (saved, reading, batch_size) -> callable(list of rows) -> list of answers, dicts; `saved` has a model
            and its tokenizer.
        to_read: (row, answer) -> lines for a person.
        says: model -> what it answers with, in words.
        longer: what becomes of longer texts; None where flags say so.
        tables: whether it answers tables, too.
    """

    fields: dict[str, Field]
    flags: tuple[str, ...]
    defaults: dict
    answerer: Callable
    to_read: Callable
    says: Callable
    longer: str | None = "read in windows"
    tables: bool = False


def _classes(saved, reading, batch_size):
    from keras_bert.tasks.examples import Examples
    from keras_bert.tasks.windows import check_windows

    lengths = {name: reading[name] for name in ("max_seq_length", "long_texts", "doc_stride")}
    check_windows(*lengths.values(), texts=1 + saved.model.pair)

    def answer(rows):
        pairs = [row["pair"] for row in rows] if "pair" in rows[0] else None
        examples = Examples([row["text"] for row in rows], pairs)
        columns = saved.predictions(examples, batch_size=batch_size, **lengths)
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    return answer


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


def _tags(saved, reading, batch_size):
    from keras_bert.serving.inputs import check_length
    from keras_bert.tasks.tagging import predict_tags, word_places

    check_length(saved.model.bert_config, reading["max_seq_length"])
    by_character = reading["by_character"]
    options = {"max_seq_length": reading["max_seq_length"], "batch_size": batch_size, "joined": by_character}

    def answer(rows):
        texts = [row["text"] for row in rows]
        places = [word_places(text, by_character) for text in texts]
        words = [[text[slice(*place)] for place in of_text] for text, of_text in zip(texts, places, strict=True)]
        found = predict_tags(saved.model, saved.tokenizer, words, **options)
        return [
            {"text": text, "tokens": [_token(text, *each) for each in zip(of_text, *tagged, strict=True)]}
            for text, of_text, *tagged in zip(texts, places, *found, strict=True)
        ]

    return answer


def _token(text, place, tag, score):
    start, end = place
    score = 0.0 if score != score else round(float(score), 6)  # of a word without a piece it is no number
    return {"token": text[start:end], "start": start, "end": end, "label": tag, "score": score}


def _read_tags(row, answer):
    from keras_bert.tasks.conll_tags import OUTSIDE

    yield row["text"]
    found = [token for token in answer["tokens"] if token["label"] != OUTSIDE]
    for token in found:
        yield f"  {token['token']}  {token['label']} {percent(token['score'])}"
    if not found:
        yield "  nothing found"


def _say_tags(model):
    from keras_bert.tasks.table import shorten

    return f"one of {len(model.labels)} tags for each word: {shorten(model.labels)}"


def _spans(saved, reading, batch_size):
    from keras_bert.tasks.squad import Answerer, Context, Example, Questions
    from keras_bert.tasks.squad.features import check_lengths

    asked = Answerer(saved.model, saved.tokenizer, batch_size=batch_size, **reading)
    check_lengths(*(asked.options[name] for name in ("max_seq_length", "doc_stride", "max_query_length")))

    def answer(rows):
        contexts = {row["context"]: Context(row["context"]) for row in rows}
        examples = [Example(str(n), row["question"], contexts[row["context"]]) for n, row in enumerate(rows)]
        found = Questions(examples, saved.tokenizer, **asked.options).predict(saved.model)
        return [_span(row["context"], each, asked.threshold or 0.0) for row, each in zip(rows, found, strict=True)]

    return answer


def _span(context, prediction, threshold):
    best = prediction.answer(threshold)
    is_answer = best.start is not None
    answer = {
        "text": context[best.start : best.end] if is_answer else "",
        "score": round(best.probability, 6),
        "start": best.start if is_answer else -1,
        "end": best.end if is_answer else -1,
    }
    return answer if prediction.null_odds is None else {**answer, "null_score": round(prediction.null_odds, 6)}


def _read_span(row, answer):
    yield row["question"]
    yield f"  {answer['text'] or 'no answer'} {percent(answer['score'])}"


def _choices(saved, reading, batch_size):
    from keras_bert.serving.inputs import check_length
    from keras_bert.tasks.choices import Questions, predict_choices

    options = {"max_seq_length": reading["max_seq_length"], "batch_size": batch_size}
    check_length(saved.model.bert_config, reading["max_seq_length"], pair=True)

    def answer(rows):
        counts = [len(row["choices"]) for row in rows]
        answers = [None] * len(rows)
        for count in set(counts):
            places = [place for place, of_row in enumerate(counts) if of_row == count]
            contexts, choices = ([rows[place][name] for place in places] for name in ("context", "choices"))
            questions = Questions(contexts, [""] * len(places), choices)
            shares = predict_choices(saved.model, saved.tokenizer, questions, **options)
            for place, of_row in zip(places, shares, strict=True):
                rounded = [round(float(share), 6) for share in of_row]
                answers[place] = {"choice": int(of_row.argmax()), "probabilities": rounded}
        return answers

    return answer


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
        defaults={
            "text_column": "text",
            "pair_column": None,
            "label_separator": ",",
            "max_seq_length": 128,
            "long_texts": "cut",
            "doc_stride": None,
        },
        answerer=_classes,
        to_read=_read_classes,
        says=_say_classes,
        longer=None,
        tables=True,
    ),
    "token_classification": Head(
        fields=TEXT,
        flags=("text_column", "max_seq_length", "by_character"),
        defaults={"text_column": "text", "max_seq_length": 128, "by_character": False},
        answerer=_tags,
        to_read=_read_tags,
        says=_say_tags,
    ),
    "question_answering": Head(
        fields={"question": Field(("question",)), "context": Field(("context",))},
        flags=("max_seq_length", "doc_stride", "max_query_length"),
        defaults={"max_seq_length": 384, "doc_stride": 128, "max_query_length": None},
        answerer=_spans,
        to_read=_read_span,
        says=lambda model: (
            "a part of the context" + (", or none" if model.null_score_diff_threshold is not None else "")
        ),
    ),
    "multiple_choice": Head(
        fields={"context": Field(("context",)), "choices": Field(("choices",), "a list of two or more strings")},
        flags=("max_seq_length",),
        defaults={"max_seq_length": 128},
        answerer=_choices,
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
    from keras_bert.serving.loading import load
    from keras_bert.tasks.saved import load_classifier

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
    reading = task.get("reading") or {}
    reading = {name: value if reading.get(name) is None else reading[name] for name, value in head.defaults.items()}
    reading["max_seq_length"] = min(reading["max_seq_length"], saved.model.bert_config.max_position_embeddings)
    return head, saved, reading
