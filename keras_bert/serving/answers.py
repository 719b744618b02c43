"""Answers of fine-tuned models in Python, by what a model is for: what `kb.predict` and `keras-bert predict` give.

The answers' names are those of the SavedModel's outputs (serving/heads.py); the probabilities of classes stand by name.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Set

from keras_bert.data.texts import with_pairs
from keras_bert.errors import UserError
from keras_bert.serving.inputs import check_length, check_vocabulary
from keras_bert.tasks.answer import Answerer, Context, Example
from keras_bert.tasks.answer import Questions as Asked
from keras_bert.tasks.answer.features import check_lengths
from keras_bert.tasks.choose import Questions, predict_choices
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.classify.saved import SavedClassifier
from keras_bert.tasks.tag.tagging import predict_tags, word_places
from keras_bert.tasks.windows import check_windows


@dataclasses.dataclass(frozen=True)
class Head:
    """What a kind of model is asked, and how it answers.

    Attributes:
        fields: the keys of a row; the second one is a list of strings if it is called "choices".
        reading: {name: value} of how it reads texts, where nobody says.
        answerer: (model, tokenizer, batch_size, **reading) -> callable(list of rows) -> list of as many dicts.
    """

    fields: tuple[str, ...]
    reading: dict
    answerer: Callable


def _classes(model, tokenizer, batch_size, **reading):
    check_length(model.bert_config, reading["max_seq_length"], layout=tokenizer.layout)
    lengths = (reading[name] for name in ("max_seq_length", "long_texts", "doc_stride"))
    check_windows(*lengths, texts=1 + model.pair, layout=tokenizer.layout)
    saved = SavedClassifier(model, tokenizer, {})

    def answer(rows):
        pairs = [row["pair"] for row in rows] if "pair" in rows[0] else None
        columns = saved.predictions(Examples([row["text"] for row in rows], pairs), batch_size=batch_size, **reading)
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    return answer


def _tags(model, tokenizer, batch_size, *, max_seq_length, by_character):
    check_length(model.bert_config, max_seq_length, layout=tokenizer.layout)
    options = {"max_seq_length": max_seq_length, "batch_size": batch_size, "joined": by_character}

    def answer(rows):
        texts = [row["text"] for row in rows]
        places = [word_places(text, by_character) for text in texts]
        words = [[text[slice(*place)] for place in of_text] for text, of_text in zip(texts, places, strict=True)]
        found = predict_tags(model, tokenizer, words, **options)
        return [
            {"text": text, "tokens": [_token(text, *each) for each in zip(of_text, *tagged, strict=True)]}
            for text, of_text, *tagged in zip(texts, places, *found, strict=True)
        ]

    return answer


def _token(text, place, tag, score):
    start, end = place
    score = 0.0 if score != score else round(float(score), 6)  # of a word without a piece it is not a number
    return {"token": text[start:end], "start": start, "end": end, "label": tag, "score": score}


def _spans(model, tokenizer, batch_size, **reading):
    asked = Answerer(model, tokenizer, batch_size=batch_size, **reading)
    lengths = (asked.options[name] for name in ("max_seq_length", "doc_stride", "max_query_length"))
    check_lengths(*lengths, layout=tokenizer.layout)

    def answer(rows):
        contexts = {row["context"]: Context(row["context"]) for row in rows}
        examples = [Example(str(n), row["question"], contexts[row["context"]]) for n, row in enumerate(rows)]
        found = Asked(examples, tokenizer, **asked.options).predict(model)
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


def _choices(model, tokenizer, batch_size, *, max_seq_length):
    check_length(model.bert_config, max_seq_length, pair=True, layout=tokenizer.layout)
    options = {"max_seq_length": max_seq_length, "batch_size": batch_size}

    def answer(rows):
        counts = [len(row["choices"]) for row in rows]
        answers = [None] * len(rows)
        for count in set(counts):
            places = [place for place, of_row in enumerate(counts) if of_row == count]
            contexts, choices = ([rows[place][name] for place in places] for name in ("context", "choices"))
            shares = predict_choices(model, tokenizer, Questions(contexts, [""] * len(places), choices), **options)
            for place, of_row in zip(places, shares, strict=True):
                rounded = [round(float(share), 6) for share in of_row]
                answers[place] = {"choice": int(of_row.argmax()), "probabilities": rounded}
        return answers

    return answer


# What a model's TASK is called -> the row.
HEADS = {
    "classification": Head(
        ("text", "pair"), {"max_seq_length": 128, "long_texts": "cut", "doc_stride": None}, _classes
    ),
    "token_classification": Head(("text",), {"max_seq_length": 128, "by_character": False}, _tags),
    "question_answering": Head(
        ("question", "context"), {"max_seq_length": 384, "doc_stride": 128, "max_query_length": None}, _spans
    ),
    "multiple_choice": Head(("context", "choices"), {"max_seq_length": 128}, _choices),
}


def reading_of(model, given=None):
    """Returns how a model reads texts, {name: value}: as given, else as its training kept it, else its head's way.

    Args:
        model: a model of one of HEADS.
        given: {name: value}; None as a value says nothing. Names that the head does not know are left out.
    """
    head, given, kept = HEADS[model.TASK], given or {}, getattr(model, "reading", None) or {}
    reading = {}
    for name, value in head.reading.items():
        known = [each[name] for each in (given, kept) if each.get(name) is not None]
        reading[name] = known[0] if known else value
    if given.get("max_seq_length") is None:
        reading["max_seq_length"] = min(reading["max_seq_length"], model.bert_config.max_length)
    return reading


def answerer(model, tokenizer, *, batch_size=32, **reading):
    """Returns a function that asks a model: callable(list of rows, dicts with the head's fields) -> list of dicts.

    Args:
        model: a model of one of HEADS.
        tokenizer: its Tokenizer.
        batch_size: rows that the model reads at a time.
        **reading: all that the head's `reading` names.
    """
    check_vocabulary(model.bert_config, tokenizer)
    return HEADS[model.TASK].answerer(model, tokenizer, batch_size, **reading)


def predict(model, tokenizer, texts, pairs=None, *, batch_size=32, **reading):
    """Asks a fine-tuned model, whatever it was trained for.

    | model | `texts`, and `pairs` | an answer |
    |---|---|---|
    | Classifier | texts, or pairs of texts | {"text", "label", "probability", "probabilities": {class: p}} |
    | of several labels | | {"text", "labels": [...], "probabilities": {class: p}} |
    | a regressor | | {"text", "score"} |
    | TokenClassifier | texts | {"text", "tokens": [{"token", "start", "end", "label", "score"}, ...]} |
    | SpanLabeler | questions, contexts | {"text", "score", "start", "end"}; -1 for no answer |
    | MultipleChoice | contexts, lists of choices | {"choice", "probabilities": [...]} |

    Args:
        model: one of these.
        tokenizer: its Tokenizer.
        texts: iterable of str, of (text, pair) tuples, or of dicts: {"text", "pair"}, {"question", "context"} or
            {"context", "choices"}.
        pairs: as many second texts, contexts or lists of choices, instead of tuples; or None.
        batch_size: texts that the model reads at a time.
        **reading: "max_seq_length", and by the model "long_texts" ("cut" or "windows"), "doc_stride",
            "max_query_length" and "by_character". What is left out is as the training command kept it in the model
            directory, else the command's default. Longer texts are cut, those of taggers and readers read in windows.

    Returns:
        A list with a dict for each text, in order; what `keras-bert predict` writes.

    Raises:
        UserError: a model that answers nothing by itself, texts of another kind than it takes, or an option or a
            length that it does not know.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Classifier, Encoder
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> encoder = Encoder(Config.from_name("L-1_H-64", vocab_size=7))
        >>> [answer] = predict(Classifier(encoder, 2, labels=["no", "yes"]), tokenizer, ["good"])
        >>> sorted(answer), sorted(answer["probabilities"])
        (['label', 'probabilities', 'probability', 'text'], ['no', 'yes'])
    """
    head = HEADS.get(getattr(model, "TASK", None))
    if head is None:
        raise UserError(
            f"kb.predict asks fine-tuned models. Received: {type(model).__name__}; kb.embed gives vectors, "
            "kb.fill_mask the words behind [MASK], and model.predict what a Keras model computes."
        )
    unknown = [name for name in reading if name not in head.reading]
    if unknown:
        raise UserError(
            f"{unknown[0]} means nothing to {type(model).__name__}, which takes {', '.join(head.reading)}; leave it "
            "out."
        )
    rows = _rows(texts, pairs, head.fields)
    answer = answerer(model, tokenizer, batch_size=batch_size, **reading_of(model, reading))
    return answer(rows) if rows else []


def _rows(texts, pairs, fields):
    """Returns {field: value} of each text, or raises a UserError that names the first that is of another kind."""
    if (
        isinstance(texts, (str, bytes, Mapping, Set))
        or not isinstance(texts, Iterable)
        or getattr(texts, "ndim", 1) != 1
    ):
        raise UserError(f"texts must be a list, a text for each answer. Received: {texts!r:.80}.")
    texts = with_pairs(texts, pairs)
    rows = [_row(text, fields) for text in texts]
    for number, row in enumerate(rows):
        if row is None or row.keys() != rows[0].keys():
            kind = "of the fields that the first one has" if row else _kind(fields)
            raise UserError(f"texts[{number}] must be {kind}. Received: {texts[number]!r:.80}.")
    return rows


def _row(text, fields):
    """Returns {field: value} of a text, a tuple or a dict; None if it is of another kind."""
    if isinstance(text, Mapping):
        values = {name: text[name] for name in fields if name in text}
    else:
        values = dict(zip(fields, text if isinstance(text, (tuple, list)) else (text,), strict=False))
        if isinstance(text, (tuple, list)) and len(text) != len(values):
            return None
    needed = 1 if "pair" in fields else len(fields)
    fits = all(_are_choices(value) if name == "choices" else isinstance(value, str) for name, value in values.items())
    return values if fits and len(values) >= needed and fields[0] in values else None


def _are_choices(value):
    return isinstance(value, (list, tuple)) and len(value) > 1 and all(isinstance(choice, str) for choice in value)


def _kind(fields):
    kinds = {
        ("text", "pair"): "a string, or a pair of strings",
        ("text",): "a string",
        ("question", "context"): "a (question, context) pair of strings",
        ("context", "choices"): "a context and a list of two or more choices, strings all of them",
    }
    return kinds[fields]
